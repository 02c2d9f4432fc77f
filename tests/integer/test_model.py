"""What a model says of itself, and what is no model."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding
from qspinn_optuna.integer import Codes, IntegerModel, MeanResponse, RateCoding, linear_chances
from tests.fixed_point.test_imports import modules_after
from tests.integer.models import example_model, layer_of, models


def test_it_needs_neither_torch_nor_optuna() -> None:
    assert modules_after("from qspinn_optuna.integer import IntegerModel, classify").isdisjoint({"torch", "optuna"})


def test_models_are_equal_if_all_their_parts_are() -> None:
    model = example_model()
    assert model == example_model()
    layer = layer_of(model)
    codes = layer.weight.array.copy()
    codes[0, 0] ^= 1
    changes: list[dict[str, Any]] = [
        {"seed": 4},
        {"readout": MeanResponse(np.array([0, 1, 2, 2]), 3)},
        {"network": replace(layer, weight=Codes(codes, layer.weight.format))},
        {"network": replace(layer, membrane=ParameterQuantization(QFormat(5, 4), Rounding.NEAREST))},
    ]
    for change in changes:
        assert replace(model, **change) != model
    assert model != "a model"


def test_codes_are_kept_in_the_narrowest_type_and_cannot_be_written() -> None:
    for fmt, kind in (
        (QFormat(0, 8, signed=False), np.uint8),
        (QFormat(0, 7), np.int8),
        (QFormat(0, 9, signed=False), np.uint16),
        (QFormat(0, 17), np.int32),
    ):
        given_codes = np.array([0, fmt.max_code, fmt.min_code])
        codes = Codes(given_codes, fmt)
        assert codes.array.dtype == kind
        assert codes.array.tolist() == given_codes.tolist()
        with pytest.raises(ValueError, match="read-only"):
            codes.array[0] = 1
        given_codes[0] = 1
        assert codes.array[0] == 0


def test_memory_is_elements_times_bits() -> None:
    model = example_model()
    # Weights, scales, thetas, the decay; a mask of the pixels; labels of three classes.
    assert model.constant_bits == 6 * 4 * 3 + 4 * 5 + 4 * 5 + 8 + 9 + 4 * 2
    # Membranes, and two numbers of neurons from 0 to 4.
    assert model.state_bits == 4 * 10 + 2 * 3
    assert model.classes == 3


def needed(low: int, high: int) -> int:
    """The narrowest width of two's complement, by trial."""
    return next(bits for bits in (8, 16, 32, 64) if -(2 ** (bits - 1)) <= low and high < 2 ** (bits - 1))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(models())
def test_accumulators_hold_the_extremes_of_every_neuron(model: IntegerModel) -> None:
    """By the corners: all inputs with weights of one sign spike, and the membrane is at either end."""
    layer = layer_of(model)
    c = layer.constants
    columns = layer.weight.array.astype(object).T.tolist()
    currents = [sum(w for w in column if w > 0) for column in columns] + [
        sum(w for w in column if w < 0) for column in columns
    ]
    assert layer.accumulators.current == needed(min(currents), max(currents))
    ends = (c.rounding.lowest, c.rounding.highest)
    charged = [end - c.inhibition for end in ends]
    for scale, column in zip(layer.scale_codes.array.tolist(), columns, strict=True):
        for current in (sum(w for w in column if w > 0), sum(w for w in column if w < 0)):
            driven = scale * current << c.current_shift
            for end in ends:
                decayed = c.decay * end << c.decay_shift
                charged += [driven, decayed, driven + decayed, driven + decayed + 2**c.rounding.drop - 1]
    assert needed(min(charged), max(charged)) <= layer.accumulators.charged
    margins = [
        (end - c.threshold << c.membrane_shift) - (theta << c.theta_shift)
        for end in ends
        for theta in layer.theta.array.tolist()
    ]
    assert needed(min(margins), max(margins)) <= layer.accumulators.margin


def test_accumulators_are_as_narrow_as_the_codes_allow() -> None:
    layer = layer_of(example_model())
    # 6 inputs with codes up to 7; 31 * 42 / 2**7 and 230 * 512 / 2**12, both at 2**-12; margins in quarters.
    assert layer.accumulators.current == 8
    assert layer.accumulators.charged == 32
    assert layer.accumulators.margin == 16
    coarse = replace(layer, decay=Codes(np.array([1]), QFormat(1, 0, signed=False)), scale=None)
    assert coarse.accumulators.charged == 16


def changed(**changes: Any) -> IntegerModel:
    return replace(example_model(), **changes)


def changed_layer(**changes: Any) -> IntegerModel:
    model = example_model()
    return replace(model, network=replace(layer_of(model), **changes))


@pytest.mark.parametrize(
    ("make", "changes", "error", "message"),
    [
        (changed, {"network": None}, TypeError, "network"),
        (changed, {"coding": None}, TypeError, "coding"),
        (changed, {"seed": -1}, ValueError, "seed"),
        (changed, {"first_sample": 1.0}, TypeError, "first_sample"),
        (changed, {"readout": MeanResponse(np.array([0]), 3)}, ValueError, "readout"),
        (changed, {"coding": RateCoding(linear_chances(1.0), 5, 9, np.array([0]))}, ValueError, "coding"),
        (changed_layer, {"weight": None}, TypeError, "weight"),
        (changed_layer, {"theta": Codes(np.array([1]), QFormat(3, 2))}, ValueError, "theta"),
        (changed_layer, {"threshold": 512}, ValueError, "threshold"),
        (changed_layer, {"refractory_steps": -1}, ValueError, "refractory_steps"),
        (changed_layer, {"membrane": QFormat(5, 4)}, TypeError, "membrane"),
        (changed_layer, {"decay": Codes(np.array([1]), QFormat(-60, 70, signed=False))}, ValueError, "bits"),
    ],
)
def test_what_does_not_fit_is_refused(make: Any, changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make(**changes)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((np.array([8]), QFormat(0, 3, signed=False)), ValueError, "array"),
        ((np.array([-1]), QFormat(0, 3, signed=False)), ValueError, "array"),
        ((np.array([0.5]), QFormat(0, 3)), TypeError, "array"),
        ((np.array([], np.int64), QFormat(0, 3)), ValueError, "array"),
        ((np.array([1]), "Q0.3"), TypeError, "format"),
    ],
)
def test_what_are_no_codes_is_refused(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Codes(*arguments)


@pytest.mark.parametrize("kept", [np.array([1, 1]), np.array([2, 1]), np.array([9]), np.array([-1, 2])])
def test_kept_pixels_rise_within_the_image(kept: np.ndarray) -> None:
    with pytest.raises(ValueError, match="kept"):
        RateCoding(linear_chances(0.5), 5, 9, kept)


def test_labels_are_classes() -> None:
    with pytest.raises(ValueError, match="labels"):
        MeanResponse(np.array([0, 3]), 3)


def test_chances_grow_linearly_up_to_what_16_bits_hold() -> None:
    for rate in (0.25, 0.5, 1.0):
        expected = [min(round(Fraction(rate) * 2**16 * pixel / 255), 2**16 - 1) for pixel in range(256)]
        assert linear_chances(rate).array.tolist() == expected
