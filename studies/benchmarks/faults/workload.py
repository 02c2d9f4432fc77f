"""A workload that takes some time, tells what it does, and kills its process for one configuration."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

from qspinn_optuna import (
    Deployment,
    Family,
    ParameterSpec,
    QuantizationConfig,
    QuantizationSpace,
    Rounding,
    Scheme,
    TrainingProgress,
)

SAMPLES = 1_000

Tell = Callable[[str, str], object]
"""Told of what happens, and to which configuration."""


class SlowWorkload:
    """An accuracy by formula, after two stages of some milliseconds each.

    Args:
        seconds: Duration of an evaluation.
        tell: Told when a stage begins, and when an evaluation ends.
        deadly: A configuration, as :func:`key_of` gives it, that kills its process.
    """

    parameters = (
        ParameterSpec("weight", Family.WEIGHT, 1_000, 0.0, 0.5),
        ParameterSpec("membrane", Family.MEMBRANE, 100, 0.0, 0.5),
    )
    deployment = Deployment.INFERENCE
    baseline = 0.95

    def __init__(self, seconds: float, tell: Tell | None = None, deadly: str | None = None) -> None:
        self._seconds = seconds
        self._tell: Tell = tell or (lambda *_: None)
        self._deadly = deadly

    def evaluate(self, config: QuantizationConfig, seed: int) -> Iterator[TrainingProgress | tuple[int, int]]:
        """Train a little, and count correct answers."""
        key = key_of(config.bits)
        self._tell("training", key)
        time.sleep(self._seconds / 2)
        if key == self._deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        correct = correct_of(config)
        yield TrainingProgress(0.5, correct // 2, SAMPLES // 2)
        self._tell("evaluation", key)
        time.sleep(self._seconds / 2)
        yield correct // 2, SAMPLES // 2
        self._tell("evaluated", key)
        yield correct, SAMPLES

    def describe(self) -> dict[str, Any]:
        """What accuracies depend on."""
        return {"workload": "slow"}


def correct_of(config: QuantizationConfig) -> int:
    """Correct answers of a configuration."""
    lost = sum(2.0**-bits for bits in config.bits.values())
    return round(SAMPLES * SlowWorkload.baseline * (1 - min(1.0, lost)))


def key_of(bits: object) -> str:
    """Widths as text."""
    assert isinstance(bits, dict)
    return " ".join(f"{name}:{bits[name]}" for name in sorted(bits))


def slow_space(largest: int = 16) -> QuantizationSpace:
    """Widths up to ``largest`` for two parameters; the scheme and the roundings are given."""
    return QuantizationSpace(SlowWorkload.parameters, (1, largest), [Scheme.PTQ], [Rounding.NEAREST])
