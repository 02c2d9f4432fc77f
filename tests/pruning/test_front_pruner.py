from __future__ import annotations

import math
from collections.abc import Iterator

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from qspinn_optuna import (
    FrontPruner,
    QuantizationConfig,
    QuantizationObjective,
    Rounding,
    Scheme,
    TrainingProgress,
    Workload,
)
from qspinn_optuna.study import set_accuracy_floor
from tests.fake_workload import FakeWorkload, fake_space

Look = TrainingProgress | tuple[int, int]
SPACE = fake_space()


def make_study(*finished: FrozenTrial) -> optuna.Study:
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=optuna.samplers.RandomSampler(seed=0))
    study.add_trials(finished)
    return study


def finished(memory: float, accuracy: float, violation: float = 0.0, seen: int | None = 1_000) -> FrozenTrial:
    return create_trial(
        values=[memory, accuracy],
        user_attrs={} if seen is None else {"seen": seen},
        constraints={"accuracy_floor": violation},
    )


def is_stopped(study: optuna.Study, correct: int, seen: int, memory: float = 10.0, floor: float | None = None) -> bool:
    if floor is not None:
        set_accuracy_floor(study, floor)
    return FrontPruner(0.9).should_prune(study.ask(), memory, correct, seen)


def test_a_trial_is_stopped_if_it_cannot_beat_the_front_at_its_memory() -> None:
    study = make_study(finished(10.0, 0.9), finished(20.0, 0.99), finished(5.0, 0.4))
    assert is_stopped(study, 50, 100)
    assert not is_stopped(study, 90, 100)
    assert not is_stopped(study, 0, 0)
    assert not is_stopped(study, 50, 100, memory=9.9)
    assert not is_stopped(study, 90, 100, memory=19.9)
    assert is_stopped(study, 80, 100, memory=20.0)


def test_equal_accuracy_is_not_enough_for_the_front_but_for_the_floor() -> None:
    front = make_study(finished(10.0, 0.9))
    # At most 99 of 999 may be wrong to exceed the front, and 100 to reach the floor.
    assert is_stopped(front, 899, 999)
    assert not is_stopped(front, 900, 999)
    floor = make_study(finished(20.0, 0.9))
    assert not is_stopped(floor, 899, 999, floor=0.9)
    assert is_stopped(floor, 898, 999, floor=0.9)


def test_without_a_front_there_is_the_floor_or_nothing() -> None:
    assert not is_stopped(make_study(), 0, 1_000)
    assert is_stopped(make_study(), 50, 100, floor=0.9)
    assert not is_stopped(make_study(), 50, 100, floor=0.5)
    assert is_stopped(make_study(finished(5.0, 0.9)), 70, 100, floor=0.2)


def test_infeasible_infinite_and_unfinished_trials_do_not_raise_the_bar() -> None:
    running = make_study()
    running.ask()
    pruned = create_trial(state=TrialState.PRUNED, values=[1.0, 1.0])
    failed = create_trial(state=TrialState.FAIL)
    infinite = finished(1.0, math.inf), finished(-math.inf, 0.9)
    for study in (running, make_study(finished(1.0, 0.9, violation=0.1)), make_study(pruned, failed, infinite[0])):
        assert not is_stopped(study, 50, 100)
    assert not is_stopped(make_study(infinite[1]), 50, 100)


def test_a_trial_that_finishes_meanwhile_does_not_raise_the_bar() -> None:
    study = make_study()
    trial = study.ask()
    study.add_trial(finished(1.0, 0.9))
    assert not FrontPruner().should_prune(trial, 10.0, 50, 100)
    assert FrontPruner().should_prune(study.ask(), 10.0, 50, 100)


def test_the_total_is_that_of_the_finished_trials_if_they_agree() -> None:
    # 10 wrong answers are certainly too many of 1,000, but not among independent draws without end.
    agree = make_study(finished(1.0, 0.99), finished(2.0, 0.5))
    differ = make_study(finished(1.0, 0.99), finished(2.0, 0.5, seen=900))
    assert is_stopped(agree, 985, 995)
    for study in (differ, make_study(finished(1.0, 0.99, seen=None)), make_study(finished(1.0, 0.99, seen=500))):
        assert not is_stopped(study, 985, 995)
        assert FrontPruner().should_prune(study.ask(), 10.0, 985, 995, total=1_000)


