"""A scale and an offset per channel: batch normalization that no layer can take in."""

from __future__ import annotations

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

ACCUMULATOR_FRACTION_BITS = 12
"""Of what a quantized :class:`ChannelAffine` puts out."""

_LARGEST = 2.0**11


class ChannelAffine(nn.Module):
    """``scale * x + offset`` per channel, the second dimension of the input (the third in step mode 'm').

    In fixed point the device forms the product with all its digits, adds the offset, rounds once to multiples of
    ``2**-12`` (ties up), and saturates at 2**11: an accumulator of 24 bits, which float32 holds exactly.

    Args:
        scale: Factors, [channels].
        offset: Added after the product, [channels].
        trained: Whether the two are trained.
    """

    def __init__(self, scale: Tensor, offset: Tensor, trained: bool = True) -> None:
        super().__init__()
        self.scale = nn.Parameter(scale, trained)
        self.offset = nn.Parameter(offset, trained)
        self.in_fixed_point = False

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift ``x``, [batch, channels, ...], or [steps, batch, channels, ...] in step mode 'm'."""
        multi_step = getattr(self, "step_mode", "s") == "m"
        return self._affine(x, self.scale, self.offset, 2 if multi_step else 1)

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
        return _accumulated(x.double() * scale.double() + offset.double()).to(x.dtype)


class SteppedChannelAffine(ChannelAffine, base.StepModule):  # type: ignore[misc]
    """A :class:`ChannelAffine` with SpikingJelly's step modes."""

    def __init__(self, scale: Tensor, offset: Tensor, trained: bool = True, step_mode: str = "s") -> None:
        super().__init__(scale, offset, trained)
        self.step_mode = step_mode


class TemporalChannelAffine(ChannelAffine, base.MemoryModule):  # type: ignore[misc]
    """A :class:`ChannelAffine` with a scale and an offset for every time step, [steps, channels].

    It counts steps as the loop of a device does, which stores no further number for it.
    """

    def __init__(self, scale: Tensor, offset: Tensor, trained: bool = True, step_mode: str = "m") -> None:
        base.MemoryModule.__init__(self)
        self.scale = nn.Parameter(scale, trained)
        self.offset = nn.Parameter(offset, trained)
        self.in_fixed_point = False
        base.MemoryModule.register_memory(self, "step", 0)
        self.step_mode = step_mode

    def forward(self, x: Tensor) -> Tensor:
        """As before; the next step follows until SpikingJelly's ``reset_net``.

        Raises:
            ValueError: If there are more steps than it has scales.
        """
        first: int = self.step  # type: ignore[has-type]
        last = first + (len(x) if self.step_mode == "m" else 1)
        if last > len(self.scale):
            raise ValueError(
                f"The network runs for {last} time steps, but its normalization through time has {len(self.scale)}: "
                "give it as many, or reset_net(network) before each sequence."
            )
        self.step = last
        if self.step_mode == "m":
            return self._affine(x, self.scale[first:last], self.offset[first:last], 2)
        return self._affine(x, self.scale[first], self.offset[first], 1)


def scale_and_offset(norm: Any) -> tuple[Tensor, Tensor]:
    """The affine step of a trained normalization in float64, [channels], or [steps, channels] if steps differ.

    Raises:
        ValueError: If it keeps no running statistics.
    """
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


def channel_affine(norm: Any, trained: bool) -> ChannelAffine:
    """The affine step that does what a trained normalization does, of the type of its statistics."""
    scale, offset = scale_and_offset(norm)
    dtype = norm.bn_list[0].running_mean.dtype if hasattr(norm, "bn_list") else norm.running_mean.dtype
    scale, offset = scale.to(dtype), offset.to(dtype)
    step_mode = getattr(norm, "step_mode", None)
    if scale.ndim > 1:
        return TemporalChannelAffine(scale, offset, trained, norm.step_mode)
    if step_mode is None:
        return ChannelAffine(scale, offset, trained)
    return SteppedChannelAffine(scale, offset, trained, step_mode)


def _accumulated(y: Tensor) -> Tensor:
    """On the grid of the accumulator, with gradients straight through where it does not saturate."""
    resolution = 2.0**-ACCUMULATOR_FRACTION_BITS
    inside = y.clamp(-_LARGEST, _LARGEST - resolution)
    grid = torch.floor(inside.detach() / resolution + 0.5) * resolution
    return grid + (inside - inside.detach())
