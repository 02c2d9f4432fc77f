"""From values that were seen to the formats that hold them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qspinn_optuna.fixed_point import GridKind, QFormat, Rounding, quantize
from qspinn_optuna.parameters import Family, ParameterSpec
from qspinn_optuna.vocabulary import Vocabulary

_KEPT_VALUES = 20_000
"""Values that percentiles and squared errors are computed of."""

_KEPT_PER_CALL = 1_000


class RangeMethod(Vocabulary):
    """How a range is made of the values that were seen.

    Example:
        >>> [method.value for method in RangeMethod]
        ['min-max', 'percentile', 'least-squares']
    """

    MIN_MAX = "min-max"
    """From the smallest to the largest."""

    PERCENTILE = "percentile"
    """What remains when the same part of the values is cut off at both ends."""

    LEAST_SQUARES = "least-squares"
    """For each width the format with the least mean squared error of rounding to nearest."""


@dataclass
class SeenValues:
    """What was seen of the values of a parameter: their ends, and a sample of them.

    Args:
        generator: Draws the sample.
    """

    generator: torch.Generator
    low: float = math.inf
    high: float = -math.inf
    binary: bool = True
    _samples: list[Tensor] = field(default_factory=list)

    def add(self, values: Tensor, kept: int = _KEPT_PER_CALL) -> None:
        """Take notice of more values, of any shape, and keep at most ``kept`` of them.

        Raises:
            ValueError: If they are not finite.
        """
        flat = values.detach().flatten().float().cpu()
        low, high = (float(end) for end in torch.aminmax(flat))
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError("the values are not finite")
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.binary = self.binary and bool(((flat == 0) | (flat == 1)).all())
        if len(flat) > kept:
            flat = flat[torch.randint(len(flat), (kept,), generator=self.generator)]
        self._samples.append(flat)

    def sample(self) -> NDArray[np.float64]:
        """Some of the values, at most 20,000, float64."""
        values = torch.cat(self._samples)
        if len(values) > _KEPT_VALUES:
            values = values[torch.randperm(len(values), generator=self.generator)[:_KEPT_VALUES]]
        return values.double().numpy()

    def percentiles(self, percentile: float) -> tuple[float, float]:
        """The ends of the middle ``percentile`` percent."""
        cut = (100 - percentile) / 2
        low, high = np.percentile(self.sample(), [cut, 100 - cut])
        return float(low), float(high)


def least_squares_formats(
    values: NDArray[np.float64], widths: Iterable[int], grid: GridKind = GridKind.MID_TREAD
) -> tuple[QFormat, ...]:
    """For each width the format with the least mean squared error of rounding ``values`` to nearest.

    Signed and unsigned ones are compared; of equally good ones the widest range is taken.

    Args:
        values: Not all 0.
        widths: Bits of the formats.
        grid: Of the formats.
    """
    return tuple(min(_candidates(values, bits, grid), key=lambda fmt: _squared_error(values, fmt)) for bits in widths)


def _candidates(values: NDArray[np.float64], bits: int, grid: GridKind) -> Iterator[QFormat]:
    """Formats of a width, from the first that holds all values to ones that hold 256 times less."""
    exponent = math.frexp(float(np.abs(values).max()))[1]
    negative, positive = bool((values < 0).any()), bool((values > 0).any())
    mid_rise = grid is GridKind.MID_RISE
    # A signed format of one bit has no positive values: a membrane could not charge up in it.
    signs = (False,) if not negative or (bits == 1 and positive and not mid_rise) else (True, False)
    for integer_bits in range(exponent + 1, exponent - 9, -1):
        for signed in signs:
            yield QFormat(integer_bits, bits - int(signed) - integer_bits + int(mid_rise), signed, grid)


def _squared_error(values: NDArray[np.float64], fmt: QFormat) -> float:
    rounded = quantize(torch.from_numpy(values), fmt, Rounding.NEAREST).numpy()
    return float(np.square(rounded - values).mean())


def calibrated_spec(
    name: str,
    family: Family,
    count: int,
    seen: SeenValues,
    max_bits: int,
    method: RangeMethod,
    percentile: float,
    floor: float = -math.inf,
    grids: tuple[GridKind, ...] = (GridKind.MID_TREAD,),
) -> ParameterSpec:
    """A parameter with the range and the formats of the values that were seen.

    Args:
        name: Of the parameter.
        family: Its family.
        count: Its elements.
        seen: Its values.
        max_bits: Widest format.
        method: How the range is made.
        percentile: Part of the values that is kept, in percent, if ``method`` is that one.
        floor: Smaller values are resolved as coarsely as this one, if ``method`` is that of least squares.
        grids: Grids of its formats.
    """
    low, high = min(seen.low, 0.0), max(seen.high, 0.0)
    if low == high == 0:
        # A signed format of one bit has no positive values, so that no such one holds a range around 0.
        one_bit = QFormat(0, 1, signed=False)
        return ParameterSpec(name, family, count, -0.5, 0.5, max_bits=max_bits, formats=(one_bit,))
    if method is RangeMethod.LEAST_SQUARES:
        # NOTE: far below 0 a neuron does not fire soon in any case; what it rises from need not be resolved.
        values, widths = seen.sample().clip(min=floor), range(1, max_bits + 1)
        formats = tuple(fmt for grid in grids for fmt in least_squares_formats(values, widths, grid))
        return ParameterSpec(name, family, count, low, high, max_bits=max_bits, formats=formats, grids=grids)
    if method is RangeMethod.PERCENTILE:
        cut_low, cut_high = seen.percentiles(percentile)
        if cut_low < 0 or cut_high > 0:
            low, high = min(cut_low, 0.0), max(cut_high, 0.0)
    return ParameterSpec(name, family, count, low, high, max_bits=max_bits, grids=grids)
