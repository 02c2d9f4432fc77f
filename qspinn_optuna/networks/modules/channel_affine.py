"""A scale and an offset per channel: batch normalization that no layer can take in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from spikingjelly.activation_based import base, layer
from torch import Tensor, nn

BATCH_NORMS: tuple[type[nn.Module], ...] = (
    nn.modules.batchnorm._BatchNorm,
    layer.BatchNormThroughTime1d,
    layer.BatchNormThroughTime2d,
    layer.BatchNormThroughTime3d,
)
"""Normalizations that are affine steps per channel once they are trained; those of tdBN and TEBN are subclasses."""

_STATISTICS = ("running_mean", "running_var")
"""Buffers of every normalization that is an affine step."""

ACCUMULATOR_BITS = 24
"""Width of what a quantized :class:`ChannelAffine` puts out: what float32 holds exactly."""

_STEP = "_affine_step"

_PRECISION_BITS = 11
"""Bits of the magnitude of the largest output that was seen; the others of the accumulator are headroom."""


@dataclass(frozen=True, eq=False)
class AffineStep:
    """What a normalization computes.

    Args:
        scale: Factors, [channels], float64.
        offset: Added after the product, [channels], float64.
        dimension: Of the channels in its input.
    """

    scale: Tensor
    offset: Tensor
    dimension: int


class ChannelAffine(nn.Module):
    """``scale * x + offset`` per channel, the second dimension of the input (the third in step mode 'm').

    It is another dimension if ``dimension`` is set.

    In fixed point the device forms the product with all its digits, adds the offset, and rounds once (ties up) to an
    accumulator of 24 bits, which saturates.

    Args:
        scale: Factors, [channels].
        offset: Added after the product, [channels].
        trained: Whether the two are trained.
        fraction_bits: Of the accumulator; see :func:`accumulator_fraction_bits`.
    """

    dimension: int | None = None

    def __init__(self, scale: Tensor, offset: Tensor, trained: bool = True, fraction_bits: int = 12) -> None:
        super().__init__()
        self._set(scale, offset, trained, fraction_bits)

    def _set(self, scale: Tensor, offset: Tensor, trained: bool, fraction_bits: int) -> None:
        self.scale = nn.Parameter(scale, trained)
        self.offset = nn.Parameter(offset, trained)
        self.fraction_bits = fraction_bits
        self.in_fixed_point = False

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift ``x``, [batch, channels, ...], or [steps, batch, channels, ...] in step mode 'm'."""
        return self._affine(x, self.scale, self.offset, channel_dimension(self))

    def extra_repr(self) -> str:
        """The number of channels, for ``print``."""
        return f"channels={self.scale.shape[-1]}"

    def _affine(self, x: Tensor, scale: Tensor, offset: Tensor, channel: int) -> Tensor:
        """With ``scale`` and ``offset`` of [channels], or [steps, channels]."""
        shape = [1] * x.ndim
        shape[channel] = scale.shape[-1]
        if scale.ndim > 1:
            shape[0] = len(scale)
        scale, offset = scale.reshape(shape), offset.reshape(shape)
        if not self.in_fixed_point:
            return x * scale + offset
        # Products of two 24-bit numbers have 48 digits.
        exact = x.double() * scale.double() + offset.double()
        return accumulated(exact, self.fraction_bits).to(x.dtype)


class SteppedChannelAffine(ChannelAffine, base.StepModule):  # type: ignore[misc]
    """A :class:`ChannelAffine` with SpikingJelly's step modes."""

    def __init__(
        self, scale: Tensor, offset: Tensor, trained: bool = True, fraction_bits: int = 12, step_mode: str = "s"
    ) -> None:
        super().__init__(scale, offset, trained, fraction_bits)
        self.step_mode = step_mode


