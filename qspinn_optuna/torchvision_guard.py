"""Import of torchvision beside a build of torch that it was not compiled for, such as torch for CPUs only.

Such a torchvision fails on its first import, and with it packages that need only its pure Python: SpikingJelly's data
sets and its models of ResNet and VGG. A hook declares the compiled operators that are missing, so that the import goes
on; calling them is an error still. A torchvision that works is imported as ever.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from functools import cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_PACKAGE = "torchvision"
_OPERATORS = ("nms", "qnms")
_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def install() -> None:
    """Watch for the import of torchvision from now on. This imports nothing itself."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def forget_submodules(name: str, before: set[str]) -> None:
    """Forget submodules of a package that were imported after ``before``, so that they are imported again."""
    for module in set(sys.modules) - before:
        if module.startswith(f"{name}."):
            del sys.modules[module]


class _Finder(MetaPathFinder):
    """Finds torchvision where the other finders do, and has it loaded by a :class:`_Loader`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _PACKAGE:
            return None
        for finder in sys.meta_path:
            spec = None if isinstance(finder, _Finder) else finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader)
                return spec
        return None


class _Loader(Loader):
    """Loads a package as another loader does, once more with its operators declared if they are missing."""

    def __init__(self, original: Any) -> None:
        self._original = original

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._original.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._original  # which is the one that others shall see
        if module.__spec__ is not None:
            module.__spec__.loader = self._original
        before = set(sys.modules)
        try:
            self._original.exec_module(module)
        except BaseException as error:
            forget_submodules(_PACKAGE, before)
            if not (isinstance(error, RuntimeError) and _names_an_operator(str(error))):
                raise
        else:
            return
        _declare_missing_operators()
        self._original.exec_module(module)


def _names_an_operator(message: str) -> bool:
    return any(f"{_PACKAGE}::{name}" in message for name in _OPERATORS)


def _declare_missing_operators() -> None:
    torch = importlib.import_module("torch")
    library = _library()
    for name in _OPERATORS:
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}{_SIGNATURE}")


@cache
def _library() -> Any:
    """The library of the declared operators, cached because they disappear with it."""
    return importlib.import_module("torch.library").Library(_PACKAGE, "FRAGMENT")
