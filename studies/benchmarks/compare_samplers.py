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
import hashlib
import json
import math
import multiprocessing
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import optuna
import plotly.graph_objects as go
import torch
from evaluation_table import EvaluationTable, params_of_row
from numpy.typing import NDArray
from optuna.samplers import BaseSampler
from optuna.trial import TrialState
from plotly.subplots import make_subplots
from synthetic_problems import SYNTHETIC_PROBLEMS, Front
from tqdm import tqdm

from qspinn_optuna import (
    Deployment,
    FrontPruner,
    MemoryAwareSampler,
    ParameterSpec,
    QuantizationConfig,
    QuantizationObjective,
    QuantizationSpace,
)
from qspinn_optuna.study import DIRECTIONS
from qspinn_optuna.workloads import TrainingProgress, Workload

sys.path.insert(0, str(Path(__file__).parents[1]))  # where the modules of the studies are

from command_line import positive

TABLES = {"mnist": ("mnist_stdp.npz", 0.1), "supervised": ("supervised.npz", 0.1)}
"""File of each table, and the accuracy of guessing."""

SAMPLERS = ("gp", "memory-aware-pruned", "memory-aware", "tpe", "tpe-multivariate", "nsgaii", "random")
"""Slow ones first: the processes then end at about the same time."""

OURS = ("memory-aware", "memory-aware-pruned")

CONFIDENCE = 0.95
"""Of the pruner."""

CHECKPOINTS = (25, 50, 100)
"""Trials after which the printed table gives the regret."""

# Okabe and Ito's colours, told apart by colour-blind people too, with a dash each.
_STYLES = {
    "random": ("#999999", "dot"),
    "nsgaii": ("#009E73", "dashdot"),
    "tpe": ("#56B4E9", "dash"),
    "tpe-multivariate": ("#0072B2", "solid"),
    "gp": ("#E69F00", "longdash"),
    "memory-aware": ("#D55E00", "solid"),
    "memory-aware-pruned": ("#CC79A7", "dash"),
}
_NAMES = {
    "random": "random",
    "nsgaii": "NSGA-II",
    "tpe": "TPE",
    "tpe-multivariate": "TPE, multivariate",
    "gp": "Gaussian process",
    "memory-aware": "memory-aware",
    "memory-aware-pruned": "memory-aware, pruned",
}

_TICKS = [digit * 10.0**exponent for exponent in range(-7, 1) for digit in (1, 2, 5)]
_TICKS_TEXT = [f"{tick:g}" for tick in _TICKS]

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Problem:
    """What is searched, and what there is to find.

    Args:
        workload: What is measured.
        space: What is searched.
        truth: Accuracy of a configuration without the noise of measuring it; NaN if the workload refuses it.
        find_front: Gives that of the true accuracies, which takes seconds.
        chance: Accuracy of guessing.
    """

    workload: Workload
    space: QuantizationSpace
    truth: Callable[[QuantizationConfig], float]
    find_front: Callable[[], Front]
    chance: float

    @cached_property
    def front(self) -> Front:
        """The front of the true accuracies."""
        return self.find_front()

    @property
    def reference_kib(self) -> float:
        """Memory of the 32-bit original."""
        rounding, scheme = self.space.roundings[0], self.space.schemes[0]
        return self.space.footprint(self.space.uniform(8, scheme, rounding)).baseline_kib

    def hypervolume(self, front: Front) -> float:
        """Of ``front``, as a share of what there is between the reference and the ideal."""
        return front.hypervolume(self.reference_kib, self.chance)


@dataclass(frozen=True)
class Run:
    """One study of a problem.

    Args:
        instance: A digest of the problem, so that runs of another one of the same name are told apart.
        regret: After each trial.
        samples: Samples evaluated in each trial: none for a configuration that the study has seen.
        seconds: Of the sampler, for each trial.
        repeated: Whether each trial's configuration had been suggested before.
    """

    problem: str
    sampler: str
    seed: int
    instance: str
    regret: list[float]
    samples: list[int]
    seconds: list[float]
    repeated: list[bool]


