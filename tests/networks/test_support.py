"""Every class of SpikingJelly's: quantized and run, or refused by name with a reason."""

from __future__ import annotations

import inspect
import operator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import base, layer, learning, neuron, rnn, surrogate
from torch import Tensor, nn

from qspinn_optuna.fixed_point import Rounding
from qspinn_optuna.networks import check_exact, find_parameters, fold_batch_norm, freeze_network, quantize_network
from qspinn_optuna.networks.running.watching import watched
from tests.networks.builders import (
    FORMATS,
    Maker,
    config_of,
    eighths,
    first_output,
    fresh,
    on_grid,
    run_multi,
    run_single,
)

STEPS = 5


@dataclass(frozen=True)
class Case:
    """A network around a class.

    Args:
        make: Makes it.
        shape: Of its input in a step, the batch included.
        modes: Step modes that it has, "sm", "s" or "m".
        folded: Whether it has batch normalization, which is to be folded first.
        time_last: Whether the time is the last dimension of a sequence.
    """

    make: Maker
    shape: tuple[int, ...] = (3, 4)
    modes: str = "sm"
    folded: bool = False
    time_last: bool = False

    def inputs(self) -> Tensor:
        x_seq = eighths(STEPS, *self.shape, seed=len(self.shape))
        return x_seq.movedim(0, -1) if self.time_last else x_seq

    def network(self) -> nn.Module:
        torch.manual_seed(5)
        network = self.make()
        if not self.folded:
            return network
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                nn.init.uniform_(module.running_mean, -0.2, 0.2)  # type: ignore[arg-type]
                nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
        return fold_batch_norm(fresh(network, self.modes[-1]), self.inputs()).train()


def after_linear(make: Maker) -> Case:
    """A neuron fed by trained weights."""
    return Case(lambda: nn.Sequential(layer.Linear(4, 5), make()))


def online(make: Maker) -> Case:
    return Case(lambda: nn.Sequential(layer.Linear(4, 5), make()), modes="s")


def before_neurons(make: Maker, *shape: int) -> Case:
    return Case(lambda: nn.Sequential(make(), neuron.LIFNode()), shape)


def folded(synapse: Maker, norm: Maker, *shape: int, modes: str = "sm") -> Case:
    return Case(lambda: nn.Sequential(synapse(), norm(), neuron.LIFNode()), shape, modes, folded=True)


class Unpooling(nn.Module):
    """A pooling layer tells an unpooling one where its maxima were."""

    def __init__(self, pool: nn.Module, unpool: nn.Module) -> None:
        super().__init__()
        self.pool, self.unpool, self.node = pool, unpool, neuron.IFNode()

    def forward(self, x: Tensor) -> Tensor:
        spikes: Tensor = self.node(self.unpool(*self.pool(x)))
        return spikes


