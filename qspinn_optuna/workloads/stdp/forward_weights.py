"""The weights that input spikes meet, as kernels take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.fixed_point.simulated_rounding import Grid
from qspinn_optuna.workloads.stdp.currents import from_blocks, room_for_currents, to_blocks


@dataclass(frozen=True)
class ForwardWeights:
    """Weights as multiples of a unit.

    Codes of 8 bits are a quarter of float32 to load, which is most of the time of a step.

    Args:
        blocks: uint8 or float32, [blocks, inputs, row].
        unit: The resolution of their grid if they are codes, else 1.
    """

    blocks: NDArray[np.uint8] | NDArray[np.float32]
    unit: float

    @classmethod
    def empty(cls, shape: tuple[int, ...], grid: Grid) -> ForwardWeights:
        """Weights of a shape of blocks, yet to be filled: codes if 8 bits hold those of the grid, otherwise float32."""
        if grid.low >= 0 and grid.high <= np.iinfo(np.uint8).max:
            return cls(np.zeros(shape, np.uint8), grid.resolution)
        return cls(np.zeros(shape, np.float32), 1.0)

    @classmethod
    def of(cls, values: NDArray[np.float32], grid: Grid) -> ForwardWeights:
        """Weights [inputs, neurons] whose values lie on a grid."""
        blocks = to_blocks(values)
        forward = cls.empty(blocks.shape, grid)
        forward.blocks[:] = blocks / np.float32(forward.unit)
        return forward

    def values(self, neurons: int) -> NDArray[np.float32]:
        """A copy of the weights as float32, [inputs, neurons]."""
        return from_blocks(self.blocks, neurons).astype(np.float32, copy=False) * np.float32(self.unit)

    def currents(self, neurons: int) -> NDArray[Any]:
        """Room for the input currents of a window."""
        return room_for_currents(self.blocks, neurons)
