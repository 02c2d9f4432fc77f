"""Quantized networks that are no longer the float one are refused, ordinary quantization is not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.fixed_point import ParameterQuantization, Rounding
from qspinn_optuna.networks import RangeMethod, calibrate, freeze_network, quantize_network
from qspinn_optuna.networks.calibration.fidelity import check_fidelity, widest_config
from qspinn_optuna.networks.calibration.similarity import OUTPUT_LIMIT, STATE_LIMIT, check_similar, deviations
from qspinn_optuna.parameters import ParameterSpec
from tests.networks.builders import Maker, eighths
from tests.networks.test_own_forward import OwnForward

STEPS = 8

KINDS: dict[str, Maker] = {
    "LIF": lambda: neuron.LIFNode(2.3),
    "LIF, slow": lambda: neuron.LIFNode(10.0, decay_input=False),
    "LIF, very slow": lambda: neuron.LIFNode(100.0, v_threshold=0.05),
    "PLIF, slow": lambda: neuron.ParametricLIFNode(30.0, v_threshold=0.05),
    "own steps, slow": lambda: neuron.EIFNode(50.0, v_threshold=0.05, theta_rh=0.04),
    "LIF, soft reset": lambda: neuron.LIFNode(3.0, decay_input=False, v_reset=None),
    "IF": neuron.IFNode,
    "IF, soft reset": lambda: neuron.IFNode(v_reset=None),
    "PLIF": lambda: neuron.ParametricLIFNode(1.7),
    "CUBA": neuron.CUBALIFNode,
    "own steps": neuron.KLIFNode,
    "attributes": lambda: neuron.SimpleLIFNode(2.3, True),
    "readout": lambda: neuron.LIFNode(2.3, v_threshold=float("inf")),
}


def network_of(make: Maker, step_mode: str = "m", gain: float = 4.0) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(2)
    network = nn.Sequential(layer.Conv2d(1, 4, 3, padding=1), make(), layer.Flatten(), layer.Linear(4 * 36, 8), make())
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.mul_(gain)
    functional.set_step_mode(network, step_mode)
    return network, eighths(STEPS, 3, 1, 6, 6)


def config_up_to(bits: int, specs: Iterable[ParameterSpec]) -> QuantizationConfig:
    parameters = {
        spec.name: ParameterQuantization(spec.format(min(bits, spec.max_bits)), Rounding.NEAREST) for spec in specs
    }
    return QuantizationConfig(Scheme.PTQ, parameters)


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS.keys())
def test_ordinary_quantization_is_far_from_the_limits(make: Maker) -> None:
    network, x = network_of(make)
    specs = calibrate(network, [x])
    for bits, part in ((8, 0.5), (16, 0.1)):
        config = config_up_to(bits, specs)
        found = deviations(network, quantize_network(network, config), config, x)
        assert list(found) == ["1", "4"]
        for deviation in found.values():
            assert deviation.state_share < part * STATE_LIMIT
            assert deviation.output_share < part * OUTPUT_LIMIT


def without_decay(quantized: Any) -> nn.Module:
    """LIF neurons that run as IF neurons: what happened to time constants that were not read."""
    for module in quantized.modules():
        if "_quantization" in module.__dict__:
            decays = module._quantization.decays
            decays.update(dict.fromkeys(decays, torch.tensor(1.0)))
            module.decay_input = False
    return quantized  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["LIF", "LIF, slow", "LIF, soft reset", "PLIF", "CUBA", "readout", "attributes"])
def test_leaky_neurons_that_do_not_leak_are_refused(name: str) -> None:
    network, x = network_of(KINDS[name])
    config = widest_config(calibrate(network, [x], RangeMethod.MIN_MAX))
    quantized = without_decay(freeze_network(quantize_network(network, config)))
    with pytest.raises(ValueError, match=r"1 \(\w+\) keeps states that differ by \d+\.\d%"):
        check_similar(network, quantized, config, x)


def test_other_thresholds_and_resets_are_refused() -> None:
    network, x = network_of(neuron.IFNode)
    config = widest_config(calibrate(network, [x], RangeMethod.MIN_MAX))
    for name, value in (("v_threshold", 2.0), ("v_reset", 0.5), ("v_reset", None)):
        quantized: Any = freeze_network(quantize_network(network, config))
        setattr(quantized[1], name, value)
        with pytest.raises(ValueError, match=r"1 \(IFNode\)"):
            check_similar(network, quantized, config, x)


FAITHFUL = ("LIF", "PLIF", "CUBA", "own steps", "attributes", "readout")
CASES = [(KINDS[name], mode) for name in FAITHFUL for mode in "sm"]


@pytest.mark.parametrize(("make", "step_mode"), [*CASES, (OwnForward, "s")])
def test_networks_are_faithful_in_both_step_modes_and_left_as_they_are(make: Maker, step_mode: str) -> None:
    network, x = network_of(make, step_mode)
    x = x if step_mode == "m" else x[0]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    classes = [type(module) for module in network.modules()]
    check_fidelity(network, calibrate(network, [x], RangeMethod.MIN_MAX), x)
    assert [type(module) for module in network.modules()] == classes
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(not isinstance(value, Tensor) for value in functional_states(network))


def functional_states(network: Any) -> list[Any]:
    return [value for module in network.modules() for value in getattr(module, "_memories", {}).values()]


class Steps(nn.Module):
    """A sequence in mode 's', in a forward that resets its neurons itself."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.node = nn.Linear(4, 5), neuron.LIFNode(1.5)

    def forward(self, x: Tensor) -> Tensor:
        functional.reset_net(self)
        spikes: list[Tensor] = [self.node(self.fc(x)) for _ in range(5)]
        functional.reset_net(self)
        return torch.stack(spikes).mean(0)


def test_loops_in_forward_are_compared_at_every_step() -> None:
    torch.manual_seed(0)
    network, x = Steps(), eighths(3, 4)
    config = widest_config(calibrate(network, [x]))
    quantized = freeze_network(quantize_network(network, config))
    (deviation,) = deviations(network, quantized, config, x).values()
    assert deviation.state_size > 0
    assert not deviation.is_another
    (deviation,) = deviations(network, without_decay(quantized), config, x).values()
    assert deviation.is_another
