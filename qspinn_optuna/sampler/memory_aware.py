"""The sampler of quantization spaces."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from qspinn_optuna.config import Scheme
from qspinn_optuna.fixed_point import Rounding
from qspinn_optuna.parameters import Family
from qspinn_optuna.sampler.known_objective import KnownObjectiveSampler
from qspinn_optuna.sampler.known_objective.constraints import Threshold
from qspinn_optuna.sampler.known_objective.grid import Rows
from qspinn_optuna.sampler.known_objective.initial_design import FRACTIONS
from qspinn_optuna.sampler.known_objective.linear import Linear
from qspinn_optuna.sampler.known_objective.observations import Observation
from qspinn_optuna.space import QuantizationSpace, width_name
from qspinn_optuna.study import (
    FLOOR_CONSTRAINT,
    TrialRecord,
    accuracy_floor,
    check_directions,
    check_space,
    description_of,
    measurements,
    queued_if_interrupted,
    recorded_sensitivity,
)

_Choice = TypeVar("_Choice", Scheme, Rounding)

_NOISE = 0.005
"""Rough standard deviation of the accuracy between networks that are quantized alike: counts that tell the accuracy
less exactly than this have less weight."""

_CHEAP = 0.02
"""Share of the memory of the widest configuration that dimensions may take which stay wide in the first trials."""

_SCHEMES = (Scheme.ITQ, Scheme.PTQ)
_ROUNDINGS = (Rounding.NEAREST, Rounding.STOCHASTIC, Rounding.TRUNCATION)
"""Those that lose least first: training makes up for errors, which are smallest when rounding to nearest."""

_FLOOR_CONSTRAINTS = frozenset({FLOOR_CONSTRAINT, "0"})
"""Names of the constraints by which trials state the accuracy floor; "0" is Optuna's name of the only entry in the
older attribute ``constraints``."""


class MemoryAwareSampler(KnownObjectiveSampler):
    """Suggests the quantization that is expected to add most to the front of memory and accuracy.

    Memory is computed, only accuracy is modelled: near to monotone and saturating in every width, additive over
    parameters in the logarithm, shifted by scheme and rounding. See
    :class:`~qspinn_optuna.sampler.KnownObjectiveSampler` for duplicates, workers, constraints and exhausted spaces.

    The first trials have the same width for all parameters, the first one the widest, unless another sampler has begun
    the study; they have the scheme and the rounding that lose least as a rule, in training and to nearest. Parameters
    that are no weights and take next to no memory stay wide, since nothing is saved by them.
    With a sensitivity that the study stores, see :func:`~qspinn_optuna.significance.record_sensitivity`, the model
    begins with what is expected. Where all is quantized after training, as it was measured, most of the first trials
    leave parameters wide that are expected to matter, and a sensitivity that they contradict is dropped.
    Pruned trials and the measurements of a study are observations too, weighted by their counts. Only
    configurations that reach the study's accuracy floor count as an improvement.

    Example:
        >>> study = open_study("sampler", None, space, MemoryAwareSampler(space, seed=0), workload)
        >>> study.optimize(QuantizationObjective(workload, space), n_trials=3)
        >>> len({str(trial.params) for trial in study.trials})
        3

    Args:
        space: The space that the study searches.
        seed: Seed of all random draws. Every worker needs its own.

    Raises:
        TypeError: If ``space`` is not a space.
        ValueError: If the space has one configuration only. When sampling: if the study has other objectives than
            memory to minimize and accuracy to maximize, or searches another space.
    """

    def __init__(self, space: QuantizationSpace, *, seed: int | None = None) -> None:
        if not isinstance(space, QuantizationSpace):
            raise TypeError(f"space must be a QuantizationSpace, got {type(space).__name__}.")
        if space.cardinality == 1:
            raise ValueError("space must have more than one configuration, or there is nothing to search.")
        self._space = space
        self._description = description_of(space)
        self._narrowest = {name: _first(distribution) for name, distribution in space.distributions.items()}
        footprint = space.footprint(space.config(self._narrowest))
        kib_per_bit = {
            name: self._kib_with(name, distribution.low + 1) - footprint.kib
            for name, distribution in space.distributions.items()
            if isinstance(distribution, IntDistribution) and not distribution.single()
        }
        # The space's footprint, computed faster: memory is linear in widths.
        constant = footprint.kib - math.fsum(kib * self._narrowest[name] for name, kib in kib_per_bit.items())
        memory = Linear(constant, kib_per_bit)
        # NOTE: not the 32-bit original, which is far away: a little accuracy gained at the wide end would count for all
        # the memory up to there, and the narrow end, where one searches, would be neglected.
        widest = {name: _last(distribution) for name, distribution in space.distributions.items()}
        widest_kib = space.footprint(space.config(widest)).kib
        reference = min(footprint.baseline_kib, widest_kib)
        self._cheap = _cheap_widths(space, kib_per_bit, widest_kib)
        super().__init__(space.distributions, memory, reference=reference, seed=seed)

    @property
    def space(self) -> QuantizationSpace:
        """The space that the sampler searches."""
        return self._space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The unseen configuration with the largest acquisition value; interrupted, the trial is queued again."""
        with queued_if_interrupted(study, trial):
            return super().sample_relative(study, trial, search_space)

    def _kib_with(self, name: str, width: int) -> float:
        """Memory with the narrowest widths, but for one dimension."""
        return self._space.footprint(self._space.config({**self._narrowest, name: width})).kib

    def _check_study(self, study: Study) -> None:
        check_directions(study)
        check_space(study, self._description)

    def _observe(self, trial: FrozenTrial) -> Observation | None:
        if trial.state is not TrialState.PRUNED:
            return super()._observe(trial)
        counts = TrialRecord(trial).counts
        return None if counts is None else _observation(counts.correct, counts.seen)

    def _further_observations(self, study: Study) -> Iterable[tuple[Mapping[str, Any], Observation]]:
        for measurement in measurements(study):
            yield measurement.params, _observation(measurement.correct, measurement.seen)

    def _threshold(self, study: Study) -> Threshold | None:
        floor = accuracy_floor(study)
        return None if floor is None else Threshold(floor, _FLOOR_CONSTRAINTS)

    def _expected_losses(self, study: Study) -> Mapping[str, Mapping[Any, float]] | None:
        sensitivity = recorded_sensitivity(study)
        if sensitivity is None:
            return None
        return {width_name(name): dict(curve) for name, curve in sensitivity.losses.items()}

    @property
    def _begins_as_expected(self) -> bool:
        # A sensitivity is that of quantization after training, and what is learned in training can be narrower.
        return Scheme.ITQ not in self._space.schemes

    def _initial_design(self) -> Rows:
        widths = [value for value in self._grid.distributions.values() if isinstance(value, IntDistribution)]
        if not widths:
            return super()._initial_design()
        low, high = min(value.low for value in widths), max(value.high for value in widths)
        scheme = _first_of(_SCHEMES, self._space.schemes)
        rounding = _first_of(_ROUNDINGS, self._space.roundings)
        rows = []
        for fraction in FRACTIONS:
            uniform = self._space.uniform(round(low + fraction * (high - low)), scheme, rounding)
            row = self._grid.encode({**self._space.params(uniform), **self._cheap})
            assert row is not None
            rows.append(row)
        return np.array(rows)


