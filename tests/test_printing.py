"""What objects print, and what notebooks show of them."""

from __future__ import annotations

from qspinn_optuna import ParameterSpec, ParetoFront, QFormat, QuantizationSpace
from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.front import Candidate
from qspinn_optuna.parameters import Family, Footprint, format_kib, kib_of
from tests.fake_workload import FakeWorkload, fake_space

PARAMS = {"scheme": "ptq", "rounding": "nearest", "bits.weight": 4, "bits.membrane": 3}


def config() -> QuantizationConfig:
    return fake_space().config(PARAMS)


def test_a_footprint_is_a_table_of_its_parameters() -> None:
    footprint = Footprint.of(FakeWorkload.parameters, {"weight": 4, "membrane": 3})
    lines = str(footprint).splitlines()
    assert lines[0].split() == ["parameter", "family", "elements", "bits", "KiB", "memory"]
    assert lines[2].split() == ["weight", "weight", "1,000", "4", format_kib(kib_of(4_000)), "flash"]
    assert lines[3].split() == ["membrane", "membrane", "10", "3", format_kib(kib_of(30)), "ram"]
    assert f"{footprint.compression:.2f}x smaller" in lines[-1]
    assert "2 parameters" in repr(footprint)
    assert len(footprint._repr_markdown_().splitlines()) == 6


def test_a_front_is_a_table_of_its_models() -> None:
    front = ParetoFront((Candidate(3, config(), 2.0, 16.0, 0.9), Candidate(5, config(), 4.0, 8.0, 0.95)), 32.0)
    assert [line.split() for line in str(front).splitlines()[2:]] == [
        ["3", "ptq", "2.00", "16.00x", "90.00%"],
        ["5", "ptq", "4.00", "8.00x", "95.00%"],
    ]
    assert repr(front) == "ParetoFront(2 models, from 16.00x to 8.00x smaller)"
    assert "| 5 | ptq |" in front._repr_markdown_()


def test_a_space_names_its_choices_and_some_of_its_widths() -> None:
    assert repr(fake_space()) == (
        "QuantizationSpace(294 configurations; ptq or itq; truncation or nearest or stochastic; "
        "bits weight: 2-8, membrane: 2-8)"
    )
    many = [ParameterSpec(f"conv{number}.weight", Family.WEIGHT, 10, -1.0, 1.0) for number in range(20)]
    assert repr(QuantizationSpace(many)).endswith("conv7.weight: 2-16, and 12 more)")


def test_a_configuration_and_a_parameter_are_a_line() -> None:
    assert str(config()) == "ptq: weight UQ0.4 nearest, membrane Q0.2 nearest"
    formats = tuple(QFormat(0, bits) for bits in range(1, 16))
    assert len(repr(ParameterSpec("weight", Family.WEIGHT, 10, -1.0, 1.0, formats=formats))) < 250
