"""Templates of C files: real C in the folder ``c99``, with ``@name@`` where a value belongs.

What stands between ``@if name@`` and ``@end@`` is there if that value is true, and after ``@if !name@`` if it is not.
They name everything ``snn_...`` and ``SNN_...``; the prefix that the user chose takes the place of ``snn``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources

_SLOT = re.compile(r"@(\w+)@")
_OPTION = re.compile(r"@if (!?)(\w+)@\n?(.*?)@end@\n?", re.DOTALL)
_NAMED = re.compile(r"@(?!end@)(\w+)@|@if !?(\w+)@")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

KEYWORDS = {
    "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum", "extern",
    "float", "for", "goto", "if", "inline", "int", "long", "register", "restrict", "return", "short", "signed",
    "sizeof", "static", "struct", "switch", "typedef", "union", "unsigned", "void", "volatile", "while",
    "_Bool", "_Complex", "_Imaginary",
}  # fmt: skip
"""Of C99."""


def text_of(name: str) -> str:
    """A template as it is."""
    return (resources.files("qspinn_optuna.export") / "c99" / name).read_text(encoding="utf-8")


def fill(name: str, values: Mapping[str, object]) -> str:
    """A template with its values; each must be there, and used."""
    text = text_of(name)
    slots = {word for found in _NAMED.findall(text) for word in found if word}
    if slots != values.keys():
        raise ValueError(f"{name} has the slots {sorted(slots)}, got {sorted(values)}.")
    kept = _OPTION.sub(lambda option: option[3] if bool(values[option[2]]) != bool(option[1]) else "", text)
    return _SLOT.sub(lambda slot: str(values[slot[1]]), kept)


def with_prefix(text: str, prefix: str) -> str:
    """The text with the user's prefix in all names."""
    return re.sub(r"\bSNN_", f"{prefix.upper()}_", re.sub(r"\bsnn_", f"{prefix}_", text))


def check_prefix(prefix: object) -> str:
    """The prefix, if C takes it as a name.

    Example:
        >>> check_prefix("snn")
        'snn'

    Raises:
        TypeError: If it is no string.
        ValueError: If it is no identifier of C, or a keyword.
    """
    if not isinstance(prefix, str):
        raise TypeError(f"prefix must be a str, got {prefix!r}.")
    if _IDENTIFIER.fullmatch(prefix) is None:
        raise ValueError(f'prefix must be an identifier of C such as "snn", got {prefix!r}.')
    if prefix in KEYWORDS:
        raise ValueError(f'prefix must be no keyword of C, got "{prefix}": take "my_{prefix}".')
    return prefix