class Traced(nn.Module):
    """Gives a module for online learning a spike and a trace."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module, self.node = module, neuron.IFNode()

    def forward(self, x: Tensor) -> Tensor:
        spikes: Tensor = self.node(first_output(self.module([x, x / 2])))
        return spikes


QUANTIZED: dict[type, Case] = {
    neuron.ActivationAwareIFNode: after_linear(lambda: neuron.ActivationAwareIFNode(0.7, 0.1)),
    neuron.CUBALIFNode: after_linear(neuron.CUBALIFNode),
    neuron.ComplementaryLIFNode: after_linear(neuron.ComplementaryLIFNode),
    neuron.EIFNode: after_linear(neuron.EIFNode),
    neuron.HalfThresholdIFNode: after_linear(lambda: neuron.HalfThresholdIFNode(0.9)),
    neuron.IFNode: after_linear(neuron.IFNode),
    neuron.ILIFNode: after_linear(neuron.ILIFNode),
    neuron.IzhikevichNode: after_linear(lambda: neuron.IzhikevichNode(a=0.5, b=0.3)),
    neuron.KLIFNode: after_linear(neuron.KLIFNode),
    neuron.LIAFNode: after_linear(lambda: neuron.LIAFNode(torch.relu, False)),
    neuron.LIFNode: after_linear(lambda: neuron.LIFNode(3.0, v_threshold=0.3)),
    neuron.OTTTLIFNode: online(neuron.OTTTLIFNode),
    neuron.ParametricLIFNode: after_linear(lambda: neuron.ParametricLIFNode(3.0, v_threshold=0.3)),
    neuron.QIFNode: after_linear(neuron.QIFNode),
    neuron.RAFNode: after_linear(neuron.RAFNode),
    neuron.SLTTLIFNode: online(neuron.SLTTLIFNode),
    neuron.SimpleIFNode: after_linear(neuron.SimpleIFNode),
    neuron.SimpleLIFNode: after_linear(lambda: neuron.SimpleLIFNode(2.0, True, 0.3)),
    neuron.TernaryIFNode: after_linear(lambda: neuron.TernaryIFNode(0.6)),
    neuron.TernaryLIFNode: after_linear(lambda: neuron.TernaryLIFNode(v_threshold=0.3)),
    layer.AdaptiveAvgPool1d: before_neurons(lambda: layer.AdaptiveAvgPool1d(2), 2, 3, 8),
    layer.AdaptiveAvgPool2d: before_neurons(lambda: layer.AdaptiveAvgPool2d(2), 2, 3, 4, 4),
    layer.AdaptiveAvgPool3d: before_neurons(lambda: layer.AdaptiveAvgPool3d(1), 2, 1, 2, 2, 2),
    layer.AvgPool1d: before_neurons(lambda: layer.AvgPool1d(2), 2, 3, 8),
    layer.AvgPool2d: before_neurons(lambda: layer.AvgPool2d(2), 2, 3, 4, 4),
    layer.AvgPool3d: before_neurons(lambda: layer.AvgPool3d(2), 2, 1, 2, 4, 2),
    layer.MaxPool1d: before_neurons(lambda: layer.MaxPool1d(2), 2, 3, 8),
    layer.MaxPool2d: before_neurons(lambda: layer.MaxPool2d(2), 2, 3, 4, 4),
    layer.MaxPool3d: before_neurons(lambda: layer.MaxPool3d(2), 2, 1, 2, 4, 2),
    layer.MaxUnpool1d: Case(
        lambda: Unpooling(layer.MaxPool1d(2, return_indices=True), layer.MaxUnpool1d(2)), (2, 3, 8), "s"
    ),
    layer.MaxUnpool2d: Case(
        lambda: Unpooling(layer.MaxPool2d(2, return_indices=True), layer.MaxUnpool2d(2)), (2, 3, 4, 4), "s"
    ),
    layer.MaxUnpool3d: Case(
        lambda: Unpooling(layer.MaxPool3d(2, return_indices=True), layer.MaxUnpool3d(2)), (2, 1, 2, 4, 2), "s"
    ),
    layer.Conv1d: before_neurons(lambda: layer.Conv1d(2, 3, 3, padding=1), 2, 2, 6),
    layer.Conv2d: before_neurons(lambda: layer.Conv2d(2, 3, 3, padding=1), 2, 2, 5, 4),
    layer.Conv3d: before_neurons(lambda: layer.Conv3d(1, 2, 2), 2, 1, 3, 3, 3),
    layer.ConvTranspose1d: before_neurons(lambda: layer.ConvTranspose1d(2, 3, 3, stride=2), 2, 2, 4),
    layer.ConvTranspose2d: before_neurons(lambda: layer.ConvTranspose2d(2, 3, 3), 2, 2, 3, 4),
    layer.ConvTranspose3d: before_neurons(lambda: layer.ConvTranspose3d(1, 2, 2), 2, 1, 2, 3, 2),
    layer.Linear: before_neurons(lambda: layer.Linear(4, 5), 3, 4),
    layer.Flatten: Case(lambda: nn.Sequential(layer.Flatten(), layer.Linear(8, 3), neuron.LIFNode()), (2, 2, 4)),
    layer.Upsample: before_neurons(lambda: layer.Upsample(scale_factor=2), 2, 3, 2, 2),
    layer.PrintShapeModule: before_neurons(layer.PrintShapeModule, 2, 3),
    layer.VotingLayer: Case(lambda: nn.Sequential(layer.Linear(4, 6), neuron.LIFNode(), layer.VotingLayer(2))),
    layer.SynapseFilter: after_linear(lambda: layer.SynapseFilter(tau=3.0)),
    layer.Delay: Case(lambda: nn.Sequential(layer.Linear(4, 5), neuron.LIFNode(v_threshold=0.3), layer.Delay(2))),
    layer.Dropout: Case(lambda: nn.Sequential(layer.Dropout(0.5), layer.Linear(4, 5), neuron.LIFNode())),
    layer.Dropout2d: before_neurons(layer.Dropout2d, 2, 3, 4, 4),
    layer.BatchNorm1d: folded(lambda: layer.Conv1d(2, 3, 3), lambda: layer.BatchNorm1d(3), 2, 2, 6),
    layer.BatchNorm2d: folded(lambda: layer.Conv2d(2, 3, 3), lambda: layer.BatchNorm2d(3), 2, 2, 5, 4),
    layer.BatchNorm3d: folded(lambda: layer.Conv3d(1, 2, 2), lambda: layer.BatchNorm3d(2), 2, 1, 3, 3, 3),
    layer.ThresholdDependentBatchNorm1d: folded(
        lambda: layer.Conv1d(2, 3, 3), lambda: layer.ThresholdDependentBatchNorm1d(1.0, 1.0, 3), 2, 2, 6, modes="m"
    ),
    layer.ThresholdDependentBatchNorm2d: folded(
        lambda: layer.Conv2d(2, 3, 3), lambda: layer.ThresholdDependentBatchNorm2d(1.0, 1.0, 3), 2, 2, 5, 4, modes="m"
    ),
    layer.ThresholdDependentBatchNorm3d: folded(
        lambda: layer.Conv3d(1, 2, 2),
        lambda: layer.ThresholdDependentBatchNorm3d(1.0, 1.0, 2),
        2,
        1,
        3,
        3,
        3,
        modes="m",
    ),
    layer.BatchNormThroughTime1d: folded(
        lambda: layer.Conv1d(2, 3, 3), lambda: layer.BatchNormThroughTime1d(STEPS, 3), 2, 2, 6
    ),
    layer.BatchNormThroughTime2d: folded(
        lambda: layer.Conv2d(2, 3, 3), lambda: layer.BatchNormThroughTime2d(STEPS, 3), 2, 2, 5, 4
    ),
    layer.BatchNormThroughTime3d: folded(
        lambda: layer.Conv3d(1, 3, 2), lambda: layer.BatchNormThroughTime3d(STEPS, 3), 2, 1, 3, 3, 3
    ),
    layer.TemporalEffectiveBatchNorm1d: folded(
        lambda: layer.Conv1d(2, 3, 3), lambda: layer.TemporalEffectiveBatchNorm1d(STEPS, 3), 2, 2, 6
    ),
    layer.TemporalEffectiveBatchNorm2d: folded(
        lambda: layer.Conv2d(2, 3, 3), lambda: layer.TemporalEffectiveBatchNorm2d(STEPS, 3), 2, 2, 5, 4
    ),
    layer.TemporalEffectiveBatchNorm3d: folded(
        lambda: layer.Conv3d(1, 3, 2), lambda: layer.TemporalEffectiveBatchNorm3d(STEPS, 3), 2, 1, 3, 3, 3
    ),
    layer.MultiStepContainer: Case(
        lambda: layer.MultiStepContainer(nn.Linear(4, 5), neuron.LIFNode(v_threshold=0.3)), modes="m"
    ),
    layer.SeqToANNContainer: Case(
        lambda: nn.Sequential(layer.SeqToANNContainer(nn.Linear(4, 5), nn.ReLU()), neuron.LIFNode(step_mode="m")),
        modes="m",
    ),
    layer.TLastMultiStepContainer: Case(
        lambda: layer.TLastMultiStepContainer(nn.Linear(4, 5), neuron.LIFNode(v_threshold=0.3)),
        modes="m",
        time_last=True,
    ),
    layer.TLastSeqToANNContainer: Case(
        lambda: nn.Sequential(
            layer.TLastSeqToANNContainer(nn.Linear(4, 5)), layer.TLastMultiStepContainer(neuron.IFNode())
        ),
        modes="m",
        time_last=True,
    ),
    layer.StepModeContainer: Case(
        lambda: layer.StepModeContainer(True, "s", nn.Linear(4, 5), neuron.LIFNode(v_threshold=0.3))
    ),
    layer.ElementWiseRecurrentContainer: Case(
        lambda: nn.Sequential(
            layer.Linear(4, 5), layer.ElementWiseRecurrentContainer(neuron.LIFNode(v_threshold=0.3), operator.add)
        )
    ),
    layer.LinearRecurrentContainer: Case(
        lambda: layer.LinearRecurrentContainer(neuron.LIFNode(v_threshold=0.3), in_features=4, out_features=4)
    ),
    layer.GradwithTrace: Case(lambda: Traced(layer.GradwithTrace(nn.Linear(4, 5))), modes="s"),
    layer.SpikeTraceOp: Case(lambda: Traced(layer.SpikeTraceOp(nn.AvgPool1d(2))), modes="s"),
    layer.OTTTSequential: Case(
        lambda: layer.OTTTSequential(
            nn.Linear(4, 5), neuron.OTTTLIFNode(v_threshold=0.3), nn.Linear(5, 3), neuron.OTTTLIFNode(v_threshold=0.3)
        ),
        modes="s",
    ),
    layer.SpikeCountToBinary: Case(
        lambda: nn.Sequential(
            layer.Linear(4, 5), neuron.LIFNode(), layer.SpikeCountToBinary(2, always_convert=True), neuron.LIFNode()
        ),
        modes="m",
    ),
    layer.TemporalBinSum: Case(
        lambda: nn.Sequential(
            layer.Linear(4, 5), neuron.LIFNode(), layer.TemporalBinSum(2, always_convert=True), neuron.LIFNode()
        ),
        modes="m",
    ),
    layer.SpikingSelfAttention: Case(lambda: layer.SpikingSelfAttention(8, 2), (2, 8, 3), "m", folded=True),
    layer.QKAttention: Case(lambda: layer.QKAttention(8, 2), (2, 8, 3), "m", folded=True),
    layer.TokenQKAttention: Case(lambda: layer.TokenQKAttention(8, 2), (2, 8, 3), "m", folded=True),
    layer.ChannelQKAttention: Case(lambda: layer.ChannelQKAttention(8, 2), (2, 8, 3), "m", folded=True),
    layer.SpikeDrivenSelfAttention: Case(lambda: layer.SpikeDrivenSelfAttention(8, 2), (2, 8, 2, 2), "m", folded=True),
}
"""How each class that can be quantized is run."""

TABLE = neuron.few_spike.FewSpikeTable([1.0, 0.5], [1.0, 0.5], [1.0, 0.5])
STATELESS = "no state between time steps"
OWN_LOOP = "local variables of a loop over time"
NOISE = "noisy by design"
NORM = "divides by statistics"
TABLES = "tables of coefficients"
GATES = "products with sigmoids"
LEARNER = "trains other layers"
NO_STEP = "neither single_step_functional_forward nor single_step_forward"

REFUSED: dict[type, tuple[Maker, str]] = {
    neuron.BaseNode: (neuron.BaseNode, NO_STEP),
    neuron.AdaptBaseNode: (neuron.AdaptBaseNode, NO_STEP),
    neuron.PSN: (lambda: neuron.PSN(STEPS), STATELESS),
    neuron.MaskedPSN: (lambda: neuron.MaskedPSN(2, STEPS), STATELESS),
    neuron.SlidingPSN: (lambda: neuron.SlidingPSN(2), STATELESS),
    neuron.DSRIFNode: (neuron.DSRIFNode, STATELESS),
    neuron.DSRLIFNode: (neuron.DSRLIFNode, STATELESS),
    neuron.GatedLIFNode: (lambda: neuron.GatedLIFNode(STEPS), "gates are sigmoids"),
    neuron.FlexSN: (lambda: neuron.FlexSN(lambda x, v: (x, v + x), 1), "function of the user's"),
    neuron.STBIFNode: (lambda: neuron.STBIFNode(torch.tensor(1.0), 8), "integers already"),
    neuron.MPBNBaseNode: (lambda: neuron.MPBNBaseNode(out_features=4), "normalizes the membrane potential"),
    neuron.MPBNLIFNode: (lambda: neuron.MPBNLIFNode(out_features=4), "normalizes the membrane potential"),
    neuron.NonSpikingBaseNode: (neuron.NonSpikingBaseNode, OWN_LOOP),
    neuron.NonSpikingIFNode: (neuron.NonSpikingIFNode, OWN_LOOP),
    neuron.NonSpikingLIFNode: (neuron.NonSpikingLIFNode, OWN_LOOP),
    neuron.ILCBaseNode: (lambda: neuron.ILCBaseNode(2, 3), OWN_LOOP),
    neuron.ILCIFNode: (lambda: neuron.ILCIFNode(2, 3), OWN_LOOP),
    neuron.ILCLIFNode: (lambda: neuron.ILCLIFNode(2, 3), OWN_LOOP),
    neuron.ILCCUBALIFNode: (lambda: neuron.ILCCUBALIFNode(2, 3), OWN_LOOP),
    neuron.NoisyBaseNode: (lambda: neuron.NoisyBaseNode(3), NOISE),
    neuron.NoisyCUBALIFNode: (lambda: neuron.NoisyCUBALIFNode(3), NOISE),
    neuron.NoisyILCBaseNode: (lambda: neuron.NoisyILCBaseNode(2, 3), NOISE),
    neuron.NoisyILCCUBALIFNode: (lambda: neuron.NoisyILCCUBALIFNode(2, 3), NOISE),
    neuron.NoisyNonSpikingBaseNode: (lambda: neuron.NoisyNonSpikingBaseNode(3), NOISE),
    neuron.NoisyNonSpikingIFNode: (lambda: neuron.NoisyNonSpikingIFNode(3), NOISE),
    neuron.FewSpikeNode: (lambda: neuron.FewSpikeNode(TABLE), TABLES),
    neuron.HGNode: (lambda: neuron.HGNode([TABLE, TABLE], [0.5]), TABLES),
    neuron.OutlierAwareThresholdNode: (lambda: neuron.OutlierAwareThresholdNode(TABLE, TABLE, 0.5), TABLES),
    layer.GroupNorm: (lambda: layer.GroupNorm(1, 3), NORM),
    layer.NeuNorm: (lambda: layer.NeuNorm(3, 4, 4), NORM),
    layer.WSConv2d: (lambda: layer.WSConv2d(2, 3, 3), "standardized ones into a Conv2d"),
    layer.WSLinear: (lambda: layer.WSLinear(4, 5), "standardized ones into a Linear"),
    layer.DropConnectLinear: (lambda: layer.DropConnectLinear(4, 5), "normal distribution"),
    layer.MultiDimensionalAttention: (lambda: layer.MultiDimensionalAttention(STEPS, 4, 2, 2), GATES),
    layer.TemporalWiseAttention: (lambda: layer.TemporalWiseAttention(STEPS, 2), GATES),
    rnn.SpikingRNNBase: (lambda: rnn.SpikingVanillaRNN(4, 5, 1), OWN_LOOP),
    rnn.SpikingRNNCellBase: (lambda: rnn.SpikingVanillaRNNCell(4, 5), OWN_LOOP),
    rnn.SpikingVanillaRNN: (lambda: rnn.SpikingVanillaRNN(4, 5, 1), OWN_LOOP),
    rnn.SpikingVanillaRNNCell: (lambda: rnn.SpikingVanillaRNNCell(4, 5), OWN_LOOP),
    rnn.SpikingGRU: (lambda: rnn.SpikingGRU(4, 5, 1), OWN_LOOP),
    rnn.SpikingGRUCell: (lambda: rnn.SpikingGRUCell(4, 5), OWN_LOOP),
    rnn.SpikingLSTM: (lambda: rnn.SpikingLSTM(4, 5, 1), OWN_LOOP),
    rnn.SpikingLSTMCell: (lambda: rnn.SpikingLSTMCell(4, 5), OWN_LOOP),
    learning.STDPLearner: (lambda: learning.STDPLearner("s", nn.Linear(2, 2), neuron.IFNode(), 2.0, 2.0), LEARNER),
    learning.MSTDPLearner: (lambda: learning.MSTDPLearner("s", nn.Linear(2, 2), neuron.IFNode(), 2.0, 2.0), LEARNER),
    learning.MSTDPETLearner: (
        lambda: learning.MSTDPETLearner("s", nn.Linear(2, 2), neuron.IFNode(), 2.0, 2.0, 2.0),
        LEARNER,
    ),
    nn.LayerNorm: (lambda: nn.LayerNorm(4), NORM),
    nn.InstanceNorm2d: (lambda: nn.InstanceNorm2d(3), NORM),
    nn.MultiheadAttention: (lambda: nn.MultiheadAttention(4, 2), "softmax"),
    nn.LSTM: (lambda: nn.LSTM(4, 5), OWN_LOOP),
    nn.GRUCell: (lambda: nn.GRUCell(4, 5), OWN_LOOP),
    nn.BatchNorm2d: (lambda: nn.BatchNorm2d(3), "fold_batch_norm"),
}
"""What is refused, and a piece of the reason."""

ABSTRACT = {neuron.SimpleBaseNode}
"""Whose step is for subclasses to complete."""


def public_modules(package: Any) -> set[type]:
    return {kind for _, kind in inspect.getmembers(package, inspect.isclass) if issubclass(kind, nn.Module)}


def test_every_class_of_spikingjelly_is_listed() -> None:
    """A class that a new version brings fails here, until it is quantized or refused."""
    classes: set[type] = set().union(*map(public_modules, (neuron, layer, rnn, learning)))
    assert len(classes) > 100
    assert classes - QUANTIZED.keys() - REFUSED.keys() == ABSTRACT
    assert not QUANTIZED.keys() & REFUSED.keys()


def test_every_case_holds_its_class() -> None:
    for kind, case in QUANTIZED.items():
        assert any(type(module) is kind for module in case.make().modules())


@pytest.mark.parametrize("kind", REFUSED, ids=lambda kind: kind.__name__)
def test_it_is_refused_by_name_with_a_reason(kind: type) -> None:
    make, reason = REFUSED[kind]
    module = make()
    assert isinstance(module, kind)
    network = nn.Sequential(nn.Linear(4, 4), module)
    with pytest.raises(ValueError, match=rf"^1 \({type(module).__name__}\) cannot be quantized: .*{reason}"):
        find_parameters(network)


def check_states(states: dict[str, Tensor], network: nn.Module) -> None:
    families = {parameter.name: parameter.family for parameter in find_parameters(network)}
    for name, value in states.items():
        # Modules that only training gives a state are not quantized.
        if not name.endswith("mask"):
            assert on_grid(value, FORMATS[families[name]]), name


def check_reads(quantized: nn.Module, network: nn.Module) -> None:
    families = {parameter.name: parameter.family for parameter in find_parameters(network)}
    for name, module in quantized.named_modules():
        for own, master in module.named_parameters(recurse=False):
            full = f"{name}.{own}".lstrip(".")
            if full in families:
                read = getattr(module, own)
                assert on_grid(read, FORMATS[families[full]]), full
                assert not on_grid(master, FORMATS[families[full]]) or master.numel() == 1, full


def all_watched(network: nn.Module, x_seq: Tensor) -> dict[str, list[Tensor]]:
    """States after every step in mode 'm', without fresh ones."""
    seen: dict[str, list[Tensor]] = {}
    watched(fresh(network, "m"), lambda name, value: seen.setdefault(name, []).append(value.clone()))(x_seq)
    return {name: values[-len(x_seq) :] for name, values in seen.items()}


def check_finite_gradients(quantized: nn.Module, x_seq: Tensor, step_mode: str) -> None:
    quantized = fresh(quantized, step_mode).train()
    inputs = x_seq.clone().requires_grad_()
    if step_mode == "m":
        outputs = first_output(quantized(inputs))
    else:
        outputs = torch.stack([first_output(quantized(x)) for x in inputs])
    factors = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(1))
    (outputs * factors).sum().backward()  # type: ignore[no-untyped-call]
    trained = [parameter.grad for parameter in quantized.parameters()]
    gradients = [gradient for gradient in (inputs.grad, *trained) if gradient is not None]
    assert gradients
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
    assert any(float(gradient.abs().max()) > 0 for gradient in gradients)


@pytest.mark.parametrize("rounding", [Rounding.NEAREST, Rounding.STOCHASTIC])
@pytest.mark.parametrize("kind", QUANTIZED, ids=lambda kind: kind.__name__)
def test_it_runs_on_the_grid(kind: type, rounding: Rounding) -> None:
    case = QUANTIZED[kind]
    network, x_seq = case.network(), case.inputs()
    quantized = quantize_network(network, config_of(network, rounding)).eval()
    check_reads(quantized, network)
    with torch.no_grad():
        if "s" in case.modes:
            single, steps = run_single(quantized, x_seq)
            for states in steps:
                check_states(states, network)
        if "m" in case.modes:
            multi, last, sequences = run_multi(quantized, x_seq)
            check_states(last, network)
            check_states(sequences, network)
        if case.modes == "sm":
            assert torch.equal(single, multi)
            assert steps[-1].keys() == last.keys()
            assert all(torch.equal(steps[-1][name], last[name]) for name in last)
            every = all_watched(quantized, x_seq)
            for step, states in enumerate(steps):
                assert all(torch.equal(states[name], every[name][step]) for name in states)
                assert all(torch.equal(states[name], sequences[name][step]) for name in sequences if name in states)
    for step_mode in case.modes:
        check_finite_gradients(quantized, x_seq, step_mode)


FIXED_POINT = [
    neuron.IFNode,
    neuron.SimpleIFNode,
    neuron.HalfThresholdIFNode,
    neuron.LIFNode,
    neuron.SimpleLIFNode,
    neuron.ParametricLIFNode,
    neuron.TernaryIFNode,
    neuron.TernaryLIFNode,
    neuron.CUBALIFNode,
    layer.SynapseFilter,
]


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("kind", FIXED_POINT, ids=lambda kind: kind.__name__)
def test_fixed_point_steps_are_exact(kind: type, rounding: Rounding) -> None:
    case = QUANTIZED[kind]
    network = fresh(case.network(), "m")
    quantized = quantize_network(network, config_of(network, rounding))
    check_exact(freeze_network(quantized), case.inputs())


@pytest.mark.parametrize("kind", [neuron.SimpleBaseNode])
def test_abstract_classes_cannot_run_quantized_either(kind: type) -> None:
    network = nn.Sequential(layer.Linear(4, 5), kind())
    quantized = quantize_network(network, config_of(network))
    with pytest.raises(NotImplementedError):
        quantized(eighths(3, 4))


@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_dropout_in_training_keeps_its_mask_through_a_sequence(step_mode: str) -> None:
    network = nn.Sequential(layer.Dropout(0.5), layer.Linear(40, 3), neuron.IFNode())
    quantized: Any = fresh(quantize_network(network, config_of(network)), step_mode).train()
    seen: list[Tensor] = []
    quantized[0].register_forward_hook(lambda _, __, output: seen.append(output))
    x_seq = torch.ones(STEPS, 2, 40)
    with torch.no_grad():
        list(map(quantized, [x_seq] if step_mode == "m" else x_seq))
    dropped = seen[0] if step_mode == "m" else torch.stack(seen)
    assert set(dropped.unique().tolist()) == {0.0, 2.0}  # type: ignore[no-untyped-call]
    assert all(torch.equal(step, dropped[0]) for step in dropped)


def test_surrogates_without_spikes_are_refused() -> None:
    network = nn.Sequential(nn.Linear(4, 4), neuron.LIFNode(surrogate_function=surrogate.ATan(spiking=False)))
    with pytest.raises(ValueError, match=r"^1 \(LIFNode\) cannot be quantized: .*spiking=False"):
        find_parameters(network)


def test_the_network_itself_may_be_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^The network \(PSN\) cannot be quantized"):
        find_parameters(neuron.PSN(4))


# Modules of the user's ----------------------------------------------------------------------------------------------


class Functional(base.MemoryModule):  # type: ignore[misc]
    """Two states; puts out the second."""

    def __init__(self) -> None:
        super().__init__()
        self.register_memory("p", 0.0)
        self.register_memory("q", 0.1)
        self.step_mode = "s"

    def materialize_states(
        self, inputs: tuple[Tensor, ...], states: tuple[Any, ...], step_mode: str
    ) -> tuple[Any, ...]:
        x = inputs[0][0] if step_mode == "m" else inputs[0]
        return tuple(torch.full_like(x, state) if isinstance(state, float) else state for state in states)

    def single_step_functional_forward(
        self, inputs: tuple[Tensor, ...], states: tuple[Any, ...], **_: object
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        p, q = states
        p = 0.9 * p + inputs[0]
        q = 0.7 * q + 0.3 * p
        return (q,), (p, q)


class Older(base.MemoryModule):  # type: ignore[misc]
    """A leaky membrane that is set as an attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.register_memory("v", 0.0)
        self.surrogate_function = surrogate.ATan()
        self.step_mode = "s"

    def single_step_forward(self, x: Tensor) -> Tensor:
        self.v = 0.7 * self.v + x  # type: ignore[has-type]
        spike: Tensor = self.surrogate_function(self.v - 0.8)
        self.v = self.v * (1 - spike.detach())
        return spike


