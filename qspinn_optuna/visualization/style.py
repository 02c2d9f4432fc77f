"""The common style of figures: legible on all pages, and for colour-blind people."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from qspinn_optuna.config import Scheme
from qspinn_optuna.fixed_point import Rounding

# The colours of Okabe and Ito, without yellow and black, which vanish on light and dark pages.
BLUE, VERMILLION, GREEN = "#0072B2", "#D55E00", "#007F5C"
PURPLE, ORANGE, SKY = "#CC79A7", "#E69F00", "#56B4E9"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION)

INK = "#4a4a4a"
"""Colour of text and neutral lines."""

PAPER = "#ffffff"
"""Background. No colour of text has a contrast of 4.5 to white and to near-black pages, so figures bring their own."""

_GRID = "rgba(128, 128, 128, 0.25)"
_CLEAR = "rgba(0, 0, 0, 0)"

_PANEL_TITLE = 16
"""Pixels above the uppermost panels, for each line of their titles."""

CROWD = 1_000
"""Most points of normal size; more points are smaller and fainter."""

CHOICE_COLOR = GREEN
CHOICE_MARK = "★"


@dataclass(frozen=True)
class Mark:
    """How a scheme or a rounding is drawn: a colour, with a symbol and a dash for colour-blind people."""

    color: str
    symbol: str
    dash: str = "solid"


SCHEMES = {Scheme.PTQ: Mark(BLUE, "circle", "solid"), Scheme.ITQ: Mark(VERMILLION, "diamond", "dash")}
ROUNDINGS = {
    Rounding.TRUNCATION: Mark(ORANGE, "triangle-down"),
    Rounding.NEAREST: Mark(GREEN, "circle"),
    Rounding.STOCHASTIC: Mark(PURPLE, "square"),
}

_AXIS = {
    "gridcolor": _GRID,
    "linecolor": _GRID,
    "tickcolor": _GRID,
    "zeroline": False,
    "automargin": True,
    "title": {"standoff": 8},
}

_TEMPLATE = go.layout.Template(
    layout={
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
        "font": {"color": INK, "size": 12},
        "colorway": PALETTE,
        # From the left edge on, also where names of rows take much room.
        "title": {"x": 0, "xref": "container", "xanchor": "left", "y": 1, "yanchor": "top", "pad": {"t": 23, "l": 12}},
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "legend": {"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom", "bgcolor": _CLEAR},
        "hoverlabel": {"align": "left"},
        "modebar": {"orientation": "v", "bgcolor": _CLEAR, "color": INK, "activecolor": BLUE},
        "annotationdefaults": {"font": {"color": INK, "size": 12}},
    }
)


def apply_style(figure: go.Figure, title: str, subtitle: str, *, height: int) -> None:
    """Set titles and style of a figure.

    Args:
        figure: The figure, changed in place; its annotations are titles of panels.
        title: A short line.
        subtitle: A line in smaller letters, without automatic breaks; narrow pages show about 70 letters.
        height: Height in pixels; the width is that of the page.
    """
    text = f"{title}<br><span style='font-size:12px'>{subtitle}</span>"
    # NOTE: the mode bar is in the right margin, where it covers neither titles nor data.
    lines = max((1 + panel.text.count("<br>") for panel in figure.layout.annotations if panel.text), default=0)
    above = 62 + 16 * subtitle.count("<br>") + _PANEL_TITLE * lines
    margin = {"l": 64, "r": 44, "t": above, "b": 56}
    figure.update_layout(template=_TEMPLATE, title={"text": text, "font": {"size": 16}}, height=height, margin=margin)
    figure.update_annotations(font={"color": INK, "size": 12})


def memory_axis(values: Iterable[float]) -> dict[str, Any]:
    """A logarithmic axis of memory with ticks at powers of two, and between them if there are few.

    Args:
        values: Positive memories in KiB.
    """
    shown = list(values)
    low, high = min(shown), max(shown)
    margin = max(0.04 * math.log2(high / low), 0.05)
    first, last = math.log2(low) - margin, math.log2(high) + margin
    powers = range(math.floor(first) - 1, math.ceil(last) + 2)
    many = 14
    parts = next((parts for parts, powers_shown in ((8, 1), (4, 3), (2, 5)) if last - first < powers_shown), 1)
    stride = math.ceil(len(powers) / many)
    ticks = [2.0**power * (1 + part / parts) for power in powers[::stride] for part in range(parts)]
    return {
        "title": {"text": "memory (KiB)"},
        "type": "log",
        "range": [first * math.log10(2), last * math.log10(2)],
        "tickvals": ticks,
        "ticktext": [f"{tick:g}" for tick in ticks],
    }
