"""A sampler for studies of two objectives of which one is a known function of the parameters."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from .acquisition import Acquisition, Cost
from .claims import Claims
from .constraints import Threshold
from .draws import fresh_seed, place_of, seeds_of
from .expectation import Beginning, curves_of
from .fixed import FixedParams, enqueued_params, held_params
from .grid import Rows, SearchGrid
from .history import SUGGESTED, History
from .initial_design import FRACTIONS, initial_design
from .maximizer import Maximizer
from .objectives import KnownObjective, Objectives
from .observations import Observation, Observations
from .probes import probes
from .surrogate import Surrogate

_NEIGHBOUR_EVERY = 4
"""One suggestion of so many is a neighbour of the front that costs no more, with more doubt in the model.

A model of few trials misses single good spots: a rounding that suits one parameter but not another, a narrow width that
does better than a wider one. Only an evaluation shows them, and most of what a front gains late it gains there.
"""

_DOUBT = 0.02
"""Of the model's expectations of neighbours, as a share of the range of the observed gains."""


_MANY = 64
"""Numeric dimensions from which on a space has many."""

_PROBED_FROM, _DESCENDED_FROM = 24, 40
"""Trials after which, in many dimensions, every second suggestion narrows one alone, and after which the way down that
the model then expects has candidates.

Before, suggestions that change a few dimensions gain more. Later they stall: what a trial says of eighty dimensions at
once is less than the noise.
"""


