"""Batches of inputs, as calibration and checks take them, and how a network is called with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from qspinn_optuna.networks.running.misfit import misfit

Inputs = Tensor | tuple[Tensor, ...]
"""What a network is called with: one tensor, or several, which are its arguments in this order."""

Batches = Iterable[Tensor | tuple[Any, ...] | list[Any]]
"""Inputs as a network takes them, or sequences of inputs and then labels, such as a ``DataLoader`` gives."""


def inputs_of(batches: Batches, name: str = "batches") -> Iterator[Inputs]:
    """The inputs of each batch.

    Args:
        batches: What is iterated. A batch is a tensor, or a sequence whose last element is the label: of (a, b, label)
            the inputs are a and b.
        name: Of the argument that gave them, for errors.

    Raises:
        TypeError: If ``batches`` is a single tensor or a single batch, or inputs of a batch are no dense tensors.
        ValueError: If there are no batches, or a batch is empty.
    """
    for inputs, _ in labeled_inputs_of(batches, name):
        yield inputs


def labeled_inputs_of(batches: Batches, name: str = "batches") -> Iterator[tuple[Inputs, Any]]:
    """The inputs and the label of each batch, None without one; arguments and errors as in :func:`inputs_of`."""
    if isinstance(batches, Tensor):
        raise TypeError(f"{name} must be several batches, got a tensor: give [tensor] for a single one.")
    if _is_one_batch(batches):
        raise TypeError(f"{name} must be several batches, got one of inputs and labels: give [(inputs, labels)].")
    number = -1
    for number, batch in enumerate(batches):
        inputs, label = split(batch)
        for one in tensors(inputs):
            if not isinstance(one, Tensor):
                raise TypeError(f"{name} must be tensors or begin with one, batch {number} is {type(one).__name__}.")
            if one.layout != torch.strided or one.is_meta:
                raise TypeError(
                    f"{name} must be dense tensors, batch {number} is {'meta' if one.is_meta else one.layout}: give "
                    "inputs.to_dense(), and make other tensors of them in forward."
                )
            check_filled(one, f"{name} must have elements, batch {number}")
        yield inputs, label
    if number < 0:
        raise ValueError(f"{name} must have at least one batch, got none: an iterator may be used up; give a list.")


def _is_one_batch(batches: Any) -> bool:
    """Whether these are inputs and labels, where a sequence of such is wanted."""
    if not isinstance(batches, tuple | list) or len(batches) != 2 or not all(isinstance(o, Tensor) for o in batches):
        return False
    inputs, labels = batches
    return inputs.ndim > 1 and labels.ndim == 1 and len(inputs) == len(labels)


def split(batch: Any) -> tuple[Any, Any]:
    """Inputs and label of a batch, which is the last element of a sequence; None if there is only one element."""
    if not isinstance(batch, tuple | list) or len(batch) == 0:
        return batch, None
    *inputs, label = batch if len(batch) > 1 else (batch[0], None)
    if len(inputs) > 1:
        return tuple(inputs), label
    # Several inputs may also be a sequence in the first place.
    nested = isinstance(inputs[0], tuple | list) and len(inputs[0]) > 0
    return tuple(inputs[0]) if nested and all(isinstance(one, Tensor) for one in inputs[0]) else inputs[0], label


def tensors(inputs: Any) -> tuple[Any, ...]:
    """The arguments of the network, one or several."""
    return tuple(inputs) if isinstance(inputs, tuple) else (inputs,)


def mapped(inputs: Inputs, function: Callable[[Tensor], Tensor]) -> Inputs:
    """Inputs, each of which ``function`` has changed."""
    return tuple(function(one) for one in inputs) if isinstance(inputs, tuple) else function(inputs)


def shape_of(inputs: Inputs) -> tuple[Any, ...]:
    """The shape of one input, or the shapes of several."""
    return tuple(inputs.shape) if isinstance(inputs, Tensor) else tuple(tuple(one.shape) for one in inputs)


def first_samples(inputs: Inputs, count: int, few: int) -> Inputs:
    """The first few samples of a batch, if it is clear which dimension they are counted along, else all.

    Args:
        inputs: Of ``count`` samples.
        count: Samples of the batch.
        few: How many to take, if there are as many.
    """
    along = [_sample_dimensions(one, count) for one in tensors(inputs)]
    if any(len(dimensions) != 1 for dimensions in along):
        return inputs
    taken = tuple(one.narrow(found[0], 0, min(few, count)) for one, found in zip(tensors(inputs), along, strict=True))
    return taken if isinstance(inputs, tuple) else taken[0]


def call(network: nn.Module, inputs: Inputs) -> Any:
    """What the network puts out for its inputs.

    Raises:
        ValueError: If the network fails on inputs of another type or device than its own, or a layer on another
            number of features.
    """
    try:
        return network(*inputs) if isinstance(inputs, tuple) else network(inputs)
    except (RuntimeError, TypeError, ValueError) as error:
        # SpikingJelly's layers look at the dimensions of sequences, which is a ValueError.
        other = isinstance(error, ValueError)
        remark = misfit(network, error) or ("" if other else _mismatch(network, inputs, str(error)))
        if remark:
            raise ValueError(f"The network does not take these inputs: {remark} The error was: {error}") from error
        raise


def cloned(inputs: Inputs) -> Inputs:
    """Inputs that a network may change in place."""
    return mapped(inputs, torch.clone)


def as_inputs(sample: Any, name: str = "sample") -> Inputs:
    """A sample as a network's inputs.

    Args:
        sample: A tensor, or a tuple of the network's arguments.
        name: Of the argument that gave it, for errors.

    Raises:
        TypeError: If it is anything else.
        ValueError: If an input has no elements.
    """
    if not isinstance(sample, Tensor | tuple) or not all(isinstance(one, Tensor) for one in tensors(sample)):
        raise TypeError(
            f"{name} must be a tensor, a batch as the network takes it, or a tuple of such, got {_kind(sample)}."
        )
    if isinstance(sample, tuple) and not sample:
        raise ValueError(f"{name} must be a batch of samples, got an empty tuple.")
    for one in tensors(sample):
        check_filled(one, f"{name} must have elements,")
    return sample


def check_filled(values: Tensor, message: str) -> None:
    """Refuse inputs without elements.

    Raises:
        ValueError: Beginning with ``message``.
    """
    if values.numel() == 0:
        raise ValueError(
            f"{message} has the shape {tuple(values.shape)}: it needs at least one sample and one time step."
        )


def _sample_dimensions(values: Tensor, count: int) -> list[int]:
    """Which of the first two dimensions may count the samples; of one dimension alone it is not known."""
    return [dimension for dimension in (0, 1) if values.ndim > 1 and values.shape[dimension] == count]


def _mismatch(network: nn.Module, inputs: Inputs, error: str) -> str:
    """A remark on inputs of another type or device than the parameters of a network, for errors; may be empty."""
    # Ids and masks are of other types with good reason.
    others = () if "dtype" in error or "scalar type" in error else (torch.int32, torch.int64, torch.bool)
    own = next((parameter for parameter in network.parameters() if parameter.is_floating_point()), None)
    if own is None:
        return ""
    for one in tensors(inputs):
        if one.device != own.device:
            return f"the inputs are on {one.device}, the network is on {own.device}: move one of them by .to(device)."
    for one in tensors(inputs):
        if one.dtype != own.dtype and one.dtype not in others:
            return f"the inputs are {_type(one)}, the network is {_type(own)}: give inputs.to({own.dtype})."
    return ""


def _type(values: Tensor) -> str:
    return str(values.dtype).removeprefix("torch.")


def _kind(sample: Any) -> str:
    if isinstance(sample, tuple | list):
        return f"{type(sample).__name__} of {', '.join(sorted({type(one).__name__ for one in sample}))}"
    return type(sample).__name__
