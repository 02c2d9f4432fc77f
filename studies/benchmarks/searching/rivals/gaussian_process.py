"""A Gaussian process of BoTorch on accuracy alone, memory known: the strongest rival that models anything.

It has what the memory-aware sampler has but its model: the uniform widths to begin with, candidates around the front,
every fourth trial a cheaper neighbour of the front, and the closed form of the expected improvement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
from gpytorch.mlls import ExactMarginalLogLikelihood

from qspinn_optuna.sampler.known_objective.grid import Rows, SearchGrid
from qspinn_optuna.sampler.known_objective.improvement import expected_hypervolume_improvement
from searching.fronts import Array, nondominated
from searching.rivals.choices import Choices
from searching.rivals.proposals import Notes, Proposals

_BEGUN_WITH = (1.0, 0.5, 0.25, 0.75, 0.125, 0.0)
"""Fractions of the range of widths that the first trials have everywhere; schemes and roundings take turns."""

_NEIGHBOUR_EVERY = 4

_CANDIDATES = 1_000
"""Drawn from the whole space, and as many from around the front."""

_CLIMBS, _CLIMBED, _MUTANTS = 3, 20, 25
"""How often the best candidates are mutated, how many of them, and how many mutants of each."""

_FITTED_EACH = 30
"""Trials up to which hyperparameters are fitted anew in each; later in every fifth."""

_STEPS = 60
"""Iterations of a fit of the hyperparameters."""


def gaussian_process(notes: Notes) -> Proposals:
    """Uniform widths, then what is expected to add most to the front."""
    choices, rng = notes.choices, notes.rng
    grid = SearchGrid(choices.distributions)
    low, high = choices.ends
    for turn, fraction in enumerate(_BEGUN_WITH):
        setting = choices.settings[turn % len(choices.settings)]
        yield from notes.measure(choices.uniform(round(low + fraction * (high - low)), setting))
    process = Process(_features(grid))
    for trial in range(len(notes.params), 1_000_000):
        study = _Study(notes, grid)
        if trial % _NEIGHBOUR_EVERY == _NEIGHBOUR_EVERY - 1:
            ranking = study.cheaper_neighbours()
        else:
            process.fit(study.rows, study.accuracy, anew=trial <= _FITTED_EACH or trial % 5 == 0)
            ranking = study.best_first(process)
        row = next((row for row in ranking if notes.is_new(grid.decode(row))), None)
        yield from notes.measure(choices.drawn(rng) if row is None else grid.decode(row))


class _Study:
    """What was measured, in rows of a grid, and what may come next."""

    def __init__(self, notes: Notes, grid: SearchGrid) -> None:
        self._rng, self._grid = notes.rng, grid
        self._kib = _memory_of_rows(notes.choices, grid)
        self.rows = np.array([grid.encode(params) for params in notes.params])
        self.accuracy = np.array(notes.accuracy)
        self._memory = self._kib(self.rows)
        feasible = np.flatnonzero(self.accuracy >= notes.floor)
        self._front = feasible[nondominated(self._memory[feasible], -self.accuracy[feasible])]
        self._reference = (float(self._memory.max()), max(float(self.accuracy.min()), notes.floor))

    def best_first(self, process: Process) -> Iterator[Rows]:
        """Candidates by the hypervolume that they are expected to add."""
        around = self.rows[self._front] if len(self._front) else self.rows
        near = self._grid.mutate(np.repeat(around, -(-_CANDIDATES // len(around)), axis=0), self._rng)
        candidates = np.concatenate([self._grid.draw(_CANDIDATES, self._rng), near])
        expected = self._expected(process, candidates)
        for _ in range(_CLIMBS):
            best = candidates[np.argsort(-expected)[:_CLIMBED]]
            mutants = self._grid.mutate(np.repeat(best, _MUTANTS, axis=0), self._rng)
            candidates = np.concatenate([candidates, mutants])
            expected = np.concatenate([expected, self._expected(process, mutants)])
        yield from candidates[np.argsort(-expected)]

    def cheaper_neighbours(self) -> Iterator[Rows]:
        """Neighbours of the front that cost no more, first of the points that hold most of its area."""
        if len(self._front) == 0:
            return
        widths = np.diff(self._memory[self._front], append=self._reference[0]).clip(0)
        heights = np.diff(self.accuracy[self._front], prepend=self._reference[1])
        areas = widths * heights + 1e-12
        for place in self._rng.choice(self._front, len(self._front), replace=False, p=areas / areas.sum()):
            near = self._rng.permutation(self._grid.neighbours(self.rows[place]))
            yield from near[self._kib(near) <= self._memory[place]]

    def _expected(self, process: Process, rows: Rows) -> Array:
        mean, deviation = process.predict(rows)
        front = (self._memory[self._front], self.accuracy[self._front])
        return expected_hypervolume_improvement(self._kib(rows), mean, deviation, front, self._reference)


class Process:
    """A Gaussian process with a Matern kernel and a length for each dimension; a choice is a dimension of 0 and 1.

    Args:
        features: Of rows, [rows, dimensions] -> [rows, features], each from 0 to 1.
    """

    def __init__(self, features: Callable[[Rows], Array]) -> None:
        self._features = features
        self._hyperparameters: dict[str, torch.Tensor] = {}

    def fit(self, rows: Rows, values: Array, *, anew: bool) -> None:
        """Condition on values; of a few hyperparameters only if ``anew``, from where the last fit ended."""
        x = torch.as_tensor(self._features(rows))
        self._mean, self._scale = float(values.mean()), float(values.std()) or 1.0
        y = torch.as_tensor((values - self._mean) / self._scale)[:, None]
        kernel = get_covar_module_with_dim_scaled_prior(x.shape[1], use_rbf_kernel=False)
        model = SingleTaskGP(x, y, covar_module=kernel, outcome_transform=None)
        if self._hyperparameters:
            model.load_state_dict(self._hyperparameters)
        if anew or not self._hyperparameters:
            likelihood = ExactMarginalLogLikelihood(model.likelihood, model)
            fit_gpytorch_mll(likelihood, optimizer_kwargs={"options": {"maxiter": _STEPS}})
            self._hyperparameters = {name: value.clone() for name, value in model.state_dict().items()}
        model.eval()
        with torch.no_grad():
            self._points, self._kernel = x, model.covar_module
            noise = model.likelihood.noise + 1e-6
            self._constant = float(model.mean_module.constant)
            self._root = torch.linalg.cholesky(kernel(x).to_dense() + noise * torch.eye(len(x), dtype=x.dtype))
            self._weights = torch.cholesky_solve(y - self._constant, self._root)[:, 0]

    def predict(self, rows: Rows) -> tuple[Array, Array]:
        """Mean and standard deviation without noise, [rows] each."""
        with torch.no_grad():
            shared = self._kernel(torch.as_tensor(self._features(rows)), self._points).to_dense()
            mean = self._constant + shared @ self._weights
            explained = torch.linalg.solve_triangular(self._root, shared.T, upper=False).square().sum(0)
            deviation = (1 - explained).clamp_min(1e-8).sqrt()
        return self._mean + self._scale * mean.numpy(), self._scale * deviation.numpy()


def _features(grid: SearchGrid) -> Callable[[Rows], Array]:
    def features(rows: Rows) -> Array:
        coordinates, indicators = grid.features(rows)
        return np.concatenate([coordinates / grid.units, indicators], axis=1)

    return features


def _memory_of_rows(choices: Choices, grid: SearchGrid) -> Callable[[Rows], Array]:
    """Memory as a product of rows, which count steps from the narrowest width, and memory for each bit."""
    slopes = np.array([choices.kib_per_bit.get(name, 0.0) for name in grid.names])
    constant = choices.kib(grid.decode(np.zeros(len(grid.names))))
    return lambda rows: constant + rows @ slopes
