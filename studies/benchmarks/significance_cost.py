"""What stopping early saves when significance is measured, on the tabulated networks: the full sweep beside it."""

from __future__ import annotations

import argparse
import math
from itertools import permutations

from evaluation_table import EvaluationTable
from search_problems import TABLES, table_path

from qspinn_optuna.significance import SignificanceReport, measure_significance


def main() -> None:
    """Print a row for each table and tolerance."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--tolerances", type=float, nargs="+", default=[0.01, 0.02, 0.03, 0.05])
    columns = [
        "table",
        "tolerance",
        "evaluations",
        "samples",
        "same widths",
        "out of order",
        "full sweep",
        "stopping early",
    ]
    tolerances = parser.parse_args().tolerances
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for name in TABLES:
        table = EvaluationTable.load(table_path(name))
        for tolerance in tolerances:
            sweep = measure_significance(table, table.space, tolerance=tolerance, stop_early=False)
            early = measure_significance(table, table.space, tolerance=tolerance)
            print(
                f"| {name} | {tolerance:g} | {early.evaluations / sweep.evaluations:.0%} "
                f"| {early.samples / sweep.samples:.0%} | {'yes' if early.narrowest == sweep.narrowest else 'no'} "
                f"| {', '.join(out_of_order(sweep, early)) or 'none'} | {ranking(sweep)} | {ranking(early)} |"
            )


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


if __name__ == "__main__":
    main()
