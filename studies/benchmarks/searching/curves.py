"""The curves of a comparison: what contestants missed, as means over the seeds, and a table of it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searching.contestants import PROPOSED
from searching.markdown import markdown_header, markdown_row
from searching.runs import Run

CHECKPOINTS = (25, 50, 100, 200, 400)
"""Trials after which the table gives the regret."""

TITLES = {
    "random": "random",
    "nsgaii": "NSGA-II",
    "tpe-univariate": "TPE",
    "tpe": "TPE, multivariate",
    "gp": "Gaussian process",
    "memory-aware": "memory-aware",
    "memory-aware-pruned": "memory-aware, pruned",
    "memory-aware-fitted-to-all": "memory-aware, fitted to all after every trial",
}
"""Of the contestants, in the order in which they are shown."""


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
    lines = [markdown_header(columns)]
    for problem, samplers in curves["problems"].items():
        for sampler in sorted(samplers, key=list(TITLES).index):
            summary = samplers[sampler]
            cells = [problem, TITLES[sampler]]
            regret = summary["regret"]
            cells += [f"{regret['mean'][at - 1]:.4f} ± {regret['standard_error'][at - 1]:.4f}" for at in checkpoints]
            cells += [_ratio(samplers, sampler, at) for at in checkpoints]
            cells += [f"{summary['seconds_per_suggestion']:.3f}", f"{summary['duplicates']:.0%}"]
            cells += [f"{summary['samples_per_trial']:,.0f}"]
            lines.append(markdown_row(cells))
    return lines


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
    built_in = [summary["regret"]["mean"][trial - 1] for name, summary in samplers.items() if name not in PROPOSED]
    best = min(built_in, default=0.0)
    return f"{samplers[sampler]['regret']['mean'][trial - 1] / best:.2f}" if best > 0 else "-"
