"""Recipes: how frames are made of event recordings, and which network is trained on them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from qspinn_optuna.datasets import EventDataset
from qspinn_optuna.networks.modules.channel_scale import ChannelScale
from qspinn_optuna.workloads.supervised.conv import ConvBlock
from qspinn_optuna.workloads.supervised.recipe import QuantizedTraining


@dataclass(frozen=True)
class EventRecipe:
    """How frames are made of a data set, and a network trained on them.

    Args:
        dataset: Whose files are read.
        steps: Frames of a recording.
        block: Sensor pixels of a side of a frame's pixel.
        minimum_count: Events that make a pixel 1.
        merge_polarities: Whether brighter and darker are one channel.
        time_reversal: Whether half of the gestures are played backwards.
        blocks: The convolutions.
        decay: Of the neurons.
        score_scale: Of the summed output.
        epochs: Of training.
        learning_rate: Of training.
        fine_tune_epochs: Of in-training quantization.
        fine_tune_rate: Of in-training quantization.
        batch_size: Of training.
        shift: Pixels of augmentation.
        channel_scale: Of the layers of quantized networks, if they have any.
        quantized: How quantized networks are trained otherwise than the float one.
    """

    dataset: EventDataset
    steps: int
    block: int
    minimum_count: int
    merge_polarities: bool
    time_reversal: bool
    blocks: tuple[ConvBlock, ...]
    decay: float
    score_scale: float
    epochs: int
    learning_rate: float
    fine_tune_epochs: int
    fine_tune_rate: float
    batch_size: int
    shift: int
    channel_scale: ChannelScale | None = None
    quantized: QuantizedTraining | None = None


GESTURES = EventRecipe(
    dataset=EventDataset.DVS_GESTURE,
    steps=16,
    block=4,
    minimum_count=2,
    merge_polarities=True,
    time_reversal=True,
    blocks=(ConvBlock(8, 5, stride=2), ConvBlock(16, 3, pool=2), ConvBlock(32, 3, pool=2)),
    decay=0.8,
    score_scale=1.0,
    epochs=20,
    learning_rate=5e-3,
    fine_tune_epochs=4,
    fine_tune_rate=1e-3,
    batch_size=22,
    shift=2,
)
"""Generated gestures, made so that telling circles apart needs a memory."""

NARROW_GESTURES = replace(
    GESTURES,
    fine_tune_epochs=20,
    fine_tune_rate=2e-3,
    channel_scale=ChannelScale.FACTOR,
    quantized=QuantizedTraining(),
)
"""The same gestures, for weights of one bit: a scale per channel, and a longer training that changes their signs."""

DVS_GESTURE = replace(GESTURES, merge_polarities=False, time_reversal=False)
"""The recordings of DVS-Gesture."""

NMNIST = EventRecipe(
    dataset=EventDataset.NMNIST,
    steps=10,
    block=1,
    minimum_count=1,
    merge_polarities=False,
    time_reversal=False,
    blocks=(ConvBlock(16, 3, pool=2), ConvBlock(32, 3, pool=2)),
    decay=0.5,
    score_scale=0.4,
    epochs=20,
    learning_rate=2e-3,
    fine_tune_epochs=5,
    fine_tune_rate=5e-4,
    batch_size=20,
    shift=2,
)
"""Digits before a moving camera."""

NARROW_NMNIST = replace(
    NMNIST,
    fine_tune_epochs=20,
    fine_tune_rate=1e-3,
    channel_scale=ChannelScale.FACTOR,
    quantized=QuantizedTraining(),
)
"""The same digits, for weights of one bit: a scale per channel, and a longer training that changes their signs."""

RECIPES = {
    "generated": GESTURES,
    "generated-narrow": NARROW_GESTURES,
    "dvs-gesture": DVS_GESTURE,
    "nmnist": NMNIST,
    "nmnist-narrow": NARROW_NMNIST,
}
"""The recipes by the names that the command line gives them."""

GENERATED = ("generated", "generated-narrow")
"""Those whose recordings are made here, and so need no folder."""
