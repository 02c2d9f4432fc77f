"""The trials that a study of sequences begins with; what is searched is the same as on events."""

from __future__ import annotations

from typing import Any

from qspinn_optuna.config import Scheme
from qspinn_optuna.space import QuantizationSpace, width_name
from qspinn_optuna.workloads.supervised.events import uniform_params
from qspinn_optuna.workloads.supervised.events.search import have_one_bit_weights, narrow_params

_IN_TRAINING = ((2, 2), (2, 3), (4, 4), (2, 1))
"""Widths of weights and states that are begun with in training, which alone bears two bits."""

_AFTER_TRAINING = ((8, 8), (5, 6))
"""Widths of weights and states that are begun with after the training."""

_NARROW_STATES = 4
"""Width of the states beside narrow weights: they are few, and have to last for all steps."""

_SMALL = 0.3
"""Part of all values that the layers of input and readout are together with the states, which begin wide."""

_INPUT: dict[str, Any] = {width_name("input"): 4}
"""Width of the pixels: with the six bits of the coefficients, two-bit weights would miss 16x."""


def first_trials(space: QuantizationSpace) -> list[dict[str, Any]]:
    """Parameters of the trials that a study begins with.

    They are uniform widths. Where one bit is searched, weights between neurons have one bit or two, and those of input
    and readout begin wide, or have one bit, too.
    """
    if have_one_bit_weights(space.searched):
        return [
            narrow_params(space, weight_bits, _NARROW_STATES, wide=wide) | _INPUT
            for weight_bits, wide in ((1, _SMALL), (2, _SMALL), (1, 0.0))
        ]
    widths = {Scheme.PTQ: _AFTER_TRAINING, Scheme.ITQ: _IN_TRAINING}
    return [
        uniform_params(space, weight_bits, state_bits, scheme) | _INPUT
        for scheme in space.schemes
        for weight_bits, state_bits in widths[scheme]
    ]
