"""Mid-rise codes in integer models: what holds them, and where a 0 is needed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qspinn_optuna.fixed_point import GridKind, ParameterQuantization, QFormat, Rounding
from qspinn_optuna.integer import Codes, ValueCoding
from qspinn_optuna.integer.alignment import factors_of
from qspinn_optuna.integer.operations import Affine, Delay, IntegrateAndFire, Requantization

FMT = QFormat(0, 8, grid=GridKind.MID_RISE)
QUANTIZATION = ParameterQuantization(FMT, Rounding.NEAREST)


def test_eight_bits_are_stored_of_nine() -> None:
    codes = Codes(np.array([-255, -1, 1, 255]), FMT)
    assert codes.bits == 4 * 8
    assert codes.array.dtype == np.int16


@pytest.mark.parametrize("code", [0, 2, -254])
def test_even_codes_are_refused(code: int) -> None:
    with pytest.raises(ValueError, match="array must hold odd codes"):
        Codes(np.array([1, code]), FMT)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ValueCoding((3,), QUANTIZATION, 2, False, False, 0),
        lambda: Requantization("a", ("input",), QUANTIZATION, None, 0),
        lambda: Delay("a", ("input",), (3,), FMT),
        lambda: IntegrateAndFire("a", ("input",), QUANTIZATION, None, None, False, None, 1, 0, "v"),
    ],
)
def test_what_is_zero_at_times_is_refused(make: Any) -> None:
    with pytest.raises(ValueError, match="must have a mid-tread format"):
        make()


def test_shifts_are_factors_in_units_of_the_smallest() -> None:
    affine = Affine("a", ("input",), "s", None, 0, 4, shifts=True)
    factors = factors_of(affine, Codes(np.array([[-3, 1, -1]]), QFormat(3, 0)))
    assert (factors.array.tolist(), factors.fraction_bits) == ([[1, 16, 4]], 3)
    with pytest.raises(ValueError, match="whole exponents"):
        factors_of(affine, Codes(np.array([[1]]), QFormat(3, 1)))
    with pytest.raises(ValueError, match="from end to end"):
        factors_of(affine, Codes(np.array([[-60, 60]]), QFormat(7, 0)))
