from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from qspinn_optuna import (
    Family,
    ParetoFront,
    QuantizationObjective,
    QuantizationSpace,
    Rounding,
    Scheme,
    TrainingProgress,
    open_study,
    workloads,
)
from qspinn_optuna.config import InexactError
from qspinn_optuna.networks.quantization import is_quantized
from qspinn_optuna.workloads import Answers, Fresh
from qspinn_optuna.workloads.supervised import SupervisedWorkload, fit, fit_by_epochs
from qspinn_optuna.workloads.supervised.evaluation import count_correct
from qspinn_optuna.workloads.supervised.recent import RecentNetworks
from qspinn_optuna.workloads.supervised.workload import top1
from tests.counts import counts_of
from tests.supervised.toy import CLASSES, INPUTS, STEPS, ToyNetwork, toy_batches, toy_workload


@pytest.fixture(scope="module")
def workload() -> SupervisedWorkload:
    return toy_workload()


def space_of(workload: SupervisedWorkload) -> QuantizationSpace:
    return QuantizationSpace(workload.parameters, (2, 8))


def counted(network: nn.Module, batches: list[tuple[Tensor, Tensor]]) -> float:
    """Accuracy, by a loop of its own."""
    right = []
    network.eval()
    with torch.no_grad():
        for inputs, labels in batches:
            functional.reset_net(network)
            right += (network(inputs).mean(0).argmax(1) == labels).tolist()
    return sum(right) / len(right)


def given(accuracy: float | None) -> float:
    assert accuracy is not None
    return accuracy


def test_the_network_learns_and_the_original_stays_untrained() -> None:
    network = ToyNetwork()
    before = copy.deepcopy(network.state_dict())
    workload = toy_workload(network=network)
    assert given(workload.test_baseline) > 0.9
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_the_baseline_is_the_accuracy_of_the_fine_tuned_network(workload: SupervisedWorkload) -> None:
    assert workload.baseline == counted(workload.baseline_network, toy_batches(1))
    assert workload.test_baseline == counted(workload.baseline_network, toy_batches(2))
    assert not torch.equal(
        workload.baseline_network.state_dict()["hidden.weight"], workload.network.state_dict()["hidden.weight"]
    )


def test_without_fine_tuning_the_baseline_is_the_network_and_post_training_the_only_scheme() -> None:
    workload = toy_workload(fine_tune=None)
    assert workload.baseline_network is workload.network
    assert workload.schemes == (Scheme.PTQ,)
    assert toy_workload().schemes == (Scheme.PTQ, Scheme.ITQ)
    config = space_of(workload).uniform(8, Scheme.ITQ, Rounding.NEAREST)
    with pytest.raises(ValueError, match="In-training quantization needs fine_tune"):
        counts_of(workload.evaluate(config, 0))


def test_a_network_that_is_made_has_the_seeds_weights() -> None:
    def make() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(STEPS * INPUTS, CLASSES))

    torch.rand(3)
    first = toy_workload(network=make).describe()
    torch.rand(3)
    assert toy_workload(network=make).describe() == first
    assert toy_workload(network=make, seed=1).describe()["network"] != first["network"]
    with pytest.raises(TypeError, match="or make one, got int"):
        toy_workload(network=lambda: 3)


def test_a_trained_network_needs_no_training() -> None:
    network = toy_workload().network
    workload = toy_workload(network=network, train=None, fine_tune=None)
    assert workload.baseline == counted(network, toy_batches(1))


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("scheme", Scheme)
def test_counts_are_those_of_the_quantized_network(
    workload: SupervisedWorkload, scheme: Scheme, rounding: Rounding
) -> None:
    config = space_of(workload).uniform(6, scheme, rounding)
    counts = counts_of(workload.evaluate(config, 3))
    assert [seen for _, seen in counts] == [10, 20, 30, 40]
    assert counts[-1][0] / 40 == counted(workload.quantize(config, 3), toy_batches(1))
    assert workload.test(config, 3) == counted(workload.quantize(config, 3), toy_batches(2))
    assert counts[-1][0] > 30


