"""What a command prints and writes of a study, from the study alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from qspinn_optuna.cli.columns import WidthColumns
from qspinn_optuna.cli.json_files import write_json
from qspinn_optuna.cli.outputs import Outputs
from qspinn_optuna.cli.selectors import choose
from qspinn_optuna.cli.targets import fits_of
from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.front import Candidate, ParetoFront
from qspinn_optuna.parameters import format_kib
from qspinn_optuna.selection import (
    Choice,
    Confirmed,
    Risk,
    Selector,
    Step,
    TradeOffSelector,
    other_choices,
    steps_from,
    steps_table,
)
from qspinn_optuna.selection.steps import CHOSEN
from qspinn_optuna.study import (
    Baseline,
    Counts,
    Sensitivity,
    TrialRecord,
    accuracies_on_test,
    accuracy_floor,
    baseline_of,
    controls_of,
    finished_trials,
    recorded_sensitivity,
    space_of,
)
from qspinn_optuna.tables import Below, fitted_table
from qspinn_optuna.targets import Fit, Target
from qspinn_optuna.terminal import unbroken, within
from qspinn_optuna.visualization import plot_front

_REASONS = 5
"""How many reasons for trials without a result are told."""


@dataclass(frozen=True)
class Report:
    """The front of a study, the model that is chosen of it, and what the study knows of both.

    Args:
        front: The front.
        choice: The chosen model; None if none is chosen yet.
        by_scheme: What the same rule chooses of each scheme alone; schemes of which it can choose nothing are left out.
        finished: Number of finished trials.
        baseline: Accuracies of the float network; None if the study does not know them.
        tested: Test accuracies by trial number, of what was tested.
        controls: Test accuracies of other networks, to compare with.
        mu: What memory costs by the rule, if it is one that says so.
        columns: Columns of widths of the front's table.
        steps: What could be taken instead of the choice, the choice among it.
        confirmed: How the choice was confirmed, if it was.
        target: The device that the model is for, if there is one.
        fits: How the models of the front, and the chosen one, fit it, by trial number, as far as it is known.
        sensitivity: What the study knew of single parameters, if anything.
        evaluated: Samples of a whole evaluation, 0 if that is not known.
    """

    front: ParetoFront
    choice: Choice | None
    by_scheme: dict[str, Choice]
    finished: int
    baseline: Baseline | None
    tested: dict[int, float]
    controls: dict[str, float]
    mu: float | None
    columns: WidthColumns
    steps: tuple[Step, ...] = ()
    confirmed: Confirmed | None = None
    target: Target | None = None
    fits: Mapping[int, Fit] = field(default_factory=dict)
    sensitivity: Sensitivity | None = None
    evaluated: int = 0

    def __str__(self) -> str:
        return self.text()

    def text(self, columns: int | None = None) -> str:
        """The report as it is printed.

        Args:
            columns: Columns of the terminal that it must fit into; None if there is none.
        """
        fits = None if self.target is None else self.fits
        table = front_table(self.front, self.columns, fits, columns)
        return "\n".join([f"Pareto front of {self.finished} trials", table, within(self._below_the_front(), columns)])

    def _below_the_front(self) -> str:
        lines: list[str] = []
        if self.confirmed is not None:
            lines += ["", str(self.confirmed)]
        if self.choice is not None:
            lines += ["", f"Chosen: {self.choice.rule}", *self._choice_lines(self.choice)]
        if self.steps:
            lines += ["", "What could be taken instead", steps_table(self.steps), ""]
        lines += [
            f"Best {scheme}: trial {other.trial_number}, {other.compression:.2f}x smaller, {self._accuracies(other)}"
            for scheme, other in self.by_scheme.items()
            if self.choice is None or other.trial_number != self.choice.trial_number
        ]
        lines += [f"Control: {name}, {accuracy:.2%} on the test set" for name, accuracy in self.controls.items()]
        if self.sensitivity is not None:
            lines.append(f"The study has a sensitivity {self._cost(self.sensitivity)}")
        return "\n".join(lines)

    def _cost(self, sensitivity: Sensitivity) -> str:
        if sensitivity.samples == 0:
            return "that was given"
        as_many = f", as many as {sensitivity.samples / self.evaluated:.1f} evaluations" if self.evaluated else ""
        return f"of {sensitivity.networks} networks on {sensitivity.samples:,} samples in all{as_many}"

    @property
    def risk(self) -> Risk | None:
        """That of the choice, if it is known."""
        return next((step.risk for step in self.steps if step.taken_by == CHOSEN), None)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON keeps it."""
        content: dict[str, Any] = {
            "baseline_accuracy": None if self.baseline is None else self.baseline.accuracy,
            "baseline_test_accuracy": None if self.baseline is None else self.baseline.test_accuracy,
            "front": [candidate.to_dict() for candidate in self.front],
            "choice": None if self.choice is None else self._chosen_to_dict(self.choice),
            "steps": [step.to_dict() for step in self.steps],
            "other_rules": {name: other.trial_number for name, other in other_choices(self.front, self.choice).items()},
            "choice_by_scheme": {scheme: self._choice_to_dict(choice) for scheme, choice in self.by_scheme.items()},
        }
        if self.confirmed is not None:
            content["confirmation"] = self.confirmed.to_dict()
        if self.target is not None:
            content["target"] = self._target_to_dict(self.target)
        if self.sensitivity is not None:
            content["sensitivity"] = self.sensitivity.to_dict() | {"samples_of_an_evaluation": self.evaluated}
        return {**content, "controls": self.controls} if self.controls else content

    def write(self, outputs: Outputs, study: optuna.Study, json: Path | None, html: Path | None) -> bool:
        """Write the report and the figure to the files that are given.

        Args:
            outputs: Collects what cannot be written.
            study: The study.
            json: File of the report.
            html: File of the figure.

        Returns:
            Whether the figure is written.
        """
        if json is not None:
            outputs.attempt(f"--json {json}", lambda: write_json(json, self.to_dict()))
        return html is not None and outputs.write("--html", html, partial(self._write_figure, study))

    def _write_figure(self, study: optuna.Study, path: Path) -> None:
        plot_front(study, self.front, self.choice, mu=self.mu).write_html(path, include_plotlyjs=True)

    def _choice_lines(self, choice: Choice) -> list[str]:
        # By some rules the reward is how many times smaller the model is.
        reward = "" if choice.reward in (choice.compression, choice.accuracy) else f"; reward {choice.reward:.4f}"
        lines = [
            f"trial {choice.trial_number}: {choice.config.scheme.value}, {_rounding(choice.candidate)}, "
            f"{', '.join(map(unbroken, self.columns.formats(choice.config).split(', ')))}",
            f"  {choice.memory_kib:.2f} KiB, {choice.compression:.2f}x smaller than 32 bits{reward}",
            *self._fit_lines(choice),
        ]
        if choice.rivals:
            rivals = ", ".join(f"{rival.trial_number} ({rival.compression:.1f}x)" for rival in choice.rivals)
            lines.append(f"  within the standard error, these might be chosen as well: trials {rivals}")
        lines.append(f"  accuracy {self._accuracies(choice)}{self._against_baseline(choice)}")
        return lines if self.risk is None else [*lines, f"  {self.risk}"]

    def _fit_lines(self, choice: Choice) -> list[str]:
        """Flash and RAM apart, and how the model fits the device."""
        split = choice.candidate.flash_and_ram
        lines = [f"  {split}"] if split else []
        if self.target is None:
            return lines
        fit = self.fits.get(choice.trial_number)
        if fit is None:
            return [
                *lines,
                f"  not known whether it fits {self.target.name}: its trial does not tell flash from RAM",
            ]
        if fit.fits and choice.trial_number not in {candidate.trial_number for candidate in self.front}:
            lines.append("  not on the front above, which is that of all models")
        return [*lines, f"  {fit}"]

    def _target_to_dict(self, target: Target) -> dict[str, Any]:
        """The device, and how the choice fits it."""
        fit = None if self.choice is None else self.fits.get(self.choice.trial_number)
        return {
            "name": target.name,
            "flash_kib": target.flash_kib,
            "ram_kib": target.ram_kib,
            "fits": None if fit is None else fit.fits,
            "flash_left_kib": None if fit is None else fit.flash_left_kib,
            "ram_left_kib": None if fit is None else fit.ram_left_kib,
        }

    def _accuracies(self, choice: Choice) -> str:
        tested = self.tested.get(choice.trial_number)
        return f"{choice.accuracy:.2%} on held-out samples" + (
            "" if tested is None else f", {tested:.2%} on the test set"
        )

    def _against_baseline(self, choice: Choice) -> str:
        if self.baseline is None:
            return ""
        tested, reference = self.tested.get(choice.trial_number), self.baseline.test_accuracy
        if tested is None or reference is None:
            tested, reference = choice.accuracy, self.baseline.accuracy
        return f" (float: {reference:.2%}, {100 * (tested - reference):+.2f} points)"

    def _chosen_to_dict(self, choice: Choice) -> dict[str, Any]:
        return {**self._choice_to_dict(choice), "risk": None if self.risk is None else self.risk.probability}

    def _choice_to_dict(self, choice: Choice) -> dict[str, Any]:
        return {**choice.to_dict(), "test_accuracy": self.tested.get(choice.trial_number)}