class LoopOnly(base.MemoryModule):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.register_memory("v", 0.0)
        self.step_mode = "m"

    def multi_step_forward(self, x_seq: Tensor, *_: Any, **__: Any) -> Tensor:
        return x_seq.cumsum(0)


class Plain(nn.Module):
    """A weight of one's own, in no layer of torch's."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor([0.3, 0.77, -1.3, 0.1]))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gain


@pytest.mark.parametrize("kind", [Functional, Older])
def test_memory_modules_of_the_users_are_rounded_after_every_step(kind: type[nn.Module]) -> None:
    network: Any = nn.Sequential(layer.Linear(4, 4), kind())
    x_seq = eighths(STEPS, 3, 4)
    quantized = quantize_network(network, config_of(network))
    with torch.no_grad():
        single, steps = run_single(quantized, x_seq)
        multi, last, _ = run_multi(quantized, x_seq)
        for states in steps:
            check_states(states, network)
        assert len(steps[0]) == len(dict(network[1].named_memories()))
        assert torch.equal(single, multi)
        assert steps[-1].keys() == last.keys()
        assert all(torch.equal(steps[-1][name], last[name]) for name in last)
    for step_mode in "sm":
        check_finite_gradients(quantized, x_seq, step_mode)


def test_an_output_that_is_a_state_is_rounded_like_it() -> None:
    network = nn.Sequential(Functional())
    quantized = quantize_network(network, config_of(network))
    output, steps = run_single(quantized, eighths(STEPS, 3, 4))
    assert torch.equal(output, torch.stack([states["0.q"] for states in steps]))


def test_the_rounded_state_is_what_the_next_step_starts_from() -> None:
    """Recomputed with torch: 0.7 v + x, rounded to sixteenths, after every step."""
    network = nn.Sequential(Older())
    x_seq = eighths(STEPS, 3, 4, high=5)
    _, steps = run_single(quantize_network(network, config_of(network)), x_seq)
    v = torch.zeros(3, 4)
    for x, states in zip(x_seq, steps, strict=True):
        v = 0.7 * v + x
        v = torch.floor(v.masked_fill(v >= 0.8, 0.0) * 16 + 0.5) / 16
        assert torch.equal(states["0.v"], v)


def test_memory_modules_without_a_single_step_are_refused() -> None:
    with pytest.raises(ValueError, match=rf"^1 \(LoopOnly\) cannot be quantized: .*{NO_STEP}"):
        find_parameters(nn.Sequential(nn.Linear(4, 4), LoopOnly()))


def test_weights_of_modules_of_the_users_are_read_on_the_grid() -> None:
    network = nn.Sequential(Plain(), neuron.IFNode())
    quantized: Any = quantize_network(network, config_of(network))
    seen: list[Tensor] = []
    quantized[0].register_forward_hook(lambda _, __, output: seen.append(output.detach()))
    quantized(torch.ones(2, 4))
    assert seen[0][0].tolist() == [5 / 16, 12 / 16, -1.0, 2 / 16]
    check_finite_gradients(quantized, eighths(STEPS, 2, 4), "s")
