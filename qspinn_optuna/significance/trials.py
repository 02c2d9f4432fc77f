"""Estimating the significance of parameters from the trials of a study."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial

from qspinn_optuna.config import Scheme
from qspinn_optuna.fixed_point import Rounding
from qspinn_optuna.pruning.sequential import check_confidence
from qspinn_optuna.sampler.known_objective.grid import SearchGrid
from qspinn_optuna.sampler.known_objective.saturating import SaturatingEnsemble
from qspinn_optuna.significance.report import SignificanceReport, WidthCurve, WidthPoint, check_tolerance
from qspinn_optuna.space import is_width, parameter_of
from qspinn_optuna.study import accuracy_of, check_directions, finished_trials

_FEWEST_TRIALS = 10
_STEPS = 60
_MEMBERS = 40


def significance_from_study(
    study: optuna.Study, *, tolerance: float = 0.01, confidence: float = 0.9, seed: int = 0
) -> SignificanceReport:
    """Estimate the significance of every parameter from finished trials, without evaluations.

    The saturating model of the accuracy that :class:`~qspinn_optuna.MemoryAwareSampler` uses is fitted to the trials.
    Its curves are predictions with all other widths at their widest, which a search seldom tries, so the intervals over
    the model's fits matter more than the lines. The report also has Optuna's importances (PED-ANOVA) of every dimension
    for the accuracy, which describe the variation among the trials.

    Example:
        >>> estimate = significance_from_study(study)
        >>> sorted(estimate.ranking)
        ['fc.weight', 'lif.v']

    Args:
        study: A study of :class:`~qspinn_optuna.QuantizationObjective`.
        tolerance: Accuracy that a sufficient width may lose against the best widest configuration, a fraction.
        confidence: Share of the fits inside the intervals.
        seed: Seed of the fits.

    Raises:
        TypeError: If ``confidence`` is not a number.
        ValueError: If ``tolerance`` or ``confidence`` is outside its range, or the study has other objectives, other
            parameters than widths, roundings and a scheme, or fewer than ten finished trials of one space.
    """
    check_directions(study)
    check_tolerance(tolerance)
    check_confidence(confidence)
    trials = finished_trials(study)
    distributions = _distributions(study.study_name, trials)
    grid = SearchGrid(distributions)
    rows = np.array([grid.encode(trial.params) for trial in trials])
    accuracies = np.array([accuracy_of(trial) for trial in trials])
    ensemble = SaturatingEnsemble(grid.units, grid.categories, members=_MEMBERS, seed=seed)
    ensemble.fit(*grid.features(rows), accuracies, np.ones(len(rows)), _STEPS)

    def predict(settings: list[dict[str, Any]]) -> NDArray[np.float64]:
        encoded = np.array([grid.encode(params) for params in settings])
        return ensemble.predict(*grid.features(encoded)).clip(0, 1)

    choices = _choices(distributions)
    widest = {name: value.high for name, value in distributions.items() if isinstance(value, IntDistribution)}
    baseline = float(np.median(predict([{**widest, **choice} for choice in choices]), axis=0).max())
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    curves = []
    for choice in choices:
        for name, distribution in distributions.items():
            if not isinstance(distribution, IntDistribution) or distribution.single():
                continue
            widths = range(distribution.low, distribution.high + 1)
            predicted = predict([{**widest, **choice, name: width} for width in widths])
            middle, (low, high) = np.median(predicted, axis=0), np.quantile(predicted, tails, axis=0)
            points = tuple(
                WidthPoint(*point) for point in zip(widths, middle.tolist(), low.tolist(), high.tolist(), strict=True)
            )
            scheme, rounding = Scheme(choice["scheme"]), Rounding(next(v for k, v in choice.items() if k != "scheme"))
            sufficient = [point.width for point in points if point.accuracy >= baseline - tolerance]
            curves.append(WidthCurve(parameter_of(name), scheme, rounding, points, min(sufficient, default=None)))
    with warnings.catch_warnings():
        # Optuna warns that importances are for reaching low targets; _loss is low where the accuracy is high.
        warnings.simplefilter("ignore", UserWarning)
        importances = optuna.importance.get_param_importances(study, target=_loss)
    return SignificanceReport(tuple(curves), baseline, tolerance, confidence, importances=dict(importances))


def _loss(trial: FrozenTrial) -> float:
    """The negative accuracy: Optuna's importances are for reaching low values."""
    return -accuracy_of(trial)


def _distributions(name: str, trials: list[FrozenTrial]) -> Mapping[str, BaseDistribution]:
    """The distributions that all trials share."""
    if len(trials) < _FEWEST_TRIALS:
        raise ValueError(
            f"Study {name!r} must have at least {_FEWEST_TRIALS} finished trials, got {len(trials)}: run "
            "study.optimize first, or use measure_significance."
        )
    distributions = trials[0].distributions
    ours = all(
        key == "scheme" or key.partition(".")[0] in ("rounding", "grid") or is_width(key) for key in distributions
    )
    if not ours or "scheme" not in distributions:
        raise ValueError(f"Study {name!r} was made by another program: its parameters are {sorted(distributions)}.")
    for trial in trials:
        if trial.distributions != distributions:
            raise ValueError(
                f"Study {name!r} must be of one space, got trials {trials[0].number} and {trial.number} of different "
                "ones."
            )
    return distributions


def _choices(distributions: Mapping[str, BaseDistribution]) -> list[dict[str, Any]]:
    """Every scheme with every rounding, the same for all families."""
    categorical = {k: v.choices for k, v in distributions.items() if isinstance(v, CategoricalDistribution)}
    roundings = {name: choices for name, choices in categorical.items() if name != "scheme"}
    return [
        {"scheme": scheme, **dict.fromkeys(roundings, rounding)}
        for scheme in categorical["scheme"]
        for rounding in next(iter(roundings.values()))
    ]
