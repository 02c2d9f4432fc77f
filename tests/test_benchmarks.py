"""The benchmarks of samplers and pruners: what they measure by is exact, and their scripts run."""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import compare_pruning
import compare_samplers
import mnist_table
import network_zoo
import numpy as np
import optuna
import pytest
import supervised_table
import torch
import training_cut
import user_networks
from mnist_table import SETTINGS
from spikingjelly.activation_based import layer, neuron

import qspinn_optuna.datasets
from qspinn_optuna import (
    FrontPruner,
    InexactError,
    QuantizationConfig,
    QuantizationSpace,
    Rounding,
    Scheme,
    SupervisedWorkload,
)
from qspinn_optuna.cli import main as qspinn
from qspinn_optuna.cli.loading import loaded
from qspinn_optuna.datasets import ImageSplits, LabeledImages
from qspinn_optuna.selection import recorded_choice
from qspinn_optuna.study import accuracies_on_test, baseline_of
from qspinn_optuna.workloads.supervised.training import class_scores
from searching import problems, tabulation
from searching.counting import CountingWorkload
from searching.formulas import MANY_DIMENSIONS, SYNTHETIC_PROBLEMS, Cliffs
from searching.fronts import Front
from searching.runs import Run, run_contestant
from searching.search import Ending, search
from searching.stored_runs import store, stored_runs
from searching.synthetic import SyntheticProblem
from searching.tables import MISSING, REFUSED, EvaluationTable, choices_of, params_of_row
from searching.tabulation import make_table
from tests.fake_workload import SEEN, FakeWorkload, fake_space
from zoo.architecture import Architecture, Outcome, conv, lif, linear
from zoo.passage import Passage, passage
from zoo.structures import Frames

TINY = {"logistic": 2, "noise-power": 2, "cliffs": 1, "not-monotone": 2, "resnet-20": 2, "resnet-40": 2}
"""Layers of a problem with 1,536 configurations at most."""


STUDIES = Path(compare_samplers.__file__).parents[1]
BENCHMARKS = sorted(path.stem for path in Path(compare_samplers.__file__).parent.glob("*.py"))


