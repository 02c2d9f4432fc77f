"""What networks put out: a tensor, or tensors in tuples, lists, mappings and dataclasses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor


def named_tensors(output: Any, name: str = "the output") -> Iterator[tuple[str, Tensor]]:
    """The tensors in an output, in its order, with names such as "the output['logits'][0]".

    Args:
        output: Of a network. What is neither a tensor nor holds some is skipped.
        name: Of the output itself.
    """
    if isinstance(output, Tensor):
        yield name, output
    elif isinstance(output, Mapping):
        for key, value in output.items():
            yield from named_tensors(value, f"{name}[{key!r}]")
    elif is_dataclass(output) and not isinstance(output, type):
        for field in fields(output):
            yield from named_tensors(getattr(output, field.name), f"{name}.{field.name}")
    elif isinstance(output, tuple | list):
        for number, value in enumerate(output):
            yield from named_tensors(value, f"{name}[{number}]")


def tensors_of(output: Any) -> list[Tensor]:
    """The tensors in an output, in its order."""
    return [value for _, value in named_tensors(output)]
