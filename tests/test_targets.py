"""Devices, and whether networks fit them."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qspinn_optuna import TARGETS, Rounding, Target, target_named

MINE = Target("mine", 32, 2, roundings=(Rounding.TRUNCATION, Rounding.NEAREST))


@pytest.mark.parametrize(
    ("name", "flash_kib", "ram_kib", "word_bits"),
    [
        ("ATmega328P", 32, 2, 8),
        ("microbit-v1", 256, 16, 32),
        ("STM32F405", 1024, 192, 32),
        ("nRF52840", 1024, 256, 32),
        ("RP2040", 2048, 264, 32),
        ("ESP32-S3", 8192, 512, 32),
    ],
)
def test_known_devices_have_the_memories_of_their_data_sheets(
    name: str, flash_kib: float, ram_kib: float, word_bits: int
) -> None:
    target = target_named(name.upper())
    assert (target.name, target.flash_kib, target.ram_kib, target.word_bits) == (name, flash_kib, ram_kib, word_bits)
    assert (Rounding.STOCHASTIC in target.roundings) == (name != "ATmega328P")


def test_an_unknown_device_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"^target\b.*Target\(.*got 'Z80'") as error:
        target_named("Z80")
    assert all(target.name in str(error.value) for target in TARGETS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"flash_kib": 0}, r"^flash_kib of 'mine'.*more than 0 KiB, got 0\."),
        ({"ram_kib": -1.5}, r"^ram_kib of 'mine'.*got -1\.5"),
        ({"ram_kib": float("nan")}, r"^ram_kib\b.*got nan"),
        ({"flash_kib": float("inf")}, r"^flash_kib\b.*got inf"),
        ({"flash_kib": "32"}, r"^flash_kib\b.*got '32'"),
        ({"ram_kib": True}, r"^ram_kib\b.*got True"),
        ({"word_bits": 12}, r"^word_bits of 'mine'.*\[8, 16, 32, 64\], got 12"),
        ({"name": "my board"}, r"^name\b.*got 'my board'"),
        ({"name": ""}, r"^name\b.*got ''"),
        ({"roundings": ()}, r"^roundings of 'mine'.*got \(\)"),
        ({"roundings": "nearest"}, r"^roundings of 'mine'.*got 'nearest'"),
        ({"roundings": ("up",)}, r"rounding must be one of.*got 'up'"),
    ],
)
def test_an_impossible_device_is_refused_by_argument(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(MINE, **changes)


def test_a_name_is_a_string() -> None:
    with pytest.raises(TypeError, match=r"^name must be a string, got 3"):
        Target(3, 1, 1)  # type: ignore[arg-type]


def test_roundings_may_be_given_by_their_values() -> None:
    assert Target("mine", 32, 2, roundings=["nearest", "nearest"]).roundings == (Rounding.NEAREST,)  # type: ignore[arg-type]


memories = st.integers(1, 4096)


@given(memories, memories, memories, memories, st.sets(st.sampled_from(Rounding)), st.sets(st.sampled_from(Rounding)))
def test_a_network_fits_if_both_memories_are_enough_and_the_device_can_round(
    flash: int, ram: int, has_flash: int, has_ram: int, used: set[Rounding], able: set[Rounding]
) -> None:
    target = Target("mine", has_flash / 8, has_ram / 8, roundings=tuple(able) or tuple(Rounding))
    fit = target.fit(flash / 8, ram / 8, used)
    assert fit.fits == (flash <= has_flash and ram <= has_ram and used <= (able or {*Rounding}))
    assert (fit.flash_left_kib, fit.ram_left_kib) == ((has_flash - flash) / 8, (has_ram - ram) / 8)
    assert set(fit.impossible) == used - (able or {*Rounding})
    assert fit.load == pytest.approx(float(max(Fraction(flash, has_flash), Fraction(ram, has_ram))))
    assert str(fit).startswith("fits mine: " if fit.fits else "does not fit mine: ")


def test_a_network_may_fill_the_device() -> None:
    assert MINE.fit(32.0, 2.0).fits
    assert not MINE.fit(32.0, 2.0 + 1 / 8192).fits


def test_the_fit_tells_by_how_much_of_each_memory() -> None:
    assert str(MINE.fit(30.125, 2.75, [Rounding.STOCHASTIC])) == (
        "does not fit mine: flash 30.12 of 32 KiB (1.88 left), RAM 2.75 of 2 KiB (0.75 too much), "
        "cannot do stochastic rounding; code and buffers come on top"
    )
    # One bit too much is not "0.00 too much".
    assert "(0.00013 too much)" in str(MINE.fit(1.0, 2.0 + 1 / 8192))