@pytest.fixture
def _threads() -> Iterator[None]:
    """Scripts limit the threads of their process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_script_answers_help(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--help"])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(name).main()
    assert ended.value.code == 0
    assert f"usage: {name}.py" in capsys.readouterr().out


@pytest.mark.parametrize("folder", ["", "benchmarks"])
def test_the_readme_of_a_folder_lists_every_script_with_its_command(folder: str) -> None:
    scripts = [path for path in (STUDIES / folder).glob("*.py") if "__main__" in path.read_text()]
    row = re.compile(r"^\| `(\w+\.py)` \|.*\| `python ([\w/]+\.py)", re.MULTILINE)
    rows = row.findall((STUDIES / folder / "README.md").read_text())
    assert sorted(rows) == sorted((path.name, path.relative_to(STUDIES.parent).as_posix()) for path in scripts)


def configurations(space: QuantizationSpace) -> list[QuantizationConfig]:
    choices = choices_of(space)
    return [space.config(dict(zip(choices, values, strict=True))) for values in itertools.product(*choices.values())]


def fake_table() -> EvaluationTable:
    space = fake_space()
    correct = np.arange(2 * space.cardinality, dtype=np.int32).reshape(-1, 2)
    correct[3] = REFUSED
    return EvaluationTable(space, correct, np.array([500, SEEN], np.int32), 0.95, {"of": "nothing"})


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", list(SYNTHETIC_PROBLEMS))
def test_the_front_of_a_problem_is_that_of_all_its_configurations(name: str, seed: int) -> None:
    problem = SYNTHETIC_PROBLEMS[name](seed, TINY[name], (1, 4))
    everything = configurations(problem.space)
    memory = np.array([problem.space.footprint(config).kib for config in everything])
    accuracy = np.array([problem.truth(config) for config in everything])
    beaten = [
        np.any((memory <= m) & (accuracy >= a) & ((memory < m) | (accuracy > a)))
        for m, a in zip(memory, accuracy, strict=True)
    ]
    expected = np.unique(np.stack([memory, accuracy])[:, ~np.array(beaten)], axis=1)
    np.testing.assert_allclose([problem.front.memory_kib, problem.front.accuracy], expected, rtol=1e-12)


@pytest.mark.parametrize("name", [name for name in SYNTHETIC_PROBLEMS if name not in MANY_DIMENSIONS])
def test_problems_are_as_large_as_promised_and_their_fronts_reach_the_baseline(name: str) -> None:
    problem = SYNTHETIC_PROBLEMS[name](0)
    assert len(problem.parameters) >= 8
    assert problem.space.cardinality >= 2e10
    assert len(problem.front) > 100
    assert problem.front.accuracy[-1] == pytest.approx(problem.baseline, abs=0.01)


@pytest.mark.parametrize("name", list(SYNTHETIC_PROBLEMS))
def test_counts_are_those_of_the_configuration_and_spread_as_samples_do(name: str) -> None:
    problem: SyntheticProblem = SYNTHETIC_PROBLEMS[name](0)
    config = problem.space.uniform(8, problem.space.schemes[0], problem.space.roundings[0])
    counts = list(problem.evaluate(config, 0))
    assert counts == list(problem.evaluate(config, 0))
    look = 100 if name in MANY_DIMENSIONS else 2_000
    samples = 10 * look
    assert [seen for _, seen in counts] == list(range(look, samples + 1, look))
    measured = [list(problem.evaluate(config, seed))[-1][0] / samples for seed in range(200)]
    truth = problem.truth(config)
    deviation = (truth * (1 - truth) / samples) ** 0.5
    assert np.mean(measured) == pytest.approx(truth, abs=4 * deviation / 200**0.5)
    assert np.std(measured) == pytest.approx(deviation, rel=0.25)


def test_a_wider_weight_can_fall_off_a_cliff() -> None:
    problem = Cliffs(0, 1)
    params = problem.space.params(problem.space.uniform(8, *(problem.space.schemes[0], problem.space.roundings[0])))
    accuracy = [problem.truth(problem.space.config(params | {"bits.layer0.weight": bits})) for bits in range(1, 17)]
    top = int(np.argmax(accuracy))
    assert 0 < top < 15
    assert accuracy[top + 1 :] == [problem.chance] * (15 - top)


def test_hypervolume_is_the_area_that_the_points_dominate() -> None:
    rng = np.random.default_rng(0)
    memory, accuracy = rng.integers(1, 24, 8), rng.integers(0, 20, 8) / 20
    # Cells of a grid on whose lines all points lie.
    cells = [
        any(m <= column and a >= (row + 1) / 20 for m, a in zip(memory, accuracy, strict=True))
        for column in range(20)
        for row in range(2, 20)
    ]
    front = Front.of(memory.astype(float), accuracy)
    assert front.hypervolume(20.0, 0.1) == pytest.approx(np.mean(cells))
    assert Front.of([], []).hypervolume(20.0, 0.1) == 0


def test_of_equal_points_the_front_keeps_one() -> None:
    front = Front.of([1.0, 1.0, 2.0, 2.0, 3.0], [0.5, 0.5, 0.5, 0.7, 0.6])
    assert (front.memory_kib.tolist(), front.accuracy.tolist()) == ([1.0, 2.0], [0.5, 0.7])


def test_rows_and_params_are_inverse() -> None:
    table = fake_table()
    rows = [table.row(params_of_row(table.space, row)) for row in range(table.space.cardinality)]
    assert rows == list(range(table.space.cardinality))


def test_a_saved_table_is_read_back(tmp_path: Path) -> None:
    table = fake_table()
    table.save(tmp_path / "table.npz")
    loaded = EvaluationTable.load(tmp_path / "table.npz")
    assert loaded.space.to_dict() == table.space.to_dict()
    np.testing.assert_array_equal(loaded.correct, table.correct)
    assert (loaded.baseline, loaded.describe()) == (table.baseline, table.describe())
    assert [path.name for path in tmp_path.iterdir()] == ["table.npz"]


@pytest.mark.parametrize(
    ("name", "widths"),
    [("mnist", mnist_table.WIDTHS)] + [(name, variant.widths) for name, variant in supervised_table.VARIANTS.items()],
)
def test_the_tables_of_the_project_are_of_their_widths(name: str, widths: Mapping[str, int | tuple[int, int]]) -> None:
    table = EvaluationTable.load(problems.table_path(name))
    low, high = (table.space.uniform(bits, Scheme.PTQ, Rounding.NEAREST).bits for bits in (1, 24))
    expected = {key: (value, value) if isinstance(value, int) else value for key, value in widths.items()}
    assert {key: (low[key], high[key]) for key in low} == expected
    assert table.correct.min() >= REFUSED
    assert len(table.correct) == table.space.cardinality


def test_a_table_counts_what_was_measured_and_refuses_what_was_refused() -> None:
    table = fake_table()
    config = table.space.config(params_of_row(table.space, 5))
    looks = [list(table.evaluate(config, seed)) for seed in range(300)]
    assert {tuple(seen for _, seen in look) for look in looks} == {(500, SEEN)}
    assert {look[-1] for look in looks} == {(11, SEEN)}
    assert np.mean([look[0][0] for look in looks]) == pytest.approx(11 * 500 / SEEN, abs=0.5)
    with pytest.raises(InexactError):
        list(table.evaluate(table.space.config(params_of_row(table.space, 3)), 0))
    assert np.flatnonzero(np.isnan(table.accuracy)).tolist() == [3]


def test_an_interrupted_table_goes_on_and_a_table_of_another_workload_does_not(tmp_path: Path) -> None:
    path = tmp_path / "table.npz"
    space, workload = fake_space((2, 3)), FakeWorkload()
    correct = np.array([[c for c, _ in workload.evaluate(config, 0)] for config in configurations(space)], np.int32)
    unfinished = correct.copy()
    unfinished[7:] = MISSING
    known = 17
    unfinished[0] = known  # no evaluation gives it: it stays only if it is not evaluated again
    seen = np.array([500, SEEN], np.int32)
    description = {"workload": "fake"}
    EvaluationTable(space, unfinished, seen, 0.95, description).save(tmp_path / "table.npz.unfinished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tabulation, "ProcessPoolExecutor", InThisProcess)
        patch.setattr(tabulation, "as_completed", list)
        patch.setattr("os.nice", lambda _: 0)
        table = make_table(FakeWorkload, {"weight": (2, 3), "membrane": (2, 3)}, path, 1)
    np.testing.assert_array_equal(table.correct[1:], correct[1:])
    assert table.correct[0].tolist() == [known, known]
    assert [file.name for file in tmp_path.iterdir()] == ["table.npz"]
    EvaluationTable(space, unfinished, seen, 0.95, {"workload": "other"}).save(tmp_path / "table.npz.unfinished")
    with pytest.raises(ValueError, match="of another workload"):
        make_table(FakeWorkload, {"weight": (2, 3), "membrane": (2, 3)}, path, 1)


def test_samples_are_counted_as_far_as_they_are_asked_for() -> None:
    workload = CountingWorkload(FakeWorkload())
    space = fake_space()
    config = space.uniform(8, space.schemes[0], space.roundings[0])
    looks = workload.evaluate(config, 0)
    next(looks)
    assert workload.samples == SEEN // 2
    list(workload.evaluate(config, 0))
    assert workload.samples == SEEN // 2 + SEEN


def test_each_trial_says_how_it_ended_and_what_it_cost() -> None:
    table = fake_table()
    refused = table.space.config(params_of_row(table.space, 3))
    trials = list(search(table, table.space, optuna.samplers.RandomSampler(seed=0), 300))
    assert {trial.config for trial in trials if trial.ending is Ending.REFUSED} == {refused}
    assert {trial.config for trial in trials if trial.accuracy is None} == {refused}
    first = {trial.config: trial for trial in reversed(trials)}
    assert sum(trial.samples for trial in trials) == SEEN * (len(first) - 1)
    for trial in trials:
        accuracy = table.accuracy[table.row(table.space.params(trial.config))]
        assert trial.accuracy is None or trial.accuracy == accuracy
        assert trial.memory_kib == table.space.footprint(trial.config).kib
        assert trial.trained is None


def test_what_is_stopped_again_and_again_is_completed_once() -> None:
    space, workload = fake_space(), FakeWorkload()
    config = space.uniform(8, space.schemes[0], space.roundings[0])
    assert compare_pruning.complete(workload, [config, config]) == {config: (943, SEEN)}
    assert len(workload.evaluated) == 1


def test_runs_from_when_tpe_was_univariate_have_that_name_now(tmp_path: Path) -> None:
    def run(sampler: str, regret: float) -> Run:
        return Run("logistic", sampler, 0, "instance", [regret], [1], [0.1], [False])

    (tmp_path / "runs").mkdir()
    for name, regret in (("tpe", 0.5), ("tpe-multivariate", 0.4), ("random", 0.3)):
        (tmp_path / "runs" / f"{name}.jsonl").write_text(json.dumps(asdict(run(name, regret))) + "\n")
    store(tmp_path, run("tpe", 0.2))
    assert stored_runs(tmp_path, "tpe-univariate") == [run("tpe-univariate", 0.5)]
    assert stored_runs(tmp_path, "tpe") == [run("tpe", 0.4), run("tpe", 0.2)]
    assert stored_runs(tmp_path, "random") == [run("random", 0.3)]
    assert stored_runs(tmp_path, "gp") == []


def test_the_true_front_leaves_no_regret() -> None:
    problem = problems.make_problem("logistic", 0)
    everything = problem.hypervolume(problem.front)
    assert 0 < everything < 1
    shuffled = np.random.default_rng(0).permutation(len(problem.front))
    again = Front.of(problem.front.memory_kib[shuffled], problem.front.accuracy[shuffled])
    assert problem.hypervolume(again) == everything
    assert problem.hypervolume(Front.of(again.memory_kib[1:], again.accuracy[1:])) < everything


@pytest.mark.usefixtures("_threads")
def test_a_table_is_searched_without_regret_at_the_end_and_what_it_refuses_is_no_sample(tmp_path: Path) -> None:
    space, workload = fake_space((2, 3)), FakeWorkload()
    correct = np.array([[c for c, _ in workload.evaluate(config, 0)] for config in configurations(space)], np.int32)
    correct[5] = REFUSED
    EvaluationTable(space, correct, np.array([500, SEEN], np.int32), 0.95, {}).save(tmp_path / "table.npz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(problems, "table_path", lambda _: tmp_path / "table.npz")
        run = run_contestant(("mnist", "random", 0, 200))
    assert run.regret[0] > run.regret[-1] == 0
    assert sum(run.samples) == SEEN * (space.cardinality - 1)
    assert run.repeated.count(False) == space.cardinality


@pytest.mark.usefixtures("_threads")
def test_the_comparison_writes_its_curves_and_goes_on_where_it_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["compare_samplers.py", "--problems", "logistic", "--samplers", "random", "tpe", "--trials", "5"]
    command += ["--processes", "1", "--output", str(tmp_path)]
    stored = tmp_path / "contestants" / "tpe.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [*command, "--seeds", "1"])
        compare_samplers.main()
        first = stored.read_text()
        stored.write_text(first + '{"problem": "logi')  # interrupted
        patch.setattr(sys, "argv", [*command, "--seeds", "2"])
        compare_samplers.main()
        lines = stored.read_text().splitlines()
        assert (lines[0], len(lines)) == (first.strip(), 2)
        patch.setattr(compare_samplers, "run_contestant", None)  # everything is stored: nothing is run
        compare_samplers.main()
    curves = json.loads((tmp_path / "curves.json").read_text())
    summary = curves["problems"]["logistic"]["tpe"]
    assert summary["seeds"] == 2
    assert len(summary["regret"]["mean"]) == len(summary["regret_by_samples"]["samples"]) == 5
    assert summary["regret"]["mean"] == sorted(summary["regret"]["mean"], reverse=True)
    assert (summary["samples_per_trial"], summary["duplicates"]) == (20_000, 0)
    assert "Plotly.newPlot" in (tmp_path / "curves.html").read_text()
    assert "| logistic | TPE, multivariate |" in capsys.readouterr().out


@pytest.mark.usefixtures("_threads")
def test_without_a_pruner_nothing_is_saved_or_lost() -> None:
    outcome = compare_pruning.run_study(("noise-power", "random", 0, 20, None))
    assert (outcome.samples, outcome.stopped, outcome.wrong) == (1.0, 0.0, 0)
    assert outcome.found == outcome.suggested


@pytest.mark.usefixtures("_threads")
def test_pruning_saves_samples_of_the_same_study() -> None:
    outcome = compare_pruning.run_study(("noise-power", "random", 0, 20, FrontPruner(0.95)))
    reference = compare_pruning.run_study(("noise-power", "random", 0, 20, None))
    assert 0 < outcome.samples < 1
    assert outcome.stopped > 0
    # Random suggestions do not depend on what was measured.
    assert (outcome.front, outcome.suggested) == (reference.front, reference.found)


@pytest.mark.usefixtures("_threads")
def test_trainings_are_cut_and_completed_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training_cut.SETTINGS", replace(SETTINGS, neurons=10, voltage_range=4096.0))
    # With this confidence the test begins after three trials.
    outcome = training_cut.run_study(training_cut.Task(data_dir=None, seed=0, trials=12, confidence=0.5))
    assert 0 < outcome.cut < 12
    assert outcome.cut / 12 * 0.2 <= outcome.saved <= outcome.cut / 12 * 0.8
    assert 0 <= outcome.wrong < outcome.better


@pytest.mark.parametrize(
    "architecture", [each for each in network_zoo.ARCHITECTURES if each.quick], ids=lambda a: a.name
)
def test_networks_of_the_zoo_end_as_they_should(architecture: Architecture) -> None:
    result = passage(architecture, [Rounding.NEAREST, Rounding.STOCHASTIC])
    assert result.outcome is architecture.expected, result.reason


def test_a_wrong_count_by_hand_is_noticed_and_says_both_numbers() -> None:
    architecture = next(each for each in network_zoo.ARCHITECTURES if each.name == "layer normalization")
    plain = replace(architecture, make=lambda: Frames(layer.Linear(8, 32), neuron.LIFNode(), layer.Linear(32, 10)))
    by_hand = linear(8, 32) + lif(32) + linear(32, 10)
    right = passage(replace(plain, counts=by_hand), [Rounding.NEAREST])
    assert (right.outcome, right.tried, right.elements) == (Outcome.SEARCHED, 4, by_hand.total())
    wrong = passage(replace(plain, counts=by_hand + conv(1, 1, 1, bias=False)), [Rounding.NEAREST])
    assert wrong.outcome is Outcome.MISCOUNTED
    assert "'weight': 576" in wrong.reason
    assert "'weight': 577" in wrong.reason
    assert not wrong.as_expected


@pytest.mark.usefixtures("_threads")
def test_the_zoo_has_a_table_and_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "zoo.json"
    monkeypatch.setattr(sys, "argv", ["network_zoo.py", "--only", "softmax", "LAYER norm", "--json", str(path)])
    printed: list[str] = []

    def after_what_is_printed(architecture: Architecture) -> Passage:
        printed.append(capsys.readouterr().out)
        return passage(architecture)

    monkeypatch.setattr(network_zoo, "passage", after_what_is_printed)
    network_zoo.main()
    assert "arrays" in printed[0]
    assert printed[1].startswith("layer normalization")  # before the second begins
    assert [row["outcome"] for row in json.loads(path.read_text())["architectures"]] == ["refused", "refused"]
    assert "2 architectures: 2 refused" in capsys.readouterr().out
    names = [architecture.name for architecture in network_zoo.ARCHITECTURES]
    assert len(set(names)) == len(names) >= 30


@pytest.fixture
def _few_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise that looks like the digits' splits."""
    rng = np.random.default_rng(0)
    sizes = (2_000, 1_000, 100)
    parts = [
        LabeledImages(rng.integers(0, 256, (size, 784), np.uint8), rng.integers(0, 10, size, np.uint8))
        for size in sizes
    ]
    splits = ImageSplits(*parts)
    monkeypatch.setattr(qspinn_optuna.datasets, "embedded_mnist", lambda: splits)


