"""Elements of states for one sample, whatever dimension the batch is in."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

from qspinn_optuna.networks import calibrate, find_parameters
from qspinn_optuna.networks.running.state_sizes import state_sizes
from tests.networks.builders import eighths


class Sensors(nn.Module):
    """[batch, steps, sensors]; neurons see [steps, sensors, batch]."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.fire = nn.Linear(6, 5), neuron.LIFNode(step_mode="m")

    def forward(self, x: Tensor) -> Any:
        return self.fire(self.first(x).permute(1, 2, 0)).sum(0).T


class Windows(nn.Module):
    """[batch, steps, height, width]; neurons see windows in the batch, [steps, batch * windows, pixels]."""

    def __init__(self) -> None:
        super().__init__()
        self.mix, self.fire = nn.Linear(4, 4), neuron.IFNode(step_mode="m")

    def forward(self, x: Tensor) -> Any:
        batch, steps = x.shape[:2]
        windows = x.unfold(2, 2, 2).unfold(3, 2, 2).transpose(0, 1).reshape(steps, -1, 4)
        return self.fire(self.mix(windows)).reshape(steps, batch, -1).sum(0)


class TimeFirst(nn.Module):
    """[steps, batch, features], with spikes that come later, and one membrane for each sample."""

    def __init__(self) -> None:
        super().__init__()
        self.delay, self.first, self.fire = layer.Delay(2, step_mode="m"), nn.Linear(6, 3), neuron.IFNode(step_mode="m")
        self.single = neuron.IFNode(step_mode="m")

    def forward(self, x: Tensor) -> Any:
        spikes = self.fire(self.first(self.delay(x)))
        return self.single(spikes.sum(2))


CASES: list[tuple[type[nn.Module], tuple[int, ...], int, dict[str, int]]] = [
    (Sensors, (3, 6), 0, {"fire.v": 5}),
    (Windows, (3, 4, 6), 0, {"fire.v": 24}),
    (TimeFirst, (5, 6), 1, {"delay.queue": 12, "fire.v": 3, "single.v": 1}),
]


def batch_of(shape: tuple[int, ...], dimension: int, size: int) -> Tensor:
    sizes = list(shape)
    sizes.insert(dimension, size)
    return eighths(*sizes)


@pytest.mark.parametrize("size", [1, 3, 5, 8])
@pytest.mark.parametrize(("kind", "shape", "dimension", "expected"), CASES)
def test_counts_do_not_depend_on_the_batch(
    kind: type[nn.Module], shape: tuple[int, ...], dimension: int, expected: dict[str, int], size: int
) -> None:
    inputs, labels = batch_of(shape, dimension, size), torch.zeros(size, dtype=torch.int64)
    network = kind()
    for found in (
        find_parameters(network, inputs),
        calibrate(network, [(inputs, labels)]),
        calibrate(network, [inputs]),
    ):
        counts: dict[str, Any] = {parameter.name: parameter.count for parameter in found}
        assert {name: counts[name] for name in expected} == expected


def test_later_batches_may_be_smaller_but_not_of_another_shape() -> None:
    whole, rest = batch_of((3, 4, 6), 0, 4), batch_of((3, 4, 6), 0, 3)
    counts = {spec.name: spec.count for spec in calibrate(Windows(), [whole, rest])}
    assert counts["fire.v"] == 24
    with pytest.raises(ValueError, match=r"Batch 1 .*fire\.v has the shape"):
        calibrate(Windows(), [whole, batch_of((3, 4, 8), 0, 4)])


def test_labels_tell_the_samples_of_folded_inputs() -> None:
    """[steps * batch, features] as the input: no dimension of it counts the samples."""

    class Folded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.fire = nn.Linear(6, 4), neuron.IFNode(step_mode="m")

        def forward(self, x: Tensor) -> Any:
            return self.fire(self.first(x).reshape(2, -1, 4)).sum(0)

    for size in (1, 3, 8):
        batch = (eighths(2 * size, 6), torch.zeros(size))
        assert {spec.name: spec.count for spec in calibrate(Folded(), [batch])}["fire.v"] == 4


class OneSizeOnly(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.fire = nn.Linear(6, 5), neuron.IFNode()

    def forward(self, x: Tensor) -> Any:
        return self.fire(self.first(x).view(4, 5))


def test_a_network_of_one_batch_size_is_counted_by_its_first_dimension() -> None:
    counts = {parameter.name: parameter.count for parameter in find_parameters(OneSizeOnly(), eighths(4, 6))}
    assert counts["fire.v"] == 5


class TwoInputs(nn.Module):
    """Events, [steps, batch, 6], and a query, [batch, 3]."""

    def __init__(self) -> None:
        super().__init__()
        self.events, self.query, self.fire = nn.Linear(6, 5), nn.Linear(3, 5), neuron.IFNode(step_mode="m")

    def forward(self, events: Tensor, query: Tensor) -> Any:
        return self.fire(self.events(events) + self.query(query)).sum(0)


@pytest.mark.parametrize("size", [1, 3, 8])
def test_several_inputs(size: int) -> None:
    sample = (eighths(4, size, 6), eighths(size, 3, seed=1))
    network = TwoInputs()
    for found in (
        find_parameters(network, sample),
        calibrate(network, [(*sample, torch.zeros(size))]),
        calibrate(network, [(sample, torch.zeros(size))]),
    ):
        assert {parameter.name: parameter.count for parameter in found}["fire.v"] == 5


def test_samples_of_other_kinds_are_refused() -> None:
    for sample in ("events", [eighths(2, 3, 6)], (eighths(2, 3, 6), "query"), None):
        if sample is not None:
            with pytest.raises(TypeError, match="sample must be a tensor"):
                find_parameters(TwoInputs(), sample)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="empty tuple"):
        find_parameters(TwoInputs(), ())


def test_the_mode_of_steps_does_not_matter() -> None:
    network = nn.Sequential(layer.Linear(6, 5), neuron.IFNode())
    for mode, shape in (("s", (3, 6)), ("m", (7, 3, 6))):
        functional.set_step_mode(network, mode)
        assert {found.name: found.count for found in find_parameters(network, eighths(*shape))}["1.v"] == 5


class Recorder:
    def __init__(self) -> None:
        self.seen: deque[Tensor] = deque(maxlen=2)

    def record(self, _: nn.Module, __: object, output: Tensor) -> None:
        self.seen.append(output)


class Keeping(nn.Module):
    """Keeps values of its last pass, as networks do that record spikes or have states in buffers."""

    trace: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 4)
        self.fire = neuron.IFNode()
        self.recorder = Recorder()
        self.fire.register_forward_hook(self.recorder.record)
        self.recorded: dict[str, list[Tensor]] = {"spikes": []}
        self.register_buffer("trace", torch.zeros(1, 4))

    def forward(self, x: Tensor) -> Any:
        spikes = self.fire(self.layer(x))
        self.trace = torch.zeros(len(x), 4) + spikes
        self.recorded["spikes"].append(spikes)
        return self.trace


def test_networks_that_keep_values_with_a_history_are_copied() -> None:
    network = Keeping()
    kept = network(torch.ones(2, 3))
    assert state_sizes(network, torch.ones(5, 3)).counts == {"fire.v": 4}
    assert len(network.recorded["spikes"]) == len(network.recorder.seen) == 1
    assert network.trace is kept
    assert kept.grad_fn is not None
