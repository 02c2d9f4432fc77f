"""Widths that are narrower than others of their kind, since float32 has 24 digits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """A width that exactness limits.

    Args:
        name: Of the parameter.
        before: Its widest width otherwise.
        after: Its widest width.
        where: Name of the layer or state whose sum it reaches.
    """

    name: str
    before: int
    after: int
    where: str

    @property
    def sentence(self) -> str:
        """What users are told."""
        return (
            f"{self.name} is limited from {self.before} to {self.after} bits: with more, float32 does not carry the "
            f"sums of {self.where} exactly."
        )


def told(limits: Iterable[Limit], widest: Mapping[str, int], enough: int) -> list[str]:
    """A sentence for each parameter that is limited to less than ``enough`` bits.

    Args:
        limits: Of parameters, in the order in which they were found; the last one of each counts, from the first width.
        widest: The widths of what is searched in the end, by the names of the parameters.
        enough: Width of which nobody need be told.
    """
    by_name: dict[str, Limit] = {}
    for limit in limits:
        before = by_name[limit.name].before if limit.name in by_name else limit.before
        by_name[limit.name] = Limit(limit.name, before, limit.after, limit.where)
    return [limit.sentence for name, limit in by_name.items() if widest.get(name, enough) < enough]
