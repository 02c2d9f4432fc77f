"""How fast samplers find the front: Optuna's and the memory-aware one, on tables and synthetic problems.

Every run is a study of one problem, sampler and seed. Its regret after a trial is what the hypervolume of the true
front has more than that of the true values of all configurations evaluated so far, both as a share of the area from no
memory to that of the 32-bit original and from chance to an accuracy of 1. Finished runs are kept in a file a sampler,
`contestants/<sampler>.jsonl` of the output folder; run again, they are not repeated: remove a file to run its sampler
anew. At the end `curves.json` and `curves.html` are written and a table is printed. Most of the time goes to Optuna's
Gaussian process.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from qspinn_optuna.cli.argument_types import positive
from searching.contestants import CONTESTANTS, VARIANTS
from searching.curve_figure import plot_curves
from searching.curves import summarize, table_lines
from searching.formulas import MANY_DIMENSIONS, SYNTHETIC_PROBLEMS
from searching.problems import TABLES, digest_of, problem_names, table_path
from searching.processes import in_processes
from searching.runs import Run, run_contestant
from searching.stored_runs import store, stored_runs


def main() -> None:
    """Run what is missing, then write and print the comparison."""
    arguments = _arguments()
    arguments.output.mkdir(parents=True, exist_ok=True)
    runs = compare(arguments)
    curves = summarize(runs, arguments.trials)
    (arguments.output / "curves.json").write_text(json.dumps(curves, indent=1) + "\n")
    figure = plot_curves(curves)
    figure.write_html(arguments.output / "curves.html", include_plotlyjs=True)
    print("\n".join(table_lines(curves)))


def compare(arguments: argparse.Namespace) -> list[Run]:
    """All runs that are asked for; those that are not in the output folder are run now, and kept there."""
    wanted = [
        (problem, sampler, seed)
        for sampler in sorted(arguments.samplers, key=[*CONTESTANTS, *VARIANTS].index)
        for problem in arguments.problems
        for seed in range(arguments.seeds)
    ]
    runs = {key: run for key, run in _stored(arguments).items() if key in wanted}
    missing = [(*key, arguments.trials) for key in wanted if key not in runs]
    for run in in_processes(run_contestant, missing, arguments.processes):
        store(arguments.output, run)
        runs[run.problem, run.sampler, run.seed] = run
    return [runs[key] for key in wanted]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    available = problem_names()
    usual = [name for name in available if name not in MANY_DIMENSIONS]
    parser.add_argument("--problems", nargs="+", choices=[*TABLES, *SYNTHETIC_PROBLEMS], default=usual)
    parser.add_argument("--samplers", nargs="+", choices=[*CONTESTANTS, *VARIANTS], default=CONTESTANTS)
    parser.add_argument("--seeds", type=positive, default=10, help="runs of each sampler on each problem")
    parser.add_argument("--trials", type=positive, default=100, help="of each run")
    parser.add_argument("--processes", type=positive, default=2, help="runs at once")
    parser.add_argument("--output", type=Path, default=Path("sampler-results"), help="folder of runs and curves")
    arguments = parser.parse_args()
    for name in arguments.problems:
        if name not in available:
            print(f"{name} is left out: {table_path(name).name} has not been made.")
    arguments.problems = [name for name in arguments.problems if name in available]
    if not arguments.problems:
        parser.error("--problems: none of them can be run")
    return arguments


def _stored(arguments: argparse.Namespace) -> dict[tuple[str, str, int], Run]:
    """Runs in the output folder that are of today's problems and long enough."""
    return {
        (run.problem, run.sampler, run.seed): run
        for sampler in arguments.samplers
        for run in stored_runs(arguments.output, sampler)
        if run.problem in arguments.problems
        and run.seed < arguments.seeds
        and len(run.regret) >= arguments.trials
        and run.instance == digest_of(run.problem, run.seed)
    }


if __name__ == "__main__":
    main()
