"""The life of a quantized network: copies, files, resets, training."""

from __future__ import annotations

import copy
import io
import math
import pickle
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding
from qspinn_optuna.networks import freeze_network, quantize_network
from qspinn_optuna.parameters import Family
from tests.networks.builders import FORMATS, config_of, eighths, on_grid, run_multi, run_single, states_of

STEPS = 5


def make_network() -> Any:
    torch.manual_seed(1)
    network: Any = nn.Sequential(
        layer.Conv2d(1, 3, 3, padding=1),
        neuron.LIFNode(2.5, v_threshold=0.2, v_reset=-0.13, store_v_seq=True),
        layer.Flatten(),
        layer.Linear(48, 6),
        neuron.ParametricLIFNode(3.0, v_threshold=0.1, v_reset=None),
        layer.Linear(6, 4, bias=False),
        layer.SynapseFilter(3.0, learnable=True),
    )
    with torch.no_grad():
        # So that every layer is busy.
        network[0].bias.add_(0.3)
        network[3].weight[::2].abs_()
    return network


INPUTS = eighths(STEPS, 2, 1, 4, 4)


def run(network: nn.Module) -> Tensor:
    functional.reset_net(network)
    result = torch.stack([network(x) for x in INPUTS])
    functional.reset_net(network)
    return result


def masters(network: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in network.named_parameters()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def quantized(rounding: Rounding = Rounding.NEAREST, seed: int = 0) -> Any:
    network = make_network()
    return quantize_network(network, config_of(network, rounding), seed=seed)


# The original -------------------------------------------------------------------------------------------------------


def test_the_original_is_untouched() -> None:
    network = make_network()
    before, output = masters(network), run(network)
    classes = [type(module) for module in network.modules()]
    copied = quantize_network(network, config_of(network))
    run(copied).sum().backward()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.add_(1.0)
    assert same(masters(network), before)
    assert all(parameter.grad is None for parameter in network.parameters())
    assert [type(module) for module in network.modules()] == classes
    assert network[1].v_threshold == 0.2
    assert network[1].v_reset == -0.13
    assert torch.equal(run(network), output)


def test_a_sequence_of_the_original_goes_on_with_its_gradients() -> None:
    def second_half(interrupt: Callable[[nn.Module], Any]) -> tuple[Tensor, dict[str, Tensor]]:
        network = make_network()
        for x in INPUTS[:3]:
            network(x)
        interrupt(network)
        output = torch.stack([network(x) for x in INPUTS[3:]])
        output.sum().backward()  # type: ignore[no-untyped-call]
        return output, {name: value.grad for name, value in network.named_parameters() if value.grad is not None}

    output, gradients = second_half(lambda _: None)
    again, gradients_again = second_half(lambda network: quantize_network(network, config_of(network)))
    assert len(gradients) == 7
    assert torch.equal(again, output)
    assert same(gradients, gradients_again)


def test_the_original_keeps_its_sequence_of_potentials() -> None:
    network = make_network()
    network(INPUTS[0])
    stored, potential = network[1].v_seq, network[1].v
    quantize_network(network, config_of(network))
    assert network[1].v_seq is stored
    assert network[1].v is potential


def test_the_copy_of_a_network_in_a_sequence_starts_afresh() -> None:
    network = make_network()
    expected = run(quantize_network(network, config_of(network)))
    network(INPUTS[0])
    copied: Any = quantize_network(network, config_of(network))
    assert copied[1].v_seq is None
    assert torch.equal(torch.stack([copied(x) for x in INPUTS]), expected)


# Copies and files ---------------------------------------------------------------------------------------------------


def by_torch(network: nn.Module) -> nn.Module:
    buffer = io.BytesIO()
    torch.save(network, buffer)
    buffer.seek(0)
    loaded: nn.Module = torch.load(buffer, weights_only=False)
    return loaded


COPIERS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda network: pickle.loads(pickle.dumps(network)),
    "torch": by_torch,
}


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("copier", COPIERS)
def test_copies_compute_the_same(copier: str, rounding: Rounding) -> None:
    original = quantized(rounding)
    copied = COPIERS[copier](original)
    assert [type(module) for module in copied.modules()] == [type(module) for module in original.modules()]
    for _ in range(2):
        assert torch.equal(run(copied), run(original))


