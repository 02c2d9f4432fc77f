"""What there is to choose from, as somebody sees it who can compute memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from qspinn_optuna import Family, QuantizationSpace, Rounding, Scheme
from qspinn_optuna.space import width_name

Params = dict[str, Any]
"""Parameters of a trial."""

_CHEAP = 0.02
"""Share of the memory of the widest configuration that widths may take together which stay widest. Those of weights do
not: beside a wide weight a narrower membrane overflows."""


class Choices:
    """Widths and their memory, and settings: what else is chosen, the scheme and the rounding.

    Args:
        space: What is searched; neither roundings by family nor several grids.

    Attributes:
        settings: Every scheme with every rounding; first the one that rounds least, trained for.
        widths: First and last width of every dimension of more than one.
        kib_per_bit: Memory that each of these dimensions takes for each bit.
        costly: The dimensions that memory is made of, the largest first.
    """

    def __init__(self, space: QuantizationSpace) -> None:
        self._space = space
        self.settings: list[Params] = [
            {"scheme": scheme.value, "rounding": rounding.value}
            for scheme, rounding in itertools.product(space.schemes, space.roundings)
        ]
        usual = (Scheme.ITQ.value, Rounding.NEAREST.value)
        self.settings.sort(key=lambda setting: -sum(choice in usual for choice in setting.values()))
        widths = {width_name(name): ends for name, ends in space.widths.items()}
        self._fixed = {name: low for name, (low, high) in widths.items() if low == high}
        self.widths = {name: ends for name, ends in widths.items() if name not in self._fixed}
        narrowest = self._fixed | {name: low for name, (low, _) in self.widths.items()}
        self._narrowest, self._narrowest_kib = narrowest, self._footprint(narrowest)
        self.kib_per_bit = {
            name: self._footprint(narrowest | {name: low + 1}) - self._narrowest_kib
            for name, (low, _) in self.widths.items()
        }
        widest = {name: self.kib_per_bit[name] * high for name, (_, high) in self.widths.items()}
        by_memory = sorted(widest, key=lambda name: widest[name])
        weights = {width_name(parameter.name) for parameter in space.parameters if parameter.family is Family.WEIGHT}
        others = [name for name in by_memory if name not in weights]
        taken = itertools.accumulate(widest[name] for name in others)
        cheap = {name for name, kib in zip(others, taken, strict=True) if kib <= _CHEAP * sum(widest.values())}
        self.costly = [name for name in reversed(by_memory) if name not in cheap]

    @property
    def distributions(self) -> dict[str, Any]:
        """Those of the space."""
        return self._space.distributions

    @property
    def ends(self) -> tuple[int, int]:
        """The first and the last of all widths."""
        return min(low for low, _ in self.widths.values()), max(high for _, high in self.widths.values())

    def kib(self, params: Mapping[str, Any]) -> float:
        """Memory, which is linear in widths."""
        added = [kib * (params[name] - self._narrowest[name]) for name, kib in self.kib_per_bit.items()]
        return float(self._narrowest_kib + sum(added))

    def uniform(self, width: int, setting: Params) -> Params:
        """One width for all that is costly, or the end of its range nearest to that; the rest is widest."""
        params = setting | self._fixed | {name: high for name, (_, high) in self.widths.items()}
        for name in self.costly:
            low, high = self.widths[name]
            params[name] = min(max(width, low), high)
        return params

    def key(self, params: Mapping[str, Any]) -> tuple[Any, ...]:
        """What tells configurations apart."""
        return tuple(params[name] for name in self.distributions)

    def narrowed(self, params: Params, name: str) -> Params | None:
        """The same with a bit less in one width; None if it is the narrowest."""
        return params | {name: params[name] - 1} if params[name] > self.widths[name][0] else None

    def neighbours(self, params: Params) -> Iterator[Params]:
        """A bit less or more in one width, or another setting."""
        for setting in self.settings:
            if setting.items() - params.items():
                yield params | setting
        for name, (low, high) in self.widths.items():
            for width in (params[name] - 1, params[name] + 1):
                if low <= width <= high:
                    yield params | {name: width}

    def drawn(self, rng: np.random.Generator) -> Params:
        """A configuration drawn uniformly."""
        setting = self.settings[int(rng.integers(len(self.settings)))]
        widths = {name: int(rng.integers(low, high + 1)) for name, (low, high) in self.widths.items()}
        return setting | self._fixed | widths

    def _footprint(self, widths: Params) -> float:
        return self._space.footprint(self._space.config(self.settings[0] | widths)).kib
