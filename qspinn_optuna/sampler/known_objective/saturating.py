"""A model of an objective that saturates in every numeric dimension: an ensemble of parametric fits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .prior import Expected, RandomizedPrior

Floats = NDArray[np.float64]

_DEGREES_OF_FREEDOM = 4.0
"""Degrees of freedom of the noise, a Student's t distribution: an outlier must not bend the curves."""

_LOG_NORMALIZATION = (
    math.lgamma((_DEGREES_OF_FREEDOM + 1) / 2)
    - math.lgamma(_DEGREES_OF_FREEDOM / 2)
    - 0.5 * math.log(math.pi * _DEGREES_OF_FREEDOM)
)

_LEAST_NOISE = 0.01
"""Prior scale of the noise, as a fraction of the range of the data."""

_LEAST_FACTOR = 1e-6
"""Least value of a curve, so that its logarithm is finite."""

_KNEE, _SLOPE = 1.0, 0.5
"""Standard deviations of knees and slopes from what is expected of them, if that is right."""

_CONVERGED = 1e-2
"""Largest step, in standard deviations of the prior, at which a fit ends."""

_EXCHANGE_EVERY = 5
"""Steps after which members compare each other's fits."""


class SaturatingEnsemble:
    """Posterior samples of a product of saturating curves, one curve for each numeric dimension.

    The value at coordinates x and choices c, in units of the range of the data, is

        floor + span x factor(c) x prod_i (1 - depth_i x (1 - sigmoid(slope_i x (x_i - knee_i - shift_i(c))))),

    so a low coordinate i alone reduces the value by the share ``depth_i``. A choice moves all knees together, each of
    them a little by itself, and scales the whole. The logarithm is additive over dimensions, so that few trials tell
    about many points.

    Each member of the ensemble is a maximum-a-posteriori fit to data with noise added to them, and to a prior whose
    mean is drawn from the prior itself: randomize-then-optimize, which for a linear model gives exact samples of the
    posterior (Bardsley et al. 2014, https://doi.org/10.1137/140964023). The fits are damped Gauss-Newton steps with
    weights for Student's t noise, all members at once, and begin where the last ones ended. A member that is stuck in
    a local optimum takes over the fit of another member if that one suits its own data and prior better.

    Args:
        units: Length of every numeric dimension, [dimensions]; coordinates run from 0 to it.
        categories: Number of choices of every categorical dimension.
        increasing: Whether values are expected to grow with coordinates; otherwise both are equally likely.
        choice_effect: Standard deviation of the logarithm of the factor of a choice.
        members: Number of fits.
        seed: Seed of the randomized priors and noise.
        expected: Knees and slopes that are expected, [2, dimensions], NaN where they are not; None if none is.
    """

    def __init__(
        self,
        units: Floats,
        categories: Sequence[int],
        *,
        increasing: bool = True,
        choice_effect: float = 0.05,
        members: int = 10,
        seed: int = 0,
        expected: Floats | None = None,
    ) -> None:
        self._dimensions, self._choices = len(units), sum(categories)
        self._seed = seed
        curves, choices = self._dimensions, self._choices
        # Name, number, mean and standard deviation of the prior of every group of parameters.
        groups: list[tuple[str, int, Floats | float, Floats | float]] = [
            ("floor", 1, 0.0, 0.1),
            ("span", 1, 1.0, 0.15),
            ("knee", curves, 0.2 * units, np.maximum(0.25 * units, 1.0)),
            ("slope", curves, 1.2 if increasing else 0.0, 0.6 if increasing else 1.2),
            ("depth", curves, 1.0, 1.5),
            ("shift", choices, 0.0, 1.0),
            ("own_shift", curves * choices, 0.0, 0.35),
            ("factor", choices, 0.0, choice_effect),
        ]
        self._parts: dict[str, slice] = {}
        for name, size, _, _ in groups:
            start = max((part.stop for part in self._parts.values()), default=0)
            self._parts[name] = slice(start, start + size)
        mean = np.concatenate([np.broadcast_to(mean, size) for _, size, mean, _ in groups])
        deviation = np.concatenate([np.broadcast_to(deviation, size) for _, size, _, deviation in groups])
        told = None if expected is None else self._told(expected, len(mean))
        self._prior = RandomizedPrior(mean, deviation, members, seed, told)
        self._fitted = self._prior.means.copy()
        self._noise = np.full(members, _LEAST_NOISE)
        self._low, self._range = 0.0, 1.0

    def _told(self, expected: Floats, parameters: int) -> Expected:
        """What is expected of all parameters."""
        values, deviations = np.full(parameters, np.nan), np.ones(parameters)
        for name, group, deviation in zip(("knee", "slope"), expected, (_KNEE, _SLOPE), strict=True):
            values[self._parts[name]], deviations[self._parts[name]] = group, deviation
        return Expected(values, deviations, judged=self._parts["knee"])

    @property
    def members(self) -> int:
        """Number of fits."""
        return len(self._fitted)

    @property
    def noise(self) -> Floats:
        """Scale of the Student distribution of the data around each member, [members, 1]."""
        return self._range * self._noise[:, None]

    def step_cost(self, points: int) -> float:
        """Multiplications of one step of :meth:`fit`."""
        members, parameters = self._fitted.shape
        return points * members * parameters * min(points, parameters)

    def fit(
        self,
        coordinates: Floats,
        indicators: Floats,
        values: Floats,
        weights: Floats,
        steps: int = 12,
        shares: Floats | None = None,
        places: NDArray[np.intp] | None = None,
    ) -> None:
        """Fit every member to data.

        Args:
            coordinates: [points, numeric dimensions].
            indicators: 1 for the choice made, [points, choices].
            values: [points], finite.
            weights: How much a point counts, 1 for one as exact as any, [points].
            steps: Largest number of Gauss-Newton steps.
            shares: Weight of a point for each member besides, 0-1, [members, points]; 1 if not given.
            places: Which points of a longer series these are, ascending, [points]; the first ones if not given. A point
                keeps its noise while others come and go.
        """
        self._low, self._range = float(values.min()), float(np.ptp(values)) or 1.0
        places = np.arange(len(values)) if places is None else places
        # The draws of a point stay the same, so that a fit moves little when a point is added.
        noise_draws = np.random.default_rng([self._seed, 1]).normal(size=(places[-1] + 1, self.members))[places]
        data = (values - self._low) / self._range + np.median(self._noise) * noise_draws.T / np.sqrt(weights)
        weights = np.broadcast_to(weights, data.shape) if shares is None else weights * shares
        damping = np.full(self.members, 1e-2)
        precision = self._prior.precision
        for step in range(steps):
            if step % _EXCHANGE_EVERY == 0:
                self._exchange(data, weights, self._value(self._fitted, coordinates, indicators))
            fitted, slopes = self._value_and_slopes(self._fitted, coordinates, indicators)
            residuals = data - fitted
            if step % 3 == 0:
                self._noise = self._estimate_noise(residuals, weights)
            robust = weights * self._robustness(residuals) / self._noise[:, None] ** 2
            descent = np.matmul((robust * residuals)[:, None], slopes)[:, 0]
            descent -= (self._fitted - self._prior.means) * precision
            moves = _newton_moves(slopes, robust, precision * (1 + damping[:, None]), descent)
            before = self._loss(self._fitted, residuals, weights)
            moved = self._fitted + moves
            after = self._loss(moved, data - self._value(moved, coordinates, indicators), weights)
            better = after <= before
            self._fitted = np.where(better[:, None], moved, self._fitted)
            damping = np.where(better, 0.3 * damping, 10 * damping).clip(1e-6, 1e6)
            if better.all() and (np.abs(moves) * np.sqrt(precision)).max() < _CONVERGED:
                break
        self._prior.learn(self._fitted)

    def predict(self, coordinates: Floats, indicators: Floats) -> Floats:
        """The values that the members expect, [members, points]."""
        return self._low + self._range * self._value(self._fitted, coordinates, indicators)

    def log_density(self, coordinates: Floats, indicators: Floats, values: Floats) -> Floats:
        """Logarithm of the density of values around each member, [members, points]."""
        residuals = values - self.predict(coordinates, indicators)
        # NOTE: before the first fit, and when the range of the values has grown, residuals may be of any size.
        standard = (residuals / self.noise).clip(-1e100, 1e100)
        density: Floats = _LOG_NORMALIZATION - np.log(self.noise) - _misfit(standard)
        return density

    def _exchange(self, data: Floats, weights: Floats, fitted: Floats) -> None:
        """Give every member the fit, of all members, that suits its own data and prior best."""
        # Member i judges all fits by its own data, noise and prior.
        losses = [
            self._loss(parameters[None], data - values, weights)
            for parameters, values in zip(self._fitted, fitted, strict=True)
        ]
        self._fitted = self._fitted[np.argmin(losses, axis=0)]

    def _estimate_noise(self, residuals: Floats, weights: Floats) -> Floats:
        """Scale of the noise of every member, from its residuals and the prior."""
        squares = (weights * self._robustness(residuals) * residuals**2).sum(axis=1)
        prior_points = 4.0
        return np.sqrt((prior_points * _LEAST_NOISE**2 + squares) / (prior_points + weights.sum(axis=1)))

    def _robustness(self, residuals: Floats) -> Floats:
        """Weight of a residual under Student's t noise, relative to normal noise."""
        standard = residuals / self._noise[:, None]
        return (_DEGREES_OF_FREEDOM + 1) / (_DEGREES_OF_FREEDOM + standard**2)

    def _loss(self, parameters: Floats, residuals: Floats, weights: Floats) -> Floats:
        """Negative logarithm of the posterior of every member, up to a constant."""
        misfit = _misfit(residuals / self._noise[:, None])
        surprise = (parameters - self._prior.means) ** 2 * self._prior.precision / 2
        return (weights * misfit).sum(axis=1) + surprise.sum(axis=1)

    def _value(self, parameters: Floats, coordinates: Floats, indicators: Floats) -> Floats:
        product, _, _, _, _ = self._curves(parameters, coordinates, indicators)
        return parameters[:, self._parts["floor"]] + parameters[:, self._parts["span"]] * product

    def _curves(
        self, parameters: Floats, coordinates: Floats, indicators: Floats
    ) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """The product of the curves, [members, points], and its parts.

        The parts are, with dimensions on the last axis: the distance from the knee, the sigmoid, the depth and the
        value of each curve.
        """
        members = len(parameters)
        own = parameters[:, self._parts["own_shift"]].reshape(members, self._dimensions, self._choices)
        knees = parameters[:, self._parts["knee"]][:, None] + np.matmul(indicators, own.transpose(0, 2, 1))
        knees += (parameters[:, self._parts["shift"]] @ indicators.T)[..., None]
        distances = coordinates - knees
        steepness = parameters[:, self._parts["slope"]][:, None]
        sigmoids = 1 / (1 + np.exp(-(steepness * distances).clip(-50, 50)))
        depths = 1 / (1 + np.exp(-parameters[:, self._parts["depth"]].clip(-50, 50)))[:, None]
        curves = np.maximum(1 - depths * (1 - sigmoids), _LEAST_FACTOR)
        factors = (parameters[:, self._parts["factor"]] @ indicators.T).clip(-50, 50)
        return np.exp(factors) * curves.prod(axis=-1), distances, sigmoids, depths, curves

    def _value_and_slopes(self, parameters: Floats, coordinates: Floats, indicators: Floats) -> tuple[Floats, Floats]:
        """Values [members, points] and their derivatives [members, points, parameters]."""
        product, distances, sigmoids, depths, curves = self._curves(parameters, coordinates, indicators)
        span = parameters[:, self._parts["span"]]
        scaled = (span * product)[..., None]
        steepness = parameters[:, self._parts["slope"]][:, None]
        # Derivative of the logarithm of a curve by its sigmoid's argument, and by the distance from its knee.
        by_argument = depths / curves * sigmoids * (1 - sigmoids) * scaled
        by_distance = by_argument * steepness
        slopes = np.empty((*product.shape, parameters.shape[1]))
        slopes[..., self._parts["floor"]] = 1
        slopes[..., self._parts["span"]] = product[..., None]
        slopes[..., self._parts["knee"]] = -by_distance
        slopes[..., self._parts["slope"]] = by_argument * distances
        slopes[..., self._parts["depth"]] = -(1 - sigmoids) / curves * depths * (1 - depths) * scaled
        slopes[..., self._parts["shift"]] = -by_distance.sum(axis=-1, keepdims=True) * indicators
        own = by_distance[..., None] * indicators[:, None]
        slopes[..., self._parts["own_shift"]] = -own.reshape(*product.shape, self._dimensions * self._choices)
        slopes[..., self._parts["factor"]] = scaled * indicators
        return parameters[:, self._parts["floor"]] + span * product, slopes


