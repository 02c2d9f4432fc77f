"""Images and event recordings as arrays; nothing else knows file formats."""

from __future__ import annotations

from qspinn_optuna.datasets.images import ImageSplits, LabeledImages
from qspinn_optuna.datasets.mnist import download_mnist, embedded_mnist, mnist_from_folder

__all__ = ["ImageSplits", "LabeledImages", "download_mnist", "embedded_mnist", "mnist_from_folder"]
