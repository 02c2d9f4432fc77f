"""Whether a model is the network of which it was made: every spike, every membrane, every score of a sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.integer import Graph, GraphResponses, IntegerModel, LargestScore, respond
from qspinn_optuna.integer.operations import IntegrateAndFire
from qspinn_optuna.networks.capture.errors import CaptureError

_TOLERANCE = 1e-4
"""Largest difference of scores, relative to the largest: floating point divides them, integers do not."""


@dataclass(frozen=True, eq=False)
class Observed:
    """What a network did with a sample.

    Args:
        codes: What enters it, as the model takes it.
        layers: Spikes and membranes of each layer of neurons, [steps, ...], by its name in the model.
        scores: Class scores, [classes].
        factor: Of the model's scores.
    """

    codes: NDArray[np.int64]
    layers: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
    scores: NDArray[np.float64]
    factor: float


def verify(model: IntegerModel, observed: Observed) -> None:
    """Compare a model with the network, which took the sample with the number 0.

    Raises:
        CaptureError: If they differ, naming the layer and the step.
    """
    responses = respond(model, observed.codes, 0, membranes=True)
    graph, readout = model.network, model.readout
    assert isinstance(responses, GraphResponses)
    assert isinstance(graph, Graph)
    assert isinstance(readout, LargestScore)
    neurons = {one.name: one for one in graph.operations if isinstance(one, IntegrateAndFire)}
    for step in range(model.coding.steps):
        for name, (spikes, membranes) in observed.layers.items():
            fraction_bits = neurons[name].membrane.format.fraction_bits
            potentials = responses.membranes[neurons[name].membrane_name][0, step] * 2.0**-fraction_bits
            _compare(f"spikes of {name}", step, responses.spikes[name][0, step], spikes[step])
            _compare(f"membranes of {name}", step, potentials, membranes[step])
    digits = readout.scores(graph, model.coding.steps).fraction_bits
    scores = responses.scores[0] * 2.0**-digits * observed.factor
    largest = max(float(np.abs(observed.scores).max()), float(np.finfo(np.float32).tiny))
    if float(np.abs(scores - observed.scores).max()) > _TOLERANCE * largest:
        raise CaptureError(
            f"The integer model is not the network: its scores are {scores}, those of the network {observed.scores}."
        )


def _compare(what: str, step: int, mine: NDArray[np.generic], network: NDArray[np.float64]) -> None:
    different = mine.ravel() != network.ravel()
    if different.any():
        raise CaptureError(
            f"The integer model is not the network: {int(different.sum())} of {different.size} {what} differ at step "
            f"{step}. Where float32 does not carry all digits, check_exact(network, sample) names the layer."
        )
