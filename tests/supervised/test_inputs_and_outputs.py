"""Networks of several inputs, and of outputs that are more than class scores."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from qspinn_optuna import QuantizationSpace, Rounding, Scheme
from qspinn_optuna.networks import check_exact, fold_batch_norm
from qspinn_optuna.workloads.supervised import SupervisedWorkload, class_scores, fit
from tests.supervised.toy import CLASSES, INPUTS, ToyNetwork, toy_batches, toy_workload


@dataclass
class Result:
    features: Tensor
    logits: Tensor


class Answering(ToyNetwork):
    """The toy network, which returns its scores in something else."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, spikes: Tensor) -> Any:
        scores = super().forward(spikes)
        features = spikes.sum(1)
        return {
            "list": [features, scores],
            "dict": {"aux": [features], "logits": scores},
            "dataclass": Result(features, scores),
            "none": None,
        }[self.kind]


SCORES: dict[str, Any] = {
    "list": lambda output: output[1],
    "dict": lambda output: output["logits"],
    "dataclass": lambda output: output.logits,
}


def make(kind: str, **changes: Any) -> SupervisedWorkload:
    train = partial(fit, batches=toy_batches(0), epochs=2, learning_rate=0.02, progress=False, scores=SCORES[kind])
    return toy_workload(
        network=Answering(kind), train=train, fine_tune=partial(train, epochs=1), scores=SCORES[kind], **changes
    )


def count_of(workload: SupervisedWorkload, scheme: Scheme) -> tuple[int, int]:
    config = QuantizationSpace(workload.parameters, (2, 8)).uniform(8, scheme, Rounding.NEAREST)
    *_, last = workload.evaluate(config, 0)
    assert isinstance(last, tuple)
    return last


def test_scores_are_taken_out_of_the_output() -> None:
    train = partial(fit, batches=toy_batches(0), epochs=2, learning_rate=0.02, progress=False)
    plain, workload = toy_workload(train=train, fine_tune=partial(train, epochs=1)), make("dict")
    assert workload.baseline == plain.baseline
    assert workload.parameters == plain.parameters
    for scheme in Scheme:
        assert count_of(workload, scheme) == count_of(plain, scheme)


@pytest.mark.parametrize("kind", SCORES)
def test_scores_of_every_kind_of_output(kind: str) -> None:
    inputs, _ = toy_batches(0)[0]
    expected = class_scores(ToyNetwork(), inputs)
    assert torch.equal(class_scores(Answering(kind), inputs, SCORES[kind]), expected)


@pytest.mark.parametrize("kind", [*SCORES, "none"])
def test_without_scores_the_error_names_them(kind: str) -> None:
    workload = toy_workload(network=Answering(kind), train=None, fine_tune=None)
    with pytest.raises(TypeError, match=r"scores="):
        workload.baseline  # noqa: B018
    with pytest.raises(TypeError, match=r"scores="):
        fit(Answering(kind), 0, batches=toy_batches(0), epochs=1, learning_rate=0.1, progress=False)


def test_scores_must_give_a_tensor_and_stand_alone() -> None:
    inputs, _ = toy_batches(0)[0]
    with pytest.raises(TypeError, match=r"scores must be a function that gives a tensor.*got list"):
        class_scores(Answering("list"), inputs, lambda output: output)
    with pytest.raises(TypeError, match="scores must be a function"):
        toy_workload(scores="logits")
    with pytest.raises(ValueError, match="scores are for the cross entropy"):
        fit(
            ToyNetwork(), 0, batches=toy_batches(0), epochs=1, learning_rate=0.1, loss=lambda *_: torch.zeros(()),
            scores=SCORES["list"],
        )  # fmt: skip


def test_scores_are_part_of_the_description_only_if_they_are_given() -> None:
    assert "scores" not in toy_workload().describe()
    assert make("list").describe()["scores"] != make("dict").describe()["scores"]


class Normalized(Answering):
    """Normalizes between its layers."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.hidden = nn.Sequential(layer.Linear(INPUTS, 12), layer.BatchNorm1d(12, step_mode="m"))
        functional.set_step_mode(self, "m")


@pytest.mark.parametrize("kind", SCORES)
def test_folding_and_exactness_compare_all_parts_of_an_output(kind: str) -> None:
    inputs, _ = toy_batches(0)[0]
    network = fold_batch_norm(Normalized(kind), inputs)
    assert not any(isinstance(module, nn.BatchNorm1d) for module in network.modules())
    for parameter in network.parameters():
        parameter.data.mul_(64).round_().div_(64)
    network.lif = nn.Identity()
    check_exact(network, inputs)


class TwoSided(nn.Module):
    """Tokens, int64 [batch, steps], and a mask, bool [batch, inputs]."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(4, INPUTS)
        self.hidden = layer.Linear(INPUTS, 12, bias=False)
        self.lif = neuron.LIFNode(tau=2.0, decay_input=False, surrogate_function=surrogate.ATan())
        self.readout = layer.Linear(12, CLASSES, bias=False)
        functional.set_step_mode(self, "m")
        self.hidden.weight.data.mul_(3)

    def forward(self, tokens: Tensor, mask: Tensor) -> Any:
        x = self.embed(tokens).transpose(0, 1) * mask
        return self.readout(self.lif(self.hidden(x)))


