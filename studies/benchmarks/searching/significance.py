"""Two reports of significance beside each other."""

from __future__ import annotations

import math
from itertools import permutations

from qspinn_optuna.significance import SignificanceReport


def ranking(report: SignificanceReport) -> str:
    """The parameters with their losses in points a bit; those that are not told apart in parentheses."""
    tiers = [
        ", ".join(
            f"{name} {100 * report.loss_per_bit[name]:.2f} ± {100 * report.standard_error[name]:.2f}" for name in tier
        )
        for tier in report.tiers
    ]
    return ", ".join(f"({names})" if "," in names else names for names in tiers)


def out_of_order(sweep: SignificanceReport, early: SignificanceReport) -> list[str]:
    """Pairs of which the sweep knows which loses more, by two standard errors, and the other report has the other."""
    pairs = permutations(sweep.parameters, 2)
    return [
        f"{first} > {second}"
        for first, second in pairs
        if sweep.loss_per_bit[first] - sweep.loss_per_bit[second]
        > 2 * math.hypot(sweep.standard_error[first], sweep.standard_error[second])
        and early.loss_per_bit[first] < early.loss_per_bit[second]
    ]
