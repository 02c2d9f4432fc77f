"""Problems whose true front is known exactly: samplers and pruners are measured by them.

Each is a network of independent layers. A layer loses some accuracy, whatever the widths in the other layers, and the
losses add up to what the network loses; a problem is the formula of the layers' loss. Since memory and loss are both
sums over layers, the front of all configurations, of which there are more than 10^10, is that of the sums of the
layers' own fronts, and layers can be merged into it one after the other.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from qspinn_optuna import (
    Deployment,
    Family,
    ParameterSpec,
    QuantizationConfig,
    QuantizationSpace,
    Rounding,
    Scheme,
)
from searching.fronts import Array, Front, nondominated

_LOOKS = 10

_BITS_PER_KIB = 8 * 1024


class SyntheticProblem(ABC):
    """A workload made of formulas, whose true accuracies and front are known.

    What :meth:`evaluate` counts is binomial and drawn from the configuration: asked again, it counts the same.

    Args:
        seed: Of the instance: sizes of the parameters and coefficients of the formulas.
        layers: Number of layers.
        widths: First and last width of every parameter.
    """

    families: ClassVar[tuple[Family, ...]] = (Family.WEIGHT, Family.MEMBRANE)
    """Parameters of every layer."""

    samples_per_look: ClassVar[int] = 2_000
    """Of 20,000 samples, an accuracy of 0.9 is measured with a standard deviation of 0.2 points."""
    most_points: ClassVar[int | None] = None
    """Points to which a front is thinned out after each layer, evenly in memory; all are kept if not given."""
    deployment = Deployment.INFERENCE
    baseline = 0.95
    chance = 0.1

    def __init__(self, seed: int, layers: int = 4, widths: tuple[int, int] = (1, 16)) -> None:
        rng = np.random.default_rng(seed)
        self.seed = seed
        self.layers = layers
        names = [(f"layer{layer}.{family}", family) for layer in range(layers) for family in self.families]
        counts = self._counts(rng)
        self.parameters = tuple(
            ParameterSpec(name, family, round(count), 0.0, 1.0)
            for (name, family), count in zip(names, counts.tolist(), strict=True)
        )
        self.space = QuantizationSpace(self.parameters, widths)
        self.widths = widths
        self._draw(rng)

    def _counts(self, rng: np.random.Generator) -> Array:
        """Size of every parameter, layer by layer, [layers x families]."""
        return np.exp(rng.uniform(math.log(30), math.log(60_000), self.layers * len(self.families)))

    @abstractmethod
    def _draw(self, rng: np.random.Generator) -> None:
        """Draw the coefficients."""

    @abstractmethod
    def _loss(self, layer: int, widths: Sequence[Array], scheme: Scheme, rounding: Rounding) -> Array:
        """What a layer loses, 0 or more, with these widths of its parameters in the order of ``families``."""

    @abstractmethod
    def _kept(self, loss: Array, scheme: Scheme, rounding: Rounding) -> Array:
        """Share of the accuracy above chance that is kept; it falls with the sum of all losses."""

    def truth(self, config: QuantizationConfig) -> float:
        """Accuracy on infinitely many samples."""
        rounding = next(iter(config.roundings.values()))
        widths = np.array(list(config.bits.values()), np.float64).reshape(self.layers, -1)
        losses = [self._loss(layer, widths[layer], config.scheme, rounding) for layer in range(self.layers)]
        return float(self._accuracy(np.sum(losses, axis=0), config.scheme, rounding))

    def evaluate(self, config: QuantizationConfig, seed: int) -> Iterator[tuple[int, int]]:
        """Counts of samples that are drawn by the true accuracy."""
        rounding = next(iter(config.roundings.values()))
        key = [list(Scheme).index(config.scheme), list(Rounding).index(rounding), *config.bits.values()]
        rng = np.random.default_rng([self.seed, seed, *key])
        correct = rng.binomial(self.samples_per_look, self.truth(config), _LOOKS).cumsum()
        for look, count in enumerate(correct.tolist(), start=1):
            yield count, look * self.samples_per_look

    def describe(self) -> dict[str, Any]:
        """Which problem, and which instance."""
        return {"workload": type(self).__name__, "seed": self.seed, "layers": self.layers, "widths": list(self.widths)}

    @cached_property
    def front(self) -> Front:
        """Of the true accuracies of all configurations."""
        fronts = [self._front_of(scheme, rounding) for scheme in Scheme for rounding in Rounding]
        memory = np.concatenate([front.memory_kib for front in fronts])
        return Front.of(memory, np.concatenate([front.accuracy for front in fronts]))

    def _front_of(self, scheme: Scheme, rounding: Rounding) -> Front:
        memory, loss = np.zeros(1), np.zeros(1)
        for layer in range(self.layers):
            layer_memory, layer_loss = self._layer_front(layer, scheme, rounding)
            memory, loss = np.add.outer(memory, layer_memory).ravel(), np.add.outer(loss, layer_loss).ravel()
            kept = nondominated(memory, loss)
            memory, loss = memory[kept], loss[kept]
            if self.most_points is not None and len(memory) > self.most_points:
                marks = np.linspace(memory[0], memory[-1], self.most_points)
                thinned = np.unique(np.searchsorted(memory, marks, side="right") - 1)
                memory, loss = memory[thinned], loss[thinned]
        return Front.of(memory / _BITS_PER_KIB, self._accuracy(loss, scheme, rounding))

    def _layer_front(self, layer: int, scheme: Scheme, rounding: Rounding) -> tuple[Array, Array]:
        """Memory in bits and loss of the choices of a layer's widths that no other choice beats in both."""
        low, high = self.widths
        size = len(self.families)
        axes = np.meshgrid(*[np.arange(low, high + 1, dtype=np.float64)] * size, indexing="ij")
        widths = [axis.ravel() for axis in axes]
        counts = [parameter.count for parameter in self.parameters[layer * size : (layer + 1) * size]]
        memory = np.sum([count * width for count, width in zip(counts, widths, strict=True)], axis=0)
        loss = self._loss(layer, widths, scheme, rounding)
        kept = nondominated(memory, loss)
        return memory[kept], loss[kept]

    def _accuracy(self, loss: Array, scheme: Scheme, rounding: Rounding) -> Array:
        return self.chance + (self.baseline - self.chance) * self._kept(loss, scheme, rounding)
