"""Simulated studies: models of a few widths, samples of different difficulty, a search that goes downwards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from choosing.choices import KnownStudy
from qspinn_optuna.selection.risk import Contest

_STATES = 4
"""Widths beside that of the weights."""

_WEIGHT_MEMORY = 100
"""Memory of a bit of the weights, where one of a state takes 1."""

_BEGINNING = 8
"""Trials before a search that goes downwards does so."""

Widths = tuple[int, ...]
"""That of the weights, then those of the states."""


@dataclass(frozen=True)
class Truth:
    """What a study is about: each is drawn anew.

    Args:
        accuracy: Of the reference.
        weight_loss: What weights of one bit lose.
        weight_decay: Halvings of that loss with a further bit.
        gain: What quantization as such gains or loses.
        scatter: Standard deviation of what else makes models differ.
        needed: Widths under which states lose, [states].
        state_loss: What the first missing bit loses, doubled with each further one, [states].
        shared: Part of the variance of answers that samples have in common, for all models.
        family: Part of the rest that models with the same weights have in common.
    """

    accuracy: float
    weight_loss: float
    weight_decay: float
    gain: float
    scatter: float
    needed: NDArray[np.int64]
    state_loss: NDArray[np.float64]
    shared: float
    family: float

    @classmethod
    def draw(cls, generator: np.random.Generator) -> Truth:
        """One of many."""
        return cls(
            accuracy=generator.uniform(0.8, 0.97),
            weight_loss=10 ** generator.uniform(-2.7, -1),
            weight_decay=generator.uniform(0.5, 2.5),
            gain=generator.normal(0, 0.004),
            scatter=10 ** generator.uniform(-3.5, -2),
            needed=generator.integers(2, 8, _STATES),
            state_loss=10 ** generator.uniform(-3, -1.5, _STATES),
            shared=generator.uniform(0.85, 0.995),
            family=generator.uniform(0.2, 0.9),
        )

    def accuracy_of(self, widths: Widths, generator: np.random.Generator) -> float:
        """The true accuracy of a model."""
        missing = np.maximum(self.needed - np.array(widths[1:]), 0)
        lost = self.weight_loss * 2 ** (-(widths[0] - 1) * self.weight_decay)
        lost += float((self.state_loss * (2.0**missing - 1)).sum())
        return float(np.clip(self.accuracy - lost + generator.normal(self.gain, self.scatter), 0.05, 0.999))


def simulated_study(generator: np.random.Generator, *, downwards: bool) -> KnownStudy:
    """A study of 10 to 60 trials on 250 to 2,000 samples.

    Args:
        generator: Of all draws.
        downwards: Whether half of the trials take a bit from the smallest model that reaches the floor, as searches do;
            else all are random.
    """
    truth, samples = Truth.draw(generator), int(generator.choice([250, 500, 1_000, 2_000]))
    drop = float(generator.choice([0.005, 0.01, 0.02]))
    common, families = generator.standard_normal(samples), generator.standard_normal((9, samples))

    def answers(accuracy: float, family: int) -> NDArray[np.bool_]:
        own = generator.standard_normal(samples)
        apart = np.sqrt(truth.family) * families[family] + np.sqrt(1 - truth.family) * own
        difficulty = np.sqrt(truth.shared) * common + np.sqrt(1 - truth.shared) * apart
        right: NDArray[np.bool_] = difficulty < ndtri(accuracy)
        return right

    reference = answers(truth.accuracy, 0)
    found: dict[Widths, tuple[float, NDArray[np.bool_]]] = {}
    smallest: Widths | None = None
    for trial in range(int(generator.integers(10, 61))):
        goes_down = downwards and trial >= _BEGINNING and smallest is not None and generator.random() < 0.5
        widths = _narrowed(smallest, generator) if goes_down and smallest is not None else _random(generator)
        if widths in found:
            continue
        accuracy = truth.accuracy_of(widths, generator)
        right = answers(accuracy, widths[0])
        found[widths] = truth.accuracy - accuracy, right
        reaches = right.mean() >= reference.mean() - drop - 1e-9
        if reaches and (smallest is None or memory(widths) < memory(smallest)):
            smallest = widths
    everything = np.stack([right for _, right in found.values()])
    contest = Contest(everything, reference, np.array([memory(widths) for widths in found]), drop)
    return KnownStudy(contest, np.array([loss for loss, _ in found.values()]))


def memory(widths: Widths) -> float:
    """Memory of a model, in any unit."""
    return float(_WEIGHT_MEMORY * widths[0] + sum(widths[1:]))


def _random(generator: np.random.Generator) -> Widths:
    return (int(generator.choice([1, 2, 3, 4, 6, 8])), *map(int, generator.integers(2, 11, _STATES)))


def _narrowed(widths: Widths, generator: np.random.Generator) -> Widths:
    """A bit less of one width, at least one of the weights and two of a state."""
    changed = int(generator.integers(0, _STATES + 1))
    lowest = [1, *[2] * _STATES]
    return tuple(max(low, bits - (k == changed)) for k, (bits, low) in enumerate(zip(widths, lowest, strict=True)))
