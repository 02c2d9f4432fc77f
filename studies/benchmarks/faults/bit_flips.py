"""Bits that flip in the files of trained networks."""

from __future__ import annotations

import random
import warnings
from pathlib import Path

import torch

from qspinn_optuna.workloads.supervised import ConvBlock, ConvSNN
from qspinn_optuna.workloads.supervised.cache import NetworkCache


def noticed_flips(folder: Path, flips: int, seed: int = 0) -> int:
    """Flip single bits in the file of a network, one at a time, and count the flips after which it is not loaded.

    Args:
        folder: An empty folder.
        flips: How many bits.
        seed: Of their places.
    """
    torch.manual_seed(seed)
    cache = NetworkCache(folder)
    cache.save("network", ConvSNN((2, 16, 16), (ConvBlock(8), ConvBlock(16)), 10).state_dict())
    (path,) = folder.iterdir()
    data = path.read_bytes()
    draws, noticed = random.Random(seed), 0
    for bit in (draws.randrange(8 * len(data)) for _ in range(flips)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            noticed += cache.load("network") is None
        for kept in folder.glob("*.damaged*"):
            kept.unlink()
    return noticed
