"""Every configuration of a space, evaluated once and kept: research on samplers and pruners then trains nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution, IntDistribution

from qspinn_optuna import (
    Deployment,
    InexactError,
    ParameterSpec,
    QFormat,
    QuantizationConfig,
    QuantizationSpace,
    Rounding,
    Scheme,
)

REFUSED = -1
"""Count of a configuration that the workload cannot carry exactly."""

MISSING = -2
"""Count of a configuration that has not been evaluated yet."""


@dataclass(frozen=True)
class EvaluationTable:
    """The evaluations of all configurations of a space; a :class:`~qspinn_optuna.Workload` that looks them up.

    Args:
        space: What was evaluated.
        correct: Correct answers of each configuration among the samples seen at each look, int32
            [configurations, looks]; configurations in the order of :meth:`row`.
        seen: Samples seen at each look, int32 [looks].
        baseline: Accuracy of the float network on the same samples.
        description: What was evaluated, and how.
    """

    space: QuantizationSpace
    correct: NDArray[np.int32]
    seen: NDArray[np.int32]
    baseline: float
    description: Mapping[str, Any]

    @property
    def parameters(self) -> tuple[ParameterSpec, ...]:
        """What was quantized."""
        return self.space.parameters

    @property
    def deployment(self) -> Deployment:
        """What the device does."""
        return self.space.deployment

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """Of each configuration after all samples, [configurations]; NaN where the workload refused."""
        last = self.correct[:, -1].astype(np.float64)
        return np.where(last < 0, np.nan, last / self.seen[-1])

    def row(self, params: Mapping[str, Any]) -> int:
        """Number of the configuration with these trial parameters."""
        number = 0
        for name, choices in choices_of(self.space).items():
            number = number * len(choices) + choices.index(params[name])
        return number

    def evaluate(self, config: QuantizationConfig, seed: int) -> Iterator[tuple[int, int]]:
        """The counts that were measured, their samples in an order drawn for the configuration and ``seed``.

        Pruners rely on samples in random order, and not every measurement was in one. Of the answers in random order,
        those up to a look are a draw without replacement from all: hypergeometric counts.
        """
        row = self.row(self.space.params(config))
        if self.correct[row, -1] == REFUSED:
            raise InexactError("The workload refused this configuration when the table was made.")
        generator = np.random.default_rng([seed, row])
        right, wrong, correct = int(self.correct[row, -1]), int(self.seen[-1] - self.correct[row, -1]), 0
        for size, seen in zip(np.diff(self.seen, prepend=0).tolist(), self.seen.tolist(), strict=True):
            drawn = int(generator.hypergeometric(right, wrong, size))
            right, wrong, correct = right - drawn, wrong - (size - drawn), correct + drawn
            yield correct, seen

    def describe(self) -> dict[str, Any]:
        """What was evaluated."""
        return {"workload": "table", **self.description}

    def save(self, path: Path) -> None:
        """Write one compressed file, whole or not at all."""
        text = json.dumps(
            {"space": _space_to_dict(self.space), "baseline": self.baseline, "description": dict(self.description)}
        )
        # Differences of counts are small numbers, which compress to half.
        steps = np.diff(self.correct, axis=1, prepend=np.int32(0)).astype(np.int16)
        partial = path.with_name(f"{path.name}.partial")
        with partial.open("wb") as file:
            np.savez_compressed(file, text=np.array(text), steps=steps, seen=self.seen)
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> EvaluationTable:
        """Read what :meth:`save` wrote."""
        with np.load(path) as file:
            content = json.loads(str(file["text"]))
            correct = file["steps"].astype(np.int32).cumsum(axis=1, dtype=np.int32)
            seen = file["seen"]
        return cls(_space_from_dict(content["space"]), correct, seen, content["baseline"], content["description"])


def choices_of(space: QuantizationSpace) -> dict[str, list[Any]]:
    """The values of every dimension, in order."""
    choices: dict[str, list[Any]] = {}
    for name, distribution in space.distributions.items():
        if isinstance(distribution, CategoricalDistribution):
            choices[name] = list(distribution.choices)
        elif isinstance(distribution, IntDistribution):
            choices[name] = list(range(distribution.low, distribution.high + 1))
    return choices


def params_of_row(space: QuantizationSpace, row: int) -> dict[str, Any]:
    """The inverse of :meth:`EvaluationTable.row`."""
    params: dict[str, Any] = {}
    for name, choices in reversed(choices_of(space).items()):
        row, place = divmod(row, len(choices))
        params[name] = choices[place]
    return {name: params[name] for name in space.distributions}


def size_of(space: QuantizationSpace) -> str:
    """The grid in words: "7 x 7 x 3"."""
    sizes = [len(choices) for choices in choices_of(space).values() if len(choices) > 1]
    return f"{' x '.join(map(str, sizes))} = {math.prod(sizes):,}"


def _space_to_dict(space: QuantizationSpace) -> dict[str, Any]:
    parameters = [asdict(parameter) for parameter in space.parameters]
    bits = {
        name: (distribution.low, distribution.high)
        for name, distribution in space.distributions.items()
        if isinstance(distribution, IntDistribution)
    }
    return {"parameters": parameters, "bits": bits, "schemes": space.schemes, "roundings": space.roundings}


def _space_from_dict(content: Mapping[str, Any]) -> QuantizationSpace:
    parameters = [
        ParameterSpec(**{**parameter, "formats": [QFormat(**fmt) for fmt in parameter.get("formats", ())]})
        for parameter in content["parameters"]
    ]
    # Nothing is tied in a table: the dimensions of widths are in the order of the searched parameters.
    searched = [parameter.name for parameter in parameters if parameter.fixed_bits is None]
    bits = {name: (low, high) for name, (low, high) in zip(searched, content["bits"].values(), strict=True)}
    schemes = [Scheme(scheme) for scheme in content["schemes"]]
    return QuantizationSpace(parameters, bits, schemes, [Rounding(rounding) for rounding in content["roundings"]])
