"""The affine step of a normalization whose class is, or has a ``forward``, of the user's, found by what it puts out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from qspinn_optuna.networks.modules.channel_affine import (
    AffineStep,
    channel_dimension,
    may_be_frozen_norm,
    scale_and_offset,
    set_affine_step,
)
from qspinn_optuna.networks.running.precision import run_in_double
from qspinn_optuna.networks.running.randomness import same_draws
from qspinn_optuna.networks.running.watching import fresh_copy

_LIBRARIES = ("torch", "spikingjelly")
_CLOSE = 1e-9
"""Relative difference of numbers that are the same but for rounding in float64."""

_PROBES = (-64.0, 64.0)
"""Inputs at which a step is affine, or is not."""


def measure_affine_steps(network: nn.Module, sample: Any, norms: Mapping[str, nn.Module]) -> None:
    """Tell normalizations their affine steps, where these differ from those of their classes.

    Such as batch normalization that scales by the threshold as well, or has its channels in another dimension. Whether
    they are affine at all is for the caller to check.

    Args:
        network: In float64; it is run once.
        sample: A batch as it takes it.
        norms: The normalizations, those of ``network`` or of a copy, which are changed in place.
    """
    own = [name for name, norm in norms.items() if type(norm).forward.__module__.partition(".")[0] not in _LIBRARIES]
    if not own:
        return
    network = fresh_copy(network)
    inputs: dict[str, Tensor] = {}

    def listen(name: str) -> Callable[[nn.Module, Any], None]:
        def hook(_: nn.Module, arguments: Any) -> None:
            if len(arguments) == 1 and isinstance(arguments[0], Tensor):
                inputs.setdefault(name, arguments[0])

        return hook

    handles = [network.get_submodule(name).register_forward_pre_hook(listen(name)) for name in own]
    with same_draws():
        run_in_double(network, sample)
    for handle in handles:
        handle.remove()
    for name, x in inputs.items():
        if getattr(norms[name], "running_var", None) is None:
            continue
        step = _measured(network.get_submodule(name), x.double())
        if step is not None and not _is_of_class(norms[name], step):
            set_affine_step(norms[name], step)


@torch.no_grad()
def _measured(norm: Any, x: Tensor) -> AffineStep | None:
    """The numbers that an affine step must have; None if it is none per channel."""
    try:
        offset, both, *others = (norm(torch.full_like(x, value)) for value in (0.0, 1.0, *_PROBES))
    except (RuntimeError, ValueError, IndexError):
        return None
    if not (isinstance(offset, Tensor) and offset.shape == both.shape == x.shape):
        return None
    for value, other in zip(_PROBES, others, strict=True):
        if not torch.allclose(offset + value * (both - offset), other, rtol=_CLOSE, atol=_CLOSE):
            return None
    first = channel_dimension(norm)
    for dimension in sorted(range(x.ndim), key=lambda each: (each != first, each)):
        if x.shape[dimension] == norm.running_mean.numel():
            rows = [value.movedim(dimension, 0).flatten(1) for value in (both - offset, offset)]
            if all(torch.allclose(row, row[:, :1], rtol=_CLOSE, atol=_CLOSE) for row in rows):
                return AffineStep(rows[0][:, 0].clone(), rows[1][:, 0].clone(), dimension)
    return None


def _is_of_class(norm: Any, step: AffineStep) -> bool:
    """Whether it is what the normalization's class says."""
    if may_be_frozen_norm(norm):
        return False
    scale, offset = scale_and_offset(norm)
    return (
        step.dimension == channel_dimension(norm)
        and scale.shape == step.scale.shape
        and torch.allclose(scale, step.scale, rtol=_CLOSE, atol=_CLOSE)
        and torch.allclose(offset, step.offset, rtol=_CLOSE, atol=_CLOSE)
    )
