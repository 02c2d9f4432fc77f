"""What stopping early saves when significance is measured, on the tabulated networks: the full sweep beside it."""

from __future__ import annotations

import argparse

from compare_samplers import TABLES, table_path
from evaluation_table import EvaluationTable

from qspinn_optuna.significance import measure_significance


def main() -> None:
    """Print a row for each table and tolerance."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--tolerances", type=float, nargs="+", default=[0.01, 0.02, 0.03, 0.05])
    columns = ["table", "tolerance", "evaluations", "samples", "same widths", "ranking of the sweep", "stopping early"]
    tolerances = parser.parse_args().tolerances
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for name in TABLES:
        table = EvaluationTable.load(table_path(name))
        for tolerance in tolerances:
            sweep = measure_significance(table, table.space, tolerance=tolerance, stop_early=False)
            early = measure_significance(table, table.space, tolerance=tolerance)
            rankings = [
                ", ".join(f"{name} {100 * report.loss_per_bit[name]:.2f}" for name in report.ranking)
                for report in (sweep, early)
            ]
            print(
                f"| {name} | {tolerance:g} | {early.evaluations / sweep.evaluations:.0%} "
                f"| {early.samples / sweep.samples:.0%} | {'yes' if early.narrowest == sweep.narrowest else 'no'} "
                f"| {' | '.join(rankings)} |"
            )


if __name__ == "__main__":
    main()