def test_answers_are_those_of_the_networks(workload: SupervisedWorkload) -> None:
    config = space_of(workload).uniform(4, Scheme.PTQ, Rounding.NEAREST)
    *_, answers = workload.evaluate(config, 3)
    pairs = [(workload.quantize(config, 3), answers), (workload.baseline_network, workload.baseline_answers)]
    for network, found in pairs:
        assert isinstance(found, Answers)
        expected: list[bool] = []
        for inputs, labels in toy_batches(1):
            functional.reset_net(network)
            expected += (network(inputs).mean(0).argmax(1) == labels).tolist()
        functional.reset_net(network)
        assert found.right.tolist() == expected
        assert found == (sum(expected), len(expected))


def test_an_accuracy_of_ones_own_tells_counts_only() -> None:
    workload = toy_workload(accuracy=lambda scores, labels: (scores.argmax(1) == labels).float().mean().item())
    assert workload.baseline_answers is None
    assert workload.baseline == counted(workload.baseline_network, toy_batches(1))


def test_a_confirmation_takes_samples_of_its_own_if_there_are_some(workload: SupervisedWorkload) -> None:
    config = space_of(workload).uniform(6, Scheme.ITQ, Rounding.NEAREST)
    with_samples = toy_workload(confirmation=toy_batches(7, batches=2))
    assert with_samples.fresh is Fresh.SAMPLES
    network = with_samples.quantize(config, 3)
    assert counts_of(with_samples.evaluate_fresh(config, 3))[-1] == (20 * counted(network, toy_batches(7, 2)), 20)
    assert with_samples.fresh_baseline == (20 * counted(with_samples.baseline_network, toy_batches(7, 2)), 20)
    # Confirmation samples are not what studies are told apart by.
    assert with_samples.describe() == workload.describe()
    assert workload.fresh is Fresh.DRAWS
    assert counts_of(workload.evaluate_fresh(config, 3))[-1] == counts_of(workload.evaluate(config, 3))[-1]


def test_without_fresh_samples_stochastic_rounding_draws_anew() -> None:
    # Answers to noise hang on the smallest differences.
    generator = torch.Generator().manual_seed(0)
    noise = (torch.rand((200, STEPS, INPUTS), generator=generator) < 0.4).float()
    workload = toy_workload(validation=[(noise, torch.randint(CLASSES, (200,), generator=generator))])
    config = space_of(workload).uniform(2, Scheme.PTQ, Rounding.STOCHASTIC)
    *_, first = workload.evaluate(config, 3)
    *_, second = workload.evaluate_fresh(config, 3)
    *_, again = workload.evaluate_fresh(config, 3)
    assert isinstance(first, Answers)
    assert isinstance(second, Answers)
    assert isinstance(again, Answers)
    assert second.right.tolist() == again.right.tolist() != first.right.tolist()


def test_without_fresh_samples_the_draws_of_the_network_itself_are_fresh_too() -> None:
    class Encoding(ToyNetwork):
        def forward(self, spikes: Tensor) -> Any:
            return super().forward((torch.rand_like(spikes) < spikes).float())

    generator = torch.Generator().manual_seed(0)
    grey = torch.full((200, STEPS, INPUTS), 0.4)
    workload = toy_workload(
        network=Encoding(), validation=[(grey, torch.randint(CLASSES, (200,), generator=generator))]
    )
    config = space_of(workload).uniform(4, Scheme.PTQ, Rounding.NEAREST)
    found = []
    for looks in (workload.evaluate(config, 3), workload.evaluate_fresh(config, 3), workload.evaluate_fresh(config, 3)):
        *_, answers = looks
        assert isinstance(answers, Answers)
        found.append(answers.right.tolist())
    assert found[0] != found[1] == found[2]


def test_wide_formats_change_little(workload: SupervisedWorkload) -> None:
    space = QuantizationSpace(workload.parameters, (8, 16))
    for scheme in Scheme:
        config = space.uniform(16, scheme, Rounding.NEAREST)
        assert abs(workload.test(config, workload.seed) - given(workload.test_baseline)) <= 1 / 40


