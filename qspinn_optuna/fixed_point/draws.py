"""Random draws by counter: a draw depends on what it is for, not on what was drawn before.

So a simulation in floating point, one on integers, and a device that visits the neurons in another order all see the
same draws. The generator is splitmix64 (Steele et al. 2014, https://doi.org/10.1145/2714064.2660195), which passes
BigCrush. :func:`stream` and :func:`draw` are for kernels; :func:`streams` and :func:`draws` give the same bits for
whole arrays.

The contract, all numbers of 64 bits that wrap around, G = 0x9E3779B97F4A7C15, and mix the finalizer :func:`mix`::

    layer = mix(seed * G + purpose)
    stream = mix(mix(layer + sample * G) + step * G)
    draw = mix(stream + index * G)

Of it, a device has to know ``layer`` alone, a constant. The purpose of a layer of a network is a digest of its name,
:func:`purpose_of`: the first 8 bytes, the lowest first, of the SHA-256 of the name in UTF-8.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

# What a draw is for.
INPUT = 1
MEMBRANE = 2
THETA_STEP = 3
THETA_DECAY = 4
TRACE = 5
WEIGHT_UPDATE = 6
WEIGHT_NORMALIZATION = 7
WEIGHT_REQUANTIZATION = 8
INITIAL_WEIGHT = 9

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIER_1 = np.uint64(0xBF58476D1CE4E5B9)
_MULTIPLIER_2 = np.uint64(0x94D049BB133111EB)
_S27 = np.uint64(27)
_S30 = np.uint64(30)
_S31 = np.uint64(31)


@njit(cache=True)
def mix(z: np.uint64) -> np.uint64:
    """The finalizer of splitmix64: 64 bits to 64 well-mixed bits, one to one."""
    z = (z ^ (z >> _S30)) * _MULTIPLIER_1
    z = (z ^ (z >> _S27)) * _MULTIPLIER_2
    return z ^ (z >> _S31)


@njit(cache=True)
def stream(seed: int | np.uint64, purpose: int | np.uint64, sample: int, step: int) -> np.uint64:
    """Key of the draws of one purpose, at one step of the presentation of one sample."""
    return stream_of_layer(mix(np.uint64(seed) * _GOLDEN + np.uint64(purpose)), sample, step)


@njit(cache=True)
def stream_of_layer(layer: np.uint64, sample: int | np.uint64, step: int | np.uint64) -> np.uint64:
    """:func:`stream`, from the constant of seed and purpose that a device holds."""
    return mix(mix(layer + np.uint64(sample) * _GOLDEN) + np.uint64(step) * _GOLDEN)


@njit(cache=True)
def draw(key: np.uint64, index: int) -> np.uint64:
    """The draw with a number, from a stream: 64 random bits."""
    return mix(key + np.uint64(index) * _GOLDEN)


def purpose_of(name: str) -> int:
    """The purpose of draws for what has a name, such as the state "lif1.v": 64 bits of a digest."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")


def layer_key(seed: int, name: str) -> int:
    """The constant of 64 bits from which all draws for what has a name follow.

    Args:
        seed: Any integer, of which the lowest 64 bits count.
        name: Full name of a state, or of an input.
    """
    return purpose_key(seed, purpose_of(name))


def purpose_key(seed: int, purpose: int) -> int:
    """``layer`` of the contract above: the constant from which all draws for a purpose follow.

    Args:
        seed: Any integer, of which the lowest 64 bits count.
        purpose: One of the numbers above, or that of a name.
    """
    (key,) = _mix(_unsigned(int(seed) % 2**64) * _GOLDEN + np.uint64(purpose)).tolist()
    return int(key)


def streams(seed: int, purpose: int, samples: ArrayLike, steps: ArrayLike) -> NDArray[np.uint64]:
    """Keys as :func:`stream` gives them, for samples and steps that are broadcast against each other."""
    return streams_of_layer(purpose_key(seed, purpose), samples, steps)


def streams_of_layer(layer: int, samples: ArrayLike, steps: ArrayLike) -> NDArray[np.uint64]:
    """Keys as :func:`stream_of_layer` gives them, for samples and steps that are broadcast against each other."""
    return draws(draws(np.array([layer], np.uint64), samples), steps)


def draws(keys: ArrayLike, indices: ArrayLike) -> NDArray[np.uint64]:
    """Draws as :func:`draw` gives them, for keys and indices that are broadcast against each other."""
    return _mix(_unsigned(keys) + _unsigned(indices) * _GOLDEN)


def _unsigned(values: ArrayLike) -> NDArray[np.uint64]:
    """64-bit integers as an array of at least one dimension, whose products wrap around without a warning."""
    return np.atleast_1d(np.asarray(values)).astype(np.uint64)


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> _S30)) * _MULTIPLIER_1
    z = (z ^ (z >> _S27)) * _MULTIPLIER_2
    return z ^ (z >> _S31)
