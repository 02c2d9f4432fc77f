"""The figure of membrane potentials before and after quantization."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from qspinn_optuna.fixed_point import QFormat
from qspinn_optuna.visualization.style import BLUE, INK, VERMILLION, apply_style

_COLUMNS = 2
_PANEL_HEIGHT = 260
_BINS = 64
_MOST_CODES = 160
"""Most grid points that have a bin each."""

Values = NDArray[np.floating[Any]]


def plot_membranes(
    before: Mapping[str, Values],
    after: Mapping[str, Values],
    formats: Mapping[str, QFormat] | None = None,
) -> go.Figure:
    """Histograms of membrane potentials before and after quantization, with one panel for each layer.

    Shares of the values are on a logarithmic axis, since most values may be at rest. If the format of a layer has few
    grid points, each has its own bin; dashed lines are the ends of the format's range.

    Example:
        >>> before = {"1.v": np.random.default_rng(0).normal(size=100)}
        >>> figure = plot_membranes(before, before, {"1.v": QFormat(0, 5)})

    Args:
        before: Potentials of the float network by layer, 1-D, such as those of
            :func:`~qspinn_optuna.networks.membranes.membrane_values`.
        after: Potentials of the quantized network, of the same layers.
        formats: Formats of layers, where they are known.

    Raises:
        TypeError: If ``before`` or ``after`` is not a mapping, or a format is not a ``QFormat``.
        ValueError: If there are no layers, they differ, or values are missing or not finite.
    """
    formats = {} if formats is None else formats
    arrays = [_checked(name, values) for name, values in (("before", before), ("after", after))]
    if set(before) != set(after):
        raise ValueError(f"before and after must have the same layers, got {sorted(before)} and {sorted(after)}.")
    _check_formats(formats, before)
    names = list(before)
    columns = min(_COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=[_title(name, formats.get(name)) for name in names],
        horizontal_spacing=0.1,
        vertical_spacing=80 / (_PANEL_HEIGHT * rows),
    )
    for place, name in enumerate(names):
        row, column = place // columns + 1, place % columns + 1
        edges = _edges(arrays[0][name], arrays[1][name], formats.get(name))
        shares = [_shares(values[name], edges) for values in arrays]
        lowest = min(share[share > 0].min() for share in shares) / 2
        centers = (edges[:-1] + edges[1:]) / 2
        figure.add_trace(_bars(centers, shares[0], float(edges[1] - edges[0]), name, place == 0), row, column)
        figure.add_trace(_outline(centers, shares[1], lowest, name, place == 0), row, column)
        highest = max(share.max() for share in shares) * 1.5
        figure.update_yaxes(range=[math.log10(lowest), math.log10(highest)], row=row, col=column)
        for end in _range_ends(formats.get(name), edges):
            figure.add_vline(x=end, line={"color": INK, "width": 1.5, "dash": "dash"}, row=row, col=column)
    apply_style(
        figure,
        "Membrane potentials before and after quantization",
        "share of all values, logarithmic; dashed: the ends of the format's range",
        height=_PANEL_HEIGHT * rows + 160,
    )
    figure.update_layout(barmode="overlay", bargap=0)
    figure.update_xaxes(title={"text": "potential (the network's unit)"})
    figure.update_yaxes(type="log", title={"text": "share (%)"}, dtick=1, tickformat="~g", exponentformat="none")
    return figure


def _checked(argument: str, layers: Mapping[str, Values]) -> dict[str, NDArray[np.float64]]:
    if not isinstance(layers, Mapping):
        raise TypeError(f"{argument} must be a mapping from layers to values, got {type(layers).__name__}.")
    if not layers:
        raise ValueError(f"{argument} must have at least one layer, got none.")
    arrays = {}
    for name, values in layers.items():
        array = np.asarray(values, dtype=np.float64)
        if array.ndim != 1 or not array.size:
            raise ValueError(f"{argument}[{name!r}] must be 1-D with at least one value, got the shape {array.shape}.")
        if not np.isfinite(array).all():
            raise ValueError(f"{argument}[{name!r}] must have finite values only, got NaN or infinities.")
        arrays[name] = array
    return arrays


def _check_formats(formats: Mapping[str, QFormat], layers: Mapping[str, Values]) -> None:
    unknown = [name for name in formats if name not in layers]
    if unknown:
        raise ValueError(f"formats must name layers, got {unknown}; known are {list(layers)}.")
    for name, fmt in formats.items():
        if not isinstance(fmt, QFormat):
            raise TypeError(f"formats[{name!r}] must be a QFormat, got {fmt!r}.")


def _title(name: str, fmt: QFormat | None) -> str:
    if fmt is None:
        return name
    return f"{name}: {fmt}, {fmt.min:g} to {fmt.max:.4g} in steps of {fmt.resolution:.3g}"


def _edges(before: NDArray[np.float64], after: NDArray[np.float64], fmt: QFormat | None) -> NDArray[np.float64]:
    """Edges of equally wide bins, shape (bins + 1,); around the grid points if those are few."""
    low, high = min(before.min(), after.min()), max(before.max(), after.max())
    if fmt is not None:
        first, last = math.floor(low / fmt.resolution), math.ceil(high / fmt.resolution)
        if last - first < _MOST_CODES:
            return (np.arange(first, last + 2) - 0.5) * fmt.resolution
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, _BINS + 1)


def _shares(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Percent of the values in every bin."""
    return 100 * np.histogram(values, edges)[0] / len(values)


def _bars(
    centers: NDArray[np.float64], shares: NDArray[np.float64], width: float, layer: str, in_legend: bool
) -> go.Bar:
    filled = shares > 0
    return go.Bar(
        x=centers[filled].tolist(),
        y=shares[filled].tolist(),
        width=width,
        name="before quantization",
        legendgroup="before",
        showlegend=in_legend,
        marker={"color": BLUE, "opacity": 0.55, "line": {"width": 0}},
        hovertemplate=f"{layer}, before<br>around %{{x:.4g}}: %{{y:.3g}} %<extra></extra>",
    )


def _outline(
    centers: NDArray[np.float64], shares: NDArray[np.float64], lowest: float, layer: str, in_legend: bool
) -> go.Scatter:
    """A line over the bins; empty bins are at the lower end of the logarithmic axis."""
    step = centers[1] - centers[0]
    centers, shares = np.concatenate(([centers[0] - step], centers, [centers[-1] + step])), np.pad(shares, 1)
    return go.Scatter(
        x=centers.tolist(),
        y=np.where(shares > 0, shares, lowest).tolist(),
        mode="lines",
        line={"color": VERMILLION, "width": 2, "shape": "hvh"},
        name="after quantization",
        legendgroup="after",
        showlegend=in_legend,
        customdata=shares.tolist(),
        hovertemplate=f"{layer}, after<br>around %{{x:.4g}}: %{{customdata:.3g}} %<extra></extra>",
    )


def _range_ends(fmt: QFormat | None, edges: NDArray[np.float64]) -> list[float]:
    """The ends of a format's range near the bins; farther ones would squeeze the histogram."""
    if fmt is None:
        return []
    margin = 0.25 * (edges[-1] - edges[0])
    return [end for end in (fmt.min, fmt.max) if edges[0] - margin <= end <= edges[-1] + margin]
