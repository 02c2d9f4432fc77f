"""The figure of flash and RAM against what devices have."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from qspinn_optuna.front import Candidate, ParetoFront, check_front
from qspinn_optuna.selection import Choice
from qspinn_optuna.targets import TARGETS, Target
from qspinn_optuna.visualization.checks import check_choice
from qspinn_optuna.visualization.hover import describe_candidate
from qspinn_optuna.visualization.style import BLUE, CHOICE_COLOR, INK, ORANGE, apply_style

_LARGE = 512
"""KiB of flash of devices whose names have no room on their right."""

_HEIGHTS = ("bottom left", "middle left", "top left", "top left")


def plot_devices(front: ParetoFront, choice: Choice | None = None, targets: Sequence[Target] = TARGETS) -> go.Figure:
    """Flash and RAM of the models of a front, beside those of devices: a model fits what is to the right and above.

    What a program needs besides the model, which is its code, its buffers and its stack, comes on top.

    Example:
        >>> figure = plot_devices(front, choice)

    Args:
        front: The front.
        choice: The chosen candidate, if any; it has a star.
        targets: The devices.

    Raises:
        TypeError: If ``front`` is not a front, or ``choice`` is not a choice.
        ValueError: If the front is empty, no trial of it tells flash from RAM, or there are no targets.
    """
    check_front(front)
    check_choice(choice)
    if not targets:
        raise ValueError("targets must be at least one Target, got none.")
    members = [candidate for candidate in front if candidate.flash_kib is not None and candidate.ram_kib]
    if not members:
        raise ValueError("front must have trials that tell flash from RAM, which those of older versions do not.")
    figure = go.Figure()
    figure.add_trace(_models(members))
    chosen = [candidate for candidate in members if choice and candidate.trial_number == choice.trial_number]
    if chosen:
        star = {"color": CHOICE_COLOR, "symbol": "star", "size": 18}
        figure.add_trace(_models(chosen, name=f"chosen: trial {chosen[0].trial_number}", marker=star))
    figure.add_trace(_devices(targets))
    largest = chosen[0] if chosen else members[-1]
    fitting = [target.name for target in targets if target.fit(largest.flash_kib or 0, largest.ram_kib or 0).fits]
    which = "the chosen model" if chosen else "the most accurate model"
    apply_style(
        figure,
        "Flash and RAM against devices",
        f"constants and state of {which} fit {len(fitting)} of {len(targets)};<br>code, buffers and stack come on top",
        height=480,
    )
    figure.update_xaxes(title={"text": "flash (KiB)"}, type="log", tickformat="~g", dtick=1)
    figure.update_yaxes(title={"text": "RAM (KiB)"}, type="log", tickformat="~g", dtick=1)
    return figure


def _models(members: Sequence[Candidate], **options: object) -> go.Scatter:
    return go.Scatter(
        x=[candidate.flash_kib for candidate in members],
        y=[candidate.ram_kib for candidate in members],
        mode="markers",
        text=[describe_candidate(candidate) for candidate in members],
        hovertemplate="%{text}<extra></extra>",
        **{"name": "models of the front", "marker": {"color": BLUE, "size": 8}, **options},
    )


def _devices(targets: Sequence[Target]) -> go.Scatter:
    # Large devices have similar memories: their names are on the left, at different heights.
    ordered = sorted(targets, key=lambda target: target.ram_kib)
    large = [target for target in ordered if target.flash_kib >= _LARGE]
    sides = {target.name: _HEIGHTS[rank % len(_HEIGHTS)] for rank, target in enumerate(large)}
    return go.Scatter(
        x=[target.flash_kib for target in targets],
        y=[target.ram_kib for target in targets],
        mode="markers+text",
        marker={"color": ORANGE, "symbol": "square", "size": 10},
        text=[target.name for target in targets],
        textposition=[sides.get(target.name, "middle right") for target in targets],
        textfont={"size": 11, "color": INK},
        hovertext=[str(target) for target in targets],
        hovertemplate="%{hovertext}<extra></extra>",
        name="devices",
    )
