"""``qspinn publish``: figures and notes where optuna-dashboard shows them."""

from __future__ import annotations

import argparse
import shlex

from qspinn_optuna.cli.studies import command_of, open_named_study
from qspinn_optuna.dashboard import publish


def execute(arguments: argparse.Namespace) -> None:
    """Put figures and notes into the study, with the choice that it keeps; nothing is trained or tested."""
    study = open_named_study(arguments)
    choice = publish(study, command=command_of(study))
    print(f"Study {study.study_name}: {'nothing to choose yet' if choice is None else f'{choice.candidate.summary}'}")
    print(f"All of it: optuna-dashboard {shlex.quote(arguments.storage)}")
