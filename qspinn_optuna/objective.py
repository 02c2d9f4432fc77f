"""The objective of a study: memory in closed form, accuracy measured."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Generator
from typing import Any

import optuna
from optuna.trial import TrialState

from qspinn_optuna.config import InexactError, QuantizationConfig
from qspinn_optuna.parameters import Footprint, stored
from qspinn_optuna.pruning import FrontPruner
from qspinn_optuna.pruning.conformal import record
from qspinn_optuna.space import QuantizationSpace
from qspinn_optuna.study import check_floor, check_space, description_of
from qspinn_optuna.workloads import TrainingProgress, Workload

FLOOR_CONSTRAINT = "accuracy_floor"
"""Name of the constraint that the accuracy floor sets: the floor minus the accuracy."""


class QuantizationObjective:
    """An Optuna objective: ``(memory_kib, accuracy)`` of a quantization of a workload.

    Each trial keeps as user attributes the configuration with its formats and roundings (``config``), the memory by
    parameter and family (``footprint``), the counts behind the accuracy (``correct``, ``seen``), the ``seed``, a digest
    of what the workload says of itself (``workload``) and the ``seconds`` it took. A configuration that the study has
    seen with the same seed and workload is not evaluated again: the stored result is used, and ``duplicate_of`` names
    its trial. What the workload tells of its training is kept as ``training_progress``.

    A trial that a pruner stops has the state PRUNED, in ``pruned_at`` "evaluation", with the counts so far, or
    "training", with none. Its configuration is evaluated anew when it is suggested again. One that is interrupted by
    hand is queued again, and is the next when the study goes on.

    Args:
        workload: What is quantized and measured.
        space: The search space.
        accuracy_floor: Accuracy under which a trial is infeasible, as an Optuna constraint; none if not given.
        seed: Of every evaluation, so that trials differ by their configurations only.
        pruner: Stops evaluations that cannot enter the front; none does if not given.

    Raises:
        TypeError: If ``space`` is no space, or ``pruner`` no pruner.
        ValueError: If ``accuracy_floor`` is outside 0-1, or the space is not one of the workload's parameters.
    """

    def __init__(
        self,
        workload: Workload,
        space: QuantizationSpace,
        *,
        accuracy_floor: float | None = None,
        seed: int = 0,
        pruner: FrontPruner | None = None,
    ) -> None:
        check_floor(accuracy_floor)
        if pruner is not None and not isinstance(pruner, FrontPruner):
            raise TypeError(f"pruner must be a FrontPruner, got {type(pruner).__name__}.")
        _check_space(workload, space)
        self.workload = workload
        self.space = space
        self.accuracy_floor = accuracy_floor
        self.seed = seed
        self.pruner = pruner
        self._space_description = description_of(space)
        description = json.dumps(dict(workload.describe()), sort_keys=True)
        self._workload_digest = hashlib.sha256(description.encode()).hexdigest()[:16]

    def __call__(self, trial: optuna.Trial) -> tuple[float, float]:
        """Evaluate what the sampler suggests for ``trial``.

        Raises:
            optuna.TrialPruned: If the pruner stops the evaluation, or the simulation cannot carry the configuration
                exactly; why is in ``refused``.
            ValueError: If the workload refuses the configuration for another reason, or counts what cannot be, or the
                study searches another space.
        """
        check_space(trial.study, self._space_description)
        config = self.space.suggest(trial)
        footprint = self.space.footprint(config)
        trial.set_user_attr("config", config.to_dict())
        trial.set_user_attr("footprint", _breakdown(footprint))
        trial.set_user_attr("seed", self.seed)
        trial.set_user_attr("workload", self._workload_digest)
        start = time.perf_counter()
        try:
            correct, seen = self._result(trial, config, footprint.kib)
        except KeyboardInterrupt:
            # The configuration is not to blame: the study goes on with it.
            trial.study.enqueue_trial(trial.params)
            raise
        finally:
            trial.set_user_attr("seconds", round(time.perf_counter() - start, 3))
        accuracy = correct / seen
        _keep_counts(trial, correct, seen)
        if self.accuracy_floor is not None:
            trial.set_constraint(FLOOR_CONSTRAINT, self.accuracy_floor - accuracy)
        return footprint.kib, accuracy

    def _result(self, trial: optuna.Trial, config: QuantizationConfig, memory_kib: float) -> tuple[int, int]:
        """Counts of a whole evaluation, or of the same one before."""
        duplicate = self._finished_duplicate(trial, config.to_dict())
        if duplicate is not None:
            trial.set_user_attr("duplicate_of", duplicate.number)
            return duplicate.user_attrs["correct"], duplicate.user_attrs["seen"]
        correct, seen = self._count(trial, config, memory_kib)
        if not 0 <= correct <= seen or seen == 0:
            raise ValueError(f"The workload must end with 0 <= correct <= seen > 0, got ({correct}, {seen}).")
        return correct, seen

    def _count(self, trial: optuna.Trial, config: QuantizationConfig, memory_kib: float) -> tuple[int, int]:
        """Counts of an evaluation that is neither refused nor stopped."""
        correct, seen = 0, 0
        looks = self.workload.evaluate(config, self.seed)
        try:
            for look in looks:
                if isinstance(look, TrainingProgress):
                    self._look_at_training(trial, memory_kib, look)
                else:
                    correct, seen = look
                    self._look_at_counts(trial, memory_kib, correct, seen)
        except InexactError as error:
            trial.set_user_attr("refused", str(error))
            raise optuna.TrialPruned(str(error)) from error
        finally:
            # A generator ends its threads and contexts then, not at some later time.
            if isinstance(looks, Generator):
                looks.close()
        return correct, seen

    def _look_at_training(self, trial: optuna.Trial, memory_kib: float, progress: TrainingProgress) -> None:
        if self.pruner is None:
            record(trial, progress)
            return
        reason = self.pruner.reason_to_stop_training(trial, memory_kib, progress, accuracy_floor=self.accuracy_floor)
        if reason is not None:
            trial.set_user_attr("pruned_at", "training")
            raise optuna.TrialPruned(reason)

    def _look_at_counts(self, trial: optuna.Trial, memory_kib: float, correct: int, seen: int) -> None:
        if self.pruner is None:
            return
        reason = self.pruner.reason_to_prune(trial, memory_kib, correct, seen, accuracy_floor=self.accuracy_floor)
        if reason is not None:
            _keep_counts(trial, correct, seen)
            trial.set_user_attr("pruned_at", "evaluation")
            raise optuna.TrialPruned(reason)

    def _finished_duplicate(self, trial: optuna.Trial, config: dict[str, Any]) -> optuna.trial.FrozenTrial | None:
        """The first finished trial of the study that evaluated the same."""
        same = {"config": config, "seed": self.seed, "workload": self._workload_digest}
        for other in trial.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            if all(other.user_attrs.get(name) == value for name, value in same.items()):
                return other
        return None


def _keep_counts(trial: optuna.Trial, correct: int, seen: int) -> None:
    trial.set_user_attr("correct", correct)
    trial.set_user_attr("seen", seen)


def _check_space(workload: Workload, space: QuantizationSpace) -> None:
    if not isinstance(space, QuantizationSpace):
        raise TypeError(f"space must be a QuantizationSpace, got {type(space).__name__}.")
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


def _breakdown(footprint: Footprint) -> dict[str, Any]:
    """A footprint as plain values, memory in bits where not said otherwise."""
    return {
        "kib": footprint.kib,
        "baseline_kib": footprint.baseline_kib,
        "compression": footprint.compression,
        "by_parameter": footprint.by_parameter,
        "by_family": {family.value: bits for family, bits in footprint.by_family.items()},
    }
