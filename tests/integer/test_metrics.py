"""NeuroBench's metrics against counting one by one, in plain loops over rational numbers."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qspinn_optuna.integer import Codes, IntegerModel, measure
from qspinn_optuna.integer.graph import Graph
from qspinn_optuna.integer.operations import Convolution, IntegrateAndFire, Linear
from tests.integer import plain_graph, plain_model
from tests.integer.graphs import SLOW, example_graph_model, graph_models, random_inputs
from tests.integer.models import example_model, layer_of, models, random_images


def sums_of_ones(operation: Linear | Convolution, x: plain_graph.Tensor, weight: plain_graph.Tensor) -> tuple[int, int]:
    """Products of what is there, and of these the ones of which no factor is 0."""
    there = effective = 0
    if isinstance(operation, Linear):
        for *rest, i in plain_graph.indices(x.shape):
            for o in range(weight.shape[0]):
                there += 1
                effective += bool(x[*rest, i]) and bool(weight[o, i])
        return there, effective
    filters, seen, *kernel = weight.shape
    starts = [
        range(-pad, size + pad - distance * (width - 1), stride)
        for pad, size, distance, width, stride in zip(
            operation.padding, x.shape[1:], operation.dilation, kernel, operation.stride, strict=True
        )
    ]
    for f, c, m, n in plain_graph.indices(weight.shape):
        channel = f // (filters // operation.groups) * seen + c
        for top in starts[0]:
            for left in starts[1]:
                place = (channel, top + m * operation.dilation[0], left + n * operation.dilation[1])
                there += place in x.values
                effective += bool(x[place]) and bool(weight[f, c, m, n])
    return there, effective


def test_operations_and_spikes_of_graphs_are_those_counted_one_by_one() -> None:
    kinds: set[tuple[type, bool]] = set()

    @settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=SLOW)
    @given(graph_models(), st.integers(0, 2**16))
    def compare(model: IntegerModel, seed: int) -> None:
        graph = model.network
        assert isinstance(graph, Graph)
        inputs = random_inputs(model, seed, 2)
        runs = [plain_graph.respond(model, one, model.first_sample + k) for k, one in enumerate(inputs)]
        found = measure(model, inputs)
        layers = [o for o in graph.operations if isinstance(o, Linear | Convolution)]
        assert [one.name for one in found.synapses] == [layer.name for layer in layers]
        for layer, one in zip(layers, found.synapses, strict=True):
            weight = runs[0].constant(layer.weight)
            counted = [sums_of_ones(layer, arrays[layer.sources[0]], weight) for run in runs for arrays in run.steps]
            assert one.dense * len(runs) == sum(there for there, _ in counted)
            assert Fraction(one.effective) * len(runs) == sum(effective for _, effective in counted)
            assert (one.weights, one.zeros) == (len(weight.values), list(weight.values.values()).count(Fraction(0)))
            source = [arrays[layer.sources[0]] for run in runs for arrays in run.steps]
            if one.accumulates:
                assert len({abs(value) for array in source for value in array.values.values()} - {0}) <= 1
            kinds.add((type(layer), one.accumulates))
        firing = [o for o in graph.operations if isinstance(o, IntegrateAndFire) and o.threshold is not None]
        spikes = {o.name: sum(sum(a[o.name].values.values()) for run in runs for a in run.steps) for o in firing}
        assert {one.name: one.spikes * len(runs) for one in found.activities} == spikes
        elements = sum(one.neurons for one in found.activities) * model.coding.steps * len(runs)
        silent = 1 - float(sum(spikes.values())) / elements if elements else 0.0
        assert found.activation_sparsity == pytest.approx(silent)
        assert found.dense == sum(one.dense for one in found.synapses)
        effective_sum = sum(one.effective for one in found.synapses)
        assert found.effective_acs + found.effective_macs == pytest.approx(effective_sum)

    compare()
    assert kinds == {(kind, accumulates) for kind in (Linear, Convolution) for accumulates in (False, True)}


def test_operations_and_spikes_of_neurons_that_compete_are_those_counted_one_by_one() -> None:
    @settings(max_examples=30, deadline=None, derandomize=True)
    @given(models())
    def compare(model: IntegerModel) -> None:
        images = random_images(2, 3)
        weights = layer_of(model).weight.array.tolist()
        effective = spikes = 0
        for k, image in enumerate(images.tolist()):
            number = model.first_sample + k
            for row in plain_model.encode(model, image, number):
                effective += sum(weight != 0 for i, spike in enumerate(row) if spike for weight in weights[i])
            spikes += sum(winner >= 0 for winner in plain_model.respond(model, image, number).winners)
        found = measure(model, images)
        (synapses,), (activity,) = found.synapses, found.activities
        neurons, steps = layer_of(model).neurons, model.coding.steps
        assert synapses.effective * len(images) == pytest.approx(effective)
        assert (synapses.dense, synapses.accumulates) == (steps * len(weights) * neurons, True)
        assert activity.spikes * len(images) == pytest.approx(spikes)
        assert activity.rate == pytest.approx(spikes / (len(images) * neurons * steps))
        assert activity.sparsity == pytest.approx(1 - activity.rate)
        zeros = sum(weight == 0 for row in weights for weight in row)
        assert found.connection_sparsity == pytest.approx(zeros / (len(weights) * neurons))
        assert (found.effective_macs, found.effective_acs) == (0, synapses.effective)

    compare()


def test_the_footprint_counts_every_width_as_it_is() -> None:
    model = example_model()
    # 6 x 4 weights of 3 bits, 4 scales of 5, 4 thresholds of 5, a decay of 8, 4 labels of 2, 9 pixels' mask.
    constants = 72 + 20 + 20 + 8 + 8 + 9
    # 4 membranes of 10 bits, the numbers of 2 refractory neurons of 3 bits.
    state = 40 + 6
    assert measure(model, random_images(1, 1)).footprint == (constants + state) / 8


def test_weights_that_layers_share_are_one_connection_matrix() -> None:
    model = example_graph_model()
    found = measure(model, random_inputs(model, 1, 1))
    assert found.connection_sparsity == sum(one.zeros for one in found.synapses) / (36 + 108 + 9)
    twice = [*found.synapses, *found.synapses]
    shared = type(found)(1, 0, 0, tuple(twice), found.activities)
    assert shared.connection_sparsity == found.connection_sparsity
    assert shared.dense == 2 * found.dense


def test_samples_in_batches_are_those_of_one_run() -> None:
    model = example_graph_model()
    inputs = random_inputs(model, 4, 35)
    whole = measure(model, inputs)
    bounds = [0, 10, 35]
    parts = [measure(model, inputs[a:b], model.first_sample + a).effective_acs * (b - a) for a, b in pairwise(bounds)]
    assert whole.effective_acs * 35 == pytest.approx(sum(parts))
    assert whole.samples == 35


def test_no_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        measure(example_model(), random_images(1, 1)[:0])
    with pytest.raises(TypeError, match="uint8"):
        measure(example_model(), random_images(1, 1).astype(np.int64))


def test_a_silent_network_is_wholly_sparse() -> None:
    model = example_model()
    layer = layer_of(model)
    none = Codes(np.zeros_like(layer.weight.array), layer.weight.format)
    silent = replace(model, network=replace(layer, weight=none))
    found = measure(silent, random_images(1, 4))
    assert (found.connection_sparsity, found.activation_sparsity, found.effective_acs) == (1, 1, 0)
