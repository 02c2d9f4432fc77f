"""Quantize a network: a copy that computes in the formats of a configuration."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from spikingjelly.activation_based import functional
from torch import Tensor, nn

from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.fixed_point import ParameterQuantization
from qspinn_optuna.networks.discovery.discovery import (
    listed_parameters,
    optional_coefficients,
    synaptic_parameters,
)
from qspinn_optuna.networks.discovery.unreached import guard, missing_names
from qspinn_optuna.networks.entry.inputs import INPUT, is_input
from qspinn_optuna.networks.entry.reciprocals import FixedPointDivisions, is_reciprocal, reciprocal_counts
from qspinn_optuna.networks.entry.rounded_inputs import InputQuantization, QuantizedInput, takes_rounded_input
from qspinn_optuna.networks.exactness import exact_sums
from qspinn_optuna.networks.modules.assignment import store_assigned
from qspinn_optuna.networks.modules.channel_affine import ChannelAffine
from qspinn_optuna.networks.modules.channel_scale import ScaledSums, add_scale, plan_of
from qspinn_optuna.networks.modules.coefficients import coefficients
from qspinn_optuna.networks.modules.derivation import Derived, derive, derive_on_grid
from qspinn_optuna.networks.modules.fixed_point_classes import LEARNED_DECAY, takes_fixed_point_step
from qspinn_optuna.networks.modules.keyed_draws import DrawSource
from qspinn_optuna.networks.modules.neurons import NeuronQuantization, quantize_neuron, store_state
from qspinn_optuna.networks.modules.passes import mark_passes, unmark_passes
from qspinn_optuna.networks.modules.presentation import Presentation
from qspinn_optuna.networks.modules.quantizer import ParameterQuantizer
from qspinn_optuna.networks.modules.states import transform_states
from qspinn_optuna.networks.modules.support import SYNAPSES, check_supported, has_parameters, has_states, reason_against
from qspinn_optuna.networks.names import join
from qspinn_optuna.networks.running.half_precision import cast_inputs
from qspinn_optuna.networks.running.reach import is_layer
from qspinn_optuna.networks.running.reparametrization import settle_pruned, with_plain_parameters
from qspinn_optuna.networks.running.watching import fresh_copy
from qspinn_optuna.networks.zeros import check_zeros
from qspinn_optuna.parameters import Family

_ABOVE_GRID = 2.0**-22
"""Larger than the error of a sigmoid, much smaller than the resolution of any decay."""


def quantize_network(network: nn.Module, config: QuantizationConfig, *, seed: int = 0) -> nn.Module:
    """A copy of ``network`` whose weights and states are on the grids of ``config`` at every time step.

    The parameters of the copy are still float, so that an optimizer can train them (``network.parameters()``), but a
    read of ``layer.weight`` gives grid values, with gradients straight through. They are computed once an
    update, and compared once a forward pass; what is written by way of ``.data`` in the middle of a pass is noticed by
    the next one.

    States are rounded and saturated after every step, fresh and reset ones too, and where code outside of the step
    assigns them (``lif.v = lif.v * 0.5``). Neurons that are linear between spikes (IF, LIF, parametric, ternary and
    current-based LIF neurons, synapse filters) compute the whole step in fixed point, see
    :mod:`~qspinn_optuna.networks.modules.integrate_and_fire`; others run their own float code, and only the results are
    rounded. The input is rounded where it enters, and averages are sums times a factor, if ``config`` names them; see
    :func:`calibrate`. :func:`freeze_network` ends the training: it puts grid values into the parameters, which are then
    read as they are.

    ``get_parameter`` of the copy gives the float parameters too; that of a container within it does not find them.
    ``copy.deepcopy``, ``pickle``, ``torch.save``, ``state_dict`` and SpikingJelly's ``reset_net`` and
    ``set_step_mode`` work as before; ``load_state_dict`` needs a network that was quantized by the same ``config``.

    Weights that the network computes from others (pruned ones, weight and spectral normalization, any
    parametrization) are baked: the copy stores, and trains, those that are used. Pruned ones stay zero. The copy of a
    network of float16 or bfloat16 computes in float32, whatever it is given.

    Example:
        >>> quantized = quantize_network(network, config)
        >>> weight = quantized[0].weight
        >>> torch.equal(weight, quantize(weight, config.parameters["0.weight"].format, Rounding.NEAREST))
        True

    Args:
        network: Any supported network, without batch normalization; it is left untouched.
        config: How each of its parameters is quantized. States that it does not name stay as they are. Modules of which
            it names nothing stay as they are too, and may run in training mode only, see :mod:`~.unreached`.
        seed: Of stochastic rounding. A weight is drawn once for each of its values, a state at every step, an input
            whenever it enters. States and inputs draw anew in training, that is in training mode with gradients; else
            by key, from (seed, name, sample, step, element), see :mod:`~.keyed_draws`: both step modes draw the same,
            :func:`~spikingjelly.activation_based.functional.reset_net` repeats it, and with
            :func:`~.presentation.sample_numbers` it does not matter which batch a sample is in.

    Raises:
        TypeError: If ``network`` is no module, or is quantized already.
        ValueError: If a module cannot be quantized, or ``config`` names other parameters than the network has.
    """
    network = with_plain_parameters(network)
    check_supported(network, ())
    if is_quantized(network):
        raise TypeError("network is quantized already: quantize the original, or freeze_network(network).")
    _check_names(network, config)
    named = _named_modules(network, config)
    check_supported(network, named)
    network = fresh_copy(network)
    check_zeros(network, config)
    _add_scales(network, config)
    multi_step = any(getattr(module, "step_mode", "s") == "m" for module in network.modules())
    draws = _DrawSources(seed, Presentation(time_first=multi_step))
    generators = draws.generators
    names = {id(parameter): name for name, parameter in synaptic_parameters(network).items()}
    quantizers = {
        name: ParameterQuantizer(name, config[name], generators.of(name))
        for name in names.values()
        if name in config.parameters
    }
    for name, module in list(network.named_modules()):
        own = {
            own: quantizers[names[id(parameter)]]
            for own, parameter in module.named_parameters(recurse=False)
            if names.get(id(parameter)) in quantizers
        }
        if _is_left_out(name, module, named):
            guard(name, module)
        elif has_states(module):
            _quantize_stateful(name, module, config.parameters, own, draws)
        elif plan_of(module) is not None:
            _quantize_scaled(module, own)
        elif own:
            derive(module, *([_Synapse] if isinstance(module, SYNAPSES) else []), quantizers=own)
        if isinstance(module, ChannelAffine):
            module.in_fixed_point = True
    _quantize_entry(network, config, draws)
    if not isinstance(network, Derived):
        derive(network)  # for its get_parameter
    mark_passes(network)
    functional.invalidate_reset_cache(network)
    return network


def is_quantized(network: nn.Module) -> bool:
    """Whether :func:`quantize_network` made ``network``."""
    return any(isinstance(module, Derived) for module in network.modules())


@torch.no_grad()
def freeze_network(network: nn.Module) -> nn.Module:
    """A copy of a quantized network with grid values in its parameters, as a device stores them.

    Its ``state_dict`` can be loaded into any network that was quantized by the same configuration, stochastic
    rounding included, since values on the grid never move. What is loaded into it is put on the grid. Its parameters
    are read without any computation: training it would take them off their grids.

    Example:
        >>> frozen = freeze_network(quantized)
        >>> torch.equal(frozen[0].weight, quantized[0].weight)
        True

    Raises:
        ValueError: If ``network`` is not quantized.
    """
    network = fresh_copy(network)
    derived: list[Any] = [module for module in network.modules() if isinstance(module, Derived)]
    if not derived:
        raise ValueError("network must be quantized, see quantize_network; got one that is not.")
    unmark_passes(network)
    settle_pruned(network)
    for module in derived:
        derive_on_grid(module)
        quantization = module.__dict__.get("_quantization")
        if quantization is not None and getattr(module, LEARNED_DECAY, None) is not None:
            decay = module._decay("decay", module.w)
            quantization.decays = {"decay": decay}
            # A little above the grid value, from where truncation too finds it again.
            module.w.copy_(-torch.logit(decay + _ABOVE_GRID, _ABOVE_GRID))
    return network


class _Synapse:
    """A synapse whose sums are exact, and computed in float32 within ``torch.autocast`` too."""

    _parameters: dict[str, Tensor]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        device = self._parameters["weight"].device.type
        if torch.is_autocast_enabled(device):
            with torch.autocast(device, enabled=False):
                return self.forward(*cast_inputs(self, args), **kwargs)
        with exact_sums():
            return super().forward(*args, **kwargs)  # type: ignore[misc]


class _ScaledSynapse(_Synapse, ScaledSums):
    """A synapse whose sums are scaled."""


def _add_scales(network: nn.Module, config: QuantizationConfig) -> None:
    """Give the layers for which scales are planned their scales, in place."""
    for name, module in network.named_modules():
        weight = join(name, "weight")
        if plan_of(module) is not None and weight in config.parameters:
            add_scale(name, module, config[weight].format)


def _quantize_scaled(module: Any, own: dict[str, ParameterQuantizer]) -> None:
    """Quantize the parameters of a layer with scales, whose bias the layer itself does not see."""
    bias = own.pop("bias", None)
    derive(module, _ScaledSynapse, quantizers=own)
    if bias is not None:
        module.__dict__["_parameter_quantizers"]["bias"] = bias


class _RoundedStates:
    """Rounds the states of a module by name."""

    def __init__(
        self, module_name: str, states: dict[str, ParameterQuantization], draws: dict[str, DrawSource]
    ) -> None:
        self.module_name = module_name
        self.states = states
        self.draws = draws

    def __call__(self, name: str, value: Tensor) -> Tensor:
        if name not in self.states:
            return value
        return store_state(join(self.module_name, name), value, self.states[name], self.draws[name].now())


class _Generators:
    """A generator for every name, all from one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def of(self, name: str) -> torch.Generator:
        digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little"))