def _misfit(standard: Floats) -> Floats:
    """Negative logarithm of Student's t density of standardized residuals, without its normalization."""
    misfit: Floats = (_DEGREES_OF_FREEDOM + 1) / 2 * np.log1p(standard**2 / _DEGREES_OF_FREEDOM)
    return misfit


def _newton_moves(slopes: Floats, weights: Floats, precision: Floats, descent: Floats) -> Floats:
    """Solutions m of (slopes' weights slopes + precision) m = descent, [members, parameters].

    With fewer points than parameters, a system of the size of the points is solved (Woodbury's identity).

    Args:
        slopes: [members, points, parameters].
        weights: Not negative, [members, points].
        precision: A diagonal, [members, parameters].
        descent: [members, parameters].
    """
    _, points, parameters = slopes.shape
    if points >= parameters:
        curvature = np.matmul((slopes * weights[..., None]).transpose(0, 2, 1), slopes)
        diagonal = np.arange(parameters)
        curvature[:, diagonal, diagonal] += precision
        moves: Floats = np.asarray(np.linalg.solve(curvature, descent[..., None])[..., 0], np.float64)
        return moves
    # Roots of weights and precisions, so that weights of 0 do no harm, and the system is symmetric.
    scaled: Floats = slopes * np.sqrt(weights)[..., None]
    scaled /= np.sqrt(precision)[:, None]
    system = np.matmul(scaled, scaled.transpose(0, 2, 1))
    diagonal = np.arange(points)
    system[:, diagonal, diagonal] += 1
    white = (descent / np.sqrt(precision))[..., None]
    explained = np.matmul(scaled.transpose(0, 2, 1), np.linalg.solve(system, np.matmul(scaled, white)))
    within: Floats = (white - explained)[..., 0] / np.sqrt(precision)
    return within
