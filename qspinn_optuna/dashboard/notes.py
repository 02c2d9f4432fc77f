"""Markdown notes of a study and its trials."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from importlib.metadata import version

import optuna

from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.front import ParetoFront
from qspinn_optuna.parameters import Memory, format_kib
from qspinn_optuna.selection import Choice, Risk, StudyRisk
from qspinn_optuna.study import Baseline, FootprintRecord, TrialRecord, accuracies_on_test, baseline_of
from qspinn_optuna.tables import markdown_table

BEGIN, END = "[//]: # (qspinn: written by publish)", "[//]: # (qspinn: end)"
"""Marks around the section that publishing replaces. Viewers hide them, while the dashboard shows HTML comments."""

_MEMORIES = {Memory.FLASH.value: "flash", Memory.RAM.value: "RAM"}

_SPACE = 3 * "\N{NO-BREAK SPACE}"

_WHEN = {Scheme.PTQ: "after training", Scheme.ITQ: "in training"}


def with_section(note: str, section: str) -> str:
    """A note with the section in place of an earlier one, or else after the text of users."""
    marked = f"{BEGIN}\n\n{section}\n\n{END}"
    before, begin, rest = note.partition(BEGIN)
    if not begin:
        return f"{note.rstrip()}\n\n{marked}" if note.strip() else marked
    _, end, after = rest.partition(END)
    return before + marked + (after if end else "")


def choice_note(
    study: optuna.Study,
    front: ParetoFront,
    choice: Choice,
    command: str | None = None,
    storage: str | None = None,
) -> str:
    """The note of a study: the choice, its rivals, how to use it, and the models of the front.

    Args:
        study: The study.
        front: Its front.
        choice: The chosen model.
        command: The command that runs the study.
        storage: The URL of the study's storage.
    """
    baseline = baseline_of(study)
    against = "" if baseline is None else f" (float: {baseline.accuracy:.2%})"
    lines = [
        f"# {choice.compression:.1f}x smaller, accuracy {choice.accuracy:.2%}{against}",
        *(f"- {fact}" for fact in _about_choice(study, front, choice, baseline)),
        "",
        _config_table(choice.config),
        "",
    ]
    if choice.rivals:
        rivals = ", ".join(f"trial {rival.trial_number} ({rival.compression:.1f}x)" for rival in choice.rivals)
        lines += [f"Within the standard error of the evaluation, these might have been chosen as well: {rivals}.", ""]
    lines += [
        *_use(study.study_name, command, storage),
        *_facts(study, choice),
        "",
        "## The models of the front",
        "",
        "The feasible Pareto front. The dashboard's own list of best trials ignores constraints.",
        "",
        _table(
            ["trial", "scheme", "KiB", "times smaller", "accuracy"],
            [
                [
                    f"**{candidate.trial_number}**" if candidate == choice.candidate else str(candidate.trial_number),
                    candidate.config.scheme.value,
                    f"{candidate.memory_kib:.2f}",
                    f"{candidate.compression:.2f}",
                    f"{candidate.accuracy:.2%}",
                ]
                for candidate in front
            ],
        ),
    ]
    return "\n".join(lines)


def _about_choice(study: optuna.Study, front: ParetoFront, choice: Choice, baseline: Baseline | None) -> list[str]:
    """What the choice is, in lines that fit into a narrow window."""
    split = f": {choice.candidate.flash_and_ram}" if choice.candidate.flash_and_ram else ""
    tested = accuracies_on_test(study).get(choice.trial_number)
    risk = StudyRisk(study).of_trial(choice.trial_number)
    return [
        f"Chosen: **trial {choice.trial_number}**, {choice.config.scheme.value.upper()}. "
        f"Rule: {choice.rule or 'not given'}.",
        f"{choice.memory_kib:.2f} KiB instead of {front.baseline_kib:,.1f}{split}.",
        *([f"On the test set: {tested:.2%}."] if tested is not None else []),
        *([_sentence(risk)] if risk is not None else []),
        *([f"The float network: {baseline.treatment}."] if baseline is not None and baseline.treatment else []),
    ]


def _use(name: str, command: str | None, storage: str | None) -> list[str]:
    """Commands from the study to the model on a device, to be copied."""
    where = "URL" if storage is None else shlex.quote(storage)
    commands = [
        *([f"{command}  # goes on with the study"] if command else []),
        f"qspinn export --study {shlex.quote(name)} --storage {where} --out net  # the chosen model as C",
    ]
    code = [
        "import optuna",
        "from qspinn_optuna.selection import recorded_choice",
        "from qspinn_optuna.study import open_storage",
        f"study = optuna.load_study(study_name={name!r}, storage=open_storage({storage or 'URL'!r}))",
        "config = recorded_choice(study).config",
    ]
    return ["## Use it", "", "```bash", *commands, "```", "", "```python", *code, "```", ""]


def _facts(study: optuna.Study, choice: Choice) -> list[str]:
    """With what the study was made."""
    record = TrialRecord(study.get_trials(deepcopy=False)[choice.trial_number])
    seed = "" if record.seed is None else f" Seed of the evaluations: {record.seed}."
    samples = "" if choice.candidate.samples is None else f" Accuracies are of {choice.candidate.samples:,} samples."
    return [f"Published by qspinn_optuna {version('qspinn_optuna')}.{seed}{samples}"]


def no_front_note(reason: str) -> str:
    """The note of a study without a feasible trial."""
    return f"# Nothing to choose yet\n\n{reason}"


def few_trials_note(noted: int, finished: int) -> str:
    """The addition to the note of a study if only some of its trials have notes."""
    return (
        f"\n\n{noted:,} of {finished:,} finished trials have notes on their footprints: those of the front and the "
        "newest. The user attributes of the others have the same information."
    )


CHOSEN = "**Chosen**"
"""The beginning of the note of the chosen trial."""


def chosen_line(choice: Choice, tested: float | None, risk: Risk | None) -> str:
    """What the note of the chosen trial says first."""
    on_test = "" if tested is None else f", {tested:.2%} on the test set"
    lines = [
        f"{CHOSEN}: {choice.rule or 'by hand'}.",
        f"{choice.accuracy:.2%} on held-out samples{on_test}.",
        *([] if risk is None else [_sentence(risk)]),
    ]
    # The page of a trial does not break lines by itself. Two spaces do.
    return "  \n".join(lines)


def _sentence(risk: Risk) -> str:
    text = str(risk)
    return f"{text[0].upper()}{text[1:]}."


def trial_note(record: TrialRecord, footprint: FootprintRecord) -> str:
    """The note of a finished trial: its footprint and formats.

    Args:
        record: The record of the trial.
        footprint: Its memory, flash and RAM apart where they can be told.
    """
    config = record.config
    assert config is not None
    total = sum(footprint.by_parameter.values())
    memory = [] if footprint.memories is None else ["memory"]
    rows = []
    for name, bits in sorted(footprint.by_parameter.items(), key=lambda entry: -entry[1]):
        quantization = config.parameters.get(name)
        rows.append(
            [
                f"`{name}`",
                "fixed" if quantization is None else str(quantization.format),
                "" if quantization is None else quantization.rounding.value,
                *([] if footprint.memories is None else [_MEMORIES[footprint.memories[name]]]),
                f"{bits / 8 / 1024:.3f}",
                f"{bits / total:.1%}",
            ]
        )
    return "\n".join(
        [
            f"**{footprint.kib:.2f} KiB**, {footprint.compression:.2f}x smaller than "
            f"{footprint.baseline_kib:.1f} KiB in 32 bits. Quantized {_WHEN[config.scheme]}.{_split(footprint)}",
            "",
            _table(["parameter", "format", "rounding", *memory, "KiB", "share"], rows),
        ]
    )


def _split(footprint: FootprintRecord) -> str:
    if footprint.flash_kib is None or footprint.ram_kib is None:
        return ""
    return f" Flash {format_kib(footprint.flash_kib)} KiB, RAM {format_kib(footprint.ram_kib)} KiB."


def _config_table(config: QuantizationConfig) -> str:
    return _table(
        ["parameter", "bits", "format", "rounding"],
        [
            [f"`{name}`", str(quantization.format.bits), str(quantization.format), quantization.rounding.value]
            for name, quantization in config.parameters.items()
        ],
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with space between its columns, of which the dashboard has none."""
    spaced = [[first, *(_SPACE + cell for cell in rest)] for first, *rest in (header, *rows)]
    return markdown_table(spaced[0], spaced[1:])
