"""The memory-aware sampler with a sensitivity that is wrong by a known amount."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from optuna.distributions import IntDistribution
from optuna.study import Study

from qspinn_optuna import MemoryAwareSampler, QuantizationConfig, QuantizationSpace, Rounding, Scheme

_ERROR = 0.7
"""Standard deviation of the logarithm of a loss: a factor of two, as the drift of class scores is off."""

_SMALLEST = 0.005
"""Loss below which wider widths are not looked at."""


class ToldSampler(MemoryAwareSampler):
    """Begins with what each parameter alone loses after training, multiplied by a drawn factor of each width.

    Args:
        space: The space that the study searches.
        truth: Accuracy of a configuration.
        chance: Accuracy of guessing.
        seed: Of the factors, and of the sampler.
    """

    def __init__(
        self, space: QuantizationSpace, truth: Callable[[QuantizationConfig], float], chance: float, seed: int
    ) -> None:
        super().__init__(space, seed=seed)
        rng = np.random.default_rng([seed, 1])
        widest = space.params(space.uniform(16, Scheme.PTQ, Rounding.NEAREST))
        top = truth(space.config(widest)) - chance
        self._losses: dict[str, dict[int, float]] = {}
        if top <= 0:
            return  # Nothing can be told beside the widest configuration if that has collapsed.
        for name, dimension in space.distributions.items():
            if not isinstance(dimension, IntDistribution) or dimension.single():
                continue
            curve: dict[int, float] = {}
            for width in range(dimension.low, dimension.high):
                kept = (truth(space.config({**widest, name: width})) - chance) / top
                curve[width] = float(np.clip((1 - kept) * np.exp(_ERROR * rng.normal()), 0, 1))
                if 1 - kept < _SMALLEST:
                    break
            self._losses[name] = curve

    def _expected_losses(self, study: Study) -> Mapping[str, Mapping[Any, float]] | None:
        del study
        return self._losses or None
