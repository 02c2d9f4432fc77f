"""Integrate-and-fire networks in integers: no floating-point number takes part in the recursion.

A number is a code and the exponent of its unit: ``Fixed(codes, n)`` is ``codes * 2**-n``. Sums are taken at the larger
of two exponents, products add them, and only rounding lowers one.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qspinn_optuna.fixed_point import QFormat, Rounding

Codes = NDArray[np.int64]

Draws = Callable[[int, tuple[int, ...]], Codes]
"""Draws of 32 bits, of a step and a shape."""

DRAW_BITS = 32

GENERATOR_BITS = 24
"""Draws of ``torch.rand`` in float32 are multiples of 2**-24."""

GOLDEN = 0x9E3779B97F4A7C15
BITS_64 = 2**64 - 1


@dataclass(frozen=True)
class Fixed:
    """``codes * 2**-fraction_bits``."""

    codes: Codes
    fraction_bits: int

    def at(self, fraction_bits: int) -> Codes:
        """The codes in a finer unit."""
        assert fraction_bits >= self.fraction_bits
        return self.codes << (fraction_bits - self.fraction_bits)

    def __add__(self, other: Fixed) -> Fixed:
        finest = max(self.fraction_bits, other.fraction_bits)
        return Fixed(self.at(finest) + other.at(finest), finest)

    def __sub__(self, other: Fixed) -> Fixed:
        return self + Fixed(-other.codes, other.fraction_bits)

    def __mul__(self, other: Fixed) -> Fixed:
        return Fixed(self.codes * other.codes, self.fraction_bits + other.fraction_bits)

    def reaches(self, other: Fixed) -> NDArray[np.bool_]:
        finest = max(self.fraction_bits, other.fraction_bits)
        reached: NDArray[np.bool_] = self.at(finest) >= other.at(finest)
        return reached

    def tensor(self) -> Tensor:
        return torch.as_tensor(np.ldexp(self.codes.astype(np.float64), -self.fraction_bits)).float()


def fixed(values: Tensor | float, fraction_bits: int) -> Fixed:
    """Values that are multiples of ``2**-fraction_bits``."""
    scaled = np.ldexp(np.asarray(torch.as_tensor(values).detach().double()), fraction_bits)
    codes = scaled.astype(np.int64)
    assert (codes == scaled).all(), "not on the grid"
    return Fixed(codes, fraction_bits)


def generated(generator: torch.Generator) -> Draws:
    """The draws that ``torch.rand(shape, generator=generator)`` makes, one a step, times 2**32."""

    def draw(_: int, shape: tuple[int, ...]) -> Codes:
        return fixed(torch.rand(shape, generator=generator), GENERATOR_BITS).codes << (DRAW_BITS - GENERATOR_BITS)

    return draw


def keyed(seed: int, name: str, numbers: Sequence[int] | None = None) -> Draws:
    """The draws of a state, by its full name, of samples with numbers: as a device computes them, in plain integers."""
    purpose = int.from_bytes(hashlib.sha256(name.encode("utf-8")).digest()[:8], "little")
    layer = mix((seed * GOLDEN + purpose) & BITS_64)

    def draw(step: int, shape: tuple[int, ...]) -> Codes:
        drawn: list[int] = []
        for sample in range(shape[0]) if numbers is None else numbers:
            stream = mix((mix((layer + sample * GOLDEN) & BITS_64) + step * GOLDEN) & BITS_64)
            elements = range(math.prod(shape[1:]))
            drawn += [mix((stream + element * GOLDEN) & BITS_64) >> 32 for element in elements]
        return np.array(drawn, np.int64).reshape(shape)

    return draw


def mix(z: int) -> int:
    """The finalizer of splitmix64."""
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & BITS_64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & BITS_64
    return z ^ (z >> 31)


def rounded(number: Fixed, fraction_bits: int, rounding: Rounding, step: int, draws: Draws) -> Fixed:
    """``number`` as a multiple of ``2**-fraction_bits``."""
    dropped = max(number.fraction_bits - fraction_bits, 0)
    codes = number.at(max(number.fraction_bits, fraction_bits))
    if rounding is Rounding.STOCHASTIC:
        # The upper bits of the draws: what is below the dropped ones changes nothing.
        assert dropped <= DRAW_BITS
        codes = codes + (draws(step, codes.shape) >> (DRAW_BITS - dropped))
    if rounding is Rounding.NEAREST and dropped:
        codes = codes + (1 << (dropped - 1))
    return Fixed(codes >> dropped, fraction_bits)


def saturated(number: Fixed, fmt: QFormat) -> Fixed:
    finest = max(number.fraction_bits, fmt.fraction_bits)
    low, high = (code << (finest - fmt.fraction_bits) for code in (fmt.min_code, fmt.max_code))
    return Fixed(np.clip(number.at(finest), low, high), finest)


@dataclass
class IntegerNeurons:
    """A layer of IF neurons, or of LIF neurons if there is a decay.

    Args:
        membrane: Format of potentials.
        rounding: Of the stored potential.
        threshold: A scalar.
        reset: A scalar; None subtracts the threshold.
        decay: A scalar.
        decay_input: Whether the input is scaled too.
        start: Potential before the first step, a scalar.
        draws: Of stochastic rounding.
    """

    membrane: QFormat
    rounding: Rounding
    threshold: Fixed
    reset: Fixed | None
    decay: Fixed | None
    decay_input: bool
    start: Fixed
    draws: Draws

    def run(self, x_seq: list[Fixed]) -> tuple[list[Fixed], list[Fixed]]:
        """Spikes and potentials after every step."""
        potential = self.start + Fixed(np.zeros_like(x_seq[0].codes), self.start.fraction_bits)
        spikes, potentials = [], []
        for step, x in enumerate(x_seq):
            fired, potential = self._step(step, x, potential)
            spikes.append(fired)
            potentials.append(potential)
        return spikes, potentials

    def _step(self, step: int, x: Fixed, v: Fixed) -> tuple[Fixed, Fixed]:
        charged = self._charge(x, v)
        fired = charged.reaches(self.threshold)
        if self.reset is None:
            kept = charged - Fixed(fired * self.threshold.codes, self.threshold.fraction_bits)
        else:
            finest = max(charged.fraction_bits, self.reset.fraction_bits)
            kept = Fixed(np.where(fired, self.reset.at(finest), charged.at(finest)), finest)
        kept = saturated(kept, self.membrane)
        stored = rounded(kept, self.membrane.fraction_bits, self.rounding, step, self.draws)
        return Fixed(fired.astype(np.int64), 0), stored

    def _charge(self, x: Fixed, v: Fixed) -> Fixed:
        if self.decay is None:
            return v + x
        rate = Fixed(np.asarray(1, np.int64), 0) - self.decay
        rest = Fixed(np.asarray(0, np.int64), 0) if self.reset is None else self.reset
        return v + rate * (rest - v + x) if self.decay_input else v + rate * (rest - v) + x


def linear(x: Fixed, weight: Fixed, bias: Fixed | None) -> Fixed:
    """x [batch, in], weight [out, in], bias [out]."""
    return _with_bias(Fixed(x.codes @ weight.codes.T, x.fraction_bits + weight.fraction_bits), bias, (1, -1))


def conv2d(x: Fixed, weight: Fixed, bias: Fixed | None, stride: int, padding: int) -> Fixed:
    """x [batch, in, height, width], weight [out, in, rows, columns], bias [out]."""
    padded = np.pad(x.codes, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    rows, columns = weight.codes.shape[2:]
    windows: NDArray[Any] = np.lib.stride_tricks.sliding_window_view(padded, (rows, columns), axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride]
    # Patches as rows of a matrix: [batch, height, width, in * rows * columns].
    patches = windows.transpose(0, 2, 3, 1, 4, 5).reshape(*np.array(windows.shape)[[0, 2, 3]], -1)
    kernels = weight.codes.reshape(len(weight.codes), math.prod(weight.codes.shape[1:]))
    sums = (patches @ kernels.T).transpose(0, 3, 1, 2)
    return _with_bias(Fixed(sums, x.fraction_bits + weight.fraction_bits), bias, (1, -1, 1, 1))


def _with_bias(sums: Fixed, bias: Fixed | None, shape: tuple[int, ...]) -> Fixed:
    return sums if bias is None else sums + Fixed(bias.codes.reshape(shape), bias.fraction_bits)
