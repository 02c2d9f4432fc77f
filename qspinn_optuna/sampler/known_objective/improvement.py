"""Hypervolume, and what a point of known cost is expected to add to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]


def nondominated(costs: Floats, gains: Floats) -> NDArray[np.intp]:
    """Numbers of the points that no other one beats in a cost to minimize and a gain to maximize, by ascending cost.

    Of equal points one is kept.
    """
    order = np.lexsort((-gains, costs))
    ordered = gains[order]
    # NOTE: in this order a point is dominated, or seen, unless it gains more than all before it.
    best_before = np.maximum.accumulate(np.concatenate(([-np.inf], ordered[:-1])))
    front: NDArray[np.intp] = order[ordered > best_before]
    return front


def hypervolume(costs: Floats, gains: Floats, reference: tuple[float, float]) -> float:
    """The area between the front of the points and a reference point of (cost, gain) that they have to beat."""
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
    """What points of known costs and normal gains are expected to add to the hypervolume of a front.

    The front cuts the costs into strips, in each of which its height h is constant. A point improves a strip from its
    own cost on, by what its gain is above h; so the expectation is the sum over the strips of

        (width of the strip from the point's cost on) x E[max(0, gain - h)].

    Args:
        costs: Of the candidates, [candidates].
        means: Of their gains, [..., candidates].
        deviations: Standard deviations of their gains, positive, to be broadcast with ``means``.
        front: Costs and gains of the points of the front, in any order, [points] each; it may be empty.
        reference: Cost and gain that a point must beat to count.

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
