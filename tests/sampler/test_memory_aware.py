"""The sampler of quantization spaces."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.samplers import RandomSampler
from optuna.trial import TrialState, create_trial

from qspinn_optuna import (
    Deployment,
    Family,
    ParameterSpec,
    QuantizationConfig,
    QuantizationObjective,
    QuantizationSpace,
    Rounding,
    Scheme,
    open_study,
)
from qspinn_optuna.sampler import MemoryAwareSampler
from qspinn_optuna.sampler.known_objective.objectives import Objectives
from qspinn_optuna.sampler.memory_aware import _observation
from qspinn_optuna.study import (
    FLOOR_CONSTRAINT,
    Measurement,
    measurements,
    record_measurements,
    set_accuracy_floor,
)
from tests.fake_workload import FakeWorkload, fake_space
from tests.sampler.problems import points, read


@st.composite
def spaces(draw: st.DrawFn) -> QuantizationSpace:
    parameters: list[ParameterSpec] = []
    for i in range(draw(st.integers(1, 5))):
        parameters.append(
            ParameterSpec(
                f"layer{i // 2}.p{i}",
                draw(st.sampled_from([Family.WEIGHT, Family.MEMBRANE])),
                draw(st.integers(1, 100_000)),
                -1.0,
                0.5,
                learning_only=draw(st.booleans()),
                fixed_bits=draw(st.sampled_from([None, None, 12])),
                baseline_count=draw(st.sampled_from([None, 0, 50])),
            )
        )
    parameters.append(replace(FakeWorkload.parameters[0], name="layer9.always"))
    low = draw(st.integers(2, 8))
    return QuantizationSpace(
        parameters,
        (low, low + draw(st.integers(1, 6))),
        ties=draw(st.sampled_from([None, "family", "layer"])),
        rounding_per_family=draw(st.booleans()),
        deployment=draw(st.sampled_from(Deployment)),
    )


@settings(deadline=None, max_examples=40)
@given(spaces(), st.integers(0, 1_000))
def test_memory_is_the_footprint_of_the_space(space: QuantizationSpace, seed: int) -> None:
    sampler = MemoryAwareSampler(space, seed=0)
    for row in sampler._grid.draw(5, np.random.default_rng(seed)):
        params = sampler._grid.decode(row)
        encoded = sampler._grid.encode(params)
        assert encoded is not None
        assert sampler._known(encoded[None]).item() == space.footprint(space.config(params)).kib


@pytest.mark.parametrize("ties", [None, "family", {"weight": "both", "membrane": "both"}])
def test_a_study_begins_with_uniform_widths_from_wide_to_narrow(ties: Any) -> None:
    space = QuantizationSpace(FakeWorkload.parameters, (2, 10), ties=ties)
    study = open_study("a", None, space, MemoryAwareSampler(space, seed=0))
    study.optimize(QuantizationObjective(FakeWorkload(), space), n_trials=6)
    widths = [space.config(trial.params).bits for trial in study.trials]
    assert [bits["weight"] for bits in widths] == [10, 6, 4, 8, 3, 2]
    # Alone, the membranes take next to no memory, and stay wide.
    alone = ties in (None, "family")
    assert [bits["membrane"] for bits in widths] == ([10] * 6 if alone else [10, 6, 4, 8, 3, 2])
    assert {trial.params["scheme"] for trial in study.trials} == {"itq"}
    assert {trial.params["rounding"] for trial in study.trials} == {"nearest"}


def test_a_study_begins_with_what_loses_least_of_what_there_is() -> None:
    roundings = [Rounding.TRUNCATION, Rounding.STOCHASTIC]
    space = QuantizationSpace(FakeWorkload.parameters, (2, 10), schemes=[Scheme.PTQ], roundings=roundings)
    study = open_study("a", None, space, MemoryAwareSampler(space, seed=0))
    study.optimize(QuantizationObjective(FakeWorkload(), space), n_trials=6)
    assert {trial.params["rounding"] for trial in study.trials} == {"stochastic"}
    assert {space.config(trial.params).scheme for trial in study.trials} == {Scheme.PTQ}


def test_a_parameter_with_fewer_widths_begins_at_the_nearest_one() -> None:
    space = QuantizationSpace(FakeWorkload.parameters, {"weight": (2, 10), "membrane": (5, 8)})
    study = open_study("a", None, space, MemoryAwareSampler(space, seed=0))
    study.optimize(QuantizationObjective(FakeWorkload(), space), n_trials=6)
    widths = [tuple(space.config(trial.params).bits.values()) for trial in study.trials]
    assert widths == [(10, 8), (6, 8), (4, 8), (8, 8), (3, 8), (2, 8)]


def test_a_space_without_widths_to_search_is_searched_too() -> None:
    space = QuantizationSpace(FakeWorkload.parameters, 4)
    study = open_study("a", None, space, MemoryAwareSampler(space, seed=0))
    study.optimize(QuantizationObjective(FakeWorkload(), space), n_trials=100)
    assert len(set(points(study.trials))) == len(study.trials) == space.cardinality


class Saturated(FakeWorkload):
    """Widths above 5 bits add little, under it much is lost; only the weights weigh."""

    def evaluate(self, config: QuantizationConfig, seed: int) -> Any:
        self.evaluated.append((config, seed))
        lost = 0.9 / (1 + np.exp(2.0 * (config.bits["weight"] - 4)))
        yield round(1_000 * 0.95 * (1 - lost)), 1_000


def test_an_accuracy_floor_is_aimed_at() -> None:
    space, floor = fake_space((2, 16)), 0.85
    feasible = []
    for sampler in (MemoryAwareSampler(space, seed=0), RandomSampler(seed=0)):
        study = open_study("a", None, space, sampler)
        set_accuracy_floor(study, floor)
        study.optimize(QuantizationObjective(Saturated(), space), n_trials=40)
        feasible.append(sum(trial.values[1] >= floor for trial in study.trials[15:]))
    assert feasible[0] >= 22
    assert feasible[1] < 20


def test_the_floor_of_a_study_gives_the_suggestions_of_its_constraint() -> None:
    space, suggested = fake_space((2, 16)), []
    evaluate = QuantizationObjective(Saturated(), space)

    def constrained(trial: optuna.Trial) -> tuple[float, float]:
        values = evaluate(trial)
        trial.set_constraint(FLOOR_CONSTRAINT, 0.85 - values[1])
        return values

    for has_floor in (True, False):
        study = open_study("a", None, space, MemoryAwareSampler(space, seed=0))
        if has_floor:
            set_accuracy_floor(study, 0.85)
        study.optimize(evaluate if has_floor else constrained, n_trials=25)
        suggested.append(points(study.trials))
    assert suggested[0] == suggested[1]


def test_constraints_of_an_earlier_floor_are_not_modelled() -> None:
    space = fake_space((2, 16))
    sampler = MemoryAwareSampler(space, seed=0)
    study = open_study("a", None, space, sampler)
    for floor in (0.5, 0.85):
        set_accuracy_floor(study, floor)
        study.optimize(QuantizationObjective(Saturated(), space), n_trials=8)
    observations = read(study, sampler, sampler._threshold(study))
    assert observations.constraints == {}
    assert observations.required_gain == 0.85
    assert observations.feasible.tolist() == [trial.values[1] >= 0.85 for trial in study.trials[:16]]
    # Both are there to be misread: the constraint, and the older attribute of the same meaning.
    assert set(read(study, sampler).constraints) == {FLOOR_CONSTRAINT, "0"}


def test_nothing_larger_than_the_original_is_sought() -> None:
    parameters = [replace(parameter, baseline_count=parameter.count // 8) for parameter in FakeWorkload.parameters]
    space = QuantizationSpace(parameters, (2, 16))
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=MemoryAwareSampler(space, seed=0))
    study.optimize(
        lambda trial: (space.footprint(config := space.suggest(trial)).kib, min(config.bits.values()) / 16),
        n_trials=30,
    )
    original = space.footprint(space.config(study.trials[0].params)).baseline_kib
    assert all(trial.values[0] < original for trial in study.trials[6:])


def begun(sampler: optuna.samplers.BaseSampler, storage: str | None = None) -> optuna.Study:
    study = open_study("a", storage, fake_space((2, 16)), sampler)
    study.optimize(QuantizationObjective(Saturated(), fake_space((2, 16))), n_trials=8)
    return study


def bad_everywhere_but_wide() -> list[Measurement]:
    """What contradicts the trials: that nothing under 12 bits answers anything."""
    space = fake_space((2, 16))
    return [
        Measurement(space.params(space.uniform(width, scheme, rounding)), 950 if width >= 12 else 0, 1_000)
        for width in range(2, 17)
        for scheme in Scheme
        for rounding in Rounding
    ]


def test_measurements_are_learned_from_and_survive_a_reload(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    following = {}
    for name in ("with", "without", "reloaded"):
        sampler = MemoryAwareSampler(fake_space((2, 16)), seed=0)
        study = begun(sampler, url if name == "reloaded" else None)
        if name != "without":
            record_measurements(study, bad_everywhere_but_wide())
        if name == "reloaded":
            study = open_study("a", url, fake_space((2, 16)), sampler)
            assert measurements(study) == bad_everywhere_but_wide()
        study.optimize(QuantizationObjective(Saturated(), fake_space((2, 16))), n_trials=3)
        following[name] = points(study.trials)[8:]
    assert following["with"] == following["reloaded"] != following["without"]


def test_measurements_are_kept_after_those_before() -> None:
    study = begun(RandomSampler(seed=0))
    assert measurements(study) == []
    first, second = (Measurement(trial.params, 1, 2) for trial in study.trials[:2])
    record_measurements(study, [first])
    record_measurements(study, [second, first])
    assert measurements(study) == [first, second, first]


@pytest.mark.parametrize(("correct", "seen"), [(0, 0), (-1, 5), (6, 5)])
def test_a_measurement_is_of_answers(correct: int, seen: int) -> None:
    with pytest.raises(ValueError, match="0 <= correct <= seen > 0"):
        Measurement({}, correct, seen)


def test_measurements_of_another_space_are_passed_over() -> None:
    study = begun(MemoryAwareSampler(fake_space((2, 16)), seed=0))
    twin = begun(MemoryAwareSampler(fake_space((2, 16)), seed=0))
    record_measurements(twin, [Measurement({"other": 1}, 5, 10)])
    for each in (study, twin):
        each.optimize(QuantizationObjective(Saturated(), fake_space((2, 16))), n_trials=3)
    assert points(study.trials) == points(twin.trials)


def test_measured_configurations_are_still_evaluated() -> None:
    space = QuantizationSpace(FakeWorkload.parameters, (2, 3), [Scheme.PTQ], [Rounding.NEAREST])
    study = open_study("a", None, space, MemoryAwareSampler(space, seed=0))
    record_measurements(study, [Measurement(space.params(space.uniform(2, Scheme.PTQ, Rounding.NEAREST)), 5, 10)])
    study.optimize(QuantizationObjective(FakeWorkload(), space), n_trials=10)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 4


def pruned(params: dict[str, Any], attrs: dict[str, Any]) -> optuna.trial.FrozenTrial:
    distributions = fake_space((2, 16)).distributions
    return create_trial(state=TrialState.PRUNED, params=params, distributions=distributions, user_attrs=attrs)


def test_pruned_trials_with_counts_are_learned_from_and_those_without_are_not() -> None:
    data = {}
    params = fake_space((2, 16)).params(fake_space((2, 16)).uniform(7, Scheme.PTQ, Rounding.NEAREST))
    cases: dict[str, dict[str, Any]] = {
        "none": {},
        "counts": {"correct": 4, "seen": 40},
        "nothing seen": {"correct": 0, "seen": 0},
        "strange": {"correct": "many", "seen": 40},
    }
    for name, attrs in cases.items():
        sampler = MemoryAwareSampler(fake_space((2, 16)), seed=0)
        study = begun(sampler)
        study.add_trial(pruned(params, attrs))
        current = study._storage.get_trial(study.ask()._trial_id)
        data[name] = sampler._history.read(study, current, Objectives(0, 1.0, 1.0))
        assert len(sampler._history.seen(study, current)) == 9
        study.tell(current.number, state=TrialState.FAIL)
        study.optimize(QuantizationObjective(Saturated(), fake_space((2, 16))), n_trials=3)
    assert {name: len(each.gains) for name, each in data.items()} == {
        "none": 8,
        "counts": 9,
        "nothing seen": 8,
        "strange": 8,
    }
    assert data["counts"].gains[-1] == 0.1
    assert data["counts"].weights[-1] < 0.05
    assert data["counts"].feasible.tolist() == [True] * 8 + [False]


def test_counts_weigh_the_more_the_more_they_are() -> None:
    counts = ((1, 2), (50, 100), (5_000, 10_000), (9_900, 10_000))
    weights = [_observation(correct, seen).weight for correct, seen in counts]
    assert weights == sorted(weights)
    # Half of 10,000 is known to a standard deviation of 0.005, as much as networks differ.
    assert weights[2] == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("counts", [(None, None), (3, None), (3, 2), (-1, 2), (0, 0), (1.5, 3)])
def test_counts_that_cannot_be_say_nothing(counts: tuple[Any, Any]) -> None:
    sampler = MemoryAwareSampler(fake_space((2, 16)), seed=0)
    params = fake_space((2, 16)).params(fake_space((2, 16)).uniform(4, Scheme.PTQ, Rounding.NEAREST))
    assert sampler._observe(pruned(params, {"correct": counts[0], "seen": counts[1]})) is None


def test_all_correct_of_a_few_is_not_taken_for_sure() -> None:
    observation = _observation(3, 3)
    assert observation.value == 1
    assert observation.weight < 0.01