def test_a_whole_evaluation_is_kept() -> None:
    study = make_study(finished(1.0, 0.99))
    assert not is_stopped(study, 0, 1_000)
    assert is_stopped(study, 0, 999)


def test_a_perfect_front_cannot_be_beaten() -> None:
    assert is_stopped(make_study(finished(1.0, 1.0)), 0, 0)
    assert is_stopped(make_study(finished(1.0, 1.0, seen=None)), 5, 5)


def test_the_reason_says_what_would_have_been_enough() -> None:
    study = make_study(finished(1.0, 0.9))
    assert FrontPruner().reason_to_prune(study.ask(), 2.0, 985, 995, total=1_000) is None
    reason = FrontPruner().reason_to_prune(study.ask(), 2.0, 880, 990)
    assert reason == (
        "880 of 990 correct: at most 89.00% in the end, and it takes more than the 90.00% of trial 0, which needs no "
        "more memory."
    )
    set_accuracy_floor(study, 0.8)
    reason = FrontPruner().reason_to_prune(study.ask(), 0.5, 0, 100)
    assert reason is not None
    assert reason.endswith("and it takes the accuracy_floor of 80.00%.")


def test_a_minimum_gain_stops_what_is_hardly_better_than_the_front() -> None:
    study = make_study(finished(1.0, 0.9))
    # Even if all further answers are correct, 944 of 1,000 are not a gain of 5 points; 950 are.
    for correct, stopped in ((943, True), (949, True), (950, False)):
        trial = study.ask()
        assert FrontPruner(0.9, minimum_gain=0.05).should_prune(trial, 2.0, correct - 1, 999) == stopped
        assert not FrontPruner(0.9).should_prune(trial, 2.0, correct - 1, 999)
    reason = FrontPruner(0.9, minimum_gain=0.05).reason_to_prune(study.ask(), 2.0, 900, 999)
    assert reason is not None
    assert reason.endswith("5.00 points more than the 90.00% of trial 0, which needs no more memory.")


def test_a_minimum_gain_does_not_raise_the_floor_but_may_rise_above_it() -> None:
    floor_only = make_study(finished(9.0, 0.9))
    pruner = FrontPruner(0.9, minimum_gain=0.05)
    set_accuracy_floor(floor_only, 0.9)
    assert not pruner.should_prune(floor_only.ask(), 2.0, 899, 999)
    low_front = make_study(finished(1.0, 0.91))
    set_accuracy_floor(low_front, 0.91)
    assert pruner.should_prune(low_front.ask(), 2.0, 958, 999)
    assert not pruner.should_prune(low_front.ask(), 2.0, 959, 999)


def test_with_a_minimum_gain_a_front_can_be_too_good_to_be_led() -> None:
    for seen in (1_000, None):
        study = make_study(finished(1.0, 0.96, seen=seen))
        assert FrontPruner(0.9, minimum_gain=0.05).should_prune(study.ask(), 2.0, 5, 5)
        assert not FrontPruner(0.9, minimum_gain=0.03).should_prune(study.ask(), 2.0, 5, 5)


@pytest.mark.parametrize("gain", [-0.01, 1.5, math.nan, math.inf])
def test_a_minimum_gain_outside_its_range_is_refused(gain: float) -> None:
    with pytest.raises(ValueError, match=r"^minimum_gain\b.*got"):
        FrontPruner(minimum_gain=gain)


@pytest.mark.parametrize("gain", ["0.1", True, None])
def test_a_minimum_gain_that_is_not_a_number_is_refused(gain: float) -> None:
    with pytest.raises(TypeError, match=r"^minimum_gain\b.*got"):
        FrontPruner(minimum_gain=gain)


