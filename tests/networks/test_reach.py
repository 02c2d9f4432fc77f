"""Only what a sample reaches is listed, checked and quantized."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import layer, neuron
from torch import Tensor, nn

from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.fixed_point import ParameterQuantization, Rounding
from qspinn_optuna.networks import calibrate, check_exact, find_parameters, fold_batch_norm, freeze_network
from qspinn_optuna.networks import quantize_network as quantized_by
from qspinn_optuna.networks.deletion import delete_states
from qspinn_optuna.networks.membranes import membrane_values
from qspinn_optuna.networks.running.watching import run
from tests.networks.builders import FORMATS, eighths


class WithLeftovers(nn.Module):
    """A body that runs, a head for training alone, and modules of every kind that nothing uses."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Linear(6, 5)
        self.fire = neuron.IFNode(v_threshold=0.5)
        self.deep_supervision = nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4), neuron.LIFNode())
        self.norms = nn.ModuleList([nn.BatchNorm1d(5), nn.GroupNorm(1, 5), nn.InstanceNorm1d(3)])
        self.attention = nn.MultiheadAttention(4, 2)
        self.gated = neuron.PSN(3)
        self.used, self.unused = nn.Parameter(torch.rand(5)), nn.Parameter(torch.rand(7))

    def forward(self, x: Tensor) -> Any:
        spikes = self.fire(self.body(x)) * self.used
        return (spikes, self.deep_supervision(spikes)) if self.training else spikes


REACHED = {"body.weight", "body.bias", "fire.v", "fire.threshold", "used"}
SAMPLE = eighths(4, 6)


def config_for(network: nn.Module, sample: Any = SAMPLE) -> QuantizationConfig:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = find_parameters(network, sample)
    formats = {name.name: ParameterQuantization(FORMATS[name.family], Rounding.NEAREST) for name in found}
    return QuantizationConfig(Scheme.ITQ, formats)


def test_what_no_sample_reaches_is_told_once_and_not_listed() -> None:
    for find in (lambda n: find_parameters(n, SAMPLE), lambda n: calibrate(n, [SAMPLE])):
        with pytest.warns(UserWarning, match="No sample reaches") as told:
            found = find(WithLeftovers())
        assert {parameter.name for parameter in found} == REACHED
        (message,) = (str(warning.message) for warning in told if "reaches" in str(warning.message))
        assert all(f"'{name}'" in message for name in ("deep_supervision", "norms", "attention", "gated", "unused"))
        assert "body" not in message
        assert "'used'" not in message


def test_buffers_of_what_is_not_reached_are_told_once() -> None:
    network = nn.Sequential(nn.Linear(6, 5), neuron.IFNode())
    network[0].auxiliary = nn.BatchNorm1d(5)
    network[0].register_buffer("mask", torch.ones(5))
    with pytest.warns(UserWarning, match="reaches|buffers") as told:
        calibrate(network, [SAMPLE])
    assert [str(each.message) for each in told if "running_mean" in str(each.message)] == []
    assert any("'0.mask'" in str(each.message) for each in told)


def test_without_a_sample_everything_is_checked() -> None:
    with pytest.raises(ValueError, match=r"deep_supervision\.1 \(LayerNorm\)"):
        find_parameters(WithLeftovers())


def test_what_is_reached_must_be_supported() -> None:
    network = nn.Sequential(nn.Linear(6, 5), nn.LayerNorm(5), neuron.IFNode())
    for find in (lambda: find_parameters(network, SAMPLE), lambda: calibrate(network, [SAMPLE])):
        with pytest.raises(ValueError, match=r"1 \(LayerNorm\)"):
            find()


def test_a_quantized_network_trains_with_its_head_and_runs_without() -> None:
    network = fold_batch_norm(WithLeftovers(), SAMPLE)
    network = quantized_by(network, config_for(network)).train()
    spikes, supervised = network(SAMPLE)
    (spikes.sum() + supervised.sum()).backward()
    assert network.get_parameter("deep_supervision.0.weight").grad is not None
    frozen = freeze_network(network).eval()
    check_exact(frozen, SAMPLE)
    for copied in (copy.deepcopy(frozen), pickle.loads(pickle.dumps(frozen))):
        assert torch.equal(run(copied, SAMPLE), run(frozen, SAMPLE))
    assert membrane_values(frozen, SAMPLE).keys() == {"fire.v"}


def test_what_was_left_out_does_not_run_unquantized() -> None:
    def forward(network: Any, x: Tensor) -> Tensor:
        result: Tensor = network.deep_supervision[0](network.fire(network.body(x)))
        return result

    network: Any = quantized_by(WithLeftovers(), config_for(WithLeftovers())).eval()
    with pytest.raises(ValueError, match=r"deep_supervision\.0 \(Linear\).*calibrate"):
        forward(network, SAMPLE)
    with pytest.raises(ValueError, match=r"norms\.1 \(GroupNorm\).*divides by statistics"):
        network.norms[1](torch.rand(2, 5))


def test_half_a_layer_is_missing_still() -> None:
    config = config_for(WithLeftovers())
    parameters = {name: value for name, value in config.parameters.items() if name != "body.bias"}
    with pytest.raises(ValueError, match=r"'body\.bias'.*missing"):
        quantized_by(WithLeftovers(), QuantizationConfig(Scheme.PTQ, parameters))


