"""Generated gestures: hands as bright blobs before a simulated event camera.

The classes are those of DVS-Gesture (Amir et al., "A Low Power, Fully Event-Based Gesture Recognition System", CVPR
2017). Position, phase, frequency and size are random, so that clockwise and counter-clockwise circles differ only in
the order of events: one is the time reversal of the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.datasets.events.camera import BIN, Scene, record
from qspinn_optuna.datasets.events.recording import EventRecording

GESTURES = (
    "hand_clapping",
    "right_hand_wave",
    "left_hand_wave",
    "right_arm_clockwise",
    "right_arm_counter_clockwise",
    "left_arm_clockwise",
    "left_arm_counter_clockwise",
    "arm_roll",
    "air_drums",
    "air_guitar",
    "other_gestures",
)
"""The classes of DVS-Gesture, in its order."""

TIME_REVERSED_GESTURES: Mapping[int, int] = MappingProxyType({3: 4, 4: 3, 5: 6, 6: 5})
"""Class of a time-reversed gesture; other gestures keep their class."""

DURATION = 1_500_000
"""Duration of a gesture in microseconds."""

_SHOULDER = 0.22
"""Distance of a limb from the centre, as a fraction of the sensor's side."""


@dataclass(frozen=True)
class Light:
    """The effect of an illumination on a recording.

    Args:
        contrast: Factor of the brightness of the hands.
        noise: Rate of spurious events, in events per second for each pixel and polarity.
    """

    contrast: float
    noise: float


LIGHTS: Mapping[str, Light] = MappingProxyType(
    {
        "fluorescent": Light(contrast=0.9, noise=0.10),
        "fluorescent_led": Light(contrast=1.0, noise=0.07),
        "lab": Light(contrast=1.0, noise=0.05),
        "led": Light(contrast=1.1, noise=0.05),
        "natural": Light(contrast=0.8, noise=0.03),
    }
)
"""Illuminations, by their names in DVS-Gesture."""


@dataclass(frozen=True)
class Habits:
    """How a user moves, in all gestures.

    Args:
        frequency: Factor of the frequency of movements.
        amplitude: Factor of the amplitude of movements.
        size: Factor of the size of the hands.
        tilt: Tilt of the body in radians.
        place: Offset from the centre, as fractions of the sensor's side: x, and y downwards.
    """

    frequency: float
    amplitude: float
    size: float
    tilt: float
    place: tuple[float, float]

    @classmethod
    def draw(cls, generator: np.random.Generator) -> Habits:
        """Random habits of a user."""
        frequency, amplitude, size = generator.uniform(0.9, 1.1, 3)
        tilt = generator.uniform(-0.1, 0.1)
        x, y = generator.uniform(-0.02, 0.02, 2)
        return cls(float(frequency), float(amplitude), float(size), float(tilt), (float(x), float(y)))


def perform_gesture(
    label: int, habits: Habits, light: Light, generator: np.random.Generator, source: str = ""
) -> EventRecording:
    """A recording of one gesture, with the duration :data:`DURATION`.

    Args:
        label: Index of the gesture in :data:`GESTURES`.
        habits: Habits of the user.
        light: Illumination of the recording.
        generator: Generator of everything else; the same generator state gives the same events.
        source: Name of the recording.

    Raises:
        ValueError: If ``label`` is not the index of a gesture.
    """
    if not 0 <= label < len(GESTURES):
        raise ValueError(f"label must be between 0 and {len(GESTURES) - 1}, got {label}.")
    # Events lag behind the movement, and so reveal the direction of time. Half of the recordings are recorded in the
    # other direction and reversed, so that a reversed class has exactly the distribution of its counterpart.
    backwards = generator.random() < 0.5
    filmed = TIME_REVERSED_GESTURES.get(label, label) if backwards else label
    hands = _hands(filmed, habits, generator)
    scene = Scene(
        x=hands.real,
        y=hands.imag,
        radii=habits.size * generator.uniform(0.035, 0.06, len(hands)),
        contrasts=light.contrast * generator.uniform(0.7, 1.3, len(hands)),
    )
    t, x, y, p = record(scene, light.noise, generator)
    if backwards:
        # Time reversal turns darker into brighter.
        t, x, y, p = DURATION - 1 - t[::-1], x[::-1], y[::-1], 1 - p[::-1]
    return EventRecording(t, x, y, p, label, source)


