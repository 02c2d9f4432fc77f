"""What the networks of this folder share: the embedded digits, options, and how long a network is trained."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from qspinn_optuna import SupervisedWorkload, fit
from qspinn_optuna.cli.argument_types import positive
from qspinn_optuna.datasets import ImageSplits, LabeledImages, embedded_mnist, mnist_from_folder

SIDE = 28

_BATCH = 50
_CALIBRATION = 500
"""Training images on which ranges are measured."""

Prepare = Callable[[Tensor], Tensor]
"""What a network takes, of whole pixels from 0 to 255, [images, 1, 28, 28]."""


@dataclass(frozen=True)
class Schedule:
    """How a network is trained, and fine-tuned, the float one for the baseline and quantized ones.

    Args:
        epochs: Of training from scratch.
        learning_rate: At the start of it.
        fine_tune_epochs: Of fine-tuning.
        fine_tune_rate: Learning rate at the start of it.
    """

    epochs: int
    learning_rate: float = 2e-3
    fine_tune_epochs: int = 2
    fine_tune_rate: float = 5e-4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of every file of this folder, beside those of ``qspinn run``."""
    group = parser.add_argument_group("digits")
    group.add_argument("--images", type=positive, help="of each part at most, for a quick look")
    group.add_argument("--data-dir", type=Path, help="folder of MNIST's IDX files, for its 10,000 test images")
    group.add_argument("--cache", type=Path, default=Path("qspinn-cache"), help="folder that keeps trained networks")


def digits(arguments: argparse.Namespace, held_out: int = 1_000) -> ImageSplits:
    """The embedded digits; the test's are MNIST's own if there is a folder of them.

    Args:
        arguments: The command line.
        held_out: Digits for validation, of the 4,000 that are not the test's: more of them make choices less noisy.
    """
    data = embedded_mnist()
    images = np.concatenate([data.train.images, data.validation.images])
    labels = np.concatenate([data.train.labels, data.validation.labels])
    rest = LabeledImages(images, labels)
    test = data.test if arguments.data_dir is None else mnist_from_folder(arguments.data_dir).test
    parts = rest[:-held_out], rest[-held_out:], test
    return ImageSplits(*(part[: arguments.images] for part in parts))


def batches(part: LabeledImages, prepare: Prepare, *, shuffle: bool = False) -> DataLoader[tuple[Tensor, ...]]:
    """Batches of inputs and labels."""
    pixels = torch.tensor(part.images).float().view(-1, 1, SIDE, SIDE)
    labels = torch.tensor(part.labels).long()
    return DataLoader(TensorDataset(prepare(pixels), labels), batch_size=_BATCH, shuffle=shuffle)


def grey(pixels: Tensor) -> Tensor:
    """Pixels / 256, which are fixed-point numbers."""
    return pixels / 256


def supervised(
    network: Callable[[], nn.Module],
    arguments: argparse.Namespace,
    schedule: Schedule,
    prepare: Prepare = grey,
    data: ImageSplits | None = None,
) -> SupervisedWorkload:
    """The workload of a network on digits.

    Args:
        network: Makes it.
        arguments: The command line.
        schedule: How it is trained.
        prepare: Makes inputs of pixels.
        data: The digits; those of :func:`digits` if not given.
    """
    data = digits(arguments) if data is None else data
    train = partial(fit, batches=batches(data.train, prepare, shuffle=True), progress=False)
    return SupervisedWorkload(
        network,
        train=partial(train, epochs=schedule.epochs, learning_rate=schedule.learning_rate),
        fine_tune=partial(train, epochs=schedule.fine_tune_epochs, learning_rate=schedule.fine_tune_rate),
        calibration=batches(data.train[:_CALIBRATION], prepare),
        validation=batches(data.validation, prepare),
        test=batches(data.test, prepare),
        cache=arguments.cache,
    )
