"""The sampler of this project beside the best of all others, problem by problem, as a Markdown table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from searching.contestants import PROPOSED
from searching.curves import CHECKPOINTS, TITLES
from searching.markdown import markdown_header, markdown_row

_OURS = PROPOSED[0]


def rival_lines(curves: Mapping[str, Any]) -> list[str]:
    """Regret in thousandths with standard errors, ours and that of the best rival, who may be another in each column.

    Problems that ours was not run on, or no rival, are left out.
    """
    compared = {
        problem: samplers
        for problem, samplers in curves["problems"].items()
        if _OURS in samplers and samplers.keys() - set(PROPOSED)
    }
    longest = max((_length(samplers.values()) for samplers in compared.values()), default=0)
    checkpoints = [checkpoint for checkpoint in CHECKPOINTS if checkpoint <= longest]
    lines = [markdown_header(["problem", "regret x 1000", *(f"{checkpoint} trials" for checkpoint in checkpoints)])]
    for problem, samplers in compared.items():
        lines += [markdown_row(row) for row in _rows(problem, samplers, checkpoints)]
    return lines


def _rows(problem: str, samplers: Mapping[str, Any], checkpoints: Sequence[int]) -> list[list[str]]:
    ours, best, share = [problem, TITLES[_OURS]], ["", "best rival"], ["", "share"]
    for at in checkpoints:
        if at > _length([samplers[_OURS]]):
            for row in (ours, best, share):
                row.append("")
            continue
        rivals = [name for name in samplers if name not in PROPOSED and _length([samplers[name]]) >= at]
        rival = min(rivals, key=lambda name: _mean(samplers[name], at))
        ours.append(_cell(samplers[_OURS], at))
        best.append(f"{_cell(samplers[rival], at)} ({TITLES[rival]})")
        least = _mean(samplers[rival], at)
        share.append(f"{_mean(samplers[_OURS], at) / least:.2f}" if least > 0 else "-")
    return [ours, best, share]


def _length(summaries: Iterable[Mapping[str, Any]]) -> int:
    """Trials of the longest."""
    return max(len(summary["regret"]["mean"]) for summary in summaries)


def _mean(summary: Mapping[str, Any], at: int) -> float:
    return float(summary["regret"]["mean"][at - 1])


def _cell(summary: Mapping[str, Any], at: int) -> str:
    return f"{1000 * _mean(summary, at):.3g} ± {1000 * summary['regret']['standard_error'][at - 1]:.2g}"
