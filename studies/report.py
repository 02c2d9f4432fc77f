"""What a study prints and writes at its end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qspinn_optuna import Candidate, Choice, ParetoFront


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, numbers to the right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        cells = (
            cell.rjust(width) if cell[:1].isdigit() else cell.ljust(width)
            for cell, width in zip(row, widths, strict=True)
        )
        return "  ".join(cells).rstrip()

    return "\n".join([line(header), "  ".join("-" * width for width in widths), *map(line, rows)])


def front_table(front: ParetoFront) -> str:
    """A line for each candidate of the front."""
    names = list(front.candidates[0].config.bits)
    header = ["trial", "scheme", "rounding", *names, "KiB", "ratio", "accuracy"]
    return format_table(header, [_row(candidate, names) for candidate in front])


def describe_choice(choice: Choice, test_accuracy: float, test_baseline: float) -> str:
    """The chosen model in words."""
    bits = ", ".join(f"{name} {fmt}" for name, fmt in _formats(choice).items())
    return (
        f"trial {choice.trial_number}: {choice.config.scheme.value}, {_rounding(choice.candidate)}, {bits}\n"
        f"  {choice.memory_kib:.2f} KiB, {choice.compression:.2f}x smaller than 32 bits; reward {choice.reward:.4f}\n"
        f"  accuracy {choice.accuracy:.2%} on held-out samples, {test_accuracy:.2%} on the test set "
        f"(float: {test_baseline:.2%}, {100 * (test_accuracy - test_baseline):+.2f} points)"
    )


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a report, whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(content, indent=2) + "\n")
    partial.replace(path)


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
