"""Configurations and recordings that several tests of networks share."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from spikingjelly.activation_based import base, functional
from torch import Tensor, nn

from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding
from qspinn_optuna.networks import find_parameters
from qspinn_optuna.parameters import Family

FORMATS: Mapping[Family, QFormat] = {
    Family.WEIGHT: QFormat(0, 4),
    Family.BIAS: QFormat(0, 4),
    Family.MEMBRANE: QFormat(2, 4),
    Family.THRESHOLD: QFormat(1, 4, signed=False),
    Family.DECAY: QFormat(0, 5, signed=False),
    Family.TRACE: QFormat(2, 3),
}


def config_of(
    network: nn.Module, rounding: Rounding = Rounding.NEAREST, formats: Mapping[Family, QFormat] = FORMATS
) -> QuantizationConfig:
    """Every parameter in the format of its family."""
    parameters = {
        parameter.name: ParameterQuantization(formats[parameter.family], rounding)
        for parameter in find_parameters(network)
    }
    return QuantizationConfig(Scheme.ITQ, parameters)


def on_grid(values: Tensor, fmt: QFormat) -> bool:
    codes = np.ldexp(values.detach().double().numpy(), fmt.fraction_bits)
    return bool(((codes == np.floor(codes)) & (codes >= fmt.min_code) & (codes <= fmt.max_code)).all())


def states_of(network: nn.Module) -> dict[str, Tensor]:
    """Every state that holds a tensor now, by name; a queue is stacked."""
    found = {}
    for name, module in network.named_modules():
        if isinstance(module, base.MemoryModule):
            for own, value in module._memories.items():
                entries = torch.stack(value, dim=1) if isinstance(value, list) and value else value
                if isinstance(entries, Tensor):
                    found[f"{name}.{own}".lstrip(".")] = entries.detach().clone()
    return found


def first_output(output: Any) -> Tensor:
    """Modules for online learning put out a spike and its trace."""
    spike: Tensor = output[0] if isinstance(output, list | tuple) else output
    return spike


def run_single(network: nn.Module, x_seq: Tensor) -> tuple[Tensor, list[dict[str, Tensor]]]:
    """A sequence in mode 's', of a copy: the outputs, and the states after every step."""
    network = fresh(network, "s")
    outputs, states = [], []
    for x in x_seq:
        outputs.append(first_output(network(x)))
        states.append(states_of(network))
    return torch.stack(outputs), states


def run_multi(network: nn.Module, x_seq: Tensor) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
    """The same in mode 'm': the outputs, the last states, and the sequences of potentials where they are stored."""
    network = fresh(network, "m")
    for module in network.modules():
        if hasattr(module, "store_v_seq"):
            module.store_v_seq = True  # type: ignore[assignment]
    output = first_output(network(x_seq))
    sequences = {
        f"{name}.v".lstrip("."): module.v_seq
        for name, module in network.named_modules()
        if isinstance(getattr(module, "v_seq", None), Tensor)
    }
    return output, states_of(network), sequences


def fresh(network: nn.Module, step_mode: str) -> nn.Module:
    network = copy.deepcopy(network)
    functional.set_step_mode(network, step_mode)
    functional.reset_net(network)
    return network


def eighths(*shape: int, seed: int = 0, high: int = 12) -> Tensor:
    """Random multiples of 1/8, from 0 to ``high`` / 8."""
    return torch.randint(0, high + 1, shape, generator=torch.Generator().manual_seed(seed)) / 8


Maker = Callable[[], nn.Module]
