"""Stochastic rounding of whole tensors by keyed draws: sample by sample, as a device rounds them.

The draw of an element is that of :mod:`~qspinn_optuna.fixed_point.draws`, of which the upper 32 bits are r: a position
y, in steps, becomes floor(y + r * 2**-32), as the contract of :mod:`~qspinn_optuna.fixed_point.integer_rounding` has
it. Its index is that of the element within its sample, so a batch of any size gives a sample the same draws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from numba import njit
from torch import Tensor

from qspinn_optuna.fixed_point.draws import mix, stream_of_layer

SampleNumbers = npt.NDArray[np.uint64]
"""Of the samples of a batch."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_S32 = np.uint64(32)
_STEP = 2.0**-32
"""Unit of a draw, in steps."""


class BatchLayout(NamedTuple):
    """Where the samples are in a tensor, seen as [outer, samples, inner].

    An element of a sample has the index ``outer * inner_size + inner``: its flat index once the samples are taken
    apart, in C order.
    """

    outer: int
    samples: int
    inner: int

    @classmethod
    def of(cls, shape: tuple[int, ...], samples: int | None) -> BatchLayout:
        """The layout of a tensor.

        Args:
            shape: Its shape.
            samples: Their number. They are counted by the first dimension if it is as long; else by the only one that
                is; else by the first if it is a multiple, [samples * tokens, ...]. Else all is of one sample. If the
                number is not known, the first dimension counts them.
        """
        size = math.prod(shape)
        if samples is None:
            samples = shape[0] if shape else 1
        if not shape:
            return cls(1, 1, 1)
        dimensions = [dimension for dimension, length in enumerate(shape) if length == samples]
        if shape[0] != samples and len(dimensions) == 1:
            inner = math.prod(shape[dimensions[0] + 1 :])
            return cls(math.prod(shape[: dimensions[0]]), samples, inner)
        if samples and shape[0] % samples == 0:
            return cls(1, samples, size // samples)
        return cls(1, 1, size)


@dataclass(frozen=True)
class KeyedDraws:
    """The draws for one state of all samples at one step.

    Args:
        layer: Key of seed and state, see :func:`~qspinn_optuna.fixed_point.draws.layer_key`.
        step: Number of the step.
        numbers: Of the samples; None for 0, 1, ... along the first dimension.
    """

    layer: int
    step: int = 0
    numbers: SampleNumbers | None = None

    def after(self, steps: int) -> KeyedDraws:
        """The draws some steps later."""
        return replace(self, step=self.step + steps)

    def round(self, y: Tensor, *, by_kernel: bool) -> Tensor:
        """Integers of positions ``y``, float32 or float64; ``y`` may be changed, and may be what is returned.

        Args:
            y: Of which the layout is :meth:`BatchLayout.of`. NaN stays.
            by_kernel: Whether a kernel rounds, on the CPU, in one pass; else operations of torch that any device has,
                and ``torch.export`` takes.
        """
        layout = BatchLayout.of(tuple(y.shape), None if self.numbers is None else len(self.numbers))
        if not by_kernel:
            return self._by_operations(y, layout)
        y = y.contiguous()
        kernel: Any = _round
        kernel(y.view(-1).numpy(), np.uint64(self.layer), self._numbers(layout), np.uint64(self.step % 2**64), *layout)
        return y

    def _by_operations(self, y: Tensor, layout: BatchLayout) -> Tensor:
        if self.numbers is None:
            numbers = torch.arange(layout.samples, device=y.device)
        else:
            numbers = torch.from_numpy(self._numbers(layout).view(np.int64)).to(y.device)
        keys = _mixed(_mixed(numbers * _signed(int(_GOLDEN)) + _signed(self.layer)) + _multiple(self.step))
        indices = torch.arange(layout.outer * layout.inner, device=y.device).view(layout.outer, 1, layout.inner)
        drawn = _mixed(keys.view(1, -1, 1) + indices * _signed(int(_GOLDEN)))
        u = (_shifted(drawn, 32).double() * _STEP).view(y.shape)
        cut = y.trunc()
        rest = (y - cut).double()
        return cut + (rest >= 1 - u).to(y.dtype) - (rest < -u).to(y.dtype)

    def _numbers(self, layout: BatchLayout) -> SampleNumbers:
        if self.numbers is None:
            return np.arange(layout.samples, dtype=np.uint64)
        return self.numbers[: layout.samples]


@njit(cache=True, nogil=True, error_model="numpy")
def _round(
    y: npt.NDArray[np.floating[Any]],
    layer: np.uint64,
    numbers: SampleNumbers,
    step: np.uint64,
    outer: int,
    samples: int,
    inner: int,
) -> None:
    """floor(y + u), as if y + u had all its digits: what is cut off toward zero, and 1 - u, are exact in float64."""
    for row in range(outer * samples):
        stream = stream_of_layer(layer, numbers[row % samples], step)
        counter = stream + np.uint64(row // samples * inner) * _GOLDEN
        for index in range(row * inner, (row + 1) * inner):
            u = np.float64(mix(counter) >> _S32) * _STEP
            counter += _GOLDEN
            cut = np.trunc(y[index])
            rest = np.float64(y[index] - cut)
            up = 1.0 if rest >= 1.0 - u else 0.0
            down = 1.0 if rest < -u else 0.0
            y[index] = cut + (up - down)


def _mixed(z: Tensor) -> Tensor:
    """:func:`~qspinn_optuna.fixed_point.draws.mix` of int64, whose products wrap around as unsigned ones do."""
    z = (z ^ _shifted(z, 30)) * _signed(0xBF58476D1CE4E5B9)
    z = (z ^ _shifted(z, 27)) * _signed(0x94D049BB133111EB)
    return z ^ _shifted(z, 31)


def _shifted(z: Tensor, bits: int) -> Tensor:
    """The logical shift to the right, of int64, of which torch has the arithmetic one only."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)


def _multiple(number: int) -> int:
    return _signed(number * int(_GOLDEN) % 2**64)


def _signed(number: int) -> int:
    """The integer of 64 bits in two's complement that has the bits of an unsigned one."""
    return number - 2**64 if number >= 2**63 else number
