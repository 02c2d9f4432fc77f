"""``qspinn choose``: another model of the front, by another rule or another floor."""

from __future__ import annotations

import argparse

import optuna

from qspinn_optuna.cli.errors import CommandError
from qspinn_optuna.cli.outputs import Outputs
from qspinn_optuna.cli.report import choose_by_scheme, mu_of, report_of
from qspinn_optuna.cli.selectors import RULES, choose, make_selector, rule_options, told_in_options
from qspinn_optuna.cli.studies import command_of, export_line, open_named_study
from qspinn_optuna.cli.targets import target_of
from qspinn_optuna.selection import Choice, Selector, record_choice
from qspinn_optuna.study import accuracies_on_test, accuracy_floor, baseline_of, set_accuracy_floor
from qspinn_optuna.targets import Target
from qspinn_optuna.terminal import terminal_columns


def execute(arguments: argparse.Namespace) -> None:
    """Choose, keep the choice in the study and print it; nothing is trained or tested."""
    target = target_of(arguments)
    study = open_named_study(arguments)
    selector = make_selector(arguments)
    with told_in_options(study, arguments.storage):
        choice = _choose(study, selector, target, arguments.accuracy_drop)
    record_choice(study, choice)
    report = report_of(study, choice, choose_by_scheme(study, selector, target), mu_of(selector), target)
    print(report.text(terminal_columns()), flush=True)
    outputs = Outputs()
    report.write(outputs, study, arguments.json, arguments.html)
    if choice.trial_number not in accuracies_on_test(study):
        print(_how_to_test(study, arguments))
    print(f"\n{export_line(study, arguments.storage)}")
    outputs.check()


def _how_to_test(study: optuna.Study, arguments: argparse.Namespace) -> str:
    more = ["--trials", "0", *rule_options(arguments)]
    command = command_of(study, arguments.storage, instead=("--trials", *RULES), more=more)
    if command is None:
        return "It is not tested yet: qspinn run FILE.py tests what it chooses, with --trials 0 and the same rule."
    return f"It is not tested yet, which this does: {command}"


def _choose(study: optuna.Study, selector: Selector, target: Target | None, accuracy_drop: float | None) -> Choice:
    """The choice of a rule; the floor moves only if there is one."""
    before = accuracy_floor(study)
    if accuracy_drop is not None:
        _move_floor(study, accuracy_drop)
    try:
        return choose(study, selector, target)
    except ValueError:
        set_accuracy_floor(study, before)
        raise


def _move_floor(study: optuna.Study, accuracy_drop: float) -> None:
    baseline = baseline_of(study)
    if baseline is None:
        raise CommandError(
            f"--accuracy-drop needs the accuracy of the float network, which study {study.study_name} does not know: "
            "qspinn run FILE.py --trials 0 measures it"
        )
    set_accuracy_floor(study, max(0.0, baseline.accuracy - accuracy_drop))
