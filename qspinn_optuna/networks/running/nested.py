"""Tensors in tuples, lists, dicts and dataclasses, as a ``forward`` takes and returns them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors of a nest, in order; anything else is passed over."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from tensors_in(entry)
    elif isinstance(value, tuple | list):
        for entry in value:
            yield from tensors_in(entry)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from tensors_in(getattr(value, field.name))


def map_leaves(value: Any, function: Callable[[Any], Any]) -> Any:
    """A nest of tuples, lists and dicts with ``function`` applied to everything in it that is none of these."""
    if isinstance(value, Tensor):
        return function(value)
    kind: Any = type(value)
    if isinstance(value, Mapping):
        entries = {key: map_leaves(entry, function) for key, entry in value.items()}
        return entries if kind is dict else kind(entries)
    if isinstance(value, tuple | list):
        mapped = [map_leaves(entry, function) for entry in value]
        return kind(*mapped) if hasattr(value, "_fields") else kind(mapped)
    return function(value)


def is_of_vmap(tensor: Tensor) -> bool:
    """Whether ``torch.vmap`` made a tensor, as in containers with the time last: it must not be kept or looked at."""
    return bool(torch._C._functorch.is_batchedtensor(tensor))
