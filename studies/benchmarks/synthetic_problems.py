"""Problems whose true front is known exactly, to measure samplers and pruners by.

Each is a network of independent layers. A layer loses some accuracy, whatever the widths in the other layers, and the
losses add up to what the network loses; a problem is the formula of the layers' loss. Since memory and loss are both
sums over layers, the front of all configurations, of which there are more than 10^10, is that of the sums of the
layers' own fronts, and layers can be merged into it one after the other.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna import (
    Deployment,
    Family,
    ParameterSpec,
    QuantizationConfig,
    QuantizationSpace,
    Rounding,
    Scheme,
)

Array = NDArray[np.float64]

_LOOKS = 10
_SAMPLES_PER_LOOK = 2_000
"""Of 20,000 samples, an accuracy of 0.9 is measured with a standard deviation of 0.2 points."""

_BITS_PER_KIB = 8 * 1024


@dataclass(frozen=True)
class Front:
    """The points that no other one beats in memory and accuracy at once.

    Args:
        memory_kib: In ascending order.
        accuracy: In ascending order.
    """

    memory_kib: Array
    accuracy: Array

    @classmethod
    def of(cls, memory_kib: Sequence[float] | Array, accuracy: Sequence[float] | Array) -> Front:
        """The front of some points, of which equal ones are kept once."""
        memory, score = np.asarray(memory_kib, np.float64), np.asarray(accuracy, np.float64)
        kept = nondominated(memory, -score)
        return cls(memory[kept], score[kept])

    def __len__(self) -> int:
        return len(self.memory_kib)

    def hypervolume(self, reference_kib: float, chance: float) -> float:
        """Share of the area from no memory to ``reference_kib`` and from ``chance`` to 1 that the front dominates."""
        inside = (self.memory_kib < reference_kib) & (self.accuracy > chance)
        memory, accuracy = self.memory_kib[inside], self.accuracy[inside]
        # The front is a staircase: each point is the best one until the next.
        area = np.sum(np.diff(memory, append=reference_kib) * (accuracy - chance))
        return float(area / (reference_kib * (1 - chance)))


def nondominated(memory: Array, loss: Array) -> NDArray[np.intp]:
    """Places of the points that no other one beats in both, both to be small, by memory; of equal ones the first."""
    if not len(memory):
        return np.zeros(0, np.intp)
    order = np.lexsort((loss, memory))
    best = np.minimum.accumulate(loss[order])
    kept: NDArray[np.intp] = order[np.append(True, best[1:] < best[:-1])]
    return kept


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

    deployment = Deployment.INFERENCE
    baseline = 0.95
    chance = 0.1

    def __init__(self, seed: int, layers: int = 4, widths: tuple[int, int] = (1, 16)) -> None:
        rng = np.random.default_rng(seed)
        self.seed = seed
        self.layers = layers
        names = [(f"layer{layer}.{family}", family) for layer in range(layers) for family in self.families]
        counts = np.exp(rng.uniform(math.log(30), math.log(60_000), len(names)))
        self.parameters = tuple(
            ParameterSpec(name, family, round(count), 0.0, 1.0)
            for (name, family), count in zip(names, counts.tolist(), strict=True)
        )
        self.space = QuantizationSpace(self.parameters, widths)
        self.widths = widths
        self._draw(rng)

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
        correct = rng.binomial(_SAMPLES_PER_LOOK, self.truth(config), _LOOKS).cumsum()
        for look, count in enumerate(correct.tolist(), start=1):
            yield count, look * _SAMPLES_PER_LOOK

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


class Logistic(SyntheticProblem):
    """What is kept is a product of logistic curves, one of each width: the model that the memory-aware sampler fits.

    Scheme and rounding shift the curves, and cost a little by themselves.
    """

    def _draw(self, rng: np.random.Generator) -> None:
        shape = (self.layers, len(self.families))
        self._knees = rng.uniform(1, 8, shape)
        self._depths = rng.uniform(0.3, 1, shape)
        self._slope = rng.uniform(0.8, 2.5)
        self._shifts = {
            Rounding.TRUNCATION: 1.0,
            Rounding.NEAREST: 0.0,
            Rounding.STOCHASTIC: rng.uniform(-0.5, 0.5),
            Scheme.PTQ: 0.0,
            Scheme.ITQ: rng.uniform(-1.5, -0.5),
        }

    def _loss(self, layer: int, widths: Sequence[Array], scheme: Scheme, rounding: Rounding) -> Array:
        shift = self._shifts[scheme] + self._shifts[rounding]
        loss = np.zeros(())
        for width, knee, depth in zip(widths, self._knees[layer], self._depths[layer], strict=True):
            loss = loss - np.log1p(-depth / (1 + np.exp(self._slope * (width - knee - shift))))
        return loss

    def _kept(self, loss: Array, scheme: Scheme, rounding: Rounding) -> Array:
        costs = {Scheme.ITQ: 0.99, Rounding.STOCHASTIC: 0.995}
        return costs.get(scheme, 1.0) * costs.get(rounding, 1.0) * np.exp(-loss)


class NoisePower(SyntheticProblem):
    """The powers of the noise that rounding adds to a layer's parameters add up, and those of a layer amplify another.

    A weight that is finer than its membrane is lost in it. No product of curves is like this.
    """

    _POWERS: ClassVar = {Rounding.TRUNCATION: 4.0, Rounding.NEAREST: 1.0, Rounding.STOCHASTIC: 2.0}
    """Mean square of the error of a rounding, of which the nearest has the least."""

    def _draw(self, rng: np.random.Generator) -> None:
        shape = (self.layers, len(self.families))
        self._powers = np.exp(rng.uniform(0, np.log(300), shape))
        self._rates = rng.uniform(0.5, 1.2, shape)
        self._couplings = rng.uniform(0.5, 3, self.layers)

    def _loss(self, layer: int, widths: Sequence[Array], scheme: Scheme, rounding: Rounding) -> Array:
        # Training in quantization learns to live with three quarters of the noise.
        factor = self._POWERS[rounding] * (0.25 if scheme is Scheme.ITQ else 1.0)
        weight, membrane = (
            factor * power * np.exp2(-2 * rate * width)
            for width, power, rate in zip(widths, self._powers[layer], self._rates[layer], strict=True)
        )
        finer = np.maximum(0, widths[0] - widths[1] - 1)
        loss: Array = weight + membrane + self._couplings[layer] * np.sqrt(weight * membrane) + 0.02 * finer
        return loss

    def _kept(self, loss: Array, scheme: Scheme, rounding: Rounding) -> Array:  # noqa: ARG002
        return (0.99 if scheme is Scheme.ITQ else 1.0) / (1 + loss)


class Cliffs(SyntheticProblem):
    """The sum of a layer's weights overflows a membrane that is too narrow for them, and the accuracy is chance then.

    A wider weight is better up to the cliff, so accuracy does not rise with every width, and the configurations at
    the top of a cliff are often the best of their memory.
    """

    families = (Family.WEIGHT, Family.MEMBRANE, Family.THRESHOLD)

    def __init__(self, seed: int, layers: int = 3, widths: tuple[int, int] = (1, 16)) -> None:
        super().__init__(seed, layers, widths)

    def _draw(self, rng: np.random.Generator) -> None:
        shape = (self.layers, len(self.families))
        self._depths = rng.uniform(0.2, 1.5, shape)
        self._rates = rng.uniform(0.4, 1.2, shape)
        self._margins = rng.integers(-1, 4, self.layers)
        self._coarseness = {
            Rounding.TRUNCATION: 2.0,
            Rounding.NEAREST: 1.0,
            Rounding.STOCHASTIC: rng.uniform(0.9, 1.5),
        }

    def _loss(self, layer: int, widths: Sequence[Array], scheme: Scheme, rounding: Rounding) -> Array:
        factor = self._coarseness[rounding] * (0.5 if scheme is Scheme.ITQ else 1.0)
        curves = [
            depth * np.exp(-rate * (width - 1))
            for width, depth, rate in zip(widths, self._depths[layer], self._rates[layer], strict=True)
        ]
        # Who trains in quantization keeps the sums smaller by a bit.
        margin = self._margins[layer] + (1 if scheme is Scheme.ITQ else 0)
        return np.where(widths[0] > widths[1] + margin, np.inf, factor * np.sum(curves, axis=0))

    def _kept(self, loss: Array, scheme: Scheme, rounding: Rounding) -> Array:  # noqa: ARG002
        return (0.99 if scheme is Scheme.ITQ else 1.0) * np.exp(-loss)


SYNTHETIC_PROBLEMS: dict[str, type[SyntheticProblem]] = {
    "logistic": Logistic,
    "noise-power": NoisePower,
    "cliffs": Cliffs,
}
