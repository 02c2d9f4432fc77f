"""Frames against plain loops and numpy's histogram, and their splits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qspinn_optuna.datasets import (
    EventRecording,
    FrameSplits,
    LabeledFrames,
    frames_of,
    random_split,
    reverse_half,
    split_by_user,
)


def recording(
    seed: int, count: int = 200, height: int = 10, width: int = 12, span: int = 1_000, label: int = 0, source: str = ""
) -> EventRecording:
    """Random events from time 50 to 50 + span - 1, both included."""
    generator = np.random.default_rng(seed)
    t = np.concatenate(([0, span - 1], generator.integers(0, span, count - 2))) + 50
    x, y = generator.integers(0, width, count), generator.integers(0, height, count)
    return EventRecording.from_arrays(t, x, y, generator.integers(0, 2, count), label, source)


def labeled(seed: int, labels: list[int], channels: int = 1) -> LabeledFrames:
    generator = np.random.default_rng(seed)
    frames = generator.integers(0, 2, (len(labels), 4, channels, 3, 5), dtype=np.uint8)
    return LabeledFrames(frames, np.array(labels, np.int64))


# Frames -------------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 1_000), st.integers(1, 9), st.integers(1, 5), st.booleans(), st.integers(1, 4), st.integers(2, 700)
)
def test_frames_are_those_of_a_plain_loop(
    seed: int, steps: int, block: int, merge: bool, minimum_count: int, span: int
) -> None:
    made = recording(seed, span=span)
    counts = np.zeros((steps, 1 if merge else 2, -(-10 // block), -(-12 // block)), int)
    for t, x, y, p in zip(made.t.tolist(), made.x, made.y, made.p, strict=True):
        counts[(t - 50) * steps // span, 0 if merge else p, y // block, x // block] += 1
    frames = frames_of(
        [made], steps=steps, height=10, width=12, block=block, merge_polarities=merge, minimum_count=minimum_count
    )
    np.testing.assert_array_equal(frames.frames[0], counts >= minimum_count)
    assert frames.frames.dtype == np.uint8


def test_frames_are_those_of_numpys_histogram() -> None:
    made = recording(1, count=2_000, span=1_600)
    sample = np.stack([made.t, made.p, made.y, made.x], axis=1)
    # Edges between whole numbers, so that the last bin is half-open like the others.
    edges = [50 - 0.5 + np.arange(17) * 100, np.arange(3) - 0.5, np.arange(0, 11, 2) - 0.5, np.arange(0, 13, 2) - 0.5]
    counts, _ = np.histogramdd(sample, edges)
    frames = frames_of([made], steps=16, height=10, width=12, block=2, minimum_count=2)
    np.testing.assert_array_equal(frames.frames[0], counts >= 2)


def test_the_last_block_of_a_sensor_is_padded() -> None:
    corner = EventRecording.from_arrays(np.array([0, 1]), np.array([33, 33]), np.array([33, 0]), np.array([1, 1]), 0)
    frames = frames_of([corner], steps=1, height=34, width=34, block=4)
    assert frames.frames.shape == (1, 1, 2, 9, 9)
    assert frames.frames[0, 0, 1, 8, 8] == frames.frames[0, 0, 1, 0, 8] == 1
    assert frames.frames.sum() == 2


def test_an_empty_recording_and_one_event_have_frames() -> None:
    no = np.empty(0, int)
    none = EventRecording.from_arrays(no, no, no, no, 3)
    one = EventRecording.from_arrays(np.array([7]), np.array([1]), np.array([0]), np.array([0]), 4)
    frames = frames_of((made for made in (none, one)), steps=4, height=2, width=2)
    assert frames.frames[0].sum() == 0
    assert frames.frames[1].sum() == frames.frames[1, 0, 0, 0, 1] == 1
    np.testing.assert_array_equal(frames.labels, [3, 4])


@pytest.mark.parametrize("name", ["steps", "height", "width", "block", "minimum_count"])
def test_numbers_less_than_1_are_refused(name: str) -> None:
    numbers: dict[str, Any] = {"steps": 4, "height": 10, "width": 12} | {name: 0}
    with pytest.raises(ValueError, match=rf"^{name}\b.*got 0"):
        frames_of([recording(0)], **numbers)


@pytest.mark.parametrize(("height", "width"), [(10, 11), (9, 12)])
def test_events_outside_the_sensor_are_refused(height: int, width: int) -> None:
    with pytest.raises(
        ValueError, match=f"x below {width} and y below {height}, got x up to 11 and y up to 9 in record"
    ):
        frames_of([recording(0)], steps=2, height=height, width=width)


def test_no_recordings_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^recordings\b.*got none"):
        frames_of([], steps=2, height=2, width=2)


# Time reversal ------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1_000), st.booleans())
def test_reversed_frames_are_the_frames_of_reversed_events(seed: int, merge: bool) -> None:
    made = [recording(seed + k, span=800, label=k % 3) for k in range(6)]
    backwards = [
        EventRecording.from_arrays(2_000 - r.t, r.x, r.y, 1 - r.p, {1: 2, 2: 1}.get(r.label, r.label)) for r in made
    ]
    numbers: dict[str, Any] = {"steps": 8, "height": 10, "width": 12, "merge_polarities": merge}
    forth, back = frames_of(made, **numbers), frames_of(backwards, **numbers)
    half = reverse_half(forth, {1: 2, 2: 1}, seed)
    for k in range(6):
        chosen = back if (half.frames[k] == back.frames[k]).all() else forth
        np.testing.assert_array_equal(half.frames[k], chosen.frames[k])
        assert half.labels[k] == chosen.labels[k]


def test_about_half_are_reversed_and_the_given_ones_stay() -> None:
    frames = labeled(0, [0, 1] * 500)
    before = frames.frames.copy()
    half = reverse_half(frames, {0: 1, 1: 0}, 5)
    np.testing.assert_array_equal(frames.frames, before)
    assert 400 < (half.labels != frames.labels).sum() < 600
    again, other = reverse_half(frames, {0: 1, 1: 0}, 5), reverse_half(frames, {0: 1, 1: 0}, 6)
    np.testing.assert_array_equal(again.frames, half.frames)
    assert (other.labels != half.labels).any()


def test_swaps_must_go_both_ways() -> None:
    with pytest.raises(ValueError, match=r"^swaps\b.*for \[1\]"):
        reverse_half(labeled(0, [0, 1]), {1: 2}, 0)


# Splits -------------------------------------------------------------------------------------------------------------


def users(count: int) -> list[EventRecording]:
    return [recording(k, source=f"user{k:02d}_{light}") for light in ("led", "lab") for k in range(count)]


@pytest.mark.parametrize(("count", "validation", "expected"), [(10, 0.2, 2), (10, 0.01, 1), (3, 0.99, 2), (2, 0.5, 1)])
def test_users_are_kept_apart(count: int, validation: float, expected: int) -> None:
    names = [made.user for made in users(count)]
    train, held_out = split_by_user(names, validation, 0)
    assert len({names[k] for k in held_out}) == expected
    assert not {names[k] for k in held_out} & {names[k] for k in train}
    assert sorted([*train, *held_out]) == list(range(len(names)))
    assert list(train) == sorted(train)


def test_which_users_are_held_out_depends_on_the_seed_alone() -> None:
    names = [made.user for made in users(10)]
    shuffled = [names[k] for k in np.random.default_rng(0).permutation(len(names))]

    def held_out(names: list[str], seed: int) -> set[str]:
        return {names[k] for k in split_by_user(names, 0.2, seed)[1]}

    assert held_out(shuffled, 0) == held_out(names, 0)
    assert len({frozenset(held_out(names, seed)) for seed in range(8)}) > 3


@pytest.mark.parametrize("validation", [0, 1, -0.5, 1.5])
def test_a_validation_that_is_not_a_fraction_is_refused(validation: float) -> None:
    with pytest.raises(ValueError, match=rf"^validation\b.*got {validation}"):
        split_by_user([made.user for made in users(4)], validation, 0)


def test_one_user_cannot_be_split() -> None:
    with pytest.raises(ValueError, match=r"^users\b.*got \['user00'\]"):
        split_by_user([made.user for made in users(1)], 0.5, 0)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 4), min_size=12, max_size=80), st.integers(0, 99))
def test_random_parts_have_no_common_sample_and_all_classes_in_proportion(labels: list[int], seed: int) -> None:
    frames = labeled(seed, labels)
    # Samples are identified by their content.
    frames.frames[:] = np.unpackbits(np.arange(len(labels), dtype=np.uint8)[:, None], axis=1)[:, :4, None, None, None]
    frames.frames[..., 0] = np.unpackbits(np.arange(len(labels), dtype=np.uint8)[:, None], axis=1)[:, 4:, None, None]

    def numbers(part: LabeledFrames) -> list[int]:
        bits = np.concatenate([part.frames[:, :, 0, 0, 1], part.frames[:, :, 0, 0, 0]], axis=1)
        return [int(number) for number in np.packbits(bits, axis=1)[:, 0]]

    sizes = (len(labels) // 2, len(labels) // 3)
    parts = random_split(frames, sizes, seed)
    drawn = [number for part in parts for number in numbers(part)]
    assert len(set(drawn)) == len(drawn) == sum(sizes)
    for part, size in zip(parts, sizes, strict=True):
        assert len(part) == size
        np.testing.assert_array_equal(part.labels, [labels[number] for number in numbers(part)])
        for label in set(labels):
            assert abs((part.labels == label).sum() - labels.count(label) * size / len(labels)) <= 2


def test_balanced_classes_stay_balanced_and_the_seed_decides() -> None:
    frames = labeled(0, list(range(5)) * 20)
    train, validation = random_split(frames, (60, 40), 3)
    np.testing.assert_array_equal(np.bincount(train.labels), [12] * 5)
    np.testing.assert_array_equal(np.bincount(validation.labels), [8] * 5)
    np.testing.assert_array_equal(random_split(frames, (60, 40), 3)[0].frames, train.frames)
    assert (random_split(frames, (60, 40), 4)[0].frames != train.frames).any()


@pytest.mark.parametrize("sizes", [(), (0, 5), (5, -1), (6, 5)])
def test_sizes_out_of_range_are_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^sizes\b.*got"):
        random_split(labeled(0, [0] * 10), sizes, 0)


# Values -------------------------------------------------------------------------------------------------------------


def wrong(frames: NDArray[Any], labels: NDArray[Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        LabeledFrames(frames, labels)


def test_frames_and_labels_that_do_not_fit_are_refused() -> None:
    frames, labels = np.zeros((2, 4, 1, 3, 5), np.uint8), np.zeros(2, np.int64)
    wrong(frames.astype(bool), labels, TypeError, r"^frames\b.*got bool")
    wrong(frames, labels.astype(np.uint8), TypeError, r"^labels\b.*got uint8")
    wrong(frames[0], labels, ValueError, r"^frames\b.*got \[4, ")
    wrong(frames, labels[:1], ValueError, r"got \[2, 4, 1, 3, 5\] and \[1\]")
    wrong(frames[:0], labels[:0], ValueError, r"^frames\b.*got \[0, ")
    wrong(frames + np.uint8(2), labels, ValueError, r"^frames\b.*got 2")
    wrong(frames, labels - 1, ValueError, r"^labels\b.*got -1")


def test_splits_know_their_classes() -> None:
    splits = FrameSplits(labeled(0, [0, 1]), labeled(1, [0]), labeled(2, [1]), ("a", "b", "c"))
    assert splits.classes == 3


def test_splits_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="same shape"):
        FrameSplits(labeled(0, [0]), labeled(1, [0], channels=2), labeled(2, [1]), ("a", "b"))
    with pytest.raises(ValueError, match=r"^class_names\b.*got 1\b"):
        FrameSplits(labeled(0, [0]), labeled(1, [0]), labeled(2, [1]), ("a",))
