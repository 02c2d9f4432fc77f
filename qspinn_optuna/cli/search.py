"""The search that a command line asks for."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import optuna
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from qspinn_optuna.cli.engine import check_storage, run_trials
from qspinn_optuna.cli.errors import UsageError
from qspinn_optuna.cli.studies import check_ours, check_workload, in_options, open_database
from qspinn_optuna.config import Scheme
from qspinn_optuna.display import Display
from qspinn_optuna.objective import QuantizationObjective
from qspinn_optuna.opening import limit_accuracy_drop, open_study
from qspinn_optuna.pruning import FrontPruner
from qspinn_optuna.sampler.by_name import OWN, make_sampler
from qspinn_optuna.significance import (
    SensitivityError,
    enqueue_promising,
    measure_sensitivity,
    measure_significance,
    record_sensitivity,
    record_significance,
    recorded_sensitivity,
    recorded_significance,
)
from qspinn_optuna.significance.report import searched_widths
from qspinn_optuna.space import QuantizationSpace
from qspinn_optuna.study import accuracy_floor, baseline_of
from qspinn_optuna.workloads import ScoredWorkload, Workload, missing_members

_SHOWN, _TOLD = 5, 0.005
"""Sensitive parameters that are told, and the least loss."""


def open_for_report(arguments: argparse.Namespace, workload: Workload) -> optuna.Study | None:
    """The study of a run that only reports; None if it searches, or its space must be looked at.

    The space is not needed then: its ranges may be those of a trained network.

    Raises:
        UsageError: If the storage cannot be opened, the study of that name is of something else, or it has no trials.
    """
    if arguments.trials or arguments.measure_significance:
        return None
    study = _existing_study(arguments, open_database(arguments.storage))
    if study is None or not study.get_trials(deepcopy=False):
        raise UsageError(f"--trials must be at least 1 as long as study {arguments.study} has no trials, got 0")
    if arguments.bits or arguments.schemes or arguments.roundings:
        return None
    check_workload(study, workload, arguments)
    _set_floor(arguments, study, workload)
    return study


def open_for_search(arguments: argparse.Namespace, workload: Workload, space: QuantizationSpace) -> optuna.Study:
    """The study of a run, with its float baseline and its accuracy floor; the float network is trained if need be.

    Raises:
        UsageError: If the storage cannot be opened, or the study of that name is of something else.
    """
    storage = open_database(arguments.storage)
    check_storage(arguments, storage)
    _existing_study(arguments, storage)
    try:
        study = open_study(arguments.study, storage, space, workload=workload)
    except ValueError as error:
        raise UsageError(in_options(error, arguments)) from error
    if space.cardinality > 1:
        study.sampler = make_sampler(arguments.sampler, space, arguments.seed)
    print(f"{space.cardinality:,} configurations to search", flush=True)
    kept = len(study.get_trials(deepcopy=False, states=[TrialState.COMPLETE, TrialState.PRUNED]))
    if kept:
        print(f"{kept} finished trials are kept; new ones come on top", flush=True)
    _set_floor(arguments, study, workload)
    return study


def _existing_study(arguments: argparse.Namespace, storage: BaseStorage) -> optuna.Study | None:
    if arguments.study not in optuna.get_all_study_names(storage):
        return None
    study = optuna.load_study(study_name=arguments.study, storage=storage)
    check_ours(study)
    return study


def _set_floor(arguments: argparse.Namespace, study: optuna.Study, workload: Workload) -> None:
    with Display("float network"):
        limit_accuracy_drop(study, workload, arguments.accuracy_drop)
    baseline, floor = baseline_of(study), accuracy_floor(study)
    assert baseline is not None
    assert floor is not None
    print(f"float network: {baseline.accuracy:.2%} on held-out samples; feasible from {floor:.2%}", flush=True)
    if baseline.treatment:
        print(f"  {baseline.treatment}", flush=True)


def search(
    arguments: argparse.Namespace,
    study: optuna.Study,
    workload: Workload,
    space: QuantizationSpace,
    path: Path,
    first_trials: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Run the trials that are asked for.

    Args:
        arguments: The command line.
        study: What :func:`open_for_search` gave.
        workload: What is quantized.
        space: What is searched.
        path: The file that made the workload.
        first_trials: Parameters that a new study begins with.

    Raises:
        ValueError: If one of ``first_trials`` is not in the space.
    """
    pruner = None
    if arguments.pruning_confidence is not None:
        pruner = FrontPruner(arguments.pruning_confidence, arguments.pruning_gain)
    objective = QuantizationObjective(workload, space, seed=arguments.seed, pruner=pruner)
    if arguments.sensitivity:
        _measure_sensitivity(study, workload, space)
    if arguments.measure_significance:
        _measure_significance(arguments, study, workload, space)
    if not study.trials:
        for params in first_trials:
            space.config(params)  # Refuses what is not in the space, which Optuna would only warn of.
            # The same command may have begun elsewhere at the same time.
            study.enqueue_trial(dict(params), skip_if_exists=True)
    if arguments.trials > 0:
        run_trials(arguments, study, objective, space, path)


