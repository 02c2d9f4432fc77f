"""Batches of made-up inputs, the first samples of a larger batch being those of a smaller one."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def grey(*shape: int) -> Callable[[int], Tensor]:
    """Pixels of 8 bits, multiples of 1/256."""
    return lambda batch: torch.randint(0, 256, (batch, *shape), generator=_generator()) / 256


def pixels(*shape: int) -> Callable[[int], Tensor]:
    """Pixels of 8 bits, by 255 as torchvision's ``ToTensor`` gives them."""
    return lambda batch: torch.randint(0, 256, (batch, *shape), generator=_generator()) / 255


def standardised(*shape: int) -> Callable[[int], Tensor]:
    """Pixels after torchvision's ``Normalize`` with the mean and deviation of MNIST."""
    return lambda batch: (pixels(*shape)(batch) - 0.1307) / 0.3081


def gaussian(*shape: int) -> Callable[[int], Tensor]:
    """Features on no grid."""
    return lambda batch: torch.randn(batch, *shape, generator=_generator())


def spikes(*shape: int) -> Callable[[int], Tensor]:
    """Zeros and ones."""
    return lambda batch: (torch.rand(batch, *shape, generator=_generator()) < 0.3).float()


def spikes_over_time(steps: int, *shape: int) -> Callable[[int], Tensor]:
    """Zeros and ones, [steps, batch, ...]."""
    return lambda batch: spikes(steps, *shape)(batch).transpose(0, 1).contiguous()


def token_ids(length: int, vocabulary: int) -> Callable[[int], Tensor]:
    """Whole numbers, [batch, length]."""
    return lambda batch: torch.randint(0, vocabulary, (batch, length), generator=_generator())
