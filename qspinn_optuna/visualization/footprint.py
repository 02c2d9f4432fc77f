"""The figure of memory by parameter or family."""

from __future__ import annotations

from typing import Literal

import optuna
import plotly.graph_objects as go

from qspinn_optuna.front import Candidate, ParetoFront, check_front
from qspinn_optuna.selection import Choice
from qspinn_optuna.visualization.checks import check_choice, finished_records
from qspinn_optuna.visualization.hover import describe_candidate
from qspinn_optuna.visualization.members import column_axis, column_labels, star_legend
from qspinn_optuna.visualization.style import PALETTE, apply_style

_PATTERNS = ("", "/", "x", "-", ".", "|", "+", "\\")
"""Patterns of bars, one for each repetition of the palette."""

_BITS_PER_KIB = 8 * 1024


def plot_footprint(
    study: optuna.Study,
    front: ParetoFront | None = None,
    choice: Choice | None = None,
    *,
    by: Literal["parameter", "family"] = "parameter",
) -> go.Figure:
    """Memory of every candidate of a front, in KiB, as stacked bars with the largest part at the bottom.

    The title states the memory of the 32-bit original, since its bar would dwarf the others.

    Example:
        >>> figure = plot_footprint(study, front, choice, by="family")

    Args:
        study: The study, whose trials store their footprints.
        front: Its front; computed from the study if not given.
        choice: The chosen candidate, if any; its bar has a star.
        by: The parts of a bar.

    Raises:
        TypeError: If ``study`` is not a study, ``front`` is not a front, or ``choice`` is not a choice.
        ValueError: If the study has no finished trial or is of another program, the front is empty or of another
            study, or ``by`` is neither "parameter" nor "family".
    """
    if by not in ("parameter", "family"):
        raise ValueError(f'by must be "parameter" or "family", got {by!r}.')
    front = ParetoFront.from_study(study) if front is None else front
    check_front(front)
    check_choice(choice)
    bits = _bits_of_members(study, front, by)
    names = {name for member in bits for name in member}
    ordered = sorted(names, key=lambda name: (-max(member.get(name, 0) for member in bits), name))
    labels = column_labels(front, choice)
    figure = go.Figure()
    for number, name in enumerate(ordered):
        figure.add_trace(
            go.Bar(
                x=labels,
                y=[member.get(name, 0) / _BITS_PER_KIB for member in bits],
                name=name,
                marker={
                    "color": PALETTE[number % len(PALETTE)],
                    "pattern": {"shape": _PATTERNS[number // len(PALETTE) % len(_PATTERNS)]},
                    "line": {"width": 0},
                },
                text=[_describe(name, member, candidate) for member, candidate in zip(bits, front, strict=True)],
                textposition="none",
                hovertemplate="%{text}<extra></extra>",
            )
        )
    apply_style(
        figure,
        f"{study.study_name}: memory by {by}",
        f"the 32-bit original takes {front.baseline_kib:,.4g} KiB{star_legend(choice)}",
        height=560,
    )
    figure.update_layout(barmode="stack", bargap=0.25, legend={"traceorder": "normal"})
    figure.update_xaxes(column_axis(front))
    figure.update_yaxes(title={"text": "memory (KiB)"}, rangemode="tozero")
    return figure


def _bits_of_members(study: optuna.Study, front: ParetoFront, by: str) -> list[dict[str, int]]:
    footprints = {record.number: record.footprint for record in finished_records(study)}
    unknown = [candidate.trial_number for candidate in front if candidate.trial_number not in footprints]
    if unknown:
        raise ValueError(f"front must be of finished trials of study {study.study_name!r}, got trials {unknown}.")
    kept = [footprints[candidate.trial_number] for candidate in front]
    return [dict(each.by_family if by == "family" else each.by_parameter) for each in kept if each is not None]


def _describe(name: str, bits: dict[str, int], candidate: Candidate) -> str:
    own, total = bits.get(name, 0), sum(bits.values())
    return f"<b>{name}: {own:,} bits, {own / total:.1%} of the model</b><br>{describe_candidate(candidate)}"
