"""Files that cannot be written, and what is printed all the same."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest

from qspinn_optuna import termination
from qspinn_optuna.cli import arguments, main, publish
from qspinn_optuna.cli.errors import CommandError, exit_code_of
from qspinn_optuna.cli.outputs import Outputs, write_whole
from tests.cli.fake_file import TEXT, write_file

FULL = Path("/dev/full")

SLOW = TEXT.replace(
    "yield correct // 2, 500",
    "yield correct // 2, 500\n        import time\n        note('waiting')\n        time.sleep(60)",
)
"""A network whose trials take a minute."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which a study ran, with a file ``taken`` where a folder would have to be."""
    monkeypatch.chdir(tmp_path)
    write_file(tmp_path)
    (tmp_path / "taken").write_text("")
    assert main(["run", "formula.py", "--trials", "4"]) == 0
    return tmp_path


@pytest.mark.parametrize("command", [["run", "formula.py", "--trials", "0"], ["show"], ["choose"]])
def test_the_front_is_printed_whatever_cannot_be_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    # As a folder that was there when the command began, and is not any more.
    monkeypatch.setattr(arguments, "output_file", Path)
    before = sorted(folder.iterdir())
    capsys.readouterr()
    assert main([*command, "--json", "taken/report.json", "--html", "taken/front.html"]) == 1
    printed = capsys.readouterr()
    assert "Pareto front of 4 trials" in printed.out
    assert "Chosen: " in printed.out
    assert "qspinn export" in printed.out
    assert "Figure: " not in printed.out
    json_line, html_line = printed.err.splitlines()
    assert json_line == "qspinn: error: --json taken/report.json: Not a directory"
    assert html_line == "qspinn: error: --html taken/front.html: Not a directory"
    assert {path for path in folder.iterdir() if path.suffix != ".txt"} == {p for p in before if p.suffix != ".txt"}


@pytest.mark.usefixtures("folder")
@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_a_full_disk_keeps_neither_the_front_nor_the_other_file(capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["show", "--json", str(FULL), "--html", "front.html"]) == 1
    printed = capsys.readouterr()
    assert "Pareto front of 4 trials" in printed.out
    assert printed.err == "qspinn: error: --json /dev/full: No space left on device\n"
    assert Path("front.html").stat().st_size > 0
    assert FULL.is_char_device()


def test_a_failing_publication_keeps_nothing_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("optuna_dashboard")

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(publish, "publish", fail)
    for command, text in ((["run", "formula.py", "--trials", "0"], "Pareto front"), (["publish"], "Study formula: ")):
        capsys.readouterr()
        assert main(command) == 1
        printed = capsys.readouterr()
        assert text in printed.out
        assert "All of it" not in printed.out
        (line,) = printed.err.splitlines()
        assert line.startswith("qspinn: error: publication to optuna-dashboard sqlite:///")
        assert line.endswith(": No space left on device")
    assert (folder / "formula.html").exists()


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    left = tmp_path / f"report.json.{platform.node()}.{ended.pid}.1.partial"
    running = tmp_path / f"report.json.{platform.node()}.{os.getppid()}.1.partial"
    other = tmp_path / f"other.json.{platform.node()}.{ended.pid}.1.partial"
    for path in (left, running, other):
        path.touch()
    write_whole(tmp_path / "report.json", lambda partial: partial.write_text("whole"))
    assert {path.name for path in tmp_path.iterdir()} == {"report.json", running.name, other.name}


def test_a_file_is_as_before_if_its_writing_fails(tmp_path: Path) -> None:
    path, link = tmp_path / "report.txt", tmp_path / "link.txt"
    path.write_text("before")
    link.symlink_to(path)

    def half(partial: Path) -> None:
        partial.write_text("half")
        raise RuntimeError("in the middle")

    outputs = Outputs()
    assert not outputs.write("--json", path, half)
    with pytest.raises(CommandError, match=r"--json .*report\.txt: RuntimeError: in the middle"):
        outputs.check()
    assert path.read_text() == "before"
    write_whole(link, lambda partial: partial.write_text("after"))
    assert link.is_symlink()
    assert path.read_text() == "after"
    assert sorted(tmp_path.iterdir()) == [link, path]


def wait_for(path: Path, text: str) -> None:
    """Until a file has a text."""
    end = time.monotonic() + 120
    while not (path.exists() and text in path.read_text()):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_is_terminated_queues_its_trial_again(
    tmp_path: Path, script: bool, number: signal.Signals, code: int
) -> None:
    ending = "\nif __name__ == '__main__':\n    from qspinn_optuna.cli import main_of_file\n"
    write_file(tmp_path, f"{SLOW}{ending}    raise SystemExit(main_of_file(__file__))\n")
    command = ["formula.py"] if script else ["-m", "qspinn_optuna", "run", "formula.py"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, *command, "--trials", "3"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_for(tmp_path / "asked.txt", "waiting")
        process.send_signal(number)
        if number is signal.SIGTERM:
            process.send_signal(number)
        _, told = process.communicate(timeout=120)
    assert process.returncode == code
    # The progress bar, which begins at the left margin again and again, is no line of its own.
    lines = [line for line in told.splitlines() if line.strip() and "it/s]" not in line and "s/it]" not in line]
    (line,) = lines
    assert line.endswith(": stopped: what is finished is kept, and the same command goes on")
    trials = optuna.load_study(study_name="formula", storage=f"sqlite:///{tmp_path / 'qspinn.db'}").trials
    assert [trial.state.name for trial in trials] == ["FAIL", "WAITING"]
    assert trials[1].system_attrs["fixed_params"] == trials[0].params


def test_another_sigterm_does_not_disturb_the_ending() -> None:
    before = signal.getsignal(signal.SIGTERM)
    ended = []

    def command() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        except termination.Terminated:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
            ended.append(True)
            raise

    assert exit_code_of(command, "qspinn", verbose=False) == 143
    assert ended == [True]
    assert signal.getsignal(signal.SIGTERM) is before