@dataclass
class CountingWorkload:
    """A workload that counts the samples it evaluates."""

    workload: Workload
    samples: int = field(default=0, init=False)

    @property
    def parameters(self) -> Sequence[ParameterSpec]:
        """Those of the workload."""
        return self.workload.parameters

    @property
    def deployment(self) -> Deployment:
        """That of the workload."""
        return self.workload.deployment

    @property
    def baseline(self) -> float:
        """That of the workload."""
        return self.workload.baseline

    def evaluate(self, config: QuantizationConfig, seed: int) -> Iterator[tuple[int, int] | TrainingProgress]:
        """What the workload says, as far as it is asked for."""
        before = self.samples
        for look in self.workload.evaluate(config, seed):
            if isinstance(look, tuple):
                self.samples = before + look[1]
            yield look

    def describe(self) -> Mapping[str, Any]:
        """As the workload does."""
        return self.workload.describe()


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


def run_study(task: tuple[str, str, int, int]) -> Run:
    """Run one study of (problem, sampler, seed, trials)."""
    name, sampler_name, seed, trials = task
    problem = make_problem(name, seed)
    workload = CountingWorkload(problem.workload)
    pruner = FrontPruner(CONFIDENCE) if sampler_name == "memory-aware-pruned" else None
    objective = QuantizationObjective(workload, problem.space, pruner=pruner)
    study = optuna.create_study(directions=DIRECTIONS, sampler=make_sampler(sampler_name, problem.space, seed))
    best = problem.hypervolume(problem.front)
    memory, accuracy = [], []
    regret, samples, seconds, repeated = [], [], [], []
    suggested: set[QuantizationConfig] = set()
    for _ in range(trials):
        before = workload.samples
        trial, spent = run_trial(study, objective)
        config = problem.space.config(trial.params)
        if trial.state is TrialState.COMPLETE:
            memory.append(problem.space.footprint(config).kib)
            accuracy.append(problem.truth(config))
        regret.append(best - problem.hypervolume(Front.of(memory, accuracy)))
        samples.append(workload.samples - before)
        seconds.append(spent)
        repeated.append(config in suggested)
        suggested.add(config)
    return Run(name, sampler_name, seed, _digest(name, seed), regret, samples, seconds, repeated)


def run_trial(study: optuna.Study, objective: QuantizationObjective) -> tuple[optuna.trial.FrozenTrial, float]:
    """The next trial of a study, and the seconds that its sampler took."""
    start = time.perf_counter()
    # All dimensions at once: the sampler is at work here and when it is told the values, and nowhere else.
    trial = study.ask(objective.space.distributions)
    seconds = time.perf_counter() - start
    try:
        values, state = objective(trial), TrialState.COMPLETE
    except optuna.TrialPruned:
        values, state = None, TrialState.PRUNED
    start = time.perf_counter()
    frozen = study.tell(trial, values, state)
    return frozen, seconds + time.perf_counter() - start


def make_sampler(name: str, space: QuantizationSpace, seed: int) -> BaseSampler:
    """The sampler with one of the names in ``SAMPLERS``."""
    match name:
        case "memory-aware" | "memory-aware-pruned":
            sampler: BaseSampler = MemoryAwareSampler(space, seed=seed)
        case "gp":
            sampler = optuna.samplers.GPSampler(seed=seed)
        case "tpe":
            sampler = optuna.samplers.TPESampler(seed=seed)
        case "tpe-multivariate":
            sampler = optuna.samplers.TPESampler(multivariate=True, seed=seed)
        case "nsgaii":
            # Of Optuna's default of 50, 100 trials would be two generations.
            sampler = optuna.samplers.NSGAIISampler(population_size=20, seed=seed)
        case _:
            sampler = optuna.samplers.RandomSampler(seed=seed)
    return sampler


def problem_names() -> list[str]:
    """The problems there are: tables that have not been made are left out."""
    return [name for name in TABLES if table_path(name).exists()] + list(SYNTHETIC_PROBLEMS)


def table_path(name: str) -> Path:
    """File of a table."""
    return Path(__file__).parent / "tables" / TABLES[name][0]


def make_problem(name: str, seed: int) -> Problem:
    """A table, which is the same for all seeds, or the instance ``seed`` of a synthetic problem."""
    if name in TABLES:
        return table_problem(table_path(name), TABLES[name][1])
    workload = SYNTHETIC_PROBLEMS[name](seed)
    return Problem(workload, workload.space, workload.truth, lambda: workload.front, workload.chance)


@lru_cache(maxsize=len(TABLES))
def table_problem(path: Path, chance: float) -> Problem:
    """A table, whose accuracies are taken for the true ones."""
    table = EvaluationTable.load(path)
    space, accuracy = table.space, table.accuracy
    evaluated = np.flatnonzero(~np.isnan(accuracy))

    def truth(config: QuantizationConfig) -> float:
        return float(accuracy[table.row(space.params(config))])

    def find_front() -> Front:
        memory = [space.footprint(space.config(params_of_row(space, row))).kib for row in evaluated.tolist()]
        return Front.of(memory, accuracy[evaluated])

    return Problem(table, space, truth, find_front, chance)


