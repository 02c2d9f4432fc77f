"""Tests of the package, in the registry's layout."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import optuna
import optunahub
import pytest

PACKAGE = Path(__file__).parents[1]
MODULE = optunahub.load_local_module("benchmarks/snn_quantization", registry_root=str(PACKAGE.parents[1]))
TABLES = json.loads((PACKAGE / "tables.json").read_text())
NAMES = MODULE.Problem.available_names
SCHEMES, ROUNDINGS = ("ptq", "itq"), ("truncation", "nearest", "stochastic")


def all_params(name: str) -> list[dict[str, object]]:
    """All configurations, the last dimension changing first."""
    ranges = {
        dimension: range(content["attributes"]["low"], content["attributes"]["high"] + 1)
        for dimension, content in TABLES[name]["dimensions"].items()
        if dimension.startswith("bits.")
    }
    names = ("scheme", "rounding", *ranges)
    return [dict(zip(names, values, strict=True)) for values in itertools.product(SCHEMES, ROUNDINGS, *ranges.values())]


@pytest.mark.parametrize("name", NAMES)
def test_every_configuration_has_the_accuracy_of_its_place(name: str) -> None:
    problem, table = MODULE.Problem(name), TABLES[name]
    everything = all_params(name)
    expected = [int(count) / table["samples"] for count in table["correct"].split()]
    assert [problem.evaluate(params)[1] for params in everything] == expected


@pytest.mark.parametrize("floor", [None, 0.6])
@pytest.mark.parametrize("name", NAMES)
def test_hypervolume_is_the_dominated_share_of_many_small_cells(name: str, floor: float | None) -> None:
    problem = MODULE.Problem(name, accuracy_floor=floor)
    points = [problem.evaluate(params) for params in all_params(name)[::97]]
    bottom = problem.chance if floor is None else floor
    cells = 200
    columns = [problem.float_kib * (number + 0.5) / cells for number in range(cells)]
    heights = [max([accuracy for kib, accuracy in points if kib <= column], default=bottom) for column in columns]
    dominated = sum(max(0, height - bottom) for height in heights) / cells / (1 - bottom)
    assert problem.hypervolume(points) == pytest.approx(dominated, abs=0.01)


def test_a_study_of_everything_has_no_regret_and_constraints() -> None:
    problem = MODULE.Problem("supervised", accuracy_floor=0.8)
    study = optuna.create_study(directions=problem.directions, sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(problem, n_trials=20)
    assert problem.regret(study) > 0
    for trial in study.trials:
        assert trial.constraints == {"accuracy_floor": pytest.approx(0.8 - trial.values[1])}
    for params in all_params("supervised"):
        values = problem.evaluate(params)
        study.add_trial(
            optuna.trial.create_trial(params=params, distributions=problem.search_space, values=list(values))
        )
    assert problem.regret(study) == pytest.approx(0, abs=1e-12)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="name"):
        MODULE.Problem("cifar")
    with pytest.raises(ValueError, match="accuracy_floor"):
        MODULE.Problem(accuracy_floor=80)
    with pytest.raises(ValueError, match="scheme"):
        MODULE.Problem().evaluate({})
    with pytest.raises(ValueError, match="weight"):
        MODULE.Problem().evaluate(all_params("mnist")[0] | {"bits.weight": 99})


def test_the_example_tells_what_is_missed() -> None:
    finished = subprocess.run(
        [sys.executable, str(PACKAGE / "example.py")],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OPTUNAHUB_NO_ANALYTICS": "1"},
    )
    assert finished.stdout.count("misses") == 2 * len(NAMES)
