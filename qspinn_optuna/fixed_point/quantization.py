"""A format together with a rounding."""

from __future__ import annotations

from dataclasses import dataclass

from qspinn_optuna.fixed_point.qformat import QFormat
from qspinn_optuna.fixed_point.rounding import Rounding


@dataclass(frozen=True)
class ParameterQuantization:
    """How one parameter is quantized.

    Example:
        >>> ParameterQuantization(QFormat(0, 7), Rounding.NEAREST).format.bits
        8

    Args:
        format: The grid of its values.
        rounding: How values between two grid points are put on one of them.

    Raises:
        TypeError: If ``format`` is no format.
        ValueError: If ``rounding`` is unknown.
    """

    format: QFormat
    rounding: Rounding

    def __post_init__(self) -> None:
        if not isinstance(self.format, QFormat):
            raise TypeError(f"format must be a QFormat, got {self.format!r}.")
        object.__setattr__(self, "rounding", Rounding(self.rounding))
