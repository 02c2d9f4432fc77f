"""One recording of an event camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Kind = TypeVar("Kind", np.int8, np.int16, np.int64)

_KINDS = {"t": np.int64, "x": np.int16, "y": np.int16, "p": np.int8}


@dataclass(frozen=True, eq=False)
class EventRecording:
    """Events of one sample and its class; :meth:`from_arrays` converts other integers, and sorts.

    Example:
        >>> recording = EventRecording.from_arrays(t=[0, 5], x=[1, 2], y=[3, 3], p=[0, 1], label=4)
        >>> recording.label, len(recording.t)
        (4, 2)

    Args:
        t: Times in microseconds, ascending, int64 [events].
        x: Columns from the left, int16 [events].
        y: Rows from the top, int16 [events].
        p: Polarities, 1 for brighter and 0 for darker, int8 [events].
        label: Number of the class, from 0.
        source: Name of the longer recording that the sample was cut from, such as "user03_led", or "".

    Raises:
        TypeError: If an array has another type.
        ValueError: If lengths differ, times descend, a coordinate is negative, or a polarity is neither 0 nor 1.
    """

    t: NDArray[np.int64]
    x: NDArray[np.int16]
    y: NDArray[np.int16]
    p: NDArray[np.int8]
    label: int
    source: str = ""

    def __post_init__(self) -> None:
        for name, kind in _KINDS.items():
            values = getattr(self, name)
            if values.dtype != kind:
                raise TypeError(
                    f"{name} must be {kind.__name__}, got {values.dtype}. EventRecording.from_arrays converts it."
                )
            if values.shape != (len(self.t),):
                raise ValueError(f"t, x, y and p must be equally long and flat, got {name} {values.shape}.")
        if (np.diff(self.t) < 0).any():
            raise ValueError("t must ascend, got times out of order. EventRecording.from_arrays sorts them.")
        if len(self.t) > 0 and min(self.x.min(), self.y.min()) < 0:
            raise ValueError(f"x and y must not be negative, got {min(self.x.min(), self.y.min())}.")
        if ((self.p != 0) & (self.p != 1)).any():
            raise ValueError(f"p must be 0 or 1, got {sorted(set(self.p.tolist()))}.")
        if self.label < 0:
            raise ValueError(f"label must be a class number from 0, got {self.label}.")

    @classmethod
    def from_arrays(
        cls,
        t: NDArray[np.generic],
        x: NDArray[np.generic],
        y: NDArray[np.generic],
        p: NDArray[np.generic],
        label: int,
        source: str = "",
    ) -> EventRecording:
        """A recording of events of any integer types, in any order; the sort by time is stable.

        Raises:
            TypeError: If an array does not hold integers or booleans.
            ValueError: If a number does not fit its type, or the constructor raises one.
        """
        given = {"t": np.asarray(t), "x": np.asarray(x), "y": np.asarray(y), "p": np.asarray(p)}
        if len({values.shape for values in given.values()}) > 1:
            raise ValueError(f"t, x, y and p must be equally long, got {[v.shape for v in given.values()]}.")
        order = np.argsort(given["t"], kind="stable")
        return cls(
            _converted("t", given["t"], np.int64)[order],
            _converted("x", given["x"], np.int16)[order],
            _converted("y", given["y"], np.int16)[order],
            _converted("p", given["p"], np.int8)[order],
            label,
            source,
        )

    def __len__(self) -> int:
        return len(self.t)

    @property
    def user(self) -> str:
        """The recorded person: "user03" if the source is "user03_led"."""
        return self.source.partition("_")[0]


def _converted(name: str, values: NDArray[np.generic], kind: type[Kind]) -> NDArray[Kind]:
    if values.dtype.kind not in "iub":
        raise TypeError(f"{name} must hold integers, got {values.dtype}.")
    converted = values.astype(kind)
    if (converted != values).any():
        raise ValueError(f"{name} must fit {kind.__name__}, got {values.min()} to {values.max()}.")
    return converted
