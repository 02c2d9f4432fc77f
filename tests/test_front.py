from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState, create_trial

from qspinn_optuna import (
    Candidate,
    FrontPruner,
    InexactError,
    ParetoFront,
    QuantizationConfig,
    QuantizationObjective,
    Rounding,
    Scheme,
)
from qspinn_optuna.study import FootprintRecord, attributes_of, set_accuracy_floor
from tests.fake_workload import FakeWorkload, fake_space

Point = tuple[float, float]
SPACE = fake_space()
points = st.tuples(st.integers(0, 6).map(float), st.integers(0, 6).map(lambda value: value / 6))


def has_scheme(scheme: Scheme, config: QuantizationConfig) -> bool:
    return config.scheme is scheme


def study_of(values: list[Point], floor: float = 0.0) -> optuna.Study:
    """A study with a finished trial for each (memory, accuracy)."""
    study = optuna.create_study(directions=["minimize", "maximize"])
    for memory, accuracy in values:
        config = SPACE.uniform(4, Scheme.PTQ, Rounding.NEAREST)
        study.add_trial(
            create_trial(
                state=TrialState.COMPLETE,
                values=[memory, accuracy],
                params=SPACE.params(config),
                distributions=SPACE.distributions,
                user_attrs=attributes_of(config, FootprintRecord(memory, 100.0, 100.0 / max(memory, 1e-9), {}, {})),
                constraints={"accuracy_floor": floor - accuracy},
            )
        )
    return study


def brute_force(values: list[Point], floor: float) -> list[tuple[Point, int]]:
    """Feasible nondominated points, with the number of the first of equals."""
    feasible = [(point, i) for i, point in enumerate(values) if point[1] >= floor]
    return sorted(
        (point, i)
        for point, i in feasible
        if not any(
            other[0] <= point[0] and other[1] >= point[1] and (other != point or j < i)
            for other, j in feasible
            if j != i
        )
    )


@settings(deadline=None, max_examples=60)
@given(st.lists(points, min_size=1, max_size=12), st.sampled_from([0.0, 0.3, 0.5]), st.booleans())
def test_the_front_equals_brute_force(values: list[Point], floor: float, floor_given: bool) -> None:
    expected = brute_force(values, floor)
    study = study_of(values, 0.0 if floor_given else floor)
    if floor_given:
        set_accuracy_floor(study, floor)
    if not expected:
        with pytest.raises(ValueError, match="no feasible trial"):
            ParetoFront.from_study(study)
        return
    front = ParetoFront.from_study(study)
    assert front.accuracy_floor == (floor if floor_given else None)
    assert [((c.memory_kib, c.accuracy), c.trial_number) for c in front] == expected


def test_candidates_rebuild_the_configuration() -> None:
    workload, study = FakeWorkload(), optuna.create_study(directions=["minimize", "maximize"])
    study.optimize(QuantizationObjective(workload, SPACE), n_trials=12)
    for candidate in ParetoFront.from_study(study):
        assert candidate.config == SPACE.config(study.trials[candidate.trial_number].params)
        assert candidate.compression == pytest.approx(SPACE.footprint(candidate.config).compression)


def test_where_limits_the_configurations() -> None:
    study = optuna.create_study(directions=["minimize", "maximize"])
    study.optimize(QuantizationObjective(FakeWorkload(), SPACE), n_trials=20)
    for scheme in Scheme:
        front = ParetoFront.from_study(study, where=partial(has_scheme, scheme))
        assert {candidate.config.scheme for candidate in front} == {scheme}


def test_failed_and_infinite_trials_are_left_out() -> None:
    study = study_of([(2.0, 0.5), (1.0, math.inf)])
    study.add_trial(create_trial(state=TrialState.FAIL))
    assert [candidate.trial_number for candidate in ParetoFront.from_study(study)] == [0]


def test_an_empty_study_says_so() -> None:
    with pytest.raises(ValueError, match=r"no finished trial.*run some trials"):
        ParetoFront.from_study(study_of([]))


class Refusing(FakeWorkload):
    """A workload that refuses every configuration."""

    def evaluate(self, config: QuantizationConfig, seed: int) -> Iterator[tuple[int, int]]:
        del config, seed
        raise InexactError("sums take 30 bits")


def test_a_study_of_which_everything_was_refused_says_so_and_why() -> None:
    study = optuna.create_study(directions=["minimize", "maximize"])
    study.optimize(QuantizationObjective(Refusing(), SPACE), n_trials=3)
    with pytest.raises(ValueError, match=r"no finished trial.*3 refused.*sums take 30 bits"):
        ParetoFront.from_study(study)


def test_a_study_of_which_everything_was_pruned_says_so_and_why() -> None:
    study = optuna.create_study(directions=["minimize", "maximize"])
    set_accuracy_floor(study, 1.0)
    study.optimize(QuantizationObjective(FakeWorkload(), SPACE, pruner=FrontPruner(0.9)), n_trials=3)
    study.add_trial(create_trial(state=TrialState.FAIL))
    with pytest.raises(ValueError, match=r"no finished trial.*3 stopped.*100\.00%.*1 failed"):
        ParetoFront.from_study(study)


def test_a_trial_that_breaks_another_constraint_is_not_feasible() -> None:
    study = study_of([(1.0, 0.5)])
    study.add_trial(create_trial(values=[1.0, 0.9], constraints={"latency": 1.0}))
    set_accuracy_floor(study, 0.8)
    with pytest.raises(ValueError, match=r"no feasible trial.*another constraint"):
        ParetoFront.from_study(study)


def test_without_a_feasible_trial_the_message_has_the_distance_to_the_floor() -> None:
    with pytest.raises(ValueError, match=r"trial 1 with 80.00%, is 10.00 points under the accuracy floor"):
        ParetoFront.from_study(study_of([(1.0, 0.5), (2.0, 0.8)], floor=0.9))


def test_trials_of_another_program_are_refused() -> None:
    study = optuna.create_study(directions=["minimize", "maximize"])
    study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 1.0), n_trials=1)
    with pytest.raises(ValueError, match=r"^Trial 0\b.*configuration.*footprint"):
        ParetoFront.from_study(study)


def test_other_objectives_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got directions \['minimize'\]"):
        ParetoFront.from_study(optuna.create_study())


def test_a_candidate_as_json_has_one_rounding_or_one_for_each_parameter() -> None:
    uniform = SPACE.uniform(4, Scheme.ITQ, Rounding.STOCHASTIC)
    assert Candidate(3, uniform, 2.0, 8.0, 0.9).to_dict() == {
        "trial": 3,
        "scheme": "itq",
        "rounding": "stochastic",
        "bits": {"weight": 4, "membrane": 4},
        "memory_kib": 2.0,
        "compression": 8.0,
        "accuracy": 0.9,
    }


def test_a_candidate_is_one_readable_line() -> None:
    front = ParetoFront.from_study(study_of([(16.0, 0.895)]))
    assert repr(front.candidates[0]) == "Candidate(trial 0: ptq, 6.25x, 89.50 %)"
