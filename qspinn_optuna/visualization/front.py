"""The figure of a front."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import optuna
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from qspinn_optuna.front import ParetoFront, check_front
from qspinn_optuna.selection import Choice, other_choices
from qspinn_optuna.study import TrialRecord, accuracy_floor, baseline_of
from qspinn_optuna.visualization.checks import check_choice, finished_records
from qspinn_optuna.visualization.close_up import CloseUp, close_up_of
from qspinn_optuna.visualization.controls import weight_dimensions
from qspinn_optuna.visualization.front_traces import (
    add_choice,
    add_controls,
    add_level,
    add_staircase,
    add_stopped,
    add_trials,
    numbers,
)
from qspinn_optuna.visualization.iso_reward import add_iso_rewards
from qspinn_optuna.visualization.other_rules import OTHER_RULES, names_by_trial, other_rules_trace
from qspinn_optuna.visualization.style import CHOICE_MARK, apply_style, memory_axis

_CELLS = 250
"""Positions along each axis that the mouse can distinguish."""

_NAMED = 8
"""Trials at the same point that a label lists."""

_TALLEST_FRONT = 12.0
"""Largest height of a front, in points of accuracy, that is always shown completely."""

_BELOW = 0.6
"""Space below the front, as a share of its height, in which trials are shown that are worse."""

_ABOVE = 0.3
"""Space above the front, likewise, for the name of a rule that takes the most accurate model."""


def plot_front(
    study: optuna.Study,
    front: ParetoFront | None = None,
    choice: Choice | None = None,
    *,
    mu: float | None = None,
) -> go.Figure:
    """Accuracy against memory: all finished trials, the front as a staircase, and the choice.

    Frames mark the trials with one width for all parameters, and those that narrow only weights, which a search should
    beat. Lines show the accuracy of the float network and the accuracy floor, if the study has them. Open stars are
    what other rules would choose. Small crosses are trials that a pruner stopped in evaluation, at their accuracy so
    far. The axis of accuracy ends below the front; trials that failed badly are visible after zooming out. Where models
    of the front are too close together around the choice, a second panel shows them larger, with their trial numbers.

    Example:
        >>> plot_front(study, front, choice, mu=0.1).write_html(folder / "front.html")

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
    low, high = _accuracy_range(front, baseline_accuracy, floor)
    close_up, rules = close_up_of(front, choice, memories), names_by_trial(other_choices(front, choice))
    figure = _panels(close_up)
    notes = _notes(records, front, choice, (low, high))
    add_stopped(figure, study, ends)
    add_trials(figure, records, floor, notes)
    add_controls(figure, records, weight_dimensions(study))
    if mu is not None:
        add_iso_rewards(figure, front, choice, mu, ends, high - low)
    add_staircase(figure, front, ends[1])
    elsewhere = [candidate for candidate in front if close_up is None or not close_up.has(candidate.memory_kib)]
    if any(candidate.trial_number in rules for candidate in elsewhere):
        figure.add_trace(other_rules_trace(elsewhere, rules, math.sqrt(math.prod(ends)), high - low))
    if choice is not None:
        add_choice(figure, choice)
    add_level(figure, ends, baseline_accuracy, "float network", "dash")
    add_level(figure, ends, floor, "accuracy floor", "dot")
    title = f"{study.study_name}: accuracy against memory"
    apply_style(figure, title, _summary(front, choice, floor), height=620 if close_up is None else 720)
    figure.update_layout(legend={"entrywidthmode": "fraction", "entrywidth": 0.33})
    figure.update_xaxes(memory_axis(memories), row=1)
    figure.update_yaxes(title={"text": "accuracy (%)"}, range=[low, high], row=1)
    if close_up is not None:
        _add_close_up(figure, close_up, records, floor, notes, choice, rules, baseline_accuracy)
    return figure


def _panels(close_up: CloseUp | None) -> go.Figure:
    if close_up is None:
        return make_subplots(1, 1)
    return make_subplots(2, 1, row_heights=[0.55, 0.45], vertical_spacing=0.12)


def _add_close_up(
    figure: go.Figure,
    close_up: CloseUp,
    records: Sequence[TrialRecord],
    floor: float | None,
    notes: Mapping[int, str],
    choice: Choice | None,
    rules: Mapping[int, str],
    baseline_accuracy: float | None,
) -> None:
    """The second panel: the same, nearer, with the numbers of the trials of the front that have no name."""
    levels = [level for level in (baseline_accuracy, floor) if level is not None]
    (first, last), (low, high) = close_up.memories, close_up.accuracies(levels)
    inside = [record for record in records if close_up.has(record.memory_kib)]
    part = go.Figure()
    add_trials(part, inside, floor, notes)
    add_staircase(part, close_up.members, last)
    chosen = None if choice is None else choice.trial_number
    named = {chosen, *rules}
    part.add_trace(numbers([member for member in close_up.members if member.trial_number not in named]))
    if any(member.trial_number in rules for member in close_up.members):
        part.add_trace(other_rules_trace(close_up.members, rules, (first + last) / 2, high - low))
    if choice is not None and close_up.has(choice.memory_kib):
        add_choice(part, choice)
    add_level(part, (first, last), baseline_accuracy, "float network", "dash")
    add_level(part, (first, last), floor, "accuracy floor", "dot")
    named = {trace.name for trace in figure.data}
    for trace in part.data:
        is_new = trace.name == OTHER_RULES and trace.name not in named
        trace.update(showlegend=is_new, name=trace.name if is_new else f"{trace.name} (close-up)")
        figure.add_trace(trace, row=2, col=1)
    figure.update_xaxes(title={"text": ""}, row=1)  # That of the other axis is near enough.
    figure.update_xaxes(title={"text": "memory (KiB); below, around the choice"}, range=[first, last], nticks=8, row=2)
    figure.update_yaxes(range=[low, high], nticks=6, row=2)


def _summary(front: ParetoFront, choice: Choice | None, floor: float | None) -> str:
    models = f"{len(front)} model{'s' if len(front) > 1 else ''} on the front, {front.baseline_kib:,.4g} KiB in 32 bits"
    chosen = "" if choice is None else f"chosen: {choice.compression:.2f}x smaller, {choice.accuracy:.2%} held out"
    faint = "" if floor is None else "faint: under the floor"
    return "<br>".join(filter(None, [models, "; ".join(filter(None, [chosen, faint]))]))


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


def _accuracy_range(front: ParetoFront, *levels: float | None) -> tuple[float, float]:
    """Ends of the accuracy axis, percent, around the front and the levels, without trials that failed badly."""
    accuracies = [100 * candidate.accuracy for candidate in front]
    known = [100 * level for level in levels if level is not None]
    high = max(accuracies + known)
    span = min(max(high - min(accuracies), 1.0), _TALLEST_FRONT)
    # A floor far below the front would flatten it, too.
    near = [level for level in known if level >= min(accuracies) - span]
    low = min([max(min(accuracies), high - span), *near])
    return max(low - _BELOW * span, -0.02 * span), min(100 + 0.1 * span, high + _ABOVE * span)
