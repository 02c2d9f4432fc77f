"""Put figures and notes where optuna-dashboard shows them."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import optuna
import plotly.graph_objects as go
from optuna.trial import FrozenTrial, TrialState

from qspinn_optuna.dashboard.notes import choice_note, few_trials_note, no_front_note, trial_note, with_section
from qspinn_optuna.front import ParetoFront
from qspinn_optuna.selection import Choice, SmallestSelector, record_choice, recorded_choice
from qspinn_optuna.significance import recorded_significance
from qspinn_optuna.study import TrialRecord, check_directions
from qspinn_optuna.visualization import (
    plot_bit_allocation,
    plot_footprint,
    plot_front,
    plot_hypervolume,
    plot_schemes_and_roundings,
    plot_significance,
    plot_winner_by_mu,
)

_CARD_HEIGHT = 450
"""Pixels."""

_NOTED = 200
"""Newest trials that get a note, beside those of the front."""


def publish(
    study: optuna.Study,
    choice: Choice | None = None,
    *,
    mu: float | None = None,
    command: str | None = None,
) -> Choice | None:
    """Show a study in optuna-dashboard: figures, a note with the choice, and notes on finished trials.

    The trials of the front and the 200 newest have a note on their footprint; each takes some writes to the database.
    What is published is kept in the study, so that a plain ``optuna-dashboard sqlite:///qspinn.db`` has it. Published
    again, it takes the place of what was there; what people wrote into the notes stays. The figure and the table of
    the front are of feasible trials, while the dashboard's own list of the best ignores constraints.

    Args:
        study: A study of :class:`~qspinn_optuna.QuantizationObjective`.
        choice: The chosen model, which is kept in the study. If not given, the one that the study keeps, or else the
            smallest feasible one.
        mu: Of the lines of equal reward, if they shall be drawn.
        command: What was run, for the note to tell.

    Returns:
        What was chosen; None if there is no feasible trial to choose, which the note tells.

    Raises:
        ImportError: If optuna-dashboard is not installed.
        ValueError: If the study has other objectives, or no finished trial.
    """
    check_directions(study)
    dashboard = _import_dashboard()
    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not finished:
        raise ValueError(f"Study {study.study_name!r} has no finished trial to publish: run study.optimize first.")
    front: ParetoFront | None = None
    figures = {"schemes-and-roundings": plot_schemes_and_roundings(study)}
    try:
        front = ParetoFront.from_study(study)
    except ValueError as error:
        choice, text = None, no_front_note(str(error))
    else:
        choice = choice or recorded_choice(study) or SmallestSelector().select(front)
        record_choice(study, choice)
        figures |= {
            "hypervolume": plot_hypervolume(study),
            "front": plot_front(study, front, choice, mu=mu),
            "bit-allocation": plot_bit_allocation(front, choice),
            "footprint": plot_footprint(study, front, choice),
            "winner-by-mu": plot_winner_by_mu(front),
        }
        text = choice_note(study, front, choice, command)
    noted = _worth_a_note(finished, front)
    if len(noted) < len(finished):
        text += few_trials_note(len(noted), len(finished))
    report = recorded_significance(study)
    if report is not None:
        figures["significance"] = plot_significance(report)
    for name, figure in figures.items():
        dashboard.save_plotly_graph_object(study, _fitted(figure), graph_object_id=f"qspinn-{name}")
    dashboard.save_note(study, with_section(dashboard.get_note(study), text))
    _note_trials(dashboard, study, noted)
    return choice


def _worth_a_note(finished: Sequence[FrozenTrial], front: ParetoFront | None) -> list[FrozenTrial]:
    """The newest trials, and those of the front however old they are."""
    numbers = {trial.number for trial in finished[-_NOTED:]} | {member.trial_number for member in front or ()}
    return [trial for trial in finished if trial.number in numbers]


def _note_trials(dashboard: Any, study: optuna.Study, trials: Sequence[FrozenTrial]) -> None:
    """Add a note to trials that have none."""
    storage = study._storage
    kept = storage.get_study_system_attrs(study._study_id)
    # NOTE: what has no note has no earlier one to look for, for which the dashboard would read all figures and notes of
    # the study, twice a trial.
    writing = SimpleNamespace(get_study_system_attrs=lambda _: {}, set_study_system_attr=storage.set_study_system_attr)
    for trial in trials:
        record = TrialRecord(trial)
        if f"dashboard:{trial._trial_id}:note_ver" in kept or not record.is_complete:
            continue
        # NOTE: finished trials are frozen, and the dashboard asks for running ones, of which it uses three attributes.
        frozen = SimpleNamespace(storage=writing, study=study, _trial_id=trial._trial_id)
        dashboard.save_note(frozen, trial_note(record))


def _fitted(figure: go.Figure) -> go.Figure:
    """As high as the dashboard's cards, which cut off what is higher."""
    return figure.update_layout(height=_CARD_HEIGHT)


def _import_dashboard() -> Any:
    try:
        import optuna_dashboard  # noqa: PLC0415
    except ImportError as error:
        raise ImportError(
            'publish needs optuna-dashboard, which is not installed: pip install "qspinn_optuna[dashboard]".'
        ) from error
    return optuna_dashboard
