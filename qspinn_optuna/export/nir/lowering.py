"""An integer model as primitives of NIR."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.export.nir.graph import GraphBuilder, PrimitiveGraph, Signal, stored
from qspinn_optuna.export.nir.neurons import leak
from qspinn_optuna.export.nir.operations import Lowering, lower_delay_source, lower_operation
from qspinn_optuna.fixed_point import ParameterQuantization, QFormat
from qspinn_optuna.integer import (
    INPUT,
    Codes,
    Graph,
    IntegerModel,
    LargestScore,
    RateCoding,
    ValueCoding,
    WinnerTakeAll,
)
from qspinn_optuna.integer.node import check_type
from qspinn_optuna.integer.operations import Delay, IntegrateAndFire, Operation


def lower(model: IntegerModel) -> PrimitiveGraph:
    """The primitives of a model.

    Of a graph, they are those that the scores depend on.

    Raises:
        TypeError: If ``model`` is no model.
        ValueError: If NIR cannot hold an operation, which the error names.
    """
    check_type("model", model, IntegerModel)
    match model.coding, model.network, model.readout:
        case RateCoding(), WinnerTakeAll(), _:
            return _lower_layer(model.network)
        case ValueCoding(), Graph(), LargestScore():
            return _lower_graph(model.network, model.readout.source)
    raise TypeError(f"model.network must be a WinnerTakeAll or a Graph, got {type(model.network).__name__}.")


def values_of(codes: Codes) -> NDArray[np.float64]:
    """The real numbers that codes stand for."""
    return np.ldexp(codes.array.astype(np.float64), -codes.format.fraction_bits)


# ---------------------------------------------------------------------------------------------------------------------
# Graphs
# ---------------------------------------------------------------------------------------------------------------------


def _lower_graph(graph: Graph, scores: str) -> PrimitiveGraph:
    live = _live(graph, scores)
    if INPUT not in live:
        raise ValueError(f"readout.source must depend on the input for NIR, got {scores!r}, which does not.")
    builder = GraphBuilder()
    constants = {name: values_of(codes) for name, codes in graph.codes.items()}
    lowering = Lowering(graph, builder, constants, live)
    lowering.signals[INPUT] = builder.input(graph.input_shape, json.dumps({"format": str(graph.input_format)}))
    operations = [operation for operation in graph.operations if _results(operation) & live]
    for operation in operations:
        lower_operation(operation, lowering, _described(operation, graph.codes))
    for operation in operations:
        if isinstance(operation, Delay):
            lower_delay_source(operation, lowering)
    builder.output(builder.flat(lowering.signals[scores]), json.dumps({"array": scores}))
    return builder.graph()


def _live(graph: Graph, scores: str) -> set[str]:
    """Names of the arrays that the scores depend on."""
    sources = {name: operation.sources for operation in graph.operations for name in _results(operation)}
    live, pending = set(), [scores]
    while pending:
        name = pending.pop()
        if name not in live:
            live.add(name)
            pending += sources.get(name, ())
    return live


def _results(operation: Operation) -> set[str]:
    if isinstance(operation, IntegrateAndFire):
        return {operation.name, operation.membrane_name}
    return {operation.name}


def _described(operation: Operation, codes: Mapping[str, Codes]) -> str:
    """An operation as JSON: formats and roundings by their names, constants with their formats."""
    content: dict[str, Any] = {"operation": type(operation).__name__}
    for field in fields(operation):
        value = getattr(operation, field.name)
        if isinstance(value, ParameterQuantization):
            value = {"format": str(value.format), "rounding": value.rounding}
        elif isinstance(value, QFormat):
            value = str(value)
        content[field.name] = value
    content["constants"] = {name: str(codes[name].format) for name in operation.constants}
    return json.dumps(content)


# ---------------------------------------------------------------------------------------------------------------------
# Neurons that compete
# ---------------------------------------------------------------------------------------------------------------------


def _lower_layer(layer: WinnerTakeAll) -> PrimitiveGraph:
    """Weights, their factors, and neurons that inhibit each other a step later."""
    builder = GraphBuilder()
    membrane = layer.membrane.format
    x = builder.input((layer.inputs,), json.dumps({"spikes": "rate coding"}))
    weight = stored("weight", values_of(layer.weight).T)
    described = json.dumps({"weight": str(layer.weight.format)})
    current = builder.add("weight", "Linear", {"weight": weight}, x, (layer.neurons,), described)
    if layer.scale is not None:
        scale = {"scale": stored("scale", values_of(layer.scale))}
        described = json.dumps({"scale": str(layer.scale.format)})
        current = builder.add("scale", "Scale", scale, current, operation=described)
    (decay,) = values_of(layer.decay)
    shape = (layer.neurons,)
    threshold = layer.threshold * membrane.resolution + values_of(layer.theta)
    parameters = {
        **leak("neurons", np.full(shape, decay), np.zeros(shape), decays_input=False),
        "v_threshold": stored("threshold", threshold),
        "v_reset": stored("reset", np.full(shape, layer.reset * membrane.resolution)),
    }
    spikes = builder.add("neurons", "LIF", parameters, current, operation=_described_layer(layer))
    builder.spikes["neurons"] = "neurons"
    if layer.inhibition and layer.neurons > 1:
        _inhibit(builder, spikes, decay * layer.inhibition * membrane.resolution)
    builder.output(spikes, json.dumps({"array": "spikes"}))
    builder.deviations.append("neurons: at most one neuron spikes at a step; NIR lets all spike that reach it.")
    if layer.refractory_steps:
        builder.deviations.append(f"neurons: held for {layer.refractory_steps} steps after a spike; NIR holds none.")
    return builder.graph()


def _inhibit(builder: GraphBuilder, spikes: Signal, inhibition: float) -> None:
    """What a spike takes from the other membranes: it has decayed once when it arrives, at the next step."""
    (neurons,) = spikes.shape
    delayed = builder.add("before", "Delay", {"delay": stored("delay", np.ones(neurons))}, spikes)
    weight = stored("inhibition", inhibition * (np.eye(neurons) - 1))
    inhibited = builder.add("inhibition", "Linear", {"weight": weight}, delayed)
    (node,) = spikes.terms
    builder.connect(inhibited, node)


def _described_layer(layer: WinnerTakeAll) -> str:
    constants = layer.constants._asdict()
    return json.dumps(
        {
            "operation": "WinnerTakeAll",
            "membrane": {"format": str(layer.membrane.format), "rounding": layer.membrane.rounding},
            "theta": str(layer.theta.format),
            **{name: value for name, value in constants.items() if name != "rounding"},
            "decay": {"code": constants["decay"], "format": str(layer.decay.format)},
        }
    )
