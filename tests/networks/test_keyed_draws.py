"""Stochastic rounding at inference: by sample, step and element, whatever batch a sample is in."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import base, functional, layer, neuron
from torch import Tensor, nn

from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding
from qspinn_optuna.networks import check_exact, freeze_network, quantize_network, sample_numbers
from qspinn_optuna.networks.running.watching import fresh_copy, watched
from tests.networks.builders import config_of, eighths, first_output, fresh, states_of
from tests.networks.integer_lif import keyed
from tests.networks.test_support import QUANTIZED

STEPS, SAMPLES = 5, 8
NUMBERS = [3, 0, 11, 2**40, 2**64 - 1, 5, 6, 7]
SEED = 4


def make_network(step_mode: str = "m") -> nn.Module:
    torch.manual_seed(0)
    network = nn.Sequential(
        layer.Linear(6, 7), neuron.LIFNode(3.0, v_threshold=0.4), layer.Linear(7, 5), neuron.IFNode(v_threshold=0.3)
    )
    functional.set_step_mode(network, step_mode)
    return network


def quantized(network: nn.Module, *inputs: str) -> nn.Module:
    """All of a network stochastic, of few bits; frozen, since weights are no matter here."""
    parameters = dict(config_of(network, Rounding.STOCHASTIC).parameters)
    parameters |= {name: ParameterQuantization(QFormat(1, 2), Rounding.STOCHASTIC) for name in inputs}
    return freeze_network(quantize_network(network, QuantizationConfig(Scheme.PTQ, parameters), seed=SEED)).eval()


INPUTS = eighths(STEPS, SAMPLES, 6)


@torch.no_grad()
def run_samples(network: nn.Module, inputs: Tensor, numbers: Sequence[int], step_mode: str = "m") -> Tensor:
    """Outputs [steps, batch, ...] and the last potentials, side by side, from fresh states."""
    network = fresh(network, step_mode)
    with sample_numbers(network, numbers):
        outputs = network(inputs) if step_mode == "m" else torch.stack([network(x) for x in inputs])
    states = [value.flatten(1).expand(len(outputs), -1, -1) for value in states_of(network).values()]
    return torch.cat([outputs.flatten(2), *states], 2)


def potentials(network: nn.Module) -> Tensor:
    """The last potentials of all layers after a sequence, [batch, ...]."""
    functional.reset_net(network)
    network(INPUTS)
    return torch.cat(list(states_of(network).values()), 1)


def test_a_layer_by_plain_integers() -> None:
    """A LIF neuron of decay 1/2 whose potential has two digits, by codes and the draws of a device."""
    network = nn.Sequential(neuron.LIFNode(2.0, decay_input=False, v_threshold=1.0, v_reset=None))
    parameters = {
        "0.v": ParameterQuantization(QFormat(2, 2), Rounding.STOCHASTIC),
        "0.threshold": ParameterQuantization(QFormat(1, 2), Rounding.NEAREST),
        "0.decay": ParameterQuantization(QFormat(0, 1, signed=False), Rounding.NEAREST),
    }
    simulated = quantize_network(network, QuantizationConfig(Scheme.PTQ, parameters), seed=SEED).eval()
    draw, code = keyed(SEED, "0.v", NUMBERS), np.zeros((SAMPLES, 6), np.int64)
    moved = 0
    with sample_numbers(simulated, NUMBERS):
        for step, x in enumerate(INPUTS):
            spikes = simulated(x)
            # In eighths, of which a step of the potential has two.
            charged = code + (x * 8).long().numpy()
            fired = charged >= 8
            kept = charged - 8 * fired
            code = (kept + (draw(step, code.shape) >> 31)) >> 1
            code = np.clip(code, -16, 15)
            moved += int((code != kept >> 1).sum())
            assert spikes.tolist() == fired.astype(float).tolist()
            assert (simulated.get_submodule("0").v * 4).tolist() == code.tolist()  # type: ignore[operator,union-attr]
    assert moved > 20


@pytest.mark.parametrize("step_mode", ["s", "m"])
@pytest.mark.parametrize("batch", [1, 3, 8])
def test_neither_batches_nor_step_modes_matter(batch: int, step_mode: str) -> None:
    network = quantized(make_network(), "input")
    parts = [
        run_samples(network, INPUTS[:, rows], NUMBERS[rows], step_mode)
        for rows in (slice(start, start + batch) for start in range(0, SAMPLES, batch))
    ]
    assert torch.equal(torch.cat(parts, 1), run_samples(network, INPUTS, NUMBERS))


def test_samples_keep_their_draws_in_another_order() -> None:
    network, order = quantized(make_network()), torch.tensor([4, 2, 7, 0, 1, 6, 3, 5])
    shuffled = run_samples(network, INPUTS[:, order], [NUMBERS[row] for row in order.tolist()])
    expected = run_samples(network, INPUTS, NUMBERS)
    assert torch.equal(shuffled, expected[:, order])
    assert not torch.equal(run_samples(network, INPUTS, range(SAMPLES)), expected)


def test_rows_are_numbers_by_default() -> None:
    network = quantized(make_network())
    with torch.no_grad():
        default = network(INPUTS)
        functional.reset_net(network)
        assert torch.equal(network(INPUTS[:, :3]), default[:, :3])
    assert torch.equal(run_samples(network, INPUTS, range(SAMPLES))[..., :5], default)


@pytest.mark.parametrize("kind", QUANTIZED, ids=lambda kind: kind.__name__)
def test_every_supported_module_draws_for_a_sample_the_same_in_any_batch(kind: type) -> None:
    case = QUANTIZED[kind]
    x_seq = case.inputs()
    dimension = (0 if case.time_last else 1) if "m" in case.modes else 1
    network = case.network()
    frozen = freeze_network(quantize_network(network, config_of(network, Rounding.STOCHASTIC), seed=SEED)).eval()
    samples = x_seq.shape[dimension]

    def run_rows(rows: list[int], step_mode: str) -> Tensor:
        copied, inputs = fresh(frozen, step_mode), x_seq.index_select(dimension, torch.tensor(rows))
        with torch.no_grad(), sample_numbers(copied, [10 * row for row in rows]):
            if step_mode == "m":
                return first_output(copied(inputs))
            return torch.stack([first_output(copied(x)) for x in inputs])

    for step_mode in case.modes:
        together = run_rows(list(range(samples)), step_mode)
        along = 0 if case.time_last and step_mode == "m" else 1
        apart = [run_rows([row], step_mode) for row in range(samples)]
        assert torch.equal(torch.cat(apart, along), together)


class Tokens(nn.Module):
    """Neurons of [tokens, samples, ...] or [samples * tokens, ...], from [steps, samples, tokens, features]."""

    def __init__(self, arrange: Callable[[Tensor], Tensor], restore: Callable[[Tensor, int], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.lif = layer.Linear(6, 7), neuron.LIFNode(3.0, v_threshold=0.4)
        self.arrange, self.restore = arrange, restore
        functional.set_step_mode(self, "m")

    def forward(self, x: Tensor) -> Tensor:
        return self.restore(self.lif(self.arrange(self.linear(x))), x.shape[1])


@pytest.mark.parametrize(
    ("arrange", "restore"),
    [
        (lambda x: x.flatten(1, 2), lambda x, samples: x.unflatten(1, (samples, -1))),
        (lambda x: x.transpose(1, 2), lambda x, _: x.transpose(1, 2)),
        (lambda x: x.movedim(1, -1), lambda x, _: x.movedim(-1, 1)),
        (lambda x: x, lambda x, _: x),
    ],
)
def test_samples_may_share_a_dimension_or_come_later(
    arrange: Callable[[Tensor], Tensor], restore: Callable[[Tensor, int], Tensor]
) -> None:
    tokens = eighths(STEPS, SAMPLES, 4, 6)
    network = quantized(Tokens(arrange, restore))
    same = quantized(Tokens(lambda x: x, lambda x, _: x))

    @torch.no_grad()
    def run_tokens(network: nn.Module, rows: slice) -> Tensor:
        functional.reset_net(network)
        with sample_numbers(network, NUMBERS[rows]):
            output: Tensor = network(tokens[:, rows])
        return output

    expected = run_tokens(network, slice(None))
    parts = [run_tokens(network, slice(start, start + 2)) for start in range(0, SAMPLES, 2)]
    assert torch.equal(torch.cat(parts, 1), expected)
    if arrange(tokens).shape[-1] != SAMPLES:
        assert torch.equal(run_tokens(same, slice(None)), expected)


# Resets and copies --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inputs", [(), ("input",), ("0.input", "2.input")])
def test_a_reset_repeats_and_nothing_else_does(inputs: tuple[str, ...]) -> None:
    network = quantized(make_network(), *inputs)
    with torch.no_grad():
        first, later = network(INPUTS), network(INPUTS)
        functional.reset_net(network)
        again, after = network(INPUTS), network(INPUTS)
    assert torch.equal(first, again)
    assert torch.equal(later, after)
    assert not torch.equal(first, later)


def test_parts_of_a_sequence_are_those_of_the_whole() -> None:
    network = quantized(make_network(), "0.input", "2.input")
    with torch.no_grad():
        whole = network(INPUTS)
        functional.reset_net(network)
        early = network(INPUTS[:2])
        functional.detach_net(network)
        continued = [
            network,
            copy.deepcopy(network),
            pickle.loads(pickle.dumps(network)),
        ]
        for each in continued:
            assert torch.equal(torch.cat([early, each(INPUTS[2:])]), whole)


def test_copies_that_begin_anew_draw_from_the_first_step() -> None:
    network = quantized(make_network(), "0.input")
    expected = potentials(network)
    copied = fresh_copy(network)
    copied(INPUTS)
    assert torch.equal(torch.cat(list(states_of(copied).values()), 1), expected)


def test_numbers_are_those_of_the_copy_that_they_are_given_to() -> None:
    network = quantized(make_network())
    copied = copy.deepcopy(network)
    expected = potentials(network)
    with sample_numbers(copied, NUMBERS):
        assert torch.equal(potentials(network), expected)
        assert not torch.equal(potentials(copied), expected)
    assert torch.equal(potentials(copied), expected)


def test_weights_that_are_loaded_bring_no_steps_along() -> None:
    network, other = quantized(make_network()), quantized(make_network())
    with torch.no_grad():
        expected = network(INPUTS)
        assert set(network.state_dict()) == set(make_network().state_dict())
        other.load_state_dict(network.state_dict())
        assert torch.equal(other(INPUTS), expected)


@pytest.mark.parametrize("make", [neuron.LIFNode, neuron.KLIFNode, neuron.CUBALIFNode])
def test_watching_draws_nothing(make: Callable[[], nn.Module]) -> None:
    network = quantized(nn.Sequential(layer.Linear(6, 7), make()))
    functional.set_step_mode(network, "m")
    with torch.no_grad():
        assert torch.equal(watched(network, lambda *_: None)(INPUTS), network(INPUTS))


class Adding(base.MemoryModule):  # type: ignore[misc]
    """Starts half a step above zero, and adds half a step each time."""

    def __init__(self) -> None:
        super().__init__()
        self.register_memory("v", 1 / 32)

    def materialize_states(
        self, inputs: tuple[Tensor, ...], states: tuple[Any, ...], step_mode: str
    ) -> tuple[object, ...]:
        x = inputs[0][0] if step_mode == "m" else inputs[0]
        return tuple(state if isinstance(state, Tensor) else torch.full_like(x, state) for state in states)

    def single_step_functional_forward(
        self, inputs: tuple[Tensor, ...], states: tuple[Any, ...], **_: object
    ) -> tuple[tuple[Tensor, ...], tuple[object, ...]]:
        v = states[0] + 1 / 32
        return (v + inputs[0],), (v,)


class AddingAttribute(base.MemoryModule):  # type: ignore[misc]
    """Starts at zero, and adds half a step each time."""

    v: Any

    def __init__(self) -> None:
        super().__init__()
        self.register_memory("v", 0.0)

    def single_step_forward(self, x: Tensor) -> Tensor:
        self.v = self.v + x + 1 / 32
        return x


class AddingForward(AddingAttribute):
    def forward(self, x: Tensor) -> Tensor:
        self.v = self.v + x + 1 / 32
        return x


@pytest.mark.parametrize(
    ("make", "step_mode", "first"),
    [
        (Adding, "s", -1),
        (Adding, "m", -1),
        (AddingAttribute, "s", 0),
        (AddingAttribute, "m", 0),
        (AddingForward, "s", 0),
    ],
)
def test_steps_of_the_users_modules_are_counted_from_their_fresh_states(
    make: Callable[[], nn.Module], step_mode: str, first: int
) -> None:
    """Half a step rounds up by the highest bit of a draw, that of a fresh state by one of the step before the first."""
    network = quantized(nn.Sequential(make()))
    functional.set_step_mode(network, step_mode)
    zeros, draw = torch.zeros(STEPS, SAMPLES, 100), keyed(SEED, "0.v", NUMBERS)
    expected = sum(draw(step % 2**64, (SAMPLES, 100)) >> 31 for step in range(first, STEPS))
    for _ in range(2):
        functional.reset_net(network)
        with torch.no_grad(), sample_numbers(network, NUMBERS):
            for x in zeros if step_mode == "s" else [zeros]:
                network(x)
        assert (network.get_submodule("0").v * 16).tolist() == np.asarray(expected).tolist()  # type: ignore[operator,union-attr]


# Layers, seeds, training --------------------------------------------------------------------------------------------


def test_layers_seeds_and_states_of_a_layer_draw_apart() -> None:
    halves = torch.full((1, 64, 64), 0.03125)

    def codes(seed: int) -> list[Tensor]:
        network = nn.Sequential(neuron.IFNode(v_threshold=50.0), neuron.IFNode(v_threshold=50.0), neuron.CUBALIFNode())
        config = config_of(network, Rounding.STOCHASTIC)
        made: Any = quantize_network(network, config, seed=seed).eval()
        functional.set_step_mode(made, "m")
        with torch.no_grad():
            for module in made:
                module(halves)
        return [made[0].v, made[1].v, made[2].c]

    arrays = [array.flatten() for seed in (0, 1) for array in codes(seed)]
    correlations = torch.corrcoef(torch.stack(arrays)) - torch.eye(len(arrays))
    assert all(0.2 < float((array > 0).float().mean()) < 0.8 for array in arrays)
    assert float(correlations.abs().max()) < 0.1


def test_only_training_draws_anew() -> None:
    network = quantized(make_network(), "input", "0.input")
    expected = potentials(network)
    assert torch.equal(potentials(network), expected)
    network.train()
    assert not torch.equal(potentials(network), potentials(network))
    with torch.no_grad():
        assert torch.equal(potentials(network), expected)
    network.eval()
    assert torch.equal(potentials(network), expected)


@pytest.mark.parametrize("name", ["input", "0.input"])
def test_inputs_draw_anew_in_training_too(name: str) -> None:
    network = quantized(nn.Sequential(layer.Linear(6, 7), neuron.IFNode()), name).train()
    owner = network.get_submodule(name.rpartition(".")[0])
    one, other = (owner.__dict__["_input_quantization"].entered((INPUTS[0],), {})[0][0] for _ in range(2))
    assert not torch.equal(one, other)


def test_gradients_pass_straight_with_keyed_draws() -> None:
    network, inputs = quantized(make_network(), "input"), INPUTS.clone().requires_grad_()
    outputs = network(inputs)
    functional.reset_net(network)
    with torch.no_grad():
        assert torch.equal(network(INPUTS), outputs)
    outputs.sum().backward()
    assert inputs.grad is not None
    assert float(inputs.grad.abs().max()) > 0


# Inputs -------------------------------------------------------------------------------------------------------------


class Folded(nn.Module):
    """A layer between neurons that takes steps and samples in one dimension, as in many networks."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.lif, self.head = neuron.LIFNode(3.0, v_threshold=0.4), nn.Linear(6, 5)
        functional.set_step_mode(self, "m")

    def forward(self, x: Tensor) -> Tensor:
        spikes: Tensor = self.lif(x) * 0.3
        output: Tensor = self.head(spikes.flatten(0, 1))
        return output.view(*x.shape[:2], -1)


