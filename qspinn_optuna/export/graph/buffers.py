"""Arrays that share memory, since one is no longer needed when the other is made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


class Lifetime(NamedTuple):
    """An array that lives for a part of a step.

    Args:
        name: Of the member in C.
        element: Type of an element in C.
        elements: How many.
        bytes: In all.
        born: Number of the operation that makes it.
        dies: Number of the last operation that reads it.
    """

    name: str
    element: str
    elements: int
    bytes: int
    born: int
    dies: int


@dataclass(frozen=True)
class Buffer:
    """Memory that arrays hold one after the other.

    Args:
        name: Of the member in C.
        arrays: The arrays.
    """

    name: str
    arrays: tuple[Lifetime, ...]

    def declaration(self) -> str:
        """The member in C: a union, so that the compiler knows of all types that lie there."""
        members = " ".join(f"{array.element} {array.name}[{array.elements}];" for array in self.arrays)
        return f"    union {{ {members} }} {self.name};"


def share(arrays: Iterable[Lifetime]) -> list[Buffer]:
    """Buffers for arrays, the first fit for the largest first: two lie in one only if they do not live together."""
    slots: list[list[Lifetime]] = []
    for array in sorted(arrays, key=lambda array: (-array.bytes, array.born)):
        for slot in slots:
            if all(array.dies < other.born or other.dies < array.born for other in slot):
                slot.append(array)
                break
        else:
            slots.append([array])
    return [
        Buffer(f"buffer{number}", tuple(sorted(slot, key=lambda array: array.born)))
        for number, slot in enumerate(slots)
    ]