class _DrawSources:
    """The draws of states and inputs, from one seed."""

    def __init__(self, seed: int, presentation: Presentation) -> None:
        self.seed = seed
        self.presentation = presentation
        self.generators = _Generators(seed)

    def of(self, name: str, module: nn.Module, generator: torch.Generator) -> DrawSource:
        return DrawSource(name, module, self.seed, generator, self.presentation)


def _check_names(network: nn.Module, config: QuantizationConfig) -> None:
    found = listed_parameters(network)
    optional = optional_coefficients(network)
    inputs = {join(name, INPUT) for name, module in network.named_modules() if takes_rounded_input(module)}
    named = {name for name in config.parameters if name not in {INPUT, *inputs} and not is_reciprocal(name)}
    unknown = sorted(named - {parameter.name for parameter in found})
    # Traces need not be there: those of delayed spikes have a fixed width, those of training are not stored. Nor need
    # constants that a step of the user's may not read.
    needed = [
        parameter.name for parameter in found if parameter.family is not Family.TRACE and parameter.name not in optional
    ]
    missing = missing_names(network, needed, config.parameters)
    if unknown or missing:
        raise ValueError(
            f"config must quantize the parameters of this network: {unknown or 'none'} are not in it, "
            f"{missing or 'none'} of it are missing. Make the space of calibrate(network, batches)."
        )