def test_inputs_of_layers_in_folded_sequences_are_those_of_their_samples() -> None:
    network = quantized(Folded(), "head.input")
    expected = run_samples(network, INPUTS, NUMBERS)
    parts = [run_samples(network, INPUTS[:, rows], NUMBERS[rows]) for rows in (slice(0, 3), slice(3, 8))]
    assert torch.equal(torch.cat(parts, 1), expected)


class Both(nn.Module):
    """Takes two inputs, and gives both."""

    def __init__(self) -> None:
        super().__init__()
        self.first = layer.Linear(3, 3)
        self.neuron = neuron.IFNode()

    def forward(self, one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        self.neuron(self.first(one))
        return one, other


def test_several_inputs_draw_apart() -> None:
    network, halves = quantized(Both(), "input"), torch.full((2000, 3), 0.125)
    with torch.no_grad():
        one, other = network(halves, other=halves)
    assert abs(float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1])) < 0.06


def test_without_states_there_is_no_time() -> None:
    network = quantized(nn.Sequential(nn.Linear(6, 3)), "input")
    with torch.no_grad():
        assert torch.equal(network(INPUTS[0]), network(INPUTS[0]))


# Elsewhere ----------------------------------------------------------------------------------------------------------


def test_stochastic_networks_are_exact_and_exported() -> None:
    network = quantized(make_network())
    check_exact(network, INPUTS)
    expected = network(INPUTS)
    functional.reset_net(network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of states that are no buffers, as of the float network's.
        exported = torch.export.export(network, (INPUTS,))
    assert bool(expected.any())
    assert torch.equal(exported.module()(INPUTS), expected)


@pytest.mark.parametrize("numbers", [[], [-1], [0, 2**64]])
def test_numbers_that_are_none_are_refused(numbers: list[int]) -> None:
    with (
        pytest.raises(ValueError, match=r"^numbers must be an integer of 0 to 2\*\*64 - 1"),
        sample_numbers(make_network(), numbers),
    ):
        pass


def test_a_float_network_runs_as_it_does_without_numbers() -> None:
    network = make_network()
    expected = network(INPUTS)
    functional.reset_net(network)
    with sample_numbers(network, NUMBERS):
        assert torch.equal(network(INPUTS), expected)
