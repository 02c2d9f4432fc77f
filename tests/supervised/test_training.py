from __future__ import annotations

import sys
from functools import partial
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import functional
from torch import Tensor, nn

from qspinn_optuna.workloads.supervised import class_scores, fit, top1
from qspinn_optuna.workloads.supervised.turns import seeded
from tests.supervised.toy import ToyNetwork, toy_batches

settings: dict[str, Any] = {"batches": toy_batches(0), "epochs": 4, "learning_rate": 0.02, "progress": False}


def loss_of(network: nn.Module) -> float:
    network.eval()
    losses = []
    for inputs, labels in toy_batches(0):
        losses.append(nn.functional.cross_entropy(class_scores(network, inputs), labels).item())
        functional.reset_net(network)
    return sum(losses)


def test_training_lowers_the_loss_and_gives_the_network_back() -> None:
    network = ToyNetwork()
    before = loss_of(network)
    assert fit(network, 0, **settings) is network
    assert not network.training
    assert loss_of(network) < 0.7 * before


def test_the_seed_decides_about_everything_random() -> None:
    class Noisy(ToyNetwork):
        def forward(self, spikes: Tensor) -> Any:
            return super().forward(nn.functional.dropout(spikes, 0.3, self.training))

    weights = [fit(Noisy(), seed, **settings).state_dict()["hidden.weight"] for seed in (0, 0, 1)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_parameters_that_need_no_gradient_stay() -> None:
    network = ToyNetwork()
    network.hidden.weight.requires_grad_(False)
    before = network.hidden.weight.clone()
    fit(network, 0, **settings)
    assert torch.equal(network.hidden.weight, before)


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_shown_on_a_terminal(
    terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    fit(ToyNetwork(), 0, **settings | {"progress": True})
    assert ("training" in capsys.readouterr().err) == terminal


@pytest.mark.parametrize(("name", "value"), [("epochs", 0), ("learning_rate", 0.0), ("learning_rate", -1.0)])
def test_bad_settings_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be"):
        fit(ToyNetwork(), 0, **settings | {name: value})


@pytest.mark.parametrize("batches", [[], iter(toy_batches(0))])
def test_epochs_without_batches_are_refused(batches: Any) -> None:
    with pytest.raises(ValueError, match="batches must have at least one batch in every epoch"):
        fit(ToyNetwork(), 0, **settings | {"batches": batches})


def test_scores_of_time_steps_are_averaged() -> None:
    output = torch.rand(5, 3, 2)
    assert torch.equal(class_scores(_Constant(output), torch.zeros(3)), output.mean(0))
    assert torch.equal(class_scores(_Constant(output[0]), torch.zeros(3)), output[0])


def test_top1_counts_the_highest_score() -> None:
    scores = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.4, 0.6], [0.7, 0.3]])
    assert top1(scores, torch.tensor([1, 0, 0, 0])) == 0.75


def test_a_seed_is_put_back() -> None:
    torch.manual_seed(4)
    expected = torch.rand(2)
    torch.manual_seed(4)
    with seeded(9):
        torch.rand(5)
    assert torch.equal(torch.rand(2), expected)


def test_a_training_function_can_be_bound_step_by_step() -> None:
    train = partial(fit, **settings)
    first = partial(train, epochs=1)(ToyNetwork(), 0)
    second = fit(ToyNetwork(), 0, **settings | {"epochs": 1})
    assert torch.equal(first.state_dict()["hidden.weight"], second.state_dict()["hidden.weight"])


class _Constant(nn.Module):
    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output = output

    def forward(self, _: Tensor) -> Tensor:
        return self.output
