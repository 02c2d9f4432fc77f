"""Images to input spikes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from qspinn_optuna.fixed_point.draws import INPUT, draw, stream
from qspinn_optuna.integer.coding import linear_chances

_LANES = 4
_MOST_INPUTS = 65_536
_LANE_BITS = np.uint64(16)
_LANE_MASK = np.uint64(0xFFFF)


@dataclass(frozen=True)
class SpikeTrains:
    """Input spikes of a sequence of images, in order of time.

    Example:
        >>> trains = encode_images(images.images[:2], steps=20, rate=0.25, seed=0)
        >>> trains.size, trains.starts.shape, trains.inputs.dtype
        (784, (2, 21), dtype('uint16'))

    Args:
        inputs: Indices of the inputs that spike, uint16 [spikes], ascending within a step.
        starts: int64 [images, steps + 1]: the spikes of image k at step t are
            ``inputs[starts[k, t] : starts[k, t + 1]]``.
        size: Number of inputs, spiking or not.
        first_image: Number of the first image in the whole sequence, which keys the random draws.
    """

    inputs: NDArray[np.uint16]
    starts: NDArray[np.int64]
    size: int
    first_image: int = 0

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def bytes(self) -> int:
        """Memory that the spikes take in this process."""
        return self.inputs.nbytes + self.starts.nbytes

    @property
    def steps(self) -> int:
        """Time steps of an image."""
        return int(self.starts.shape[1]) - 1

    def check_inputs(self, expected: int) -> None:
        """Refuse spikes of images that a network with ``expected`` inputs cannot take.

        Raises:
            ValueError: If the number of inputs is another.
        """
        if self.size != expected:
            raise ValueError(
                f"The images must have {expected} pixels, one for each input of the network, got {self.size}. "
                "A quantized network takes the columns workload.kept_inputs of the images."
            )


def encode_images(images: NDArray[np.uint8], steps: int, rate: float, seed: int, first_image: int = 0) -> SpikeTrains:
    """Draw the spikes of images: at every step, each pixel spikes with probability ``rate * pixel / 255``.

    The probability is rounded to 16 bits and compared with a 16-bit draw, as a device would.

    Example:
        >>> trains = encode_images(images.images[:2], steps=20, rate=0.25, seed=0)
        >>> trains.inputs.max() < trains.size
        np.True_

    Args:
        images: uint8 [images, pixels].
        steps: Time steps of an image.
        rate: Probability of a spike of a white pixel, at most 1.
        seed: Of the draws.
        first_image: Number of the first image; the same image number and seed give the same spikes.

    Raises:
        TypeError: If the images are not uint8.
        ValueError: If they are not [images, pixels] with at most 65,536 pixels, or ``rate`` is outside 0-1.
    """
    if images.dtype != np.uint8:
        raise TypeError(f"images must be uint8, got {images.dtype}.")
    if images.ndim != 2 or images.shape[1] > _MOST_INPUTS:
        raise ValueError(f"images must be [images, pixels], at most {_MOST_INPUTS:,} pixels, got {images.shape}.")
    if not 0 <= rate <= 1:
        raise ValueError(f"rate must be a probability between 0 and 1, got {rate!r}.")
    chances = linear_chances(rate).array.astype(np.uint64)
    # Room for the mean number of spikes and 20 standard deviations.
    mean = float(chances[images].sum()) / 65536 * steps
    room = int(mean + 20 * np.sqrt(mean)) + steps + images.shape[1] + _LANES
    inputs = np.empty(room, np.uint16)
    starts = np.empty((len(images), steps + 1), np.int64)
    # NOTE: a selection of pixels has its columns together, which would be slow, and compiled once more.
    spikes = _encode(np.ascontiguousarray(images), chances, seed, first_image, inputs, starts)
    return SpikeTrains(inputs[:spikes].copy(), starts, images.shape[1], first_image)


@njit(cache=True, nogil=True)
def _encode(
    images: NDArray[np.uint8],
    chances: NDArray[np.uint64],
    seed: int,
    first_image: int,
    inputs: NDArray[np.uint16],
    starts: NDArray[np.int64],
) -> int:
    """Fill ``inputs`` and ``starts``; returns the number of spikes."""
    count, pixels = images.shape
    steps = starts.shape[1] - 1
    lit = np.empty(pixels + _LANES, np.uint16)
    chance = np.empty(pixels + _LANES, np.uint64)
    end = 0
    for k in range(count):
        size = 0
        for i in range(pixels):
            lit[size] = i
            chance[size] = chances[images[k, i]]
            size += images[k, i] > 0
        chance[size : size + _LANES] = 0
        starts[k, 0] = end
        for t in range(steps):
            key = stream(seed, INPUT, first_image + k, t)
            for block in range(0, size, _LANES):
                bits = draw(key, block)
                for lane in range(_LANES):
                    # NOTE: writing always and moving on only after a spike avoids a branch nobody can predict.
                    inputs[end] = lit[block + lane]
                    end += (bits & _LANE_MASK) < chance[block + lane]
                    bits >>= _LANE_BITS
            starts[k, t + 1] = end
    return end
