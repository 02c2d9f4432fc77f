"""How likely a true accuracy is under a floor, from the counts of one model alone."""

from __future__ import annotations

import numpy as np
from scipy.special import betainc, betaincinv

_JEFFREYS = 0.5
"""What Jeffreys' prior adds to each count."""

_POINTS = 512
"""Equally likely values that stand for a distribution in an integral: its error is under 0.0001."""


def paired_risk(lost: int, gained: int, samples: int, drop: float) -> float:
    """How likely a model loses more than ``drop`` against another that answered the same samples.

    Only the samples count that one of the two has right and the other wrong, as in McNemar's test (Psychometrika 12,
    1947). With p the probability of a lost sample and q that of a gained one, this is P(p - q > drop) of the posterior
    of (p, q), a Dirichlet distribution with Jeffreys' prior: Dirichlet(lost + 1/2, gained + 1/2, rest + 1/2). By its
    factors, s = p + q is Beta(lost + gained + 1, rest + 1/2), and the part p / s is Beta(lost + 1/2, gained + 1/2),
    independent of it, so that the probability is the mean over s of P(p / s > (1 + drop / s) / 2). With ``drop`` = 0 it
    is the Bayesian counterpart of McNemar's test. Source: Altham, "The analysis of matched proportions", Biometrika 58,
    1971.

    Args:
        lost: Samples that only the other model has right.
        gained: Samples that only this model has right.
        samples: Number of samples.
        drop: What may be lost, a fraction: 0.01 is one point.

    Raises:
        ValueError: If the counts are impossible.
    """
    if min(lost, gained) < 0 or lost + gained > samples or samples == 0:
        raise ValueError(
            f"counts must be at least 0, lost + gained <= samples > 0, got lost={lost}, gained={gained}, "
            f"samples={samples}."
        )
    quantiles = (np.arange(_POINTS) + 0.5) / _POINTS
    different = betaincinv(lost + gained + 2 * _JEFFREYS, samples - lost - gained + _JEFFREYS, quantiles)
    needed = np.clip((1 + drop / different) / 2, 0, 1)
    return float(np.mean(1 - betainc(lost + _JEFFREYS, gained + _JEFFREYS, needed)))


def unpaired_risk(correct: int, samples: int, floor: float) -> float:
    """How likely a true accuracy is under ``floor``, from counts alone: P(accuracy < floor) of the binomial posterior.

    The posterior is Beta(correct + 1/2, wrong + 1/2), with Jeffreys' prior.

    Args:
        correct: Correct answers.
        samples: Number of samples.
        floor: The floor, a fraction.

    Raises:
        ValueError: If the counts are impossible.
    """
    if not 0 <= correct <= samples or samples == 0:
        raise ValueError(f"counts must be 0 <= correct <= samples > 0, got correct={correct}, samples={samples}.")
    return float(betainc(correct + _JEFFREYS, samples - correct + _JEFFREYS, min(max(floor, 0.0), 1.0)))
