"""Hypervolume, and its expected improvement by points of known cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

_CERTAIN, _HOPELESS = 9.0, 38.0
"""Standard deviations beyond which a normal gain exceeds a height for sure, or never: to the last digit the expected
improvement is then the difference of the means, or 0."""


def nondominated(costs: Floats, gains: Floats) -> NDArray[np.intp]:
    """Indices of the points that no other one dominates, by ascending cost; of equal points one is kept.

    Args:
        costs: To be minimized, [points].
        gains: To be maximized, [points].
    """
    order = np.lexsort((-gains, costs))
    ordered = gains[order]
    # NOTE: in this order a point is dominated by, or equal to, one before it, unless it gains more than all of them.
    best_before = np.maximum.accumulate(np.concatenate(([-np.inf], ordered[:-1])))
    front: NDArray[np.intp] = order[ordered > best_before]
    return front


def hypervolume(costs: Floats, gains: Floats, reference: tuple[float, float]) -> float:
    """The area between the front of the points and a reference point of (cost, gain) that they have to dominate."""
    better = (costs < reference[0]) & (gains > reference[1])
    costs, gains = costs[better], gains[better]
    front = nondominated(costs, gains)
    widths = np.diff(np.append(costs[front], reference[0]))
    return float(widths @ (gains[front] - reference[1]))


def expected_improvement(mean: Floats, deviation: Floats, best: float | Floats) -> Floats:
    """E[max(0, Y - best)] of normal Y (Jones, Schonlau and Welch 1998, https://doi.org/10.1023/A:1008306431147)."""
    standard = (mean - best) / deviation
    density = np.exp(-0.5 * standard**2) / np.sqrt(2 * np.pi)
    return deviation * (standard * ndtr(standard) + density)


def expected_hypervolume_improvement(
    costs: Floats,
    means: Floats,
    deviations: Floats,
    front: tuple[Floats, Floats],
    reference: tuple[float, float],
) -> Floats:
    """The hypervolume that points of known costs and normal gains are expected to add to a front.

    The front cuts the costs into strips, in each of which its height h is constant. A point improves a strip from its
    own cost on, by the difference of its gain and h; so the expectation is the sum over the strips of

        (width of the strip from the point's cost on) x E[max(0, gain - h)].

    Args:
        costs: Costs of the candidates, [candidates].
        means: Means of their gains, [..., candidates].
        deviations: Standard deviations of their gains, positive, to be broadcast with ``means``.
        front: Costs and gains of the points of the front, in any order, [points] each; it may be empty, and have
            dominated points.
        reference: Cost and gain that a point must be better than to count.

    Returns:
        The expectations, [..., candidates].
    """
    better = (front[0] < reference[0]) & (front[1] > reference[1])
    front_costs, front_gains = front[0][better], front[1][better]
    order = nondominated(front_costs, front_gains)
    edges = np.concatenate(([-np.inf], front_costs[order], [reference[0]]))
    heights = np.concatenate(([reference[1]], front_gains[order]))
    strips = _Strips(edges, heights)
    candidates = _Candidates(
        np.broadcast_to(np.minimum(costs, reference[0]), means.shape).ravel(),
        means.ravel(),
        np.broadcast_to(deviations, means.shape).ravel(),
    )
    # Of each candidate the strip of its cost, the first that it may fail to surpass, and the first out of reach.
    start = np.searchsorted(edges[1:-1], candidates.costs, side="right")
    uncertain = np.searchsorted(heights, candidates.means - _CERTAIN * candidates.deviations)
    hopeless = np.searchsorted(heights, candidates.means + _HOPELESS * candidates.deviations)
    certain = _certain_improvement(candidates, strips, start, np.maximum(start, uncertain))
    total = certain + _uncertain_improvement(candidates, strips, np.maximum(start, uncertain), hopeless)
    return total.reshape(means.shape)


@dataclass(frozen=True)
class _Candidates:
    """Costs, and means and standard deviations of gains, [candidates] each."""

    costs: Floats
    means: Floats
    deviations: Floats


@dataclass(frozen=True)
class _Strips:
    """Edges of strips of the costs, of which the first one is minus infinity, [strips + 1], and heights, [strips]."""

    edges: Floats
    heights: Floats


def _certain_improvement(candidates: _Candidates, strips: _Strips, start: Places, end: Places) -> Floats:
    """Hypervolume above the strips from ``start`` up to ``end``, which a candidate surpasses for sure."""
    edges, heights = strips.edges, strips.heights
    # Area under the front from the first finite edge to each edge; from minus infinity on, it is not needed.
    areas = np.concatenate(([0.0, 0.0], np.cumsum(np.diff(edges[1:]) * heights[1:])))
    width = edges[np.maximum(end, 1)] - candidates.costs
    below = (edges[start + 1] - candidates.costs) * heights[start] + areas[end] - areas[start + 1]
    return np.where(end > start, width * candidates.means - below, 0.0)


def _uncertain_improvement(candidates: _Candidates, strips: _Strips, start: Places, end: Places) -> Floats:
    """Expected hypervolume above the strips from ``start`` up to ``end``."""
    sizes = (end - start).clip(0)
    which = np.repeat(np.arange(len(sizes)), sizes)
    strip = np.arange(len(which)) + np.repeat(start - np.cumsum(sizes) + sizes, sizes)
    widths = strips.edges[strip + 1] - np.maximum(candidates.costs[which], strips.edges[strip])
    gains = expected_improvement(candidates.means[which], candidates.deviations[which], strips.heights[strip])
    total: Floats = np.bincount(which, widths * gains, minlength=len(sizes)).astype(np.float64, copy=False)
    return total