def report_of(
    study: optuna.Study,
    choice: Choice | None,
    by_scheme: dict[str, Choice] | None = None,
    mu: float | None = None,
    target: Target | None = None,
    confirmed: Confirmed | None = None,
) -> Report:
    """The report on a study.

    Args:
        study: The study.
        choice: The chosen model, if one is chosen.
        by_scheme: What the same rule chooses of each scheme.
        mu: What memory costs by the rule.
        target: The device that the model is for.
        confirmed: How the choice was confirmed.

    Raises:
        ValueError: If the study has no feasible trial.
    """
    front = ParetoFront.from_study(study)
    shown = {candidate.trial_number for candidate in front} | ({choice.trial_number} if choice else set())
    return Report(
        front,
        choice,
        by_scheme or {},
        len(finished_trials(study)),
        baseline_of(study),
        accuracies_on_test(study),
        controls_of(study),
        mu,
        WidthColumns.of([candidate.config for candidate in front], space_of(study)),
        () if choice is None else steps_from(study, front, choice, target),
        confirmed,
        target,
        {} if target is None else fits_of(study, target, shown),
        recorded_sensitivity(study),
        max((counts.seen for counts in map(_counts, finished_trials(study)) if counts is not None), default=0),
    )


def _counts(trial: FrozenTrial) -> Counts | None:
    return TrialRecord(trial).counts


