"""The two objectives of a study: one is known without an evaluation, the other one is modelled."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.study import Study, StudyDirection

from .grid import Rows, SearchGrid
from .linear import Linear

Floats = NDArray[np.float64]

_CACHED = 1_000_000
"""Configurations whose known objective is kept."""


@dataclass(frozen=True)
class Objectives:
    """The place and the sign of each objective of a study.

    Attributes:
        known: Index of the known objective, 0 or 1.
        cost_sign: 1 or -1; times the known objective it is a cost, to be minimized.
        gain_sign: 1 or -1; times the modelled objective it is a gain, to be maximized.
    """

    known: int
    cost_sign: float
    gain_sign: float

    @classmethod
    def of(cls, study: Study, known: int) -> Objectives:
        """The objectives of a study, of which the one with the index ``known`` is known."""
        signs = [-1.0 if direction is StudyDirection.MAXIMIZE else 1.0 for direction in study.directions]
        return cls(known, signs[known], -signs[1 - known])

    @property
    def modelled(self) -> int:
        """Index of the modelled objective."""
        return 1 - self.known


class KnownObjective:
    """The known objective of rows of a grid. Its values are kept, since candidates recur.

    Args:
        function: The known objective of a dict of parameters; a :class:`.Linear` one is not called row by row.
        grid: The search space.
    """

    def __init__(self, function: Callable[[dict[str, Any]], float], grid: SearchGrid) -> None:
        self._function = function
        self._grid = grid
        self._values: dict[bytes, float] = {}
        self._linear = function.in_rows(grid) if isinstance(function, Linear) else None

    def __call__(self, rows: Rows) -> Floats:
        """The value of each row, [rows].

        Raises:
            ValueError: If the function fails, or gives no finite number.
        """
        if self._linear is not None:
            constant, slopes = self._linear
            values: Floats = constant + rows @ slopes
            return values
        if len(self._values) > _CACHED:
            self._values.clear()
        for row in rows:
            if row.tobytes() not in self._values:
                self._values[row.tobytes()] = self._call(self._grid.decode(row))
        return np.array([self._values[row.tobytes()] for row in rows])

    def _call(self, params: dict[str, Any]) -> float:
        try:
            value = float(self._function(params))
        except Exception as error:
            raise ValueError(
                f"known must give a number for every configuration, it raised {error!r} for {params}."
            ) from error
        if not math.isfinite(value):
            raise ValueError(f"known must give a finite number for every configuration, got {value} for {params}.")
        return value
