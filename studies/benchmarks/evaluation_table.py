"""Every configuration of a space, evaluated once and kept: research on samplers and pruners then trains nothing."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution, IntDistribution
from tqdm import tqdm

from qspinn_optuna import (
    Deployment,
    InexactError,
    ParameterSpec,
    QFormat,
    QuantizationConfig,
    QuantizationSpace,
    Rounding,
    Scheme,
    TrainingProgress,
    Workload,
)

_SAVE_EVERY = 50
"""Evaluations between two saves: as much is lost when the making is interrupted."""

_REFUSED = -1
"""Count of a configuration that the workload cannot carry exactly."""

_MISSING = -2
"""Count of a configuration that is yet to be evaluated."""


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

        The order of the measurement is no random one in every table, which pruners rely on. Of the answers in random
        order, those up to a look are a draw without replacement from all.
        """
        row = self.row(self.space.params(config))
        if self.correct[row, -1] == _REFUSED:
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


def make_table(
    make_workload: Callable[[], Workload], widths: Mapping[str, Any], path: Path, processes: int
) -> EvaluationTable:
    """Evaluate every configuration; interrupted, the same call goes on.

    Args:
        make_workload: Of the network; called in every process, so it must be a function of a module.
        widths: Of the space, see :class:`~qspinn_optuna.QuantizationSpace`.
        path: File of the table.
        processes: How many evaluate at once.
    """
    workload = make_workload()
    space = QuantizationSpace(workload.parameters, widths, deployment=workload.deployment)
    unfinished = path.with_name(f"{path.name}.unfinished")
    if unfinished.exists():
        table = EvaluationTable.load(unfinished)
        if table.describe() != {"workload": "table", **_plain(workload.describe())} or table.parameters != (
            space.parameters
        ):
            raise ValueError(f"{unfinished} is of another workload: remove it.")
    else:
        first = space.config(params_of_row(space, 0))
        seen = np.array([seen for _, seen in final_counts(workload.evaluate(first, 0))], np.int32)
        nothing = np.full((space.cardinality, len(seen)), _MISSING, np.int32)
        table = EvaluationTable(space, nothing, seen, workload.baseline, _plain(workload.describe()))
    # In random order, the time that is left can be told.
    missing = np.random.default_rng(0).permutation(np.flatnonzero(table.correct[:, 0] == _MISSING)).tolist()
    # Forked processes would inherit locks of threads that they do not have.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_start, initargs=(make_workload, space)) as pool:
        futures = {pool.submit(_evaluate_row, row): row for row in missing}
        for done, future in enumerate(tqdm(as_completed(futures), total=len(futures)), start=1):
            table.correct[futures[future]] = future.result()
            if done % _SAVE_EVERY == 0:
                table.save(unfinished)
    table.save(path)
    unfinished.unlink(missing_ok=True)
    return table


_process: dict[str, Any] = {}
"""What a process of :func:`make_table` evaluates."""


def _start(make_workload: Callable[[], Workload], space: QuantizationSpace) -> None:
    os.nice(10)
    _process.update(workload=make_workload(), space=space)


def _evaluate_row(row: int) -> list[int] | int:
    config = _process["space"].config(params_of_row(_process["space"], row))
    try:
        return [correct for correct, _ in final_counts(_process["workload"].evaluate(config, 0))]
    except InexactError:
        return _REFUSED


def final_counts(evaluation: Iterable[tuple[int, int] | TrainingProgress]) -> Iterator[tuple[int, int]]:
    """The counts of the trained network, without those in training."""
    return (entry for entry in evaluation if not isinstance(entry, TrainingProgress))


def final_accuracy(workload: Workload, config: QuantizationConfig, seed: int) -> float:
    """Of a whole training and evaluation."""
    *_, (correct, seen) = final_counts(workload.evaluate(config, seed))
    return correct / seen


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(dict(values)))
    return plain


def _space_to_dict(space: QuantizationSpace) -> dict[str, Any]:
    parameters = [asdict(parameter) for parameter in space.parameters]
    bits = {name: (values[0], values[-1]) for name, values in choices_of(space).items() if name.startswith("bits.")}
    return {"parameters": parameters, "bits": bits, "schemes": space.schemes, "roundings": space.roundings}


def _space_from_dict(content: Mapping[str, Any]) -> QuantizationSpace:
    parameters = [
        ParameterSpec(**{**parameter, "formats": [QFormat(**fmt) for fmt in parameter.get("formats", ())]})
        for parameter in content["parameters"]
    ]
    bits = {name.removeprefix("bits."): tuple(widths) for name, widths in content["bits"].items()}
    schemes = [Scheme(scheme) for scheme in content["schemes"]]
    return QuantizationSpace(parameters, bits, schemes, [Rounding(rounding) for rounding in content["roundings"]])


def size_of(space: QuantizationSpace) -> str:
    """The grid in words: "7 x 7 x 3"."""
    sizes = [len(choices) for choices in choices_of(space).values() if len(choices) > 1]
    return f"{' x '.join(map(str, sizes))} = {math.prod(sizes):,}"
