"""Gestures that are generated: hands as bright blobs before a simulated event camera.

The classes are DVS-Gesture's (Amir et al., "A Low Power, Fully Event-Based Gesture Recognition System", CVPR 2017).
Position, phase, frequency and size are random, so that clockwise and counter-clockwise circles differ in nothing but
the order of what is seen: played backwards, one is the other.
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
"""DVS-Gesture's classes, in its order."""

TIME_REVERSED_GESTURES: Mapping[int, int] = MappingProxyType({3: 4, 4: 3, 5: 6, 6: 5})
"""What a gesture becomes when it is played backwards; the others remain what they are."""

DURATION = 1_500_000
"""Microseconds that a gesture is shown."""

_SHOULDER = 0.22
"""Distance of a limb from the centre, as a fraction of the sensor's side."""


@dataclass(frozen=True)
class Light:
    """What an illumination does to a recording.

    Args:
        contrast: Factor of the brightness of the hands.
        noise: Events of each pixel and polarity in a second that nothing causes.
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
"""Illuminations, by DVS-Gesture's names for them."""


@dataclass(frozen=True)
class Habits:
    """How someone moves, in all their gestures.

    Args:
        frequency: Factor of the frequency of movements.
        amplitude: Factor of their size.
        size: Factor of the size of the hands.
        tilt: Angle at which the body leans, in radians.
        place: Offset from the centre, as fractions of the sensor's side: x, and y downwards.
    """

    frequency: float
    amplitude: float
    size: float
    tilt: float
    place: tuple[float, float]

    @classmethod
    def draw(cls, generator: np.random.Generator) -> Habits:
        """Someone's habits."""
        frequency, amplitude, size = generator.uniform(0.9, 1.1, 3)
        tilt = generator.uniform(-0.1, 0.1)
        x, y = generator.uniform(-0.02, 0.02, 2)
        return cls(float(frequency), float(amplitude), float(size), float(tilt), (float(x), float(y)))


def perform_gesture(
    label: int, habits: Habits, light: Light, generator: np.random.Generator, source: str = ""
) -> EventRecording:
    """A recording of one gesture, which takes :data:`DURATION`.

    Args:
        label: Which of :data:`GESTURES`.
        habits: Of the one who performs.
        light: In which it is recorded.
        generator: Of everything else; the same generator state gives the same events.
        source: Name of the recording.

    Raises:
        ValueError: If there is no such gesture.
    """
    if not 0 <= label < len(GESTURES):
        raise ValueError(f"label must be between 0 and {len(GESTURES) - 1}, got {label}.")
    # A camera's events lag behind what moves, and so betray the direction of time. Half of the recordings are filmed
    # and then played backwards, hence playing a class backwards gives exactly the distribution of its counterpart.
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
        # What became darker becomes brighter.
        t, x, y, p = DURATION - 1 - t[::-1], x[::-1], y[::-1], 1 - p[::-1]
    return EventRecording(t, x, y, p, label, source)


def _hands(label: int, habits: Habits, generator: np.random.Generator) -> NDArray[np.complex128]:
    """Paths of the hands, as x + iy with y downwards, at the edges of the bins of time: [hands, bins + 1].

    The camera sees someone's right hand on its left, and "clockwise" is meant as the camera sees it.
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
            # Both hands, since one that wanders goes in circles at times.
            hands = [side * _SHOULDER + _wander(seconds, habits, amplitude, generator) for side in (-1, 1)]
    tilt = habits.tilt + generator.uniform(-0.35, 0.35)
    centre = 0.5 + 0.5j + complex(*habits.place) + complex(*generator.uniform(-0.08, 0.08, 2))
    return np.stack([centre + np.exp(1j * tilt) * hand for hand in hands])


def _phase(seconds: NDArray[np.float64], frequency: float, generator: np.random.Generator) -> NDArray[np.float64]:
    """The angle of a movement that is nobody's clockwork: it starts anywhere, and wobbles."""
    start, start_of_wobble = generator.uniform(0, 2 * np.pi, 2)
    wobble = generator.uniform(0, 0.4) * np.sin(np.pi * frequency * seconds + start_of_wobble)
    angle: NDArray[np.float64] = 2 * np.pi * frequency * seconds + start + wobble
    return angle


def _wander(
    seconds: NDArray[np.float64], habits: Habits, amplitude: float, generator: np.random.Generator
) -> NDArray[np.complex128]:
    """A path that is none of the other gestures: six sines in each direction."""
    frequencies = habits.frequency * generator.uniform(0.3, 2.0, (6, 2, 1))
    sines = np.sin(2 * np.pi * frequencies * seconds + generator.uniform(0, 2 * np.pi, (6, 2, 1)))
    x, y = amplitude * sines.sum(axis=0) / np.sqrt(6)
    path: NDArray[np.complex128] = x + 1j * y
    return path