def check_sensitivity(arguments: argparse.Namespace, workload: Workload) -> None:
    """Refuse to measure a sensitivity that nothing would use or give, before anything is trained.

    Raises:
        UsageError: If another sampler is asked for, or the workload does not show its scores.
    """
    if not arguments.sensitivity:
        return
    if arguments.trials == 0:
        raise UsageError("--sensitivity is for a search, got --trials 0: give it at least 1")
    if arguments.sampler != OWN:
        raise UsageError(f"--sensitivity is for --sampler {OWN}, which begins with it, got {arguments.sampler}")
    if missing_members(workload, ScoredWorkload):
        raise UsageError(
            f"--sensitivity needs a workload with scores(config, samples), such as a SupervisedWorkload, got "
            f"{type(workload).__name__}"
        )


def _measure_sensitivity(study: optuna.Study, workload: Workload, space: QuantizationSpace) -> None:
    """Measure the sensitivity if the study has none; where it cannot be told, the search begins without."""
    known = recorded_sensitivity(study)
    if known is not None:
        print("The study goes on with the sensitivity that it has.")
        return
    if not searched_widths(space):
        print("No sensitivity: no parameter has more than one width to search.")
        return
    try:
        found = measure_sensitivity(cast(ScoredWorkload, workload), space, show_progress=True)
    except SensitivityError as error:
        print(f"No sensitivity, the search begins without: {error}")
        return
    record_sensitivity(study, found)
    told = [(name, loss) for name, loss in found.most_sensitive(_SHOWN) if loss >= _TOLD]
    print(f"\nSensitivity, from {found.networks} networks on {found.samples:,} samples in all; share of the accuracy")
    print("above guessing that is expected to be lost alone:" if told else "above guessing that is lost: next to none")
    for name, loss in told:
        print(f"  {name}: {loss:.0%} at {_bits(min(found.losses[name]))}")
    if Scheme.ITQ in space.schemes:
        print("The first trials are as without it, since it is that of quantization after training.")


def _measure_significance(
    arguments: argparse.Namespace, study: optuna.Study, workload: Workload, space: QuantizationSpace
) -> None:
    """Measure significance if the study has none, and queue what it promises."""
    known = recorded_significance(study)
    if known is not None:
        print(f"The study goes on with the significance that it has, at a tolerance of {known.tolerance:g}.")
        return
    found = measure_significance(
        workload, space, tolerance=arguments.accuracy_drop, seed=arguments.seed, show_progress=True
    )
    record_significance(study, space, found)
    enqueue_promising(study, space, found)
    print(f"\nSignificance, from {found.evaluations} evaluations; accuracy lost per bit, in points:")
    for name in found.ranking:
        enough = found.narrowest.get(name)
        loss = f"{100 * found.loss_per_bit[name]:.2f} ± {100 * found.standard_error[name]:.2f}"
        print(f"  {name}: {loss}, {_sufficing(enough)}")


def _sufficing(bits: int | None) -> str:
    return "no width suffices" if bits is None else f"{_bits(bits)} {'suffices' if bits == 1 else 'suffice'}"


def _bits(width: int) -> str:
    return "1 bit" if width == 1 else f"{width} bits"
