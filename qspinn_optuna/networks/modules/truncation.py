"""Truncated backpropagation through time."""

from __future__ import annotations

from typing import Any

from torch import Tensor


class DetachableStates:
    """Mixin of modules with quantized states, which SpikingJelly's ``detach_net`` cuts off from earlier steps."""

    def detach(self) -> None:
        """Go on from the states as they are, without the gradients of earlier steps."""
        # SpikingJelly detaches in place, which torch refuses for views, such as a step of a sequence.
        memories: dict[str, Any] = self._memories  # type: ignore[attr-defined]
        memories.update({name: detached(value) for name, value in memories.items()})
        super().detach()  # type: ignore[misc]


def detached(value: Any) -> Any:
    """A state without its history; a queue has one for each entry."""
    if isinstance(value, list):
        return [detached(entry) for entry in value]
    return value.detach() if isinstance(value, Tensor) else value
