"""Evaluations in threads give what serial ones give, and leave torch's process-wide state alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import optuna
import pytest
import torch
from spikingjelly.activation_based import layer
from torch import Tensor, nn

from qspinn_optuna import QuantizationObjective, QuantizationSpace, Rounding, Scheme, open_study
from qspinn_optuna.networks.quantization import is_quantized
from qspinn_optuna.workloads.supervised import SupervisedWorkload, fit, fit_by_epochs
from qspinn_optuna.workloads.supervised.training import cross_entropy
from qspinn_optuna.workloads.supervised.turns import in_turns, made_once
from tests.supervised.toy import INPUTS, ToyNetwork, toy_batches, toy_workload

precisions: set[str] = set()
"""Precisions with which quantized layers have computed."""


class RecordingLinear(layer.Linear):  # type: ignore[misc]
    def forward(self, x: Tensor) -> Tensor:
        if is_quantized(self):
            precisions.add(torch.get_float32_matmul_precision())
            time.sleep(1e-4)
        result: Tensor = super().forward(x)
        return result


class DropoutNetwork(ToyNetwork):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = RecordingLinear(INPUTS, 12, bias=False, step_mode="m")

    def forward(self, spikes: Tensor) -> Any:
        return super().forward(nn.functional.dropout(spikes, 0.3, self.training))


class OneAtATime:
    """A loss that lets other threads run, and counts how many are within at the same time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.within = self.most = 0

    def __call__(self, network: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
        with self.lock:
            self.within += 1
            self.most = max(self.most, self.within)
        time.sleep(1e-3)
        loss = cross_entropy(network, inputs, labels)
        with self.lock:
            self.within -= 1
        return loss


def make(loss: Any = cross_entropy, **changes: Any) -> SupervisedWorkload:
    learn = partial(fit, batches=toy_batches(0), epochs=2, learning_rate=0.02, progress=False)
    in_parts = partial(fit_by_epochs, batches=toy_batches(0, 2), epochs=3, learning_rate=0.01, progress=False)
    arguments = {"train": learn, "fine_tune": partial(in_parts, loss=loss)}
    return toy_workload(network=DropoutNetwork(), **arguments | changes)


def process_state() -> tuple[object, ...]:
    return (
        torch.get_float32_matmul_precision(),
        torch.backends.cudnn.enabled,
        torch.backends.cudnn.allow_tf32,
        torch._C._get_nnpack_enabled(),
        torch.get_rng_state().tolist(),
    )


@pytest.fixture
def high_precision() -> Iterator[None]:
    """TF32 is on, as many users have it."""
    found = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    precisions.clear()
    yield
    torch.set_float32_matmul_precision(found)


def search(workload: SupervisedWorkload, n_jobs: int) -> dict[str, Any]:
    """The counts, or the reason of a refusal, of the same configurations."""
    space = QuantizationSpace(workload.parameters, (2, 8), ties="family")
    study = open_study("threads", None, space, optuna.samplers.RandomSampler(), workload)
    for scheme in Scheme:
        for rounding in (Rounding.NEAREST, Rounding.STOCHASTIC):
            for bits in (3, 6):
                study.enqueue_trial(space.params(space.uniform(bits, scheme, rounding)))
    study.optimize(QuantizationObjective(workload, space, seed=3), n_trials=8, n_jobs=n_jobs)
    return {str(trial.params): (trial.values, trial.user_attrs.get("training_progress")) for trial in study.trials}


@pytest.mark.usefixtures("high_precision")
@pytest.mark.parametrize("rungs", [(), (0.3, 0.6)])
def test_a_study_in_threads_finds_what_a_serial_one_finds(rungs: tuple[float, ...]) -> None:
    expected = search(make(rungs=rungs), 1)
    loss = OneAtATime()
    workload = make(loss, rungs=rungs)
    before = process_state()
    assert search(workload, 4) == expected
    assert len(expected) == 8
    assert process_state() == before
    assert precisions == {"highest"}
    assert loss.most == 1


def test_evaluations_that_alternate_do_not_share_draws() -> None:
    """A training function that draws without seeding, stopped at its rungs by the steps of another one."""

    def noisy(network: nn.Module, seed: int) -> Iterator[float]:  # noqa: ARG001
        for epoch in range(3):
            for parameter in network.parameters():
                parameter.data += 0.3 * torch.randn(parameter.shape)
            yield (epoch + 1) / 3

    workload = make(fine_tune=noisy, rungs=(0.3, 0.6))
    space = QuantizationSpace(workload.parameters, (2, 8))
    configs = [space.uniform(bits, Scheme.ITQ, Rounding.STOCHASTIC) for bits in (3, 6)]
    before = process_state()
    together = list(zip(*(workload.evaluate(config, 3) for config in configs), strict=True))
    assert process_state() == before
    alone = make(fine_tune=noisy, rungs=(0.3, 0.6))
    assert list(zip(*together, strict=True)) == [tuple(alone.evaluate(config, 3)) for config in configs]


def test_draws_of_an_evaluation_are_its_seeds() -> None:
    def lottery(scores: Tensor, labels: Tensor) -> float:  # noqa: ARG001
        return torch.rand(()).item()

    workload = make(accuracy=lottery, fine_tune=None)
    config = QuantizationSpace(workload.parameters, (2, 8)).uniform(6, Scheme.PTQ, Rounding.NEAREST)
    before = process_state()
    counts = [list(workload.evaluate(config, seed)) for seed in (0, 0, 1)]
    assert counts[0] == counts[1] != counts[2]
    assert workload.test(config, 0) == workload.test(config, 0)
    assert process_state() == before


def test_threads_train_the_baseline_once() -> None:
    calls = []

    def train(network: nn.Module, seed: int) -> nn.Module:
        calls.append(seed)
        time.sleep(0.05)
        return network

    workload = make(train=train, fine_tune=None)
    with ThreadPoolExecutor(3) as threads:
        assert len(set(threads.map(lambda _: workload.baseline, range(3)))) == 1
    assert calls == [0]


def test_a_turn_ends_with_each_step() -> None:
    """Another thread gets its turn while a generator pauses, and its generators are closed in a turn."""
    closed = []

    def steps() -> Generator[float, None, None]:
        try:
            while True:
                yield torch.rand(()).item()
        finally:
            closed.append(True)

    class Once:
        @made_once
        def value(self) -> float:
            return torch.rand(()).item()

    paused = in_turns(steps(), 0)
    first = next(paused)
    with ThreadPoolExecutor(1) as threads:
        others = list(threads.map(lambda draw: draw(), (lambda: next(in_turns(steps(), 0)), lambda: Once().value)))
    torch.manual_seed(0)
    assert [first, *others] == [torch.rand(()).item(), first, first]
    assert next(paused) == torch.rand(()).item()
    paused.close()
    assert closed == [True, True]
