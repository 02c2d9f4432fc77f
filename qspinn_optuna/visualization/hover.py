"""What is read when the mouse rests on a point: the whole configuration."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.trial import FrozenTrial

from qspinn_optuna.front import Candidate

_MANY = 14
"""Lines from which on several go into one: a screen holds no more."""


def describe_trial(trial: FrozenTrial) -> str:
    """Result and configuration of a finished trial."""
    memory_kib, accuracy = trial.values
    result = f"{memory_kib:.2f} KiB, {accuracy:.2%}"
    return _joined([f"<b>trial {trial.number}</b>", result], _params(trial))


def describe_stopped(trial: FrozenTrial) -> str:
    """What a trial showed before it was stopped, and its configuration."""
    attributes = trial.user_attrs
    correct, seen = attributes["correct"], attributes["seen"]
    result = f"{attributes['footprint']['kib']:.2f} KiB, {correct / seen:.2%} of the first {seen:,} samples"
    return _joined([f"<b>trial {trial.number}, stopped early</b>", result], _params(trial))


def describe_candidate(candidate: Candidate) -> str:
    """Result and configuration of a member of a front, with the formats."""
    heading = [
        f"<b>trial {candidate.trial_number}</b>",
        f"{candidate.memory_kib:.2f} KiB, {candidate.compression:.2f}x smaller, {candidate.accuracy:.2%}",
        candidate.config.scheme.upper(),
    ]
    parameters = candidate.config.parameters.items()
    return _joined(
        heading,
        [
            f"{name}: {quantization.format} ({quantization.format.bits} bits), {quantization.rounding}"
            for name, quantization in parameters
        ],
    )


def _params(trial: FrozenTrial) -> list[str]:
    return [f"{name} = {value}" for name, value in trial.params.items()]


def _joined(heading: Sequence[str], entries: Sequence[str]) -> str:
    columns = -(-len(entries) // _MANY)
    rows = [" | ".join(entries[start : start + columns]) for start in range(0, len(entries), columns or 1)]
    return "<br>".join([*heading, *rows])
