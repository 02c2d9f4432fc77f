"""The figure of the hypervolume of a search as it progresses."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import optuna
import plotly.graph_objects as go

from qspinn_optuna.front import ParetoFront
from qspinn_optuna.study import TrialRecord, accuracy_floor
from qspinn_optuna.visualization.checks import finished_records
from qspinn_optuna.visualization.hover import describe_trial
from qspinn_optuna.visualization.style import BLUE, INK, PALETTE, apply_style

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "triangle-down", "cross")

_ROOM = 0.025
"""Margin on each side, as a share of the axis: the radius of a point."""


@dataclass
class GrowingHypervolume:
    """The area that a growing set of points dominates, updated with each point.

    Args:
        reference_cost: Only points of lower cost count.
        reference_gain: Only points of higher gain count.

    Attributes:
        area: Area between the front of the points and the reference point.
    """

    reference_cost: float
    reference_gain: float
    area: float = 0.0
    _costs: list[float] = field(default_factory=list)
    _gains: list[float] = field(default_factory=list)

    def add(self, cost: float, gain: float) -> bool:
        """Add a point; returns whether the area grew."""
        if cost >= self.reference_cost or gain <= self.reference_gain:
            return False
        # The front is sorted by ascending cost, and so by gain. The new point adds the area above the old steps, from
        # its cost to the first step with a higher gain.
        start = bisect_left(self._costs, cost)
        height = self._gains[start - 1] if start else self.reference_gain
        if gain <= height or (start < len(self._costs) and self._costs[start] == cost and self._gains[start] >= gain):
            return False
        end, left = start, cost
        while end < len(self._costs) and self._gains[end] <= gain:
            self.area += (self._costs[end] - left) * (gain - height)
            left, height = self._costs[end], self._gains[end]
            end += 1
        right = self._costs[end] if end < len(self._costs) else self.reference_cost
        self.area += (right - left) * (gain - height)
        self._costs[start:end], self._gains[start:end] = [cost], [gain]
        return True


def plot_hypervolume(
    study: optuna.Study | Mapping[str, optuna.Study] | Sequence[optuna.Study],
    against: Literal["trials", "seconds"] = "trials",
    *,
    reference_accuracy: float = 0.0,
) -> go.Figure:
    """The hypervolume of a search as it progresses, or of several searches for comparison.

    The hypervolume is the share that feasible trials dominate of the rectangle from no memory to the memory of the
    32-bit original, and from ``reference_accuracy`` to 1. Points are the trials that enlarged it. The line begins at
    the first of them; there is none if none does. With several searches, the legend shows the last hypervolume of each.

    Example:
        >>> figure = plot_hypervolume(study, reference_accuracy=0.1)

    Args:
        study: The study, or several studies of one network: a mapping from the names in the legend, or a sequence of
            studies with different names.
        against: "trials" for trial numbers, or "seconds" for the summed durations of all ended trials, pruned and
            failed ones included, in the order of their ends. Durations of parallel workers add up; pauses between runs
            do not count.
        reference_accuracy: Lower end of the rectangle, such as the accuracy of chance, a fraction below 1.

    Raises:
        TypeError: If ``study`` is something else.
        ValueError: If ``against`` is neither "trials" nor "seconds", ``reference_accuracy`` is not a fraction below 1,
            a study is of another program or has no feasible trial, there is no study, two have the same name, or their
            networks have different memories in 32 bits.
    """
    if against not in ("trials", "seconds"):
        raise ValueError(f'against must be "trials" or "seconds", got {against!r}.')
    if not (isinstance(reference_accuracy, int | float) and 0 <= reference_accuracy < 1):
        raise ValueError(f"reference_accuracy must be a fraction below 1, got {reference_accuracy!r}.")
    named = _named_studies(study)
    baseline_kib = _common_baseline(named)
    histories = {
        name: _history(member, against, GrowingHypervolume(baseline_kib, reference_accuracy))
        for name, member in named.items()
    }
    whole = baseline_kib * (1 - reference_accuracy)
    figure = _drawn(histories, whole)
    what = f"{next(iter(named))}: hypervolume" if len(named) == 1 else f"Hypervolume of {len(named)} searches"
    apply_style(
        figure,
        what,
        f"what feasible trials dominate<br>of 0-{baseline_kib:,.4g} KiB x {reference_accuracy:.0%}-100% accuracy",
        height=460,
    )
    titles = {"trials": "trial number", "seconds": "seconds of all trials, summed up (s)"}
    # A search that dominates nothing, with no answer right, has no line.
    last = max((step.position for history in histories.values() for step in history[-1:]), default=0.0) or 1.0
    # With a margin on the left, a point at 0 does not cover the labels of the other axis.
    figure.update_xaxes(title={"text": titles[against]}, range=[-_ROOM * last, (1 + _ROOM) * last])
    figure.update_yaxes(title={"text": "hypervolume (%)"})
    return figure


def _named_studies(
    study: optuna.Study | Mapping[str, optuna.Study] | Sequence[optuna.Study],
) -> dict[str, optuna.Study]:
    """Checked studies, by the names that the figure shows."""
    if isinstance(study, Mapping):
        named = [(str(name), member) for name, member in study.items()]
    elif isinstance(study, Sequence) and not isinstance(study, str):
        named = [(getattr(member, "study_name", ""), member) for member in study]
    else:
        named = [(getattr(study, "study_name", ""), study)]
    if not named:
        raise ValueError("study must be a study, or at least one of several, got none.")
    for _, member in named:
        finished_records(member)
    names = [name for name, _ in named]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"study must be several studies of different names, got {twice} more than once: give a mapping from names "
            "to studies."
        )
    return dict(named)


def _common_baseline(named: Mapping[str, optuna.Study]) -> float:
    """Memory of the 32-bit original, in KiB, which all studies share."""
    # A study without a feasible trial raises here, with the reason.
    baselines = {name: ParetoFront.from_study(member).baseline_kib for name, member in named.items()}
    if len(set(baselines.values())) > 1:
        different = ", ".join(f"{baseline_kib:,.4g} KiB in {name!r}" for name, baseline_kib in baselines.items())
        raise ValueError(f"study must be several of one network, got different memories in 32 bits: {different}.")
    return next(iter(baselines.values()))


@dataclass(frozen=True)
class _Step:
    """A position of the search, the area up to it, and its trial if that enlarged the area."""

    position: float
    area: float
    improver: TrialRecord | None


def _trial_positions(study: optuna.Study) -> Iterable[tuple[float, int]]:
    """(position, trial number) of all ended trials, by number."""
    ended = (trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished())
    return ((trial.number, trial.number) for trial in ended)


def _second_positions(study: optuna.Study) -> Iterable[tuple[float, int]]:
    """(seconds so far, trial number) of all ended trials, in the order of their ends."""
    ended = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
    seconds = 0.0
    for _, number, duration in sorted(
        (trial.datetime_complete, trial.number, trial.duration)
        for trial in ended
        if trial.datetime_complete is not None and trial.duration is not None
    ):
        seconds += duration.total_seconds()
        yield seconds, number


def _history(
    study: optuna.Study, against: Literal["trials", "seconds"], hypervolume: GrowingHypervolume
) -> list[_Step]:
    """The steps of the line, from the first trial with a positive area."""
    finished = {record.number: record for record in finished_records(study)}
    floor = accuracy_floor(study)
    positions = _trial_positions(study) if against == "trials" else _second_positions(study)
    steps = []
    for position, number in positions:
        record = finished.get(number)
        improves = (
            record is not None and record.is_feasible(floor) and hypervolume.add(record.memory_kib, record.accuracy)
        )
        if hypervolume.area > 0:
            steps.append(_Step(position, hypervolume.area, record if improves else None))
    return steps


def _drawn(histories: Mapping[str, list[_Step]], whole: float) -> go.Figure:
    """The lines and points of one study, or of several."""
    if len(histories) > 1:
        return go.Figure(
            [_beside(place, name, history, whole) for place, (name, history) in enumerate(histories.items())]
        )
    (history,) = histories.values()
    improvements = [step for step in history if step.improver is not None]
    return go.Figure(
        [
            go.Scatter(
                x=[step.position for step in history],
                y=[100 * step.area / whole for step in history],
                mode="lines",
                line={"color": INK, "width": 2, "shape": "hv"},
                name="best so far",
                hoverinfo="skip",
            ),
            go.Scatter(
                x=[step.position for step in improvements],
                y=[100 * step.area / whole for step in improvements],
                mode="markers",
                marker={"color": BLUE, "symbol": "circle", "size": 8},
                cliponaxis=False,
                name="trial that enlarged it",
                text=[_describe(step, whole) for step in improvements],
                hovertemplate="%{text}<extra></extra>",
            ),
        ]
    )


def _beside(place: int, name: str, history: list[_Step], whole: float) -> go.Scatter:
    """One of several lines, with its own colour, dash and symbol; dashes shift when colours repeat."""
    color = PALETTE[place % len(PALETTE)]
    look = (place + place // len(PALETTE)) % len(_DASHES)
    return go.Scatter(
        x=[step.position for step in history],
        y=[100 * step.area / whole for step in history],
        mode="lines+markers",
        line={"color": color, "width": 2, "shape": "hv", "dash": _DASHES[look]},
        marker={
            "symbol": _SYMBOLS[look],
            "size": [6 if step.improver else 0 for step in history],
            "line": {"width": 0},
        },
        cliponaxis=False,
        name=f"{name}: {100 * sum(step.area for step in history[-1:]) / whole:.2f}%",
        text=[f"<b>{name}</b>: {_describe(step, whole)}" for step in history],
        hovertemplate="%{text}<extra></extra>",
    )


def _describe(step: _Step, whole: float) -> str:
    share = f"{100 * step.area / whole:.2f}%"
    return share if step.improver is None else f"{share}<br>{describe_trial(step.improver)}"
