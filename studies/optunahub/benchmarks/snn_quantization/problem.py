"""Quantization of two spiking neural networks, every configuration of which was evaluated once."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution, json_to_distribution
from optuna.study import StudyDirection
from optuna.trial import TrialState
from optunahub.benchmarks import BaseProblem

_TABLES: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "tables.json").read_text())


class Problem(BaseProblem):
    """Memory in KiB, to be minimized, and accuracy, to be maximized, of a quantized spiking neural network.

    Args:
        name: "mnist" or "supervised".
        accuracy_floor: Accuracy below which a configuration is infeasible; without it all are feasible.

    Raises:
        ValueError: If there is no such network, or the floor is not between 0 and 1.
    """

    available_names = tuple(_TABLES)

    def __init__(self, name: str = "mnist", *, accuracy_floor: float | None = None) -> None:
        if name not in _TABLES:
            raise ValueError(f"name must be one of {list(_TABLES)}, got {name!r}.")
        if accuracy_floor is not None and not 0 <= accuracy_floor <= 1:
            raise ValueError(f"accuracy_floor must be between 0 and 1, got {accuracy_floor!r}.")
        table = _TABLES[name]
        self._space = {
            dimension: json_to_distribution(json.dumps(content)) for dimension, content in table["dimensions"].items()
        }
        self._kib = table["kib"]
        self._correct = [int(count) for count in table["correct"].split()]
        self._samples = table["samples"]
        self._floor = accuracy_floor
        self.float_accuracy: float = table["float_accuracy"]
        self.float_kib: float = table["float_kib"]
        self.chance: float = table["chance"]

    @property
    def search_space(self) -> dict[str, BaseDistribution]:
        """The scheme, the rounding, and the width of every parameter that is searched."""
        return dict(self._space)

    @property
    def directions(self) -> list[StudyDirection]:
        """Memory is minimized, accuracy maximized."""
        return [StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE]

    def memory(self, params: dict[str, Any]) -> float:
        """Memory in KiB, which needs no evaluation: a weighted sum of the widths."""
        widths = [slope * params[name] for name, slope in self._kib.items() if name != "constant"]
        return float(self._kib["constant"] + math.fsum(widths))

    def evaluate(self, params: dict[str, Any]) -> tuple[float, float]:
        """Memory in KiB and accuracy, a fraction.

        Raises:
            ValueError: If a parameter is missing, or its value is not of the search space.
        """
        place = 0
        for name, distribution in self._space.items():
            choices = _choices(distribution)
            if name not in params or params[name] not in choices:
                raise ValueError(f"params[{name!r}] must be one of {choices}, got {params.get(name)!r}.")
            place = place * len(choices) + choices.index(params[name])
        return self.memory(params), self._correct[place] / self._samples

    def evaluate_constraints(self, params: dict[str, Any]) -> dict[str, float]:
        """What is missing up to the floor, if there is one."""
        return {} if self._floor is None else {"accuracy_floor": self._floor - self.evaluate(params)[1]}

    def hypervolume(self, points: Iterable[Sequence[float]]) -> float:
        """Share of the area between no memory and the float network's, chance or the floor and 1, that is dominated.

        Args:
            points: Memory and accuracy of each.
        """
        bottom = self.chance if self._floor is None else self._floor
        area, best, end = 0.0, bottom, self.float_kib
        # What a point adds reaches from its own memory to the end, above what cheaper points have.
        for kib, accuracy in sorted(points, key=lambda point: (point[0], -point[1])):
            if kib < end and accuracy > best and (self._floor is None or accuracy >= self._floor):
                area += (end - kib) * (accuracy - best)
                best = accuracy
        return area / (self.float_kib * (1 - bottom))

    def regret(self, study: optuna.Study) -> float:
        """What the hypervolume of the best possible front has more than that of a study's finished trials."""
        found = [trial.values for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))]
        return self.hypervolume(self._everything()) - self.hypervolume(found)

    def _everything(self) -> list[tuple[float, float]]:
        points = []
        for place in range(len(self._correct)):
            params: dict[str, Any] = {}
            rest = place
            for name, distribution in reversed(self._space.items()):
                choices = _choices(distribution)
                rest, choice = divmod(rest, len(choices))
                params[name] = choices[choice]
            points.append((self.memory(params), self._correct[place] / self._samples))
        return points


def _choices(distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    assert isinstance(distribution, IntDistribution)
    return list(range(distribution.low, distribution.high + 1, distribution.step))
