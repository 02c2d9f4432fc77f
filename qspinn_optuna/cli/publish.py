"""``qspinn publish``: figures and notes where optuna-dashboard shows them."""

from __future__ import annotations

import argparse
import shlex

import optuna

from qspinn_optuna.cli.outputs import Outputs
from qspinn_optuna.cli.studies import command_of, open_named_study
from qspinn_optuna.dashboard import publish
from qspinn_optuna.display import Display
from qspinn_optuna.front import ParetoFront
from qspinn_optuna.selection import Choice, recorded_or_smallest
from qspinn_optuna.study import without_password

_NOTE = "http://localhost:8080/dashboard/studies/{}/note"
"""Where a dashboard on its usual port shows the note of a study, which begins with the choice."""


def execute(arguments: argparse.Namespace) -> None:
    """Put figures and notes into the study, with the choice that it keeps; nothing is trained or tested."""
    study = open_named_study(arguments)
    choice = _choice_of(study)
    said = "nothing to choose yet" if choice is None else choice.candidate.summary
    print(f"Study {study.study_name}: {said}", flush=True)
    outputs = Outputs()
    publish_to_dashboard(outputs, arguments, study)
    outputs.check()


def publish_to_dashboard(
    outputs: Outputs,
    arguments: argparse.Namespace,
    study: optuna.Study,
    choice: Choice | None = None,
    mu: float | None = None,
) -> None:
    """Publish a study, and print where to look at it.

    Args:
        outputs: Collects what fails.
        arguments: The command line.
        study: The study.
        choice: The chosen model; the one that the study keeps if not given.
        mu: What memory costs by the rule.
    """
    dashboard = f"optuna-dashboard {shlex.quote(without_password(arguments.storage))}"
    command = command_of(study, arguments.storage)
    with Display("figures and notes for the dashboard"):
        is_published = outputs.attempt(
            f"publication to {dashboard}",
            lambda: publish(study, choice, mu=mu, command=command, storage=arguments.storage),
        )
    if is_published:
        print(f"All of it: {dashboard}, then {_NOTE.format(study._study_id)}")


def _choice_of(study: optuna.Study) -> Choice | None:
    """What is published as the choice; None if no trial is feasible."""
    try:
        front = ParetoFront.from_study(study)
    except ValueError:
        return None
    return recorded_or_smallest(study, front)
