"""How fast searches find the front: the memory-aware sampler, Optuna's, and rivals that know memory.

Every run is a study of one problem, sampler and seed. Its regret after a trial is what the hypervolume of the true
front has more than that of the true values of all configurations evaluated so far, both as a share of the area from no
memory to that of the 32-bit original and from chance to an accuracy of 1. Finished runs are kept in a file a sampler,
`contestants/<sampler>.jsonl` of the output folder; run again, they are not repeated: remove a file to run its sampler
anew. At the end `curves.json` and `curves.html` are written, and two tables are printed: ours beside the best rival of
each problem, whoever it is, and everybody's. Most of the time goes to Optuna's Gaussian process. Instances of synthetic
problems that nobody has seen are those of other seeds: `--first-seed 1000`, with an output folder of their own.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from qspinn_optuna.cli.argument_types import positive
from searching.contestants import CONTESTANTS, VARIANTS, can_run
from searching.curve_figure import plot_curves
from searching.curves import summarize, table_lines
from searching.formulas import MANY_DIMENSIONS, SYNTHETIC_PROBLEMS
from searching.problems import FLOORS, TABLES, digest_of, problem_names, table_path
from searching.processes import in_processes
from searching.rival_table import rival_lines
from searching.runs import Run, run_contestant
from searching.stored_runs import store, stored_runs

_TRIALS, _MANY_TRIALS = 100, 300
"""Of a run, and of one with many dimensions."""


def main() -> None:
    """Run what is missing, then write and print the comparison."""
    arguments = _arguments()
    arguments.output.mkdir(parents=True, exist_ok=True)
    runs = compare(arguments)
    curves = summarize(runs)
    (arguments.output / "curves.json").write_text(json.dumps(curves, indent=1) + "\n")
    figure = plot_curves(curves)
    figure.write_html(arguments.output / "curves.html", include_plotlyjs=True)
    print("\n".join([*rival_lines(curves), "", *table_lines(curves)]))


def compare(arguments: argparse.Namespace) -> list[Run]:
    """All runs that are asked for; those that are not in the output folder are run now, and kept there."""
    wanted = [
        (problem, sampler, seed)
        for sampler in sorted(arguments.samplers, key=[*CONTESTANTS, *VARIANTS].index)
        for problem in arguments.problems
        for seed in _seeds(arguments)
    ]
    runs = {key: run for key, run in _stored(arguments).items() if key in wanted}
    missing = [(*key, _trials(arguments, key[0])) for key in wanted if key not in runs]
    for run in in_processes(run_contestant, missing, arguments.processes):
        store(arguments.output, run)
        runs[run.problem, run.sampler, run.seed] = run
    return [runs[key] for key in wanted]


def _seeds(arguments: argparse.Namespace) -> range:
    return range(arguments.first_seed, arguments.first_seed + arguments.seeds)


def _trials(arguments: argparse.Namespace, problem: str) -> int:
    """Trials of a run: many dimensions take more."""
    if arguments.trials is not None:
        return int(arguments.trials)
    return _MANY_TRIALS if problem in MANY_DIMENSIONS else _TRIALS


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    available = problem_names()
    usual = [name for name in available if name not in MANY_DIMENSIONS]
    parser.add_argument("--problems", nargs="+", choices=[*TABLES, *SYNTHETIC_PROBLEMS, *FLOORS], default=usual)
    parser.add_argument("--samplers", nargs="+", choices=[*CONTESTANTS, *VARIANTS], default=CONTESTANTS)
    parser.add_argument("--seeds", type=positive, default=10, help="runs of each sampler on each problem")
    parser.add_argument("--first-seed", type=int, default=0, help="of the instances, and of the samplers")
    parser.add_argument("--trials", type=positive, help=f"of each run; if not given {_TRIALS}, or {_MANY_TRIALS}")
    parser.add_argument("--processes", type=positive, default=2, help="runs at once")
    parser.add_argument("--output", type=Path, default=Path("sampler-results"), help="folder of runs and curves")
    arguments = parser.parse_args()
    for name in arguments.problems:
        if name not in available:
            print(f"{name} is left out: {table_path(name).name} has not been made.")
    arguments.problems = [name for name in arguments.problems if name in available]
    for name in arguments.samplers:
        if not can_run(name):
            print(f'{name} is left out: it needs BoTorch (pip install ".[benchmarks]").')
    arguments.samplers = [name for name in arguments.samplers if can_run(name)]
    if not arguments.problems or not arguments.samplers:
        parser.error("--problems and --samplers: none of them can be run")
    return arguments


def _stored(arguments: argparse.Namespace) -> dict[tuple[str, str, int], Run]:
    """Runs in the output folder that are of today's problems and long enough."""
    return {
        (run.problem, run.sampler, run.seed): run
        for sampler in arguments.samplers
        for run in stored_runs(arguments.output, sampler)
        if run.problem in arguments.problems
        and run.seed in _seeds(arguments)
        and len(run.regret) >= _trials(arguments, run.problem)
        and run.instance == digest_of(run.problem, run.seed)
    }


if __name__ == "__main__":
    main()
