"""A workload whose accuracy is a formula, so that studies take no time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qspinn_optuna import Deployment, Family, ParameterSpec, QuantizationConfig, QuantizationSpace

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
