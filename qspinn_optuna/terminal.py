"""Text that is no wider than the terminal that shows it."""

from __future__ import annotations

import shutil
import sys
import textwrap

_UNBROKEN = "\N{NO-BREAK SPACE}"
"""In place of a space at which no line ends."""

_HANGING = 4
"""How much further than its first line the rest of a line is indented."""


def terminal_columns() -> int | None:
    """Columns of the terminal that stdout is; None if it is none, or does not say."""
    if not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size(fallback=(0, 0)).columns or None


def unbroken(text: str) -> str:
    """Text in which :func:`within` ends no line."""
    return text.replace(" ", _UNBROKEN)


def within(text: str, columns: int | None, hanging: int = _HANGING) -> str:
    """Text with lines that fit.

    Args:
        text: Lines. Those that are too long are continued on the next one, further in than they begin.
        columns: Columns of the terminal; None leaves the lines as they are.
        hanging: How much further in.
    """
    lines = text.split("\n")
    if columns is not None:
        lines = [part for line in lines for part in _parts(line, columns, hanging)]
    return "\n".join(lines).replace(_UNBROKEN, " ")


def _parts(line: str, columns: int, hanging: int) -> list[str]:
    if len(line) <= columns:
        return [line]
    indent = " " * (len(line) - len(line.lstrip(" ")) + hanging)
    # NOTE: words longer than a line stay whole, so that they can be copied; the terminal breaks them.
    return textwrap.wrap(line, columns, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
