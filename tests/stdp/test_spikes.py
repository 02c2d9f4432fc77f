"""Input spikes: their rates, their order, and the draws they are made of."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from qspinn_optuna.workloads.stdp import SpikeTrains, encode_images
from tests.stdp.numpy_network import Purpose, encode, mix, stream


def random_images(seed: int, count: int, pixels: int) -> NDArray[np.uint8]:
    """Random pixels, half of them black."""
    generator = np.random.default_rng(seed)
    lit = generator.random((count, pixels)) < 0.5
    return (generator.integers(0, 256, (count, pixels)) * lit).astype(np.uint8)


def dense(trains: SpikeTrains, pixels: int) -> NDArray[np.bool_]:
    """Spikes as booleans, [images, steps, pixels]."""
    spikes = np.zeros((len(trains), trains.steps, pixels), np.bool_)
    for k in range(len(trains)):
        for t in range(trains.steps):
            spikes[k, t, trains.inputs[trains.starts[k, t] : trains.starts[k, t + 1]]] = True
    return spikes


def test_draws_are_those_of_splitmix64() -> None:
    """The generator with state 0 is known to begin so (reference implementation by Vigna)."""
    golden = 0x9E3779B97F4A7C15
    outputs = [mix((n + 1) * golden % 2**64) for n in range(3)]
    assert outputs == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


@pytest.mark.parametrize("rate", [0.25, 1.0])
def test_each_grey_value_spikes_at_its_rate(rate: float) -> None:
    steps, repeats = 500, 40
    images = np.repeat(np.arange(256, dtype=np.uint8)[None], repeats, axis=0)
    spikes = dense(encode_images(images, steps, rate, seed=1), pixels=256)
    trials = steps * repeats
    for pixel in range(256):
        # Probabilities have 16 bits: the largest is 1 - 2**-16, and rounding costs at most half a step.
        chance = min(rate * pixel / 255, 1 - 2**-16)
        deviation = math.sqrt(chance * (1 - chance) / trials)
        assert abs(spikes[:, :, pixel].mean() - chance) <= 5 * deviation + 2**-17
    assert not spikes[:, :, 0].any()


def test_spikes_of_inputs_and_of_steps_are_independent() -> None:
    """Neighbours share a draw, so a lane that leaked into another would show as a correlation."""
    spikes = dense(encode_images(np.full((20, 8), 255, np.uint8), 1_000, 0.3, seed=2), pixels=8).reshape(-1, 8)
    limit = 5 / math.sqrt(len(spikes))
    between_inputs = np.corrcoef(spikes.T) - np.eye(8)
    assert np.abs(between_inputs).max() <= limit
    after_a_step = [np.corrcoef(spikes[1:, i], spikes[:-1, j])[0, 1] for i in range(8) for j in range(8)]
    assert np.abs(after_a_step).max() <= limit


def test_black_pixels_never_spike() -> None:
    images = random_images(0, count=10, pixels=50)
    spikes = dense(encode_images(images, 100, 1.0, seed=3), pixels=50)
    counts = spikes.sum(axis=1)
    assert (counts[images == 0] == 0).all()
    assert (counts[images > 128] > 0).all()


def test_black_images_have_no_spikes() -> None:
    trains = encode_images(np.zeros((2, 7), np.uint8), 5, 1.0, seed=0)
    assert len(trains.inputs) == 0
    np.testing.assert_array_equal(trains.starts, np.zeros((2, 6)))


def test_spikes_are_in_order_of_time_and_then_of_inputs() -> None:
    images = random_images(1, count=5, pixels=30)
    trains = encode_images(images, 12, 0.6, seed=4)
    assert (len(trains), trains.steps) == (5, 12)
    assert trains.starts[0, 0] == 0
    assert trains.starts[-1, -1] == len(trains.inputs)
    np.testing.assert_array_equal(trains.starts[1:, 0], trains.starts[:-1, -1])
    assert (np.diff(trains.starts, axis=1) >= 0).all()
    for k in range(5):
        for t in range(12):
            inputs = trains.inputs[trains.starts[k, t] : trains.starts[k, t + 1]].astype(np.int64)
            assert (np.diff(inputs) > 0).all()
    assert len(trains.inputs) > 200


@pytest.mark.parametrize("seed", [0, 12345, 2**40])
@pytest.mark.parametrize("pixels", [1, 4, 37])
@pytest.mark.parametrize(("steps", "rate"), [(15, 0.25), (7, 1.0)])
def test_spikes_equal_plain_draws(seed: int, pixels: int, steps: int, rate: float) -> None:
    images = random_images(seed, count=6, pixels=pixels)
    images[0] = 255
    first_image = 4_000_000_000
    spikes = dense(encode_images(images, steps, rate, seed, first_image), pixels)
    expected = [encode(image, steps, rate, seed, first_image + k) for k, image in enumerate(images)]
    np.testing.assert_array_equal(spikes, expected)
    assert spikes.any()


def test_parts_of_the_images_have_the_same_spikes() -> None:
    images = random_images(5, count=9, pixels=40)
    whole = dense(encode_images(images, 20, 0.5, seed=6, first_image=100), pixels=40)
    parts = [
        dense(encode_images(images[first:last], 20, 0.5, seed=6, first_image=100 + first), pixels=40)
        for first, last in ((0, 4), (4, 5), (5, 9))
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_seed_and_number_of_the_image_change_the_spikes() -> None:
    images = np.repeat(random_images(7, count=1, pixels=60), 2, axis=0)
    spikes = dense(encode_images(images, 20, 0.5, seed=8), pixels=60)
    assert (spikes[0] != spikes[1]).any()
    other_seed = dense(encode_images(images, 20, 0.5, seed=9), pixels=60)
    assert (other_seed != spikes).any()
    np.testing.assert_array_equal(dense(encode_images(images, 20, 0.5, seed=8), pixels=60), spikes)


def test_streams_differ_by_all_they_are_keyed_with() -> None:
    keys = {
        stream(seed, purpose, image, step)
        for seed in range(4)
        for purpose in Purpose
        for image in range(6)
        for step in range(6)
    }
    assert len(keys) == 4 * len(Purpose) * 6 * 6


@pytest.mark.parametrize(
    ("images", "rate", "message"),
    [
        (np.zeros((1, 4), np.float32), 0.25, "images must be uint8, got float32"),
        (np.zeros(4, np.uint8), 0.25, r"images must be \[images, pixels\]"),
        (np.zeros((1, 65_537), np.uint8), 0.25, "at most 65,536 pixels"),
        (np.zeros((1, 4), np.uint8), -0.2, "rate must be a probability between 0 and 1, got -0.2"),
        (np.zeros((1, 4), np.uint8), 2.0, "rate must be a probability between 0 and 1, got 2.0"),
    ],
)
def test_bad_images_and_rates_are_refused(images: NDArray[np.uint8], rate: float, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        encode_images(images, 10, rate, 0)
