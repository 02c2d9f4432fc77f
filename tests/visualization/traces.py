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
