"""Whether ``torch.export`` looks on: it takes no arrays, and no values that decide what is done."""

from __future__ import annotations

import torch


def is_exporting() -> bool:
    """Whether ``torch.export`` records what is computed, which it does without gradients here."""
    # torch 2.6 does not tell exporting from compiling.
    return bool(getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)())
