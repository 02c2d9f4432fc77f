"""Two runs of a network, in float32 and in float64, that round in agreement what decimals were computed of."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import torch
from torch import Tensor

from qspinn_optuna.networks.entry.inputs import DIGITS_OF_SUMS, digits


@dataclass
class Agreement:
    """Lets a second run of a network round as the first did, where values lie between two neighbours on a grid.

    What is computed in floating point, such as a product with 0.3, is off every grid, and its last digit may decide
    which neighbour is nearer. That computation is not in fixed point: its result is what was rounded first. Sums of
    fixed-point numbers are left alone, whose last digits float32 must not lose.

    Attributes:
        recorded: Rounded values of the first run, by the names of their parameters.
        complete: Whether the first run is over.
    """

    recorded: dict[str, deque[Tensor]] = field(default_factory=dict)
    complete: bool = False

    def settle(self, name: str, value: Tensor, rounded: Tensor, resolution: float) -> Tensor:
        """What ``rounded`` is to be: of the second run what the first gave, if that is no more than a step away.

        Args:
            name: Of the parameter.
            value: Before it was rounded, float64 in the second run.
            rounded: On the grid.
            resolution: A step of the grid.
        """
        if not self.complete:
            self.recorded.setdefault(name, deque()).append(rounded.detach().clone())
            return rounded
        seen = self.recorded.get(name)
        first = seen.popleft().to(rounded) if seen else rounded
        if first.shape != rounded.shape or digits(value) <= DIGITS_OF_SUMS:
            return rounded
        return torch.where((first - rounded).abs() <= resolution, first, rounded)