@pytest.mark.usefixtures("_few_digits")
@pytest.mark.parametrize("network", user_networks.NETWORKS, ids=lambda network: network.file)
def test_networks_that_users_bring_make_workloads_of_every_part(
    network: user_networks.UserNetwork, tmp_path: Path
) -> None:
    with loaded(network.path) as file:
        parser = argparse.ArgumentParser()
        file.add_arguments(parser)
        options = ["--images", "12", "--cache", str(tmp_path)]
        workload = file.workload(parser.parse_args(options))
        assert isinstance(workload, SupervisedWorkload)
        for part in (workload.calibration, workload.validation, workload.test_batches):
            (inputs, labels), *others = part
            assert (len(inputs), len(labels), others) == (12, 12, [])
        untrained = workload._trained.untrained
        assert class_scores(untrained, inputs).shape == (12, 10)
    assert not list(tmp_path.iterdir())  # nothing is trained before it is needed


@pytest.mark.usefixtures("_few_digits")
@pytest.mark.parametrize("held_out", [1_000, 1_500])
def test_digits_held_out_are_of_those_that_are_not_the_tests(held_out: int) -> None:
    given = qspinn_optuna.datasets.embedded_mnist()
    with loaded(user_networks.FOLDER / "standardised.py") as file:
        assert file.module.HELD_OUT == 1_500
        data = file.module.digits(argparse.Namespace(images=None, data_dir=None), held_out)
    assert (len(data.train), len(data.validation)) == (3_000 - held_out, held_out)
    split, whole = (
        sorted(
            image.tobytes() + bytes([label])
            for part in parts
            for image, label in zip(part.images, part.labels, strict=True)
        )
        for parts in ((data.train, data.validation), (given.train, given.validation))
    )
    assert split == whole
    assert len(set(split)) == len(split)
    np.testing.assert_array_equal(data.test.images, given.test.images)