def test_states_are_deleted_of_what_is_reached() -> None:
    delete_states(WithLeftovers(), SAMPLE)
    with pytest.raises(ValueError, match="LayerNorm"):
        delete_states(WithLeftovers())


class Functional(nn.Module):
    """Weights that functions read: shared ones, and those of a module that is not called."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(9, 4)
        self.decoder = nn.Linear(4, 9, bias=False)
        self.decoder.weight = self.embed.weight
        self.kernel = nn.Conv1d(1, 1, 3, bias=False)
        self.fire = neuron.IFNode(v_threshold=0.5)

    def forward(self, ids: Tensor) -> Tensor:
        spikes = self.fire(self.embed(ids))
        mixed = nn.functional.conv1d(spikes.unsqueeze(1), self.kernel.weight, padding=1).squeeze(1)
        return nn.functional.linear(mixed, self.decoder.weight)


def test_weights_that_functions_read_are_reached_shared_ones_once() -> None:
    ids = torch.tensor([3, 1, 8])
    found = find_parameters(Functional(), ids)
    assert {parameter.name: parameter.count for parameter in found} == {
        "embed.weight": 36, "kernel.weight": 3, "fire.v": 4, "fire.threshold": 1,
    }  # fmt: skip
    network = quantized_by(Functional(), config_for(Functional(), ids)).eval()
    assert network(ids).shape == (3, 9)


class StepCalled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.read, self.fire = nn.Linear(6, 5), neuron.IFNode()

    def forward(self, x: Tensor) -> Any:
        return self.fire.single_step_forward(self.read(x))


def test_neurons_whose_step_is_called_directly_are_reached() -> None:
    assert "fire.v" in {parameter.name for parameter in find_parameters(StepCalled(), SAMPLE)}


def test_looking_draws_nothing_and_changes_nothing() -> None:
    network = nn.Sequential(nn.Linear(6, 5), neuron.IFNode(), nn.Dropout(0.5))
    network(SAMPLE)
    state, drawn = network[1].v, torch.get_rng_state()
    find_parameters(network, SAMPLE)
    assert network[1].v is state
    assert network.training
    assert torch.equal(torch.get_rng_state(), drawn)


def test_a_network_that_changes_its_inputs_in_place_leaves_the_samples() -> None:
    class InPlace(WithLeftovers):
        def forward(self, x: Tensor) -> Any:
            return super().forward(x.mul_(2))

    sample = SAMPLE.clone()
    with pytest.warns(UserWarning, match="No sample reaches"):
        find_parameters(InPlace(), sample)
    assert torch.equal(sample, SAMPLE)


def test_parameters_without_elements_are_refused_by_name() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = nn.Sequential(nn.Linear(6, 0), nn.Linear(0, 3))
    for find in (lambda: find_parameters(network), lambda: calibrate(network, [SAMPLE])):
        with pytest.raises(ValueError, match=r"0\.weight must have elements"):
            find()


def test_a_weight_that_is_not_finite_is_named_before_the_states_after_it() -> None:
    network: Any = nn.Sequential(nn.Linear(6, 5), neuron.IFNode())
    network[0].bias.data[1] = torch.nan
    with pytest.raises(ValueError, match=r"^0\.bias"):
        calibrate(network, [SAMPLE])


@pytest.mark.parametrize("shape", [(0, 6), (0, 3, 6)])
def test_empty_samples_are_refused_by_name(shape: tuple[int, ...]) -> None:
    network = nn.Sequential(layer.Linear(6, 5), neuron.IFNode())
    empty = torch.zeros(shape)
    for name, find in (
        ("sample", lambda: find_parameters(network, empty)),
        ("batches", lambda: calibrate(network, [SAMPLE, empty])),
        ("inputs", lambda: membrane_values(network, empty)),
    ):
        with pytest.raises(ValueError, match=rf"{name} must have elements.*at least one sample and one time step"):
            find()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.uint8])
def test_inputs_of_another_type_are_told(dtype: torch.dtype) -> None:
    network = nn.Sequential(nn.Linear(6, 5), neuron.IFNode())
    for find in (lambda x: find_parameters(network, x), lambda x: calibrate(network, [x])):
        with pytest.raises(ValueError, match=rf"inputs are {str(dtype)[6:]}, the network is float32"):
            find(torch.ones(2, 6, dtype=dtype))


def test_inputs_on_another_device_are_told() -> None:
    network = nn.Sequential(nn.Linear(6, 5), neuron.IFNode())
    with pytest.raises(ValueError, match="inputs are on meta, the network is on cpu"):
        find_parameters(network, torch.ones(2, 6, device="meta"))


class Constant(nn.Module):
    """Loses its inputs on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.fire = nn.Linear(6, 5), neuron.IFNode()

    def forward(self, x: Tensor) -> Any:
        return self.fire(self.read(torch.ones_like(x)))


def test_a_network_that_does_not_use_its_inputs_is_refused() -> None:
    with pytest.raises(ValueError, match="compute its output from its inputs"):
        calibrate(Constant(), [SAMPLE])


def test_a_silent_network_is_not_refused() -> None:
    network: Any = nn.Sequential(nn.Linear(6, 5), neuron.IFNode(v_threshold=1e6), nn.Linear(5, 2, bias=False))
    assert len(calibrate(network, [SAMPLE])) == 5
    network[0].weight.data.zero_()
    assert len(calibrate(network, [SAMPLE])) == 5
