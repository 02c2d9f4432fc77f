"""How far a program that reads a NIR graph, and not its metadata, is from the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.export.nir.graph import PrimitiveGraph
from qspinn_optuna.export.nir.lowering import lower
from qspinn_optuna.export.nir.simulation import NIRReader, Values, run
from qspinn_optuna.integer import GraphResponses, IntegerModel, RateCoding, Responses, ValueCoding, respond
from qspinn_optuna.integer.winner_take_all_runtime import encode

_BATCH = 16
"""Samples whose windows are held at a time."""

Spikes = Mapping[str, NDArray[np.bool_]]
"""Of each layer, by its name, [samples, steps, ...]."""


def nir_difference(
    model: IntegerModel,
    samples: NDArray[np.integer],
    first_sample: int | None = None,
    *,
    reader: NIRReader | None = None,
) -> float:
    """The share of spikes that differ between a model and its NIR graph, run by forward Euler in floating point.

    Of all spikes that the model or the graph gives, it is the share that the other does not give, in the layers that
    have a node. A spike is that of a neuron at a step of a sample.

    Example:
        >>> 0 <= nir_difference(model, codes) <= 1
        True

    Args:
        model: The model.
        samples: Images or codes, as :func:`~qspinn_optuna.integer.respond` takes them.
        first_sample: Number of the first sample, which keys the draws; that of the model's test set if not given.
        reader: How a program runs neurons; by the letter of NIR if not given.

    Returns:
        The share, 0 to 1; 0 if there are no spikes at all.

    Raises:
        TypeError: If ``model`` is no model, or the samples are of another type than it takes.
        ValueError: If the samples have another shape, NIR cannot hold an operation, or no layer fires.
    """
    graph = lower(model)
    if not graph.spikes:
        raise ValueError("model must have neurons that fire and that its scores depend on, got none.")
    first = model.first_sample if first_sample is None else first_sample
    differing = either = 0
    for start in range(0, max(len(samples), 1), _BATCH):
        part = samples[start : start + _BATCH]
        own = _own_spikes(respond(model, part, first + start, membranes=isinstance(model.coding, ValueCoding)))
        given = _graph_spikes(graph, _inputs(model, part, first + start), reader or NIRReader())
        differing += sum(int((own[layer] ^ spikes).sum()) for layer, spikes in given.items())
        either += sum(int((own[layer] | spikes).sum()) for layer, spikes in given.items())
    return differing / either if either else 0.0


def _own_spikes(responses: Responses | GraphResponses) -> Spikes:
    if isinstance(responses, GraphResponses):
        return {layer: spikes.reshape(*spikes.shape[:2], -1) for layer, spikes in responses.spikes.items()}
    neurons = responses.counts.shape[1]
    return {"neurons": responses.winners[:, :, None] == np.arange(neurons)}


def _graph_spikes(graph: PrimitiveGraph, inputs: Iterator[Values], reader: NIRReader) -> Spikes:
    steps = [
        {layer: values[node].reshape(len(values[node]), -1) > 0 for layer, node in graph.spikes.items()}
        for values in run(graph, inputs, reader)
    ]
    return {layer: np.stack([step[layer] for step in steps], axis=1) for layer in graph.spikes}


def _inputs(model: IntegerModel, samples: NDArray[np.integer], first: int) -> Iterator[Values]:
    """What the graph takes at each step, as real numbers."""
    coding = model.coding
    if isinstance(coding, RateCoding):
        spikes = encode(coding, samples, model.seed, first + np.arange(len(samples)))
        yield from spikes.transpose(1, 0, 2).astype(np.float64)
        return
    values = np.ldexp(samples.astype(np.float64), -coding.quantization.format.fraction_bits)
    for t in range(coding.steps):
        yield values if coding.repeated else values[:, t]
