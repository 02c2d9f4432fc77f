"""What is printed where the terminal is narrow: all of it, in lines that fit."""

from __future__ import annotations

import re

import pytest

from qspinn_optuna import ParetoFront, QuantizationSpace, Rounding, Scheme
from qspinn_optuna.cli.columns import WidthColumns
from qspinn_optuna.cli.report import Report
from qspinn_optuna.front import Candidate
from qspinn_optuna.selection import Choice
from qspinn_optuna.study import description_of
from tests.cli.test_columns import layers

SPACE = QuantizationSpace(layers(3), ties="family")
CONFIGS = [SPACE.uniform(bits, Scheme.PTQ, Rounding.STOCHASTIC) for bits in (4, 5)]
FRONT = ParetoFront(
    (
        Candidate(31, CONFIGS[0], 33.36, 36.87, 0.878, 1_000, 32.57, 0.79),
        Candidate(28, CONFIGS[1], 64.7, 19.01, 0.895, 1_000, 63.92, 0.78),
    ),
    1_229.7,
)


def report() -> Report:
    columns = WidthColumns.of(CONFIGS, description_of(SPACE))
    choice = Choice(FRONT.candidates[0], 36.87, "smallest model with an accuracy of at least 86.90%")
    return Report(FRONT, choice, {}, 30, None, {}, {}, None, columns)


@pytest.mark.parametrize("columns", [79, 60, 52])
def test_a_report_keeps_within_the_terminal_and_loses_nothing(columns: int) -> None:
    wide, narrow = str(report()), report().text(columns)
    assert max(map(len, wide.splitlines())) > 100
    assert max(map(len, narrow.splitlines())) <= columns
    assert set(re.findall(r"[\w.%]+", wide)) <= set(re.findall(r"[\w.%]+", narrow))
    # What a row held stands below it: the widths of trial 31 before the row of trial 28.
    first, second = narrow.partition("  28  ")[::2]
    assert "0.fc.weight 4, 0.lif.v 4, decay 4" in re.sub(r"\s+", " ", first)
    assert "0.fc.weight 5, 0.lif.v 5, decay 5" in re.sub(r"\s+", " ", second)
    # A parameter and its format are on one line.
    assert all(f"{name} {one.format}" in narrow for name, one in CONFIGS[0].parameters.items())


def test_a_report_is_as_wide_as_it_gets_where_there_is_room_or_no_terminal() -> None:
    assert report().text(200) == report().text(None) == str(report())
    assert str(report()).splitlines()[1].split()[3:5] == ["0.fc.weight", "0.lif.v"]
