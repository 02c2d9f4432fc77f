"""What is drawn into the figure of a front, or into a part of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import optuna
import plotly.graph_objects as go
from optuna.trial import TrialState

from qspinn_optuna.front import Candidate
from qspinn_optuna.selection import Choice
from qspinn_optuna.study import TrialRecord
from qspinn_optuna.visualization.controls import is_uniform_width, is_weight_only
from qspinn_optuna.visualization.hover import describe_candidate, describe_stopped, describe_trial
from qspinn_optuna.visualization.style import CHOICE_COLOR, CROWD, INK, PURPLE, SCHEMES, SKY


def add_trials(
    figure: go.Figure, records: Sequence[TrialRecord], floor: float | None, notes: Mapping[int, str]
) -> None:
    """Finished trials by scheme, those under the floor faint; ``notes`` come after their labels."""
    size, opaque, faded = (5, 0.5, 0.15) if len(records) > CROWD else (8, 0.9, 0.45)
    for scheme, mark in SCHEMES.items():
        members = [record for record in records if record.params.get("scheme") == scheme]
        if not members:
            continue
        feasible = [record.is_feasible(floor) for record in members]
        figure.add_trace(
            go.Scatter(
                x=[record.memory_kib for record in members],
                y=[100 * record.accuracy for record in members],
                mode="markers",
                marker={
                    "color": mark.color,
                    "symbol": mark.symbol,
                    "size": size,
                    "opacity": [opaque if ok else faded for ok in feasible],
                    "line": {"width": 0},
                },
                name=scheme.upper(),
                text=[describe_trial(record) + notes[record.number] for record in members],
                hovertemplate="%{text}<extra></extra>",
            )
        )


def add_controls(figure: go.Figure, records: Sequence[TrialRecord], weights: set[str]) -> None:
    """Frames around the trials that a search should beat; the points below them have the hover labels."""
    uniform = [record for record in records if is_uniform_width(record)]
    weight_only = [record for record in records if is_weight_only(record, weights)]
    for members, name, color, symbol, size in (
        (uniform, "one width", SKY, "square-open", 15),
        (weight_only, "weights only", PURPLE, "circle-open", 17),
    ):
        if members:
            figure.add_trace(
                go.Scatter(
                    x=[record.memory_kib for record in members],
                    y=[100 * record.accuracy for record in members],
                    mode="markers",
                    marker={"color": color, "symbol": symbol, "size": size, "line": {"width": 2}},
                    name=name,
                    hoverinfo="skip",
                )
            )


def add_stopped(figure: go.Figure, study: optuna.Study, ends: tuple[float, float]) -> None:
    """Trials that were stopped in evaluation, within the range of memory of the finished ones."""
    pruned = map(TrialRecord, study.get_trials(deepcopy=False, states=(TrialState.PRUNED,)))
    stopped = [
        (record, record.footprint.kib, record.counts.accuracy)
        for record in pruned
        if record.counts and record.footprint and ends[0] <= record.footprint.kib <= ends[1]
    ]
    if stopped:
        figure.add_trace(
            go.Scatter(
                x=[kib for _, kib, _ in stopped],
                y=[100 * accuracy for _, _, accuracy in stopped],
                mode="markers",
                marker={"color": INK, "symbol": "x-thin-open", "size": 6},
                name="stopped early, accuracy so far",
                text=[describe_stopped(record) for record, _, _ in stopped],
                hovertemplate="%{text}<extra></extra>",
            )
        )


def add_staircase(figure: go.Figure, front: Iterable[Candidate], last_kib: float) -> None:
    """The front as a staircase, drawn to the largest memory of all trials."""
    members = list(front)
    memories = [candidate.memory_kib for candidate in members]
    accuracies = [100 * candidate.accuracy for candidate in members]
    figure.add_trace(
        go.Scatter(
            x=[*memories, last_kib],
            y=[*accuracies, accuracies[-1]],
            mode="lines",
            line={"color": INK, "width": 2, "shape": "hv"},
            name="Pareto front",
            hoverinfo="skip",
        )
    )


def numbers(members: Sequence[Candidate]) -> go.Scatter:
    """The numbers of trials beside their points."""
    return go.Scatter(
        x=[member.memory_kib for member in members],
        y=[100 * member.accuracy for member in members],
        mode="text",
        text=[str(member.trial_number) for member in members],
        textposition="top left",
        textfont={"size": 11},
        name="numbers of trials",
        hoverinfo="skip",
    )


def add_choice(figure: go.Figure, choice: Choice) -> None:
    """The chosen model as a star."""
    figure.add_trace(
        go.Scatter(
            x=[choice.memory_kib],
            y=[100 * choice.accuracy],
            mode="markers",
            marker={"color": CHOICE_COLOR, "symbol": "star", "size": 19},
            name=f"chosen: trial {choice.trial_number}",
            text=[
                f"<b>chosen{f': {choice.rule}' if choice.rule else ''}</b><br>{describe_candidate(choice.candidate)}"
            ],
            hovertemplate="%{text}<extra></extra>",
        )
    )


def add_level(figure: go.Figure, ends: tuple[float, float], accuracy: float | None, text: str, dash: str) -> None:
    """A line at an accuracy, with its name on it; nothing if the accuracy is not known."""
    color = CHOICE_COLOR if dash == "dot" else INK
    if accuracy is not None:
        figure.add_trace(
            go.Scatter(
                x=list(ends),
                y=[100 * accuracy] * 2,
                mode="lines+markers+text",
                line={"color": color, "width": 1.5, "dash": dash},
                # Text keeps away from markers, but not from lines.
                marker={"size": 8, "opacity": 0},
                text=["", f"{text} {accuracy:.2%}"],
                # Away from each other, since points with names are between the lines.
                textposition="bottom left" if dash == "dot" else "top left",
                textfont={"size": 11, "color": color},
                name=f"{text} {accuracy:.2%}",
                showlegend=False,
                hovertemplate=f"{text} {accuracy:.2%}<extra></extra>",
            )
        )
