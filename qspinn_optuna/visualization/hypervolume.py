"""The figure of a search's progress."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import optuna
import plotly.graph_objects as go
from optuna.trial import FrozenTrial

from qspinn_optuna.front import ParetoFront
from qspinn_optuna.study import is_feasible
from qspinn_optuna.visualization.checks import check_fraction, finished_trials
from qspinn_optuna.visualization.hover import describe_trial
from qspinn_optuna.visualization.style import BLUE, INK, apply_style


@dataclass
class GrowingHypervolume:
    """The area that a growing set of points dominates, brought up to date with each point.

    Args:
        reference_cost: Cost that a point must stay under to count.
        reference_gain: Gain that it must exceed to count.

    Attributes:
        area: Between the front of the points and the reference point.
    """

    reference_cost: float
    reference_gain: float
    area: float = 0.0
    _costs: list[float] = field(default_factory=list)
    _gains: list[float] = field(default_factory=list)

    def add(self, cost: float, gain: float) -> bool:
        """Take a point in; whether the area grew by it."""
        if cost >= self.reference_cost or gain <= self.reference_gain:
            return False
        # The front is kept by ascending costs, and so gains. The new point adds what lies above the old steps, from
        # its cost to the first one that gains as much.
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
    study: optuna.Study, against: Literal["trials", "seconds"] = "trials", *, reference_accuracy: float = 0.0
) -> go.Figure:
    """The hypervolume of a search as it goes on, best so far.

    It is the share that feasible trials dominate of the rectangle from no memory to that of the 32-bit original, and
    from ``reference_accuracy`` to 1. Points are the trials that enlarged it, the first of which begins the line.

    Args:
        study: The study.
        against: "trials", by their number, or "seconds", summed up over all ended trials, stopped and failed ones too,
            in the order in which they ended. What several workers did at once is summed up as well; waiting between
            runs is not.
        reference_accuracy: Where accuracy begins to count, such as that of chance, a fraction under 1.

    Raises:
        TypeError: If ``study`` is no study.
        ValueError: If ``against`` is neither, ``reference_accuracy`` no fraction under 1, or the study is of another
            program or has no feasible trial.
    """
    if against not in ("trials", "seconds"):
        raise ValueError(f'against must be "trials" or "seconds", got {against!r}.')
    check_fraction("reference_accuracy", reference_accuracy)
    if reference_accuracy is None or reference_accuracy >= 1:
        raise ValueError(f"reference_accuracy must be a fraction under 1, got {reference_accuracy!r}.")
    finished = {trial.number: trial for trial in finished_trials(study)}
    # Refuses a study without a feasible trial, and says what the best one lacks.
    baseline_kib = ParetoFront.from_study(study).baseline_kib
    positions = _trial_positions(study) if against == "trials" else _second_positions(study)
    history = _history(positions, finished, GrowingHypervolume(baseline_kib, reference_accuracy))
    figure = _drawn(history, baseline_kib * (1 - reference_accuracy))
    apply_style(
        figure,
        f"{study.study_name}: hypervolume",
        f"what feasible trials dominate of 0-{baseline_kib:,.4g} KiB x {reference_accuracy:.0%}-100% accuracy",
        height=460,
    )
    titles = {"trials": "trial number", "seconds": "seconds of all trials, summed up (s)"}
    figure.update_xaxes(title={"text": titles[against]}, rangemode="tozero")
    figure.update_yaxes(title={"text": "hypervolume (%)"})
    return figure


@dataclass(frozen=True)
class _Step:
    """A moment of the search, the area by then, and the trial that enlarged it, if it did."""

    position: float
    area: float
    improver: FrozenTrial | None


def _trial_positions(study: optuna.Study) -> Iterable[tuple[float, int]]:
    """(position, trial number) of all ended trials by number."""
    ended = (trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished())
    return ((trial.number, trial.number) for trial in ended)


def _second_positions(study: optuna.Study) -> Iterable[tuple[float, int]]:
    """(seconds so far, trial number) of all ended trials by their end."""
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
    positions: Iterable[tuple[float, int]], finished: dict[int, FrozenTrial], hypervolume: GrowingHypervolume
) -> list[_Step]:
    """What the line shows, from the first trial that dominates something."""
    steps = []
    for position, number in positions:
        trial = finished.get(number)
        improves = trial is not None and is_feasible(trial) and hypervolume.add(*trial.values)
        if hypervolume.area > 0:
            steps.append(_Step(position, hypervolume.area, trial if improves else None))
    return steps


def _drawn(history: list[_Step], whole: float) -> go.Figure:
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
                text=[
                    f"{100 * step.area / whole:.2f}%<br>{describe_trial(step.improver)}"
                    for step in improvements
                    if step.improver is not None
                ],
                hovertemplate="%{text}<extra></extra>",
            ),
        ]
    )
