"""SpikingJelly's data sets, beside any build of torch."""

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

    It imports torchvision and torchaudio, which fail beside a build of torch that they were not compiled for, such as
    torch for CPUs alone, although what SpikingJelly needs of them for event data is pure Python. Where they work they
    are left as they are.

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
    """Cached because its operators vanish with it."""
    return torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]


@contextmanager
def _torchaudio_or_a_stub() -> Iterator[None]:
    """A stub only lasts while SpikingJelly is imported, so that nobody else takes it for torchaudio."""
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
    """Import a package; if that fails, forget the submodules that it imported, for the next try to begin afresh."""
    before = set(sys.modules)
    try:
        importlib.import_module(name)
    except BaseException:
        for module in set(sys.modules) - before:
            if module.startswith(f"{name}."):
                del sys.modules[module]
        raise
