"""Forward passes of quantized networks, within which parameters are read without comparing their values."""

from __future__ import annotations

import threading
from typing import Any

from torch import nn


class _Passes(threading.local):
    """What runs in a thread, and how often the states of any quantized network were reset.

    Attributes:
        running: Forward passes of this thread that are not over, one within the other.
        resets: Resets so far, of all threads: after one of them, parameters are compared once.
    """

    running = 0
    resets = 0

    def count_reset(self) -> None:
        type(self).resets += 1


PASSES = _Passes()


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
    PASSES.running += 1


def _end(*_: Any) -> None:
    # NOTE: torch calls it also where another hook before _begin has failed.
    PASSES.running = max(PASSES.running - 1, 0)
