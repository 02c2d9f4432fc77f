"""An interpreter of graphs: what a device computes, in numpy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.integer.coding import ValueCoding
from qspinn_optuna.integer.graph import INPUT, Graph
from qspinn_optuna.integer.interpretation import Moment, Values, compute, fire
from qspinn_optuna.integer.model import IntegerModel
from qspinn_optuna.integer.operations import Delay, IntegrateAndFire
from qspinn_optuna.integer.readout import LargestScore, Reduction
from qspinn_optuna.integer.value_encoding import check_samples

_BATCH = 16
"""Samples whose windows are held at a time."""


@dataclass(frozen=True)
class GraphResponses:
    """What a graph made of samples.

    Example:
        >>> responses = respond(model, codes, membranes=True)
        >>> responses.scores.shape, responses.membranes["1.v"].shape
        ((1, 4), (1, 10, 8))

    Args:
        scores: Codes of the scores, int64 [samples, classes].
        classes: The answers, int64 [samples].
        spikes: Spikes of each layer of neurons at each step, by its name, bool [samples, steps, ...]; none if they were
            not asked for.
        membranes: Codes of membranes after each step, by their name, int32 [samples, steps, ...]; likewise.
    """

    scores: NDArray[np.int64]
    classes: NDArray[np.int64]
    spikes: Mapping[str, NDArray[np.bool_]]
    membranes: Mapping[str, NDArray[np.int32]]


def respond(
    model: IntegerModel, inputs: NDArray[np.integer], first_sample: int | None = None, *, membranes: bool = False
) -> GraphResponses:
    """Scores and, if asked for, spikes and membranes at every step.

    Args:
        model: A graph.
        inputs: Codes of the input's format, [samples, steps, ...], or [samples, ...] if every step takes the same. See
            :func:`~.value_encoding.encode`.
        first_sample: Number of the first sample, which keys the draws; that of the model's test set if not given.
        membranes: Whether to record spikes and membranes.

    Raises:
        TypeError: If the model is of another kind, or the inputs are no integers.
        ValueError: If the inputs have another shape or are outside their format, or ``first_sample`` is negative.
    """
    coding, graph, readout = model.coding, model.network, model.readout
    if not isinstance(coding, ValueCoding) or not isinstance(graph, Graph) or not isinstance(readout, LargestScore):
        raise TypeError(f"model must be a graph, got a {type(graph).__name__}.")
    first = model.first_sample if first_sample is None else first_sample
    _check_inputs(inputs, coding, first)
    scores = np.zeros((len(inputs), model.classes), np.int64)
    layers = [operation for operation in graph.operations if isinstance(operation, IntegrateAndFire)] * membranes
    spikes = {layer.name: _record(graph, layer.name, np.bool_, scores, coding) for layer in layers}
    potentials = {
        layer.membrane_name: _record(graph, layer.membrane_name, np.int32, scores, coding) for layer in layers
    }
    for start in range(0, len(inputs), _BATCH):
        part = slice(start, start + _BATCH)
        numbers = first + np.arange(len(inputs))[part]
        for t, values in enumerate(run(graph, coding, inputs[part].astype(np.int64), numbers)):
            score = values[readout.source]
            scores[part] = scores[part] + score if readout.reduction is Reduction.SUM else score
            for name, record in [*spikes.items(), *potentials.items()]:
                record[part, t] = values[name]
    return GraphResponses(scores, readout.classify(scores), spikes, potentials)


def run(graph: Graph, coding: ValueCoding, inputs: Values, samples: NDArray[np.int64]) -> Iterator[dict[str, Values]]:
    """All arrays of a graph at each step, by name, int64 [samples, ...].

    Args:
        graph: The network.
        coding: Of its input.
        inputs: Codes, [samples, steps, ...], or [samples, ...] if every step takes the same.
        samples: Their numbers, [samples].
    """
    state = {name: np.full((len(inputs), *graph.array(name).shape), start) for name, start in _starts(graph).items()}
    for t in range(coding.steps):
        moment = Moment(graph, samples, t)
        values = {INPUT: inputs if coding.repeated else inputs[:, t]}
        for operation in graph.operations:
            if isinstance(operation, Delay):
                values[operation.name] = state[operation.name]
                continue
            sources = [values[source] for source in operation.sources]
            if isinstance(operation, IntegrateAndFire):
                name = operation.membrane_name
                values[operation.name], state[name] = fire(operation, sources[0], state[name], moment)
                values[name] = state[name]
            else:
                values[operation.name] = compute(operation, sources, moment)
        for operation in graph.operations:
            if isinstance(operation, Delay):
                (source,) = operation.sources
                shift = operation.format.fraction_bits - graph.array(source).fraction_bits
                state[operation.name] = values[source] << shift
        yield values


def _starts(graph: Graph) -> dict[str, int]:
    """What membranes and delayed arrays hold before the first step, by name."""
    starts = {}
    for operation in graph.operations:
        if isinstance(operation, IntegrateAndFire):
            starts[operation.membrane_name] = operation.start
        elif isinstance(operation, Delay):
            starts[operation.name] = 0
    return starts


def _record(graph: Graph, name: str, kind: type, scores: Values, coding: ValueCoding) -> NDArray:  # type: ignore[type-arg]
    return np.empty((len(scores), coding.steps, *graph.array(name).shape), kind)


def _check_inputs(inputs: NDArray[np.integer], coding: ValueCoding, first_sample: int) -> None:
    if inputs.dtype.kind not in "iu":
        raise TypeError(f"inputs must be integer codes, got {inputs.dtype}: encode them first.")
    check_samples("inputs", inputs.shape, coding, first_sample)
    fmt = coding.quantization.format
    if inputs.size and (inputs.min() < fmt.min_code or inputs.max() > fmt.max_code):
        raise ValueError(
            f"inputs must be codes of {fmt}, {fmt.min_code} to {fmt.max_code}, got {inputs.min()} to {inputs.max()}."
        )