@pytest.mark.usefixtures("_few_digits", "_threads")
def test_a_network_that_a_user_brings_is_searched_once_and_has_a_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def in_this_process(options: list[str], threads: int) -> None:
        assert threads == 1
        commands.append(options)
        assert qspinn([*options, "--accuracy-drop", "1"]) == 0

    storage = f"sqlite:///{tmp_path / 'studies.db'}"
    command = ["user_networks.py", "tebn", "--images", "10", "--storage", storage, "--cache", str(tmp_path / "cache")]
    monkeypatch.setattr(user_networks, "qspinn", in_this_process)
    tables = []
    for trials in ("1", "2", "2"):
        monkeypatch.setattr(sys, "argv", [*command, "--trials", trials])
        assert user_networks.main() == 0
        tables.append(capsys.readouterr().out.splitlines()[-1].split())
    study = optuna.load_study(study_name="tebn", storage=storage)
    choice, baseline = recorded_choice(study), baseline_of(study)
    assert choice is not None
    assert baseline is not None
    assert baseline.test_accuracy is not None
    tested = accuracies_on_test(study)[choice.trial_number]
    accuracies = (choice.accuracy, baseline.accuracy, tested, baseline.test_accuracy)
    percent = [f"{accuracy:.2%}" for accuracy in accuracies]
    # Two convolutions and the readout, two normalizations of every step, two layers of neurons.
    values = (16 * 9 + 32 * 16 * 9 + 32 * 49 * 10 + 10) + 2 * 4 * (16 + 32) + (16 * 28**2 + 32 * 14**2 + 4)
    assert tables[-1][:-1] == ["TEBN", "14", f"{values}", f"{choice.compression:.2f}x", *percent, "2"]
    assert tables[1] == tables[2]
    assert [options[options.index("--trials") + 1] for options in commands] == ["1", "1"]


