"""A conformal bound on the gain of accuracy in the rest of a training, from finished trials."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from optuna.trial import FrozenTrial

from qspinn_optuna.study import TrialRecord
from qspinn_optuna.workloads import TrainingProgress


def largest_gain(earlier: Iterable[FrozenTrial], rungs: Sequence[TrainingProgress], confidence: float) -> float:
    """An upper bound on the gain of accuracy of a trial from any rung to the end.

    Split conformal prediction (Lei et al. 2018, https://arxiv.org/abs/1604.04173): if n finished trials and a new one
    are exchangeable, the gain of the new one is among the k smallest with a probability of at least k / (n + 1). The
    gain of a trial is the largest from any of its rungs to its end, so that one bound holds at every rung.

    Args:
        earlier: Finished trials of the same scheme.
        rungs: Rungs of the new trial so far; only trials with rungs at the same fractions are compared.
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
    # With the tolerance, a rounding error in the last place does not turn 40 * 0.975 into 40.
    rank = math.ceil((len(gains) + 1) * confidence - 1e-9)
    return sorted(gains)[rank - 1] if rank <= len(gains) else math.inf
