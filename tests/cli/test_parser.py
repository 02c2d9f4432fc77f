"""The command line before anything runs."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

import qspinn_optuna
from qspinn_optuna.cli import main
from qspinn_optuna.cli.argument_types import widths
from qspinn_optuna.cli.arguments import ROUNDINGS, SAMPLERS, SCHEMES, TARGETS
from qspinn_optuna.cli.parser import make_run_parser, parse_run, split_run
from qspinn_optuna.config import Scheme
from qspinn_optuna.fixed_point import Rounding
from qspinn_optuna.sampler import by_name
from qspinn_optuna.targets import TARGETS as KNOWN_TARGETS


def test_what_can_be_chosen_is_what_there_is() -> None:
    """The parser names it again, since it imports nothing."""
    assert set(SCHEMES) == {scheme.value for scheme in Scheme}
    assert set(ROUNDINGS) == {rounding.value for rounding in Rounding}
    assert set(SAMPLERS) == set(by_name.SAMPLERS)
    assert tuple(target.name for target in KNOWN_TARGETS) == TARGETS


@pytest.mark.parametrize(
    "command", [["--help"], ["run", "--help"], ["evaluate", "--help"], ["export", "--help"], ["--version"]]
)
def test_help_takes_under_a_second(command: list[str]) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-m", "qspinn_optuna", *command], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stdout.startswith(("usage: qspinn", f"qspinn {qspinn_optuna.__version__}"))
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "required: COMMAND"),
        (["walk"], "invalid choice: 'walk'"),
        (["run"], "required: FILE.py"),
        (["show", "--trials", "3"], "unrecognized arguments: --trials"),
        (["evaluate"], "required: --trial"),
        (["export"], "required: --out"),
        (["export", "--out", "net", "--samples", "0"], "argument --samples: must be at least 1, got 0"),
        (["run", "my.py", "--mu", "-1"], "argument --mu: must be a finite number of at least 0, got -1"),
        (["run", "my.py", "--bits", "a-b"], "argument --bits: must be a width or a range"),
        (["run", "my.py", "--schemes", "later"], "argument --schemes: invalid choice: 'later'"),
        (["choose", "--mu", "1", "--knee"], "not allowed with argument"),
    ],
)
def test_a_command_line_that_cannot_be_parsed(
    given: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(given)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--pruning-gain", "0.1"], "--pruning-gain needs --pruning-confidence"),
        (["--bits", "2-8", "weight=3"], "--bits must be one range for all"),
        (["--within", "2"], "argument --within"),
        (["--unknown"], "unrecognized arguments: --unknown"),
    ],
)
def test_options_that_do_not_fit_together(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse_run(make_run_parser("my.py", ""), options)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_the_file_is_found_among_options_that_are_not_known_yet() -> None:
    assert split_run(["run", "my.py", "--size", "3", "--mu", "1"]) == ("my.py", ["--size", "3", "--mu", "1"])
    assert split_run(["run", "--mu", "1", "my.py"]) == ("my.py", ["--mu", "1"])
    assert split_run(["run", "--help"]) is None
    assert split_run(["show"]) is None


@pytest.mark.parametrize(
    ("text", "expected"), [("4", ("", (4, 4))), ("2-8", ("", (2, 8))), ("lif1.v=6-16", ("lif1.v", (6, 16)))]
)
def test_widths_with_and_without_a_name(text: str, expected: tuple[str, tuple[int, int]]) -> None:
    assert widths(text) == expected