def _cheap_widths(space: QuantizationSpace, kib_per_bit: Mapping[str, float], widest_kib: float) -> dict[str, int]:
    """Last widths of the dimensions without weights that together take next to no memory at their widest."""
    parameters = space.to_dict()["parameters"].values()
    of_weights = {entry["dimensions"][0] for entry in parameters if entry["family"] == Family.WEIGHT.value}
    widest = {name: _last(space.distributions[name]) for name in kib_per_bit.keys() - of_weights}
    names = sorted(widest, key=lambda name: (kib_per_bit[name] * widest[name], name))
    taken = itertools.accumulate(kib_per_bit[name] * widest[name] for name in names)
    return {name: widest[name] for name, kib in zip(names, taken, strict=True) if kib <= _CHEAP * widest_kib}


def _first_of(preferred: Sequence[_Choice], available: Sequence[_Choice]) -> _Choice:
    """The first of the preferred choices that there is."""
    return next(choice for choice in preferred if choice in available)


def _first(distribution: BaseDistribution) -> Any:
    """The narrowest width, or the first choice."""
    return distribution.low if isinstance(distribution, IntDistribution) else distribution.to_external_repr(0)


def _last(distribution: BaseDistribution) -> Any:
    """The widest width, or the first choice."""
    return distribution.high if isinstance(distribution, IntDistribution) else distribution.to_external_repr(0)


def _observation(correct: int, seen: int) -> Observation:
    """The accuracy of counts; its weight grows with them."""
    # Mean and variance of the posterior with a uniform prior: three correct answers of three do not make it certain.
    mean = (correct + 1) / (seen + 2)
    variance = mean * (1 - mean) / (seen + 3)
    return Observation(correct / seen, 1 / (1 + variance / _NOISE**2))