def _hands(label: int, habits: Habits, generator: np.random.Generator) -> NDArray[np.complex128]:
    """Paths of the hands as x + iy, with y downwards, at the edges of the time bins: [hands, bins + 1].

    The right hand is on the left of the image, and "clockwise" refers to the image.
    """
    seconds = np.arange(DURATION // BIN + 1, dtype=np.float64) * BIN * 1e-6
    angle = _phase(seconds, habits.frequency * generator.uniform(0.7, 1.6), generator)
    amplitude = habits.amplitude * generator.uniform(0.10, 0.18)
    ratio = generator.uniform(0.75, 1.25)
    sway = amplitude * np.sin(angle)
    circle = amplitude * (np.cos(angle) + 1j * ratio * np.sin(angle))
    hands: list[NDArray[np.floating] | NDArray[np.complexfloating]]
    match GESTURES[label]:
        case "hand_clapping":
            reach = 0.05 + (amplitude + sway) / 2
            hands = [-reach, reach]
        case "right_hand_wave":
            hands = [-_SHOULDER - 0.1j + sway]
        case "left_hand_wave":
            hands = [_SHOULDER - 0.1j + sway]
        case "right_arm_clockwise":
            hands = [-_SHOULDER + circle]
        case "right_arm_counter_clockwise":
            hands = [-_SHOULDER + circle.conj()]
        case "left_arm_clockwise":
            hands = [_SHOULDER + circle]
        case "left_arm_counter_clockwise":
            hands = [_SHOULDER + circle.conj()]
        case "arm_roll":
            roll = 0.7 * (circle if generator.random() < 0.5 else circle.conj())
            hands = [roll, -roll]
        case "air_drums":
            hands = [-_SHOULDER + 1j * sway, _SHOULDER - 1j * sway]
        case "air_guitar":
            strum = -0.08 + 0.1j + sway * np.exp(1j * np.pi / 3)
            slide = 0.3 * amplitude * np.sin(_phase(seconds, habits.frequency * 0.5, generator))
            hands = [strum, _SHOULDER - 0.05j + slide]
        case _:
            # Both hands, since a single random path sometimes looks like a circle.
            hands = [side * _SHOULDER + _wander(seconds, habits, amplitude, generator) for side in (-1, 1)]
    tilt = habits.tilt + generator.uniform(-0.35, 0.35)
    centre = 0.5 + 0.5j + complex(*habits.place) + complex(*generator.uniform(-0.08, 0.08, 2))
    return np.stack([centre + np.exp(1j * tilt) * hand for hand in hands])


def _phase(seconds: NDArray[np.float64], frequency: float, generator: np.random.Generator) -> NDArray[np.float64]:
    """The angle of a periodic movement with a random start and a varying frequency."""
    start, start_of_wobble = generator.uniform(0, 2 * np.pi, 2)
    wobble = generator.uniform(0, 0.4) * np.sin(np.pi * frequency * seconds + start_of_wobble)
    angle: NDArray[np.float64] = 2 * np.pi * frequency * seconds + start + wobble
    return angle


def _wander(
    seconds: NDArray[np.float64], habits: Habits, amplitude: float, generator: np.random.Generator
) -> NDArray[np.complex128]:
    """A random path that differs from all other gestures: six sines in each direction."""
    frequencies = habits.frequency * generator.uniform(0.3, 2.0, (6, 2, 1))
    sines = np.sin(2 * np.pi * frequencies * seconds + generator.uniform(0, 2 * np.pi, (6, 2, 1)))
    x, y = amplitude * sines.sum(axis=0) / np.sqrt(6)
    path: NDArray[np.complex128] = x + 1j * y
    return path
