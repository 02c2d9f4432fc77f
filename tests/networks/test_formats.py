"""Formats that a specification prescribes instead of those that cover its range."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qspinn_optuna.fixed_point import QFormat
from qspinn_optuna.parameters import Family, ParameterSpec

NARROW, WIDE = QFormat(-2, 4), QFormat(1, 6)


def spec(formats: Any) -> ParameterSpec:
    return ParameterSpec("fc.weight", Family.WEIGHT, 10, -3.0, 2.5, formats=formats)


@pytest.mark.parametrize("fmt", [NARROW, WIDE])
def test_a_width_has_its_own_format(fmt: QFormat) -> None:
    assert spec((NARROW, WIDE)).format(fmt.bits) is fmt


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(2, 24), max_size=6), st.integers(2, 24))
def test_other_widths_have_the_format_that_covers_the_range(widths: set[int], bits: int) -> None:
    own = {width: QFormat(0, width - 1) for width in widths}
    expected = own.get(bits, QFormat.covering(-3.0, 2.5, bits))
    assert spec(tuple(own.values())).format(bits) == expected


def test_formats_are_kept_as_a_tuple_and_make_specifications_hashable() -> None:
    from_list = spec([NARROW, WIDE])
    assert from_list.formats == (NARROW, WIDE)
    assert hash(from_list) == hash(spec((NARROW, WIDE)))
    assert from_list != spec((WIDE,))
    assert spec(()).formats == ()


@pytest.mark.parametrize("formats", [("Q1.6",), (NARROW, None), (NARROW, 5)])
def test_what_is_no_format_is_refused(formats: Any) -> None:
    with pytest.raises(TypeError, match=r"formats of 'fc\.weight' must be QFormats"):
        spec(formats)


@pytest.mark.parametrize("second", [QFormat(2, 0), NARROW, QFormat(-1, 4, signed=False)])
def test_two_formats_of_a_width_are_refused(second: QFormat) -> None:
    with pytest.raises(ValueError, match=r"formats of 'fc\.weight' must have different widths.*'Q-2\.4'"):
        spec((NARROW, second))


def test_a_width_that_no_format_covers_is_refused() -> None:
    """One signed bit has no positive code; a format of one's own would do."""
    with pytest.raises(ValueError, match=r"Parameter 'fc\.weight': No signed format of 1 bit"):
        spec(()).format(1)
    assert spec((QFormat(1, -1),)).format(1) == QFormat(1, -1)
