"""Functions in C that kinds of networks share: those that a network's C calls come before it, and no others."""

from __future__ import annotations

import re

from qspinn_optuna.export.templates import text_of

_PIECES = {
    "read.c": ("snn_read",),
    "write.c": ("snn_write",),
    "blocks.c": ("snn_words", "snn_unpack", "snn_pack"),
    "fill.c": ("snn_fill",),
    "lowest_bit.c": ("snn_lowest_bit",),
    "draws.c": ("snn_mix", "SNN_GOLDEN"),
    "stream.c": ("snn_stream",),
    "show.c": ("snn_show",),
}
"""Files and what they define. One calls those before it alone."""


def pieces_for(source: str) -> str:
    """The text of all files that ``source``, or one that it needs, calls."""
    needed: list[str] = []
    for name, defined in reversed(_PIECES.items()):
        if any(re.search(rf"\b{word}\b", source) for word in defined):
            text = text_of(name)
            source += text
            needed.insert(0, text)
    return "\n".join(needed)
