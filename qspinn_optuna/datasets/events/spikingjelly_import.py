"""Import of SpikingJelly's data sets with any build of torch."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType

from qspinn_optuna import torchvision_guard


@cache
def import_spikingjelly_datasets() -> ModuleType:
    """The module ``spikingjelly.datasets``.

    It imports torchvision and torchaudio, which fail with a build of torch that they were not compiled for, such as
    torch for CPUs only. For event data, SpikingJelly needs only pure Python of them, so this import replaces the parts
    that fail, see :mod:`~qspinn_optuna.torchvision_guard`. Packages that work are not changed.

    Raises:
        ImportError: If SpikingJelly or torchvision is not installed, or fails for another reason.
    """
    torchvision_guard.install()
    with _torchaudio_or_a_stub():
        return importlib.import_module("spikingjelly.datasets")


@contextmanager
def _torchaudio_or_a_stub() -> Iterator[None]:
    """A stub for torchaudio, if that fails, only during the import, so that other packages do not use it."""
    before = set(sys.modules)
    try:
        importlib.import_module("torchaudio")
    except (ImportError, OSError, RuntimeError):
        torchvision_guard.forget_submodules("torchaudio", before)
        sys.modules["torchaudio"] = ModuleType("torchaudio")
        try:
            yield
        finally:
            del sys.modules["torchaudio"]
    else:
        yield
