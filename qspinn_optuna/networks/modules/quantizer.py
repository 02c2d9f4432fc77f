"""A parameter on its grid, with gradients straight through."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor

from qspinn_optuna.config import InexactError
from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding, quantize
from qspinn_optuna.networks.modules.passes import PASSES
from qspinn_optuna.networks.modules.weight_kernel import put_on_grid


class ParameterQuantizer:
    """Puts a parameter on the grid of a format; the same value gives the same result.

    Stochastic rounding therefore draws once for each update of the parameter, not at each of its uses. In a forward
    pass the first read compares the values, which finds updates by way of ``.data`` too. Later reads compute, compare
    and copy nothing, unless torch has written into the parameter in between (its version counter).

    Args:
        name: Of the parameter, for errors.
        quantization: Format and rounding.
        generator: Source of the draws.

    Attributes:
        clips: Whether there is no gradient beyond the format; to be followed by :meth:`forget` when it changes.
    """

    def __init__(self, name: str, quantization: ParameterQuantization, generator: torch.Generator) -> None:
        self.name = name
        self.quantization = quantization
        self.generator = generator
        self.clips = True
        self._known: _Known | None = None

    def __call__(self, original: Tensor) -> Tensor:
        """``original`` on the grid; its gradient is that of ``original``, zero where it is beyond the format.

        Raises:
            InexactError: If a value is not finite, such as after a training that diverged.
        """
        known = self._known
        running = PASSES.depth > 0
        if known is None or not (running and known.is_current(original)):
            known = self._updated(original)
        if not (torch.is_grad_enabled() and original.requires_grad):
            # Outside of a pass a copy, so that a caller who writes into it does not change later reads.
            return known.grid if running else known.grid.clone()
        if not original.is_leaf or torch._C._are_functorch_transforms_active():
            return straight_through(original, known.grid, self.quantization.format if self.clips else None)
        attached = known.attached_to(original)
        return attached if running else attached.clone().as_subclass(_Read)

    def forget(self) -> None:
        """Free what is kept of the last value."""
        self._known = None

    @torch.inference_mode(mode=False)
    def _updated(self, original: Tensor) -> _Known:
        """What is known of ``original``, which may be new."""
        values = original.detach()
        known = self._known
        draws = self.quantization.rounding is Rounding.STOCHASTIC
        # What torch has written into is new, nearly always: comparing would take longer than it saves.
        if known is None or (not draws and known.is_overwritten(original)) or not known.has_seen(values):
            # The memory of the last copy serves for the next, since fresh memory takes time.
            seen = torch.empty_like(values) if known is None else known.memory(values)
            self._known = None
            known = self._computed(values, seen)
        known.confirm(original)
        self._known = known
        return known

    def _computed(self, values: Tensor, seen: Tensor) -> _Known:
        fmt = self.quantization.format
        at_once = put_on_grid(values, self.quantization, seen, self.generator)
        if at_once is not None:
            grid, inside = at_once
            return _Known(seen, grid, inside if self.clips else None)
        # Draws are made on the CPU, so that they are the same for every device.
        try:
            grid = quantize(values.cpu(), fmt, self.quantization.rounding, self.generator)
        except ValueError as error:
            raise InexactError(f"{self.name} is no longer finite: did its training diverge? {error}") from error
        within = (values >= fmt.min) & (values <= fmt.max)
        everywhere = not self.clips or bool(within.all())
        return _Known(seen.copy_(values), grid.to(values.device), None if everywhere else within)


class _Known:
    """The last value of a parameter, and what was computed from it.

    Args:
        seen: A copy of the value.
        grid: The value on the grid.
        inside: Where it is within the format, beyond which there is no gradient; None if all of it is.
    """

    _source: weakref.ref[Tensor] | None
    _key: tuple[int, ...] | None
    _attached: Tensor | None

    def __init__(self, seen: Tensor, grid: Tensor, inside: Tensor | None) -> None:
        self.grid = grid
        self._seen = seen
        self._inside = inside
        self._forget_source()

    def is_current(self, original: Tensor) -> bool:
        """Whether ``original`` is what was confirmed last, as far as can be told without looking at its values."""
        return (
            self._source is not None
            and self._source() is original
            and self._key is not None
            and self._key == _key(original, self.grid)
        )

    def is_overwritten(self, original: Tensor) -> bool:
        """Whether torch knows that something was written into ``original`` since it was confirmed."""
        if self._source is None or self._source() is not original or self._key is None or original.is_inference():
            return False
        return self._key[0] != original._version

    def has_seen(self, values: Tensor) -> bool:
        """Whether these are the values, and nobody has written into the grid's."""
        seen = self._seen
        if seen.dtype != values.dtype or seen.device != values.device or self._grid_version != self.grid._version:
            return False
        return torch.equal(seen, values)

    def memory(self, values: Tensor) -> Tensor:
        """Memory for a copy of ``values``: that of the copy here, which is lost, if it fits."""
        seen = self._seen
        if seen.dtype == values.dtype and seen.device == values.device and seen.shape == values.shape:
            return seen
        return torch.empty_like(values)

    def confirm(self, original: Tensor) -> None:
        """``original`` has these values now."""
        if self._source is None or self._source() is not original:
            self._attached = None
        self._source = weakref.ref(original)
        self._key = _key(original, self.grid)

    def attached_to(self, original: Tensor) -> Tensor:
        """The grid values with the gradient of ``original``, a leaf: one operation for all reads of a value."""
        attached = self._attached
        if attached is None:
            attached = _StraightThrough.apply(original, self.grid, self._inside)  # type: ignore[no-untyped-call]
            self._attached = attached
        return attached

    def _forget_source(self) -> None:
        self._source = None
        self._key = None
        self._grid_version = self.grid._version
        self._attached = None

    def __getstate__(self) -> dict[str, Any]:
        # Copies are of other tensors, and what has a history can be neither copied nor pickled.
        return {"grid": self.grid, "_seen": self._seen, "_inside": self._inside}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget_source()


class _StraightThrough(torch.autograd.Function):
    """Forward: the grid values. Backward: the identity within the range of the format, zero outside.

    NOTE: nothing is saved by torch, so that one operation serves any number of backward passes.
    """

    @staticmethod
    def forward(ctx: Any, _: Tensor, grid: Tensor, inside: Tensor | None) -> Tensor:
        ctx.inside = inside
        return grid.view_as(grid)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = gradients
        if ctx.inside is not None:
            gradient = torch.where(ctx.inside, gradient, 0.0)
        return gradient, None, None


class _Read(Tensor):
    """A read of a trained parameter outside of a forward pass, which tells an optimizer to take the parameter."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @property
    def retains_grad(self) -> bool:  # type: ignore[override]
        raise TypeError(
            "params must be parameters of the network, got grid values that were computed from one: give the optimizer "
            "network.parameters(), or those of network.named_parameters() with the names you want."
        )


def straight_through(original: Tensor, grid: Tensor, fmt: QFormat | None) -> Tensor:
    """``grid`` with the gradient of ``original``, by operations that ``torch.vmap`` takes, as some containers need.

    Without a format the gradient is that of ``original`` everywhere.
    """
    if fmt is None:
        return grid + (original - original.detach())
    inside = (original >= fmt.min) & (original <= fmt.max)
    kept = torch.where(inside, original, 0.0)
    return grid + (kept - kept.detach())


def _key(original: Tensor, grid: Tensor) -> tuple[int, ...] | None:
    """What changes with most updates of ``original``; None where torch does not count them."""
    if original.is_inference():
        return None
    return original._version, original.data_ptr(), grid._version, PASSES.number