def test_in_training_quantization_with_wide_formats_is_the_baseline(workload: SupervisedWorkload) -> None:
    # The same epochs, the same batches, the same seed: what remains of the difference is rounding.
    config = QuantizationSpace(workload.parameters, (8, 16)).uniform(16, Scheme.ITQ, Rounding.NEAREST)
    quantized = workload.quantize(config, workload.seed).state_dict()
    for name, value in workload.baseline_network.state_dict().items():
        assert (quantized[name] - value).abs().max() < 0.02 * value.abs().max()


def test_quantized_weights_are_on_the_grid(workload: SupervisedWorkload) -> None:
    config = space_of(workload).uniform(3, Scheme.ITQ, Rounding.STOCHASTIC)
    weights = workload.quantize(config, 0).state_dict()["hidden.weight"]
    codes = weights / config["hidden.weight"].format.resolution
    assert torch.equal(codes, codes.round())
    assert codes.unique().numel() <= 8


def test_the_same_seed_gives_the_same_counts_whatever_came_before(workload: SupervisedWorkload) -> None:
    config = space_of(workload).uniform(3, Scheme.ITQ, Rounding.STOCHASTIC)
    first = workload.quantize(config, 5).state_dict()
    torch.rand(7)
    second, other = workload.quantize(config, 5).state_dict(), workload.quantize(config, 6).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def rebatched(batches: list[tuple[Tensor, Tensor]], size: int) -> list[tuple[Tensor, Tensor]]:
    inputs, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return list(zip(torch.split(inputs, size), torch.split(labels, size), strict=True))


def undecided(**changes: Any) -> SupervisedWorkload:
    """A workload of a network that has learned little, so that draws decide many samples."""
    return toy_workload(train=None, network=ToyNetwork(), **changes)


@pytest.mark.parametrize("scheme", Scheme)
def test_an_accuracy_does_not_depend_on_the_size_of_batches(scheme: Scheme) -> None:
    data = toy_batches(1, 20)
    counts, tests = [], []
    for size in (7, 64):
        of = undecided(validation=rebatched(data, size), test=rebatched(data, size))
        config = space_of(of).uniform(2, scheme, Rounding.STOCHASTIC)
        counts.append(counts_of(of.evaluate(config, 3))[-1])
        tests.append(of.test(config, 3))
    assert counts[0] == counts[1]
    assert counts[0][1] == 200
    assert tests[0] == tests[1] == counts[0][0] / 200


def test_samples_are_counted_through_the_batches_from_a_first_number() -> None:
    of, data = undecided(), rebatched(toy_batches(1, 20), 50)
    network = of.quantize(space_of(of).uniform(2, Scheme.PTQ, Rounding.STOCHASTIC), 0)

    def correct(batches: list[tuple[Tensor, Tensor]], first: int) -> int:
        return list(count_correct(network, batches, first, accuracy=top1))[-1][0]

    parts = [correct([batch], 50 * i) for i, batch in enumerate(data)]
    assert correct(data, 0) == sum(parts)
    assert len({correct(data, 1000 * i) for i in range(6)}) > 1


def test_training_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    assert toy_workload().baseline > 0
    toy = toy_workload()
    torch.manual_seed(0)
    assert toy.baseline > 0
    assert torch.equal(torch.rand(3), expected)


def test_a_study_of_it_ends_with_a_front(workload: SupervisedWorkload) -> None:
    space = QuantizationSpace(workload.parameters, (2, 8), ties="family")
    study = open_study("toy", None, space, sampler=optuna.samplers.RandomSampler(seed=0), workload=workload)
    study.optimize(QuantizationObjective(workload, space), n_trials=6)
    front = ParetoFront.from_study(study)
    assert len(front) >= 1
    assert front.candidates[0].accuracy == study.trials[front.candidates[0].trial_number].values[1]


def test_state_counts_are_those_of_one_sample(workload: SupervisedWorkload) -> None:
    parameters = {parameter.name: parameter for parameter in workload.parameters}
    assert parameters["lif.v"].count == 12
    assert parameters["hidden.weight"].count == 96
    assert parameters["lif.decay"].family is Family.DECAY


