"""Hypervolume, and its expected improvement by points of known cost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]


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


def expected_improvement(mean: Floats, deviation: Floats, best: float) -> Floats:
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
    deviations = np.broadcast_to(deviations, means.shape)
    total = np.zeros_like(means)
    for low, high, height in zip(edges[:-1], edges[1:], heights, strict=True):
        widths = (high - np.maximum(costs, low)).clip(0)
        reached = np.flatnonzero(widths)
        gain = expected_improvement(means[..., reached], deviations[..., reached], height)
        total[..., reached] += widths[reached] * gain
    return total
