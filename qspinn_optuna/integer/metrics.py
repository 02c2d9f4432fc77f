"""The metrics of NeuroBench that do not depend on a device, of integer models.

Their source is J. Yik et al., "The NeuroBench framework for benchmarking neuromorphic computing algorithms and
systems", Nature Communications 16, 1545 (2025). Biases, pools, and what normalizes or requantizes are no synapses
there, nor here; neither is the inhibition of neurons that compete, which has no stored weights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.integer import graph_runtime, winner_take_all_runtime
from qspinn_optuna.integer.arrays import Array
from qspinn_optuna.integer.coding import RateCoding, ValueCoding
from qspinn_optuna.integer.graph import Graph
from qspinn_optuna.integer.model import IntegerModel
from qspinn_optuna.integer.operations import Convolution, IntegrateAndFire, Linear
from qspinn_optuna.integer.runtime import respond
from qspinn_optuna.integer.winner_take_all import WinnerTakeAll

LAYER = "neurons"
"""Name of a layer of neurons that compete."""

_BATCH = 16
"""Samples whose arrays are held at a time."""


@dataclass(frozen=True)
class Synapses:
    """Connections of a layer, and what they compute.

    Example:
        >>> synapses = measure(model, codes).synapses[0]
        >>> synapses.weights, synapses.dense
        (128, 1280)

    Args:
        name: Of the layer.
        weight: Name of the weights, which several layers may share.
        weights: Number of weights.
        zeros: Weights that are 0.
        dense: Operations a sample, all steps together, if zeros are computed too; what is padded is not.
        effective: Operations a sample of inputs and weights that are both not 0, on average.
        accumulates: Whether inputs are -1, 0 or 1 times a constant, so that an operation adds a weight (AC); else it
            multiplies, too (MAC). It is decided by the codes that inputs may have, not by those that were seen.
    """

    name: str
    weight: str
    weights: int
    zeros: int
    dense: int
    effective: float
    accumulates: bool


@dataclass(frozen=True)
class Activity:
    """Spikes of a layer.

    Example:
        >>> activity = measure(model, codes).activities[0]
        >>> activity.name, activity.neurons
        ('1', 8)

    Args:
        name: Of the layer.
        neurons: Number of neurons.
        steps: Time steps of a sample.
        spikes: Spikes of all neurons in a sample, on average.
    """

    name: str
    neurons: int
    steps: int
    spikes: float

    @property
    def rate(self) -> float:
        """Spikes of a neuron in a step, on average."""
        return self.spikes / (self.neurons * self.steps)

    @property
    def sparsity(self) -> float:
        """The share of neurons and steps without a spike."""
        return 1 - self.rate


@dataclass(frozen=True)
class Metrics:
    """Metrics of a model on samples.

    Example:
        >>> metrics = measure(model, codes)
        >>> metrics.samples, metrics.constant_bits
        (1, 648)

    Args:
        samples: Number of samples.
        constant_bits: Bits of constants, each at its true width.
        state_bits: Bits of state, each at its true width.
        synapses: By layer.
        activities: By layer of neurons that can spike.
    """

    samples: int
    constant_bits: int
    state_bits: int
    synapses: tuple[Synapses, ...]
    activities: tuple[Activity, ...]

    @property
    def footprint(self) -> float:
        """Memory of the model, parameters and state, in bytes."""
        return (self.constant_bits + self.state_bits) / 8

    @property
    def connection_sparsity(self) -> float:
        """Zero weights over all weights, each weight once; 0 without weights."""
        stored = {layer.weight: layer for layer in self.synapses}.values()
        return _share(sum(layer.zeros for layer in stored), sum(layer.weights for layer in stored))

    @property
    def activation_sparsity(self) -> float:
        """Neurons that do not spike over all neurons, of all layers, steps and samples; 0 without neurons."""
        spikes = sum(layer.spikes for layer in self.activities)
        outputs = sum(layer.neurons * layer.steps for layer in self.activities)
        return 1 - _share(spikes, outputs) if outputs else 0.0

    @property
    def dense(self) -> int:
        """Synaptic operations a sample on a device that does not make use of zeros."""
        return sum(layer.dense for layer in self.synapses)

    @property
    def effective_macs(self) -> float:
        """Multiply-accumulates a sample of inputs and weights that are not 0."""
        return sum(layer.effective for layer in self.synapses if not layer.accumulates)

    @property
    def effective_acs(self) -> float:
        """Accumulates a sample of inputs and weights that are not 0."""
        return sum(layer.effective for layer in self.synapses if layer.accumulates)


def measure(model: IntegerModel, inputs: NDArray[np.integer], first_sample: int | None = None) -> Metrics:
    """Metrics of a model, counted by the interpreter.

    Example:
        >>> measure(model, codes).synapses[0].accumulates
        True

    Args:
        model: The model.
        inputs: Samples as the model takes them, at least one; see :func:`~.runtime.respond`, which has the errors.
        first_sample: Number of the first sample, which keys the draws; that of the model's test set if not given.

    Raises:
        ValueError: If there are no samples.
    """
    if len(inputs) == 0:
        raise ValueError("inputs must hold at least one sample, got none.")
    first = model.first_sample if first_sample is None else first_sample
    network, coding = model.network, model.coding
    if isinstance(network, Graph) and isinstance(coding, ValueCoding):
        synapses, activities = _of_graph(network, coding, model, inputs, first)
    else:
        assert isinstance(network, WinnerTakeAll)
        assert isinstance(coding, RateCoding)
        synapses, activities = _of_layer(network, coding, model, inputs, first)
    return Metrics(len(inputs), model.constant_bits, model.state_bits, synapses, activities)


def fan_out(
    operation: Linear | Convolution, source: Array, result: Array, weight: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """How many of the marked weights each value of the source meets, of the shape of the source.

    Args:
        operation: A layer.
        source: What it takes.
        result: What it gives.
        weight: Marks, of the shape of its weights.
    """
    if isinstance(operation, Linear):
        return np.broadcast_to(weight.sum(axis=0), source.shape).astype(np.int64)
    channels, high, wide = source.shape
    rows, columns = operation.padding
    met = np.zeros((channels, high + 2 * rows, wide + 2 * columns), np.int64)
    # Channels of a group meet the filters of the group.
    filters = weight.reshape(operation.groups, -1, *weight.shape[1:]).sum(axis=1).reshape(channels, *weight.shape[2:])
    for row, column in np.ndindex(*weight.shape[2:]):
        window = tuple(
            slice(place * dilation, place * dilation + stride * (count - 1) + 1, stride)
            for place, dilation, stride, count in zip(
                (row, column), operation.dilation, operation.stride, result.shape[1:], strict=True
            )
        )
        met[:, *window] += filters[:, row, column, None, None]
    return met[:, rows : rows + high, columns : columns + wide]


def _of_graph(
    graph: Graph, coding: ValueCoding, model: IntegerModel, inputs: NDArray[np.integer], first: int
) -> tuple[tuple[Synapses, ...], tuple[Activity, ...]]:
    layers = [operation for operation in graph.operations if isinstance(operation, Linear | Convolution)]
    neurons = [o for o in graph.operations if isinstance(o, IntegrateAndFire) and o.threshold is not None]
    marks = {layer.name: graph.codes[layer.weight].array != 0 for layer in layers}
    effective = {layer.name: _fan_out_in(graph, layer, marks[layer.name]) for layer in layers}
    respond(model, inputs[:1], first)  # Refuses what are no samples.
    operations: Counter[str] = Counter()
    spikes: Counter[str] = Counter()
    for values in _steps(graph, coding, inputs, first):
        for layer in layers:
            operations[layer.name] += int(((values[layer.sources[0]] != 0) * effective[layer.name]).sum())
        for each in neurons:
            spikes[each.name] += int(values[each.name].sum())
    synapses = tuple(
        Synapses(
            name=layer.name,
            weight=layer.weight,
            weights=marks[layer.name].size,
            zeros=int((~marks[layer.name]).sum()),
            dense=coding.steps * int(_fan_out_in(graph, layer, np.ones_like(marks[layer.name])).sum()),
            effective=operations[layer.name] / len(inputs),
            accumulates=_is_binary(graph.array(layer.sources[0])),
        )
        for layer in layers
    )
    activities = tuple(
        Activity(each.name, graph.array(each.name).elements, coding.steps, spikes[each.name] / len(inputs))
        for each in neurons
    )
    return synapses, activities


def _steps(
    graph: Graph, coding: ValueCoding, inputs: NDArray[np.integer], first: int
) -> Iterator[Mapping[str, NDArray[np.int64]]]:
    """All arrays of all steps, a batch of samples after the other."""
    for start in range(0, len(inputs), _BATCH):
        batch = inputs[start : start + _BATCH].astype(np.int64)
        yield from graph_runtime.run(graph, coding, batch, first + start + np.arange(len(batch)))


def _fan_out_in(graph: Graph, layer: Linear | Convolution, weight: NDArray[np.bool_]) -> NDArray[np.int64]:
    return fan_out(layer, graph.array(layer.sources[0]), graph.array(layer.name), weight)


def _is_binary(array: Array) -> bool:
    return array.low >= -1 and array.high <= 1


def _of_layer(
    layer: WinnerTakeAll, coding: RateCoding, model: IntegerModel, images: NDArray[np.integer], first: int
) -> tuple[tuple[Synapses, ...], tuple[Activity, ...]]:
    responses = winner_take_all_runtime.respond(model, images, first)
    weight = layer.weight.array != 0
    operations = 0
    for start in range(0, len(images), _BATCH):
        batch = images[start : start + _BATCH]
        encoded = winner_take_all_runtime.encode(coding, batch, model.seed, first + start + np.arange(len(batch)))
        operations += int((encoded.sum(axis=(0, 1)) * weight.sum(axis=1)).sum())
    synapses = Synapses(
        name=LAYER,
        weight="weight",
        weights=weight.size,
        zeros=int((~weight).sum()),
        dense=coding.steps * weight.size,
        effective=operations / len(images),
        accumulates=True,
    )
    spikes = float((responses.winners >= 0).sum()) / len(images)
    return (synapses,), (Activity(LAYER, layer.neurons, coding.steps, spikes),)


def _share(part: float, whole: int) -> float:
    return part / whole if whole else 0.0
