"""What training takes of this machine's memory, told before it begins."""

from __future__ import annotations

import os

_BYTES_A_WEIGHT = 24
"""While weights are drawn, two arrays of float64 and one of float32 are held, with blocks of float32."""

_BYTES_A_NEURON = 8_000
"""Counts of a thousand images, currents of a window, membranes, thresholds."""

_GIB = 2**30


def check_memory(neurons: int, inputs: int) -> None:
    """Refuse a network that cannot be trained on this machine.

    Raises:
        ValueError: If it takes more than the installed memory.
    """
    installed = installed_memory()
    a_neuron = _BYTES_A_WEIGHT * inputs + _BYTES_A_NEURON
    if installed is not None and neurons * a_neuron > installed:
        raise ValueError(
            f"neurons must be at most {installed // a_neuron:,} for {inputs} inputs on this machine: training "
            f"{neurons:,} takes {neurons * a_neuron / _GIB:,.1f} GiB of memory, of {installed / _GIB:.1f} GiB."
        )


def installed_memory() -> int | None:
    """Bytes of memory of this machine; None where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
