"""The figure of a front."""

from __future__ import annotations

import optuna
import plotly.graph_objects as go
from optuna.trial import FrozenTrial, TrialState

from qspinn_optuna.front import ParetoFront, is_feasible
from qspinn_optuna.selection import Choice

# Okabe and Ito's colours, told apart by colour-blind people too, with a symbol each.
_SCHEMES = {"ptq": ("#0072B2", "circle"), "itq": ("#D55E00", "diamond")}
_CHOICE = "#009E73"
_NEUTRAL = "#808080"

_POWERS = [2.0**exponent for exponent in range(-6, 21)]
_POWERS_TEXT = [f"{power:g}" for power in _POWERS]


def plot_front(
    study: optuna.Study,
    front: ParetoFront,
    choice: Choice | None = None,
    baseline_accuracy: float | None = None,
    accuracy_floor: float | None = None,
) -> go.Figure:
    """Accuracy against memory: all finished trials, the front as a staircase, and the choice.

    Args:
        study: The study.
        front: Its front.
        choice: The chosen candidate, marked if given.
        baseline_accuracy: Accuracy of the float network, drawn as a line if given.
        accuracy_floor: Accuracy under which models are infeasible, drawn as a line if given, instead of the
            constraints that trials keep.
    """
    figure = go.Figure()
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    for scheme, (color, symbol) in _SCHEMES.items():
        members = [trial for trial in trials if trial.params.get("scheme") == scheme]
        if members:
            figure.add_trace(_scatter(members, scheme, color, symbol, accuracy_floor))
    figure.add_trace(
        go.Scatter(
            x=[candidate.memory_kib for candidate in front],
            y=[100 * candidate.accuracy for candidate in front],
            mode="lines",
            line={"color": _NEUTRAL, "width": 2, "shape": "hv"},
            name="Pareto front",
            hoverinfo="skip",
        )
    )
    if choice is not None:
        figure.add_trace(
            go.Scatter(
                x=[choice.memory_kib],
                y=[100 * choice.accuracy],
                mode="markers+text",
                marker={"color": _CHOICE, "symbol": "star", "size": 20, "line": {"width": 1, "color": "white"}},
                text=[f"{choice.compression:.1f}x smaller, {choice.accuracy:.2%}"],
                textposition="top right",
                name=f"chosen: trial {choice.trial_number}",
                hoverinfo="skip",
            )
        )
    for accuracy, dash, text in ((baseline_accuracy, "dash", "float network"), (accuracy_floor, "dot", "floor")):
        if accuracy is not None:
            figure.add_hline(
                y=100 * accuracy,
                line={"dash": dash, "width": 1, "color": _NEUTRAL},
                annotation={"text": f"{text} {accuracy:.2%}", "font": {"color": _NEUTRAL}},
                annotation_position="top right",
            )
    figure.update_layout(
        title={"text": f"{study.study_name}: accuracy against memory"},
        xaxis={"title": {"text": "memory (KiB)"}, "type": "log", "tickvals": _POWERS, "ticktext": _POWERS_TEXT},
        yaxis={
            "title": {"text": "accuracy on held-out samples (%)"},
            "range": _accuracy_range(front, baseline_accuracy),
        },
        legend={"orientation": "h", "y": -0.2},
        height=560,
    )
    return figure


def _scatter(
    trials: list[FrozenTrial], scheme: str, color: str, symbol: str, accuracy_floor: float | None
) -> go.Scatter:
    feasible = [is_feasible(trial, accuracy_floor) for trial in trials]
    return go.Scatter(
        x=[trial.values[0] for trial in trials],
        y=[100 * trial.values[1] for trial in trials],
        mode="markers",
        marker={"color": color, "symbol": symbol, "size": 9, "opacity": [0.9 if ok else 0.3 for ok in feasible]},
        name=f"{scheme.upper()} (faint: under the floor)",
        text=[_describe(trial) for trial in trials],
        hovertemplate="%{text}<extra></extra>",
    )


def _describe(trial: FrozenTrial) -> str:
    """The whole configuration of a trial, as hover text."""
    lines = [f"<b>trial {trial.number}</b>", f"{trial.values[0]:.2f} KiB, {trial.values[1]:.2%}"]
    lines += [f"{name} = {value}" for name, value in trial.params.items()]
    return "<br>".join(lines)


def _accuracy_range(front: ParetoFront, baseline_accuracy: float | None) -> list[float]:
    """From a little under the front to a little over it: trials that failed badly would flatten the rest."""
    shown = [100 * candidate.accuracy for candidate in front]
    if baseline_accuracy is not None:
        shown.append(100 * baseline_accuracy)
    low, high = min(shown), max(shown)
    margin = max(1.0, high - low)
    return [low - 2 * margin, min(100.0, high + margin)]
