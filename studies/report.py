"""What a study prints and writes at its end."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import optuna
from command_line import make_selector
from optuna.trial import TrialState

from qspinn_optuna import Candidate, Choice, ParetoFront, QuantizationConfig, Scheme, TradeOffSelector
from qspinn_optuna.cli.tables import format_table, write_json
from qspinn_optuna.dashboard import publish
from qspinn_optuna.study import accuracy_floor, is_feasible
from qspinn_optuna.visualization import plot_front


class TestedWorkload(Protocol):
    """A workload with a test set."""

    @property
    def baseline(self) -> float:
        """Accuracy of the float network on held-out samples."""
        ...

    @property
    def test_baseline(self) -> float:
        """Accuracy of the float network on the test set."""
        ...

    def test(self, config: QuantizationConfig, seed: int) -> float:
        """Accuracy of a quantized network on the test set."""
        ...


def report(
    arguments: argparse.Namespace,
    workload: TestedWorkload,
    study: optuna.Study,
    controls: Mapping[str, float] | None = None,
) -> None:
    """Print and write the front and the choice.

    Args:
        arguments: The command line.
        workload: What was searched.
        study: The search.
        controls: Test accuracies of other networks, to compare with.
    """
    front = ParetoFront.from_study(study)
    selector = make_selector(arguments)
    choice = selector.select(front)
    mu = selector.mu if isinstance(selector, TradeOffSelector) else None
    by_scheme = choices_by_scheme(arguments, workload, study)
    # The best of all is the best of its scheme.
    test_accuracy = by_scheme[choice.config.scheme.value]["test_accuracy"]
    if arguments.json is not None:
        content = {
            "baseline_accuracy": workload.baseline,
            "baseline_test_accuracy": workload.test_baseline,
            "front": [candidate.to_dict() for candidate in front],
            "choice": {**choice.to_dict(), "test_accuracy": test_accuracy},
            "choice_by_scheme": by_scheme,
            **({"controls": dict(controls)} if controls else {}),
        }
        write_json(arguments.json, content)
    html = arguments.html or Path(f"{arguments.study_name.replace('/', '-')}.html")
    figure = plot_front(study, front, choice, mu=mu)
    figure.write_html(html, include_plotlyjs=True)
    command = shlex.join(["python", *sys.argv])
    publish(study, choice, mu=mu, command=command)
    finished = len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
    print(f"\nPareto front of {finished} trials\n{front_table(front)}\n")
    print(f"Chosen: {choice.rule}\n{describe_choice(choice, test_accuracy, workload.test_baseline)}")
    for scheme, other in by_scheme.items():
        if other["trial"] != choice.trial_number:
            print(
                f"Best {scheme}: trial {other['trial']}, {other['compression']:.2f}x smaller, "
                f"{other['accuracy']:.2%} on held-out samples, {other['test_accuracy']:.2%} on the test set"
            )
    for name, accuracy in (controls or {}).items():
        print(f"Control: {name}, {accuracy:.2%} on the test set")
    print(f"\nFigure: {html}\nAll of it: optuna-dashboard {shlex.quote(arguments.storage)}")


def choices_by_scheme(
    arguments: argparse.Namespace, workload: TestedWorkload, study: optuna.Study
) -> dict[str, dict[str, Any]]:
    """What would be chosen if only one scheme were to be had; schemes without a feasible trial are left out."""
    feasible = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    schemes = {Scheme(trial.params["scheme"]) for trial in feasible if is_feasible(trial, accuracy_floor(study))}
    choices: dict[str, dict[str, Any]] = {}
    for scheme in sorted(schemes):
        front = ParetoFront.from_study(study, where=partial(has_scheme, scheme))
        try:
            choice = make_selector(arguments).select(front)
        except ValueError:  # Nothing of this scheme is small enough.
            continue
        choices[scheme.value] = {**choice.to_dict(), "test_accuracy": workload.test(choice.config, arguments.seed)}
    return choices


def has_scheme(scheme: Scheme, config: QuantizationConfig) -> bool:
    """Whether ``config`` is of ``scheme``."""
    return config.scheme is scheme


def front_table(front: ParetoFront) -> str:
    """A line for each candidate of the front."""
    columns = _width_columns(front)
    header = ["trial", "scheme", "rounding", *columns, "KiB", "ratio", "accuracy"]
    return format_table(header, [_row(candidate, list(columns.values())) for candidate in front])


def _width_columns(front: ParetoFront) -> dict[str, str]:
    """Titles of the columns of widths, and the parameter in each; thresholds, and decays, in one if they are tied."""
    widths = [candidate.config.bits for candidate in front]
    columns: dict[str, str] = {}
    for name in widths[0]:
        kind = name.rpartition(".")[2]
        alike = [other for other in widths[0] if other.endswith(f".{kind}")]
        tied = kind in ("threshold", "decay") and all(len({row[other] for other in alike}) == 1 for row in widths)
        columns.setdefault(kind if tied else name, name)
    return columns


def describe_choice(choice: Choice, test_accuracy: float, test_baseline: float) -> str:
    """The chosen model in words."""
    bits = ", ".join(f"{name} {fmt}" for name, fmt in _formats(choice).items())
    return (
        f"trial {choice.trial_number}: {choice.config.scheme.value}, {_rounding(choice.candidate)}, {bits}\n"
        f"  {choice.memory_kib:.2f} KiB, {choice.compression:.2f}x smaller than 32 bits; reward {choice.reward:.4f}\n"
        f"{_rivals(choice)}"
        f"  accuracy {choice.accuracy:.2%} on held-out samples, {test_accuracy:.2%} on the test set "
        f"(float: {test_baseline:.2%}, {100 * (test_accuracy - test_baseline):+.2f} points)"
    )


def _rivals(choice: Choice) -> str:
    if not choice.rivals:
        return ""
    numbers = ", ".join(f"{rival.trial_number} ({rival.compression:.1f}x)" for rival in choice.rivals)
    return f"  within the standard error, these might be chosen as well: trials {numbers}\n"


def _row(candidate: Candidate, names: Sequence[str]) -> list[str]:
    return [
        str(candidate.trial_number),
        candidate.config.scheme.value,
        _rounding(candidate),
        *(str(candidate.config.bits[name]) for name in names),
        f"{candidate.memory_kib:.2f}",
        f"{candidate.compression:.2f}x",
        f"{candidate.accuracy:.2%}",
    ]


def _rounding(candidate: Candidate) -> str:
    return "/".join(sorted({rounding.value for rounding in candidate.config.roundings.values()}))


def _formats(choice: Choice) -> dict[str, str]:
    return {name: str(quantization.format) for name, quantization in choice.config.parameters.items()}
