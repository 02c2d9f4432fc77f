"""Which modules can be quantized, and why the others cannot."""

from __future__ import annotations

from collections.abc import Collection

from spikingjelly.activation_based import base, layer, learning, neuron, rnn, surrogate
from torch import nn

from qspinn_optuna.networks.modules.channel_affine import BATCH_NORMS, TemporalChannelAffine
from qspinn_optuna.networks.modules.coefficients import unreadable_coefficient
from qspinn_optuna.networks.modules.states import has_attribute_step, has_functional_step, has_own_forward

SYNAPSES: tuple[type[nn.Module], ...] = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)
"""Layers that add up weights, which fixed point does exactly; SpikingJelly's are subclasses."""

_NO_STATE = "it keeps no state between time steps that could be quantized"
_OWN_LOOP = "it keeps its states in local variables of a loop over time, out of reach"
_NORMALIZES = "it divides by statistics of its input, which fixed point does not do"
_FLOAT_WEIGHTS = "the weights that it uses are computed in floating point from those that it stores"
_TABLES = "it computes with tables of coefficients over a fixed number of steps, not with a membrane potential"
_GATES = "its attention gates are products with sigmoids, which fixed point does not have"
_LEARNER = "it trains other layers and is no part of the network; take it out, or use STDPWorkload"

_REFUSED: dict[type[nn.Module], str] = {
    neuron.PSN: _NO_STATE,
    neuron.MaskedPSN: _NO_STATE,
    neuron.SlidingPSN: _NO_STATE,
    neuron.DSRIFNode: _NO_STATE,
    neuron.DSRLIFNode: _NO_STATE,
    neuron.GatedLIFNode: "its gates are sigmoids of trained parameters, and it has no single step",
    neuron.FlexSN: "its step is a function of the user's whose states have no names or ranges",
    neuron.STBIFNode: "its states are integers already, counted against a quantizer's levels",
    neuron.MPBNBaseNode: "it normalizes the membrane potential within the step",
    neuron.NonSpikingBaseNode: _OWN_LOOP,
    neuron.ILCBaseNode: _OWN_LOOP,
    neuron.NoisyBaseNode: "its membrane is noisy by design, and its states are out of reach",
    neuron.NoisyNonSpikingBaseNode: "its membrane is noisy by design, and its states are out of reach",
    neuron.FewSpikeNode: _TABLES,
    nn.GroupNorm: _NORMALIZES,
    nn.LayerNorm: _NORMALIZES,
    nn.modules.instancenorm._InstanceNorm: _NORMALIZES,
    layer.NeuNorm: _NORMALIZES,
    layer.WSConv2d: _FLOAT_WEIGHTS + "; put the standardized ones into a Conv2d",
    layer.WSLinear: _FLOAT_WEIGHTS + "; put the standardized ones into a Linear",
    layer.DropConnectLinear: "it draws from a normal distribution when it is evaluated",
    layer.MultiDimensionalAttention: _GATES,
    layer.TemporalWiseAttention: _GATES,
    nn.MultiheadAttention: "it computes a softmax, which fixed point does not have",
    nn.RNNBase: _OWN_LOOP,
    nn.RNNCellBase: _OWN_LOOP,
    rnn.SpikingRNNBase: _OWN_LOOP,
    rnn.SpikingRNNCellBase: _OWN_LOOP,
    learning.STDPLearner: _LEARNER,
    learning.MSTDPLearner: _LEARNER,
    learning.MSTDPETLearner: _LEARNER,
}

_WITHOUT_STATE_ON_DEVICE: tuple[type[nn.Module], ...] = (layer.Dropout, TemporalChannelAffine)
"""Memory modules that only training gives a state, or that count time steps."""


class UnsupportedNetworkError(ValueError):
    """A network that no training makes one that can be quantized."""


def has_states(module: nn.Module) -> bool:
    """Whether a device stores states of ``module``."""
    return isinstance(module, base.MemoryModule) and not isinstance(module, _WITHOUT_STATE_ON_DEVICE)


def has_parameters(module: nn.Module) -> bool:
    """Whether a device stores parameters of ``module``: a surrogate's are for training only."""
    return not isinstance(module, surrogate.SurrogateFunctionBase)


def check_supported(network: nn.Module, modules: Collection[str] | None = None) -> None:
    """Refuse a network that has a module that cannot be quantized.

    Args:
        network: Any network.
        modules: Names of the modules that are looked at, those that a sample reaches; None for all.

    Raises:
        TypeError: If ``network`` is no module.
        UnsupportedNetworkError: Naming the module, its class and the reason.
    """
    if not isinstance(network, nn.Module):
        raise TypeError(f"network must be a torch.nn.Module, got {type(network).__name__}.")
    for name, module in network.named_modules():
        reason = reason_against(module) if modules is None or name in modules else None
        if reason is not None:
            raise UnsupportedNetworkError(
                f"{name or 'The network'} ({type(module).__name__}) cannot be quantized: {reason}."
            )


def reason_against(module: nn.Module) -> str | None:
    """Why a module cannot be quantized; None if it can."""
    for kind in type(module).__mro__:
        if kind in _REFUSED:
            return _REFUSED[kind]
    if isinstance(module, BATCH_NORMS):
        return "a device has no batch normalization; fold_batch_norm takes it into the layer before it"
    if not has_states(module):
        return None
    kind = type(module)
    if not (has_functional_step(kind) or has_attribute_step(kind) or has_own_forward(kind)):
        return "it implements neither single_step_functional_forward nor single_step_forward, so has no single step"
    if not getattr(getattr(module, "surrogate_function", None), "spiking", True):
        return "its surrogate_function has spiking=False, so that it puts out no spikes"
    return unreadable_coefficient(module)
