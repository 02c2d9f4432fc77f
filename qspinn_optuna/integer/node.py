"""Parts of an integer model: frozen values that may hold arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from qspinn_optuna.fixed_point import QFormat

_LARGEST_KEY = 2**64 - 1


@dataclass(frozen=True, eq=False)
class Node:
    """A part of a model; it equals another of its type whose fields are equal."""

    # Arrays do not hash.
    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(_same(getattr(self, field.name), getattr(other, field.name)) for field in fields(self))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    return bool(one == other)


def frozen_array(values: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """A contiguous copy that cannot be written to."""
    array = np.array(values, dtype, order="C")
    array.flags.writeable = False
    return array


def check_whole(name: str, value: object, low: int, high: int | None = None) -> None:
    """Refuse what is no integer from ``low`` to ``high``.

    Raises:
        TypeError: If ``value`` is no int.
        ValueError: If it is outside its range.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, got {value!r}.")
    if value < low or (high is not None and value > high):
        limit = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ValueError(f"{name} must be {limit}, got {value}.")


def check_key(key: object) -> None:
    """Refuse what is no key of draws, 0 to 2**64 - 1; errors as in :func:`check_whole`."""
    check_whole("key", key, 0, _LARGEST_KEY)


def check_integers(name: str, values: object, dimensions: int) -> None:
    """Refuse what is no array of integers with a number of dimensions, of which none is empty.

    Raises:
        TypeError: If ``values`` is no array of integers.
        ValueError: If its shape is another.
    """
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iu":
        raise TypeError(f"{name} must be an array of integers, got {getattr(values, 'dtype', type(values).__name__)}.")
    if values.ndim != dimensions or values.size == 0:
        raise ValueError(f"{name} must have {dimensions} dimensions and be not empty, got shape {values.shape}.")


def check_name(name: str, value: object) -> None:
    """Refuse what is no text, or an empty one.

    Raises:
        TypeError: If ``value`` is no str.
        ValueError: If it is empty.
    """
    check_type(name, value, str)
    if not value:
        raise ValueError(f"{name} must be a name, got an empty text.")


def check_type(name: str, value: object, kind: type) -> None:
    """Refuse what is not of a type.

    Raises:
        TypeError: If ``value`` is of another.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be a {kind.__name__}, got {value!r}.")


def check_has_zero(name: str, fmt: QFormat) -> None:
    """Refuse a mid-rise format of what is 0 at times.

    Raises:
        ValueError: If ``fmt`` is mid-rise.
    """
    if fmt.is_mid_rise:
        raise ValueError(f"{name} must have a mid-tread format, got {fmt}, which has no 0.")


def check_wholes(name: str, values: object, low: int, length: int | None = None) -> None:
    """Refuse what is no tuple of integers that are at least ``low``.

    Args:
        name: Of the argument.
        values: What was given.
        low: The smallest integer that would do.
        length: How many there must be; None if any number of them would do.

    Raises:
        TypeError: If ``values`` is no tuple, or one of them no int.
        ValueError: If one of them is below ``low``, or there are too many or too few.
    """
    if not isinstance(values, tuple):
        raise TypeError(f"{name} must be a tuple of integers, got {values!r}.")
    if length is not None and len(values) != length:
        raise ValueError(f"{name} must be {length} integers, got {values}.")
    for value in values:
        check_whole(name, value, low)
