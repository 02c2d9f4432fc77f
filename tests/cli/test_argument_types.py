"""Types of arguments: what they take, and what they refuse."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from qspinn_optuna.cli.argument_types import confidence, count, fraction, output_file, positive, seed, weight
from qspinn_optuna.cli.json_files import write_json
from qspinn_optuna.tables import format_table


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (positive, "1", 1),
        (count, "0", 0),
        (seed, "0", 0),
        (seed, "4000000000", 4_000_000_000),
        (fraction, "0", 0.0),
        (fraction, "1", 1.0),
        (confidence, "0.95", 0.95),
        (weight, "0", 0.0),
        (weight, "12.5", 12.5),
    ],
)
def test_a_text_becomes_a_number(kind: Callable[[str], float], text: str, value: float) -> None:
    assert kind(text) == value
    assert type(kind(text)) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (positive, "0"),
        (count, "-1"),
        (seed, "-1"),
        (seed, str(2**32)),
        (fraction, "1.01"),
        (fraction, "nan"),
        (confidence, "0"),
        (confidence, "1"),
        (weight, "-1"),
        (weight, "inf"),
        (weight, "nan"),
    ],
)
def test_a_number_out_of_range_is_refused_with_what_was_given(kind: Callable[[str], float], text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=text):
        kind(text)


@pytest.mark.parametrize("kind", [positive, count, seed, fraction, confidence, weight])
def test_what_is_no_number_is_refused(kind: Callable[[str], float]) -> None:
    with pytest.raises(ValueError, match="many"):
        kind("many")


def test_an_output_file_must_be_a_file_in_a_folder_that_exists(tmp_path: Path) -> None:
    assert output_file(str(tmp_path / "report.json")) == tmp_path / "report.json"
    for path in (tmp_path, tmp_path / "missing" / "report.json"):
        with pytest.raises(argparse.ArgumentTypeError, match=str(path)):
            output_file(str(path))


def test_a_table_has_columns_as_wide_as_their_widest_cell_and_numbers_to_the_right() -> None:
    assert format_table(["name", "KiB"], [["a", "1.50"], ["longer", "12.00"], ["b", "none"]]).splitlines() == [
        "name    KiB",
        "------  -----",
        "a        1.50",
        "longer  12.00",
        "b       none",
    ]


def test_a_report_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_json(path, {"front": [1, 2]})
    assert json.loads(path.read_text()) == {"front": [1, 2]}
    with pytest.raises(TypeError):
        write_json(path, {"front": object()})
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]
    assert json.loads(path.read_text()) == {"front": [1, 2]}