class TemporalChannelAffine(ChannelAffine, base.MemoryModule):  # type: ignore[misc]
    """A :class:`ChannelAffine` with a scale and an offset for every time step, [steps, channels].

    It counts steps as the loop of a device does, which stores no further number for it.

    Args:
        scale: Factors, [steps, channels].
        offset: Added after the product, [steps, channels].
        trained: Whether the two are trained.
        fraction_bits: Of the accumulator; see :func:`accumulator_fraction_bits`.
        step_mode: SpikingJelly's.
        continues: Whether a sequence in step mode 'm' goes on where the last one ended, as that of
            ``BatchNormThroughTime`` does, or is a whole one, as that of ``TemporalEffectiveBatchNorm`` is.
    """

    def __init__(
        self,
        scale: Tensor,
        offset: Tensor,
        trained: bool = True,
        fraction_bits: int = 12,
        step_mode: str = "m",
        continues: bool = True,
    ) -> None:
        base.MemoryModule.__init__(self)
        self._set(scale, offset, trained, fraction_bits)
        self.continues = continues
        base.MemoryModule.register_memory(self, "step", 0)
        self.step_mode = step_mode

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift ``x``; the next step follows until SpikingJelly's ``reset_net``.

        Raises:
            ValueError: If there are more steps than it has scales.
        """
        multi_step = self.step_mode == "m"
        counts = self.continues or not multi_step
        first: int = self.step if counts else 0  # type: ignore[has-type]
        last = first + (len(x) if multi_step else 1)
        if last > len(self.scale):
            raise ValueError(
                f"The network runs for {last} time steps, but its normalization through time has {len(self.scale)}: "
                "give it as many, or reset_net(network) before each sequence."
            )
        if counts:
            self.step = last
        if multi_step:
            return self._affine(x, self.scale[first:last], self.offset[first:last], 2)
        return self._affine(x, self.scale[first], self.offset[first], 1)


def keeps_statistics(module: nn.Module) -> bool:
    """Whether a module has the buffers of batch normalization, whatever its class."""
    return all(isinstance(module._buffers.get(name), Tensor) for name in _STATISTICS)


def may_be_frozen_norm(module: nn.Module) -> bool:
    """Whether a layer of another class than torch's may compute batch normalization by its running statistics.

    Such as torchvision's ``FrozenBatchNorm2d``. What it computes is to be measured.
    """
    return not isinstance(module, BATCH_NORMS) and keeps_statistics(module) and not module._modules


def has_affine_step(norm: nn.Module) -> bool:
    """Whether :func:`set_affine_step` told what it computes."""
    return _STEP in norm.__dict__


def channel_dimension(module: Any) -> int:
    """The dimension of the channels in the input of a normalization, or of what stands for it."""
    step: AffineStep | None = module.__dict__.get(_STEP)
    dimension: int | None = step.dimension if step is not None else getattr(module, "dimension", None)
    if dimension is None:
        dimension = 2 if getattr(module, "step_mode", "s") == "m" else 1
    return dimension


def set_affine_step(norm: nn.Module, step: AffineStep) -> None:
    """Let :func:`scale_and_offset` and :func:`channel_affine` take ``step`` for what ``norm`` computes."""
    norm.__dict__[_STEP] = step


def copy_affine_step(norm: nn.Module, other: nn.Module) -> None:
    """Let another normalization have the affine step that has been set, if one has been."""
    if has_affine_step(norm):
        other.__dict__[_STEP] = norm.__dict__[_STEP]


def scale_and_offset(norm: Any) -> tuple[Tensor, Tensor]:
    """The affine step of a trained normalization in float64, [channels], or [steps, channels] if steps differ.

    Raises:
        ValueError: If it keeps no running statistics.
    """
    if (step := norm.__dict__.get(_STEP)) is not None:
        return step.scale, step.offset
    if hasattr(norm, "bn_list"):
        scales, offsets = zip(*map(scale_and_offset, norm.bn_list), strict=True)
        return torch.stack(scales), torch.stack(offsets)
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("keeps no running statistics, so it is no affine step: make it with track_running_stats=True")
    scale = (norm.running_var.detach().double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.detach().double()
    offset = -norm.running_mean.detach().double() * scale
    if norm.bias is not None:
        offset = offset + norm.bias.detach().double()
    of_steps = getattr(norm, "scale", None)
    if of_steps is not None:  # Temporal effective batch normalization.
        factors = of_steps.detach().double().reshape(-1, 1)
        return factors * scale, factors * offset
    return scale, offset


def accumulator_fraction_bits(largest: float) -> int:
    """Fraction bits with which the magnitude of ``largest`` has 11 bits: as precise as states are, which come next."""
    return _PRECISION_BITS - math.ceil(math.log2(largest)) if 0 < largest < math.inf else _PRECISION_BITS


def channel_affine(norm: Any, trained: bool, largest: float) -> ChannelAffine:
    """The affine step that does what a trained normalization does, of the type of its statistics.

    Args:
        norm: The normalization.
        trained: Whether scale and offset are trained.
        largest: Largest magnitude that it has put out.
    """
    bits = accumulator_fraction_bits(largest)
    scale, offset = scale_and_offset(norm)
    through_time = hasattr(norm, "bn_list")
    dtype = norm.bn_list[0].running_mean.dtype if through_time else norm.running_mean.dtype
    scale, offset = scale.to(dtype), offset.to(dtype)
    step_mode = getattr(norm, "step_mode", None)
    if has_affine_step(norm):
        affine = ChannelAffine(scale, offset, trained, bits)
        affine.dimension = channel_dimension(norm)
        return affine
    if scale.ndim > 1:
        return TemporalChannelAffine(scale, offset, trained, bits, norm.step_mode, through_time)
    if step_mode is None:
        return ChannelAffine(scale, offset, trained, bits)
    return SteppedChannelAffine(scale, offset, trained, bits, step_mode)


def accumulated(y: Tensor, fraction_bits: int) -> Tensor:
    """``y`` on the grid of the accumulator, with gradients straight through where it does not saturate."""
    if y.requires_grad and torch.is_grad_enabled():
        straight: Tensor = _Accumulated.apply(y, fraction_bits)  # type: ignore[no-untyped-call]
        return straight
    return _on_grid(y, fraction_bits)


class _Accumulated(torch.autograd.Function):
    """Forward: the grid values. Backward: the identity, zero where the accumulator saturates."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, fraction_bits: int) -> Tensor:
        low, high = _ends(fraction_bits)
        least, most = torch.aminmax(y)
        ctx.inside = None if bool(least >= low) and bool(most <= high) else (y >= low) & (y <= high)
        return _on_grid(y, fraction_bits)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        return gradient if ctx.inside is None else gradient.masked_fill(~ctx.inside, 0.0), None


def _ends(fraction_bits: int) -> tuple[float, float]:
    resolution = 2.0**-fraction_bits
    largest = resolution * 2.0 ** (ACCUMULATOR_BITS - 1)
    return -largest, largest - resolution


def _on_grid(y: Tensor, fraction_bits: int) -> Tensor:
    inside = y.detach().clamp(*_ends(fraction_bits))
    return inside.mul_(2.0**fraction_bits).add_(0.5).floor_().mul_(2.0**-fraction_bits)
