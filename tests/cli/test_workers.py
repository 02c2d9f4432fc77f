"""``--workers`` and ``--dask``: processes of a command, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from qspinn_optuna.cli import main
from qspinn_optuna.cli.engine import whole_path
from tests.cli.fake_file import TEXT, asked, write_file

SLOW = TEXT.replace('note("evaluate")', 'note("evaluate")\n        __import__("time").sleep(60)')
FAILING = TEXT.replace('note("evaluate")', 'raise LookupError("no such network")')
UNPICKLABLE = TEXT.replace("self.best = best", 'self.best = best\n        self.lock = __import__("threading").Lock()')


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def trials() -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name="formula", storage="sqlite:///qspinn.db").trials


def test_workers_run_what_one_would_and_ask_for_the_baseline_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_file(tmp_path)
    assert main(["run", "formula.py", "--trials", "6", "--workers", "2", "--sampler", "random"]) == 0
    printed = capsys.readouterr()
    assert "6 of 6 trials (6 complete)" in printed.out
    assert "Chosen: smallest model" in printed.out
    assert printed.err == ""
    assert asked(tmp_path).count("baseline") == 1
    # Workers that drew the same would have 3. By chance, two of 6 random ones among 294 may be the same.
    assert len({tuple(trial.params.values()) for trial in trials()}) >= 5


def test_what_cannot_be_pickled_is_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_file(tmp_path, UNPICKLABLE)
    assert main(["run", "formula.py", "--trials", "4", "--workers", "2", "--best", "0.9"]) == 0
    assert "makes the workload again" in capsys.readouterr().out
    assert asked(tmp_path).count("baseline") == 1
    assert [trial.state for trial in trials()] == [TrialState.COMPLETE] * 4


def test_an_error_of_a_worker_is_one_line_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_file(tmp_path, FAILING)
    assert main(["run", "formula.py", "--trials", "4", "--workers", "2"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    number = 1 + FAILING.splitlines().index('        raise LookupError("no such network")')
    assert line == f"qspinn: error: formula.py, line {number}: LookupError: no such network"


def wait_for_two_evaluations(folder: Path) -> None:
    note = folder / "asked.txt"
    while not note.exists() or note.read_text().count("evaluate") < 2:
        time.sleep(0.05)


def test_ctrl_c_of_a_terminal_ends_all_in_one_line(tmp_path: Path) -> None:
    write_file(tmp_path, SLOW)
    command = [sys.executable, "-m", "qspinn_optuna", "run", "formula.py", "--workers", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        wait_for_two_evaluations(tmp_path)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    (line,) = err.splitlines()
    assert line.startswith("qspinn: stopped: ")
    assert sorted(trial.state for trial in trials()) == sorted([TrialState.FAIL] * 2 + [TrialState.WAITING] * 2)


def test_sigterm_ends_all_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def terminate() -> None:
        wait_for_two_evaluations(tmp_path)
        os.kill(os.getpid(), signal.SIGTERM)

    write_file(tmp_path, SLOW)
    thread = threading.Thread(target=terminate, daemon=True)
    thread.start()
    assert main(["run", "formula.py", "--workers", "2"]) == 143
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("qspinn: stopped: ")
    assert sorted(trial.state for trial in trials()) == sorted([TrialState.FAIL] * 2 + [TrialState.WAITING] * 2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--workers", "2", "--storage", "sqlite://"], "--storage must be one that workers share"),
        (["--workers", "2", "--dask", "localhost:1"], "--workers must not be given with --dask"),
        (["--dask", "tcp://127.0.0.1:1"], "scheduler must be the address of a Dask scheduler"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_trained(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    write_file(tmp_path)
    assert main(["run", "formula.py", *options]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert words in line
    assert asked(tmp_path) == []


def test_without_dask_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_file(tmp_path)
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main(["run", "formula.py", "--dask", "localhost:8786"]) == 2
    assert "pip install distributed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///a.db", "sqlite:///{}/a.db"),
        ("journal:///logs/a.log", "journal:///{}/logs/a.log"),
        ("sqlite:////data/a.db", "sqlite:////data/a.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("postgresql://me:secret@host/a", "postgresql://me:secret@host/a"),
    ],
)
def test_workers_elsewhere_get_whole_paths(
    url: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert whole_path(url) == expected.format(tmp_path)
