"""Decays so slow that the widest format rounds what they leave of 1 by much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from qspinn_optuna.fixed_point import QFormat, Rounding, quantize
from qspinn_optuna.fixed_point.qformat import MAX_BITS
from qspinn_optuna.parameters import Family, ParameterSpec

_COARSE = 0.1
"""Error of 1 - decay that is told."""


def coarse_decays(specs: Sequence[ParameterSpec], constants: Mapping[str, Tensor]) -> list[str]:
    """A sentence for each decay whose widest format is off by more than 10 % of 1 - decay.

    By 1 - decay a neuron leaks, and its input is scaled if it decays, too.

    Args:
        specs: The parameters of a network, as wide as they are searched at most.
        constants: Values of its thresholds and decays, by their names.
    """
    found = []
    for spec in specs:
        if spec.family is not Family.DECAY or spec.name not in constants:
            continue
        decay = constants[spec.name]
        if not bool(((decay > 0) & (decay < 1)).all()):
            continue
        error = _error(decay, spec.format(spec.max_bits))
        if error > _COARSE:
            found.append(
                f"{spec.name} is off by {error:.0%} of 1 - decay with {spec.max_bits} bits, the widest that are "
                f"searched: {_remedy(decay, spec.max_bits)}"
            )
    return found


def _error(decay: Tensor, fmt: QFormat) -> float:
    rounded = quantize(decay, fmt, Rounding.NEAREST)
    return float(((decay - rounded).abs() / (1 - decay)).max())


def _remedy(decay: Tensor, widest: int) -> str:
    enough = next((bits for bits in range(widest + 1, MAX_BITS + 1) if _error(decay, _fraction(bits)) <= _COARSE), None)
    fine = f"{enough} bits would do, which are not simulated exactly" if enough else "no width would do"
    slowest = float(decay.max())
    steps = max(1, round((1 - slowest) * 2**widest))
    tau = 2**widest / steps
    return f"{fine}. A decay of {1 - 1 / tau:.6g}, of a time constant of {tau:.4g}, is on the grid."


def _fraction(bits: int) -> QFormat:
    return QFormat(0, bits, signed=False)
