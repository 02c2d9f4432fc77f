"""Labels of DVS-Gesture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qspinn_optuna.datasets import write_aedat
from qspinn_optuna.datasets.events.trials import Trial, cut_trials, read_trials
from tests.datasets.events.gesture_archive import HEADER, some_events


def test_labels_count_from_zero_and_empty_lines_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "a_labels.csv"
    path.write_text(f"{HEADER}1,5,9\r\n11, 20, 30\n\n")
    assert read_trials(path) == [Trial(0, 5, 9), Trial(10, 20, 30)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0,5,9", "class.*got 0"),
        ("12,5,9", "class.*got 12"),
        ("-1,5,9", "class.*got -1"),
        ("3,9,5", "start 9 and the end 5"),
        ("3,9,9", "start 9 and the end 9"),
        ("3,-4,9", "start -4 and the end 9"),
        ("3,5", "three whole numbers.*got '3,5'"),
        ("3,5,9,1", "three whole numbers"),
        ("wave,5,9", "three whole numbers"),
        ("3,5.5,9", "three whole numbers"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "a_labels.csv"
    path.write_text(f"{HEADER}1,0,4\n{line}\n")
    with pytest.raises(ValueError, match=message) as error:
        read_trials(path)
    assert f"{path}, line 3," in str(error.value)


def test_missing_labels_are_named(tmp_path: Path) -> None:
    write_aedat(tmp_path / "user01_led.aedat", *some_events(0, 5))
    with pytest.raises(FileNotFoundError, match=r"user01_led_labels\.csv"):
        list(cut_trials(tmp_path / "user01_led.aedat"))


def test_trials_hold_the_events_from_their_start_to_before_their_end(tmp_path: Path) -> None:
    t, x, y, p = some_events(0, 400)
    shuffled = np.random.default_rng(0).permutation(400)
    write_aedat(tmp_path / "user01_led.aedat", t[shuffled], x[shuffled], y[shuffled], p[shuffled])
    (tmp_path / "user01_led_labels.csv").write_text(f"{HEADER}2,100,{t[200]}\n5,{t[200]},2000\n7,{t[7]},{t[7] + 1}\n")
    first, second, short = cut_trials(tmp_path / "user01_led.aedat")
    inside = (t >= 100) & (t < t[200])
    np.testing.assert_array_equal(first.t, t[inside])
    assert sorted(zip(first.t, first.x, first.y, first.p, strict=True)) == sorted(
        zip(t[inside], x[inside], y[inside], p[inside], strict=True)
    )
    np.testing.assert_array_equal(second.t, t[t >= t[200]])
    assert (first.label, second.label, short.label, len(short)) == (1, 4, 6, (t == t[7]).sum())
    assert first.source == "user01_led"


@pytest.mark.parametrize(("start", "after"), [(990, False), (991, True), (70_000, True)])
def test_a_trial_after_the_end_of_its_recording_is_refused_by_name(tmp_path: Path, start: int, after: bool) -> None:
    t, x, y, p = some_events(0, 5)
    t[-1] = 990
    write_aedat(tmp_path / "user07_lab.aedat", t, x, y, p)
    (tmp_path / "user07_lab_labels.csv").write_text(f"{HEADER}2,0,400\n4,{start},80000\n")
    cut = cut_trials(tmp_path / "user07_lab.aedat")
    assert next(cut).label == 1
    if not after:
        assert len(next(cut)) == 1
        return
    with pytest.raises(ValueError, match=rf"user07_lab_labels\.csv.*number 2 starts at {start:,}.*990"):
        next(cut)


def test_trials_of_a_recording_without_events_are_refused(tmp_path: Path) -> None:
    write_aedat(tmp_path / "user07_lab.aedat", *some_events(0, 0))
    (tmp_path / "user07_lab_labels.csv").write_text(f"{HEADER}2,0,400\n")
    with pytest.raises(ValueError, match=r"user07_lab\.aedat has no events"):
        list(cut_trials(tmp_path / "user07_lab.aedat"))
