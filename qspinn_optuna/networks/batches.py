"""Batches of inputs, as calibration and checks take them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch import Tensor

Batches = Iterable[Tensor | tuple[Tensor, ...] | list[Tensor]]
"""Inputs as a network takes them, or sequences that begin with them, such as a ``DataLoader`` gives."""


def inputs_of(batches: Batches, name: str = "batches") -> Iterator[Tensor]:
    """The inputs of each batch.

    Args:
        batches: What is iterated.
        name: Of the argument that gave them, for errors.

    Raises:
        TypeError: If ``batches`` is a single tensor, or a batch neither is a tensor nor begins with one.
        ValueError: If there are no batches.
    """
    if isinstance(batches, Tensor):
        raise TypeError(f"{name} must be several batches, got a tensor: give [tensor] for a single one.")
    number = -1
    for number, batch in enumerate(batches):
        inputs = batch[0] if isinstance(batch, tuple | list) and batch else batch
        if not isinstance(inputs, Tensor):
            raise TypeError(f"{name} must be tensors or begin with one, batch {number} is {type(inputs).__name__}.")
        yield inputs
    if number < 0:
        raise ValueError(f"{name} must have at least one batch, got none: an iterator may be used up; give a list.")