def test_a_user_network_that_nobody_brought_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["user_networks.py", "tebn", "resnet"])
    with pytest.raises(SystemExit):
        user_networks.main()
    assert "must be of sew_resnet18" in capsys.readouterr().err


def test_a_network_that_fails_does_not_stop_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(options: list[str], threads: int) -> None:
        raise RuntimeError(f"no front of {Path(options[1]).stem} with {threads} thread")

    monkeypatch.setattr(user_networks, "qspinn", failing)
    monkeypatch.setattr(
        sys, "argv", ["user_networks.py", "tebn", "qkformer", "--storage", f"sqlite:///{tmp_path}/s.db"]
    )
    assert user_networks.main() == 1
    assert capsys.readouterr().err.splitlines() == [
        "QKFormer: no front of qkformer with 1 thread",
        "TEBN: no front of tebn with 1 thread",
    ]


def test_a_command_that_fails_says_what_qspinn_says() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)qspinn run no\.py ended with 2:.*there is no"):
        user_networks.qspinn(["run", "no.py"], threads=1)


class InThisProcess:
    """A pool that evaluates at once."""

    def __init__(self, *_: object, initializer: Callable[..., None], initargs: tuple[object, ...]) -> None:
        initializer(*initargs)

    def __enter__(self) -> InThisProcess:
        return self

    def __exit__(self, *details: object) -> None:
        pass

    def submit(self, function: Callable[[int], object], row: int) -> Result:
        return Result(function(row))


class Result:
    """What a pool promises."""

    def __init__(self, value: object) -> None:
        self.value = value

    def result(self) -> object:
        return self.value
