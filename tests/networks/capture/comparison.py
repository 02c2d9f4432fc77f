"""Networks in torch and their integer models, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from spikingjelly.activation_based import functional, neuron
from torch import Tensor, nn

from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding
from qspinn_optuna.integer import Graph, GraphResponses, IntegerModel, ValueCoding, encode, respond
from qspinn_optuna.integer.operations import IntegrateAndFire
from qspinn_optuna.networks import find_parameters, freeze_network, quantize_network, sample_numbers
from qspinn_optuna.networks.capture import capture
from qspinn_optuna.parameters import Family
from tests.networks.builders import FORMATS


@dataclass
class Layer:
    """What neurons did: spikes and membranes of each step."""

    spikes: list[NDArray[Any]]
    membranes: list[NDArray[Any]]


def configured(
    network: nn.Module,
    rounding: Rounding = Rounding.NEAREST,
    formats: Mapping[Family, QFormat] = FORMATS,
    extra: Mapping[str, QFormat] | None = None,
    left_out: tuple[str, ...] = (),
) -> QuantizationConfig:
    """Formats by family, and those of inputs and averages; the spikes of containers take a bit."""
    parameters = {}
    for parameter in find_parameters(network):
        is_spike = parameter.name.endswith((".y", ".queue"))
        fmt = QFormat(1, 0, signed=False) if is_spike else formats[parameter.family]
        if parameter.name not in left_out:
            parameters[parameter.name] = ParameterQuantization(fmt, rounding)
    for name, fmt in (extra or {}).items():
        parameters[name] = ParameterQuantization(fmt, rounding)
    return QuantizationConfig(Scheme.PTQ, parameters)


@torch.no_grad()
def simulate(network: nn.Module, x: Tensor, number: int) -> tuple[Any, dict[str, Layer]]:
    """Output, and what each layer of neurons did, of a network in torch."""
    layers: dict[str, Layer] = {}
    handles = []
    for name, module in network.named_modules():
        if isinstance(module, neuron.BaseNode | neuron.SimpleBaseNode):
            if module.step_mode == "m":
                module.store_v_seq = True
            layers[name] = Layer([], [])
            handles.append(module.register_forward_hook(_watch(layers[name])))
    functional.reset_net(network)
    with sample_numbers(network, [number]):
        output = network.eval()(x)
    functional.reset_net(network)
    for handle in handles:
        handle.remove()
    return output, layers


def _watch(layer: Layer) -> Any:
    def hook(module: Any, _: Any, spikes: Tensor) -> None:
        if module.step_mode == "m":
            layer.spikes += list(spikes.numpy().copy())
            layer.membranes += list(module.v_seq.numpy().copy())
        else:
            layer.spikes.append(spikes.numpy().copy())
            layer.membranes.append(module.v.numpy().copy())

    return hook


def steps_first(x: Tensor) -> NDArray[Any]:
    """[steps, 1, ...] as the model's coding takes it, [1, steps, ...]."""
    return x.transpose(0, 1).numpy()


def static(x: Tensor) -> NDArray[Any]:
    """[1, ...] that every step takes."""
    return x.numpy()


def graph_of(model: IntegerModel) -> Graph:
    assert isinstance(model.network, Graph)
    return model.network


def coding_of(model: IntegerModel) -> ValueCoding:
    assert isinstance(model.coding, ValueCoding)
    return model.coding


def compare(model: IntegerModel, network: nn.Module, x: Tensor, values: NDArray[Any], *, number: int = 0) -> None:
    """Every spike and membrane at every step, and the scores up to a factor."""
    graph, coding = graph_of(model), coding_of(model)
    output, layers = simulate(network, x, number)
    codes = encode(coding, values.reshape(_shape(coding)), number)
    found = respond(model, codes, number, membranes=True)
    assert isinstance(found, GraphResponses)
    neurons = {one.name: one for one in graph.operations if isinstance(one, IntegrateAndFire)}
    assert set(neurons) == set(layers)
    for name, layer in layers.items():
        assert len(layer.spikes) == coding.steps
        fraction_bits = neurons[name].membrane.format.fraction_bits
        for step in range(coding.steps):
            spikes = found.spikes[name][0, step]
            membranes = found.membranes[neurons[name].membrane_name][0, step]
            np.testing.assert_array_equal(spikes.ravel(), layer.spikes[step].ravel(), f"{name} at step {step}")
            np.testing.assert_array_equal(
                membranes.ravel(), layer.membranes[step].ravel() * 2.0**fraction_bits, f"{name}.v at step {step}"
            )
    if isinstance(output, Tensor):
        output = output.sum(0) if output.ndim == 3 else output
        mine, scores = found.scores[0].astype(np.float64), output.numpy().ravel()
        factor = mine @ scores / max(mine @ mine, 1)
        assert factor > 0 or not scores.any()
        np.testing.assert_allclose(factor * mine, scores, rtol=1e-5, atol=1e-6)


def _shape(coding: ValueCoding) -> tuple[int, ...]:
    return (1, *coding.shape) if coding.repeated else (1, coding.steps, *coding.shape)


def frozen_copy(network: nn.Module, config: QuantizationConfig, seed: int = 0) -> nn.Module:
    return freeze_network(quantize_network(network, config, seed=seed))


def captured(
    network: nn.Module, config: QuantizationConfig, sample: Tensor, seed: int = 0, **arguments: Any
) -> tuple[IntegerModel, nn.Module]:
    """The model, and the frozen network of which it was made."""
    frozen = frozen_copy(network, config, seed)
    return capture(frozen, config, sample, **arguments), frozen