def _named_modules(network: nn.Module, config: QuantizationConfig) -> set[str]:
    """Modules of which ``config`` names a parameter, by any of its names if it is shared."""
    named = {name.rpartition(".")[0] for name in config.parameters}
    names = {id(parameter): name for name, parameter in synaptic_parameters(network).items()}
    for name, module in network.named_modules():
        if any(names.get(id(own)) in config.parameters for own in module.parameters(recurse=False)):
            named.add(name)
    return named


def _is_left_out(name: str, module: nn.Module, named: set[str]) -> bool:
    """Whether the configuration names nothing of a layer or of neurons, although there is something."""
    if name in named or not has_parameters(module):
        return False
    if reason_against(module) is not None:
        return True
    # Delays and the like, whose states have a fixed width, need no name.
    memories: Any = module._memories if has_states(module) else {}
    stateful = "v" in memories or (has_states(module) and bool(coefficients(module)))
    return stateful or (is_layer(module) and any(True for _ in module.parameters(recurse=False)))


def _quantize_entry(network: nn.Module, config: QuantizationConfig, draws: _DrawSources) -> None:
    """Quantize what no module stores: inputs of the network, of synapses and neurons, and factors of averages."""
    generators = draws.generators
    for name in filter(is_input, config.parameters):
        module = network.get_submodule(name.rpartition(".")[0])
        module.__dict__["_input_quantization"] = InputQuantization(
            name, config[name], draws.of(name, module, generators.of(name)), name != INPUT
        )
        derive(module, QuantizedInput)
    reciprocals = reciprocal_counts(config.parameters)
    if reciprocals:
        derive(network, FixedPointDivisions)
        network.__dict__["_reciprocals"] = {
            count: float(ParameterQuantizer(name, config[name], generators.of(name))(torch.tensor(1 / count)))
            for count, name in reciprocals.items()
        }


def _quantize_stateful(
    name: str,
    module: Any,
    parameters: Mapping[str, ParameterQuantization],
    own: dict[str, ParameterQuantizer],
    draws: _DrawSources,
) -> None:
    """Quantize states, threshold and decays of a module, and parameters of its own."""
    generators = draws.generators
    decays: dict[str, Tensor | ParameterQuantizer] = {}
    fixed_point = takes_fixed_point_step(module)
    for coefficient in coefficients(module):
        full = join(name, coefficient.name)
        if full not in parameters:
            continue
        quantizer = ParameterQuantizer(full, parameters[full], generators.of(full))
        if coefficient.learned:
            decays[coefficient.name] = quantizer
            continue
        value = quantizer(coefficient.values.float())
        decays[coefficient.name] = value
        assert coefficient.write is not None
        coefficient.write(module, value)
    decays.pop("threshold", None)
    states = {state: parameters[join(name, state)] for state in module._memories if join(name, state) in parameters}
    generator = generators.of(name)
    sources = {state: draws.of(join(name, state), module, generator) for state in states}
    draws.presentation.has_states = True
    if fixed_point and not own and len(states) == len(module._memories):
        quantize_neuron(module, NeuronQuantization(name, states, decays, sources))
    else:
        transform_states(module, _RoundedStates(name, states, sources), quantizers=own)
    store_assigned(module)
