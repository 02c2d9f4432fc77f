"""A network whose accuracy is a formula, with answers in random order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from qspinn_optuna import (
    Deployment,
    Family,
    InexactError,
    ParameterSpec,
    QuantizationConfig,
    QuantizationSpace,
    Rounding,
    Scheme,
)

SAMPLES = 4_000
LOOKS = (125, 250, 500, 1_000, 2_000, 3_000, SAMPLES)


class Cliffs:
    """Every parameter loses accuracy below its own width, one bit wider with truncation; losses add up.

    Args:
        knees: Width under which a parameter loses, and how much it loses with each bit, by its name.
        widest_loss: Lost by everything post-training.
        refused: A width of the membrane that the simulation does not carry.
    """

    parameters = (
        ParameterSpec("weight", Family.WEIGHT, 1_000, 0.0, 0.5),
        ParameterSpec("membrane", Family.MEMBRANE, 10, 0.0, 0.5),
        ParameterSpec("theta", Family.THRESHOLD, 10, 0.0, 0.5),
    )
    deployment = Deployment.INFERENCE
    baseline = 0.9

    def __init__(
        self,
        knees: dict[str, tuple[int, float]] | None = None,
        widest_loss: float = 0.0,
        refused: int | None = None,
    ) -> None:
        self.knees = knees or {"weight": (2, 0.02), "membrane": (9, 0.1), "theta": (6, 0.04)}
        self.widest_loss = widest_loss
        self.refused = refused
        self.evaluated = 0
        self.samples = 0

    def accuracy(self, config: QuantizationConfig) -> float:
        """Accuracy on all samples."""
        lost = self.widest_loss if config.scheme is Scheme.PTQ else 0.0
        for name, (knee, loss) in self.knees.items():
            later = config.roundings[name] is Rounding.TRUNCATION
            lost += loss * max(0, knee + later - config.bits[name])
        return round(SAMPLES * max(self.baseline - lost, 0.1)) / SAMPLES

    def evaluate(self, config: QuantizationConfig, seed: int) -> Iterator[tuple[int, int]]:
        """The answers in a random order from ``seed``."""
        self.evaluated += 1
        if config.bits["membrane"] == self.refused:
            raise InexactError("too wide")
        right = round(SAMPLES * self.accuracy(config))
        answers = np.random.default_rng(seed).permutation(np.arange(SAMPLES) < right)
        before = 0
        for look in LOOKS:
            self.samples += look - before
            before = look
            yield int(answers[:look].sum()), look

    def describe(self) -> dict[str, Any]:
        """A name."""
        return {"workload": "cliffs"}


def cliff_space(bits: tuple[int, int] = (1, 16), **choices: Any) -> QuantizationSpace:
    """The space of :class:`Cliffs`."""
    return QuantizationSpace(Cliffs.parameters, bits, **choices)
