"""Optuna's search space as rows of numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

Rows = NDArray[np.float64]
"""Points of a space, [points, dimensions]: the index of the value in a dimension with steps, the fraction of the range
in a continuous one."""

MAX_UNITS = 16.0
"""Length of the longest dimension, in the units of the model. A step is one unit in a dimension with no more steps."""

_LARGEST_STEP = 3
"""Largest number of steps of a mutation, in a dimension with no more steps than :data:`MAX_UNITS`."""


class SearchGrid:
    """The points of a search space, and how to draw and change them.

    Args:
        distributions: The dimensions; those of a single value are left out.

    Raises:
        TypeError: If ``distributions`` is not a mapping to distributions.
        ValueError: If there is no dimension to search.
    """

    def __init__(self, distributions: Mapping[str, BaseDistribution]) -> None:
        if not (
            isinstance(distributions, Mapping)
            and all(isinstance(value, BaseDistribution) for value in distributions.values())
        ):
            raise TypeError(
                'search_space must be a dict of names and distributions, such as {"width": IntDistribution(1, 8)}, got '
                f"{distributions!r}."
            )
        self.distributions = {name: value for name, value in distributions.items() if not value.single()}
        if not self.distributions:
            raise ValueError(f"search_space must have a dimension of more than one value, got {dict(distributions)}.")
        self._single = {name: _single_value(value) for name, value in distributions.items() if value.single()}
        self.names = list(self.distributions)
        dimensions = list(self.distributions.values())
        self._dimensions = dimensions
        self._levels = np.array([_levels(dimension) for dimension in dimensions])
        self._categorical = [i for i, value in enumerate(dimensions) if isinstance(value, CategoricalDistribution)]
        self._numeric = [i for i in range(len(dimensions)) if i not in self._categorical]
        # Columns of the numeric dimensions whose fraction is that of the steps, and others with steps.
        stepped = [i for i in self._numeric if math.isfinite(self._levels[i])]
        self._curved = [self._numeric.index(i) for i in stepped if _is_log(dimensions[i])]
        self._stepped = [self._numeric.index(i) for i in stepped if not _is_log(dimensions[i])]
        self.cardinality: float = math.prod(self._levels.tolist())

    @property
    def all_names(self) -> set[str]:
        """Names of all dimensions, those of a single value included."""
        return {*self.names, *self._single}

    def cardinality_beside(self, held: Mapping[str, Any]) -> float:
        """Number of points that differ in what is not held; infinite if one of their dimensions is continuous."""
        return math.prod(
            levels for name, levels in zip(self.names, self._levels.tolist(), strict=True) if name not in held
        )

    @property
    def numeric(self) -> NDArray[np.intp]:
        """Columns of the numeric dimensions."""
        return np.array(self._numeric, np.intp)

    @property
    def units(self) -> NDArray[np.float64]:
        """Length of every numeric dimension in the units of the model, [numeric dimensions]."""
        return np.minimum(self._levels[self._numeric] - 1, MAX_UNITS)

    @property
    def categories(self) -> list[int]:
        """Number of choices of every categorical dimension."""
        return [int(self._levels[i]) for i in self._categorical]

    def features(self, rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Inputs of a model: coordinates [points, numeric dimensions] and indicators [points, choices]."""
        coordinates = self.units * self._fractions_of(rows)
        indicators = [np.eye(int(self._levels[i]))[rows[:, i].astype(int)] for i in self._categorical]
        return coordinates, np.concatenate(indicators, axis=1) if indicators else np.zeros((len(rows), 0))

    def on_axis(self, name: str, curve: Mapping[Any, float]) -> dict[float, float]:
        """A function of a numeric dimension with its values in the units of the model; other values are left out."""
        column = self.names.index(name)
        units = min(float(self._levels[column]) - 1, MAX_UNITS)
        rows = {value: _to_row(self.distributions[name], value) for value in curve}
        return {
            units * float(self._fractions(column, np.array([row]))[0]): curve[value]
            for value, row in rows.items()
            if row is not None
        }

    def encode(self, params: Mapping[str, Any]) -> Rows | None:
        """The row of a trial's parameters, [dimensions]; None if they are not a point of the space."""
        values = [_to_row(value, params[name]) for name, value in self.distributions.items() if name in params]
        if len(values) < len(self.names) or None in values:
            return None
        return np.array(values, np.float64)

    def decode(self, row: Rows) -> dict[str, Any]:
        """The parameters of a row, those of a single value included."""
        values = zip(self.distributions.items(), row.tolist(), strict=True)
        return {**self._single, **{name: _from_row(dimension, value) for (name, dimension), value in values}}

    def hold(self, rows: Rows, fixed: Mapping[str, Any]) -> Rows:
        """Copies of ``rows`` with the fixed values of some dimensions, as far as they are in the space."""
        held = rows.copy()
        for i, (name, dimension) in enumerate(self.distributions.items()):
            value = _to_row(dimension, fixed[name]) if name in fixed else None
            if value is not None:
                held[:, i] = value
        return held

    def identity(self, params: Mapping[str, Any]) -> bytes:
        """The row of a point's parameters as bytes, by which points are compared.

        A drawn row may differ from it in the last digit.
        """
        row = self.encode(params)
        assert row is not None
        return bytes(row.tobytes())

    def everything(self) -> Rows:
        """All points of a space with steps."""
        sizes = [int(levels) for levels in self._levels]
        return np.stack(np.unravel_index(np.arange(math.prod(sizes)), sizes), axis=1).astype(np.float64)

    def draw(self, points: int, rng: np.random.Generator) -> Rows:
        """Points drawn uniformly, on the logarithmic scale where the distribution asks for it."""
        rows = np.empty((points, len(self.names)))
        for i, (dimension, levels) in enumerate(zip(self._dimensions, self._levels, strict=True)):
            if math.isinf(levels) or _is_log(dimension):
                rows[:, i] = self._at_fractions(i, rng.random(points))
            else:
                rows[:, i] = rng.integers(0, int(levels), points)
        return rows

    def spread(self, fraction: float, shift: int) -> Rows:
        """The point at one fraction of all numeric ranges; the choices take turns with ``shift``."""
        row = np.array([float(self._at_fractions(i, np.array([fraction]))[0]) for i in range(len(self.names))])
        for place, i in enumerate(self._categorical):
            row[i] = (shift + place) % self._levels[i]
        return row

    def mutate(self, rows: Rows, rng: np.random.Generator) -> Rows:
        """Copies of ``rows`` changed in one to three dimensions, by a few steps or to another choice."""
        changed = rows.copy()
        changes = rng.integers(1, 4, len(rows))
        for change in range(3):
            where = np.where(change < changes, rng.integers(0, len(self.names), len(rows)), -1)
            by_dimension = np.argsort(where, kind="stable")
            bounds = np.searchsorted(where[by_dimension], np.arange(len(self.names) + 1)).tolist()
            for i, (dimension, levels) in enumerate(zip(self._dimensions, self._levels.tolist(), strict=True)):
                picked = by_dimension[bounds[i] : bounds[i + 1]]
                if isinstance(dimension, CategoricalDistribution):
                    changed[picked, i] = rng.integers(0, int(levels), len(picked))
                elif math.isinf(levels) or _is_log(dimension):
                    fractions = self._fractions(i, changed[picked, i]) + rng.normal(0, 0.1, len(picked))
                    changed[picked, i] = self._at_fractions(i, fractions.clip(0, 1))
                else:
                    largest = _LARGEST_STEP * math.ceil((levels - 1) / MAX_UNITS)
                    steps = rng.integers(1, largest + 1, len(picked)) * rng.choice((-1, 1), len(picked))
                    changed[picked, i] = (changed[picked, i] + steps).clip(0, levels - 1)
        return changed

    def neighbours(self, row: Rows) -> Rows:
        """All points that differ from a row in one dimension: by a step, or by another choice, [points, dimensions]."""
        changes: list[tuple[int, float]] = []
        for i, (dimension, levels) in enumerate(zip(self._dimensions, self._levels, strict=True)):
            if isinstance(dimension, CategoricalDistribution):
                changes += [(i, float(choice)) for choice in range(int(levels)) if choice != row[i]]
            else:
                step, highest = (1 / MAX_UNITS, 1.0) if math.isinf(levels) else (1.0, levels - 1)
                changes += [(i, value) for value in (row[i] - step, row[i] + step) if 0 <= value <= highest]
        changed = np.tile(row, (len(changes), 1))
        for point, (i, value) in zip(changed, changes, strict=True):
            point[i] = value
        return changed

    def _fractions_of(self, rows: Rows) -> NDArray[np.float64]:
        """Where in its range each numeric value lies, 0-1, [points, numeric dimensions]."""
        fractions = rows[:, self._numeric]
        fractions[:, self._stepped] /= self._levels[self._numeric][self._stepped] - 1
        for column in self._curved:
            fractions[:, column] = self._fractions(self._numeric[column], fractions[:, column])
        return fractions

    def _fractions(self, i: int, column: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where in its range each value of a dimension lies, 0-1."""
        dimension, levels = self._dimensions[i], self._levels[i]
        if math.isinf(levels):
            return column
        if isinstance(dimension, IntDistribution) and dimension.log:
            return np.log1p(column / dimension.low) / math.log(dimension.high / dimension.low)
        return column / (levels - 1)

    def _at_fractions(self, i: int, fractions: NDArray[np.float64]) -> NDArray[np.float64]:
        """The values of a dimension nearest to fractions of its range."""
        dimension, levels = self._dimensions[i], self._levels[i]
        if math.isinf(levels):
            return fractions
        if isinstance(dimension, IntDistribution) and dimension.log:
            return np.rint(dimension.low * ((dimension.high / dimension.low) ** fractions - 1))
        return np.rint(fractions * (levels - 1))


def _levels(dimension: BaseDistribution) -> float:
    """Number of values of a dimension, infinite if it is continuous."""
    if isinstance(dimension, CategoricalDistribution):
        return len(dimension.choices)
    if isinstance(dimension, IntDistribution):
        return (dimension.high - dimension.low) // dimension.step + 1
    assert isinstance(dimension, FloatDistribution)
    return math.inf if dimension.step is None else round((dimension.high - dimension.low) / dimension.step) + 1


def _is_log(dimension: BaseDistribution) -> bool:
    return isinstance(dimension, IntDistribution | FloatDistribution) and dimension.log


def _single_value(dimension: BaseDistribution) -> Any:
    if isinstance(dimension, CategoricalDistribution):
        return dimension.choices[0]
    assert isinstance(dimension, IntDistribution | FloatDistribution)
    return dimension.low


def _to_row(dimension: BaseDistribution, param: Any) -> float | None:
    """The number of a parameter's value in a row; None if the dimension does not have this value."""
    try:
        value = dimension.to_internal_repr(param)
    except ValueError:
        return None
    if not dimension._contains(value):
        return None
    if isinstance(dimension, CategoricalDistribution):
        return value
    assert isinstance(dimension, IntDistribution | FloatDistribution)
    if dimension.step is not None:
        return round((value - dimension.low) / dimension.step)
    if dimension.log:
        return math.log(value / dimension.low) / math.log(dimension.high / dimension.low)
    return (value - dimension.low) / (dimension.high - dimension.low)


def _from_row(dimension: BaseDistribution, value: float) -> Any:
    """The inverse of :func:`_to_row`."""
    if isinstance(dimension, CategoricalDistribution):
        return dimension.choices[int(value)]
    if isinstance(dimension, IntDistribution):
        return dimension.low + int(value) * dimension.step
    assert isinstance(dimension, FloatDistribution)
    if dimension.step is not None:
        return min(dimension.low + value * dimension.step, dimension.high)
    if dimension.log:
        return min(max(dimension.low * (dimension.high / dimension.low) ** value, dimension.low), dimension.high)
    return min(dimension.low + value * (dimension.high - dimension.low), dimension.high)