def choose_by_scheme(study: optuna.Study, selector: Selector, target: Target | None = None) -> dict[str, Choice]:
    """What a rule chooses of each scheme alone, by the name of the scheme; nothing where it can choose nothing."""
    choices: dict[str, Choice] = {}
    for scheme in sorted(Scheme):
        try:
            choices[scheme.value] = choose(study, selector, target, partial(_has_scheme, scheme))
        except ValueError:  # There is no feasible trial of this scheme, or none is small enough.
            continue
    return choices


def mu_of(selector: Selector) -> float | None:
    """What memory costs by a rule; None if it does not say."""
    return selector.mu if isinstance(selector, TradeOffSelector) else None


def facts_of(study: optuna.Study) -> str:
    """What a study is and what became of its trials, a fact a line."""
    baseline, floor = baseline_of(study), accuracy_floor(study)
    trials = study.get_trials(deepcopy=False)
    records = [TrialRecord(trial) for trial in trials if trial.state is TrialState.PRUNED]
    states = Counter(trial.state.name.lower() for trial in trials)
    lines = [
        f"Study {study.study_name}",
        f"float network: {'not known' if baseline is None else _baseline_in_words(baseline)}",
        *([f"  {baseline.treatment}"] if baseline is not None and baseline.treatment else []),
        f"feasible: {'by the constraints of its trials' if floor is None else f'from {floor:.2%} on held-out samples'}",
        f"trials: {', '.join(f'{count} {state}' for state, count in states.items()) or 'none'}",
    ]
    reasons = Counter(
        f"refused: {record.refused}" if record.refused is not None else f"stopped: {record.pruned_because}"
        for record in records
        if record.refused is not None or record.pruned_because is not None
    )
    return "\n".join([*lines, *(f"  {number} {reason}" for reason, number in reasons.most_common(_REASONS))])


def front_table(
    front: ParetoFront, widths: WidthColumns, fits: Mapping[int, Fit] | None = None, columns: int | None = None
) -> str:
    """A line for each candidate of the front; where the terminal is narrow, with more lines below it.

    Args:
        front: The front.
        widths: Columns of widths.
        fits: How candidates fit a device, by trial number; they have a column if given.
        columns: Columns of the terminal; None if there is none.
    """
    is_split = any(candidate.flash_and_ram for candidate in front)
    split = ["flash", "RAM"] if is_split else []
    header = ["trial", "scheme", "rounding", *widths.names, "KiB", *split, "ratio", "accuracy"]
    rows = [_row(candidate, widths, is_split) for candidate in front]
    if fits is not None:
        header = [*header, "fits"]
        rows = [[*row, _verdict(fits.get(candidate.trial_number))] for row, candidate in zip(rows, front, strict=True)]
    kib = 3 + len(widths.names)
    below: list[Below] = [("bits: ", range(3, kib))]
    if is_split:
        below.append(("KiB: ", range(kib + 1, kib + 3)))
    return fitted_table(header, rows, columns, [*below, ("", range(1, 3))])


def _baseline_in_words(baseline: Baseline) -> str:
    tested = "" if baseline.test_accuracy is None else f", {baseline.test_accuracy:.2%} on the test set"
    return f"{baseline.accuracy:.2%} on held-out samples{tested}"


def _has_scheme(scheme: Scheme, config: QuantizationConfig) -> bool:
    return config.scheme is scheme


def _row(candidate: Candidate, columns: WidthColumns, is_split: bool) -> list[str]:
    parts = (candidate.flash_kib, candidate.ram_kib) if is_split else ()
    return [
        str(candidate.trial_number),
        candidate.config.scheme.value,
        _rounding(candidate),
        *columns.cells(candidate.config),
        f"{candidate.memory_kib:.2f}",
        *("" if kib is None else format_kib(kib) for kib in parts),
        f"{candidate.compression:.2f}x",
        f"{candidate.accuracy:.2%}",
    ]


def _verdict(fit: Fit | None) -> str:
    if fit is None:
        return "not known"
    return "yes" if fit.fits else "no"


def _rounding(candidate: Candidate) -> str:
    return "/".join(sorted({rounding.value for rounding in candidate.config.roundings.values()}))
