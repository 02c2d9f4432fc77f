"""The objective of a study: computed memory and measured accuracy."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Generator, Iterator

import optuna
from optuna.trial import TrialState

from qspinn_optuna.config import InexactError, QuantizationConfig, Scheme
from qspinn_optuna.parameters import stored
from qspinn_optuna.pruning import FrontPruner
from qspinn_optuna.space import QuantizationSpace
from qspinn_optuna.study import (
    Counts,
    Right,
    Stage,
    TrialRecord,
    accuracy_floor,
    check_space,
    constrain,
    description_of,
    enqueue_interrupted,
    ensure_baseline,
    record_configuration,
    record_counts,
    record_duplicate,
    record_progress,
    record_pruning,
    record_refusal,
    record_seconds,
)
from qspinn_optuna.workloads import TrainingProgress, Workload, right_of

_Result = tuple[Counts, Right | None]
"""Counts of an evaluation, and which samples are right, if that is known."""


class QuantizationObjective:
    """An Optuna objective: ``(memory_kib, accuracy)`` of a quantized workload.

    Each trial stores a :class:`~qspinn_optuna.study.TrialRecord` in its user attributes: the configuration with formats
    and roundings, the memory by parameter and family, the counts behind the accuracy, the seed, a digest of the
    workload's description, and the seconds of the evaluation. If the workload tells which samples are right, the trial
    stores that in a system attribute. A duplicate of a finished trial with the same seed and
    workload takes over its result. The study stores the baseline accuracy. If it has an accuracy floor, see
    :func:`~qspinn_optuna.open_study`, the floor is an Optuna constraint of every trial.

    A trial that the pruner stops, or that the workload cannot carry exactly, has the state PRUNED and stores the
    reason; its configuration is evaluated again if it is suggested again. A trial that is interrupted by hand is
    enqueued again.

    Example:
        >>> objective = QuantizationObjective(workload, space, pruner=FrontPruner(0.95))
        >>> study = open_study("objective", None, space, workload=workload)
        >>> study.optimize(objective, n_trials=2)
        >>> len(study.trials)
        2

    Args:
        workload: The workload to quantize and measure.
        space: The search space.
        seed: Seed of every evaluation: trials differ by their configurations only.
        pruner: Stops evaluations that cannot enter the front; without it, every evaluation is complete.

    Raises:
        TypeError: If ``space`` is not a space, or ``pruner`` is not a pruner.
        ValueError: If the space has other parameters than the workload, or schemes that the workload cannot do.
    """

    def __init__(
        self, workload: Workload, space: QuantizationSpace, *, seed: int = 0, pruner: FrontPruner | None = None
    ) -> None:
        if pruner is not None and not isinstance(pruner, FrontPruner):
            raise TypeError(f"pruner must be a FrontPruner, got {type(pruner).__name__}.")
        _check_space(workload, space)
        self.workload = workload
        self.space = space
        self.seed = seed
        self.pruner = pruner
        self._space_description = description_of(space)
        description = json.dumps(dict(workload.describe()), sort_keys=True)
        self._workload_digest = hashlib.sha256(description.encode()).hexdigest()[:16]

    def __call__(self, trial: optuna.Trial) -> tuple[float, float]:
        """Evaluate the configuration that the sampler suggests for ``trial``.

        Raises:
            optuna.TrialPruned: If the pruner stops the evaluation, or the workload cannot carry the configuration
                exactly.
            ValueError: If the workload refuses the configuration for another reason or returns impossible counts, or
                the study searches another space.
        """
        check_space(trial.study, self._space_description)
        try:
            return self._objectives(trial)
        except KeyboardInterrupt:
            enqueue_interrupted(trial)
            raise

    def _objectives(self, trial: optuna.Trial) -> tuple[float, float]:
        config = self.space.suggest(trial)
        footprint = self.space.footprint(config)
        record_configuration(trial, config, footprint, seed=self.seed, workload=self._workload_digest)
        ensure_baseline(trial.study, self.workload)
        counts, right = self._timed_result(trial, config, footprint.kib)
        record_counts(trial, counts, right)
        floor = accuracy_floor(trial.study)
        if floor is not None:
            constrain(trial, floor, counts.accuracy)
        return footprint.kib, counts.accuracy

    def _timed_result(self, trial: optuna.Trial, config: QuantizationConfig, memory_kib: float) -> _Result:
        start = time.perf_counter()
        try:
            return self._result(trial, config, memory_kib)
        finally:
            record_seconds(trial, time.perf_counter() - start)

    def _result(self, trial: optuna.Trial, config: QuantizationConfig, memory_kib: float) -> _Result:
        """The result of a complete evaluation, or of a finished duplicate."""
        duplicate = self._finished_duplicate(trial, config)
        if duplicate is not None and duplicate.counts is not None:
            record_duplicate(trial, duplicate.number)
            return duplicate.counts, duplicate.right
        return self._evaluate(trial, config, memory_kib)

    def _evaluate(self, trial: optuna.Trial, config: QuantizationConfig, memory_kib: float) -> _Result:
        """The result of a complete evaluation; prunes the trial if it is refused or stopped."""
        counts: tuple[int, int] = (0, 0)
        steps: Iterator[TrainingProgress | tuple[int, int]] = iter(())
        try:
            steps = self.workload.evaluate(config, self.seed)
            for step in steps:
                if isinstance(step, TrainingProgress):
                    self._at_rung(trial, memory_kib, step)
                else:
                    counts = step
                    self._at_counts(trial, memory_kib, counts)
        except InexactError as error:
            record_refusal(trial, str(error))
            raise optuna.TrialPruned(str(error)) from error
        finally:
            # Closing a generator ends its threads and contexts at once.
            if isinstance(steps, Generator):
                steps.close()
        correct, seen = counts
        if not 0 <= correct <= seen or seen == 0:
            raise ValueError(f"The workload must end with 0 <= correct <= seen > 0, got ({correct}, {seen}).")
        return Counts(correct, seen), right_of(counts)

    def _at_rung(self, trial: optuna.Trial, memory_kib: float, progress: TrainingProgress) -> None:
        if self.pruner is None:
            record_progress(trial, progress)
            return
        reason = self.pruner.reason_to_stop_training(trial, memory_kib, progress)
        if reason is not None:
            record_pruning(trial, Stage.TRAINING, reason)
            raise optuna.TrialPruned(reason)

    def _at_counts(self, trial: optuna.Trial, memory_kib: float, counts: tuple[int, int]) -> None:
        correct, seen = counts
        reason = self.pruner.reason_to_prune(trial, memory_kib, correct, seen) if self.pruner else None
        if reason is not None:
            record_counts(trial, Counts(correct, seen), right_of(counts))
            record_pruning(trial, Stage.EVALUATION, reason)
            raise optuna.TrialPruned(reason)

    def _finished_duplicate(self, trial: optuna.Trial, config: QuantizationConfig) -> TrialRecord | None:
        """The first finished trial with the same configuration, seed and workload."""
        for other in trial.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            record = TrialRecord(other)
            same_evaluation = record.seed == self.seed and record.workload == self._workload_digest
            if same_evaluation and record.config == config:
                return record
        return None


def _check_space(workload: Workload, space: QuantizationSpace) -> None:
    if not isinstance(space, QuantizationSpace):
        raise TypeError(f"space must be a QuantizationSpace, got {type(space).__name__}.")
    # Before the parameters, for which a workload may have to train.
    _check_schemes(workload, space)
    if space.deployment is not workload.deployment:
        raise ValueError(
            f"space must be for the workload's deployment, {workload.deployment.value!r}, got "
            f"{space.deployment.value!r}: give QuantizationSpace deployment=workload.deployment."
        )
    expected = {parameter.name: parameter for parameter in stored(workload.parameters, space.deployment)}
    given = {parameter.name: parameter for parameter in space.parameters}
    different = sorted(name for name in expected | given if expected.get(name) != given.get(name))
    if different:
        raise ValueError(f"space must be made of the workload's parameters, got other ones: {different}.")


def _check_schemes(workload: Workload, space: QuantizationSpace) -> None:
    possible: tuple[Scheme, ...] = getattr(workload, "schemes", tuple(Scheme))
    impossible = [scheme.value for scheme in space.schemes if scheme not in possible]
    if impossible:
        raise ValueError(
            f"space has the schemes {[scheme.value for scheme in space.schemes]}, of which the workload cannot do "
            f"{impossible}: give SupervisedWorkload fine_tune=, or QuantizationSpace schemes=workload.schemes."
        )
