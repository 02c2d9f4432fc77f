"""Access to the traces of a figure."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go


def named(figure: go.Figure, name: str) -> Any:
    """The only trace of a name."""
    (trace,) = [trace for trace in figure.data if trace.name == name]
    return trace


def points(trace: Any) -> list[tuple[float, float]]:
    return list(zip(trace.x, trace.y, strict=True))


def footprint(memory_kib: float) -> dict[str, Any]:
    """The footprint of a trial as its attributes have it, of a network of 1,000 KiB."""
    return {
        "kib": memory_kib,
        "baseline_kib": 1_000.0,
        "compression": 1_000 / memory_kib,
        "by_parameter": {},
        "by_family": {},
    }