def two_sided_batches(seed: int, batch_size: int = 10) -> Any:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (40,), generator=generator)
    tokens = 2 * labels[:, None] + torch.randint(2, (40, 5), generator=generator)
    mask = torch.rand((40, INPUTS), generator=generator) < 0.8
    return DataLoader(TensorDataset(tokens, mask, labels), batch_size=batch_size)


def test_a_network_of_two_inputs_is_trained_calibrated_and_evaluated() -> None:
    train = partial(fit, batches=two_sided_batches(0), epochs=6, learning_rate=0.03, progress=False)
    workload = SupervisedWorkload(
        TwoSided, train=train, fine_tune=partial(train, epochs=1),
        calibration=two_sided_batches(0), validation=two_sided_batches(1), test=two_sided_batches(2),
    )  # fmt: skip
    assert workload.baseline > 0.9
    assert {spec.name: spec.count for spec in workload.parameters} == {
        "embed.weight": 4 * INPUTS, "hidden.weight": 12 * INPUTS, "lif.v": 12, "lif.threshold": 1, "lif.decay": 1,
        "readout.weight": 12 * CLASSES,
    }  # fmt: skip
    for scheme in Scheme:
        correct, seen = count_of(workload, scheme)
        assert seen == 40
        assert correct >= 36


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ((torch.zeros(0, 4, INPUTS), torch.zeros(0, dtype=torch.int64)), "elements"),
        ((torch.zeros(3, 0, INPUTS), torch.zeros(3, dtype=torch.int64)), "elements"),
        (torch.zeros(3, 4, INPUTS), r"\(inputs, labels\)"),
    ],
)
def test_batches_that_are_empty_or_have_no_labels_are_refused(batch: Any, message: str) -> None:
    batches = [toy_batches(0)[0], batch]
    with pytest.raises(ValueError, match=message):
        fit(ToyNetwork(), 0, batches=batches, epochs=1, learning_rate=0.1, progress=False)
    with pytest.raises(ValueError, match=message):
        toy_workload(train=None, fine_tune=None, validation=batches).baseline  # noqa: B018


def test_inputs_of_another_type_are_told_by_every_use() -> None:
    inputs, labels = toy_batches(0)[0]
    double = [(inputs.double(), labels)]
    with pytest.raises(ValueError, match=r"inputs are float64, the network is float32"):
        fit(ToyNetwork(), 0, batches=double, epochs=1, learning_rate=0.1, progress=False)
    with pytest.raises(ValueError, match=r"inputs are float64, the network is float32"):
        toy_workload(train=None, fine_tune=None, validation=double).baseline  # noqa: B018


@pytest.mark.parametrize("kind", [torch.int64, torch.bool])
def test_integers_for_a_float_network_are_told(kind: torch.dtype) -> None:
    inputs, labels = toy_batches(0)[0]
    with pytest.raises(ValueError, match=r"inputs are (int64|bool), the network is float32"):
        toy_workload(train=None, fine_tune=None, validation=[(inputs.to(kind), labels)]).baseline  # noqa: B018


@pytest.mark.parametrize("shape", [(-1, 1), (1, -1)])
def test_labels_that_are_no_indices_are_refused(shape: tuple[int, int]) -> None:
    inputs, labels = toy_batches(0)[0]
    batches = [(inputs, labels.reshape(shape) if shape[1] == 1 else nn.functional.one_hot(labels, CLASSES))]
    with pytest.raises(ValueError, match=r"labels of validation must be class indices"):
        toy_workload(train=None, fine_tune=None, validation=batches)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda x: x * torch.nan, ValueError, "calibration must be finite"),
        (lambda x: x.to_sparse(), TypeError, "calibration must be dense"),
        (lambda x: x.to("meta"), TypeError, "calibration must be dense"),
    ],
)
def test_inputs_that_cannot_be_measured_are_refused(change: Any, error: type[Exception], message: str) -> None:
    inputs, labels = toy_batches(0)[0]
    with pytest.raises(error, match=message):
        toy_workload(calibration=[(change(inputs), labels)])


def test_one_batch_in_place_of_several_is_told() -> None:
    with pytest.raises(TypeError, match=r"calibration must be several batches.*\[\(inputs, labels\)\]"):
        toy_workload(calibration=toy_batches(0)[0])


def test_lazy_layers_are_initialized_by_the_seed() -> None:
    class Lazy(ToyNetwork):
        def __init__(self) -> None:
            super().__init__()
            self.readout = nn.LazyLinear(CLASSES, bias=False)

    first, second = (toy_workload(network=Lazy, train=None, fine_tune=None) for _ in range(2))
    assert first.describe() == second.describe()
    assert {spec.name: spec.count for spec in first.parameters}["readout.weight"] == 12 * CLASSES
