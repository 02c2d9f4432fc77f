"""A workload whose accuracy is a formula, so that studies take no time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna import Deployment, Family, ParameterSpec, QuantizationConfig, QuantizationSpace
from qspinn_optuna.workloads import Answers, Fresh

SEEN = 1_000


class FakeWorkload:
    """Accuracy grows with every width; each evaluation is counted."""

    parameters = (
        ParameterSpec("weight", Family.WEIGHT, 1_000, 0.0, 0.5),
        ParameterSpec("membrane", Family.MEMBRANE, 10, -1.0, 0.5),
    )
    deployment = Deployment.INFERENCE
    baseline = 0.95

    def __init__(self) -> None:
        self.evaluated: list[tuple[QuantizationConfig, int]] = []

    def evaluate(self, config: QuantizationConfig, seed: int) -> Iterator[tuple[int, int]]:
        self.evaluated.append((config, seed))
        lost = sum(2.0**-bits for bits in config.bits.values())
        correct = round(SEEN * self.baseline * (1 - lost))
        yield correct // 2, SEEN // 2
        yield correct, SEEN

    def describe(self) -> dict[str, Any]:
        return {"workload": "fake"}


def fake_space(bits: tuple[int, int] = (2, 8)) -> QuantizationSpace:
    return QuantizationSpace(FakeWorkload.parameters, bits)


class AnsweringWorkload(FakeWorkload):
    """The same accuracies, about, with the answers to each sample, and a second measurement."""

    baseline_treatment = "adapted as the others"

    def __init__(self, fresh: Fresh = Fresh.SAMPLES, fresh_fingerprint: str = "samples") -> None:
        super().__init__()
        self.fresh_fingerprint = fresh_fingerprint
        self.fresh = fresh
        self.measured_again: list[tuple[QuantizationConfig | None, int]] = []

    @property
    def baseline_answers(self) -> Answers:
        return Answers(_rightness(self.baseline, [0]))

    @property
    def fresh_baseline(self) -> Answers:
        self.measured_again.append((None, 0))
        return Answers(_rightness(self.baseline, [1]))

    def evaluate(self, config: QuantizationConfig, seed: int) -> Iterator[tuple[int, int]]:
        *_, (correct, seen) = super().evaluate(config, seed)
        right = _rightness(correct / seen, [0, seed, *config.bits.values()])
        yield Answers(right[: SEEN // 2])
        yield Answers(right)

    def evaluate_fresh(self, config: QuantizationConfig, seed: int) -> Iterator[tuple[int, int]]:
        self.measured_again.append((config, seed))
        *_, (correct, seen) = super().evaluate(config, seed)
        yield Answers(_rightness(correct / seen, [1, seed, *config.bits.values()]))


def _rightness(accuracy: float, key: list[int]) -> NDArray[np.bool_]:
    """Answers to samples of which some are harder than others, the same for all networks."""
    difficulty = np.random.default_rng(key[0]).permutation(SEEN) / SEEN
    noise = 0.02 * np.random.default_rng(key).standard_normal(SEEN)
    right: NDArray[np.bool_] = difficulty + noise < accuracy
    return right
