"""What stopping early saves when significance is measured, on the tabulated networks: the full sweep beside it."""

from __future__ import annotations

import argparse

from qspinn_optuna.significance import measure_significance
from searching.markdown import markdown_header, markdown_row
from searching.problems import TABLES, table_path
from searching.significance import out_of_order, ranking
from searching.tables import EvaluationTable


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
    print(markdown_header(columns))
    for name in TABLES:
        table = EvaluationTable.load(table_path(name))
        for tolerance in tolerances:
            sweep = measure_significance(table, table.space, tolerance=tolerance, stop_early=False)
            early = measure_significance(table, table.space, tolerance=tolerance)
            cells = [
                name,
                f"{tolerance:g}",
                f"{early.evaluations / sweep.evaluations:.0%}",
                f"{early.samples / sweep.samples:.0%}",
                "yes" if early.narrowest == sweep.narrowest else "no",
                ", ".join(out_of_order(sweep, early)) or "none",
                ranking(sweep),
                ranking(early),
            ]
            print(markdown_row(cells))


if __name__ == "__main__":
    main()
