"""Figures that compare the candidates of a front."""

from __future__ import annotations

import dataclasses

import optuna
import pytest

from qspinn_optuna import ParetoFront, TradeOffSelector
from qspinn_optuna.visualization import plot_bit_allocation, plot_footprint
from tests.visualization.traces import named


def test_cells_hold_the_widths(front: ParetoFront) -> None:
    choice = TradeOffSelector(0.1).select(front)
    figure = plot_bit_allocation(front, choice)
    (cells,) = figure.data
    assert list(cells.y) == ["weight", "membrane"]
    for row, name in enumerate(cells.y):
        assert list(cells.z[row]) == [member.config.bits[name] for member in front]
    assert cells.texttemplate == "%{z}"
    for column, member in enumerate(front):
        label = cells.x[column]
        assert f"{member.compression:.1f}x" in label
        assert f"trial {member.trial_number}" in label
        assert ("★" in label) == (member.trial_number == choice.trial_number)
        assert all(f"{name}: {member.config[name].format}" in cells.text[0][column] for name in cells.y)


def test_labels_differ_between_equal_candidates(front: ParetoFront) -> None:
    twin = dataclasses.replace(front.candidates[0], trial_number=99)
    (cells,) = plot_bit_allocation(dataclasses.replace(front, candidates=(front.candidates[0], twin))).data
    assert len(set(cells.x)) == 2


@pytest.mark.parametrize("by", ["parameter", "family"])
def test_bars_add_up_to_the_memory(study: optuna.Study, front: ParetoFront, by: str) -> None:
    figure = plot_footprint(study, front, by=by)  # type: ignore[arg-type]
    assert figure.layout.barmode == "stack"
    totals = [sum(bar.y[column] for bar in figure.data) for column in range(len(front))]
    assert totals == pytest.approx([member.memory_kib for member in front])
    for column, member in enumerate(front):
        bits = 1_000 * member.config.bits["weight"]
        assert f"{bits:,} bits, {bits / 8192 / member.memory_kib:.1%}" in named(figure, "weight").text[column]
    assert f"{front.baseline_kib:,.4g} KiB" in figure.layout.title.text


def test_bars_tell_flash_and_ram_of_their_model(study: optuna.Study, front: ParetoFront) -> None:
    for bar in plot_footprint(study, front).data:
        for label, candidate in zip(bar.text, front, strict=True):
            assert candidate.flash_and_ram
            assert candidate.flash_and_ram in label


def test_what_takes_most_lies_at_the_bottom(study: optuna.Study, front: ParetoFront) -> None:
    assert [bar.name for bar in plot_footprint(study, front).data] == ["weight", "membrane"]


def test_a_front_of_another_study_is_refused(study: optuna.Study, front: ParetoFront) -> None:
    stranger = dataclasses.replace(front.candidates[0], trial_number=10_000)
    with pytest.raises(ValueError, match=r"^front\b.*\[10000\]"):
        plot_footprint(study, dataclasses.replace(front, candidates=(stranger,)))


def test_bars_are_made_of_parameters_or_families(study: optuna.Study, front: ParetoFront) -> None:
    with pytest.raises(ValueError, match=r"^by\b.*got"):
        plot_footprint(study, front, by="layer")  # type: ignore[arg-type]
