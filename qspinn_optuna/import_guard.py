"""Imports beside a build of torch that torchvision or torchaudio was not compiled for, such as torch for CPUs only.

Both fail on their first import then, and with them packages that need only pure Python of them: SpikingJelly's data
sets, and its models of ResNet and VGG. Hooks help two imports on:

- of torchvision, whose compiled operators are declared where they are missing; calling them is an error still;
- of ``spikingjelly.datasets``, during which shells stand for torchvision and torchaudio if they fail all the same.

Packages that work are imported as ever. Without Triton, torch remarks on every operator for it that SpikingJelly
registers, when a neuron runs for the first time: that remark is left out, since nothing here needs Triton.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

_OPERATORS = ("nms", "qnms")
_TRITON_LOGGER = "torch._library.triton"
_TRITON_REMARK = "Triton not available"
_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def install() -> None:
    """Watch for these imports and leave the remark out, from now on. This imports nothing itself."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
        logging.getLogger(_TRITON_LOGGER).addFilter(lambda record: not record.getMessage().startswith(_TRITON_REMARK))


class _Finder(MetaPathFinder):
    """Finds packages where the other finders do, and has them loaded by a :class:`_GuardedLoader`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        guarded = _LOADERS.get(fullname)
        if guarded is None:
            return None
        for finder in sys.meta_path:
            spec = None if isinstance(finder, _Finder) else finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = guarded(spec.loader)
                return spec
        return None


class _GuardedLoader(Loader):
    """Loads a package as another loader does."""

    def __init__(self, original: Any) -> None:
        self._original = original

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._original.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._original  # which is the one that others shall see
        if module.__spec__ is not None:
            module.__spec__.loader = self._original
        self._execute(module)

    def _execute(self, module: ModuleType) -> None:
        self._original.exec_module(module)


class _TorchvisionLoader(_GuardedLoader):
    """Loads torchvision once more, with its operators declared, if they are missing."""

    def _execute(self, module: ModuleType) -> None:
        before = set(sys.modules)
        try:
            self._original.exec_module(module)
        except BaseException as error:
            _forget("torchvision", before)
            if not (isinstance(error, RuntimeError) and _names_an_operator(str(error))):
                raise
        else:
            return
        _declare_missing_operators()
        self._original.exec_module(module)


class _DatasetsLoader(_GuardedLoader):
    """Loads SpikingJelly's data sets beside a torchvision and a torchaudio that may fail."""

    def _execute(self, module: ModuleType) -> None:
        if "torchvision" not in sys.modules and find_spec("torchvision") is None:
            raise ModuleNotFoundError(
                f"{module.__name__} reads folders and archives by torchvision, which is not installed: install it, "
                "any build will do.",
                name="torchvision",
            )
        with ExitStack() as stack:
            for name in ("torchvision", "torchaudio"):
                stack.enter_context(_package_or_a_shell(name))
            self._original.exec_module(module)


_LOADERS: dict[str, type[_GuardedLoader]] = {
    "torchvision": _TorchvisionLoader,
    "spikingjelly.datasets": _DatasetsLoader,
}


@contextmanager
def _package_or_a_shell(name: str) -> Iterator[None]:
    """A shell for a package, if that fails or is missing, only within the context: others shall not take it for it."""
    before = set(sys.modules)
    try:
        importlib.import_module(name)
    except Exception as error:
        failure = error
    else:
        yield
        return
    _forget(name, before)
    sys.modules[name] = _shell(name, failure)
    try:
        yield
    finally:
        del sys.modules[name]
        _forget(name, before)


def _shell(name: str, failure: Exception) -> ModuleType:
    """A package without content of its own, whose submodules can be imported if they do not need it."""
    shell = ModuleType(name)
    spec = find_spec(name)
    shell.__path__ = [] if spec is None else list(spec.submodule_search_locations or [])

    def missing(attribute: str) -> Any:
        raise AttributeError(f"{name} has no {attribute!r}, since its import failed: {failure}")

    shell.__getattr__ = missing  # type: ignore[method-assign]
    return shell


def _forget(name: str, before: set[str]) -> None:
    """Forget submodules of a package that were imported after ``before``, so that they are imported again."""
    for module in set(sys.modules) - before:
        if module.startswith(f"{name}."):
            del sys.modules[module]


def _names_an_operator(message: str) -> bool:
    return any(f"torchvision::{name}" in message for name in _OPERATORS)


def _declare_missing_operators() -> None:
    torch = importlib.import_module("torch")
    library = _library()
    for name in _OPERATORS:
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}{_SIGNATURE}")


@cache
def _library() -> Any:
    """The library of the declared operators, cached because they disappear with it."""
    return importlib.import_module("torch.library").Library("torchvision", "FRAGMENT")
