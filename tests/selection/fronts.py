"""Hand-made fronts, whose numbers an oracle reads as exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction

from hypothesis import strategies as st

from qspinn_optuna import Candidate, ParetoFront, Rounding, Scheme
from tests.fake_workload import fake_space

CONFIG = fake_space().uniform(4, Scheme.PTQ, Rounding.NEAREST)
BASELINE_KIB = 64.0
SAMPLES = 200

Point = tuple[int, int]
"""(memory in KiB, correct answers of 200)."""

points = st.lists(st.tuples(st.integers(1, 64), st.integers(0, SAMPLES)), min_size=1, max_size=12)
"""Candidates of hand-made fronts, dominated ones and duplicates included, in any order."""


def front_of(counts: list[Point], samples: int | None = SAMPLES) -> ParetoFront:
    """A front of candidates in this order; without ``samples`` they have no standard errors."""
    candidates = [
        Candidate(number, CONFIG, float(memory), BASELINE_KIB / memory, correct / SAMPLES, samples)
        for number, (memory, correct) in enumerate(counts)
    ]
    return ParetoFront(tuple(candidates), BASELINE_KIB)


def accuracy(point: Point) -> Fraction:
    return Fraction(point[1], SAMPLES)


def squared_error(*of: Point) -> Fraction:
    """Variance of an accuracy, or of the difference of two; a standard error would be a rounded root."""
    return sum((accuracy(point) * (1 - accuracy(point)) / SAMPLES for point in of), Fraction(0))


def is_within(lead: Fraction, squared: Fraction) -> bool:
    """Whether a lead is at most the root of a variance."""
    return bool(lead <= 0 or lead * lead <= squared)


def is_boundary(lead: Fraction, squared: Fraction) -> bool:
    """Whether a lead is so close to the error that floating point may decide either way."""
    return abs(float(lead) - math.sqrt(squared)) < 1e-9
