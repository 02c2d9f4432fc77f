"""Lines of equal reward."""

from __future__ import annotations

import math

import numpy as np
import plotly.graph_objects as go

from qspinn_optuna.front import ParetoFront
from qspinn_optuna.selection import Choice
from qspinn_optuna.visualization.style import INK

_POINTS = 60
_LINES = 5


def add_iso_rewards(
    figure: go.Figure,
    front: ParetoFront,
    choice: Choice | None,
    mu: float,
    memory_kib: tuple[float, float],
    height: float,
) -> None:
    """Add lines of equal reward, accuracy - mu * memory / original memory.

    The middle line goes through the choice, or through the candidate with the largest reward. Lines are curved on a
    logarithmic axis of memory.

    Args:
        figure: A figure of accuracy in percent against memory in KiB, changed in place.
        front: The front.
        choice: The chosen candidate, if any.
        mu: Cost of memory.
        memory_kib: First and last memory of the lines.
        height: Height of the visible accuracies in percent, over which the lines are spread.

    Raises:
        ValueError: If ``mu`` is negative or not finite.
    """
    if not isinstance(mu, int | float) or not (math.isfinite(mu) and mu >= 0):
        raise ValueError(f"mu must be a finite number of at least 0, got {mu!r}.")
    through = [choice.candidate] if choice is not None else front.candidates
    best = max(candidate.accuracy - mu * candidate.memory_kib / front.baseline_kib for candidate in through)
    memory = np.geomspace(*memory_kib, _POINTS)
    for number in range(_LINES):
        reward = best + (number - _LINES // 2) * height / 100 / _LINES
        figure.add_trace(
            go.Scatter(
                x=memory.tolist(),
                y=(100 * (reward + mu * memory / front.baseline_kib)).tolist(),
                mode="lines",
                line={"color": INK, "width": 1, "dash": "dot"},
                opacity=0.6,
                name=f"equal reward, mu = {mu:g}",
                legendgroup="reward",
                showlegend=number == 0,
                hovertemplate=f"reward {reward:.4f}<extra></extra>",
            )
        )
