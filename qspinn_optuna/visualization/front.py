"""The figure of a front."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import optuna
import plotly.graph_objects as go
from optuna.trial import TrialState

from qspinn_optuna.front import ParetoFront, check_front
from qspinn_optuna.selection import Choice
from qspinn_optuna.study import TrialRecord, accuracy_floor, baseline_of
from qspinn_optuna.visualization.checks import check_choice, finished_records
from qspinn_optuna.visualization.controls import is_uniform_width, is_weight_only, weight_dimensions
from qspinn_optuna.visualization.hover import describe_candidate, describe_stopped, describe_trial
from qspinn_optuna.visualization.iso_reward import add_iso_rewards
from qspinn_optuna.visualization.style import (
    CHOICE_COLOR,
    CHOICE_MARK,
    CROWD,
    INK,
    PURPLE,
    SCHEMES,
    SKY,
    apply_style,
    memory_axis,
)

_CELLS = 250
"""Positions along each axis that the mouse can distinguish."""

_NAMED = 8
"""Trials at the same point that a label lists."""

_TALLEST_FRONT = 12.0
"""Largest height of a front, in points of accuracy, that is always shown completely."""


def plot_front(
    study: optuna.Study,
    front: ParetoFront | None = None,
    choice: Choice | None = None,
    *,
    mu: float | None = None,
) -> go.Figure:
    """Accuracy against memory: all finished trials, the front as a staircase, and the choice.

    Frames mark the trials of uniform width and those that narrow only weights, which a search should beat. Lines show
    the accuracy of the float network and the accuracy floor, if the study has them. Small crosses are trials that a
    pruner stopped in evaluation, at their accuracy so far. The axis of accuracy shows the front and twice its height
    below, 36 points at most; trials that failed badly are visible after zooming out.

    Args:
        study: The study.
        front: Its front; computed from the study if not given.
        choice: The chosen candidate, if any; it has a star.
        mu: Cost of memory in the reward of :class:`~qspinn_optuna.selection.TradeOffSelector`; lines of equal reward
            are drawn if given.

    Raises:
        TypeError: If ``study`` is not a study, ``front`` is not a front, or ``choice`` is not a choice.
        ValueError: If the study has no finished trial or is of another program, the front is empty, or a number is
            outside its range.
    """
    records = finished_records(study)
    front = ParetoFront.from_study(study) if front is None else front
    check_front(front)
    check_choice(choice)
    baseline, floor = baseline_of(study), accuracy_floor(study)
    baseline_accuracy = None if baseline is None else baseline.accuracy
    memories = [record.memory_kib for record in records] + [candidate.memory_kib for candidate in front]
    ends = (min(memories), max(memories))
    low, high = _accuracy_range(front, baseline_accuracy)
    figure = go.Figure()
    _add_stopped(figure, study, ends)
    _add_trials(figure, records, floor, _notes(records, front, choice, (low, high)))
    _add_controls(figure, records, weight_dimensions(study))
    if mu is not None:
        add_iso_rewards(figure, front, choice, mu, ends, high - low)
    _add_staircase(figure, front, ends[1])
    if choice is not None:
        _add_choice(figure, choice)
    _add_level(figure, ends, baseline_accuracy, "float network", "dash")
    _add_level(figure, ends, floor, "accuracy floor", "dot")
    apply_style(figure, f"{study.study_name}: accuracy against memory", _summary(front, choice), height=620)
    figure.update_xaxes(memory_axis(memories))
    figure.update_yaxes(title={"text": "accuracy on held-out samples (%)"}, range=[low, high])
    return figure


def _summary(front: ParetoFront, choice: Choice | None) -> str:
    models = f"{len(front)} model{'s' if len(front) > 1 else ''} on the front, {front.baseline_kib:,.4g} KiB in 32 bits"
    if choice is None:
        return models
    return f"{models}; chosen: {choice.compression:.2f}x smaller, {choice.accuracy:.2%}"


def _notes(
    records: Sequence[TrialRecord], front: ParetoFront, choice: Choice | None, accuracies: tuple[float, float]
) -> dict[int, str]:
    """Notes of the hover labels, by trial: whether it is on the front, and other trials at the same point.

    Only one trial of a point has a hover label on screen.
    """
    memories = [math.log(record.memory_kib) for record in records]
    across, up = (max(memories) - min(memories)) / _CELLS or 1.0, (accuracies[1] - accuracies[0]) / _CELLS
    cells: dict[tuple[int, int], list[int]] = {}
    places = {}
    for record, memory in zip(records, memories, strict=True):
        places[record.number] = (round(memory / across), round(100 * record.accuracy / up))
        cells.setdefault(places[record.number], []).append(record.number)
    notes = {number: _also_here(number, cells[place]) for number, place in places.items()}
    for candidate in front:
        on_front = (
            f"{CHOICE_MARK} chosen" if choice and choice.trial_number == candidate.trial_number else "on the front"
        )
        notes[candidate.trial_number] = f"<br>{on_front}{notes.get(candidate.trial_number, '')}"
    return notes


def _also_here(number: int, numbers: Sequence[int]) -> str:
    others = [str(other) for other in numbers if other != number]
    if not others:
        return ""
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    return f"<br>at the same point: trial{'s' if len(others) > 1 else ''} {', '.join(others[:_NAMED])}{more}"


def _add_trials(
    figure: go.Figure, records: Sequence[TrialRecord], floor: float | None, notes: Mapping[int, str]
) -> None:
    size, opaque, faded = (5, 0.5, 0.15) if len(records) > CROWD else (8, 0.9, 0.45)
    for scheme, mark in SCHEMES.items():
        members = [record for record in records if record.params.get("scheme") == scheme]
        if not members:
            continue
        feasible = [record.is_feasible(floor) for record in members]
        faint = "" if all(feasible) else " (faint: under the floor)"
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
                name=f"{scheme.upper()}{faint}",
                text=[describe_trial(record) + notes[record.number] for record in members],
                hovertemplate="%{text}<extra></extra>",
            )
        )


def _add_controls(figure: go.Figure, records: Sequence[TrialRecord], weights: set[str]) -> None:
    """Frames around the trials that a search should beat; the points below them have the hover labels."""
    uniform = [record for record in records if is_uniform_width(record)]
    weight_only = [record for record in records if is_weight_only(record, weights)]
    for members, name, color, symbol, size in (
        (uniform, "uniform width", SKY, "square-open", 15),
        (weight_only, "only weights narrowed", PURPLE, "circle-open", 17),
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


def _add_stopped(figure: go.Figure, study: optuna.Study, ends: tuple[float, float]) -> None:
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


def _add_staircase(figure: go.Figure, front: ParetoFront, last_kib: float) -> None:
    """The front as a staircase, drawn to the largest memory of all trials."""
    memories = [candidate.memory_kib for candidate in front]
    accuracies = [100 * candidate.accuracy for candidate in front]
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


def _add_choice(figure: go.Figure, choice: Choice) -> None:
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


def _add_level(figure: go.Figure, ends: tuple[float, float], accuracy: float | None, text: str, dash: str) -> None:
    if accuracy is not None:
        figure.add_trace(
            go.Scatter(
                x=list(ends),
                y=[100 * accuracy] * 2,
                mode="lines",
                line={"color": CHOICE_COLOR if dash == "dot" else INK, "width": 1.5, "dash": dash},
                name=f"{text} {accuracy:.2%}",
                hovertemplate=f"{text} {accuracy:.2%}<extra></extra>",
            )
        )


def _accuracy_range(front: ParetoFront, baseline_accuracy: float | None) -> tuple[float, float]:
    """Ends of the accuracy axis, percent, around the front: trials that failed badly would flatten it."""
    shown = [100 * candidate.accuracy for candidate in front]
    if baseline_accuracy is not None:
        shown.append(100 * baseline_accuracy)
    high = max(shown)
    span = min(max(high - min(shown), 1.0), _TALLEST_FRONT)
    return max(high - 3 * span, -0.02 * span), min(100 + 0.1 * span, high + 0.5 * span)
