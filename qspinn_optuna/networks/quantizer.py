"""A parameter on its grid, with gradients straight through."""

from __future__ import annotations

import torch
from torch import Tensor

from qspinn_optuna.config import InexactError
from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, quantize


class ParameterQuantizer:
    """Puts a parameter on the grid of a format; the same value gives the same result.

    Stochastic rounding therefore draws once for each update of the parameter, not at each of its uses.

    Args:
        name: Of the parameter, for errors.
        quantization: Format and rounding.
        generator: Source of the draws.
    """

    def __init__(self, name: str, quantization: ParameterQuantization, generator: torch.Generator) -> None:
        self.name = name
        self.quantization = quantization
        self.generator = generator
        self._seen: Tensor | None = None
        self._grid: Tensor | None = None

    def __call__(self, original: Tensor) -> Tensor:
        """``original`` on the grid; its gradient is that of ``original``, zero where it is beyond the format.

        Raises:
            InexactError: If a value is not finite, such as after a training that diverged.
        """
        grid = self._grid_of(original.detach())
        if torch.is_grad_enabled() and original.requires_grad:
            return straight_through(original, grid, self.quantization.format)
        # A copy, so that a caller who writes into it does not change later reads.
        return grid.clone()

    def _grid_of(self, original: Tensor) -> Tensor:
        # NOTE: values are compared, not version counters, which updates by way of `.data` do not change.
        if self._grid is None or not _same(self._seen, original):
            self._seen = original.clone()
            # Draws are made on the CPU, so that they are the same for every device.
            try:
                grid = quantize(original.cpu(), self.quantization.format, self.quantization.rounding, self.generator)
            except ValueError as error:
                raise InexactError(f"{self.name} is no longer finite: did its training diverge? {error}") from error
            self._grid = grid.to(original.device)
        return self._grid


def straight_through(original: Tensor, grid: Tensor, fmt: QFormat) -> Tensor:
    """``grid`` with the gradient of ``original``, by operations that ``torch.vmap`` takes, as some containers need."""
    inside = (original >= fmt.min) & (original <= fmt.max)
    kept = torch.where(inside, original, 0.0)
    return grid + (kept - kept.detach())


def _same(seen: Tensor | None, original: Tensor) -> bool:
    if seen is None or seen.dtype != original.dtype or seen.device != original.device:
        return False
    return torch.equal(seen, original)
