"""What is known of the configurations of a study, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .grid import Rows
from .improvement import nondominated

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Observation:
    """The modelled objective of one configuration.

    Attributes:
        value: What was observed.
        weight: 1 for a value as exact as any, less for an estimate.
    """

    value: float
    weight: float = 1.0


@dataclass(frozen=True)
class Front:
    """The feasible trials that no other one dominates, by ascending cost.

    Attributes:
        rows: Their configurations, [points, dimensions].
        costs: Their costs, [points].
        gains: Their gains, [points].
    """

    rows: Rows
    costs: Floats
    gains: Floats


@dataclass(frozen=True)
class Observations:
    """A study as a model sees it; gains are to be maximized, costs to be minimized.

    Attributes:
        rows: Configurations whose gain was observed, [observations, dimensions].
        costs: Their costs, [observations].
        gains: Their gains, [observations].
        weights: How much each counts, [observations].
        feasible: Which of them are complete and feasible trials, [observations].
        pending: Configurations that are being evaluated, [pending, dimensions].
        required_gain: The least feasible gain; minus infinity without a bound.
        largest_cost: The largest feasible cost; infinity without a bound.
        constraints: Of every other constraint the configurations that have it, [trials, dimensions], and its values,
            [trials], which are at most 0 where it is kept.
    """

    rows: Rows
    costs: Floats
    gains: Floats
    weights: Floats
    feasible: NDArray[np.bool_]
    pending: Rows
    required_gain: float
    largest_cost: float
    constraints: Mapping[str, tuple[Rows, Floats]]

    @cached_property
    def front(self) -> Front:
        """The front of the feasible trials, which may be empty."""
        rows, costs, gains = self.rows[self.feasible], self.costs[self.feasible], self.gains[self.feasible]
        order = nondominated(costs, gains)
        return Front(rows[order], costs[order], gains[order])

    @property
    def reference_gain(self) -> float:
        """The gain that a configuration must exceed to count: the least observed one, or the required one."""
        return max(float(self.gains.min()), self.required_gain)
