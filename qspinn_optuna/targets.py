"""Devices with little memory: what they hold, and whether a network fits."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real

from qspinn_optuna.fixed_point import Rounding
from qspinn_optuna.parameters import format_kib, round_up_kib

_WORDS = (8, 16, 32, 64)


@dataclass(frozen=True)
class Target:
    """A device that is to run the network.

    Example:
        >>> board = Target("mine", flash_kib=64, ram_kib=8)
        >>> print(board)
        mine (64 KiB of flash, 8 KiB of RAM)
        >>> board.fit(flash_kib=33.0, ram_kib=9.0).fits
        False

    Args:
        name: Its name.
        flash_kib: Its flash, which holds constants and the program, in KiB of 1,024 bytes.
        ram_kib: Its RAM, which holds state, buffers and the stack, in KiB.
        word_bits: Width of its registers: 8, 16, 32 or 64.
        roundings: The roundings that it can do at run time. Constants may have any: they are rounded before.

    Raises:
        TypeError: If the name is not a string.
        ValueError: If the name is not a word, a memory is not a finite number of more than 0 KiB, ``word_bits`` is
            another number, or ``roundings`` is empty or names an unknown one.
    """

    name: str
    flash_kib: float
    ram_kib: float
    word_bits: int = 32
    roundings: tuple[Rounding, ...] = tuple(Rounding)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"name must be a string, got {self.name!r}.")
        if self.name.split() != [self.name]:
            raise ValueError(f"name must be a word without spaces, got {self.name!r}.")
        for memory in ("flash_kib", "ram_kib"):
            value = getattr(self, memory)
            if not _is_number(value) or not (math.isfinite(value) and value > 0):
                raise ValueError(f"{memory} of {self.name!r} must be finite and more than 0 KiB, got {value!r}.")
            object.__setattr__(self, memory, float(value))
        if self.word_bits not in _WORDS:
            raise ValueError(f"word_bits of {self.name!r} must be one of {[*_WORDS]}, got {self.word_bits!r}.")
        if isinstance(self.roundings, str) or not self.roundings:
            raise ValueError(f"roundings of {self.name!r} must be at least one in a sequence, got {self.roundings!r}.")
        object.__setattr__(self, "roundings", tuple(dict.fromkeys(map(Rounding, self.roundings))))

    def __str__(self) -> str:
        return f"{self.name} ({self.flash_kib:g} KiB of flash, {self.ram_kib:g} KiB of RAM)"

    def fit(self, flash_kib: float, ram_kib: float, roundings: Iterable[Rounding] = ()) -> Fit:
        """How a network fits.

        Args:
            flash_kib: Flash that its constants need, in KiB.
            ram_kib: RAM that its state needs, in KiB.
            roundings: Those that it does at run time.
        """
        used = frozenset(map(Rounding, roundings))
        return Fit(self, flash_kib, ram_kib, tuple(each for each in Rounding if each in used - {*self.roundings}))


@dataclass(frozen=True)
class Fit:
    """How a network fits a target; the code and the buffers of its program come on top.

    Example:
        >>> fit = target_named("microbit-v1").fit(flash_kib=33.0, ram_kib=0.8)
        >>> fit.fits
        True

    Args:
        target: The device.
        flash_kib: Flash that the constants of the network need, in KiB.
        ram_kib: RAM that its state needs, in KiB.
        impossible: Roundings of the network that the device cannot do.
    """

    target: Target
    flash_kib: float
    ram_kib: float
    impossible: tuple[Rounding, ...] = ()

    @property
    def flash_left_kib(self) -> float:
        """Flash that is left for the program, in KiB; negative if too much is needed."""
        return self.target.flash_kib - self.flash_kib

    @property
    def ram_left_kib(self) -> float:
        """RAM that is left for buffers and the stack, in KiB; negative if too much is needed."""
        return self.target.ram_kib - self.ram_kib

    @property
    def is_possible(self) -> bool:
        """Whether the device can do the arithmetic."""
        return not self.impossible

    @property
    def fits(self) -> bool:
        """Whether the device can do the arithmetic and has enough of both memories."""
        return self.is_possible and self.flash_left_kib >= 0 and self.ram_left_kib >= 0

    @property
    def load(self) -> float:
        """The larger of the shares of both memories that are needed: the network fits up to 1."""
        return max(self.flash_kib / self.target.flash_kib, self.ram_kib / self.target.ram_kib)

    def __str__(self) -> str:
        parts = [
            _needed("flash", self.flash_kib, self.target.flash_kib),
            _needed("RAM", self.ram_kib, self.target.ram_kib),
            *(f"cannot do {rounding.value} rounding" for rounding in self.impossible),
        ]
        verdict = "fits" if self.fits else "does not fit"
        return f"{verdict} {self.target.name}: {', '.join(parts)}; code and buffers come on top"


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _needed(memory: str, needed_kib: float, has_kib: float) -> str:
    left = has_kib - needed_kib
    state = f"{format_kib(left)} left" if left >= 0 else f"{format_kib(round_up_kib(-left))} too much"
    return f"{memory} {format_kib(needed_kib)} of {has_kib:g} KiB ({state})"


WITHOUT_DRAWS = (Rounding.TRUNCATION, Rounding.NEAREST)
"""Roundings for devices that take too long for the random numbers of stochastic rounding."""

TARGETS = (
    Target("ATmega328P", 32, 2, 8, WITHOUT_DRAWS),
    Target("microbit-v1", 256, 16),
    Target("STM32F405", 1024, 192),
    Target("nRF52840", 1024, 256),
    Target("RP2040", 2048, 264),
    Target("ESP32-S3", 8192, 512),
)
"""Known devices, by the figures of their data sheets (KB there are KiB).

- ATmega328P (Microchip; Arduino Uno and Nano): AVR, 8 bits, 32 KB of flash, 2 KB of SRAM. Its boot section, if
  used, takes 0.25 to 2 K words of the flash. It multiplies 8 x 8 bits: the 64-bit products of the generator of random
  numbers are software, for every draw, so that it does without stochastic rounding.
- microbit-v1 (micro:bit V1, its nRF51822-QFAA of Nordic): Cortex-M0, 256 KB of flash, 16 KB of RAM.
- STM32F405 (STMicroelectronics, STM32F405xG): Cortex-M4F, 1 MB of flash, 192 KB of SRAM. 64 KB of it are a
  core-coupled memory with addresses of its own, so that one array has at most 128 KB.
- nRF52840 (Nordic): Cortex-M4F, 1 MB of flash, 256 KB of RAM.
- RP2040 (Raspberry Pi): two Cortex-M0+, 264 KB of SRAM, no flash of its own. Counted are the 2 MB of external flash of
  a Pico board; the chip takes up to 16 MB.
- ESP32-S3 (Espressif): two Xtensa LX7, 32 bits, 512 KB of SRAM, of which its radio and caches take a part. Counted are
  8 MB of external flash, as modules such as ESP32-S3-WROOM-1-N8 have.
"""


def target_named(name: str) -> Target:
    """The known device of a name, whatever its capitals.

    Example:
        >>> print(target_named("rp2040"))
        RP2040 (2048 KiB of flash, 264 KiB of RAM)

    Raises:
        ValueError: If there is none.
    """
    for target in TARGETS:
        if target.name.lower() == str(name).lower():
            return target
    known = ", ".join(target.name for target in TARGETS)
    raise ValueError(f"target must be one of {known}, or a Target(name, flash_kib, ram_kib) of your own, got {name!r}.")
