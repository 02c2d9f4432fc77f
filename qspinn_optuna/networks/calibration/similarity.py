"""Is a quantized network still the float network? Compared step by step, on the float network's inputs and states.

Shares are sums of magnitudes of differences over the sums of both magnitudes: 0 for equals, 1 for nothing in common.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.fixed_point import ParameterQuantization, Rounding, quantize
from qspinn_optuna.networks.modules.coefficients import coefficients
from qspinn_optuna.networks.modules.derivation import derive
from qspinn_optuna.networks.modules.states import has_functional_step, has_own_forward, transform_states
from qspinn_optuna.networks.modules.support import has_states
from qspinn_optuna.networks.names import join
from qspinn_optuna.networks.running.batches import Inputs
from qspinn_optuna.networks.running.watching import fresh_copy, run

STATE_LIMIT = 0.003
"""Share of the states above which neurons are other ones.

Convolutional networks of 15 kinds of neurons stay under 0.0002 with their widest formats, and under 0.001 with 8 bits,
since differences within a step of the grid do not count, nor do states after a spike of only one of the two. LIF
neurons that run as IF neurons are above 0.1 for tau = 2 and tau = 3, above 0.01 for tau = 10, and 0.005 for tau = 25.
"""

OUTPUT_LIMIT = 0.25
"""The same of the outputs, under 0.02 in the same networks."""

_SPIKE = 1.0
_FEW_SPIKES = 10
"""Differences of outputs that may be chance."""


@dataclass
class Deviation:
    """How far neurons are from their float originals, summed up over steps.

    Args:
        outputs: Sum of the magnitudes of the differences of the outputs, spikes for most neurons.
        output_size: Sum of the magnitudes of both outputs.
        states: The same of the states after a step, as far as they differ by more than the resolution.
        state_size: The same of the states.
    """

    outputs: float = 0.0
    output_size: float = 0.0
    states: float = 0.0
    state_size: float = 0.0

    @property
    def output_share(self) -> float:
        """From 0 to 1; of spiking neurons the share of spikes that only one of the two puts out."""
        return self.outputs / self.output_size if self.output_size else 0.0

    @property
    def state_share(self) -> float:
        """From 0 to 1."""
        return self.states / self.state_size if self.state_size else 0.0

    @property
    def is_another(self) -> bool:
        """Whether the quantized neurons are other ones than the float ones."""
        spikes_differ = self.output_share > OUTPUT_LIMIT and self.outputs >= _FEW_SPIKES
        return spikes_differ or self.state_share > STATE_LIMIT


def check_similar(network: nn.Module, quantized: nn.Module, config: QuantizationConfig, inputs: Inputs) -> None:
    """Refuse a network that quantization makes another one, although its parameters are wide.

    Args:
        network: The float network. Both are left as they are.
        quantized: What ``quantize_network`` made of it by the widest formats; see :func:`~.fidelity.widest_config`.
        config: Its configuration.
        inputs: A batch as the network takes it, which is run once.

    Raises:
        ValueError: Naming the first neurons that differ, and by how much.
    """
    for name, deviation in deviations(network, quantized, config, inputs).items():
        if deviation.is_another:
            kind = type(network.get_submodule(name)).__name__
            raise ValueError(
                f"network is another one in fixed point, even with its widest formats: on the same inputs and states "
                f"{name or 'the network'} ({kind}) keeps states that differ by {deviation.state_share:.1%} in a step "
                f"(at most {STATE_LIMIT:.1%} is rounding), and {deviation.output_share:.1%} of its outputs differ. "
                "If its class computes something else than SpikingJelly's, or a forward sets its coefficients while it "
                "runs, override a method of the step, such as single_step_functional_forward, so that it keeps its own "
                "step."
            )


def deviations(
    network: nn.Module, quantized: nn.Module, config: QuantizationConfig, inputs: Inputs
) -> dict[str, Deviation]:
    """Compare every step of the neurons of a network with the step of the quantized ones.

    Both get the inputs and the states of the float network, so that errors add up neither from layer to layer nor from
    step to step, where a single spike may change all that follow. Both have the thresholds and decays of the quantized
    ones: a slow decay of 8 bits is off by some percent, but leaves the neuron what it is. States beyond the range of
    their format start at its end in both.

    Args:
        network: The float network. Both are left as they are.
        quantized: What ``quantize_network`` made of it.
        config: Its configuration.
        inputs: A batch as the network takes it, which is run once.

    Returns:
        By the names of the neurons, in the order in which they run first. Queues of delays are not compared.
    """
    network, quantized = fresh_copy(network).eval(), fresh_copy(quantized).eval()
    found: dict[str, Deviation] = {}
    for name, module in network.named_modules():
        if has_states(module) and not any(has_states(child) for child in module.modules() if child is not module):
            quantizations = {own: config.parameters.get(join(name, own)) for own in module._memories}
            _round_coefficients(name, module, config)
            mixin = _compared_by(type(module))
            transform_states(module, _unchanged)
            derive(module, mixin)
            module.__dict__["_pair"] = _Pair(name, quantized.get_submodule(name), quantizations, found)
    run(network, inputs)
    return found


def _round_coefficients(name: str, module: Any, config: QuantizationConfig) -> None:
    """Give a float module the thresholds and decays that its quantized copy has."""
    for coefficient in coefficients(module):
        quantization = config.parameters.get(join(name, coefficient.name))
        if quantization is None:
            continue
        rounded = quantize(coefficient.values.float(), quantization.format, Rounding.NEAREST)
        if coefficient.write is not None:
            coefficient.write(module, rounded)
        else:
            learned = module._parameters[coefficient.attribute]
            learned.data = -torch.logit(rounded.to(learned)).reshape(learned.shape)


States = Mapping[str, Any]
Step = Callable[[States], tuple[Any, States]]
"""The float step: from the states before to the output and the states after."""


class _Pair:
    """Runs a step of quantized neurons before each step of their float originals."""

    def __init__(
        self,
        name: str,
        quantized: Any,
        quantizations: Mapping[str, ParameterQuantization | None],
        found: dict[str, Deviation],
    ) -> None:
        self._name = name
        self._quantized = quantized
        self._quantizations = quantizations
        self._found = found

    def compare(self, inputs: tuple[Any, ...], before: States, step: Step, method: str = "single_step_forward") -> None:
        """Compare ``step`` with the quantized neurons' ``method``."""
        if any(isinstance(value, list) for value in before.values()):
            return
        before = {name: self._within_range(name, value) for name, value in before.items()}
        output, after = step(before)
        memories = self._quantized._memories
        memories.update(before)
        ours = getattr(self._quantized, method)(*inputs)
        deviation = self._found.setdefault(self._name, Deviation())
        difference, size = _compared(_first(output), _first(ours))
        deviation.outputs += float(difference.sum())
        deviation.output_size += size
        agreeing = difference < _SPIKE / 2
        for name, value in after.items():
            if isinstance(value, Tensor) and isinstance(memories[name], Tensor):
                quantization = self._quantizations[name]
                resolution = 0.0 if quantization is None else quantization.format.resolution
                difference, size = _compared(self._within_range(name, value), memories[name])
                beyond = (difference - resolution).clamp_(min=0)
                deviation.states += float((beyond * agreeing if beyond.shape == agreeing.shape else beyond).sum())
                deviation.state_size += size

    def _within_range(self, name: str, value: Any) -> Any:
        quantization = self._quantizations[name]
        if quantization is None or not isinstance(value, Tensor):
            return value
        return value.clamp(quantization.format.min, quantization.format.max)


