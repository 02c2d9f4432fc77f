"""The interpreter against rational numbers and plain loops, at every step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding
from qspinn_optuna.integer import Codes, IntegerModel, classify, winner_take_all_runtime
from qspinn_optuna.integer.winner_take_all_runtime import respond
from tests.integer import plain_model
from tests.integer.models import PIXELS, example_model, layer_of, models, random_images


def test_every_spike_and_membrane_is_that_of_rational_numbers() -> None:
    spikes = 0

    @settings(max_examples=150, deadline=None, derandomize=True)
    @given(models(), st.integers(0, 2**16), st.sampled_from([None, 7]))
    def compare(model: IntegerModel, seed: int, first: int | None) -> None:
        nonlocal spikes
        images = random_images(seed, 3)
        responses = respond(model, images, first, membranes=True)
        assert responses.membranes is not None
        answers = classify(model, images, first)
        for k, image in enumerate(images.tolist()):
            expected = plain_model.respond(model, image, (model.first_sample if first is None else first) + k)
            assert responses.winners[k].tolist() == expected.winners
            assert responses.membranes[k].tolist() == expected.membranes
            assert answers[k] == plain_model.answer(model, expected.winners)
            counts = [expected.winners.count(j) for j in range(layer_of(model).neurons)]
            assert responses.counts[k].tolist() == counts
            limit = 2 ** (layer_of(model).accumulators.current - 1)
            assert all(-limit <= current < limit for current in expected.currents)
            spikes += sum(counts)

    compare()
    assert spikes >= 500


def test_sums_that_float32_cannot_hold_are_exact() -> None:
    """Odd weights of 23 bits: of three of them, float32 would lose the last bit."""
    model = example_model()
    layer = replace(
        layer_of(model),
        weight=Codes(2**23 - 1 - 2 * np.arange(24).reshape(6, 4), QFormat(14, 10, signed=False)),
        scale=Codes(np.ones(4, np.int64), QFormat(0, 3, signed=False)),
        decay=Codes(np.zeros(1, np.int64), QFormat(0, 3, signed=False)),
        membrane=ParameterQuantization(QFormat(13, 10), Rounding.TRUNCATION),
        threshold=2**23 - 1,
    )
    model = replace(model, network=layer)
    images = np.full((4, PIXELS), 255, np.uint8)
    responses = respond(model, images, membranes=True)
    assert responses.membranes is not None
    for k, image in enumerate(images.tolist()):
        expected = plain_model.respond(model, image, model.first_sample + k)
        assert max(expected.currents) > 2**24
        assert responses.membranes[k].tolist() == expected.membranes


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, images = example_model(), random_images(1, 7)
    whole = respond(model, images)
    assert (whole.winners >= 0).sum() >= len(images)
    assert whole.membranes is None
    monkeypatch.setattr(winner_take_all_runtime, "_BATCH", 2)
    np.testing.assert_array_equal(respond(model, images).winners, whole.winners)


def test_the_number_of_the_first_sample_keys_the_draws() -> None:
    model, images = example_model(), random_images(2, 6)
    as_numbered = respond(model, images).winners
    np.testing.assert_array_equal(respond(model, images, model.first_sample).winners, as_numbered)
    np.testing.assert_array_equal(respond(model, images[2:], model.first_sample + 2).winners, as_numbered[2:])
    assert (respond(model, images, 0).winners != as_numbered).any()
    assert (respond(replace(model, seed=4), images).winners != as_numbered).any()


@pytest.mark.parametrize(
    ("images", "first", "error", "message"),
    [
        (np.zeros((2, PIXELS), np.int64), None, TypeError, "images"),
        (np.zeros((2, PIXELS + 1), np.uint8), None, ValueError, "images"),
        (np.zeros(PIXELS, np.uint8), None, ValueError, "images"),
        (np.zeros((2, PIXELS), np.uint8), -1, ValueError, "first_sample"),
    ],
)
def test_what_is_no_image_of_the_model_is_refused(
    images: np.ndarray, first: int | None, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        classify(example_model(), images, first)


def test_black_images_and_no_images_have_answers() -> None:
    model = example_model()
    assert classify(model, np.zeros((2, PIXELS), np.uint8)).tolist() == [0, 0]
    assert classify(model, np.zeros((0, PIXELS), np.uint8)).tolist() == []
