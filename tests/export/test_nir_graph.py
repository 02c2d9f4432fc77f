"""Primitives of NIR, run in floating point, against rational numbers and plain loops."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qspinn_optuna.export import NIRReader, nir_difference
from qspinn_optuna.export.nir import graph as nir_graph
from qspinn_optuna.export.nir.graph import PrimitiveGraph
from qspinn_optuna.export.nir.lowering import lower
from qspinn_optuna.export.nir.simulation import run
from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding
from qspinn_optuna.integer import (
    Codes,
    Constant,
    Graph,
    IntegerModel,
    LargestScore,
    MeanResponse,
    RateCoding,
    Reduction,
    Responses,
    ValueCoding,
    WinnerTakeAll,
    linear_chances,
    respond,
)
from qspinn_optuna.integer.arrays import Array
from qspinn_optuna.integer.operations import (
    Affine,
    Convolution,
    IntegrateAndFire,
    Linear,
    Operation,
    Pool,
    PoolKind,
    Reshape,
    Sum,
)
from tests.integer import plain_graph
from tests.integer.graphs import SLOW, SPIKES, Builder, coarse_formats, example_graph_model, random_inputs
from tests.integer.models import example_model, random_images

INTEGERS = QFormat(4, 0)
FINE = ParameterQuantization(QFormat(8, 15), Rounding.TRUNCATION)
"""Holds all digits of a few steps."""

AT_THRESHOLD = NIRReader(fires_at_threshold=True)


def coding_of(shape: tuple[int, ...], fmt: QFormat, steps: int) -> ValueCoding:
    return ValueCoding(shape, ParameterQuantization(fmt, Rounding.NEAREST), steps, False, False, 0)


def model_of(
    shape: tuple[int, ...],
    fmt: QFormat,
    operations: tuple[Operation, ...],
    source: str,
    constants: dict[str, Codes] | None = None,
    steps: int = 4,
) -> IntegerModel:
    graph = Graph(shape, fmt, tuple(Constant(name, own) for name, own in (constants or {}).items()), operations)
    return IntegerModel(coding_of(shape, fmt, steps), graph, LargestScore(source, Reduction.SUM), 0, 0)


def codes(values: object, fmt: QFormat = INTEGERS) -> Codes:
    return Codes(np.array(values), fmt)


def outputs(model: IntegerModel, inputs: NDArray[np.integer], reader: NIRReader = AT_THRESHOLD) -> NDArray[np.float64]:
    """What the node of the output gives, [steps, samples, classes]."""
    coding = model.coding
    assert isinstance(coding, ValueCoding)
    values = np.ldexp(inputs.astype(np.float64), -coding.quantization.format.fraction_bits)
    steps = [values if coding.repeated else values[:, t] for t in range(coding.steps)]
    return np.stack([step["output"] for step in run(lower(model), iter(steps), reader)])


def kinds(graph: PrimitiveGraph) -> list[str]:
    return sorted(node.kind for node in graph.nodes.values() if node.kind not in ("Input", "Output"))


# ---------------------------------------------------------------------------------------------------------------------
# Operations
# ---------------------------------------------------------------------------------------------------------------------

ANY = (Builder.offset, Builder.scale, Builder.power_of_two, Builder.sum, Builder.permutation, Builder.concatenation)
OF_IMAGES = (Builder.convolution, Builder.convolution, Builder.convolution, Builder.pool, Builder.pool, Builder.flat)


@st.composite
def unrounded_models(draw: st.DrawFn) -> IntegerModel:
    """Graphs of operations that do not round, on inputs of which some are 0 and 1."""
    shape = draw(st.sampled_from([(2, 3, 5), (1, 5, 4), (3, 4, 3), (4, 1, 6), (1, 1, 9), (3, 5), (7,)]))
    fmt = SPIKES if draw(st.booleans()) else draw(coarse_formats())
    builder = Builder(draw, 2, {"input": Array("input", shape, fmt.fraction_bits, fmt.min_code, fmt.max_code, 16)})
    x = "input"
    for _ in range(draw(st.integers(1, 4))):
        suited = {1: (Builder.linear,), 2: (Builder.linear,), 3: OF_IMAGES}[len(builder.arrays[x].shape)]
        x = draw(st.sampled_from((*ANY, Builder.delayed, *suited)))(builder, x)
    x = builder.flat(x)
    constants = tuple(Constant(name, values) for name, values in builder.constants.items())
    graph = Graph(shape, fmt, constants, tuple(builder.operations))
    return IntegerModel(coding_of(shape, fmt, 2), graph, LargestScore(x, Reduction.SUM), 0, 0)


def test_operations_that_do_not_round_are_the_same_in_nir() -> None:
    seen: set[str] = set()

    @settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=SLOW)
    @given(unrounded_models(), st.integers(0, 1000))
    def compare(model: IntegerModel, seed: int) -> None:
        graph = lower(model)
        if graph.deviations:  # The average for the largest of a window.
            return
        seen.update(kinds(graph))
        assert isinstance(model.readout, LargestScore)
        inputs = random_inputs(model, seed, 1)
        source = model.readout.source
        steps = plain_graph.respond(model, inputs[0], 0).steps
        expected = [[float(step[source][k]) for k in plain_graph.indices(step[source].shape)] for step in steps]
        np.testing.assert_allclose(outputs(model, inputs)[:, 0], expected, rtol=1e-12, atol=1e-12)

    compare()
    assert seen >= {"Affine", "Conv1d", "Conv2d", "Delay", "Flatten", "Linear", "Scale", "Threshold"}


@pytest.mark.parametrize("padding", [(0, 0), (1, 0), (0, 1)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (1, 3)])
def test_sums_of_windows_have_their_node(padding: tuple[int, int], stride: tuple[int, int]) -> None:
    kernel, whole = (2, 3), (5, 6)
    size = tuple((n + 2 * p - k) // s + 1 for n, p, k, s in zip(whole, padding, kernel, stride, strict=True))
    pool = Pool("pool", ("input",), PoolKind.SUM, kernel, stride, padding, size)  # type: ignore[arg-type]
    flat = Reshape("flat", ("pool",), (2 * size[0] * size[1],))
    model = model_of((2, *whole), INTEGERS, (pool, flat), "flat", steps=1)
    assert kinds(lower(model)) == ["Flatten", "SumPool2d"]
    inputs = random_inputs(model, 1, 2)
    (step,) = plain_graph.respond(model, inputs[1], 0).steps
    assert outputs(model, inputs)[0, 1].tolist() == list(step["flat"].values.values())


def test_the_largest_of_spikes_is_a_sum_above_half_a_spike() -> None:
    pool = Pool("pool", ("input",), PoolKind.MAX, (2, 2), (2, 2), (0, 0), (1, 2))
    flat = Reshape("flat", ("pool",), (2,))
    model = model_of((1, 2, 4), SPIKES, (pool, flat), "flat", steps=1)
    assert lower(model).deviations == ()
    assert kinds(lower(model)) == ["Flatten", "SumPool2d", "Threshold"]
    inputs = np.array([[[[[0, 0, 1, 0], [0, 0, 1, 1]]]], [[[[0, 1, 0, 0], [0, 0, 0, 0]]]]])
    assert outputs(model, inputs).tolist() == [[[0, 1], [1, 0]]]


def test_the_largest_of_halves_is_a_half() -> None:
    pool = Pool("pool", ("input",), PoolKind.MAX, (1, 3), (1, 1), (0, 0), (1, 2))
    halves = QFormat(0, 1, signed=False)
    model = model_of((1, 1, 4), halves, (pool, Reshape("flat", ("pool",), (2,))), "flat", steps=1)
    assert lower(model).deviations == ()
    assert outputs(model, np.array([[[[[0, 0, 0, 1]]]], [[[[0, 1, 1, 1]]]]])).tolist() == [[[0, 0.5], [0.5, 0.5]]]


@pytest.mark.parametrize("fmt", [INTEGERS, QFormat(2, 0, signed=False), QFormat(1, 0)])
def test_the_largest_of_other_values_becomes_the_average_and_the_export_says_so(fmt: QFormat) -> None:
    pool = Pool("pool", ("input",), PoolKind.MAX, (2, 2), (2, 2), (0, 0), (1, 1))
    model = model_of((1, 2, 2), fmt, (pool, Reshape("flat", ("pool",), (1,))), "flat", steps=1)
    assert lower(model).deviations == ("pool: the largest of a window; NIR has the average of it.",)
    assert kinds(lower(model)) == ["AvgPool2d", "Flatten"]
    assert outputs(model, np.array([[[[[1, 1], [0, 0]]]]])).item() == 0.5


def test_convolutions_keep_their_weights_where_nir_has_the_node() -> None:
    weight = codes(np.arange(-8, 8).reshape(4, 1, 2, 2), QFormat(1, 2))
    conv = Convolution("conv", ("input",), "weight", None, (1, 1), (0, 0), (1, 1), 2)
    model = model_of((2, 3, 3), INTEGERS, (conv, Reshape("flat", ("conv",), (16,))), "flat", {"weight": weight})
    node = lower(model).nodes["conv"]
    assert (node.kind, node.parameters["groups"], node.parameters["weight"].shape) == ("Conv2d", 1, (4, 2, 2, 2))
    values = weight.array / 4
    assert node.parameters["weight"][:2, 0].tolist() == values[:2, 0].tolist()
    assert node.parameters["weight"][2:, 1].tolist() == values[2:, 0].tolist()
    assert not node.parameters["weight"][:2, 1].any()
    assert not node.parameters["weight"][2:, 0].any()


def test_what_has_no_node_and_is_too_large_for_a_matrix_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = codes(np.ones((1, 1, 1, 3), np.int64))
    conv = Convolution("oblong", ("input",), "weight", None, (1, 1), (0, 0), (1, 1), 1)
    model = model_of((1, 3, 4), INTEGERS, (conv, Reshape("flat", ("oblong",), (6,))), "flat", {"weight": weight})
    assert kinds(lower(model)) == ["Flatten", "Linear"]
    monkeypatch.setattr(nir_graph, "MOST_WEIGHTS", 12 * 6 - 1)
    with pytest.raises(ValueError, match=r"operation 'oblong' .* 72 weights"):
        lower(model)


def test_constants_that_change_are_those_of_the_first_step_and_the_export_says_so() -> None:
    constants = {"scale": codes([[2], [3], [4], [5]]), "offset": codes([[1]])}
    model = model_of((1,), INTEGERS, (Affine("norm", ("input",), "scale", "offset", 0, 0),), "norm", constants)
    assert lower(model).deviations == ("norm: its constants change from step to step; NIR keeps those of the first.",)
    assert outputs(model, np.full((1, 4, 1), 3)).ravel().tolist() == [7, 7, 7, 7]


def test_only_what_scores_depend_on_has_nodes() -> None:
    idle = Linear("idle", ("input",), "weight", None)
    twice = Sum("twice", ("input", "input"), (1, 1))
    model = model_of((2,), INTEGERS, (idle, twice), "twice", {"weight": codes([[1, 2]])})
    assert kinds(lower(model)) == ["Scale"]
    assert outputs(model, np.array([[[1, 2]] * 4])).tolist() == [[[2, 4]]] * 4


# ---------------------------------------------------------------------------------------------------------------------
# Neurons
# ---------------------------------------------------------------------------------------------------------------------

DECAYS = QFormat(1, 3, signed=False)


def neuron_model(*, decays: bool, decays_input: bool = False, reset: int | None = 0, start: int = 0) -> IntegerModel:
    """Neurons whose membranes hold all digits, with decays 0, 1/2, 3/4, 7/8 and 3/2; they fire now and then."""
    neurons = IntegrateAndFire(
        "lif", ("input",), FINE, "threshold", "decay" if decays else None, decays_input, reset, start, 0, "lif.v"
    )
    constants = {"threshold": codes([3, 4, 5, 6, 4])}
    if decays:
        constants["decay"] = codes([0, 4, 6, 7, 12], DECAYS)
    return model_of((5,), INTEGERS, (neurons,), "lif", constants)


@pytest.mark.parametrize("reset", [None, 0, -(2**14)])
@pytest.mark.parametrize(("decays", "decays_input"), [(False, False), (True, False), (True, True)])
def test_a_step_of_euler_is_that_of_the_model_where_nothing_is_rounded(
    decays: bool, decays_input: bool, reset: int | None
) -> None:
    model = neuron_model(decays=decays, decays_input=decays_input, reset=reset)
    inputs = random_inputs(model, 3, 50)
    reader = NIRReader(fires_at_threshold=True, subtracts=reset is None)
    assert nir_difference(model, inputs, reader=reader) == 0
    if reset is None:
        assert nir_difference(model, inputs, reader=AT_THRESHOLD) > 0


def test_a_decay_of_one_is_a_very_slow_one() -> None:
    neurons = IntegrateAndFire("lif", ("input",), FINE, None, "decay", False, None, 0, 0, "lif.v")
    model = model_of((1,), INTEGERS, (neurons,), "lif.v", {"decay": codes([8], DECAYS)})
    np.testing.assert_allclose(outputs(model, np.full((1, 4, 1), 3)).ravel(), [3, 6, 9, 12], rtol=1e-6)


def test_membranes_are_those_of_neurons_that_do_not_spike_and_the_export_says_so() -> None:
    neurons = IntegrateAndFire("lif", ("input",), FINE, "threshold", None, False, 0, 0, 0, "lif.v")
    model = model_of((1,), INTEGERS, (neurons,), "lif.v", {"threshold": codes([4])})
    assert lower(model).deviations == ("lif: its membranes are read; NIR gives those of neurons that do not spike.",)
    assert kinds(lower(model)) == ["I"]
    assert outputs(model, np.full((1, 4, 1), 3)).ravel().tolist() == [3, 6, 9, 12]


def test_neurons_without_a_threshold_give_no_spikes() -> None:
    neurons = IntegrateAndFire("lif", ("input",), FINE, None, None, False, None, 0, 0, "lif.v")
    model = model_of((1,), INTEGERS, (neurons, Sum("both", ("lif", "lif.v"), (1, 1))), "both")
    assert outputs(model, np.full((1, 4, 1), 3)).ravel().tolist() == [3, 6, 9, 12]


def test_what_neurons_lose_is_said() -> None:
    told = lower(neuron_model(decays=False, reset=None, start=2**14)).deviations
    assert told == (
        "lif: a spike takes the threshold from its membrane; NIR resets it to 0.",
        "lif: membranes start at 0.5; NIR starts none elsewhere than at 0.",
    )
    assert lower(neuron_model(decays=True)).deviations == ()


# ---------------------------------------------------------------------------------------------------------------------
# The share of spikes that differ
# ---------------------------------------------------------------------------------------------------------------------


def counting_model(reset: int | None) -> IntegerModel:
    neurons = IntegrateAndFire("if", ("input",), FINE, "threshold", None, False, reset, 0, 0, "if.v")
    return model_of((1,), INTEGERS, (neurons,), "if", {"threshold": codes([2])}, steps=6)


@pytest.mark.parametrize(
    ("reset", "reader", "share"),
    [
        # Ones are added up to a threshold of 2. The model fires at steps 1, 3, 5; what fires above, at 2 and 5.
        (0, NIRReader(), Fraction(3, 4)),
        (0, AT_THRESHOLD, Fraction(0)),
        # By subtraction, what fires above keeps 1 and fires at 2, 4.
        (None, NIRReader(subtracts=True), Fraction(5, 5)),
    ],
)
def test_the_share_is_of_all_spikes_of_either(reset: int | None, reader: NIRReader, share: Fraction) -> None:
    assert nir_difference(counting_model(reset), np.ones((1, 6, 1), np.int64), reader=reader) == share


def test_no_spikes_do_not_differ_and_no_neurons_are_refused() -> None:
    assert nir_difference(counting_model(0), np.zeros((1, 6, 1), np.int64)) == 0
    model = model_of((1,), INTEGERS, (Sum("twice", ("input", "input"), (1, 1)),), "twice")
    with pytest.raises(ValueError, match="neurons that fire"):
        nir_difference(model, np.ones((1, 4, 1), np.int64))


@pytest.mark.parametrize("wrong", [lambda: np.ones((1, 5, 1), np.int64), lambda: np.ones((1, 6, 1))])
def test_samples_that_do_not_fit_are_refused(wrong: Callable[[], NDArray[np.int64]]) -> None:
    with pytest.raises((TypeError, ValueError), match="inputs"):
        nir_difference(counting_model(0), wrong())


def test_inhibition_arrives_a_step_later_and_has_decayed_once() -> None:
    # Never two neurons reach their thresholds at one step here, and spikes depend on the inhibition and its decay.
    layer = WinnerTakeAll(
        weight=codes([[2, 3]]),
        scale=codes([2, 1]),
        theta=codes([7, 6]),
        decay=codes([6], DECAYS),
        membrane=ParameterQuantization(QFormat(6, 17), Rounding.TRUNCATION),
        threshold=2**17,
        reset=2**15,
        inhibition=5 * 2**15,
        refractory_steps=0,
    )
    coding = RateCoding(linear_chances(1.0), 8, 1, np.array([0]))
    model = IntegerModel(coding, layer, MeanResponse(np.array([0, 1]), 2), seed=3, first_sample=7)
    always = np.full((3, 1), 255, np.uint8)
    responses = respond(model, always)
    assert isinstance(responses, Responses)
    assert (responses.counts > 0).all()
    inhibition = lower(model).nodes["inhibition"].parameters["weight"]
    assert inhibition.tolist() == [[0, -15 / 16], [-15 / 16, 0]]
    assert nir_difference(model, always, reader=AT_THRESHOLD) == 0


def test_one_neuron_alone_is_the_same() -> None:
    layer = WinnerTakeAll(
        weight=codes([[3], [1]]),
        scale=None,
        theta=codes([2]),
        decay=codes([6], DECAYS),
        membrane=ParameterQuantization(QFormat(8, 15), Rounding.TRUNCATION),
        threshold=2 * 2**15,
        reset=2**13,
        inhibition=0,
        refractory_steps=0,
    )
    coding = RateCoding(linear_chances(0.5), 6, 2, np.array([0, 1]))
    model = IntegerModel(coding, layer, MeanResponse(np.array([0]), 1), seed=3, first_sample=7)
    images = np.full((40, 2), 255, np.uint8)
    assert nir_difference(model, images, reader=AT_THRESHOLD) == 0
    assert nir_difference(model, images) > 0
    assert nir_difference(model, images, 1000, reader=AT_THRESHOLD) == 0


def test_examples_differ_by_a_share() -> None:
    assert 0 < nir_difference(example_model(), random_images(1, 20)) < 1
    assert 0 < nir_difference(example_graph_model(), random_inputs(example_graph_model(), 1, 20)) < 1
