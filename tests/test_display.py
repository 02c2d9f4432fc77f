"""What is displayed of work that goes on."""

from __future__ import annotations

import io
import re
import sys
import threading
import time
from collections.abc import Callable

import pytest

from qspinn_optuna import display
from qspinn_optuna.display import Display, part


class Terminal(io.StringIO):
    """A stderr that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets time pass, of which the display looks at every thousandth second; returns when it has looked."""
    now = [0.0]
    monkeypatch.setattr(display, "_PULSE", 0.001)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def passing(more: float) -> None:
        now[0] += more
        time.sleep(0.05)

    return passing


def test_work_that_takes_long_is_heard_of_every_ten_seconds(seconds: Callable[[float], None]) -> None:
    lines: list[str] = []
    with Display("float network", write=lines.append):
        for _ in range(25):
            seconds(1)
    assert lines == ["float network: 10 s", "float network: 20 s"]


def test_after_an_hour_it_is_heard_of_less_often(seconds: Callable[[float], None]) -> None:
    lines: list[str] = []
    with Display("float network", write=lines.append) as shown:
        seconds(3600)
        shown.tell("another line")
        for _ in range(4):
            seconds(60)
    assert lines == ["float network: 3600 s", "another line", "float network: 3840 s"]


def test_what_runs_inside_tells_how_far_it_is_in_the_line_of_the_whole(seconds: Callable[[float], None]) -> None:
    lines: list[str] = []
    with Display("", 4, "trial", write=lines.append) as trials:
        with part("training", 5, "epoch") as training:
            seconds(4)
            training.advance("loss 0.3", count=2)
            seconds(8)
        trials.advance("1 complete")
        with part("training", 5, "epoch", hidden=True):
            seconds(20)
    assert lines == [
        "0 of 4 trials in 12 s (training 2 of 5 epochs, about 18 s to go)",
        "1 of 4 trials (1 complete) in 12 s, about 36 s to go",
        "1 of 4 trials (1 complete) in 32 s, about 96 s to go",
    ]


def test_a_terminal_has_one_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Display("", 4, "trial", stays=True) as trials:
        with part("training", 5, "epoch") as training:
            training.advance()
        trials.advance("1 pruned")
    with part("training", 5, "epoch") as alone:
        alone.advance()
    bars = [re.split(r"[:|]", state)[0].strip() for state in terminal.getvalue().split("\r")]
    assert not capsys.readouterr().out
    first, second = bars[: bars.index("training")], bars[bars.index("training") :]
    assert {bar for bar in first if bar} == {"0 of 4 trials", "1 of 4 trials"}  # Of trials alone.
    assert {bar for bar in second if bar} == {"training"}
    assert "1 pruned" in terminal.getvalue()


def test_a_part_alone_and_a_worker_write_no_lines(
    seconds: Callable[[float], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with part("training", 2, "epoch") as alone:
        seconds(30)
        alone.advance()
    monkeypatch.setattr(display, "_silenced", threading.Event())
    display.silence()
    with Display("", 2, "trial") as trials:
        seconds(30)
        trials.advance()
    assert capsys.readouterr() == ("", "")