def test_it_works_in_a_plain_objective() -> None:
    looks: list[int] = []

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        accuracy = trial.suggest_categorical("accuracy", [0.9, 0.3])
        for seen in range(100, 1_001, 100):
            looks.append(trial.number)
            if FrontPruner(0.99).should_prune(trial, 1.0, round(accuracy * seen), seen, total=1_000):
                raise optuna.TrialPruned
        return 1.0, accuracy

    study = make_study()
    for accuracy in (0.9, 0.3):
        study.enqueue_trial({"accuracy": accuracy})
    study.optimize(objective, n_trials=2)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE, TrialState.PRUNED]
    assert looks.count(1) == 1


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95, -1, math.nan])
def test_a_confidence_outside_0_and_1_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match=rf"^confidence\b.*got {confidence}"):
        FrontPruner(confidence)


@pytest.mark.parametrize("confidence", [True, "0.9"])
def test_a_confidence_that_is_not_a_number_is_refused(confidence: float) -> None:
    with pytest.raises(TypeError, match=rf"^confidence\b.*got {confidence!r}"):
        FrontPruner(confidence)


def test_bad_arguments_are_refused() -> None:
    study, pruner = make_study(), FrontPruner()
    with pytest.raises(ValueError, match=r"^correct\b.*got correct=3 and seen=2"):
        pruner.should_prune(study.ask(), 1.0, 3, 2)
    with pytest.raises(ValueError, match=r"^total\b.*got total=1 and seen=2"):
        pruner.should_prune(study.ask(), 1.0, 1, 2, total=1)
    with pytest.raises(TypeError, match=r"^correct\b.*got 1\.5"):
        pruner.should_prune(study.ask(), 1.0, 1.5, 2)  # type: ignore[arg-type]
    for memory in (math.nan, None):
        with pytest.raises(ValueError, match=rf"^memory_kib\b.*got {memory}"):
            pruner.should_prune(study.ask(), memory, 1, 2)  # type: ignore[arg-type]
    for floor in (math.nan, "high", -0.1, 1.5, True):
        with pytest.raises(ValueError, match=rf"^floor\b.*got {floor!r}"):
            set_accuracy_floor(study, floor)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^Accuracies\b.*got 91\.5 of trial 0"):
        pruner.should_prune(make_study(finished(1.0, 91.5)).ask(), 1.0, 1, 2)
    for directions in (["maximize"], ["maximize", "minimize"]):
        other = optuna.create_study(directions=directions)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=rf"got directions \['{directions[0]}'"):
            pruner.should_prune(other.ask(), 1.0, 1, 2)
    with pytest.raises(TypeError, match=r"^pruner\b.*got MedianPruner"):
        QuantizationObjective(FakeWorkload(), SPACE, pruner=optuna.pruners.MedianPruner())  # type: ignore[arg-type]


class Scripted(FakeWorkload):
    """Yields given steps, evaluation by evaluation."""

    def __init__(self, *evaluations: list[Look]) -> None:
        super().__init__()
        self.script = list(evaluations)
        self.taken: list[Look] = []
        self.closed = 0

    def evaluate(self, config: QuantizationConfig, seed: int) -> Iterator[Look]:  # type: ignore[override]
        self.evaluated.append((config, seed))
        try:
            for look in self.script.pop(0):
                self.taken.append(look)
                yield look
        finally:
            self.closed += 1


def optimize(workload: Workload, bits: list[int], floor: float | None = None, confidence: float = 0.9) -> optuna.Study:
    study = make_study()
    for width in bits:
        study.enqueue_trial(SPACE.params(SPACE.uniform(width, Scheme.ITQ, Rounding.NEAREST)))
    if floor is not None:
        set_accuracy_floor(study, floor)
    objective = QuantizationObjective(workload, SPACE, pruner=FrontPruner(confidence))
    study.optimize(objective, n_trials=len(bits))
    return study


def test_an_evaluation_is_stopped_with_its_partial_counts() -> None:
    workload = Scripted([(90, 100), (900, 1_000)], [(30, 100), (900, 1_000)], [(30, 100), (800, 1_000)])
    study = optimize(workload, [4, 8, 8])
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED", "PRUNED"]
    assert workload.taken[2:] == [(30, 100)] * 2
    assert workload.closed == 3
    attributes = study.trials[1].user_attrs
    assert (attributes["correct"], attributes["seen"], attributes["pruned_at"]) == (30, 100, "evaluation")
    assert attributes["seconds"] >= 0
    # The third has the same configuration as the second, which has no result to take over.
    assert "duplicate_of" not in study.trials[2].user_attrs


