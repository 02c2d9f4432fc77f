"""Recordings, and arguments that are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qspinn_optuna.datasets import EventRecording


def arrays(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "t": np.array([5, 5, 9], np.int64),
        "x": np.array([1, 2, 3], np.int16),
        "y": np.array([0, 2, 4], np.int16),
        "p": np.array([0, 1, 1], np.int8),
        "label": 2,
    }
    return given | changes


def test_events_out_of_order_are_sorted_and_those_of_one_time_stay_in_order() -> None:
    made = EventRecording.from_arrays(
        np.array([9, 5, 5]), np.arange(3), np.arange(3) + 4, np.array([1, 0, 1]), 1, "u_l"
    )
    np.testing.assert_array_equal(made.t, [5, 5, 9])
    np.testing.assert_array_equal(made.x, [1, 2, 0])
    np.testing.assert_array_equal(made.y, [5, 6, 4])
    np.testing.assert_array_equal(made.p, [0, 1, 1])
    assert [made.t.dtype, made.x.dtype, made.y.dtype, made.p.dtype] == [np.int64, np.int16, np.int16, np.int8]
    assert (made.label, made.source, made.user, len(made)) == (1, "u_l", "u", 3)


def test_a_recording_may_be_empty() -> None:
    no = np.empty(0, int)
    assert len(EventRecording.from_arrays(no, no, no, no, 0)) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"t": np.array([5, 4, 9])}, r"^t\b.*order"),
        ({"x": np.array([1, -2, 3], np.int16)}, r"^x and y\b.*got -2"),
        ({"y": np.array([1, 2], np.int16)}, r"^t, x, y and p\b.*got y \(2,\)"),
        ({"p": np.array([0, 1, 2], np.int8)}, r"^p\b.*got \[0, 1, 2\]"),
        ({"label": -1}, r"^label\b.*got -1"),
    ],
)
def test_values_that_do_not_make_a_recording_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EventRecording(**arrays(**changes))


@pytest.mark.parametrize("name", ["t", "x", "y", "p"])
def test_another_type_is_refused_and_named(name: str) -> None:
    with pytest.raises(TypeError, match=rf"^{name}\b.*got float64.*from_arrays"):
        EventRecording(**arrays(**{name: np.ones(3)}))
    with pytest.raises(TypeError, match=rf"^{name}\b.*got float64"):
        EventRecording.from_arrays(**arrays(**{name: np.ones(3)}))


def test_numbers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^x\b.*got 1 to 40000"):
        EventRecording.from_arrays(**arrays(x=np.array([1, 2, 40_000])))
    with pytest.raises(ValueError, match=r"^t, x, y and p\b.*got"):
        EventRecording.from_arrays(**arrays(x=np.array([1, 2])))