class Normalized(ToyNetwork):
    """Batch normalization between the first layer and its neurons; ``detour`` puts another operation before it."""

    def __init__(self, detour: bool = False) -> None:
        super().__init__()
        self.norm = layer.BatchNorm1d(12, step_mode="m")
        self.detour = detour

    def forward(self, spikes: Tensor) -> Any:
        current = self.hidden(spikes.transpose(0, 1))
        return self.readout(self.lif(self.norm(current + 0 if self.detour else current)))


def test_batch_norm_is_folded_before_anything_is_measured() -> None:
    workload = toy_workload(network=Normalized())
    assert not any(isinstance(module, nn.BatchNorm1d) for module in workload.network.modules())
    assert {"hidden.weight", "hidden.bias"} <= {parameter.name for parameter in workload.parameters}
    assert given(workload.test_baseline) > 0.9


@pytest.mark.parametrize("scheme", Scheme)
def test_batch_norm_that_cannot_be_folded_is_searched(scheme: Scheme) -> None:
    workload = toy_workload(network=Normalized(detour=True))
    counts = {parameter.name: parameter.count for parameter in workload.parameters}
    assert counts["norm.scale"] == counts["norm.offset"] == 12
    config = space_of(workload).uniform(8, scheme, Rounding.NEAREST)
    right, seen = counts_of(workload.evaluate(config, 0))[-1]
    assert right / seen > 0.8


def test_a_deleted_state_is_a_control_of_its_own(workload: SupervisedWorkload) -> None:
    network = workload.state_deleted
    inputs = toy_batches(1)[0][0]
    with torch.no_grad():
        functional.reset_net(network)
        whole = network(inputs)
        for step in range(inputs.shape[1]):
            functional.reset_net(network)
            assert torch.allclose(network(inputs[:, step : step + 1])[0], whole[step], atol=1e-6)


def test_a_layer_that_falls_silent_is_named_with_its_formats(workload: SupervisedWorkload) -> None:
    space = space_of(workload)
    params = space.params(space.uniform(8, Scheme.PTQ, Rounding.TRUNCATION))
    config = space.config(params | {"bits.hidden.weight": 2})
    silent = copy.deepcopy(workload)
    with torch.no_grad():
        silent.baseline_network.get_parameter("hidden.weight").clamp_(0.0, 1e-3)
    with pytest.warns(UserWarning, match=r"lif puts out no spikes .*lif.v Q"):
        list(silent.evaluate(config, 0))


