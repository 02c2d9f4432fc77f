"""An integer programme on sensitivities: each width alone is measured, the losses are added up, and memory is spent.

As in HAWQ-V3 (Yao et al. 2021, https://arxiv.org/abs/2011.10680), but with losses that were measured.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from searching.fronts import Array
from searching.rivals.choices import Params
from searching.rivals.neighbourhood import try_neighbours
from searching.rivals.proposals import Notes, Proposals

_PROBED = (4, 2)
"""Widths at which every parameter is measured alone, one round of the programme after each."""

_BUDGETS = 12
"""Budgets of memory of a round."""

_NOISE = 0.002
"""Relative loss of accuracy that is not told from none."""


def integer_programme(notes: Notes) -> Proposals:
    """Sensitivities at 4 bits, a sweep of budgets, sensitivities at 2 bits, a better sweep, then neighbours."""
    choices = notes.choices
    low, high = choices.ends
    widest = choices.uniform(high, choices.settings[0])
    top = yield from notes.measure(widest)
    bottom = min(top - _NOISE, (yield from notes.measure(choices.uniform(low, choices.settings[0]))))
    losses: dict[str, dict[int, float]] = {name: {} for name in choices.costly}
    for width in _PROBED:
        for name in choices.costly:
            first, last = choices.widths[name]
            if first <= width < last:
                accuracy = yield from notes.measure(widest | {name: width})
                kept = (accuracy - bottom) / (top - bottom)
                losses[name][width] = -np.log(np.clip(kept, 0.01, 1 - _NOISE))
        for params in _spent(notes, widest, losses):
            yield from notes.measure(params)
    yield from try_neighbours(notes)


def loss_curve(measured: Mapping[int, float], widths: range) -> Array:
    """The loss at every width, [widths], from those at some.

    Between measured widths its logarithm is linear. Beyond them it is that of the noise of rounding, which has a
    quarter of the power for each bit more.
    """
    if not measured:
        return np.zeros(len(widths))
    known = sorted(measured)
    logarithms = np.log([measured[width] for width in known])
    at = np.array(widths, np.float64)
    curve = np.interp(at, known, logarithms)
    curve += np.log(4) * ((known[0] - at).clip(0) - (at - known[-1]).clip(0))
    return np.exp(curve)


def least_loss(losses: list[Array], memory: list[Array], budget: float) -> list[int] | None:
    """The place of a width for each parameter that together lose least within a budget; None if nothing fits.

    Args:
        losses: Of every width of every parameter.
        memory: Likewise.
        budget: Of memory.
    """
    sizes = [len(curve) for curve in losses]
    ends = list(itertools.accumulate(sizes))
    one_each = np.zeros((len(sizes), ends[-1]))
    for row, (end, size) in enumerate(zip(ends, sizes, strict=True)):
        one_each[row, end - size : end] = 1
    spent = np.concatenate(memory)
    found = milp(
        np.concatenate(losses),
        integrality=np.ones(ends[-1]),
        bounds=Bounds(0, 1),
        constraints=[LinearConstraint(one_each, 1, 1), LinearConstraint(spent, -np.inf, budget)],
        options={"time_limit": 2.0, "disp": False, "mip_rel_gap": 1e-3},
    )
    if found.x is None:
        return None
    return [int(np.argmax(found.x[end - size : end])) for end, size in zip(ends, sizes, strict=True)]


def _spent(notes: Notes, widest: Params, measured: Mapping[str, Mapping[int, float]]) -> Iterator[Params]:
    """For each budget the widths that lose least, the cheapest first."""
    choices = notes.choices
    ranges = {name: range(first, last + 1) for name, (first, last) in choices.widths.items() if name in measured}
    losses = [loss_curve(measured[name], widths) for name, widths in ranges.items()]
    memory = [choices.kib_per_bit[name] * np.array(widths, np.float64) for name, widths in ranges.items()]
    least = sum(float(kib[0]) for kib in memory)
    most = sum(float(kib[-1]) for kib in memory)
    # Half of the memory is more than anybody needs.
    for budget in np.geomspace(1.1 * least, max(0.5 * most, 1.2 * least), _BUDGETS).tolist():
        places = least_loss(losses, memory, budget)
        if places is not None:
            yield widest | {name: ranges[name][place] for name, place in zip(ranges, places, strict=True)}
