"""A pruner of studies with several objectives."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import optuna
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from .sequential import cannot_reach, check_confidence, check_counts

_CURVE = "front_pruner.curve"
"""User attribute of a trial: a list of [step, value of the first objective, value of the second, ...]."""


@dataclass(frozen=True)
class FrontPruner:
    """Stops trials that can no longer enter the Pareto front of their study.

    A trial enters the front unless a feasible trial that was finished when it began is at least as good in every
    objective. A trial that would enter it is stopped with a probability of at most 1 - ``confidence``, over all calls
    together. What this rests on is said at the two methods; a trial should use one of them.

    Optuna's own pruners take one objective. This one is called by the objective itself, which raises
    ``optuna.TrialPruned``; it is not given to ``optuna.create_study``.

    Args:
        confidence: Between 0 and 1, both excluded.
        known: Places of the objectives that are known when a trial begins, such as the size of a model.

    Raises:
        TypeError: If ``confidence`` is not a number.
        ValueError: If ``confidence`` is outside its range.
    """

    confidence: float = 0.95
    known: Collection[int] = ()

    def __post_init__(self) -> None:
        check_confidence(self.confidence)

    def should_prune(self, trial: optuna.Trial, values: Sequence[float], step: int) -> bool:
        """Whether a trial should stop whose objectives improve step by step, as in a training.

        The trial stores the values, for later trials to compare with. A bound on what an objective gains from a step to
        the end comes from the finished trials that reported at the same steps (split conformal prediction, Lei et al.
        2018, https://arxiv.org/abs/1604.04173): it assumes that they and the new trial are exchangeable, which holds
        for random search, and with a sampler that learns only approximately. Each objective that is not known gets an
        equal part of 1 - ``confidence``. With a confidence of 0.95 and one such objective, the first trial to be
        stopped comes after 19 finished ones, with two after 39.

        Args:
            trial: The trial that is running.
            values: All objectives as they would be if the trial ended now, in the order of the study.
            step: Of the training; larger in every call.

        Raises:
            ValueError: If the values are not as many as the objectives, or not finite, the step is not larger than the
                one before, or ``known`` leaves no objective, or has a place that the study does not.
        """
        signs, known = _signs(trial.study), self._checked_known(trial.study)
        if len(values) != len(signs) or not all(math.isfinite(value) for value in values):
            raise ValueError(f"values must be {len(signs)} finite numbers, one for each objective, got {values!r}.")
        curve = _curve(trial)
        if curve and step <= curve[-1][0]:
            raise ValueError(f"step must be larger than that of the call before, {curve[-1][0]:g}, got {step!r}.")
        curve.append([step, *map(float, values)])
        trial.set_user_attr(_CURVE, curve)
        earlier = _finished_before(trial)
        steps = [point[0] for point in curve]
        alike = [other for other in earlier if [point[0] for point in _curve(other)[: len(steps)]] == steps]
        measured = len(signs) - len(known)
        confidence = 1 - (1 - self.confidence) / measured
        highest = [
            sign * value + (0.0 if place in known else _largest_gain(alike, place, sign, confidence))
            for place, (sign, value) in enumerate(zip(signs, values, strict=True))
        ]
        return any(
            all(sign * other >= bound for sign, other, bound in zip(signs, finished.values, highest, strict=True))
            for finished in earlier
            if _is_feasible(finished)
        )

    def should_prune_counts(
        self, trial: optuna.Trial, values: Sequence[float | None], hits: int, seen: int, *, total: int | None = None
    ) -> bool:
        """Whether a trial should stop whose one unknown objective is a proportion that is being counted.

        Such as an accuracy on a validation set, or a rate of errors. The sequential test, see :func:`.cannot_reach`,
        assumes samples in random order, and nothing about other trials: the second trial of a study may be stopped.

        Args:
            trial: The trial that is running.
            values: The known objectives at their places, anything at that of the proportion.
            hits: Samples so far that count, such as correct answers, or errors: the proportion is hits / total.
            seen: Samples so far.
            total: Samples of the whole evaluation. If not given, samples count as independent draws.

        Raises:
            TypeError: If a count is not a whole number.
            ValueError: If the counts are impossible, ``known`` does not leave exactly one objective, a known value is
                not finite, or the proportion of a finished trial is not between 0 and 1.
        """
        hits, seen, total = check_counts(hits, seen, total)
        signs, known = _signs(trial.study), self._checked_known(trial.study)
        places = [place for place in range(len(signs)) if place not in known]
        if len(places) != 1:
            raise ValueError(f"known must leave one objective, the proportion, got {self.known!r} of {len(signs)}.")
        if len(values) != len(signs):
            raise ValueError(f"values must be {len(signs)}, one for each objective, got {values!r}.")
        costs = {place: _finite(values[place]) for place in known}
        place, sign = places[0], signs[places[0]]
        rivals = [
            other.values[place]
            for other in _finished_before(trial)
            if _is_feasible(other) and all(signs[i] * other.values[i] >= signs[i] * cost for i, cost in costs.items())
        ]
        if not rivals or seen == total:
            return False
        best = max(rivals, key=lambda value: sign * value)
        if not 0 <= best <= 1:
            raise ValueError(f"The objective at place {place} must be a proportion between 0 and 1, got {best!r}.")
        # Of errors, what counts is what is right.
        right = hits if sign > 0 else seen - hits
        if total is None:
            return cannot_reach(right, seen, best if sign > 0 else 1 - best, self.confidence)
        return cannot_reach(right, seen, _needed(best, sign, total), self.confidence, total)

    def _checked_known(self, study: Study) -> frozenset[int]:
        known, objectives = frozenset(self.known), len(study.directions)
        if not known < frozenset(range(objectives)):
            raise ValueError(
                f"known must be some of the places 0 to {objectives - 1}, but not all, got {self.known!r}."
            )
        return known


def _signs(study: Study) -> list[float]:
    """1 for an objective to be maximized, -1 for one to be minimized."""
    return [1.0 if direction is StudyDirection.MAXIMIZE else -1.0 for direction in study.directions]


def _finite(value: float | None) -> float:
    if value is None or not math.isfinite(value):
        raise ValueError(f"values must be finite where they are known, got {value!r}.")
    return value


def _curve(trial: optuna.Trial | FrozenTrial) -> list[list[float]]:
    return [list(point) for point in trial.user_attrs.get(_CURVE, [])]


def _largest_gain(alike: Sequence[FrozenTrial], place: int, sign: float, confidence: float) -> float:
    """What a trial gains in one objective from any of its steps to the end at most; infinite if nothing tells."""
    gains = sorted(max(sign * (trial.values[place] - point[1 + place]) for point in _curve(trial)) for trial in alike)
    # The new gain is among the k smallest of n + 1 with a probability of at least k / (n + 1).
    rank = math.ceil((len(gains) + 1) * confidence - 1e-9)
    return gains[rank - 1] if rank <= len(gains) else math.inf


def _finished_before(trial: optuna.Trial) -> list[FrozenTrial]:
    """Trials that were complete when ``trial`` began: what it takes must not change between two looks."""

    def chosen() -> Iterator[FrozenTrial]:
        start = trial.datetime_start
        for other in trial.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            in_time = start is None or other.datetime_complete is None or other.datetime_complete <= start
            if in_time and all(math.isfinite(value) for value in other.values):
                yield other

    return list(chosen())


def _is_feasible(trial: FrozenTrial) -> bool:
    return all(value <= 0 for value in trial.constraints.values())


def _needed(best: float, sign: float, total: int) -> int:
    """The fewest right answers of ``total`` whose proportion is better than ``best``; ``total`` + 1 if none are."""

    def proportion(right: int) -> float:
        # As the objective computes it: 0.29 * 100 is not 29.
        return right / total if sign > 0 else (total - right) / total

    right = max(0, math.floor((best if sign > 0 else 1 - best) * total) - 1)
    while right <= total and sign * proportion(right) <= sign * best:
        right += 1
    return right