class CountingTrainer:
    """Trains, and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, network: nn.Module, seed: int) -> nn.Module:
        self.calls += 1
        return fit(network, seed, batches=toy_batches(0, 1), epochs=1, learning_rate=0.02, progress=False)


def test_a_trained_network_is_found_in_the_cache(tmp_path: Path) -> None:
    trainers = CountingTrainer(), CountingTrainer()
    runs = [toy_workload(train=trainers[k], fine_tune=trainers[k], cache=tmp_path / "cache") for k in (0, 1)]
    assert runs[0].baseline == runs[1].baseline
    assert (trainers[0].calls, trainers[1].calls) == (2, 0)
    assert not [path for path in (tmp_path / "cache").iterdir() if path.suffix != ".safetensors"]


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"network": ToyNetwork(seed=1)},
        {"validation": toy_batches(3)},
        {"test": None},
        {"test": toy_batches(3)},
        {"train": partial(fit, batches=toy_batches(0), epochs=7, learning_rate=0.02, progress=False)},
        {"fine_tune": None},
        {"range_method": "min-max"},
    ],
)
def test_what_accuracies_depend_on_is_described(changes: dict[str, Any]) -> None:
    assert toy_workload().describe() == toy_workload().describe()
    assert toy_workload().describe()["stochastic_rounding"] == "keyed by sample"
    assert toy_workload(**changes).describe() != toy_workload().describe()


@pytest.mark.filterwarnings("ignore:The buffers")
def test_buffers_of_another_batch_size_are_found_in_the_cache(tmp_path: Path) -> None:
    class Keeping(ToyNetwork):
        last: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("last", torch.zeros(1))

        def forward(self, spikes: Tensor) -> Any:
            self.last = super().forward(spikes)
            return self.last

    train = partial(fit, batches=toy_batches(0, 1), epochs=1, learning_rate=0.02, progress=False)
    tune = partial(train, batches=toy_batches(0, 1, 6))
    first, second = (toy_workload(network=Keeping(), train=train, fine_tune=tune, cache=tmp_path) for _ in range(2))
    config = space_of(first).uniform(8, Scheme.ITQ, Rounding.NEAREST)
    assert counts_of(first.evaluate(config, 0)) == counts_of(second.evaluate(config, 0))


def test_a_damaged_network_of_the_cache_is_trained_again(tmp_path: Path) -> None:
    baseline = toy_workload(cache=tmp_path).baseline
    files = sorted(tmp_path.iterdir())
    for path in files:
        path.write_bytes(path.read_bytes()[:100])
    with pytest.warns(UserWarning, match="is damaged") as told:
        assert toy_workload(cache=tmp_path).baseline == baseline
    assert len([warning for warning in told if "is damaged" in str(warning.message)]) == len(files)
    assert sorted(tmp_path.iterdir()) == sorted([*files, *(path.with_name(f"{path.name}.damaged") for path in files)])


def forget(network: nn.Module, seed: int) -> None:
    """A training function that returns nothing."""


@pytest.mark.parametrize("name", ["train", "fine_tune"])
def test_a_training_function_must_return_the_network(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} must return the trained network, got NoneType: add `return network`"):
        assert toy_workload(**{name: forget}).baseline


@pytest.mark.parametrize("accuracy", [lambda *_: 1.5, lambda *_: -0.1, lambda *_: float("nan")])
def test_an_accuracy_must_be_a_fraction(accuracy: Callable[..., float]) -> None:
    with pytest.raises(ValueError, match="accuracy must give a fraction between 0 and 1, got"):
        assert toy_workload(accuracy=accuracy).baseline


@pytest.mark.parametrize(("score", "error"), [(float("nan"), InexactError), (0.0, ValueError)])
def test_scores_that_are_not_finite_are_inexact_where_they_have_no_accuracy(
    score: float, error: type[Exception]
) -> None:
    network = nn.Linear(1, 2)
    nn.init.constant_(network.bias, score)
    with pytest.raises(error) as caught:
        next(count_correct(network, [(torch.zeros(1, 1), torch.zeros(1))], accuracy=lambda *_: float("nan")))
    assert type(caught.value) is error


def test_an_accuracy_must_be_a_number() -> None:
    with pytest.raises(TypeError, match="accuracy must give a number, got None"):
        assert toy_workload(accuracy=lambda *_: None).baseline
    assert toy_workload(accuracy=lambda *_: torch.tensor(0.5)).baseline == 0.5


def test_an_accuracy_of_the_users_own_counts() -> None:
    workload = toy_workload(accuracy=lambda _, labels: 0.5 if len(labels) else 0.0)
    assert workload.baseline == 0.5


class WrongOutput(ToyNetwork):
    def forward(self, spikes: Tensor) -> Any:
        return super().forward(spikes).sum()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"network": "resnet"}, TypeError, "network must be a torch.nn.Module, or make one, got str"),
        ({"train": 3}, TypeError, "train must be a function of a network and a seed, got 3"),
        ({"validation": []}, ValueError, "validation must have at least one batch, got none"),
        ({"calibration": iter([])}, ValueError, "calibration must have at least one batch, got none"),
        ({"calibration": [("a",)]}, TypeError, "calibration must be tensors"),
        ({"range_method": "maximum"}, ValueError, "maximum"),
    ],
)
def test_bad_arguments_are_refused(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        toy_workload(**changes)


def test_an_output_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[batch, classes\] or \[steps, batch, classes\], got the shape \(\)"):
        assert toy_workload(network=WrongOutput()).baseline


def test_without_test_batches_there_is_no_given() -> None:
    workload = toy_workload(test=None)
    assert workload.test_baseline is None
    with pytest.raises(ValueError, match="test="):
        workload.test(space_of(workload).uniform(8, Scheme.PTQ, Rounding.NEAREST), 0)


def test_an_iterator_that_is_used_up_is_told() -> None:
    workload = toy_workload(test=iter(toy_batches(2)))
    assert 0 <= given(workload.test_baseline) <= 1
    with pytest.raises(ValueError, match="The batches hold no samples"):
        workload.test(space_of(workload).uniform(8, Scheme.PTQ, Rounding.NEAREST), 0)


def off_grid(seed: int) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return [
        (inputs * (0.1 + torch.rand(inputs.shape, generator=generator)), labels) for inputs, labels in toy_batches(seed)
    ]


def test_inputs_off_the_grid_that_calibration_has_not_shown_are_refused_with_the_reason() -> None:
    workload = toy_workload(validation=off_grid(1))
    config = QuantizationSpace(workload.parameters, (2, 12)).uniform(12, Scheme.PTQ, Rounding.TRUNCATION)
    with pytest.raises(ValueError, match="Inputs of the network must be fixed-point numbers"):
        counts_of(workload.evaluate(config, 0))


def test_what_is_trained_in_quantization_computes_the_same_from_the_cache(tmp_path: Path) -> None:
    config = space_of(toy_workload()).uniform(3, Scheme.ITQ, Rounding.STOCHASTIC)
    inputs = toy_batches(1)[0][0]
    workload = toy_workload(cache=tmp_path)
    networks = [workload.quantize(config, 1), workload.quantize(config, 1), toy_workload().quantize(config, 1)]
    outputs = [network(inputs) for network in networks]
    assert all(torch.equal(output, outputs[0]) for output in outputs)


def test_other_fine_tuning_does_not_train_the_float_network_again(tmp_path: Path) -> None:
    files = []
    for epochs in (1, 2):
        fine_tune = partial(fit, batches=toy_batches(0), epochs=epochs, learning_rate=0.01, progress=False)
        assert toy_workload(fine_tune=fine_tune, cache=tmp_path).baseline > 0
        files.append({path.name for path in tmp_path.iterdir()})
    # One file for the network, and one for each baseline.
    assert [len(names) for names in files] == [2, 3]


@pytest.mark.parametrize("name", ["a class", "sums"])
def test_what_no_training_mends_is_refused_before_it(name: str) -> None:
    class Refused(ToyNetwork):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.LayerNorm(12)

        def forward(self, spikes: Tensor) -> Any:
            hidden = self.lif(self.hidden(spikes.transpose(0, 1)))
            return self.readout(self.norm(hidden) if name == "a class" else (hidden - 0.7).softmax(-1))

    trained: list[nn.Module] = []

    def train(network: nn.Module, _: int) -> nn.Module:
        trained.append(network)
        return network

    workload = toy_workload(network=Refused(), train=train, fine_tune=None)
    with pytest.raises(ValueError, match="not trained yet"):
        _ = workload.parameters
    assert not trained


def test_batches_that_differ_each_time_are_refused() -> None:
    data = TensorDataset(*(torch.cat(parts) for parts in zip(*toy_batches(1), strict=True)))
    for name in ("calibration", "validation"):
        with pytest.raises(ValueError, match=f"{name} must give the same batches each time"):
            toy_workload(**{name: DataLoader(data, batch_size=10, shuffle=True)})


def test_the_check_for_exactness_takes_whole_sequences() -> None:
    class TimeFirst(ToyNetwork):
        def forward(self, spikes: Tensor) -> Any:
            assert len(spikes) == STEPS
            return self.readout(self.lif(self.hidden(spikes)))

    def time_first(seed: int) -> list[tuple[Tensor, Tensor]]:
        return [(inputs.transpose(0, 1), labels) for inputs, labels in toy_batches(seed)]

    train = partial(fit, batches=time_first(0), epochs=2, learning_rate=0.02, progress=False)
    workload = toy_workload(
        network=TimeFirst(), train=train, fine_tune=None, calibration=time_first(0), validation=time_first(1)
    )
    config = space_of(workload).uniform(4, Scheme.PTQ, Rounding.NEAREST)
    assert counts_of(workload.evaluate(config, 0))[-1][1] == 40


def test_a_configuration_that_cannot_be_carried_is_pruned_and_the_study_goes_on() -> None:
    workload = toy_workload(validation=off_grid(1), fine_tune=None)
    space = QuantizationSpace(workload.parameters, (2, 8), (Scheme.PTQ,))
    study = open_study("toy", None, space, workload=workload)
    study.optimize(QuantizationObjective(workload, space), n_trials=2)
    assert [trial.state.name for trial in study.trials] == ["PRUNED", "PRUNED"]
    assert "averages those of 2, 4, 8" in study.trials[0].user_attrs["refused"]
    with pytest.raises(ValueError, match="averages those of 2, 4, 8"):
        ParetoFront.from_study(study)


def test_a_layer_that_was_silent_before_is_not_blamed_on_its_formats(recwarn: pytest.WarningsRecorder) -> None:
    network = ToyNetwork()
    network.hidden.weight.data.mul_(1e-4)
    workload = toy_workload(network=network, train=None, fine_tune=None)
    assert counts_of(workload.evaluate(space_of(workload).uniform(8, Scheme.PTQ, Rounding.NEAREST), 0))
    assert not [warning for warning in recwarn if "puts out no spikes" in str(warning.message)]


def test_fine_tuning_must_return_what_it_is_given() -> None:
    workload = toy_workload(fine_tune=lambda *_: ToyNetwork())
    config = space_of(workload).uniform(4, Scheme.ITQ, Rounding.NEAREST)
    with pytest.raises(ValueError, match="fine_tune must return the network that it is given"):
        workload.quantize(config, 0)


def test_scores_of_another_number_of_samples_are_refused() -> None:
    class StepsLast(ToyNetwork):
        def forward(self, spikes: Tensor) -> Any:
            return super().forward(spikes).transpose(0, 1)

    for train in (None, toy_workload()._trained.train):
        with pytest.raises(ValueError, match=r"scores for the 10 samples of a batch, got 4"):
            assert toy_workload(network=StepsLast(), train=train).baseline


def test_classes_are_two() -> None:
    assert {int(label) for _, labels in toy_batches(0) for label in labels} == set(range(CLASSES))


def test_rungs_change_no_result(tmp_path: Path) -> None:
    in_parts = partial(fit_by_epochs, batches=toy_batches(0), epochs=3, learning_rate=0.005, progress=False)
    whole = partial(fit, batches=toy_batches(0), epochs=3, learning_rate=0.005, progress=False)
    plain = toy_workload(fine_tune=whole)
    config = space_of(plain).uniform(3, Scheme.ITQ, Rounding.STOCHASTIC)
    looked = toy_workload(fine_tune=in_parts, rungs=(0.3, 0.6), cache=tmp_path)
    first = list(looked.evaluate(config, 5))
    assert [look.fraction for look in first[:2] if isinstance(look, TrainingProgress)] == [0.3, 0.6]
    assert first[2:] == counts_of(plain.evaluate(config, 5))
    expected = plain.quantize(config, 5).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in looked.quantize(config, 5).state_dict().items())
    # A network that the cache holds has no rungs.
    assert counts_of(looked.evaluate(config, 5)) == first[2:]
    with pytest.raises(TypeError, match=r"rungs need a fine_tune that pauses, such as partial\(fit_by_epochs"):
        toy_workload(rungs=(0.5,))


def test_a_training_that_diverges_in_quantization_is_pruned_and_the_study_goes_on() -> None:
    def diverging(network: nn.Module, seed: int) -> nn.Module:
        if is_quantized(network):
            for parameter in network.parameters():
                parameter.data.fill_(torch.nan)
        return fit(network, seed, batches=toy_batches(0), epochs=1, learning_rate=0.005, progress=False)

    workload = toy_workload(fine_tune=diverging)
    space = space_of(workload)
    study = open_study("toy", None, space, workload=workload)
    for scheme in (Scheme.ITQ, Scheme.PTQ):
        study.enqueue_trial(space.params(space.uniform(6, scheme, Rounding.NEAREST)))
    study.optimize(QuantizationObjective(workload, space), n_trials=2)
    assert [trial.state.name for trial in study.trials] == ["PRUNED", "COMPLETE"]
    assert "hidden.weight is no longer finite" in study.trials[0].user_attrs["refused"]


def test_a_training_that_diverges_in_its_last_step_is_inexact() -> None:
    def diverging(network: nn.Module, seed: int) -> nn.Module:  # noqa: ARG001
        if is_quantized(network):
            next(network.parameters()).data.fill_(torch.inf)
        return network

    workload = toy_workload(fine_tune=diverging)
    with pytest.raises(InexactError, match=r"hidden\.weight"):
        workload.quantize(space_of(workload).uniform(6, Scheme.ITQ, Rounding.NEAREST), 0)


@pytest.mark.parametrize("rounding", [Rounding.NEAREST, Rounding.STOCHASTIC])
def test_a_test_after_an_evaluation_trains_nothing_again(rounding: Rounding) -> None:
    fine_tune = CountingTrainer()
    workload, other = toy_workload(fine_tune=fine_tune), toy_workload(fine_tune=CountingTrainer())
    config = space_of(workload).uniform(4, Scheme.ITQ, rounding)
    counts = counts_of(workload.evaluate(config, 1))
    assert fine_tune.calls == 2
    # The one kept draws as a fresh one does, whatever was done with copies of it.
    assert workload.test(config, 1) == workload.test(config, 1) == other.test(config, 1)
    workload.quantize(config, 1).get_submodule("lif").v_threshold = 0.0  # type: ignore[assignment]
    assert counts_of(workload.evaluate(config, 1)) == counts
    assert fine_tune.calls == 2
    workload.quantize(config, 2)
    assert fine_tune.calls == 3


def test_the_networks_used_last_are_kept() -> None:
    recent = RecentNetworks(2)
    networks = {key: nn.Linear(1, 1) for key in "abc"}
    recent.keep("a", networks["a"])
    recent.keep("b", networks["b"])
    assert recent.get("a") is not None
    recent.keep("c", networks["c"])
    assert recent.get("b") is None
    for key in "ac":
        kept = recent.get(key)
        assert isinstance(kept, nn.Linear)
        assert kept is not networks[key]
        assert torch.equal(kept.weight, networks[key].weight)


def test_what_a_workload_lacks_is_named_without_training() -> None:
    def untrained(network: nn.Module, seed: int) -> nn.Module:
        raise AssertionError((network, seed))

    workload: workloads.TestedWorkload = toy_workload(train=untrained)
    assert workloads.missing_members(workload) == ()
    assert workloads.missing_members(workload, workloads.TestedWorkload) == ()
    assert workloads.missing_members(workload, workloads.DeployableWorkload) == ()
    assert workloads.missing_members(object()) == (
        "parameters",
        "deployment",
        "baseline",
        "evaluate",
        "describe",
    )


class WithoutUse(ToyNetwork):
    """A trained gain that forward forgets."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(3))


class Twofold(neuron.LIFNode):  # type: ignore[misc]
    """A leaky neuron with a decay of its own in an overridden step."""

    def single_step_functional_forward(self, inputs: Any, states: Any, **_: Any) -> Any:
        v = 0.25 * states[0] + inputs[0]
        spike = self.surrogate_function(v - self.v_threshold)
        return (spike,), (v * (1 - spike),)

    def multi_step_forward(self, x_seq: Tensor, *_: Any, **__: Any) -> Any:
        return neuron.BaseNode.multi_step_forward(self, x_seq)


def test_parameters_that_nothing_reads_are_told_and_not_searched() -> None:
    with pytest.warns(UserWarning, match=r"\['gain'\]"):
        found = toy_workload(network=WithoutUse(), train=None, fine_tune=None).parameters
    assert "gain" not in {spec.name for spec in found}


def test_decays_of_overridden_steps_are_not_searched() -> None:
    network = ToyNetwork()
    network.lif = Twofold()
    functional.set_step_mode(network, "m")
    names = {spec.name for spec in toy_workload(network=network, train=None, fine_tune=None).parameters}
    assert "lif.threshold" in names
    assert "lif.decay" not in names
