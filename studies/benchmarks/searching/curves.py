"""The curves of a comparison: what contestants missed, as means over the seeds, and a table of it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searching.contestants import BUILT_IN
from searching.markdown import markdown_header, markdown_row
from searching.runs import Run

CHECKPOINTS = (10, 15, 25, 50, 100, 200, 300, 400)
"""Trials after which tables give the regret."""

TITLES = {
    "random": "random",
    "nsgaii": "NSGA-II",
    "tpe-univariate": "TPE",
    "tpe": "TPE, multivariate",
    "gp": "Gaussian process",
    "gp-known": "Gaussian process that knows memory",
    "engineer": "engineer",
    "greedy": "greedy from 8 bits",
    "significance-first": "significance first",
    "integer-programme": "integer programme",
    "memory-aware": "memory-aware",
    "memory-aware-pruned": "memory-aware, pruned",
    "memory-aware-fitted-to-all": "memory-aware, fitted to all after every trial",
    "memory-aware-told": "memory-aware, told what single widths lose",
}
"""Of the contestants, in the order in which they are shown."""


def summarize(runs: Iterable[Run]) -> dict[str, Any]:
    """Means and standard errors over the seeds, by problem and sampler, up to the end of the shortest run."""
    groups: dict[str, dict[str, list[Run]]] = {}
    for run in runs:
        groups.setdefault(run.problem, {}).setdefault(run.sampler, []).append(run)
    problems = {
        problem: {sampler: _summary(members) for sampler, members in samplers.items()}
        for problem, samplers in groups.items()
    }
    return {"problems": problems}


def table_lines(curves: Mapping[str, Any]) -> list[str]:
    """The comparison as a Markdown table; blank where a problem has fewer trials than others."""
    lengths = [len(summary["regret"]["mean"]) for group in curves["problems"].values() for summary in group.values()]
    trials = max(lengths, default=0)
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
            measured = [at if at <= len(regret["mean"]) else None for at in checkpoints]
            cells += [
                "" if at is None else f"{regret['mean'][at - 1]:.4f} ± {regret['standard_error'][at - 1]:.4f}"
                for at in measured
            ]
            cells += ["" if at is None else _ratio(samplers, sampler, at) for at in measured]
            cells += [f"{summary['seconds_per_suggestion']:.3f}", f"{summary['duplicates']:.0%}"]
            cells += [f"{summary['samples_per_trial']:,.0f}"]
            lines.append(markdown_row(cells))
    return lines


def _summary(runs: Sequence[Run]) -> dict[str, Any]:
    """Of the runs of one sampler on one problem."""
    trials = min(len(run.regret) for run in runs)
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
    means = {name: summary["regret"]["mean"] for name, summary in samplers.items() if name in BUILT_IN}
    built_in = [mean[trial - 1] for mean in means.values() if trial <= len(mean)]
    best = min(built_in, default=0.0)
    return f"{samplers[sampler]['regret']['mean'][trial - 1] / best:.2f}" if best > 0 else "-"
