"""The trials that a study of sequences begins with; what is searched is the same as on events."""

from __future__ import annotations

from typing import Any

from qspinn_optuna.config import Scheme
from qspinn_optuna.space import QuantizationSpace, width_name
from qspinn_optuna.workloads.supervised.events import first_trials as narrow_first_trials
from qspinn_optuna.workloads.supervised.events import uniform_params
from qspinn_optuna.workloads.supervised.events.search import have_one_bit_weights

_IN_TRAINING = ((2, 2), (2, 3), (4, 4), (2, 1))
"""Widths of weights and states that are begun with in training, which alone bears two bits."""

_AFTER_TRAINING = ((8, 8), (5, 6))
"""Widths of weights and states that are begun with after the training."""

_INPUT: dict[str, Any] = {width_name("input"): 4}
"""Width of the pixels: with the six bits of the coefficients, two-bit weights would miss 16x."""


def first_trials(space: QuantizationSpace) -> list[dict[str, Any]]:
    """Parameters of the trials that a study begins with: uniform widths; where one bit is searched, as on events."""
    if have_one_bit_weights(space.searched):
        return [params | _INPUT for params in narrow_first_trials(space)]
    widths = {Scheme.PTQ: _AFTER_TRAINING, Scheme.ITQ: _IN_TRAINING}
    return [
        uniform_params(space, weight_bits, state_bits, scheme) | _INPUT
        for scheme in space.schemes
        for weight_bits, state_bits in widths[scheme]
    ]
