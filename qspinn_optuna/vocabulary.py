"""Closed vocabularies."""

from __future__ import annotations

from enum import StrEnum
from typing import NoReturn


class Vocabulary(StrEnum):
    """An enumeration that says what would do when it is given an unknown word."""

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise ValueError(f"{cls.__name__.lower()} must be one of {[str(word) for word in cls]}, got {value!r}.")