@pytest.mark.parametrize("copier", COPIERS)
def test_copies_are_independent(copier: str) -> None:
    original = quantized()
    before = run(original)
    copied = COPIERS[copier](original)
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.neg_()
    assert not torch.equal(run(copied), before)
    assert torch.equal(run(original), before)


@pytest.mark.parametrize("copier", COPIERS)
def test_copies_in_the_middle_of_a_sequence_go_on(copier: str) -> None:
    original = quantized()
    for x in INPUTS[:3]:
        original(x)
    copied = COPIERS[copier](original)
    assert same(states_of(copied), states_of(original))
    assert torch.equal(copied(INPUTS[3]), original(INPUTS[3]))


@pytest.mark.parametrize("rounding", Rounding)
def test_a_state_dict_goes_through_freezing(rounding: Rounding) -> None:
    """Stochastic weights too: what is on the grid does not move, whatever the seed."""
    source = quantized(rounding, seed=3)
    frozen = freeze_network(source)
    target = quantized(rounding, seed=8)
    target.load_state_dict(frozen.state_dict())
    for ours, theirs in zip(source.modules(), target.modules(), strict=True):
        for own, _ in ours.named_parameters(recurse=False):
            if own != "w":
                assert torch.equal(getattr(ours, own), getattr(theirs, own))
                assert torch.equal(getattr(ours, own), theirs._parameters[own])
    # States draw from streams of their seeds: compare where nothing is drawn.
    if rounding is not Rounding.STOCHASTIC:
        assert torch.equal(run(frozen), run(source))
        assert torch.equal(run(target), run(source))


def test_frozen_networks_compute_the_same_and_leave_the_source() -> None:
    source = quantized(Rounding.STOCHASTIC)
    before = masters(source)
    frozen = freeze_network(source)
    assert same(masters(source), before)
    weight = masters(frozen)["0.weight"]
    assert on_grid(weight, FORMATS[Family.WEIGHT])
    assert not on_grid(before["0.weight"], FORMATS[Family.WEIGHT])
    assert torch.equal(run(frozen), run(source))


def test_state_dicts_keep_names_and_masters() -> None:
    network = make_network()
    assert same(network.state_dict(), quantize_network(network, config_of(network)).state_dict())


