"""Types of command-line arguments: each turns a text into a checked value."""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path


def output_file(text: str) -> Path:
    """A file in a folder that exists: a study should not find out at its end that it does not."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"must be a file in a folder that exists and can be written, got {text}")
    return path


def positive(text: str) -> int:
    """An integer of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return value


def count(text: str) -> int:
    """An integer of at least 0."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must not be negative, got {text}")
    return value


def seed(text: str) -> int:
    """An integer that every generator takes as its seed."""
    value = int(text)
    if not 0 <= value < 2**32 - 10**6:
        raise argparse.ArgumentTypeError(f"must be between 0 and 4 billion, got {text}")
    return value


def fraction(text: str) -> float:
    """A number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a fraction between 0 and 1, got {text} (0.01 is one point)")
    return value


def confidence(text: str) -> float:
    """A number between 0 and 1, both excluded."""
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"must be between 0 and 1, both excluded, got {text} (0.95 is usual)")
    return value


def weight(text: str) -> float:
    """A finite number of at least 0."""
    value = float(text)
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"must be a finite number of at least 0, got {text}")
    return value


def widths(text: str) -> tuple[str, tuple[int, int]]:
    """A width or a range of widths, 4 or 2-8, perhaps with a name before it, weight=2-8: (name, (first, last)).

    The name is empty if there is none.
    """
    name, separator, numbers = text.rpartition("=")
    first, _, last = numbers.partition("-")
    if not (first.isdecimal() and (last or first).isdecimal()) or bool(name) != bool(separator):
        raise argparse.ArgumentTypeError(f"must be a width or a range such as 2-8 or weight=2-8, got {text}")
    return name, (int(first), int(last or first))