class _ComparedFunctionalStep:
    """For neurons whose step is a function of states."""

    _pair: _Pair

    def single_step_functional_forward(
        self, inputs: tuple[Tensor, ...], states: tuple[object, ...], **kwargs: object
    ) -> tuple[tuple[Tensor, ...], tuple[object, ...]]:
        names = tuple(self._memories)  # type: ignore[attr-defined]
        own_step = super().single_step_functional_forward  # type: ignore[misc]

        def step(before: States) -> tuple[Any, States]:
            outputs, after = own_step(inputs, tuple(before.values()), **kwargs)
            return outputs, dict(zip(names, after, strict=True))

        self._pair.compare(inputs, dict(zip(names, states, strict=True)), step)
        result: tuple[tuple[Tensor, ...], tuple[object, ...]] = own_step(inputs, states, **kwargs)
        return result


class _ComparedAttributeStep:
    """For neurons whose step sets the states as attributes."""

    _pair: _Pair

    def single_step_forward(self, *args: Any, **kwargs: Any) -> Any:
        _compare_attributes(self, super().single_step_forward, args, "single_step_forward")  # type: ignore[misc]
        return super().single_step_forward(*args, **kwargs)  # type: ignore[misc]


class _ComparedForward:
    """For neurons with a ``forward`` of the user's, which is a single step."""

    _pair: _Pair

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        _compare_attributes(self, super().forward, args, "forward")  # type: ignore[misc]
        return super().forward(*args, **kwargs)  # type: ignore[misc]


def _compare_attributes(module: Any, own_step: Callable[..., Any], args: tuple[Any, ...], method: str) -> None:
    memories = module._memories
    kept = dict(memories)

    def step(before: States) -> tuple[Any, States]:
        memories.update(before)
        return own_step(*args), dict(memories)

    module._pair.compare(args, kept, step, method)
    memories.update(kept)


def _compared_by(kind: type[nn.Module]) -> type:
    if has_own_forward(kind):
        return _ComparedForward
    return _ComparedFunctionalStep if has_functional_step(kind) else _ComparedAttributeStep


def _compared(one: Tensor, other: Tensor) -> tuple[Tensor, float]:
    """Magnitudes of differences, and the sum of both magnitudes."""
    one, other = one.detach().double(), other.detach().double()
    return (one - other).abs(), float(one.abs().sum() + other.abs().sum())


def _first(output: Any) -> Tensor:
    tensor: Tensor = output if isinstance(output, Tensor) else output[0]
    return tensor


def _unchanged(_: str, value: Tensor) -> Tensor:
    return value
