"""Parameters and footprints, against a count of every bit of every element."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qspinn_optuna.fixed_point import QFormat
from qspinn_optuna.parameters import (
    Deployment,
    Family,
    Footprint,
    Memory,
    ParameterSpec,
    format_kib,
    round_up_kib,
)


def spec(**changes: Any) -> ParameterSpec:
    arguments: dict[str, Any] = {"name": "fc.weight", "family": Family.WEIGHT, "count": 10, "low": -1.0, "high": 1.0}
    return ParameterSpec(**arguments | changes)


@dataclasses.dataclass(frozen=True)
class Network:
    """Random parameters, and widths for those without a fixed one."""

    parameters: tuple[ParameterSpec, ...]
    widths: dict[str, int]
    deployment: Deployment

    def elements(self) -> list[tuple[ParameterSpec, int]]:
        """Every element that the device stores, one by one, with its width."""
        learning = self.deployment is Deployment.LEARNING
        return [
            (parameter, self.widths[parameter.name] if parameter.fixed_bits is None else parameter.fixed_bits)
            for parameter in self.parameters
            for _ in range(parameter.count)
            if learning or not parameter.learning_only
        ]

    def footprint(self) -> Footprint:
        return Footprint.of(self.parameters, self.widths, self.deployment)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    count = draw(st.integers(1, 6))
    parameters = tuple(
        spec(
            name=f"p{index}",
            family=draw(st.sampled_from(Family)),
            count=draw(st.integers(1, 40)),
            learning_only=index > 0 and draw(st.booleans()),
            fixed_bits=draw(st.none() | st.integers(1, 32)),
            baseline_count=draw(st.none() | st.integers(0, 40)),
            memory=draw(st.none() | st.sampled_from(Memory)),
        )
        for index in range(count)
    )
    widths = {parameter.name: draw(st.integers(1, 24)) for parameter in parameters if parameter.fixed_bits is None}
    return Network(parameters, widths, draw(st.sampled_from(Deployment)))


# ParameterSpec ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", " ", "fc weight", " fc", "fc\n"])
def test_a_name_that_is_not_a_word_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^name\b.*{re.escape(repr(name))}"):
        spec(name=name)


@pytest.mark.parametrize(
    ("argument", "value"),
    [("count", 0), ("count", -3), ("fixed_bits", 0), ("fixed_bits", -1), ("fixed_bits", 33), ("baseline_count", -1)],
)
def test_a_number_out_of_bounds_is_refused_by_name(argument: str, value: int) -> None:
    with pytest.raises(ValueError, match=rf"^{argument} of 'fc\.weight'.*got {value}\."):
        spec(**{argument: value})


@pytest.mark.parametrize("argument", ["count", "fixed_bits", "baseline_count"])
@pytest.mark.parametrize("value", [2.5, math.nan])
def test_numbers_of_elements_and_bits_are_whole(argument: str, value: float) -> None:
    with pytest.raises((TypeError, ValueError), match=f"{argument}.*{value}"):
        spec(**{argument: value})


@pytest.mark.parametrize(
    ("low", "high", "reason"),
    [
        (0.0, 0.0, r"range is \(0, 0\)"),
        (-0.0, 0.0, r"range is \(0, 0\)"),
        (1.0, -1.0, r"low must not be over high, got \(1\.0, -1\.0\)"),
        (math.nan, 1.0, r"low and high must be finite, got \(nan, 1\.0\)"),
        (0.0, math.nan, r"low and high must be finite, got \(0\.0, nan\)"),
        (-math.inf, 1.0, r"low and high must be finite, got \(-inf, 1\.0\)"),
        (0.0, math.inf, r"low and high must be finite, got \(0\.0, inf\)"),
    ],
)
def test_a_range_that_no_parameter_has_is_refused_by_name(low: float, high: float, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"'fc\.weight'.*{reason}"):
        spec(low=low, high=high)


@pytest.mark.parametrize("value", [1, 32])
def test_the_ends_of_the_fixed_widths_are_allowed(value: int) -> None:
    assert spec(fixed_bits=value).fixed_bits == value


def test_a_family_may_be_given_by_its_value() -> None:
    assert spec(family="membrane").family is Family.MEMBRANE
    assert spec(family="membrane") == spec(family=Family.MEMBRANE)


def test_an_unknown_family_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"\bfamily\b.*'weights'"):
        spec(family="weights")


def test_a_parameter_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec().count = 3  # type: ignore[misc]


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.integers(2, 24))
@settings(deadline=None)
def test_the_format_of_a_parameter_holds_its_range(first: float, second: float, bits: int) -> None:
    low, high = sorted((round(first, 3), round(second, 3)))
    if (low, high) == (0.0, 0.0):
        high = 1.0
    found = spec(low=low, high=high).format(bits)
    assert found == QFormat.covering(low, high, bits)
    assert found.bits == bits
    assert found.signed == (low < 0)
    assert found.min <= low <= high <= found.max


def test_a_signed_range_in_one_bit_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"'fc\.weight'.*1 bit"):
        spec(low=-1.0, high=1.0).format(1)


@pytest.mark.parametrize("bits", [0, 25])
def test_a_format_of_no_possible_width_is_refused_by_name(bits: int) -> None:
    with pytest.raises(ValueError, match=rf"'fc\.weight'.*got {bits}"):
        spec().format(bits)


# Footprint ----------------------------------------------------------------------------------------------------------


@given(networks())
@settings(deadline=None, max_examples=40)
def test_bits_and_kib_count_every_stored_element(network: Network) -> None:
    footprint = network.footprint()
    expected = sum(width for _, width in network.elements())
    assert footprint.bits == expected
    assert footprint.kib == expected / 8192


@given(networks())
@settings(deadline=None, max_examples=40)
def test_breakdowns_count_every_stored_element_once(network: Network) -> None:
    by_parameter: dict[str, int] = {}
    by_family: dict[Family, int] = {}
    for parameter, width in network.elements():
        by_parameter[parameter.name] = by_parameter.get(parameter.name, 0) + width
        by_family[parameter.family] = by_family.get(parameter.family, 0) + width
    assert network.footprint().by_parameter == by_parameter
    assert network.footprint().by_family == by_family


CHANGING = {
    Deployment.INFERENCE: {"membrane", "trace", "input"},
    Deployment.LEARNING: {"membrane", "trace", "input", "weight", "bias", "scale", "threshold", "readout"},
}
"""Families that a device changes while it runs."""


@given(networks())
@settings(deadline=None, max_examples=60)
def test_every_stored_element_is_in_flash_or_in_ram(network: Network) -> None:
    bits = {"flash": 0, "ram": 0}
    for parameter, width in network.elements():
        by_family = "ram" if parameter.family.value in CHANGING[network.deployment] else "flash"
        bits[by_family if parameter.memory is None else parameter.memory.value] += width
    footprint = network.footprint()
    assert (footprint.flash_bits, footprint.ram_bits) == (bits["flash"], bits["ram"])
    assert (footprint.flash_kib, footprint.ram_kib) == (bits["flash"] / 8192, bits["ram"] / 8192)
    for entry in footprint.entries:
        assert {entry.flash_bits, entry.ram_bits} == {0, entry.bits}
        assert footprint.memories[entry.name] == ("flash" if entry.flash_bits else "ram")


def test_an_unknown_memory_is_refused() -> None:
    with pytest.raises(ValueError, match=r"memory must be one of \['flash', 'ram'\], got 'rom'"):
        spec(memory="rom")
    assert spec(memory="flash").memory is Memory.FLASH


@given(st.integers(1, 2**40))
def test_a_memory_rounded_up_is_enough_and_not_much_more(bits: int) -> None:
    kib = bits / 8192
    enough = round_up_kib(kib)
    assert float(format_kib(enough)) == enough
    assert kib <= enough
    assert enough - kib < (0.01 if kib >= 0.1 else 0.1 * kib)


@pytest.mark.parametrize(
    ("kib", "text"), [(0.0, "0.00"), (30.125, "30.12"), (0.1, "0.10"), (0.0048828125, "0.0049"), (-0.5, "-0.50")]
)
def test_a_small_memory_is_not_written_as_none(kib: float, text: str) -> None:
    assert format_kib(kib) == text


@given(networks())
@settings(deadline=None, max_examples=40)
def test_compression_divides_the_32_bit_original_by_this(network: Network) -> None:
    stored = {parameter for parameter, _ in network.elements()}
    originals = sum(
        parameter.count if parameter.baseline_count is None else parameter.baseline_count for parameter in stored
    )
    footprint = network.footprint()
    assert footprint.baseline_kib == originals * 4 / 1024
    assert footprint.compression == pytest.approx(32 * originals / sum(width for _, width in network.elements()))


@given(networks())
@settings(deadline=None, max_examples=40)
def test_learning_stores_what_inference_stores_and_the_learning_only(network: Network) -> None:
    inference, learning = (Footprint.of(network.parameters, network.widths, deployment) for deployment in Deployment)
    only = {parameter.name for parameter in network.parameters if parameter.learning_only}
    assert set(learning.by_parameter) - set(inference.by_parameter) == only
    assert inference.by_parameter.items() <= learning.by_parameter.items()


def test_inference_is_the_default_deployment() -> None:
    parameters = (spec(), spec(name="trace", family=Family.TRACE, learning_only=True))
    assert Footprint.of(parameters, {"fc.weight": 8}).by_parameter == {"fc.weight": 80}


def test_a_fixed_width_goes_before_a_given_one() -> None:
    assert Footprint.of([spec(fixed_bits=32)], {"fc.weight": 4}).bits == 320


def test_uniform_2_bits_compress_sixteen_times() -> None:
    assert Footprint.of([spec(), spec(name="v", family=Family.MEMBRANE)], {"fc.weight": 2, "v": 2}).compression == 16.0


def test_additions_of_quantization_are_not_part_of_the_original() -> None:
    footprint = Footprint.of([spec(), spec(name="scale", baseline_count=0)], {"fc.weight": 8, "scale": 8})
    assert footprint.bits == 160
    assert footprint.compression == 2.0


def test_a_missing_width_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^widths\b.*'v' is missing"):
        Footprint.of([spec(), spec(name="v")], {"fc.weight": 8})


def test_widths_of_what_is_not_stored_may_be_missing() -> None:
    assert Footprint.of([spec(), spec(name="trace", learning_only=True)], {"fc.weight": 8}).bits == 80


@pytest.mark.parametrize("width", [0, -1, 25, 32])
def test_a_width_outside_1_to_24_is_refused_by_name(width: int) -> None:
    with pytest.raises(ValueError, match=rf"width of 'fc\.weight'.*got {width}"):
        Footprint.of([spec()], {"fc.weight": width})
