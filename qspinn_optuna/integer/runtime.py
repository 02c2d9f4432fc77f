"""A plain interpreter of integer models, whatever their network is."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.integer import graph_runtime, winner_take_all_runtime
from qspinn_optuna.integer.graph import Graph
from qspinn_optuna.integer.graph_runtime import GraphResponses
from qspinn_optuna.integer.model import IntegerModel
from qspinn_optuna.integer.readout import MeanResponse, WeightedResponse
from qspinn_optuna.integer.winner_take_all_runtime import Responses


def respond(
    model: IntegerModel, inputs: NDArray[np.integer], first_sample: int | None = None, *, membranes: bool = False
) -> Responses | GraphResponses:
    """What the network does, and, if asked for, its membranes at every step.

    Example:
        >>> respond(model, codes).classes.shape
        (1,)

    Args:
        model: The network.
        inputs: Images or codes, see :func:`~.winner_take_all_runtime.respond` and :func:`~.graph_runtime.respond`.
        first_sample: Number of the first sample, which keys the draws; that of the model's test set if not given.
        membranes: Whether to record the membranes; of a graph, the spikes too.

    Raises:
        TypeError: If the inputs are of another type than the network takes.
        ValueError: If they have another shape, or ``first_sample`` is negative.
    """
    if isinstance(model.network, Graph):
        return graph_runtime.respond(model, inputs, first_sample, membranes=membranes)
    return winner_take_all_runtime.respond(model, inputs, first_sample, membranes=membranes)


def classify(model: IntegerModel, inputs: NDArray[np.integer], first_sample: int | None = None) -> NDArray[np.integer]:
    """The class of each sample; arguments and errors as in :func:`respond`.

    Example:
        >>> classify(model, codes).shape
        (1,)

    Args:
        model: The network.
        inputs: Images or codes.
        first_sample: Number of the first sample.

    Returns:
        Classes, [samples]: uint8 of a layer of neurons that compete, int64 of a graph.
    """
    responses = respond(model, inputs, first_sample)
    if isinstance(responses, GraphResponses):
        return responses.classes
    return cast(MeanResponse | WeightedResponse, model.readout).classify(responses.counts)
