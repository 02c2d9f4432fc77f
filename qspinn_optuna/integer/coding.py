"""From pixels to input spikes, or from values to codes."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.fixed_point import ParameterQuantization, QFormat
from qspinn_optuna.integer.codes import Codes
from qspinn_optuna.integer.node import (
    Node,
    check_has_zero,
    check_integers,
    check_key,
    check_type,
    check_whole,
    check_wholes,
    frozen_array,
)

VALUES = 256
"""Values of a pixel."""

CHANCE = QFormat(0, 16, signed=False)
"""Format of the chance of a spike."""

LANES = 4
"""Pixels that share a draw of 64 bits, 16 bits each."""


@dataclass(frozen=True, eq=False)
class RateCoding(Node):
    """Rate coding: at every step, a pixel spikes with a chance that its value gives.

    The kept pixels of an image whose value is not 0 are numbered in their order. Numbers ``4 * g`` to ``4 * g + 3``
    share draw ``4 * g`` of the stream that the model's seed, the sample and the step key, 16 bits each, the first the
    lowest. A pixel spikes if its bits are below its chance.

    Example:
        >>> coding = RateCoding(linear_chances(0.25), steps=100, pixels=784, kept=np.arange(784))
        >>> coding.inputs
        784

    Args:
        chances: Chance of a spike for each pixel value, [256], UQ0.16.
        steps: Time steps for which an image is shown.
        pixels: Pixels of an image.
        kept: Pixels that are inputs of the network, rising, [inputs].

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If a shape or a number is outside its range, or ``kept`` does not rise.
    """

    chances: Codes
    steps: int
    pixels: int
    kept: NDArray[np.integer]

    def __post_init__(self) -> None:
        if not isinstance(self.chances, Codes):
            raise TypeError(f"chances must be Codes, got {type(self.chances).__name__}.")
        if self.chances.shape != (VALUES,) or self.chances.format != CHANCE:
            raise ValueError(
                f"chances must be {VALUES} codes of {CHANCE}, got {self.chances.shape} of {self.chances.format}."
            )
        check_whole("steps", self.steps, 1)
        check_whole("pixels", self.pixels, 1)
        check_integers("kept", self.kept, 1)
        rising = bool((np.diff(self.kept.astype(np.int64)) > 0).all())
        if not rising or self.kept[0] < 0 or self.kept[-1] >= self.pixels:
            raise ValueError(f"kept must be rising numbers of {self.pixels} pixels, got {self.kept}.")
        object.__setattr__(self, "kept", frozen_array(self.kept, np.uint32))

    @property
    def inputs(self) -> int:
        """Inputs of the network."""
        return len(self.kept)

    @property
    def constant_bits(self) -> int:
        """Memory of the mask of kept pixels, if any is dropped. The table of chances is part of the program."""
        return self.pixels if self.inputs < self.pixels else 0

    @property
    def state_bits(self) -> int:
        """Spikes are drawn anew at every step: nothing is kept."""
        return 0


def linear_chances(rate: float) -> Codes:
    """Chances that grow with the pixel up to ``rate``, as far as 16 bits go.

    Example:
        >>> linear_chances(0.25).array[[0, 255]]
        array([    0, 16384], dtype=uint16)
    """
    chances = [min(round(rate * 65536 / 255 * pixel), CHANCE.max_code) for pixel in range(VALUES)]
    return Codes(np.array(chances), CHANCE)


@dataclass(frozen=True, eq=False)
class ValueCoding(Node):
    """Values as they are: codes of a format, given anew at every step, or once for all steps.

    Example:
        >>> model.coding.shape, model.coding.steps, str(model.coding.quantization.format)
        ((16,), 10, 'UQ1.0')

    Args:
        shape: Of the values of one sample at one step.
        quantization: Their format, and how real numbers are rounded to it before they are given to the network.
        steps: Time steps of a sample.
        repeated: Whether every step takes the same values.
        held: Whether a device keeps the values of a step, rather than read them where they arrive.
        key: Of the draws of stochastic rounding.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If a number is outside its range.
    """

    shape: tuple[int, ...]
    quantization: ParameterQuantization
    steps: int
    repeated: bool
    held: bool
    key: int

    def __post_init__(self) -> None:
        check_wholes("shape", self.shape, 1)
        check_type("quantization", self.quantization, ParameterQuantization)
        check_has_zero("quantization", self.quantization.format)
        check_whole("steps", self.steps, 1)
        check_type("repeated", self.repeated, bool)
        check_type("held", self.held, bool)
        check_key(self.key)

    @property
    def constant_bits(self) -> int:
        """Nothing is looked up."""
        return 0

    @property
    def state_bits(self) -> int:
        """Memory of the values of a step, if they are held."""
        return prod(self.shape) * self.quantization.format.bits if self.held else 0
