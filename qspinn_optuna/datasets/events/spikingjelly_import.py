"""Import of SpikingJelly's data sets with any build of torch."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType

import torch

_OPERATORS = ("nms", "qnms")
_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


@cache
def import_spikingjelly_datasets() -> ModuleType:
    """The module ``spikingjelly.datasets``.

    It imports torchvision and torchaudio, which fail with a build of torch that they were not compiled for, such as
    torch for CPUs only. For event data, SpikingJelly needs only pure Python of them, so this import replaces the parts
    that fail. Packages that work are not changed.

    Raises:
        ImportError: If SpikingJelly or torchvision is not installed, or fails for another reason.
    """
    _import_torchvision()
    with _torchaudio_or_a_stub():
        return importlib.import_module("spikingjelly.datasets")


def _import_torchvision() -> None:
    try:
        _import_or_forget("torchvision")
    except RuntimeError as error:
        if not any(f"torchvision::{name}" in str(error) for name in _OPERATORS):
            raise
        _declare_missing_operators()
        importlib.import_module("torchvision")


def _declare_missing_operators() -> None:
    library = _torchvision_library()
    for name in _OPERATORS:
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}{_SIGNATURE}")  # type: ignore[no-untyped-call]


@cache
def _torchvision_library() -> torch.library.Library:
    """The library of the declared operators, cached because they disappear with it."""
    return torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]


@contextmanager
def _torchaudio_or_a_stub() -> Iterator[None]:
    """A stub for torchaudio, if that fails, only during the import, so that other packages do not use it."""
    try:
        _import_or_forget("torchaudio")
    except (ImportError, OSError, RuntimeError):
        sys.modules["torchaudio"] = ModuleType("torchaudio")
        try:
            yield
        finally:
            del sys.modules["torchaudio"]
    else:
        yield


def _import_or_forget(name: str) -> None:
    """Import a package; if that fails, forget its imported submodules, so that the next attempt imports them again."""
    before = set(sys.modules)
    try:
        importlib.import_module(name)
    except BaseException:
        for module in set(sys.modules) - before:
            if module.startswith(f"{name}."):
                del sys.modules[module]
        raise
