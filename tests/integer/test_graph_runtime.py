"""The interpreter of graphs against rational numbers and plain loops, at every step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding
from qspinn_optuna.integer import (
    Codes,
    Constant,
    Graph,
    IntegerModel,
    LargestScore,
    Purpose,
    Reduction,
    ValueCoding,
    classify,
    encode,
    graph_runtime,
    winner_take_all_runtime,
)
from qspinn_optuna.integer.graph_runtime import respond, run
from qspinn_optuna.integer.operations import IntegrateAndFire, Linear, Operation, Requantization, Scale
from tests.integer import plain_graph
from tests.integer.graphs import SLOW, example_graph_model, graph_models, quantizations, random_inputs
from tests.integer.models import example_model


def test_every_array_is_that_of_rational_numbers_and_lies_in_its_interval() -> None:
    seen: Counter[str] = Counter()
    spikes = 0

    @settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=SLOW)
    @given(graph_models(), st.integers(0, 2**16))
    def compare(model: IntegerModel, seed: int) -> None:
        nonlocal spikes
        graph, coding, readout = model.network, model.coding, model.readout
        assert isinstance(graph, Graph)
        assert isinstance(coding, ValueCoding)
        assert isinstance(readout, LargestScore)
        inputs = random_inputs(model, seed, 2)
        numbers = model.first_sample + np.arange(len(inputs))
        steps = list(run(graph, coding, inputs.astype(np.int64), numbers))
        responses = respond(model, inputs)
        for k, sample in enumerate(inputs):
            expected = plain_graph.respond(model, sample, model.first_sample + k)
            for found, arrays in zip(steps, expected.steps, strict=True):
                for array in graph.arrays:
                    codes = arrays[array.name].codes(array.fraction_bits)
                    assert found[array.name][k].shape == array.shape
                    assert found[array.name][k].ravel().tolist() == codes, array.name
                    assert array.low <= min(codes) <= max(codes) <= array.high, array.name
            check_accumulators(graph, expected)
            grid = graph.array(readout.source).fraction_bits
            assert responses.scores[k].tolist() == [
                score * Fraction(2) ** grid for score in plain_graph.scores(expected)
            ]
            assert responses.classes[k] == plain_graph.answer(expected)
        for operation in graph.operations:
            seen[type(operation).__name__] += 1
            if isinstance(operation, IntegrateAndFire):
                spikes += sum(int(found[operation.name].sum()) for found in steps)

    compare()
    assert {kind.__name__ for kind in Operation.__subclasses__()} == seen.keys()
    assert min(seen.values()) >= 3, seen
    assert spikes >= 1000


def check_accumulators(graph: Graph, expected: plain_graph.Run) -> None:
    """What is added up, stored, compared or rounded lies within its accumulator, on its grid."""
    for accumulator in graph.accumulators:
        values = [value for inner in expected.inner for value in inner[accumulator.operation]]
        if accumulator.purpose != Purpose.ROUNDED:
            assert all((value * Fraction(2) ** accumulator.fraction_bits).denominator == 1 for value in values)
        if accumulator.purpose == Purpose.CHARGED:
            values += expected.passed.get(accumulator.operation, [])
        ends = [value * Fraction(2) ** accumulator.fraction_bits for value in (min(values), max(values))]
        assert accumulator.low <= ends[0] <= ends[1] <= accumulator.high, accumulator
        assert fits(accumulator.interval, accumulator.width)
    layers = {operation.name for operation in graph.operations if isinstance(operation, IntegrateAndFire)}
    for array in graph.arrays:
        assert fits(array.interval, array.width)
        if array.name in expected.passed.keys() - layers:
            ends = [value * Fraction(2) ** array.fraction_bits for value in expected.passed[array.name]]
            assert fits(ends, array.width), array


def fits(ends: Sequence[int | Fraction], width: int) -> bool:
    return bool(-(2 ** (width - 1)) <= ends[0] and ends[1] < 2 ** (width - 1))


@pytest.mark.parametrize("finer_bits", [None, 0, 1, 3])
@pytest.mark.parametrize("rounding", Rounding)
def test_every_tie_of_a_change_of_format_is_broken_as_rational_numbers_are(
    finer_bits: int | None, rounding: Rounding
) -> None:
    fine = QFormat(2, 5)
    to = ParameterQuantization(QFormat(1, 1), rounding)
    codes = np.arange(fine.min_code, fine.max_code + 1)
    model = IntegerModel(
        ValueCoding(codes.shape, ParameterQuantization(fine, Rounding.NEAREST), 1, True, False, 0),
        Graph(codes.shape, fine, (), (Requantization("narrow", ("input",), to, finer_bits, 5),)),
        LargestScore("narrow", Reduction.LAST),
        0,
        0,
    )
    expected = plain_graph.respond(model, codes, 0).steps[0]["narrow"].codes(1)
    assert respond(model, codes[None]).scores[0].tolist() == expected


def test_spikes_and_membranes_are_recorded_if_asked_for() -> None:
    model = example_graph_model()
    inputs = random_inputs(model, 3, 5)
    graph, coding = model.network, model.coding
    assert isinstance(graph, Graph)
    assert isinstance(coding, ValueCoding)
    steps = list(run(graph, coding, inputs.astype(np.int64), 10 + np.arange(5)))
    responses = respond(model, inputs, membranes=True)
    assert responses.spikes.keys() == {"lif1", "lif2"}
    assert responses.membranes.keys() == {"lif1.v", "lif2.v"}
    for name, record in [*responses.spikes.items(), *responses.membranes.items()]:
        np.testing.assert_array_equal(record, np.stack([values[name] for values in steps], axis=1))
        assert record.any()
    np.testing.assert_array_equal(responses.scores, responses.spikes["lif2"].sum(axis=1))
    plain = respond(model, inputs)
    assert (plain.spikes, plain.membranes) == ({}, {})
    np.testing.assert_array_equal(plain.scores, responses.scores)
    np.testing.assert_array_equal(classify(model, inputs), responses.scores.argmax(axis=1))


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = example_graph_model()
    inputs = random_inputs(model, 1, 7)
    whole = respond(model, inputs, membranes=True)
    monkeypatch.setattr(graph_runtime, "_BATCH", 2)
    parts = respond(model, inputs, membranes=True)
    np.testing.assert_array_equal(parts.membranes["lif2.v"], whole.membranes["lif2.v"])
    np.testing.assert_array_equal(parts.scores, whole.scores)
    assert classify(model, inputs[:0]).tolist() == []


def test_the_number_of_the_first_sample_keys_the_draws() -> None:
    model = example_graph_model()
    inputs = random_inputs(model, 2, 4)
    numbered = respond(model, inputs, membranes=True).membranes["lif1.v"]
    np.testing.assert_array_equal(respond(model, inputs, 10, membranes=True).membranes["lif1.v"], numbered)
    np.testing.assert_array_equal(respond(model, inputs[2:], 12, membranes=True).membranes["lif1.v"], numbered[2:])
    assert (respond(model, inputs, 11, membranes=True).membranes["lif1.v"] != numbered).any()


def test_products_that_no_float_holds_are_exact() -> None:
    """Odd weights of 23 bits times odd inputs of 24: of three of them, float64 loses the last bit after a scale."""
    generator = np.random.default_rng(0)
    wide = QFormat(24, 0, signed=False)
    constants = (
        Constant("factor", Codes(np.array([2**24 - 3]), wide)),
        Constant("weight", Codes(2**23 - 1 - 2 * generator.integers(0, 9, (2, 3)), QFormat(23, 0))),
    )
    operations = (Scale("scaled", ("input",), "factor"), Linear("sums", ("scaled",), "weight", None))
    narrow = QFormat(12, 0, signed=False)
    model = IntegerModel(
        ValueCoding((3,), ParameterQuantization(narrow, Rounding.NEAREST), 1, True, False, 0),
        Graph((3,), narrow, constants, operations),
        LargestScore("sums", Reduction.LAST),
        0,
        0,
    )
    inputs = 4095 - 2 * generator.integers(0, 9, (4, 3))
    weights = constants[1].codes.array.tolist()
    expected = [
        [sum(w * x * (2**24 - 3) for w, x in zip(row, sample, strict=True)) for row in weights]
        for sample in inputs.tolist()
    ]
    assert min(min(row) for row in expected) > 2**53
    assert respond(model, inputs).scores.tolist() == expected


@pytest.mark.parametrize(
    ("inputs", "first", "error", "message"),
    [
        (np.zeros((2, 2, 6, 6)), None, TypeError, "inputs"),
        (np.zeros((2, 5, 2, 6, 6), np.int64), None, ValueError, "inputs"),
        (np.zeros((2, 6, 6), np.int64), None, ValueError, "inputs"),
        (np.full((2, 2, 6, 6), 256), None, ValueError, "inputs"),
        (np.full((2, 2, 6, 6), -1), None, ValueError, "inputs"),
        (np.zeros((2, 2, 6, 6), np.int64), -1, ValueError, "first_sample"),
    ],
)
def test_what_is_no_input_of_the_model_is_refused(
    inputs: np.ndarray, first: int | None, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        classify(example_graph_model(), inputs, first)


def test_each_interpreter_refuses_the_models_of_the_other() -> None:
    with pytest.raises(TypeError, match="model"):
        respond(example_model(), np.zeros((1, 9), np.uint8))
    with pytest.raises(TypeError, match="model"):
        winner_take_all_runtime.respond(example_graph_model(), np.zeros((1, 9), np.uint8))


# ---------------------------------------------------------------------------------------------------------------------
# From real numbers to codes
# ---------------------------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    quantizations(),
    st.booleans(),
    st.lists(st.one_of(st.floats(-20, 20), st.integers(-40, 40).map(lambda k: k / 8)), min_size=12, max_size=12),
    st.sampled_from([np.float32, np.float64]),
)
def test_real_numbers_are_encoded_as_rational_ones(
    quantization: ParameterQuantization, repeated: bool, values: list[float], kind: type
) -> None:
    coding = ValueCoding((3,), quantization, 2, repeated, False, 99)
    array: NDArray[np.floating] = np.array(values, kind).reshape((4, 3) if repeated else (2, 2, 3))
    codes = encode(coding, array, 7)
    assert codes.shape == array.shape
    for k, sample in enumerate(array):
        assert codes[k].ravel().tolist() == plain_graph.encode(coding, sample, 7 + k)


def test_tiny_negative_numbers_round_as_all_others() -> None:
    fmt = QFormat(3, 0)
    values = np.array([[-1e-300, -1e-20, 1e-300]])
    for rounding, expected in ((Rounding.TRUNCATION, [-1, -1, 0]), (Rounding.NEAREST, [0, 0, 0])):
        coding = ValueCoding((3,), ParameterQuantization(fmt, rounding), 1, True, False, 0)
        assert encode(coding, values).tolist() == [expected]
    coding = ValueCoding((3,), ParameterQuantization(fmt, Rounding.STOCHASTIC), 1, True, False, 0)
    assert encode(coding, values).tolist() == [plain_graph.encode(coding, values[0], 0)]


@pytest.mark.parametrize(
    ("values", "first", "error", "message"),
    [
        (np.zeros((1, 3), np.int64), 0, TypeError, "values"),
        (np.zeros((1, 4)), 0, ValueError, "values"),
        (np.full((1, 3), np.nan), 0, ValueError, "finite"),
        (np.zeros((1, 3)), -1, ValueError, "first_sample"),
    ],
)
def test_what_cannot_be_encoded_is_refused(
    values: np.ndarray, first: int, error: type[Exception], message: str
) -> None:
    coding = ValueCoding((3,), ParameterQuantization(QFormat(3, 0), Rounding.NEAREST), 1, True, False, 0)
    with pytest.raises(error, match=message):
        encode(coding, values, first)
