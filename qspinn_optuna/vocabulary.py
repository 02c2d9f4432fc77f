"""The base of enumerations of words."""

from __future__ import annotations

from enum import StrEnum
from typing import NoReturn


class Vocabulary(StrEnum):
    """An enumeration of words whose error lists the known words."""

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise ValueError(f"{cls.__name__.lower()} must be one of {[str(word) for word in cls]}, got {value!r}.")
