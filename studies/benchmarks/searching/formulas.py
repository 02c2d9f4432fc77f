"""The synthetic problems: what each layer of a network loses, as a formula of its widths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from qspinn_optuna import Family, Rounding, Scheme
from searching.fronts import Array
from searching.synthetic import SyntheticProblem


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


class ResNet(NoisePower):
    """The layers of a residual network, as noise powers: the deeper, the more weights and the fewer membranes.

    An accuracy is measured on 1,000 samples, so with a standard deviation of up to 1.6 points. The front is that of
    configurations which exist; between its points, a 5,000th of the memory apart, it may miss others.
    """

    samples_per_look = 100
    most_points = 5_000

    def _counts(self, rng: np.random.Generator) -> Array:
        depth = np.linspace(0, 1, self.layers)
        weights = 2_000 * 64**depth * rng.uniform(0.5, 1.5, self.layers)
        membranes = 32_000 * 16**-depth * rng.uniform(0.5, 1.5, self.layers)
        return np.stack([weights, membranes], axis=1).ravel()

    def _draw(self, rng: np.random.Generator) -> None:
        super()._draw(rng)
        # What all layers lose together is as much as four layers of the smaller problem do.
        self._powers *= 4 / self.layers


class ResNet20(ResNet):
    """40 widths."""

    def __init__(self, seed: int, layers: int = 20, widths: tuple[int, int] = (1, 16)) -> None:
        super().__init__(seed, layers, widths)


class ResNet40(ResNet):
    """80 widths."""

    def __init__(self, seed: int, layers: int = 40, widths: tuple[int, int] = (1, 16)) -> None:
        super().__init__(seed, layers, widths)


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


class NotMonotone(SyntheticProblem):
    """Some noise of rounding is welcome: each parameter has a width of its own beyond which accuracy falls again.

    As where rounding regularizes, or a finer grid follows the noise of the calibration. Up to its best width a loss
    falls like that of saturating curves, beyond it grows with every bit, and narrow widths of a layer amplify another.
    """

    def _draw(self, rng: np.random.Generator) -> None:
        shape = (self.layers, len(self.families))
        self._best = rng.integers(4, 11, shape)
        self._depths = rng.uniform(0.3, 1.2, shape)
        self._rises = rng.uniform(0.0, 0.006, shape)
        self._couplings = rng.uniform(0.5, 2, self.layers)

    def _loss(self, layer: int, widths: Sequence[Array], scheme: Scheme, rounding: Rounding) -> Array:
        factor = {Rounding.TRUNCATION: 1.5, Rounding.NEAREST: 1.0, Rounding.STOCHASTIC: 0.9}[rounding]
        factor *= 0.5 if scheme is Scheme.ITQ else 1.0
        narrow, total = np.ones(()), np.zeros(())
        for width, best, depth, rise in zip(
            widths, self._best[layer], self._depths[layer], self._rises[layer], strict=True
        ):
            missing = np.maximum(0, best - width) / best
            narrow = narrow * missing
            total = total + factor * depth * missing**2 + rise * np.maximum(0, width - best)
        loss: Array = total + factor * self._couplings[layer] * narrow
        return loss

    def _kept(self, loss: Array, scheme: Scheme, rounding: Rounding) -> Array:  # noqa: ARG002
        return (0.995 if scheme is Scheme.ITQ else 1.0) * np.exp(-loss)


SYNTHETIC_PROBLEMS: dict[str, type[SyntheticProblem]] = {
    "logistic": Logistic,
    "noise-power": NoisePower,
    "cliffs": Cliffs,
    "not-monotone": NotMonotone,
    "resnet-20": ResNet20,
    "resnet-40": ResNet40,
}

MANY_DIMENSIONS = ("resnet-20", "resnet-40")
"""Those of 40 and of 80 widths."""
