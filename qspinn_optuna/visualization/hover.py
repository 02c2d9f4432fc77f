"""Hover labels: result and configuration of a trial."""

from __future__ import annotations

from collections.abc import Sequence

from qspinn_optuna.front import Candidate
from qspinn_optuna.study import TrialRecord

_MANY = 14
"""Most lines of a label; with more entries, several share a line."""


def describe_trial(record: TrialRecord) -> str:
    """Result and configuration of a finished trial."""
    smaller = f", {record.footprint.compression:.2f}x smaller" if record.footprint else ""
    result = f"{record.memory_kib:.2f} KiB{smaller}, {record.accuracy:.2%}"
    return _joined([f"<b>trial {record.number}</b>", result], _params(record))


def describe_stopped(record: TrialRecord) -> str:
    """Result so far and configuration of a trial that was stopped early."""
    assert record.counts is not None
    assert record.footprint is not None
    share = f"{record.counts.accuracy:.2%} of the first {record.counts.seen:,} samples"
    result = f"{record.footprint.kib:.2f} KiB, {share}"
    return _joined([f"<b>trial {record.number}, stopped early</b>", result], _params(record))


def describe_candidate(candidate: Candidate) -> str:
    """Result and configuration of a candidate of a front, with the formats."""
    heading = [
        f"<b>trial {candidate.trial_number}</b>",
        f"{candidate.memory_kib:.2f} KiB, {candidate.compression:.2f}x smaller, {candidate.accuracy:.2%}",
        *([candidate.flash_and_ram] if candidate.flash_and_ram else []),
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


def _params(record: TrialRecord) -> list[str]:
    return [f"{name} = {value}" for name, value in record.params.items()]


def _joined(heading: Sequence[str], entries: Sequence[str]) -> str:
    columns = -(-len(entries) // _MANY)
    rows = [" | ".join(entries[start : start + columns]) for start in range(0, len(entries), columns or 1)]
    return "<br>".join([*heading, *rows])
