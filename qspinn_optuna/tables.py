"""Tables as text, for terminals and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from qspinn_optuna.terminal import unbroken, within

Below = tuple[str, Sequence[int]]
"""What a line below a row begins with, and the positions of the columns that it has."""


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


def fitted_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], columns: int | None, below: Sequence[Below] = ()
) -> str:
    """A table that is no wider than a terminal, as far as some of its columns may stand below the rows.

    Args:
        header: The titles.
        rows: The cells.
        columns: Columns of the terminal; None if there is none: then the table is as wide as it gets.
        below: Groups of columns. They leave the table one after the other until it fits; each then has lines of its
            own below every row, with the titles.
    """
    groups = list(below)
    moved: list[Below] = []
    while True:
        kept = [i for i in range(len(header)) if all(i not in positions for _, positions in moved)]
        table = format_table([header[i] for i in kept], [[row[i] for i in kept] for row in rows]).split("\n")
        if columns is None or len(table[1]) <= columns or not groups:
            break
        moved.append(groups.pop(0))
    indent = " " * (len(table[1].partition("  ")[0]) + 2)
    lines = table[:2]
    for row, line in zip(rows, table[2:], strict=True):
        details = [
            begin + ", ".join(unbroken(f"{header[i]} {row[i]}") for i in positions) for begin, positions in moved[::-1]
        ]
        lines += [line, *(within(indent + detail, columns, hanging=0) for detail in details)]
    return "\n".join(lines)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same in Markdown."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows))
