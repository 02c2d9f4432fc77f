"""The way down from the largest values of all dimensions: at each step what loses least for the cost that it saves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .grid import MAX_UNITS, Rows, SearchGrid

Floats = NDArray[np.float64]
Levels = NDArray[np.intp]

_LEAST_KEPT = 1e-3
"""Share of the gain below which a further loss does not count."""


def descent(grid: SearchGrid, gains: Callable[[Rows], Floats], cost: Callable[[Rows], Floats], top: Rows) -> Rows:
    """Points from one with the largest numeric values down, along the best compromises of gain and cost.

    What a dimension loses is taken to multiply with what the others lose, and costs to add up: near enough to find
    candidates, of which the exact cost is computed anyway. The loss is the mean over the members of an ensemble, so a
    dimension of which they think differently counts as a sensitive one.

    Args:
        grid: The search space.
        gains: Of rows, by each member, [rows] -> [members, rows]; 0 is the gain that nothing falls below.
        cost: Of rows, to be minimized.
        top: The point to begin at, [dimensions]; its numeric values are the largest ones.

    Returns:
        [points, dimensions], the most costly point first.
    """
    kept = gains(np.concatenate([one_by_one(grid, top), top[None]])).clip(0)
    shares = (kept[:, :-1] / np.maximum(kept[:, -1:], 1e-300)).clip(_LEAST_KEPT, 1)
    losses = -np.log(shares).mean(axis=0).reshape(-1, len(grid.numeric)).T
    return way_down(grid, losses, cost, top)


def way_down(grid: SearchGrid, losses: Floats, cost: Callable[[Rows], Floats], top: Rows) -> Rows:
    """Points from one with the largest numeric values down, at each step what loses least for the cost that it saves.

    Args:
        grid: The search space.
        losses: Of every value of every numeric dimension, the smallest first, [numeric dimensions, levels].
        cost: Of rows, to be minimized.
        top: The point to begin at, [dimensions].

    Returns:
        [points, dimensions], the most costly point first.
    """
    values = levels(grid)[:, grid.numeric]
    ways = steps_down(losses, cost(one_by_one(grid, top)).reshape(values.shape).T)
    found = np.repeat(top[None], len(ways), axis=0)
    found[:, grid.numeric] = np.take_along_axis(values, ways, axis=0)
    return found


def one_by_one(grid: SearchGrid, top: Rows) -> Rows:
    """Points that differ from one in a single numeric dimension, [levels x numeric dimensions, dimensions]."""
    values = levels(grid)[:, grid.numeric]
    rows = np.repeat(top[None], values.size, axis=0)
    rows[np.arange(values.size), np.tile(grid.numeric, len(values))] = values.ravel()
    return rows


def levels(grid: SearchGrid) -> Rows:
    """Points from the smallest to the largest values of all numeric dimensions, evenly, [levels, dimensions]."""
    count = int(min(grid.units.max(), MAX_UNITS)) + 1
    return np.array([grid.spread(fraction, 0) for fraction in np.linspace(0, 1, count)])


def steps_down(losses: Floats, costs: Floats) -> Levels:
    """Levels of all dimensions, from the highest ones down, always by the step that loses least for what it saves.

    Each combination on the way loses least of all that cost as little, as long as losses and costs add up: marginal
    analysis on the lower convex hulls (Shoham and Gersho 1988, https://doi.org/10.1109/29.90373).

    Args:
        losses: Of every level, [dimensions, levels].
        costs: Likewise; no level costs less than a lower one.

    Returns:
        [steps + 1, dimensions].
    """
    dimensions, count = losses.shape
    at = np.full(dimensions, count - 1)
    steps: list[tuple[float, int, int, int]] = []
    each = np.arange(dimensions)
    for number in range(count):
        saved = costs[each, at][:, None] - costs
        with np.errstate(divide="ignore", invalid="ignore"):
            rates = np.where(saved > 0, (losses - losses[each, at][:, None]) / saved, np.inf)
        # Of equal rates the longest step.
        best = rates.argmin(axis=1)
        lowest = rates[each, best]
        for i in np.flatnonzero(np.isfinite(lowest)).tolist():
            steps.append((float(lowest[i]), number, i, int(best[i])))
        at = np.where(np.isfinite(lowest), best, at)
    ways = [np.full(dimensions, count - 1)]
    for _, _, i, level in sorted(steps):
        ways.append(ways[-1].copy())
        ways[-1][i] = level
    return np.array(ways, np.intp)
