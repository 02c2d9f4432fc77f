"""The tables as text, as the package for OptunaHub has them; ``python -m searching.published_tables`` writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from optuna.distributions import distribution_to_json

from qspinn_optuna import QuantizationSpace
from qspinn_optuna.space import is_width
from searching.problems import TABLES, table_path
from searching.tables import EvaluationTable, params_of_row

PUBLISHED = Path(__file__).parents[2] / "optunahub" / "benchmarks" / "snn_quantization" / "tables.json"


def published() -> dict[str, Any]:
    """Of each table the dimensions, memory, and correct answers of all configurations.

    The counts are one text for each table, in the order of :meth:`~searching.tables.EvaluationTable.row`.
    """
    return {name: _published(EvaluationTable.load(table_path(name)), chance) for name, (_, chance) in TABLES.items()}


def main() -> None:
    """Write the file."""
    PUBLISHED.write_text(json.dumps(published(), indent=1) + "\n")


def _published(table: EvaluationTable, chance: float) -> dict[str, Any]:
    space = table.space
    # A dimension of one value is no choice.
    searched = {name: value for name, value in space.distributions.items() if not value.single()}
    return {
        "dimensions": {name: json.loads(distribution_to_json(value)) for name, value in searched.items()},
        "fixed": {name: params_of_row(space, 0)[name] for name in space.distributions if name not in searched},
        "kib": _memory(space),
        "samples": int(table.seen[-1]),
        "chance": chance,
        "float_accuracy": table.baseline,
        "float_kib": space.footprint(space.config(params_of_row(space, 0))).baseline_kib,
        "correct": " ".join(map(str, table.correct[:, -1].tolist())),
    }


def _memory(space: QuantizationSpace) -> dict[str, float]:
    """Memory of each dimension's bits in KiB, and that of all that is not searched, as "constant"."""
    first = params_of_row(space, 0)
    kib = space.footprint(space.config(first)).kib
    slopes = {
        name: space.footprint(space.config(first | {name: first[name] + 1})).kib - kib
        for name in space.distributions
        if is_width(name) and not space.distributions[name].single()
    }
    return {"constant": kib - sum(slope * first[name] for name, slope in slopes.items()), **slopes}


if __name__ == "__main__":
    main()
