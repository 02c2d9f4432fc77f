"""Rows of Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown_header(columns: Sequence[str]) -> str:
    """The first two lines of a table."""
    return f"{markdown_row(columns)}\n{'|---' * len(columns)}|"


def markdown_row(cells: Iterable[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"
