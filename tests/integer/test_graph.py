"""What a graph says of itself, and what is no graph."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding
from qspinn_optuna.integer import (
    Codes,
    Constant,
    Graph,
    IntegerModel,
    LargestScore,
    MeanResponse,
    Purpose,
    Reduction,
    ValueCoding,
    files,
)
from qspinn_optuna.integer.operations import (
    Affine,
    Concatenation,
    Convolution,
    Delay,
    IntegrateAndFire,
    Linear,
    Offset,
    Operation,
    Permutation,
    Pool,
    PoolKind,
    PowerOfTwo,
    Requantization,
    Reshape,
    Scale,
    Sum,
)
from tests.integer.graphs import SLOW, SPIKES, example_graph_model, graph_models
from tests.integer.models import example_model
from tests.integer.test_files import rewrite

BYTE = QFormat(0, 8, signed=False)
PIXELS = ParameterQuantization(BYTE, Rounding.NEAREST)
MEMBRANE = ParameterQuantization(QFormat(3, 4), Rounding.NEAREST)


def codes(values: Any, fmt: QFormat) -> Codes:
    return Codes(np.array(values), fmt)


def graph_of(*operations: Operation, shape: tuple[int, ...] = (2,), fmt: QFormat = BYTE, **constants: Codes) -> Graph:
    named = tuple(Constant(name, values) for name, values in constants.items())
    return Graph(shape, fmt, named, operations)


def neurons(**changes: Any) -> IntegrateAndFire:
    arguments = {
        "name": "spikes",
        "sources": ("input",),
        "membrane": MEMBRANE,
        "threshold": None,
        "decay": None,
        "decays_input": False,
        "reset": None,
        "start": 0,
        "key": 1,
        "membrane_name": "v",
    }
    return IntegrateAndFire(**{**arguments, **changes})


# ---------------------------------------------------------------------------------------------------------------------
# What is known of arrays
# ---------------------------------------------------------------------------------------------------------------------


def test_outputs_of_layers_are_bounded_by_their_own_weights() -> None:
    """By the corners: every input at either end, of the one output and the other."""
    weights, biases = [[3, -2, 0], [-4, -1, 1]], [5, -6]
    graph = graph_of(
        Linear("sums", ("input",), "w", "b"),
        shape=(3,),
        fmt=QFormat(1, 1),
        w=codes(weights, QFormat(1, 3)),
        b=codes(biases, QFormat(3, 1)),
    )
    corners = list(product([-4, 3], repeat=3))
    # A product has 4 fraction bits, and a bias 1.
    totals = [
        sum(w * x for w, x in zip(row, corner, strict=True)) + 8 * bias
        for row, bias in zip(weights, biases, strict=True)
        for corner in corners
    ]
    array = graph.array("sums")
    assert (array.shape, array.fraction_bits) == ((2,), 4)
    assert (array.low, array.high, array.width) == (min(totals), max(totals), 8)


def test_a_sum_that_falls_back_needs_the_width_of_what_it_passes() -> None:
    weight = codes([[127, -127]], QFormat(0, 7))
    graph = graph_of(Linear("sums", ("input",), "w", None), fmt=SPIKES, w=weight)
    assert graph.array("sums").width == 8
    graph = graph_of(Linear("sums", ("input",), "w", "b"), fmt=SPIKES, w=weight, b=codes([-127], QFormat(0, 7)))
    assert (graph.array("sums").low, graph.array("sums").high, graph.array("sums").width) == (-254, 0, 16)
    up_and_down = graph_of(Sum("sum", ("input", "input", "input"), (1, 1, -1)), fmt=QFormat(7, 0, signed=False))
    assert (up_and_down.array("sum").low, up_and_down.array("sum").high, up_and_down.array("sum").width) == (
        -127,
        254,
        16,
    )


def test_arrays_have_the_finest_grid_of_what_they_are_made_of() -> None:
    graph = graph_of(
        Scale("product", ("input",), "factor"),
        PowerOfTwo("half", ("product",), -1),
        Sum("sum", ("half", "input"), (1, -1)),
        Offset("raised", ("input",), "factor"),
        Concatenation("both", ("sum", "raised"), 0),
        Permutation("same", ("both",), (0,)),
        Reshape("matrix", ("same",), (2, 2)),
        factor=codes([3], QFormat(0, 10, signed=False)),
    )
    bits = {array.name: array.fraction_bits for array in graph.arrays}
    assert bits == {
        "input": 8, "product": 18, "half": 19, "sum": 19, "raised": 10, "both": 19, "same": 19, "matrix": 19,
    }  # fmt: skip
    assert graph.array("product").interval == (0, 3 * 255)
    assert graph.array("sum").interval == (-255 << 11, 3 * 255)
    assert graph.array("raised").interval == (3, 255 * 4 + 3)
    assert graph.array("both").interval == (-255 << 11, (255 * 4 + 3) << 9)
    assert graph.array("matrix").shape == (2, 2)


def test_pools_keep_a_range_or_multiply_it() -> None:
    for kind, low, high in ((PoolKind.MAX, -8, 7), (PoolKind.SUM, -48, 42)):
        pool = Pool("pool", ("input",), kind, (2, 3), (2, 2), (0, 1), (3, 2))
        graph = graph_of(pool, shape=(1, 5, 4), fmt=QFormat(3, 0))
        assert graph.array("pool").shape == (1, 3, 2)
        assert graph.array("pool").interval == (low, high)


def test_shapes_of_convolutions_are_those_of_torch() -> None:
    convolution = Convolution("conv", ("input",), "w", None, (2, 1), (1, 0), (1, 2), 2)
    weight = codes(np.ones((4, 1, 3, 2), int), QFormat(1, 0, signed=False))
    graph = graph_of(convolution, shape=(2, 6, 5), fmt=SPIKES, w=weight)
    assert graph.array("conv").shape == (4, 3, 3)
    assert graph.array("conv").interval == (0, 6)


def test_what_is_stored_has_the_range_of_its_format_or_less() -> None:
    coarse = ParameterQuantization(QFormat(0, 2, signed=False), Rounding.NEAREST)
    graph = graph_of(
        Requantization("narrow", ("input",), coarse, None, 0),
        Requantization("wide", ("input",), ParameterQuantization(QFormat(4, 8), Rounding.NEAREST), None, 0),
        Affine("affine", ("wide",), "scale", "offset", 0, 4),
        scale=codes([[2, 1]], QFormat(3, 0)),
        offset=codes([[-1, 2]], QFormat(3, 0)),
    )
    assert graph.array("narrow").interval == (0, 3)
    assert graph.array("wide").interval == (0, 255)
    # 2 x - 1 and x + 2 of x below 1, up to 3 in sixteenths; what is just below may be rounded up.
    assert graph.array("affine").interval == (-16, 48)
    assert graph.accumulator("affine", Purpose.ROUNDED).fraction_bits == 8


def test_charged_membranes_are_as_wide_as_their_terms() -> None:
    graph = graph_of(neurons(), fmt=QFormat(3, 4))
    # 127 + 127, with nothing to round.
    charged = graph.accumulator("spikes", Purpose.CHARGED)
    assert (charged.low, charged.high, charged.fraction_bits, charged.width) == (-256, 254, 4, 16)
    with pytest.raises(ValueError, match="compared"):
        graph.accumulator("spikes", Purpose.COMPARED)
    leaky = graph_of(
        neurons(decay="d", threshold="t", reset=16, decays_input=True),
        fmt=QFormat(3, 4),
        d=codes([12], QFormat(0, 4, signed=False)),
        t=codes([3], QFormat(2, 9, signed=False)),
    )
    # 12 v + 4 (16 + x), and 15 to round.
    charged = leaky.accumulator("spikes", Purpose.CHARGED)
    assert (charged.fraction_bits, charged.width) == (8, 16)
    assert (charged.low, charged.high) == (-12 * 128 - 4 * 128, 12 * 127 + 4 * (16 + 127) + 15)
    compared = leaky.accumulator("spikes", Purpose.COMPARED)
    assert (compared.fraction_bits, compared.high) == (9, 2 * (12 * 127 + 4 * (16 + 127)))


def test_soft_resets_are_exact_on_the_grid_of_the_threshold() -> None:
    threshold = codes([-3], QFormat(2, 9))
    soft = graph_of(neurons(threshold="t"), fmt=QFormat(3, 4), t=threshold).accumulator("spikes", Purpose.CHARGED)
    hard = graph_of(neurons(threshold="t", reset=0), fmt=QFormat(3, 4), t=threshold).accumulator(
        "spikes", Purpose.CHARGED
    )
    assert (soft.fraction_bits, hard.fraction_bits) == (9, 4)
    # A negative threshold raises what it is taken from.
    assert soft.high == (254 << 5) + 3 + 31


@pytest.mark.parametrize("name", ["accumulator", "array"])
def test_what_is_not_there_is_said(name: str) -> None:
    graph = example_graph_model().network
    assert isinstance(graph, Graph)
    with pytest.raises(ValueError, match="nothing"):
        getattr(graph, name)("nothing", *([Purpose.CHARGED] if name == "accumulator" else []))


# ---------------------------------------------------------------------------------------------------------------------
# What is no graph
# ---------------------------------------------------------------------------------------------------------------------

ONE = codes([1], QFormat(1, 0))
ROW = codes([[1, 1]], QFormat(1, 0))
IMAGE = (4, 5, 5)
KERNEL = codes(np.ones((4, 2, 3, 3), int), QFormat(1, 0))
HUGE = codes([2**24 - 1], QFormat(24, 0, signed=False))


def convolution(**changes: Any) -> Convolution:
    arguments = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 2, **changes}
    return Convolution("conv", ("input",), "w", None, **arguments)


def pool(**changes: Any) -> Pool:
    arguments = {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0), "size": (2, 2), **changes}
    return Pool("pool", ("input",), PoolKind.MAX, **arguments)


def delayed(fmt: QFormat = SPIKES, source: str = "spikes") -> tuple[Operation, ...]:
    return Delay("before", (source,), (2,), fmt), neurons(sources=("before",))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: graph_of(Reshape("a", ("b",), (2,))), "'b'"),
        (lambda: graph_of(Reshape("a", ("a",), (2,))), "'a'"),
        (lambda: graph_of(Reshape("a", ("b",), (2,)), Reshape("b", ("input",), (2,))), "'b'"),
        (lambda: graph_of(Reshape("input", ("input",), (2,))), "'input' twice"),
        (lambda: graph_of(neurons(), Reshape("v", ("input",), (2,))), "'v' twice"),
        (lambda: graph_of(Scale("a", ("input",), "f")), "missing"),
        (lambda: graph_of(Reshape("a", ("input",), (2,)), f=ONE), r"\['f'\] are not"),
        (lambda: Graph((2,), BYTE, (Constant("f", ONE),) * 2, (Scale("a", ("input",), "f"),)), "twice"),
        (lambda: graph_of(Reshape("a", ("input",), (3,))), "3 values"),
        (lambda: graph_of(Permutation("a", ("input",), (1, 0))), "2 dimensions"),
        (lambda: graph_of(Linear("a", ("input",), "w", None), shape=(3,), w=ROW), "2 values"),
        (lambda: graph_of(Linear("a", ("input",), "w", None), w=ONE), "weight"),
        (lambda: graph_of(Linear("a", ("input",), "w", "b"), w=ROW, b=codes([1, 1], QFormat(1, 0))), "bias"),
        (lambda: graph_of(convolution(), shape=(3, 5, 5), w=KERNEL), r"\[4, height, width\]"),
        (lambda: graph_of(convolution(), shape=(4, 25), w=KERNEL), r"\[4, height, width\]"),
        (lambda: graph_of(convolution(dilation=(3, 1)), shape=IMAGE, w=KERNEL), "windows"),
        (lambda: graph_of(convolution(groups=3), shape=(6, 5, 5), w=KERNEL), "groups"),
        (lambda: graph_of(pool()), "height"),
        (lambda: graph_of(pool(size=(4, 2)), shape=IMAGE), "window"),
        (lambda: graph_of(pool(padding=(0, 2)), shape=IMAGE), "window"),
        (lambda: graph_of(Reshape("a", ("input",), (2, 1)), Sum("b", ("input", "a"), (1, 1))), r"\(2,\)"),
        (lambda: graph_of(Reshape("a", ("input",), (2, 1)), Concatenation("b", ("input", "a"), 0)), r"\(2,\)"),
        (lambda: graph_of(Concatenation("b", ("input", "input"), 1)), "dimension 1"),
        (lambda: graph_of(Scale("a", ("input",), "f"), f=codes([1, 1, 1], QFormat(1, 0))), "factor"),
        (lambda: graph_of(Offset("a", ("input",), "f"), f=ROW), "offset"),
        (lambda: graph_of(Affine("a", ("input",), "f", "g", 1, 4), f=ROW, g=ROW), "dimension 1"),
        (lambda: graph_of(Affine("a", ("input",), "f", "g", 0, 4), f=ROW, g=codes([[1]], QFormat(1, 0))), "offset"),
        (
            lambda: graph_of(
                Affine("a", ("input",), "f", "g", 0, 4),
                f=codes(np.ones((2, 2), int), QFormat(1, 0)),
                g=codes(np.ones((3, 2), int), QFormat(1, 0)),
            ),
            "same steps",
        ),
        (lambda: graph_of(neurons(threshold="t"), t=codes([1, 1, 1], QFormat(1, 0))), "threshold"),
        (lambda: graph_of(neurons(decay="d"), d=codes([1], QFormat(3, -1))), "decay"),
        (lambda: graph_of(neurons(decay="d"), d=codes([1], QFormat(-60, 70))), "bits"),
        (lambda: graph_of(Delay("before", ("input",), (3,), BYTE)), "shape"),
        (lambda: graph_of(*delayed(source="v")), "format"),
        (lambda: graph_of(*delayed(QFormat(3, 3), source="v")), "format"),
        (lambda: graph_of(*delayed(QFormat(2, 4), source="v")), "format"),
        (lambda: graph_of(*delayed(source="w")), "'w'"),
        (
            lambda: graph_of(
                Scale("a", ("input",), "f"), Scale("b", ("a",), "f"), Scale("c", ("b",), "f"), f=HUGE
            ),
            "'c' cannot be computed: accumulators",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Reshape("", ("input",), (2,)), ValueError, "name"),
        (lambda: Reshape("a", "input", (2,)), TypeError, "sources"),  # type: ignore[arg-type]
        (lambda: Reshape("a", ("input", "input"), (2,)), ValueError, "sources"),
        (lambda: Sum("a", (), ()), ValueError, "sources"),
        (lambda: Reshape("a", ("input",), (0,)), ValueError, "shape"),
        (lambda: Reshape("a", ("input",), [2]), TypeError, "shape"),  # type: ignore[arg-type]
        (lambda: Linear("a", ("input",), "", None), ValueError, "weight"),
        (lambda: Linear("a", ("input",), "w", 3), TypeError, "bias"),  # type: ignore[arg-type]
        (lambda: convolution(stride=(0, 1)), ValueError, "stride"),
        (lambda: convolution(padding=(-1, 1)), ValueError, "padding"),
        (lambda: convolution(dilation=(1,)), ValueError, "dilation"),
        (lambda: convolution(groups=0), ValueError, "groups"),
        (lambda: pool(kernel=(0, 1)), ValueError, "kernel"),
        (lambda: pool(size=(0, 1)), ValueError, "size"),
        (lambda: Pool("a", ("input",), "mean", (1, 1), (1, 1), (0, 0), (1, 1)), ValueError, "mean"),  # type: ignore[arg-type]
        (lambda: Sum("a", ("input",), (0,)), ValueError, "signs"),
        (lambda: Sum("a", ("input",), (1, 1)), ValueError, "signs"),
        (lambda: Permutation("a", ("input",), (0, 0)), ValueError, "order"),
        (lambda: Concatenation("a", ("input",), -1), ValueError, "axis"),
        (lambda: PowerOfTwo("a", ("input",), 0.5), TypeError, "exponent"),  # type: ignore[arg-type]
        (lambda: Affine("a", ("input",), "s", "", 0, 4), ValueError, "offset"),
        (lambda: Requantization("a", ("input",), MEMBRANE, -1, 0), ValueError, "finer_bits"),
        (lambda: Requantization("a", ("input",), MEMBRANE, None, 2**64), ValueError, "key"),
        (lambda: Requantization("a", ("input",), BYTE, None, 0), TypeError, "to"),  # type: ignore[arg-type]
        (lambda: Delay("a", ("input",), (2,), MEMBRANE), TypeError, "format"),  # type: ignore[arg-type]
        (lambda: neurons(decays_input=True), ValueError, "decay"),
        (lambda: neurons(reset=128), ValueError, "reset"),
        (lambda: neurons(start=-129), ValueError, "start"),
        (lambda: neurons(membrane_name="spikes"), ValueError, "membrane_name"),
        (lambda: neurons(key=-1), ValueError, "key"),
        (lambda: Graph((2,), BYTE, [], ()), TypeError, "constants"),  # type: ignore[arg-type]
        (lambda: Graph((2,), BYTE, (), (Constant("f", ONE),)), TypeError, "operations"),  # type: ignore[arg-type]
        (lambda: Graph((0,), BYTE, (), ()), ValueError, "input_shape"),
        (lambda: Graph((2,), MEMBRANE, (), ()), TypeError, "input_format"),  # type: ignore[arg-type]
        (lambda: Graph((2,), BYTE, (), (Operation("a", ("input",)),)), TypeError, "Operation"),
        (lambda: ValueCoding((2,), BYTE, 1, True, True, 0), TypeError, "quantization"),  # type: ignore[arg-type]
        (lambda: ValueCoding((2,), MEMBRANE, 0, True, True, 0), ValueError, "steps"),
        (lambda: ValueCoding((2,), MEMBRANE, 1, 1, True, 0), TypeError, "repeated"),  # type: ignore[arg-type]
        (lambda: LargestScore("a", "mean"), ValueError, "mean"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_what_is_no_operation_is_refused(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


# ---------------------------------------------------------------------------------------------------------------------
# As a model
# ---------------------------------------------------------------------------------------------------------------------


def test_memory_is_constants_once_and_what_is_kept() -> None:
    model = example_graph_model()
    # Weights, biases, thresholds and a decay, at their widths.
    assert model.constant_bits == 4 * 9 * 4 + 4 * 7 + 5 + 4 + 3 * 36 * 4 + 3 * 3 * 4 + 3 * 5
    # The input, two layers of membranes, and spikes of the step before.
    assert model.state_bits == 72 * 8 + 144 * 8 + 3 * 8 + 3 * 1
    assert model.classes == 3
    coding = model.coding
    assert isinstance(coding, ValueCoding)
    assert replace(model, coding=replace(coding, held=False)).state_bits == model.state_bits - 72 * 8
    shared = graph_of(
        Scale("a", ("input",), "f"),
        Scale("b", ("a",), "f"),
        Requantization("c", ("b",), MEMBRANE, 8, 0),
        f=codes([1], QFormat(3, 0)),
    )
    assert (shared.constant_bits, shared.state_bits) == (4, 2 * 8)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"coding": example_model().coding}, TypeError, "coding"),
        ({"readout": MeanResponse(np.array([0, 1]), 2)}, TypeError, "readout"),
        ({"network": example_model().network}, TypeError, "coding"),
        ({"network": None}, TypeError, "network"),
        ({"readout": LargestScore("nothing", Reduction.SUM)}, ValueError, "nothing"),
        ({"readout": LargestScore("lif1", Reduction.SUM)}, ValueError, "source"),
        ({"coding": ValueCoding((2, 6, 5), PIXELS, 5, True, True, 0)}, ValueError, "coding"),
        ({"coding": ValueCoding((2, 6, 6), MEMBRANE, 5, True, True, 0)}, ValueError, "coding"),
    ],
)  # fmt: skip
def test_parts_that_do_not_go_together_are_refused(
    changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        replace(example_graph_model(), **changes)


def test_constants_of_steps_are_as_many_as_there_are_steps() -> None:
    graph = graph_of(Affine("a", ("input",), "s", "o", 0, 4), s=codes(np.ones((3, 2), int), QFormat(1, 0)), o=ROW)
    readout = LargestScore("a", Reduction.SUM)
    assert IntegerModel(ValueCoding((2,), PIXELS, 3, True, True, 0), graph, readout, 0, 0).classes == 2
    with pytest.raises(ValueError, match="3 steps"):
        IntegerModel(ValueCoding((2,), PIXELS, 4, True, True, 0), graph, readout, 0, 0)


def test_scores_are_summed_in_an_accumulator_of_their_own() -> None:
    model = example_graph_model()
    graph, readout = model.network, model.readout
    assert isinstance(graph, Graph)
    assert isinstance(readout, LargestScore)
    assert readout.scores(graph, 5).interval == (0, 5)
    assert readout.scores(graph, 200).width == 16
    last = LargestScore("lif2.v", Reduction.LAST).scores(graph, 200)
    assert (last.interval, last.width, last.fraction_bits) == ((-128, 127), 8, 4)


def test_any_graph_is_the_same_after_save_and_load(tmp_path: Path) -> None:
    @settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=SLOW)
    @given(graph_models())
    def compare(model: IntegerModel) -> None:
        model.save(tmp_path / "any", overwrite=True)
        loaded = IntegerModel.load(tmp_path / "any")
        assert loaded == model
        assert type(getattr(loaded.readout, "reduction", None)) is Reduction

    compare()


@pytest.mark.parametrize(("field", "value"), [("width", 64), ("high", 6000), ("fraction_bits", 12)])
def test_what_a_graph_derives_is_checked_when_it_is_loaded(tmp_path: Path, field: str, value: int) -> None:
    example_graph_model().save(tmp_path / "model")
    rewrite(tmp_path / "model", lambda document: document["node"]["network"]["arrays"][1].update({field: value}))
    with pytest.raises(ValueError, match=f"'conv'.*{field}={value}") as refusal:
        IntegerModel.load(tmp_path / "model")
    assert len(str(refusal.value)) < 500 + len(str(tmp_path))


def test_enumerations_are_written_by_their_values(tmp_path: Path) -> None:
    example_graph_model().save(tmp_path / "model")
    node = json.loads((tmp_path / "model" / files.DOCUMENT).read_text())["node"]
    assert node["readout"]["reduction"] == "sum"
    assert node["network"]["operations"][2]["kind"] == "max"
    assert node["network"]["operations"][8]["reset"] is None
