"""The weights that input spikes meet, as kernels take them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.fixed_point.simulated_rounding import Grid


@dataclass(frozen=True)
class ForwardWeights:
    """Weights as multiples of a unit.

    Codes of 8 bits are a quarter of float32 to load, which is most of the time of a step.

    Args:
        weights: uint8 or float32 [inputs, neurons].
        unit: The resolution of their grid if they are codes, else 1.
    """

    weights: NDArray[np.uint8] | NDArray[np.float32]
    unit: float

    @classmethod
    def empty(cls, shape: tuple[int, ...], grid: Grid) -> ForwardWeights:
        """Weights yet to be filled: codes if 8 bits hold those of the grid, otherwise float32."""
        if grid.low >= 0 and grid.high <= np.iinfo(np.uint8).max:
            return cls(np.empty(shape, np.uint8), grid.resolution)
        return cls(np.empty(shape, np.float32), 1.0)

    @classmethod
    def of(cls, values: NDArray[np.float32], grid: Grid) -> ForwardWeights:
        """Weights whose values lie on a grid."""
        forward = cls.empty(values.shape, grid)
        forward.weights[:] = values / np.float32(forward.unit)
        return forward

    @property
    def values(self) -> NDArray[np.float32]:
        """The weights as float32; the array itself if they are no codes."""
        weights = self.weights.astype(np.float32, copy=False)
        return weights if self.weights.dtype == np.float32 else weights * np.float32(self.unit)

    def currents(self) -> NDArray[np.int32] | NDArray[np.float32]:
        """Room for the input currents of a step, [neurons]."""
        neurons = self.weights.shape[1]
        return np.empty(neurons, np.float32) if self.weights.dtype == np.float32 else np.empty(neurons, np.int32)