# Resets and step modes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("freeze", [False, True])
def test_parameters_are_got_by_the_names_that_they_have(freeze: bool) -> None:
    network = freeze_network(quantized()) if freeze else quantized()
    names = dict(network.named_parameters())
    assert names
    for copied in (network, copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        for name, parameter in copied.named_parameters():
            assert copied.get_parameter(name) is parameter
            owner, _, own = name.rpartition(".")
            assert copied.get_submodule(owner).get_parameter(own) is parameter
    for missing in ("0.none", "9.weight", "0"):
        with pytest.raises(AttributeError):
            network.get_parameter(missing)


@pytest.mark.parametrize("make", [neuron.IFNode, neuron.LIFNode, neuron.EIFNode, neuron.IzhikevichNode])
def test_resets_put_states_on_the_grid(make: Callable[..., nn.Module]) -> None:
    """-0.13 is no multiple of 1/16."""
    network = nn.Sequential(make(v_reset=-0.13, v_threshold=0.5))
    copied = quantize_network(network, config_of(network))
    _, steps = run_single(copied, eighths(STEPS, 2, 6))
    assert all(on_grid(states["0.v"], FORMATS[Family.MEMBRANE]) for states in steps)
    functional.reset_net(copied)
    copied(torch.zeros(2, 6))
    assert on_grid(states_of(copied)["0.v"], FORMATS[Family.MEMBRANE])


def test_neurons_are_reset_to_the_grid_point_nearest_to_their_potential() -> None:
    network = nn.Sequential(neuron.IFNode(v_reset=-0.13, v_threshold=0.5))
    copied = quantize_network(network, config_of(network))
    assert copied.get_submodule("0").v == -2 / 16
    copied(torch.tensor([[0.0, 5.0]]))
    assert states_of(copied)["0.v"].tolist() == [[-2 / 16, -2 / 16]]


def test_reset_net_forgets_the_sequence() -> None:
    copied = quantized()
    assert torch.equal(run(copied), run(copied))
    copied(INPUTS[0])
    functional.reset_net(copied)
    copied(INPUTS[0][:1])
    assert states_of(copied)["1.v"].shape[0] == 1


def test_stored_sequences_of_potentials_are_on_the_grid() -> None:
    copied = quantized()
    _, steps = run_single(copied, INPUTS)
    _, _, sequences = run_multi(copied, INPUTS)
    assert sequences.keys() == {"1.v", "4.v"}
    for name, sequence in sequences.items():
        assert on_grid(sequence, FORMATS[Family.MEMBRANE])
        assert torch.equal(sequence, torch.stack([states[name] for states in steps]))


def test_sequences_of_potentials_are_stored_in_single_steps_too() -> None:
    copied = quantized()
    for x in INPUTS:
        copied(x)
    _, _, sequences = run_multi(copied, INPUTS)
    stored: Tensor = copied[1].v_seq
    assert torch.equal(stored, sequences["1.v"])


@pytest.mark.parametrize("rounding", Rounding)
def test_the_step_mode_can_be_set_afterwards(rounding: Rounding) -> None:
    copied = quantized(rounding)
    expected = run(copy.deepcopy(copied))
    functional.set_step_mode(copied, "m")
    assert torch.equal(copied(INPUTS), expected)
    functional.set_step_mode(copied, "s")
    functional.reset_net(copied)
    if rounding is not Rounding.STOCHASTIC:
        assert torch.equal(run(copied), expected)


# Shared and stochastic weights --------------------------------------------------------------------------------------


def shared_network() -> Any:
    torch.manual_seed(2)
    network = nn.Sequential(layer.Linear(4, 4), neuron.IFNode(), layer.Linear(4, 4), neuron.IFNode())
    network[2].weight = network[0].weight
    return network


def test_shared_weights_are_quantized_once_and_alike() -> None:
    network = shared_network()
    config = config_of(network, Rounding.STOCHASTIC)
    assert "0.weight" in config.parameters
    assert "2.weight" not in config.parameters
    copied: Any = quantize_network(network, config)
    assert torch.equal(copied[0].weight, copied[2].weight)
    assert copied[0]._parameters["weight"] is copied[2]._parameters["weight"]
    frozen: Any = freeze_network(copied)
    assert torch.equal(frozen[2].weight, copied[0].weight)
    for copier in COPIERS.values():
        again: Any = copier(copied)
        with torch.no_grad():
            again[0]._parameters["weight"].add_(0.013)
        assert torch.equal(again[0].weight, again[2].weight)
        assert not torch.equal(again[0].weight, copied[0].weight)


def reads_of(network: nn.Module, inputs: Tensor) -> list[Tensor]:
    """What the first layer uses as its weights in each call."""
    seen = []
    first: Any = next(network.children())
    handle = first.register_forward_hook(lambda module, *_: seen.append(module.weight.detach().clone()))
    for x in inputs:
        network(x)
    handle.remove()
    functional.reset_net(network)
    return seen


def stochastic_network() -> nn.Module:
    torch.manual_seed(3)
    network = nn.Sequential(layer.Linear(50, 20), neuron.LIFNode(v_threshold=0.4))
    return quantize_network(network, config_of(network, Rounding.STOCHASTIC), seed=1)


def test_stochastic_weights_are_drawn_once_for_each_update() -> None:
    network = stochastic_network()
    inputs = eighths(STEPS, 3, 50)
    reads = reads_of(network, inputs) + reads_of(network.eval(), inputs)
    assert len(reads) == 2 * STEPS
    assert all(torch.equal(read, reads[0]) for read in reads)
    assert on_grid(reads[0], FORMATS[Family.WEIGHT])


def step_of_sgd(network: nn.Module) -> None:
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
    network.train()(eighths(3, 50)).sum().backward()
    optimizer.step()
    functional.reset_net(network)


def by_data(network: nn.Module) -> None:
    for parameter in network.parameters():
        parameter.data.add_(1e-4)


@pytest.mark.parametrize("update", [step_of_sgd, by_data])
def test_stochastic_weights_are_drawn_anew_after_an_update(update: Callable[[nn.Module], None]) -> None:
    network = stochastic_network()
    inputs = eighths(STEPS, 3, 50)
    before = reads_of(network, inputs)[0]
    update(network)
    after = reads_of(network, inputs)
    assert not torch.equal(after[0], before)
    assert all(torch.equal(read, after[0]) for read in after)
    assert on_grid(after[0], FORMATS[Family.WEIGHT])


def test_stochastic_weights_are_unbiased() -> None:
    """The mean over 400 updates of a weight of 0.3 sixteenths above a grid point, to 4 standard errors."""
    network: Any = nn.Sequential(nn.Linear(10, 10, bias=False), neuron.IFNode())
    nn.init.constant_(network[0].weight, 2.3 / 16)
    copied: Any = quantize_network(network, config_of(network, Rounding.STOCHASTIC), seed=5)
    ups = 0
    for update in range(400):
        with torch.no_grad():
            # A change so small that it hardly matters, but another number.
            copied[0]._parameters["weight"].fill_(2.3 / 16 + update * 1e-7)
        codes = copied[0].weight.detach() * 16
        assert set(codes.unique().tolist()) <= {2.0, 3.0}
        ups += int((codes == 3).sum())
    assert abs(ups / 40_000 - 0.3) < 4 * math.sqrt(0.3 * 0.7 / 40_000) + 16 * 2e-5


def test_seeds_make_the_draws() -> None:
    first, second, third = (quantized(Rounding.STOCHASTIC, seed) for seed in (1, 1, 2))
    assert torch.equal(run(first), run(second))
    assert not torch.equal(first[0].weight, third[0].weight)


# Training -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rounding", Rounding)
def test_training_moves_the_masters_while_reads_stay_on_the_grid(rounding: Rounding) -> None:
    network = quantized(rounding)
    before = masters(network)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        (run(network) - 0.5).square().sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    after: Any = masters(network)
    assert [name for name in before if torch.equal(before[name], after[name])] == []
    assert not on_grid(after["0.weight"], FORMATS[Family.WEIGHT])
    for index in (0, 3, 5):
        assert on_grid(network[index].weight, FORMATS[Family.WEIGHT])


def test_training_lowers_the_loss() -> None:
    """Of counting spikes up to a target, with weights of 5 bits."""
    network = quantized()
    target = torch.rand(2, 4, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        loss = (run(network).mean(0) - target).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    assert min(losses[-5:]) < 0.6 * losses[0]


def nearest(value: float, fmt: QFormat) -> float:
    code = math.floor(Fraction(value) * 2**fmt.fraction_bits + Fraction(1, 2))
    return float(min(code, fmt.max_code) * fmt.resolution)


@pytest.mark.parametrize("w", [-3.0, 0.0, 1.4])
def test_a_learned_decay_is_used_on_its_grid(w: float) -> None:
    """One step of a filter at 1 without input: what remains is the decay, in 3 fraction bits."""
    network = nn.Sequential(layer.SynapseFilter(3.0, learnable=True))
    decay_format = QFormat(0, 3, signed=False)
    config = QuantizationConfig(
        Scheme.ITQ,
        {
            "0.out_i": ParameterQuantization(QFormat(1, 6), Rounding.NEAREST),
            "0.decay": ParameterQuantization(decay_format, Rounding.NEAREST),
        },
    )
    copied: Any = quantize_network(network, config)
    with torch.no_grad():
        copied[0].w.fill_(w)
    copied(torch.ones(1, 1))
    output = copied(torch.zeros(1, 1))
    assert float(output.detach()) == nearest(float(1 - torch.tensor(w).sigmoid()), decay_format)
    output.sum().backward()
    inside = float(1 - torch.tensor(w).sigmoid()) <= decay_format.max
    assert (float(copied[0].w.grad) < 0) == inside


@pytest.mark.parametrize("kind", ["plif", "filter"])
def test_training_moves_a_learned_decay(kind: str) -> None:
    node = neuron.ParametricLIFNode(3.0, v_threshold=0.3) if kind == "plif" else layer.SynapseFilter(3.0, True)
    network = nn.Sequential(node)
    copied: Any = quantize_network(network, config_of(network))
    optimizer = torch.optim.SGD(copied.parameters(), lr=0.1)
    fresh_run = torch.stack([copied(x) for x in eighths(STEPS, 2, 4)])
    fresh_run.sum().backward()  # type: ignore[no-untyped-call]
    before = float(copied[0].w.detach())
    optimizer.step()
    assert float(copied[0].w.detach()) != before


def test_a_frozen_learned_decay_does_not_draw_again() -> None:
    network = nn.Sequential(neuron.ParametricLIFNode(3.0))
    copied = quantize_network(network, config_of(network, Rounding.STOCHASTIC), seed=2)
    assert torch.equal(run_any(freeze_network(copied)), run_any(copied))


def run_any(network: nn.Module) -> Tensor:
    return run_single(network, eighths(STEPS, 2, 4))[0]


# Thresholds and decays ----------------------------------------------------------------------------------------------


def test_thresholds_and_decays_are_on_their_grids() -> None:
    network = nn.Sequential(neuron.LIFNode(tau=3.0, v_threshold=0.77, decay_input=False))
    formats = {"0.v": QFormat(3, 8), "0.threshold": QFormat(1, 2, signed=False), "0.decay": QFormat(0, 3, signed=False)}
    config = QuantizationConfig(
        Scheme.PTQ, {name: ParameterQuantization(fmt, Rounding.TRUNCATION) for name, fmt in formats.items()}
    )
    copied: Any = quantize_network(network, config)
    assert copied[0].v_threshold == 0.75
    copied(torch.tensor([[0.5, 0.74, 0.75]]))
    assert copied[0].v.tolist() == [[0.5, float(torch.tensor(0.74 * 256).floor() / 256), 0.0]]
    copied(torch.zeros(1, 3))
    # 2/3 is 5/8.
    assert copied[0].v[0, 0].item() == 0.5 * 5 / 8


def test_states_that_the_config_leaves_out_stay() -> None:
    network = nn.Sequential(layer.Linear(4, 4), neuron.CUBALIFNode())
    copied = quantize_network(network, changed(config_of(network), remove="1.c"))
    _, steps = run_single(copied, eighths(STEPS, 3, 4))
    assert all(on_grid(states["1.v"], FORMATS[Family.MEMBRANE]) for states in steps)
    assert not on_grid(steps[-1]["1.c"], FORMATS[Family.TRACE])


# Errors -------------------------------------------------------------------------------------------------------------


def changed(config: QuantizationConfig, remove: str | None = None, add: str | None = None) -> QuantizationConfig:
    parameters = {name: value for name, value in config.parameters.items() if name != remove}
    if add is not None:
        parameters[add] = ParameterQuantization(QFormat(1, 2), Rounding.NEAREST)
    return QuantizationConfig(config.scheme, parameters)


def test_unknown_names_are_refused() -> None:
    network = make_network()
    with pytest.raises(ValueError, match=r"\['9\.weight'\] are not in it, none of it are missing.*calibrate"):
        quantize_network(network, changed(config_of(network), add="9.weight"))


@pytest.mark.parametrize("name", ["0.weight", "3.bias", "4.v", "1.decay", "4.decay", "6.decay", "1.threshold"])
def test_missing_names_are_refused(name: str) -> None:
    network = make_network()
    with pytest.raises(ValueError, match=rf"none are not in it, \['{name}'\] of it are missing"):
        quantize_network(network, changed(config_of(network), remove=name))


def test_quantized_networks_are_refused() -> None:
    network = make_network()
    config = config_of(network)
    copied = quantize_network(network, config)
    for again in (copied, freeze_network(copied), copy.deepcopy(copied)):
        with pytest.raises(TypeError, match="quantized already"):
            quantize_network(again, config)


def test_only_quantized_networks_are_frozen() -> None:
    with pytest.raises(ValueError, match="must be quantized"):
        freeze_network(make_network())


@pytest.mark.parametrize("value", [None, "network", torch.zeros(2)])
def test_other_things_are_refused(value: Any) -> None:
    config = config_of(make_network())
    with pytest.raises(TypeError, match=rf"torch\.nn\.Module, got {type(value).__name__}"):
        quantize_network(value, config)


def test_nan_weights_are_refused() -> None:
    network: Any = make_network()
    config = config_of(network)
    with torch.no_grad():
        network[0].weight[0] = math.nan
    with pytest.raises(ValueError, match="finite"):
        run(quantize_network(network, config))


@pytest.mark.parametrize("kind", ["detach", "zero"])
@pytest.mark.parametrize("make", [neuron.LIFNode, neuron.CUBALIFNode, neuron.QIFNode])
def test_states_can_be_changed_in_place_between_steps(make: Callable[[], nn.Module], kind: str) -> None:
    network: Any = nn.Sequential(nn.Linear(3, 4), make())
    network = quantize_network(network, config_of(network))
    output = network(x := torch.ones(2, 3))
    if kind == "detach":
        network[1].v.detach_()
    else:
        with torch.no_grad():
            network[1].v[network[1].v < 0] = 0
    (output + network(x)).sum().backward()
    assert dict(network.named_parameters())["0.weight"].grad is not None
