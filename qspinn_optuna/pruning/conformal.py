"""A conformal bound on what a training still gains, from what other trials gained in the rest of theirs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from optuna.trial import FrozenTrial

from qspinn_optuna.study import TrialRecord
from qspinn_optuna.workloads import TrainingProgress


def largest_gain(earlier: Iterable[FrozenTrial], rungs: Sequence[TrainingProgress], confidence: float) -> float:
    """The gain of accuracy, from any rung to the end, that a trial does not exceed.

    Split conformal prediction (Lei et al. 2018, https://arxiv.org/abs/1604.04173): of n finished trials and a new one,
    all exchangeable, the new one's gain is among the k smallest with probability k / (n + 1) at least. A trial's gain
    is the largest from any of its rungs to its end, so that one bound holds at every rung.

    Args:
        earlier: Finished trials of the same kind.
        rungs: Those of the new trial so far; only trials with rungs at the same fractions are compared.
        confidence: Probability that the bound holds.

    Returns:
        The bound, a fraction; infinite if there are too few finished trials.
    """
    fractions = [rung.fraction for rung in rungs]
    gains = []
    for trial in earlier:
        record = TrialRecord(trial)
        known = record.progress
        if [rung.fraction for rung in known[: len(rungs)]] == fractions and math.isfinite(record.accuracy):
            gains.append(max(record.accuracy - rung.accuracy for rung in known))
    # The tolerance: 40 * 0.975 must not become 40 by an error in the last place.
    rank = math.ceil((len(gains) + 1) * confidence - 1e-9)
    return sorted(gains)[rank - 1] if rank <= len(gains) else math.inf
