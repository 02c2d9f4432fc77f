"""A simulated event camera that records bright blobs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

SENSOR = 128
"""Side length of the sensor in pixels, as of a DVS128."""
BIN = 10_000
"""Microseconds between two images that the simulated camera compares."""

_AMBIENT = 0.4
"""Brightness without blobs, whose peak is about 1."""
_THRESHOLD = 0.3
"""Change of the logarithm of the brightness that causes an event."""
_THRESHOLD_SPREAD = 0.1
"""Standard deviation of a pixel's threshold, relative to the mean."""
_LEAST_THRESHOLD = 0.1
_Y, _POLARITY, _BIN = 7, 14, 15
"""Positions of the fields of a packed event, in bits; x is at position 0."""
_MOST_BINS = 1 << 16


@dataclass(frozen=True, eq=False)
class Scene:
    """Moving Gaussian blobs; lengths are fractions of the sensor's side, from its left or top.

    Args:
        x: Columns of the centres at the edges of the time bins, float64 [blobs, bins + 1].
        y: Rows of the centres, float64 [blobs, bins + 1].
        radii: Standard deviations of the blobs, float64 [blobs].
        contrasts: Brightness of their centres, float64 [blobs].
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    radii: NDArray[np.float64]
    contrasts: NDArray[np.float64]


def record(
    scene: Scene, noise: float, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int16], NDArray[np.int16], NDArray[np.int8]]:
    """The events of a camera that records a scene.

    A pixel remembers a log brightness. Whenever the log brightness differs from it by more than the pixel's threshold,
    the pixel sends an event, and its memory moves by the threshold. Times are uniform within a bin.

    Args:
        scene: The scene.
        noise: Rate of spurious events, in events per second for each pixel and polarity.
        generator: Generator of the thresholds, the noise and the times.

    Returns:
        t in microseconds from 0, ascending, x, y and p.

    Raises:
        ValueError: If there are no bins, or 65,536 or more.
    """
    bins = scene.x.shape[1] - 1
    if not 1 <= bins < _MOST_BINS:
        raise ValueError(f"The scene must have between 1 and {_MOST_BINS - 1} bins of time, got {bins}.")
    spread = generator.normal(1.0, _THRESHOLD_SPREAD, (SENSOR, SENSOR))
    thresholds = _THRESHOLD * np.maximum(spread, _LEAST_THRESHOLD)
    # A random memory, as after some time of recording; otherwise the beginning would have fewer events.
    memory = np.exp(thresholds * generator.uniform(-1, 1, thresholds.shape))
    profiles_x, profiles_y = (_profiles(centres, scene.radii) for centres in (scene.x, scene.y))
    seen = _compare(
        profiles_x, profiles_y * scene.contrasts[:, None, None].astype(np.float32),
        np.exp(thresholds).astype(np.float32), memory.astype(np.float32),
    )  # fmt: skip
    spurious = generator.poisson(2 * noise * SENSOR * SENSOR * bins * BIN * 1e-6)
    chance = generator.integers(0, bins << _BIN, spurious, dtype=np.int32)
    events = np.concatenate((seen, chance))
    t = (events >> _BIN).astype(np.int64) * BIN + generator.integers(0, BIN, len(events))
    order = np.argsort(t, kind="stable")
    t, events = t[order], events[order]
    x = (events & (SENSOR - 1)).astype(np.int16)
    y = ((events >> _Y) & (SENSOR - 1)).astype(np.int16)
    p = ((events >> _POLARITY) & 1).astype(np.int8)
    return t, x, y, p


def _profiles(centres: NDArray[np.float64], radii: NDArray[np.float64]) -> NDArray[np.float32]:
    """Profiles of Gaussian blobs along one axis, float32 [blobs, bins + 1, SENSOR]; a blob is a product of two."""
    pixels = (np.arange(SENSOR) + 0.5) / SENSOR
    distances = (pixels - centres[:, :, None]) / radii[:, None, None]
    profiles: NDArray[np.float32] = np.exp(-0.5 * distances**2).astype(np.float32)
    return profiles


@njit(cache=True, nogil=True)
def _compare(
    profiles_x: NDArray[np.float32],
    profiles_y: NDArray[np.float32],
    ratios: NDArray[np.float32],
    memory: NDArray[np.float32],
) -> NDArray[np.int32]:
    """Packed events by ascending bin; ``memory`` is relative to the first image."""
    blobs, edges, side = profiles_x.shape
    ambient = np.float32(_AMBIENT)
    events = np.empty(1 << 14, np.int32)
    count = 0
    row = np.empty(side, np.float32)
    # NOTE: ratios of brightness replace differences of logarithms, which cost more.
    high = memory * ratios
    low = memory / ratios
    for edge in range(edges):
        for y in range(side):
            row[:] = ambient
            for blob in range(blobs):
                row += profiles_y[blob, edge, y] * profiles_x[blob, edge]
            if edge == 0:
                high[y] *= row
                low[y] *= row
                continue
            # NOTE: most rows have no event, and this test is vectorized.
            if not _leaves(row, low[y], high[y]):
                continue
            for x in range(side):
                while row[x] > high[y, x] or row[x] < low[y, x]:
                    brighter = row[x] > high[y, x]
                    factor = ratios[y, x] if brighter else np.float32(1) / ratios[y, x]
                    high[y, x] *= factor
                    low[y, x] *= factor
                    if count == len(events):
                        events = np.concatenate((events, np.empty_like(events)))
                    events[count] = ((edge - 1) << _BIN) | (brighter << _POLARITY) | (y << _Y) | x
                    count += 1
    return events[:count]


@njit(cache=True, nogil=True)
def _leaves(row: NDArray[np.float32], low: NDArray[np.float32], high: NDArray[np.float32]) -> bool:
    """Whether any pixel is outside its limits."""
    outside = np.int32(0)
    for x in range(len(row)):
        outside += np.int32(row[x] > high[x]) + np.int32(row[x] < low[x])
    return bool(outside > 0)
