"""Generated gestures: events against an oracle, properties of classes, and time reversal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from qspinn_optuna.datasets import GESTURES, LIGHTS, TIME_REVERSED_GESTURES, EventRecording
from qspinn_optuna.datasets.events import camera, gestures
from qspinn_optuna.datasets.events.camera import BIN, SENSOR, Scene, record
from qspinn_optuna.datasets.events.gestures import DURATION, Habits, perform_gesture

PLAIN = Habits(frequency=1.0, amplitude=1.0, size=1.0, tilt=0.0, place=(0.0, 0.0))
LAB = LIGHTS["lab"]


def perform(label: int, seed: int) -> EventRecording:
    generator = np.random.default_rng(seed)
    return perform_gesture(label, Habits.draw(generator), LAB, generator)


def moving_blob(speed: float = 0.3, bins: int = 40) -> Scene:
    x: NDArray[np.float64] = 0.3 + speed * np.arange(bins + 1, dtype=np.float64)[None] * BIN * 1e-6
    return Scene(x, np.full_like(x, 0.5), np.array([0.05]), np.array([1.0]))


# The camera ---------------------------------------------------------------------------------------------------------


def events_of_a_plain_loop(
    scene: Scene, thresholds: NDArray[np.float64], start: NDArray[np.float64]
) -> set[tuple[int, int, int, int, int]]:
    """Bin, y, x, polarity and number of events, computed with logarithms."""
    pixels = (np.arange(SENSOR) + 0.5) / SENSOR
    found = set()
    memory = np.empty(0)
    for edge in range(scene.x.shape[1]):
        brightness = np.full((SENSOR, SENSOR), camera._AMBIENT)
        for x, y, radius, contrast in zip(
            scene.x[:, edge], scene.y[:, edge], scene.radii, scene.contrasts, strict=True
        ):
            squares = (pixels[None] - x) ** 2 + (pixels[:, None] - y) ** 2
            brightness += contrast * np.exp(-squares / (2 * radius**2))
        image = np.log(brightness)
        memory = image + start if edge == 0 else memory
        crossed = np.trunc((image - memory) / thresholds)
        memory = memory + crossed * thresholds
        for y, x in np.argwhere(crossed):
            found.add((edge - 1, int(y), int(x), int(crossed[y, x] > 0), int(abs(crossed[y, x]))))
    return found


def test_the_camera_sees_what_a_plain_loop_in_logarithms_sees() -> None:
    generator = np.random.default_rng(0)
    thresholds = generator.uniform(0.2, 0.4, (SENSOR, SENSOR))
    start = thresholds * generator.uniform(-1, 1, thresholds.shape)
    first, second = moving_blob(), moving_blob(speed=-0.2)
    scene = Scene(
        np.concatenate((first.x, second.x + 0.3)), np.concatenate((first.y, second.y + 0.1)),
        np.array([0.05, 0.04]), np.array([1.0, 0.7]),
    )  # fmt: skip
    profiles_x, profiles_y = camera._profiles(scene.x, scene.radii), camera._profiles(scene.y, scene.radii)
    packed = camera._compare(
        profiles_x, (profiles_y * scene.contrasts[:, None, None]).astype(np.float32),
        np.exp(thresholds).astype(np.float32), np.exp(start).astype(np.float32),
    )  # fmt: skip
    keys, counts = np.unique(packed, return_counts=True)
    seen = {
        (int(k >> 15), int(k >> 7 & 127), int(k & 127), int(k >> 14 & 1), int(n))
        for k, n in zip(keys, counts, strict=True)
    }
    expected = events_of_a_plain_loop(scene, thresholds, start)
    # Float32 decides a few of thousands of close cases differently.
    assert len(expected) > 2_000
    assert len(seen ^ expected) < len(expected) / 200


def test_the_front_of_a_blob_becomes_brighter_and_its_back_darker() -> None:
    t, x, y, p = record(moving_blob(), 0.0, np.random.default_rng(0))
    assert (np.diff(t) >= 0).all()
    assert 0 <= t.min() < t.max() < 40 * BIN
    assert x[p == 1].mean() > x[p == 0].mean() + 3
    assert abs(y.mean() - SENSOR / 2) < 1


def test_times_are_spread_within_a_bin() -> None:
    t, _, _, _ = record(moving_blob(), 0.0, np.random.default_rng(0))
    counts = np.histogram(t % BIN, 10, (0, BIN))[0]
    assert counts.min() > 0.8 * counts.mean()


def test_a_still_scene_has_noise_alone_at_the_given_rate() -> None:
    still = moving_blob(speed=0.0, bins=100)
    assert len(record(still, 0.0, np.random.default_rng(0))[0]) == 0
    _, x, y, p = record(still, 0.5, np.random.default_rng(0))
    expected = 2 * 0.5 * SENSOR**2 * 1.0
    assert abs(len(x) - expected) < 5 * np.sqrt(expected)
    assert [x.max(), y.max(), p.max(), x.min(), y.min(), p.min()] == [127, 127, 1, 0, 0, 0]


@pytest.mark.parametrize("bins", [0, 65_536])
def test_a_scene_must_have_some_bins_but_not_too_many(bins: int) -> None:
    edges = np.zeros((1, bins + 1))
    with pytest.raises(ValueError, match=f"bins of time, got {bins}"):
        record(Scene(edges, edges, np.ones(1), np.ones(1)), 0.0, np.random.default_rng(0))


# Gestures -----------------------------------------------------------------------------------------------------------


def test_the_classes_are_dvs_gestures_and_reversals_go_both_ways() -> None:
    assert len(GESTURES) == 11
    assert (GESTURES[0], GESTURES[7], GESTURES[10]) == ("hand_clapping", "arm_roll", "other_gestures")
    for label, other in TIME_REVERSED_GESTURES.items():
        assert TIME_REVERSED_GESTURES[other] == label
        assert GESTURES[other].replace("counter_", "") == GESTURES[label].replace("counter_", "")


@pytest.mark.parametrize("label", range(11))
def test_a_gesture_is_a_recording_of_some_thousand_events(label: int) -> None:
    made = perform(label, 0)
    assert made.label == label
    assert 0 <= made.t.min() < 100_000
    assert DURATION - 100_000 < made.t.max() < DURATION
    assert max(made.x.max(), made.y.max()) < SENSOR
    assert 3_000 < len(made) < 60_000


def test_the_same_seed_gives_the_same_events_and_another_gives_others() -> None:
    first, again, other = perform(3, 5), perform(3, 5), perform(3, 6)
    for key in "txyp":
        np.testing.assert_array_equal(getattr(first, key), getattr(again, key))
    assert len(first) != len(other) or (first.t != other.t).any()


def test_an_unknown_class_is_refused() -> None:
    for label in (-1, 11):
        with pytest.raises(ValueError, match=rf"^label\b.*got {label}"):
            perform(label, 0)


def turn(made: EventRecording) -> float:
    """Mean rotation of the centre of events between 30 stretches of time; positive is clockwise, as y points down."""
    part = made.t * 30 // DURATION
    count = np.maximum(np.bincount(part, minlength=30), 1)
    x, y = (np.bincount(part, values, minlength=30) / count for values in (made.x, made.y))
    path = (x - x.mean()) + 1j * (y - y.mean())
    return float(np.mean(np.imag(path[1:] * path[:-1].conj())))


@pytest.mark.parametrize(("label", "sign"), [(3, 1), (4, -1), (5, 1), (6, -1)])
def test_circles_turn_the_way_of_their_name_on_their_side(label: int, sign: int) -> None:
    quiet = replace(LAB, noise=0.0)
    for seed in range(6):
        made = perform_gesture(label, PLAIN, quiet, np.random.default_rng(seed))
        assert turn(made) * sign > 0
        assert (made.x.mean() < SENSOR / 2) == (label in {3, 4})


class Coin:
    """A generator with a given first draw, which decides the direction of a recording."""

    def __init__(self, seed: int, first: float) -> None:
        self.generator = np.random.default_rng(seed)
        self.draws: list[Callable[[], float]] = [lambda: first]

    def random(self) -> float:
        return self.draws.pop()() if self.draws else float(self.generator.random())

    def __getattr__(self, name: str) -> object:
        return getattr(self.generator, name)


@pytest.mark.parametrize("label", range(11))
def test_a_gesture_played_backwards_is_exactly_a_recording_of_its_counterpart(label: int) -> None:
    counterpart = TIME_REVERSED_GESTURES.get(label, label)
    for seed in range(2):
        forth = perform_gesture(label, PLAIN, LAB, Coin(seed, 0.9))  # type: ignore[arg-type]
        back = perform_gesture(counterpart, PLAIN, LAB, Coin(seed, 0.1))  # type: ignore[arg-type]
        assert back.label == counterpart
        np.testing.assert_array_equal(back.t, DURATION - 1 - forth.t[::-1])
        np.testing.assert_array_equal(back.x, forth.x[::-1])
        np.testing.assert_array_equal(back.y, forth.y[::-1])
        np.testing.assert_array_equal(back.p, 1 - forth.p[::-1])


def test_habits_and_light_change_what_is_recorded() -> None:
    def events(habits: Habits = PLAIN, light: gestures.Light = LAB) -> float:
        return float(
            np.mean([len(perform_gesture(3, habits, light, np.random.default_rng(seed))) for seed in range(3)])
        )

    assert events(replace(PLAIN, frequency=1.5)) > 1.2 * events()
    assert events(replace(PLAIN, amplitude=1.5)) > 1.2 * events()
    assert events(light=replace(LAB, contrast=0.5)) < 0.8 * events()
    assert events(light=replace(LAB, noise=1.0)) > events() + 30_000
