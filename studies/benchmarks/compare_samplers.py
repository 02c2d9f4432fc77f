"""How fast samplers find the front: Optuna's and the memory-aware one, on tables and synthetic problems.

Every run is a study of one problem, sampler and seed. Its regret after a trial is what the hypervolume of the true
front has more than that of the true values of all configurations evaluated so far, both as a share of the area from no
memory to that of the 32-bit original and from chance to an accuracy of 1. Finished runs are kept in a file a sampler,
`runs/<sampler>.jsonl` of the output folder; run again, they are not repeated: remove a file to run its sampler anew.
At the end `curves.json` and `curves.html` are written and a table is printed. Most of the time goes to Optuna's
Gaussian process.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from processes import in_processes
from regret_curves import plot, summarize, table_lines
from search_problems import TABLES, digest_of, problem_names, table_path
from search_run import SAMPLERS, Run, run_study
from synthetic_problems import SYNTHETIC_PROBLEMS

sys.path.insert(0, str(Path(__file__).parents[1]))  # where the modules of the studies are

from command_line import positive


def main() -> None:
    """Run what is missing, then write and print the comparison."""
    arguments = _arguments()
    arguments.output.mkdir(parents=True, exist_ok=True)
    runs = compare(arguments)
    curves = summarize(runs, arguments.trials)
    (arguments.output / "curves.json").write_text(json.dumps(curves, indent=1) + "\n")
    figure = plot(curves)
    figure.write_html(arguments.output / "curves.html", include_plotlyjs=True)
    print("\n".join(table_lines(curves)))


def compare(arguments: argparse.Namespace) -> list[Run]:
    """All runs that are asked for; those that are not in the output folder are run now, and kept there."""
    wanted = [
        (problem, sampler, seed)
        for sampler in sorted(arguments.samplers, key=SAMPLERS.index)
        for problem in arguments.problems
        for seed in range(arguments.seeds)
    ]
    runs = {key: run for key, run in _stored(arguments).items() if key in wanted}
    missing = [(*key, arguments.trials) for key in wanted if key not in runs]
    for run in in_processes(run_study, missing, arguments.processes):
        with _file(arguments, run.sampler).open("a") as file:
            file.write(json.dumps(asdict(run)) + "\n")
        runs[run.problem, run.sampler, run.seed] = run
    return [runs[key] for key in wanted]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    available = problem_names()
    parser.add_argument("--problems", nargs="+", choices=[*TABLES, *SYNTHETIC_PROBLEMS], default=available)
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=SAMPLERS)
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


def _file(arguments: argparse.Namespace, sampler: str) -> Path:
    """Where the runs of a sampler are kept, a line each."""
    folder: Path = arguments.output / "runs"
    folder.mkdir(exist_ok=True)
    return folder / f"{sampler}.jsonl"


def _stored(arguments: argparse.Namespace) -> dict[tuple[str, str, int], Run]:
    """Runs in the output folder that are of today's problems and long enough."""
    stored: dict[tuple[str, str, int], Run] = {}
    for sampler in arguments.samplers:
        for run in _read(_file(arguments, sampler)):
            wanted = run.problem in arguments.problems and run.seed < arguments.seeds
            if wanted and len(run.regret) >= arguments.trials and run.instance == digest_of(run.problem, run.seed):
                stored[run.problem, run.sampler, run.seed] = run
    return stored


def _read(path: Path) -> list[Run]:
    """The runs of a file, which is left without the end of a line that an interrupted comparison did not complete."""
    if not path.exists():
        return []
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole)
    return [Run(**json.loads(line)) for line in whole.splitlines()]


if __name__ == "__main__":
    main()
