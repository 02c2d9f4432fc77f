"""A sampler for studies of two objectives of which one is a known function of the parameters."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna import TrialPruned
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from scipy.special import ndtr

from .grid import Rows, SearchGrid
from .history import SUGGESTED, Data, History, Observation, fixed_params
from .improvement import expected_hypervolume_improvement, nondominated
from .model import CliffModel
from .saturating import SaturatingEnsemble
from .wrappers import held_params

Floats = NDArray[np.float64]

# Below Optuna's, so that it is shown as Optuna's own lines are.
_LOGGER = optuna.logging.get_logger("optuna.samplers.known_objective")

PROBES = (1.0, 0.5, 0.25, 0.75, 0.125, 0.0)
"""Fractions of all ranges at which a study begins."""

_ENUMERATED = 4_096
"""Points up to which all of a space are candidates."""

_SCANNED = 1_000_000
"""Points up to which the last unseen ones are looked for one by one."""

_DRAWN = 1_000
"""Candidates drawn from the whole space, and as many from around the front."""

_CLIMBS, _CLIMBED, _NEIGHBOURS = 3, 20, 25
"""How often the best candidates are replaced by neighbours, how many of them, by how many each."""

_CONSTRAINT_STEPS = 12
"""Of a fit to a constraint."""

_NEIGHBOUR_EVERY = 4
"""One suggestion of so many is a cheaper neighbour of the front, whatever the model thinks of it."""

_SHARE_OF_NOISE = 0.7
"""How much of its noise a member is unsure of by itself: the rest of what is unknown is where the members differ."""

_ATTEMPTS = 100
"""Choices that other workers may take away before one is kept, though it be repeated."""


class SpaceExhausted(TrialPruned):
    """Every configuration has been suggested: the trial is pruned, and with it ends ``study.optimize``.

    Who asks for trials by hand has to tell the study that the trial was pruned. ``study.ask(distributions)`` raises
    before it gives one: it is the last of ``study.trials``, and ``study.tell`` takes its number.
    """


class KnownObjectiveSampler(BaseSampler):
    """Samples studies of two objectives, one of which is a known function of the parameters.

    Memory, parameters, the price of a configuration: what a formula gives needs no model, and no trial. Only the other
    objective is modelled, by an ensemble of fits that saturate in every numeric parameter. Candidates are ranked by
    the hypervolume they are expected to add to the front, a closed form since the known objective is known, averaged
    over the fits. No configuration is suggested twice while there are others, those of running, failed and pruned
    trials included, with any number of workers on one storage; when all are seen, ``study.optimize`` ends. What an
    enqueued trial or a ``PartialFixedSampler`` around this sampler fixes is kept, and the rest chosen for it.

    Constraints that bound an objective are recognized, and bound what counts as an improvement; others are modelled
    like the objective, and a candidate counts as far as it is likely to keep them. Parameters that are not in
    ``search_space`` are sampled independently at random, and configurations repeated for them when all are seen.

    Example:
        .. code-block:: python

            space = {"width": IntDistribution(1, 512), "depth": IntDistribution(1, 8)}
            sampler = KnownObjectiveSampler(space, known=lambda params: params["width"] * params["depth"])
            study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler)

    Args:
        search_space: The distributions from which the objective suggests.
        known: The known objective, from the parameters. It is called a few thousand times a suggestion.
        index: Which of the two objectives it is.
        reference: What the known objective must be better than to count; the worst that is found if not given.
        increasing: Whether the other objective is expected to get better the larger a numeric parameter is. If not,
            either direction is taken to be as likely.
        seed: Of everything random. Every worker needs its own.

    Raises:
        TypeError: If ``known`` cannot be called, or ``search_space`` is no mapping to distributions.
        ValueError: If ``search_space`` has nothing to search, ``index`` is neither 0 nor 1, or ``reference`` is not
            finite.
    """

    def __init__(
        self,
        search_space: Mapping[str, BaseDistribution],
        known: Callable[[dict[str, Any]], float],
        *,
        index: int = 0,
        reference: float | None = None,
        increasing: bool = True,
        seed: int | None = None,
    ) -> None:
        if not callable(known):
            raise TypeError(f"known must be a function of the parameters, got {known!r}.")
        if not isinstance(index, int) or index not in (0, 1):
            raise ValueError(f"index must be 0 or 1, the place of the known objective, got {index!r}.")
        if reference is not None and not (isinstance(reference, Real) and math.isfinite(reference)):
            raise ValueError(f"reference must be a finite number, got {reference!r}.")
        self._grid = SearchGrid(search_space)
        self._known = known
        self._index = index
        self._reference = reference
        self._rng = np.random.default_rng(seed)
        self._independent = RandomSampler(seed)
        self._model_seed = int(self._rng.integers(2**31))
        self._model = CliffModel(self._grid.units, self._grid.categories, increasing=increasing, seed=self._model_seed)
        self._constraint_models: dict[str, SaturatingEnsemble] = {}
        self._history = History(self._grid, self._observe)
        self._costs: dict[bytes, float] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        # A lock does not pickle, and a copy needs one of its own.
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    def reseed_rng(self) -> None:
        """Draw from now on what no copy of this sampler draws."""
        self._rng = np.random.default_rng()
        self._independent.reseed_rng()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The search space; nothing in a study of other objectives, or if an enqueued trial fixes all of it."""
        if len(study.directions) != 2 or self._grid.distributions.keys() <= fixed_params(trial).keys():
            return {}
        return dict(self._grid.distributions)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The unseen configuration that promises most.

        Raises:
            SpaceExhausted: If there is none.
            ValueError: If the study has other objectives, or ``known`` fails or gives no finite number.
        """
        held = self._own(held_params(study.sampler))
        if search_space != {name: own for name, own in self._grid.distributions.items() if name not in held}:
            # An unknown sampler that wraps this one holds some parameters, without which nothing is known.
            return {
                name: self._independent.sample_independent(study, trial, name, distribution)
                for name, distribution in search_space.items()
            }
        self._check_study(study)
        with self._lock:
            params = self._suggest(study, trial, held)
        return {name: params[name] for name in search_space}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A random value, for a parameter that is not of the search space.

        Raises:
            ValueError: If it is of the search space, and the study has other objectives or another distribution.
        """
        own = self._grid.distributions.get(param_name)
        if own is not None:
            self._check_study(study)
            if own != param_distribution:
                raise ValueError(
                    f"search_space must be that of the objective, which suggests {param_name!r} from "
                    f"{param_distribution}, got {own}."
                )
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """End an optimization that has seen every configuration."""
        del state, values
        self._check_distributions(trial)
        held = self._own(held_params(study.sampler))
        left = self._grid.cardinality_beside(held)
        # As many configurations cannot have been seen by fewer trials.
        if len(study.directions) != 2 or trial.number + 1 < left or self._has_others(trial):
            return
        waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        if not waiting and self._number_of(self._history.seen(study), held) >= left:
            _LOGGER.info(f"{_all_of(left)} have been suggested: the optimization ends.")
            _stop(study)

    def _own(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the search space."""
        return {name: value for name, value in params.items() if name in self._grid.distributions}

    def _number_of(self, seen: set[bytes], held: Mapping[str, Any]) -> int:
        """How many of the configurations that were seen have the values that are held."""
        rows = np.array([np.frombuffer(row) for row in seen]).reshape(len(seen), len(self._grid.names))
        return int((self._hold(rows.copy(), held) == rows).all(axis=1).sum()) if len(rows) else 0

    def _has_others(self, trial: FrozenTrial) -> bool:
        """Whether a trial has parameters that are not of the search space: each configuration then is many."""
        return not trial.params.keys() <= self._grid.all_names

    def _check_distributions(self, trial: FrozenTrial) -> None:
        """Warn of an objective that would search more than this sampler does."""
        for name, own in self._grid.distributions.items():
            other = trial.distributions.get(name, own)
            if other != own and trial.system_attrs.get(SUGGESTED):
                warnings.warn(
                    f"search_space must be that of the objective, which suggests {name!r} from {other}: only {own} is "
                    "searched.",
                    stacklevel=2,
                )

    def _check_study(self, study: Study) -> None:
        """Refuse a study whose objectives are not such as this sampler was made for."""
        if len(study.directions) != 2:
            raise ValueError(
                f"The study must have two objectives, one of them known, got {len(study.directions)}: make it with "
                'directions such as ["minimize", "maximize"].'
            )

    def _observe(self, trial: FrozenTrial) -> Observation | None:
        """What a finished trial says of the modelled objective."""
        if trial.state is TrialState.COMPLETE and all(math.isfinite(value) for value in trial.values):
            return Observation(trial.values[1 - self._index])
        return None

    def _further_observations(self, study: Study) -> Iterable[tuple[Mapping[str, Any], Observation]]:
        """What the study knows beside its trials."""
        del study
        return ()

    def _probes(self) -> list[Rows]:
        """Where a study begins."""
        return [self._grid.spread(fraction, turn) for turn, fraction in enumerate(PROBES)]

    def _suggest(self, study: Study, trial: FrozenTrial, held: Mapping[str, Any]) -> dict[str, Any]:
        """Choose, and tell other workers before they choose the same."""
        enqueued = self._own(fixed_params(trial))
        fixed = {**enqueued, **held}
        taken = self._history.seen(study, trial)
        ranking = (self._grid.decode(row) for row in self._rank(study, trial, fixed))
        for _ in range(_ATTEMPTS):
            params = next((params for params in ranking if self._grid.identity(params) not in taken), {})
            if not params:
                may_repeat = bool(enqueued) or any(map(self._has_others, study.get_trials(deepcopy=False)))
                params = self._last_unseen(taken, fixed, may_repeat=may_repeat)
            # Whoever finds nothing takes back what he may have announced before.
            study._storage.set_trial_system_attr(trial._trial_id, SUGGESTED, params)
            if not params:
                _stop(study)
                raise SpaceExhausted(
                    f"{_all_of(self._grid.cardinality_beside(held))} have been suggested, nothing is left to try: "
                    "widen the space, in a new study."
                )
            # NOTE: all write before they read, so of two workers with the same choice at least one sees the other's,
            # and chooses again.
            others = self._history.seen(study, trial)
            if self._grid.identity(params) not in others - taken:
                break
            taken |= others
        return params

    def _rank(self, study: Study, trial: FrozenTrial, fixed: Mapping[str, Any]) -> Iterator[Rows]:
        """Candidates, the best first."""
        signs = [-1.0 if direction is StudyDirection.MAXIMIZE else 1.0 for direction in study.directions]
        cost_sign, gain_sign = signs[self._index], -signs[1 - self._index]
        data = self._history.read(study, trial, (cost_sign, gain_sign), self._index, self._further_observations(study))
        if len(data.gains) < len(PROBES):
            yield from (self._hold(row[None], fixed)[0] for row in self._probes())
        if len(data.gains) == 0:
            yield from self._hold(self._grid.draw(_DRAWN, self._rng), fixed)
            return
        self._model.fit(*self._grid.features(data.rows), data.gains, data.weights)
        self._fit_constraints(data)
        candidates, promises = self._candidates(data, cost_sign, fixed)
        if trial.number % _NEIGHBOUR_EVERY == _NEIGHBOUR_EVERY - 1:
            yield from self._hold(self._neighbours(data, cost_sign), fixed)
        # Ties are broken at random: where nothing promises anything, any direction is as good.
        yield from candidates[np.lexsort((self._rng.random(len(promises)), -promises))]

    def _last_unseen(self, taken: set[bytes], fixed: Mapping[str, Any], *, may_repeat: bool) -> dict[str, Any]:
        """What is left when all candidates are taken: an unseen point, or one to repeat if that is called for.

        Empty if there is nothing.
        """
        if self._grid.cardinality <= _SCANNED:
            for row in self._hold(self._rng.permutation(self._grid.everything()), fixed):
                if row.tobytes() not in taken:
                    return self._grid.decode(row)
        if may_repeat or self._grid.cardinality > _SCANNED:
            return self._grid.decode(self._hold(self._grid.draw(1, self._rng), fixed)[0])
        return {}

    def _fit_constraints(self, data: Data) -> None:
        for name, (rows, values) in data.constraints.items():
            if name not in self._constraint_models:
                # A choice alone can break a constraint, while it changes an objective but a little.
                self._constraint_models[name] = SaturatingEnsemble(
                    self._grid.units, self._grid.categories, increasing=False, choice_effect=2.0, seed=self._model_seed
                )
            features = self._grid.features(rows)
            self._constraint_models[name].fit(*features, values, np.ones(len(values)), _CONSTRAINT_STEPS)

    def _predict(self, rows: Rows) -> Floats:
        """The gains that the members expect, [members, rows]."""
        return self._model.predict(*self._grid.features(rows))

    def _candidates(self, data: Data, cost_sign: float, fixed: Mapping[str, Any]) -> tuple[Rows, Floats]:
        """Points that may be next, and what they promise."""
        if self._grid.cardinality <= _ENUMERATED:
            candidates = self._hold(self._grid.everything(), fixed)
            return candidates, self._promise(candidates, data, cost_sign, self._worst(candidates, data, cost_sign))
        front = data.rows[data.on_front]
        if len(front) > 0:
            front = front[nondominated(cost_sign * self._known_values(front), data.gains[data.on_front])]
        around = front if len(front) > 0 else data.rows
        near = self._grid.mutate(np.repeat(around, math.ceil(_DRAWN / len(around)), axis=0), self._rng)
        candidates = self._hold(np.concatenate([self._grid.draw(_DRAWN, self._rng), near]), fixed)
        worst = self._worst(candidates, data, cost_sign)
        promises = self._promise(candidates, data, cost_sign, worst)
        for _ in range(_CLIMBS):
            best = candidates[np.argsort(-promises)[:_CLIMBED]]
            near = self._hold(self._grid.mutate(np.repeat(best, _NEIGHBOURS, axis=0), self._rng), fixed)
            candidates = np.concatenate([candidates, near])
            promises = np.concatenate([promises, self._promise(near, data, cost_sign, worst)])
        return candidates, promises

    def _neighbours(self, data: Data, cost_sign: float) -> Rows:
        """Neighbours of the front that cost no more, first of the points that hold most of its hypervolume.

        No model of few trials is right about everything: a rounding that suits a membrane but not a weight, a narrow
        width that does better than a wider one, only a look shows. Real networks have such spots, and most of what a
        front gains late it gains from them. What costs more is left to the model, which expects the gains of wider
        widths.
        """
        rows, gains = data.rows[data.on_front], data.gains[data.on_front]
        if len(rows) == 0:
            return rows
        costs = cost_sign * self._known_values(rows)
        front = nondominated(costs, gains)
        worst = self._worst(rows, data, cost_sign)
        widths = np.diff(np.append(costs[front], worst)).clip(0)
        heights = np.diff(gains[front], prepend=_least_gain(data)).clip(0)
        # What each point alone dominates; a little for the others, or a front outside of the reference had none.
        shares = widths * heights + 1e-12
        order = self._rng.choice(front, len(front), replace=False, p=shares / shares.sum())
        nearby = [self._grid.neighbours(rows[i], self._rng) for i in order]
        near, limits = np.concatenate(nearby), np.repeat(costs[order], [len(points) for points in nearby])
        near_costs = cost_sign * self._known_values(near)
        return near[(near_costs < worst) & (near_costs <= np.minimum(limits, data.largest_cost))]

    def _promise(self, rows: Rows, data: Data, cost_sign: float, worst: float) -> Floats:
        """Hypervolume that each row is expected to add, averaged over the members of the ensemble, [rows].

        The average over members keeps what makes them differ: one that expects a plateau to begin two bits lower
        promises much there, and only there. A normal distribution with their mean and spread promises a little
        everywhere, and took three times as many trials.
        """
        costs = cost_sign * self._known_values(rows)
        front_costs = cost_sign * self._known_values(data.rows[data.on_front])
        front_gains = data.gains[data.on_front]
        if len(data.pending) > 0:
            # What is being evaluated is taken to turn out as expected, so that workers do not crowd.
            standing = self._model.standing(self._grid.features(data.pending)[0])
            fallen = (1 - standing) * data.gains.min()
            expected = (standing * self._predict(data.pending) + fallen).mean(axis=0)
            front_costs = np.append(front_costs, cost_sign * self._known_values(data.pending))
            front_gains = np.append(front_gains, expected)
        improvement = expected_hypervolume_improvement(
            costs,
            self._predict(rows),
            _SHARE_OF_NOISE * self._model.noise,
            (front_costs, front_gains),
            (worst, _least_gain(data)),
        )
        # What falls adds nothing.
        improvement = improvement * self._model.standing(self._grid.features(rows)[0])
        return improvement.mean(axis=0) * (costs <= data.largest_cost) * self._feasibility(rows, data)

    def _worst(self, rows: Rows, data: Data, cost_sign: float) -> float:
        """The cost that a point must be under to count: what was given, or the largest there is."""
        if self._reference is not None:
            return cost_sign * self._reference
        return float(max((cost_sign * self._known_values(part)).max() for part in (rows, data.rows)))

    def _feasibility(self, rows: Rows, data: Data) -> Floats:
        """Probability that a row keeps the constraints that bound no objective, [rows].

        Each is modelled like the objective, and rises or falls with a numeric parameter.
        """
        likelihood = np.ones(len(rows))
        for name in data.constraints:
            model = self._constraint_models[name]
            margins = model.predict(*self._grid.features(rows)) / model.noise
            likelihood = likelihood * ndtr(-margins).mean(axis=0)
        return likelihood

    def _hold(self, rows: Rows, fixed: Mapping[str, Any]) -> Rows:
        """``rows`` with the values that an enqueued trial fixes; such as are outside of the space are left alone."""
        for name, value in fixed.items():
            point = self._grid.encode({**self._grid.decode(rows[0]), name: value})
            if point is not None:
                i = self._grid.names.index(name)
                rows[:, i] = point[i]
        return rows

    def _known_values(self, rows: Rows) -> Floats:
        """The known objective of each row, [rows]."""
        if len(self._costs) > _SCANNED:
            self._costs.clear()
        for row in rows:
            if row.tobytes() not in self._costs:
                self._costs[row.tobytes()] = self._call_known(self._grid.decode(row))
        return np.array([self._costs[row.tobytes()] for row in rows])

    def _call_known(self, params: dict[str, Any]) -> float:
        try:
            value = float(self._known(params))
        except Exception as error:
            raise ValueError(
                f"known must give a number for every configuration, it raised {error!r} for {params}."
            ) from error
        if not math.isfinite(value):
            raise ValueError(f"known must give a finite number for every configuration, got {value} for {params}.")
        return value


def _all_of(number: float) -> str:
    return f"All {number:,.0f} configurations of the search space"


def _least_gain(data: Data) -> float:
    """The gain that a point must be over to count: the least there is, or what constraints ask for."""
    return max(float(data.gains.min()), data.least_gain)


def _stop(study: Study) -> None:
    """End ``study.optimize``, if that is what runs."""
    if study._thread_local.in_optimize_loop:
        study.stop()
