"""The winner's curse: a model that is chosen since it reached a floor probably had luck."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

_REPLICATES = 2_000
"""Choices that are made again."""

_MOST_MODELS = 200
"""Models that a choice is made among again: those whose accuracies are closest to the floor."""

_SMALLEST = 1e-12
"""Probability that stands for 0, whose quantile would be infinite."""


@dataclass(frozen=True, eq=False)
class Contest:
    """Models that were measured on the same samples as a reference, of which the smallest sufficient one is chosen.

    Args:
        right: Whether each model has each sample right, bool [models, samples].
        reference: Whether the reference has, bool [samples].
        memory: Memory of the models, [models].
        drop: What a model may lose against the reference, a fraction.
    """

    right: NDArray[np.bool_]
    reference: NDArray[np.bool_]
    memory: NDArray[np.float64]
    drop: float

    def optimism(self, seed: int = 0) -> float:
        """How much better than it is the chosen model seems on average, in standard errors; 0 if none is chosen.

        The bootstrap: what was measured stands for the truth, the samples are drawn again with replacement, the choice
        is made again, and the lead of the chosen model over the reference is compared with its true one. The draws are
        of the normal distribution with the covariance of the bootstrap, so that errors that models share, such as luck
        of the reference, stay shared. Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 17;
        for choices, Tibshirani and Tibshirani, "A bias correction for the minimum error rate in cross-validation",
        Annals of Applied Statistics 3, 2009.

        Args:
            seed: Of the draws.
        """
        leads = self.right.astype(np.float64) - self.reference
        means, variances = leads.mean(axis=1), _variances(self.right, self.reference)
        near = np.argsort(np.abs(means + self.drop) / np.sqrt(variances), kind="stable")[:_MOST_MODELS]
        by_memory = near[np.argsort(self.memory[near], kind="stable")]
        leads, means, variances = leads[by_memory], means[by_memory], variances[by_memory]
        errors = np.random.default_rng(seed).standard_normal((_REPLICATES, len(means))) @ _root(leads, variances).T
        reaches = means + errors >= -self.drop
        (chosen_in,) = np.nonzero(reaches.any(axis=1))
        if len(chosen_in) == 0:
            return 0.0
        chosen = reaches[chosen_in].argmax(axis=1)
        return float(np.mean(errors[chosen_in, chosen] / np.sqrt(variances[chosen])))


def corrected(risk: float, optimism: float) -> float:
    """A risk from one model's counts alone, with the optimism of its choice taken off.

    With z the standard errors by which the model is above the floor, risk = P(Z > z), the corrected risk is
    P(Z > (z - optimism) / sqrt(2)) for a normal Z. The variance counts twice, since the optimism is estimated from the
    same samples, with an error about as large. In simulated studies, see ``studies/benchmarks/risk_calibration.py``, a
    share of about p of the choices is under the floor of which it says p. By the counts alone, 28% of the risk is said
    where 44% of the choices are.

    Args:
        risk: The probability by the counts alone.
        optimism: What :meth:`Contest.optimism` gives.
    """
    above = -ndtri(min(max(risk, _SMALLEST), 1 - _SMALLEST))
    return float(ndtr(-(above - optimism) / np.sqrt(2)))


def _variances(right: NDArray[np.bool_], reference: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Variances of the leads over the reference, [models], by the posterior of :func:`~.posterior.paired_risk`."""
    total = len(reference) + 1.5
    lost = ((reference & ~right).sum(axis=1) + 0.5) / total
    gained = ((right & ~reference).sum(axis=1) + 0.5) / total
    variances: NDArray[np.float64] = (lost + gained - (gained - lost) ** 2) / (total + 1)
    return variances


def _root(leads: NDArray[np.float64], variances: NDArray[np.float64]) -> NDArray[np.float64]:
    """A matrix R, [models, models]: R @ R.T is the covariance of the mean leads, with at least these variances."""
    centred = leads - leads.mean(axis=1, keepdims=True)
    covariance = centred @ centred.T / leads.shape[1] ** 2
    missing = np.maximum(variances - np.diag(covariance), 0)
    values, vectors = np.linalg.eigh(covariance + np.diag(missing))
    root: NDArray[np.float64] = vectors * np.sqrt(np.maximum(values, 0))
    return root
