"""Columns of widths, of few parameters and of deep networks."""

from __future__ import annotations

import pytest

from qspinn_optuna import Family, ParameterSpec, QuantizationConfig, QuantizationSpace, Rounding, Scheme
from qspinn_optuna.cli.columns import WidthColumns
from qspinn_optuna.study import description_of


def layers(number: int) -> list[ParameterSpec]:
    """Parameters of so many layers, the last one with larger weights and less room for bits."""
    return [
        spec
        for i in range(number)
        for spec in (
            ParameterSpec(f"{i}.fc.weight", Family.WEIGHT, 8, -1.0, 3.0 if i == number - 1 else 0.5),
            ParameterSpec(f"{i}.lif.v", Family.MEMBRANE, 4, -1.0, 0.5, max_bits=6 if i == number - 1 else 16),
            ParameterSpec(f"{i}.lif.decay", Family.DECAY, 1, 0.0, 0.5),
        )
    ]


def columns_of(space: QuantizationSpace, *configs: QuantizationConfig) -> WidthColumns:
    return WidthColumns.of(configs, description_of(space))


def test_a_small_network_has_a_column_for_each_parameter() -> None:
    space = QuantizationSpace(layers(2), ties="family")
    config = space.uniform(8, Scheme.PTQ, Rounding.NEAREST)
    columns = columns_of(space, config)
    assert [*columns.names] == ["0.fc.weight", "0.lif.v", "decay", "1.fc.weight", "1.lif.v"]
    assert columns.cells(config) == ["8", "6", "8", "8", "6"]
    assert columns.formats(config).startswith("0.fc.weight Q0.7, 0.lif.v Q0.5, 0.lif.decay UQ0.8, 1.fc.weight Q2.5")


def test_tied_parameters_of_a_deep_network_have_one_column() -> None:
    space = QuantizationSpace([*layers(40), ParameterSpec("input", Family.INPUT, 9, 0.0, 1.0)], ties="family")
    config = space.uniform(8, Scheme.PTQ, Rounding.NEAREST)
    columns = columns_of(space, config)
    assert [*columns.names] == ["weight", "membrane", "decay", "input"]
    assert columns.cells(config) == ["8", "6", "8", "8"]
    assert columns.formats(config) == "weight 39 x Q0.7 + 1 x Q2.5, membrane 40 x Q0.5, decay 40 x UQ0.8, input UQ1.7"


def test_single_parameters_of_a_very_deep_network_share_the_column_of_their_family() -> None:
    few, many = (QuantizationSpace(layers(number)) for number in (8, 40))
    assert len(columns_of(few, few.uniform(8, Scheme.PTQ, Rounding.NEAREST)).names) == 17
    config = many.config(many.params(many.uniform(8, Scheme.PTQ, Rounding.NEAREST)) | {"bits.3.fc.weight": 5})
    columns = columns_of(many, config)
    assert dict(zip(columns.names, columns.cells(config), strict=True)) == {
        "weight": "5-8",
        "membrane": "6-8",
        "decay": "8",
    }


@pytest.mark.parametrize("space", [None, {"parameters": {}}])
def test_without_a_description_every_parameter_has_a_column(space: dict[str, dict[str, str]] | None) -> None:
    config = QuantizationSpace(layers(40)).uniform(8, Scheme.PTQ, Rounding.NEAREST)
    columns = WidthColumns.of([config], space)
    assert (len(columns.names), columns.grouped) == (81, False)
