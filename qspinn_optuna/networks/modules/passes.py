"""Forward passes of quantized networks, within which the values of a parameter are compared once."""

from __future__ import annotations

import itertools
import threading
from typing import Any

from torch import nn


class _Passes(threading.local):
    """What runs in a thread.

    Attributes:
        depth: Forward passes that are not over, one within the other.
        number: Of the outermost one; no two passes of any threads have the same.
    """

    depth = 0
    number = 0


PASSES = _Passes()
_NUMBERS = itertools.count(1)


def mark_passes(network: nn.Module) -> None:
    """Let every forward pass of ``network`` be known as one, in place."""
    network.register_forward_pre_hook(_begin)
    network.register_forward_hook(_end, always_call=True)


def unmark_passes(network: nn.Module) -> None:
    """Take :func:`mark_passes` back, in place."""
    for hooks in (network._forward_pre_hooks, network._forward_hooks):
        for key in [key for key, hook in hooks.items() if hook in (_begin, _end)]:
            del hooks[key]
            network._forward_hooks_always_called.pop(key, None)


def _begin(*_: Any) -> None:
    if PASSES.depth == 0:
        PASSES.number = next(_NUMBERS)
    PASSES.depth += 1


def _end(*_: Any) -> None:
    # NOTE: torch calls it also where another hook before _begin has failed.
    PASSES.depth = max(PASSES.depth - 1, 0)