def in_processes(function: Callable[[Item], Result], items: Sequence[Item], processes: int) -> Iterator[Result]:
    """Results as they become ready, each of them of one thread; with one process, of this one."""
    if processes == 1 or len(items) <= 1:
        _use_one_thread()
        yield from tqdm(map(function, items), total=len(items))
        return
    # Libraries read it when they are loaded. Forked processes would inherit locks of threads that they do not have.
    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_use_one_thread) as pool:
        futures = [pool.submit(function, item) for item in items]
        for future in tqdm(as_completed(futures), total=len(futures)):
            yield future.result()


def summarize(runs: Iterable[Run], trials: int) -> dict[str, Any]:
    """Means and standard errors over the seeds, by problem and sampler."""
    groups: dict[str, dict[str, list[Run]]] = {}
    for run in runs:
        groups.setdefault(run.problem, {}).setdefault(run.sampler, []).append(run)
    problems = {
        problem: {sampler: _summary(members, trials) for sampler, members in samplers.items()}
        for problem, samplers in groups.items()
    }
    return {"trials": trials, "problems": problems}


def table_lines(curves: Mapping[str, Any]) -> list[str]:
    """The comparison as a Markdown table."""
    trials = curves["trials"]
    checkpoints = [checkpoint for checkpoint in CHECKPOINTS if checkpoint < trials] + [trials]
    columns = ["problem", "sampler", *(f"regret at {checkpoint}" for checkpoint in checkpoints)]
    columns += [f"of the best built-in at {checkpoint}" for checkpoint in checkpoints]
    columns += ["s per suggestion", "duplicates", "samples per trial"]
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for problem, samplers in curves["problems"].items():
        for sampler in sorted(samplers, key=list(_NAMES).index):
            summary = samplers[sampler]
            cells = [problem, _NAMES[sampler]]
            regret = summary["regret"]
            cells += [f"{regret['mean'][at - 1]:.4f} ± {regret['standard_error'][at - 1]:.4f}" for at in checkpoints]
            cells += [_ratio(samplers, sampler, at) for at in checkpoints]
            cells += [f"{summary['seconds_per_suggestion']:.3f}", f"{summary['duplicates']:.0%}"]
            lines.append(f"| {' | '.join(cells)} | {summary['samples_per_trial']:,.0f} |")
    return lines


