"""``qspinn run FILE.py``: search the quantization of the network of a file, and choose a model."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import optuna

from qspinn_optuna.cli.engine import check_engine
from qspinn_optuna.cli.errors import UsageError
from qspinn_optuna.cli.outputs import Outputs
from qspinn_optuna.cli.publish import publish_to_dashboard
from qspinn_optuna.cli.report import choose_by_scheme, mu_of, report_of
from qspinn_optuna.cli.search import check_sensitivity, open_for_report, open_for_search, search
from qspinn_optuna.cli.selectors import choose, make_selector, told_in_options
from qspinn_optuna.cli.spaces import first_trials_in, space_of_run
from qspinn_optuna.cli.studies import export_line
from qspinn_optuna.cli.targets import target_of
from qspinn_optuna.cli.user_file import UserFile
from qspinn_optuna.display import Display
from qspinn_optuna.selection import Choice, Confirmed, Selector, check_confirmable, confirm, record_choice
from qspinn_optuna.study import (
    TrialRecord,
    accuracies_on_test,
    controls_of,
    ensure_baseline,
    record_baseline,
    record_controls,
    record_source,
    record_test_accuracy,
    source_of,
)
from qspinn_optuna.targets import Target
from qspinn_optuna.terminal import terminal_columns
from qspinn_optuna.workloads import ConfirmableWorkload, Workload


def execute(arguments: argparse.Namespace, file: UserFile, options: Sequence[str]) -> None:
    """Search, choose and report.

    Args:
        arguments: The command line.
        file: The file.
        options: The command line, but for the file.
    """
    if not arguments.verbose:
        # Of a trial that fails, the log has the traceback; the error itself is told in a line.
        optuna.logging.set_verbosity(optuna.logging.ERROR)
    target_of(arguments)  # Refuses an unknown one before anything is trained.
    check_engine(arguments)
    with Display(f"workload of {file.path.name}"):
        workload = file.workload(arguments)
    _check_confirm(arguments, workload)
    check_sensitivity(arguments, workload)
    study = open_for_report(arguments, workload)
    if study is None:
        with Display("float network"):  # Ranges may be those of the trained one.
            space = space_of_run(file, workload, arguments)
        study = open_for_search(arguments, workload, space)
        record_source(study, str(file.path), options)
        search(arguments, study, workload, space, file.path, first_trials_in(file, space, arguments))
    elif source_of(study) is None:
        record_source(study, str(file.path), options)
    report(arguments, study, workload, file)


def report(arguments: argparse.Namespace, study: optuna.Study, workload: Workload, file: UserFile) -> None:
    """Choose, test what is chosen, print and write it."""
    selector, target = make_selector(arguments), target_of(arguments)
    with told_in_options(study, arguments.storage):
        confirmed = _confirm(arguments, study, workload, selector, target)
        choice = choose(study, selector, target) if confirmed is None else confirmed.choice
    by_scheme = choose_by_scheme(study, selector, target)
    with Display("test set"):
        _test(study, workload, [choice, *by_scheme.values()])
        if not controls_of(study):
            record_controls(study, file.controls(workload))
    record_choice(study, choice)
    summary = report_of(study, choice, by_scheme, mu_of(selector), target, confirmed)
    html = arguments.html or Path(f"{arguments.study.replace('/', '-')}.html")
    print(f"\n{summary.text(terminal_columns())}\n", flush=True)
    outputs = Outputs()
    if summary.write(outputs, study, arguments.json, html):
        print(f"Figure: {html}")
    if importlib.util.find_spec("optuna_dashboard") is not None:
        publish_to_dashboard(outputs, arguments, study, choice, mu_of(selector))
    print(export_line(study, arguments.storage))
    outputs.check()


def _check_confirm(arguments: argparse.Namespace, workload: Workload) -> None:
    """Refuse to confirm what cannot be, before anything is trained.

    Raises:
        UsageError: If the workload cannot measure its networks again.
    """
    if arguments.confirm is None:
        return
    try:
        check_confirmable(workload)
    except TypeError as error:
        raise UsageError(f"--confirm: {error}") from error


def _confirm(
    arguments: argparse.Namespace, study: optuna.Study, workload: Workload, selector: Selector, target: Target | None
) -> Confirmed | None:
    """The choice among models that are measured again, if the command line asks for that."""
    if arguments.confirm is None:
        return None
    with Display("confirmation", write=partial(print, flush=True)) as shown:
        confirmed = confirm(
            study, cast(ConfirmableWorkload, workload), selector, arguments.confirm, target=target, tell=shown.tell
        )
    if target is None:
        return confirmed
    choice = replace(confirmed.choice, rule=f"{confirmed.choice.rule}, of those that fit {target.name}")
    return replace(confirmed, choice=choice)


def _test(study: optuna.Study, workload: Workload, choices: Iterable[Choice]) -> None:
    """Let the study know the test accuracies of the float network and of what was chosen; each is measured once."""
    # NOTE: isinstance with the protocol TestedWorkload would ask for its properties, and so test the float network.
    test = getattr(workload, "test", None)
    if test is None:
        return
    baseline = ensure_baseline(study, workload)
    if baseline.test_accuracy is None:
        test_baseline = getattr(workload, "test_baseline", None)
        if test_baseline is None:
            return
        record_baseline(study, replace(baseline, test_accuracy=float(test_baseline)))
    trials = study.get_trials(deepcopy=False)
    for choice in choices:
        if choice.trial_number not in accuracies_on_test(study):
            seed = TrialRecord(trials[choice.trial_number]).seed or 0
            record_test_accuracy(study, choice.trial_number, float(test(choice.config, seed)))
