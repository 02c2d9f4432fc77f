"""Numbers of elements in C, of a value with number i."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod


def flat_index(padded: Sequence[int], shape: tuple[int, ...]) -> str:
    """The number of the element of a constant that goes with value i; -1 is a dimension that it has, of any size."""
    kept = [size != 1 or whole == 1 for size, whole in zip(padded, shape, strict=True)]
    terms, axis = [], 0
    while axis < len(shape):
        end = axis
        while end < len(shape) and kept[end]:
            end += 1
        size = prod(shape[axis:end])
        if end > axis and size > 1:
            index = divided("i", prod(shape[end:]))
            index = index if prod(shape[:axis]) == 1 else f"{index} % {size}u"
            stride = prod(whole for whole, own in zip(shape[end:], kept[end:], strict=True) if own)
            terms.append(index if stride == 1 else f"{index} * {stride}u")
        axis = max(end, axis + 1)
    return " + ".join(terms) or "0"


def divided(index: str, by: int) -> str:
    """A quotient, in C."""
    return index if by == 1 else f"{index} / {by}u"