def plot(curves: Mapping[str, Any]) -> go.Figure:
    """A row for each problem: regret against trials, and against evaluated samples."""
    problems = curves["problems"]
    figure = make_subplots(
        rows=len(problems),
        cols=2,
        shared_yaxes=True,
        horizontal_spacing=0.04,
        vertical_spacing=0.24 / len(problems),
        subplot_titles=[title for problem in problems for title in (f"<b>{problem}</b>: by trials", "by samples")],
    )
    shown: set[str] = set()
    for row, samplers in enumerate(problems.values(), start=1):
        regrets = [value for summary in samplers.values() for value in summary["regret"]["mean"]]
        # A logarithmic axis has no place for the 0 of a front that was found whole.
        lowest = min((value for value in regrets if value > 0), default=1e-6) / 2
        for sampler in sorted(samplers, key=list(_NAMES).index):
            for column, (axis, curve) in enumerate(_axes(samplers[sampler]), start=1):
                for trace in _traces(sampler, axis, curve, lowest):
                    trace.showlegend = trace.showlegend is not False and sampler not in shown
                    figure.add_trace(trace, row=row, col=column)
                shown.add(sampler)
        bounds = [math.log10(lowest), math.log10(max(*regrets, 2 * lowest)) + 0.1]
        figure.update_yaxes(type="log", range=bounds, tickvals=_TICKS, ticktext=_TICKS_TEXT, row=row)
        figure.update_yaxes(title_text="hypervolume regret (share)", row=row, col=1)
        figure.update_xaxes(title_text="trials", rangemode="tozero", row=row, col=1)
        figure.update_xaxes(title_text="evaluated samples", rangemode="tozero", row=row, col=2)
    height = 200 + 400 * len(problems)
    figure.update_layout(
        title={
            "text": "What is missing of the front: mean of the seeds, and a standard error to either side",
            **{"x": 0.01, "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 16}},
        },
        # Between the title and the first row, however many rows there are.
        legend={"orientation": "h", "y": 1 - 44 / height, "yref": "container", "yanchor": "top", "x": 0},
        margin={"t": 120},
        template="plotly_white",
        height=height,
        hovermode="x unified",
    )
    return figure


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
            if wanted and len(run.regret) >= arguments.trials and run.instance == _digest(run.problem, run.seed):
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


@cache
def _digest(name: str, seed: int) -> str:
    """Of what a problem says of itself, and of the accuracies on its diagonal: a few of them tell instances apart."""
    problem = make_problem(name, seed)
    space = problem.space
    diagonal = [
        problem.truth(space.uniform(width, scheme, rounding))
        for width in range(1, 17)
        for scheme in space.schemes
        for rounding in space.roundings
    ]
    text = json.dumps([dict(problem.workload.describe()), [f"{accuracy:.9f}" for accuracy in diagonal]], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _use_one_thread() -> None:
    """Samplers are timed, and runs at once would share the cores' threads."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)


def _summary(runs: Sequence[Run], trials: int) -> dict[str, Any]:
    """Of the runs of one sampler on one problem."""
    regret = np.array([run.regret[:trials] for run in runs])
    samples = np.array([run.samples[:trials] for run in runs]).cumsum(axis=1)
    # From where all runs have evaluated something to where the first one ends, so that all points are of all runs.
    grid = np.linspace(samples[:, 0].max(), samples[:, -1].min(), trials)
    places = [np.searchsorted(own, grid, side="right") - 1 for own in samples]
    by_samples = np.array([own[place] for own, place in zip(regret, places, strict=True)])
    return {
        "seeds": len(runs),
        "regret": {"trials": list(range(1, trials + 1)), **_mean(regret)},
        "regret_by_samples": {"samples": grid.round().astype(int).tolist(), **_mean(by_samples)},
        "seconds_per_suggestion": statistics.mean(second for run in runs for second in run.seconds[:trials]),
        "duplicates": statistics.mean(repeated for run in runs for repeated in run.repeated[:trials]),
        "samples_per_trial": float(samples[:, -1].mean() / trials),
    }


def _mean(values: NDArray[np.float64]) -> dict[str, list[float]]:
    """Mean over the runs, and its standard error."""
    runs = len(values)
    error = values.std(axis=0, ddof=1) / math.sqrt(runs) if runs > 1 else np.zeros(values.shape[1])
    return {"mean": values.mean(axis=0).tolist(), "standard_error": error.tolist()}


def _ratio(samplers: Mapping[str, Any], sampler: str, trial: int) -> str:
    """Regret of a sampler as a share of that of Optuna's best one."""
    built_in = [summary["regret"]["mean"][trial - 1] for name, summary in samplers.items() if name not in OURS]
    best = min(built_in, default=0.0)
    return f"{samplers[sampler]['regret']['mean'][trial - 1] / best:.2f}" if best > 0 else "-"


def _axes(summary: Mapping[str, Any]) -> Iterator[tuple[list[int], Mapping[str, list[float]]]]:
    """Of the two columns of the figure: the horizontal axis, and what is drawn over it."""
    yield summary["regret"]["trials"], summary["regret"]
    yield summary["regret_by_samples"]["samples"], summary["regret_by_samples"]


def _traces(
    sampler: str, axis: list[int], curve: Mapping[str, list[float]], lowest: float
) -> tuple[go.Scatter, go.Scatter]:
    """The band and the line of a sampler."""
    color, dash = _STYLES[sampler]
    mean, error = np.array(curve["mean"]), np.array(curve["standard_error"])
    low, high = np.maximum(mean - error, lowest), np.maximum(mean + error, lowest)
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    band = go.Scatter(
        x=[*axis, *axis[::-1]],
        y=[*high, *low[::-1]],
        fill="toself",
        fillcolor=f"rgba({red},{green},{blue},0.18)",
        line={"width": 0},
        hoverinfo="skip",
        legendgroup=sampler,
        showlegend=False,
    )
    line = go.Scatter(
        x=axis,
        y=np.maximum(mean, lowest),
        mode="lines",
        line={"color": color, "dash": dash, "width": 3 if sampler in OURS else 2},
        name=_NAMES[sampler],
        legendgroup=sampler,
    )
    return band, line


if __name__ == "__main__":
    main()
