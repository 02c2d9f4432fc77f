"""``qspinn export --out DIR``: a model of a study as C, and whether the C does what the integers do."""

from __future__ import annotations

import argparse
import shlex
import time
from pathlib import Path

import optuna

from qspinn_optuna.cli.errors import CommandError, UsageError
from qspinn_optuna.cli.exported import accuracies_of, check_compiled, compare, sizes_in_words
from qspinn_optuna.cli.remaking import finished_trial, source_to_load, workload_of
from qspinn_optuna.cli.studies import choose_command, open_named_study
from qspinn_optuna.cli.targets import target_of
from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.display import Display
from qspinn_optuna.export import Export, check_folder, check_prefix, export_c, is_export
from qspinn_optuna.integer import IntegerModel, classify
from qspinn_optuna.parameters import Deployment
from qspinn_optuna.selection import recorded_choice
from qspinn_optuna.study import TrialRecord, fit_of
from qspinn_optuna.targets import Target
from qspinn_optuna.workloads import DeployableWorkload, IntegerSamples, Workload, missing_members

_MOST, _SECONDS = (10_000, 1_000, 100), 60.0
"""Samples whose accuracy is measured, unless preparing and classifying so many took longer than this."""


def execute(arguments: argparse.Namespace) -> None:
    """Write the model, compare and report.

    Raises:
        UsageError: If there is no such trial, the file makes another workload than the study is of, or the folder or
            the prefix will not do.
        CommandError: If the model does not fit the device, or the workload has no integers.
    """
    _check_writing(arguments)
    target = target_of(arguments)
    study = open_named_study(arguments)
    record = finished_trial(study, _number(study, arguments))
    config = record.config
    if config is None:
        raise UsageError(f"--trial must be one that keeps its configuration, got {record.number}, which keeps none")
    _check_fit(study, record, target, arguments)
    with workload_of(study, source_to_load(study, arguments)) as workload:
        deployable = _deployable(workload)
        print(f"Trial {record.number} of study {study.study_name}: making its integers ...", flush=True)
        _export(arguments, study, record, config, deployable, target)


def _export(
    arguments: argparse.Namespace,
    study: optuna.Study,
    record: TrialRecord,
    config: QuantizationConfig,
    workload: DeployableWorkload,
    target: Target | None,
) -> None:
    seed = record.seed or 0
    with Display("integers and C"):
        model = workload.integer_model(config, seed)
        samples, measured = _samples(workload, model, config, seed, arguments.samples)
        vectors = samples.inputs[: arguments.samples]
        export = export_c(model, arguments.out, arguments.prefix, samples=vectors, overwrite=arguments.overwrite)
    print(f"{arguments.out}: {_files(export)}")
    print(sizes_in_words(export))
    if workload.deployment is Deployment.LEARNING:
        print("It infers; what the device needs for learning is neither exported nor counted here.")
    compiled = compare(export, vectors)
    with Display("accuracy of integers and C"):
        accuracies, remark = accuracies_of(study, record, export, samples, measured, compiled)
    export.write_report(accuracies)
    print("Accuracy: " + "; ".join(map(str, accuracies)) + (f"\n{remark}" if remark else ""))
    print(_how_to_go_on(export, arguments.out))
    check_compiled(export, target)


def _check_writing(arguments: argparse.Namespace) -> None:
    """Refuse a folder or a prefix before anything is trained."""
    folder = arguments.out.resolve()
    try:
        check_prefix(arguments.prefix)
        if is_export(folder) and not arguments.overwrite:
            raise UsageError(f"--out must be new, got {arguments.out}, which holds an export: --overwrite replaces it")
        check_folder(folder, arguments.overwrite)
    except ValueError as error:
        raise UsageError("--" + str(error).replace("folder must", "out must", 1)) from error


def _number(study: optuna.Study, arguments: argparse.Namespace) -> int:
    """The trial that the command line names, or that of the chosen model."""
    number: int | None = arguments.trial
    if number is not None:
        return number
    choice = recorded_choice(study)
    if choice is None:
        raise UsageError(
            f"--trial must be given: no model of study {study.study_name} is chosen yet, which qspinn choose does"
        )
    return choice.trial_number


def _check_fit(study: optuna.Study, record: TrialRecord, target: Target | None, arguments: argparse.Namespace) -> None:
    """Refuse a model whose constants and state alone are too large, before anything is written."""
    fit = None if target is None else fit_of(study, record, target)
    if fit is not None and not fit.fits:
        command = choose_command(study, arguments.storage, ["--target", arguments.target])
        raise CommandError(
            f"trial {record.number} {fit}; nothing is written: {command} chooses one that fits, if there is one"
        )


def _deployable(workload: Workload) -> DeployableWorkload:
    missing = missing_members(workload, DeployableWorkload)
    if missing:
        raise CommandError(
            f"a {type(workload).__name__} cannot be exported: it has no {' and no '.join(missing)}, see "
            "qspinn_optuna.workloads.DeployableWorkload"
        )
    deployable: DeployableWorkload = workload  # type: ignore[assignment]
    return deployable


def _samples(
    workload: DeployableWorkload, model: IntegerModel, config: QuantizationConfig, seed: int, least: int
) -> tuple[IntegerSamples, list[int]]:
    """Samples, at least as many as asked for if there are, and the classes that the integers give them."""
    started = time.monotonic()
    samples = workload.integer_samples(config, seed, least)
    classes = classify(model, samples.inputs)
    seconds = time.monotonic() - started
    affordable = next(most for most in _MOST if seconds * most <= _SECONDS * len(samples) or most == _MOST[-1])
    if affordable > len(samples) and not samples.is_whole:
        samples = workload.integer_samples(config, seed, affordable)
        classes = classify(model, samples.inputs)
    return samples, classes.tolist()


def _files(export: Export) -> str:
    """The files of the folder, by name but for the arrays of the model."""
    names = sorted(path.name for path in export.folder.iterdir() if path.is_file())
    arrays = [name for name in names if name.endswith(".npy")]
    return ", ".join([*(name for name in names if name not in arrays), f"{len(arrays)} arrays"])


def _how_to_go_on(export: Export, out: Path) -> str:
    folder = shlex.quote(str(out))
    return (
        f"Sizes, instructions and activity: {out / 'REPORT.md'}\n"
        f"Go on: make -C {folder} test\n"
        f"       make -C {folder} cortex-m-test\n"
        f"In your program: model.h and model.c, {export.prefix}_classify(&state, number, input)"
    )