def test_the_floor_alone_stops_an_evaluation() -> None:
    study = optimize(Scripted([(30, 100), (900, 1_000)], [(90, 100), (900, 1_000)]), [4, 8], floor=0.8)
    assert [trial.state.name for trial in study.trials] == ["PRUNED", "COMPLETE"]


def training(gain: float, end: float, fraction: float = 0.5) -> list[Look]:
    look = TrainingProgress(fraction, round(1_000 * (end - gain)), 1_000)
    return [look, (round(1_000 * end), 1_000)]


BITS = [8, 7, 6, 5, 4, 3]  # each needs less memory than those before, and so has no requirement


def fillers(count: int, fraction: float = 0.5) -> optuna.Study:
    """A study whose trials gained 0.01, 0.02, ... in the rest of their training, and ended at 0.9."""
    study = make_study()
    for number in range(1, count + 1):
        progress = TrainingProgress(fraction, 900 - 10 * number, 1_000)
        attributes = {
            "seen": 1_000,
            "training_progress": [{"fraction": fraction, "correct": progress.correct, "seen": 1_000}],
        }
        study.add_trial(create_trial(values=[1.0, 0.9], user_attrs=attributes))
    return study


@pytest.mark.parametrize(("count", "limit"), [(8, None), (9, 0.81), (19, 0.72)])
def test_a_training_is_stopped_if_hardly_any_other_gained_what_it_needs(count: int, limit: float | None) -> None:
    """With 0.2 for both tests: the 9th smallest gain of 9, the 18th of 19."""
    pruner, study = FrontPruner(0.8), fillers(count)
    for correct in range(600, 900, 5):
        progress = TrainingProgress(0.5, correct, 1_000)
        stopped = pruner.reason_to_stop_training(study.ask(), 1.0, progress) is not None
        assert stopped == ((limit is not None and progress.accuracy < limit - 1e-9) or progress.accuracy == limit)
    other = TrainingProgress(0.4, 1, 1_000)
    assert pruner.reason_to_stop_training(study.ask(), 1.0, other) is None


def test_a_stopped_training_keeps_its_progress_and_no_counts() -> None:
    workload = Scripted(*[training(0.1, 0.9)] * 6, training(0.1, 0.5))
    study = optimize(workload, [*BITS, 2], floor=0.8, confidence=0.5)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 6 + ["PRUNED"]
    assert isinstance(workload.taken[-1], TrainingProgress)
    assert workload.closed == 7
    attributes = study.trials[-1].user_attrs
    assert attributes["pruned_at"] == "training"
    assert attributes["training_progress"] == [{"fraction": 0.5, "correct": 400, "seen": 1_000}]
    assert not {"correct", "seen"} & attributes.keys()
    assert all("training_progress" in trial.user_attrs for trial in study.trials)


def test_where_a_training_was_looked_at_each_test_gets_half() -> None:
    study, pruner = make_study(finished(1.0, 0.9)), FrontPruner(0.9)
    correct = max(c for c in range(100) if pruner.should_prune(study.ask(), 1.0, c, 100))
    looked_at = study.ask()
    assert pruner.reason_to_stop_training(looked_at, 1.0, TrainingProgress(0.5, 1, 10)) is None
    assert not pruner.should_prune(looked_at, 1.0, correct, 100)
    assert FrontPruner(0.8).should_prune(study.ask(), 1.0, correct, 100)


def test_progress_is_kept_without_a_pruner() -> None:
    study = make_study()
    study.optimize(QuantizationObjective(Scripted(training(0.1, 0.9)), SPACE), n_trials=1)
    assert study.trials[0].user_attrs["training_progress"][0]["fraction"] == 0.5


@pytest.mark.parametrize(
    ("fraction", "correct", "seen"), [(0, 1, 2), (1, 1, 2), (math.nan, 1, 2), (0.5, 3, 2), (0.5, 0, 0)]
)
def test_impossible_progress_is_refused(fraction: float, correct: int, seen: int) -> None:
    with pytest.raises(ValueError, match=r"\b(fraction|correct)\b"):
        TrainingProgress(fraction, correct, seen)
