"""``qspinn show``: the front, the choice and the trials of a study."""

from __future__ import annotations

import argparse

from qspinn_optuna.cli.outputs import Outputs
from qspinn_optuna.cli.report import facts_of, report_of
from qspinn_optuna.cli.selectors import told_in_options
from qspinn_optuna.cli.studies import command_of, export_line, open_named_study
from qspinn_optuna.cli.targets import target_of
from qspinn_optuna.selection import recorded_choice
from qspinn_optuna.terminal import terminal_columns, within


def execute(arguments: argparse.Namespace) -> None:
    """Print what the study keeps; nothing is trained or tested."""
    target = target_of(arguments)
    study = open_named_study(arguments)
    command = command_of(study, arguments.storage)
    print(within(facts_of(study), terminal_columns()))
    if command is not None:
        print(f"goes on with: {command}")
    choice = recorded_choice(study)
    with told_in_options(study, arguments.storage):
        report = report_of(study, choice, target=target)
    print(f"\n{report.text(terminal_columns())}", flush=True)
    outputs = Outputs()
    report.write(outputs, study, arguments.json, arguments.html)
    if choice is not None:
        print(f"\n{export_line(study, arguments.storage)}")
    outputs.check()
