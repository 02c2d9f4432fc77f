"""Publishing figures and notes of a study to optuna-dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import optuna
import plotly.graph_objects as go
from optuna.trial import FrozenTrial, TrialState

from qspinn_optuna.dashboard.notes import (
    CHOSEN,
    choice_note,
    chosen_line,
    few_trials_note,
    no_front_note,
    trial_note,
    with_section,
)
from qspinn_optuna.front import ParetoFront
from qspinn_optuna.selection import Choice, StudyRisk, record_choice, recorded_or_smallest
from qspinn_optuna.significance import recorded_significance
from qspinn_optuna.study import TrialRecord, accuracies_on_test, check_directions, footprint_of, without_password
from qspinn_optuna.visualization import (
    plot_bit_allocation,
    plot_devices,
    plot_footprint,
    plot_front,
    plot_hypervolume,
    plot_schemes_and_roundings,
    plot_significance,
    plot_winner_by_mu,
)

_CARD_HEIGHT = 450
"""Height of the dashboard's cards in pixels."""

_ORDER = (
    "front",
    "footprint",
    "bit-allocation",
    "devices",
    "winner-by-mu",
    "schemes-and-roundings",
    "hypervolume",
    "significance",
)
"""Figures, the most important one first."""

_NOTED = 200
"""Newest trials that get a note, beside those of the front."""


def publish(
    study: optuna.Study,
    choice: Choice | None = None,
    *,
    mu: float | None = None,
    command: str | None = None,
    storage: str | None = None,
) -> Choice | None:
    """Show a study in optuna-dashboard: figures, a note with the choice, and notes on finished trials.

    The study stores all of it, so that a plain ``optuna-dashboard sqlite:///qspinn.db`` shows it. Publishing again
    replaces it, but not the text that users wrote into the notes. Only the trials of the front and the 200 newest get a
    note on their footprint, since each note takes several writes to the database. Figure and table of the front have
    feasible trials only, while the dashboard's own list of best trials ignores constraints.

    Example:
        >>> publish(study).trial_number == choice.trial_number
        True

    Args:
        study: A study of :class:`~qspinn_optuna.QuantizationObjective`.
        choice: The chosen model, which the study stores. If not given, the stored choice of the study, or else the
            smallest feasible model.
        mu: Cost of memory in the lines of equal reward, which are drawn if given.
        command: The command that runs the study, for the note.
        storage: The URL of the study's storage, for the note; a password in it is left out.

    Returns:
        The choice; None if there is no feasible trial, and then the note has the reason.

    Raises:
        ImportError: If optuna-dashboard is not installed.
        ValueError: If the study has other objectives, or no finished trial.
    """
    check_directions(study)
    dashboard = _import_dashboard()
    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not finished:
        raise ValueError(f"Study {study.study_name!r} has no finished trial to publish: run some trials first.")
    front: ParetoFront | None = None
    figures = {"schemes-and-roundings": plot_schemes_and_roundings(study)}
    try:
        front = ParetoFront.from_study(study)
    except ValueError as error:
        choice, text = None, no_front_note(str(error))
    else:
        choice = choice or recorded_or_smallest(study, front)
        record_choice(study, choice)
        figures |= {
            "hypervolume": plot_hypervolume(study),
            "front": plot_front(study, front, choice, mu=mu),
            "bit-allocation": plot_bit_allocation(front, choice),
            "footprint": plot_footprint(study, front, choice),
            "winner-by-mu": plot_winner_by_mu(front),
        }
        if any(candidate.flash_kib is not None and candidate.ram_kib for candidate in front):
            figures["devices"] = plot_devices(front, choice)
        text = choice_note(study, front, choice, command, None if storage is None else without_password(storage))
    noted = _worth_a_note(finished, front)
    if len(noted) < len(finished):
        text += few_trials_note(len(noted), len(finished))
    report = recorded_significance(study)
    if report is not None:
        figures["significance"] = plot_significance(report)
    for number, name in enumerate(sorted(figures, key=_ORDER.index), 1):
        figure = figures[name]
        # The dashboard shows figures in no order.
        figure.layout.title.text = f"{number}. {figure.layout.title.text}"
        dashboard.save_plotly_graph_object(study, _fitted(figure), graph_object_id=f"qspinn-{name}")
    dashboard.save_note(study, with_section(dashboard.get_note(study), text))
    _note_trials(dashboard, study, noted)
    _note_choice(dashboard, study, choice)
    return choice


def _worth_a_note(finished: Sequence[FrozenTrial], front: ParetoFront | None) -> list[FrozenTrial]:
    """The newest trials, and those of the front."""
    numbers = {trial.number for trial in finished[-_NOTED:]} | {member.trial_number for member in front or ()}
    return [trial for trial in finished if trial.number in numbers]


def _note_trials(dashboard: Any, study: optuna.Study, trials: Sequence[FrozenTrial]) -> None:
    """Add a note to the trials that have none."""
    storage = study._storage
    kept = storage.get_study_system_attrs(study._study_id)
    # NOTE: to look for an earlier note, the dashboard would read all figures and notes of the study twice for each
    # trial. These trials have none.
    writing = SimpleNamespace(get_study_system_attrs=lambda _: {}, set_study_system_attr=storage.set_study_system_attr)
    for trial in trials:
        record = TrialRecord(trial)
        footprint = footprint_of(study, record)
        if f"dashboard:{trial._trial_id}:note_ver" in kept or record.config is None or footprint is None:
            continue
        # NOTE: the dashboard expects a running trial, of which it uses three attributes; finished trials are frozen.
        frozen = SimpleNamespace(storage=writing, study=study, _trial_id=trial._trial_id)
        dashboard.save_note(frozen, trial_note(record, footprint))


def _note_choice(dashboard: Any, study: optuna.Study, choice: Choice | None) -> None:
    """Let the note of the chosen trial say so first, and no other."""
    trials = study.get_trials(deepcopy=False)
    line = None if choice is None else _line(study, choice)
    kept = study._storage.get_study_system_attrs(study._study_id)
    for trial in trials:
        note = str(kept.get(f"dashboard:{trial._trial_id}:note_str:0", ""))
        is_chosen = choice is not None and trial.number == choice.trial_number
        if not is_chosen and not note.startswith(CHOSEN):
            continue
        writable = SimpleNamespace(storage=study._storage, study=study, _trial_id=trial._trial_id)
        note = dashboard.get_note(writable)
        plain = note.partition("\n\n")[2] if note.startswith(CHOSEN) else note
        wanted = f"{line}\n\n{plain}" if is_chosen else plain
        if wanted != note:
            dashboard.save_note(writable, wanted)


def _line(study: optuna.Study, choice: Choice) -> str:
    tested = accuracies_on_test(study).get(choice.trial_number)
    return chosen_line(choice, tested, StudyRisk(study).of_trial(choice.trial_number))


def _fitted(figure: go.Figure) -> go.Figure:
    """The figure with the height of the dashboard's cards, which cut off higher ones."""
    return figure.update_layout(height=_CARD_HEIGHT)


def _import_dashboard() -> Any:
    try:
        import optuna_dashboard  # noqa: PLC0415
    except ImportError as error:
        raise ImportError(
            "publish needs optuna-dashboard, which is not installed: pip install optuna-dashboard."
        ) from error
    return optuna_dashboard
