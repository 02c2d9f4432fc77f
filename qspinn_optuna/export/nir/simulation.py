"""How a program that reads NIR runs a graph: in floating point, by steps of forward Euler with dt = 1."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from graphlib import TopologicalSorter
from operator import add

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from qspinn_optuna.export.nir.graph import Primitive, PrimitiveGraph

Values = NDArray[np.float64]
"""[samples, ...]"""


@dataclass(frozen=True)
class NIRReader:
    """What a program makes of neurons. The default is the letter of NIR; programs differ.

    Example:
        >>> NIRReader(fires_at_threshold=True)
        NIRReader(fires_at_threshold=True, subtracts=False)

    Args:
        fires_at_threshold: Whether a membrane fires that is at its threshold, not only above.
        subtracts: Whether a spike takes the threshold from the membrane, whatever ``v_reset`` is.
    """

    fires_at_threshold: bool = False
    subtracts: bool = False


def run(graph: PrimitiveGraph, inputs: Iterator[Values], reader: NIRReader) -> Iterator[Mapping[str, Values]]:
    """Results of all nodes at each step, by name.

    Args:
        graph: The nodes.
        inputs: Real numbers of each step, [samples, ...].
        reader: The program.
    """
    sources: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for source, target in graph.edges:
        sources[target].append(source)
    # What is delayed is there before all else.
    at_once = {name: [] if graph.nodes[name].kind == "Delay" else own for name, own in sources.items()}
    order = list(TopologicalSorter(at_once).static_order())
    states: dict[str, Values] = {}
    for x in inputs:
        values: dict[str, Values] = {}
        for name in order:
            node = graph.nodes[name]
            state = states.get(name, np.zeros((len(x), *node.shape)))
            if node.kind == "Delay":
                values[name] = state
                continue
            taken = x if node.kind == "Input" else reduce(add, [values[source] for source in sources[name]])
            if node.kind in _MEMBRANES:
                values[name], states[name] = _step(node, taken, state, reader)
            else:
                values[name] = _STATELESS[node.kind](node, taken)
        for name in order:
            if graph.nodes[name].kind == "Delay":
                states[name] = reduce(add, [values[source] for source in sources[name]])
        yield values


_MEMBRANES = ("I", "IF", "LI", "LIF")


def _step(node: Primitive, current: Values, v: Values, reader: NIRReader) -> tuple[Values, Values]:
    """The result of neurons, and their membranes afterwards."""
    parameters = {name: values.astype(np.float64) for name, values in node.parameters.items()}
    driven = parameters["r"] * current
    v = v + ((parameters["v_leak"] - v + driven) / parameters["tau"] if "tau" in parameters else driven)
    if "v_threshold" not in parameters:
        return v, v
    threshold = parameters["v_threshold"]
    spikes = v >= threshold if reader.fires_at_threshold else v > threshold
    return spikes.astype(np.float64), np.where(spikes, v - threshold if reader.subtracts else parameters["v_reset"], v)


def _linear(node: Primitive, x: Values) -> Values:
    weight = node.parameters["weight"].astype(np.float64)
    product: Values = x @ weight.T if weight.ndim == 2 else (weight @ x[..., None])[..., 0]
    return product + node.parameters["bias"] if node.kind == "Affine" else product


def _convolution(node: Primitive, x: Values) -> Values:
    """Of one dimension, or two."""
    parameters = node.parameters
    weight = parameters["weight"].astype(np.float64)
    sizes = [np.broadcast_to(parameters[name], weight.ndim - 2) for name in ("padding", "stride", "dilation")]
    # [samples, channels, windows ..., values ...] times [filters, channels, values ...].
    windows = _windows(x, weight.shape[2:], *sizes)
    values = range(weight.ndim, windows.ndim)
    product = np.tensordot(windows, weight, axes=([1, *values], range(1, weight.ndim)))
    return np.moveaxis(product + parameters["bias"], -1, 1)


def _pool(node: Primitive, x: Values) -> Values:
    parameters = node.parameters
    kernel = tuple(parameters["kernel_size"].tolist())
    windows = _windows(x, kernel, parameters["padding"], parameters["stride"], np.ones(2, np.int64))
    result: Values = windows.mean(axis=(4, 5)) if node.kind == "AvgPool2d" else windows.sum(axis=(4, 5))
    return result


def _windows(
    x: Values,
    kernel: tuple[int, ...],
    padding: NDArray[np.int64],
    stride: NDArray[np.int64],
    dilation: NDArray[np.int64],
) -> Values:
    """Windows of all dimensions but the first two, [samples, channels, windows ..., values ...]."""
    padded = np.pad(x, [(0, 0), (0, 0), *((own, own) for own in padding.tolist())])
    spans = tuple(distance * (size - 1) + 1 for distance, size in zip(dilation.tolist(), kernel, strict=True))
    every = sliding_window_view(padded, spans, axis=tuple(range(2, x.ndim)))
    steps = (slice(None, None, step) for step in [*stride.tolist(), *dilation.tolist()])
    chosen: Values = every[:, :, *steps]
    return chosen


_STATELESS: Mapping[str, Callable[[Primitive, Values], Values]] = {
    "Input": lambda node, x: x.reshape(len(x), *node.shape),
    "Output": lambda _, x: x,
    "Flatten": lambda node, x: x.reshape(len(x), *node.shape),
    "Linear": _linear,
    "Affine": _linear,
    "Conv1d": _convolution,
    "Conv2d": _convolution,
    "SumPool2d": _pool,
    "AvgPool2d": _pool,
    "Scale": lambda node, x: x * node.parameters["scale"],
    "Threshold": lambda node, x: (x > node.parameters["threshold"]).astype(np.float64),
}