class KnownObjectiveSampler(BaseSampler):
    """Samples studies of two objectives, one of which is a known function of the parameters.

    Memory, the number of parameters, the price of a configuration: what a formula gives needs no model and no trial.
    Only the other objective is modelled, by an ensemble of fits that saturate in every numeric parameter. Candidates
    are ranked by the hypervolume that they are expected to add to the front, averaged over the fits.

    No configuration is suggested twice while there are others, with any number of workers on one storage; those of
    running, failed and pruned trials count as suggested. When all are suggested, ``study.optimize`` ends. Values that
    an enqueued trial or a ``PartialFixedSampler`` around this sampler fixes are kept, and the other ones chosen for
    them.

    What is suggested follows from the seed and the study: with one worker, a study that is stopped and continued by a
    new sampler of the same seed has the trials of an undisturbed one.

    Constraints that bound an objective are recognized, and bound what counts as an improvement; others are modelled
    like the objective, and a candidate counts as far as it is likely to keep them. Parameters that are not in
    ``search_space`` are sampled independently at random, and configurations are repeated for them when all are seen.

    Example:
        >>> widths = {"bits": optuna.distributions.IntDistribution(2, 8)}
        >>> sampler = KnownObjectiveSampler(widths, known=lambda params: params["bits"], seed=0)
        >>> study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler)
        >>> study.optimize(lambda trial: ((bits := trial.suggest_int("bits", 2, 8)), 1 - 2.0**-bits), n_trials=5)
        >>> len({trial.params["bits"] for trial in study.trials})
        5

    Args:
        search_space: The distributions from which the objective suggests.
        known: The known objective, a function of the parameters. It is called a few thousand times a suggestion;
            a :class:`.Linear` one is computed at once.
        index: Which of the two objectives it is.
        reference: What the known objective must be better than to count; the worst one of all candidates and trials if
            not given.
        increasing: Whether the other objective is expected to get better the larger a numeric parameter is. Otherwise
            both directions are equally likely.
        seed: Seed of all random draws. Every worker needs its own.

    Raises:
        TypeError: If ``known`` cannot be called, or ``search_space`` is not a mapping to distributions.
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
        self._known = KnownObjective(known, self._grid)
        self._index = index
        self._reference = reference
        self._has_many = increasing and len(self._grid.numeric) >= _MANY
        self._seed = fresh_seed() if seed is None else seed
        self._surrogate = Surrogate(
            self._grid, increasing=increasing, seed=int(np.random.default_rng(self._seed).integers(2**31))
        )
        self._history = History(self._grid, self._known, self._observe)
        self._claims = Claims(self._grid, self._history)
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        # A lock does not pickle, and a copy needs one of its own.
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    def reseed_rng(self) -> None:
        """Draw from now on what no copy of this sampler draws."""
        self._seed = fresh_seed()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The search space; empty in a study of other objectives, or if an enqueued trial fixes all of it."""
        if len(study.directions) != 2 or self._grid.distributions.keys() <= enqueued_params(trial).keys():
            return {}
        return dict(self._grid.distributions)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The unseen configuration with the largest acquisition value.

        Raises:
            SpaceExhausted: If there is none.
            ValueError: If the study has other objectives, or ``known`` fails or gives no finite number.
        """
        fixed = FixedParams.of(study, trial, self._grid.distributions)
        if search_space != {name: own for name, own in self._grid.distributions.items() if name not in fixed.held}:
            # An unknown sampler that wraps this one holds some parameters, without which nothing is known.
            return {name: self._draw(study, trial, name, distribution) for name, distribution in search_space.items()}
        self._check_study(study)
        rng = np.random.default_rng(seeds_of(self._seed, study, trial))
        with self._lock:
            ranking = self._rank(study, trial, fixed.values, rng)
            params = self._claims.claim(study, trial, ranking, fixed, rng)
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
        return self._draw(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """End an optimization that has seen every configuration."""
        del state, values
        self._check_distributions(trial)
        if len(study.directions) == 2:
            self._claims.stop_if_exhausted(study, trial, held_params(study.sampler))

    def _draw(self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution) -> Any:
        """A random value of one parameter."""
        seed = int(seeds_of(self._seed, study, trial, name).generate_state(1)[0])
        return RandomSampler(seed).sample_independent(study, trial, name, distribution)

    def _rank(
        self, study: Study, trial: FrozenTrial, fixed: Mapping[str, Any], rng: np.random.Generator
    ) -> Iterator[Rows]:
        """Rows of candidates, the best first. Later ones are computed only when all earlier ones are taken."""
        objectives = Objectives.of(study, self._index)
        further, threshold = self._further_observations(study), self._threshold(study)
        observations = self._history.read(study, trial, objectives, further=further, threshold=threshold)
        maximizer = Maximizer(self._grid, fixed, rng)

        def cost(rows: Rows) -> NDArray[np.float64]:
            return objectives.cost_sign * self._known(rows)

        place = place_of(study, trial)
        curves, beginning = self._expectation(study, cost, fixed)
        begins = len(observations.gains) < len(FRACTIONS)
        if begins:
            first = self._initial_design() if beginning is None else beginning.rows(observations)
            yield from self._grid.hold(first, fixed)
        if len(observations.gains) == 0:
            yield from maximizer.draw()
            return
        if self._has_many and place >= _PROBED_FROM and place % 2 == 0:
            yield from self._grid.hold(probes(self._grid, cost, self._initial_design()[0]), fixed)
        is_refuted = beginning is not None and beginning.is_refuted(observations)
        self._surrogate.fit(observations, None if is_refuted else curves)
        reference = None if self._reference is None else objectives.cost_sign * self._reference
        yield from self._maximize(maximizer, observations, cost, reference, place)

    def _maximize(
        self, maximizer: Maximizer, observations: Observations, cost: Cost, reference: float | None, place: int
    ) -> Iterator[Rows]:
        """Candidates by descending acquisition value, of every fourth trial after neighbours of the front."""
        candidates = maximizer.candidates(observations)
        if self._has_many and place >= _DESCENDED_FROM:
            way_down = maximizer.descent(observations, self._surrogate, cost)
            candidates = np.concatenate([candidates, way_down])
        worst_seen = float(observations.costs.max())
        worst = max(worst_seen, float(cost(candidates).max()))
        if reference is not None:
            worst_seen = worst = reference
        if place % _NEIGHBOUR_EVERY == _NEIGHBOUR_EVERY - 1:
            near = maximizer.neighbours(observations, cost, reference_cost=worst_seen)
            doubtful = Acquisition(self._surrogate, observations, cost, reference_cost=worst, doubt=_DOUBT)
            yield from maximizer.best_first(near, doubtful(near))
        acquisition = Acquisition(self._surrogate, observations, cost, reference_cost=worst)
        candidates, values = maximizer.climb(candidates, acquisition)
        yield from maximizer.best_first(candidates, values)

    def _initial_design(self) -> Rows:
        """The configurations with which a study begins, [points, dimensions]."""
        return initial_design(self._grid)

    def _expectation(
        self, study: Study, cost: Cost, fixed: Mapping[str, Any]
    ) -> tuple[NDArray[np.float64] | None, Beginning | None]:
        """Knees and slopes that are expected, and how the study begins with them; None for what there is not."""
        losses = self._expected_losses(study)
        curves = None if losses is None else curves_of(self._grid, losses)
        if curves is None or not self._begins_as_expected:
            return curves, None
        return curves, Beginning.of(self._grid, curves, cost, self._grid.hold(self._initial_design(), fixed))

    def _expected_losses(self, study: Study) -> Mapping[str, Mapping[Any, float]] | None:
        """Share of the modelled objective that single dimensions lose at some values; None if nothing is expected."""
        del study
        return None

    @property
    def _begins_as_expected(self) -> bool:
        """Whether the first trials follow what is expected; otherwise it counts for the model alone."""
        return True

    def _observe(self, trial: FrozenTrial) -> Observation | None:
        """What a finished trial tells about the modelled objective."""
        if trial.state is TrialState.COMPLETE and all(math.isfinite(value) for value in trial.values):
            return Observation(trial.values[1 - self._index])
        return None

    def _further_observations(self, study: Study) -> Iterable[tuple[Mapping[str, Any], Observation]]:
        """Observations that the study has beside its trials."""
        del study
        return ()

    def _threshold(self, study: Study) -> Threshold | None:
        """What the modelled objective must reach; None if only constraints tell."""
        del study
        return None

    def _check_study(self, study: Study) -> None:
        """Refuse a study whose objectives this sampler was not made for."""
        if len(study.directions) != 2:
            raise ValueError(
                f"The study must have two objectives, one of them known, got {len(study.directions)}: make it with "
                'directions such as ["minimize", "maximize"].'
            )

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
