"""What the API reference shows: the public names, and what their examples run with."""

from __future__ import annotations

import copy
import functools
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding
from qspinn_optuna.integer import Codes, IntegerModel, MeanResponse, RateCoding, WinnerTakeAll, linear_chances
from tests.documentation.pages import PAGE, ROOT

PACKAGES = tuple(re.findall(r'^    "(qspinn_optuna[\w.]*)",$', (ROOT / ".ci/reference.py").read_text(), re.MULTILINE))
"""Modules that the command documents."""

WITHOUT_EXAMPLES = {"qspinn_optuna.study"}
"""What a study keeps: read and written by the package, and of use to those who extend it."""


class Public(NamedTuple):
    """A public class or function: where it is documented, its name, and itself."""

    package: str
    name: str
    value: Any


def public_names(package: str) -> list[str]:
    """What a module offers: its ``__all__``, or what it defines."""
    module = importlib.import_module(package)
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == package]
    return list(getattr(module, "__all__", [name for name in own if not name.startswith("_")]))


def documented() -> Iterator[Public]:
    """Every public class and function, once, at the first of its packages."""
    seen = set()
    for package in PACKAGES:
        if package in WITHOUT_EXAMPLES:
            continue
        for name in public_names(package):
            value = getattr(importlib.import_module(package), name)
            if (inspect.isclass(value) or inspect.isfunction(value)) and value not in seen:
                seen.add(value)
                yield Public(package, name, value)


def stdp_layer() -> WinnerTakeAll:
    """The network that the page of integers works by hand."""
    return WinnerTakeAll(
        weight=Codes(np.array([[3, 1], [3, 6]]), QFormat.parse("UQ2.1")),
        scale=Codes(np.array([5, 6]), QFormat.parse("UQ1.2")),
        theta=Codes(np.array([10, 31]), QFormat.parse("UQ2.3")),
        decay=Codes(np.array([15]), QFormat.parse("UQ0.4")),
        membrane=ParameterQuantization(QFormat.parse("Q4.2"), Rounding.TRUNCATION),
        threshold=16,
        reset=4,
        inhibition=12,
        refractory_steps=2,
    )


def stdp_model(steps: int) -> IntegerModel:
    """That network with two pixels, which spike at each step if they are white."""
    always = RateCoding(linear_chances(1.0), steps, 2, np.arange(2))
    return IntegerModel(always, stdp_layer(), MeanResponse(np.array([0, 1]), 2), 0, 0)


@functools.cache
def names_of_the_examples() -> dict[str, Any]:
    """What the page of the package defines, and the names that the package offers."""
    (block,) = (block for block in PAGE["qspinn_optuna/README.md"].blocks("python") if block.marker == "examples")
    defined: dict[str, Any] = {"__name__": "examples"}
    exec(compile(block.text, "qspinn_optuna/README.md", "exec"), defined)
    model = stdp_model(3)
    offered = {public.name: public.value for public in documented()}
    return {**offered, **defined, "functools": functools, "stdp_model": model, "stdp_layer": model.network}


def names_for(package: str, folder: Path) -> dict[str, Any]:
    """What an example of a module can use."""
    module = importlib.import_module(package)
    own = {name: getattr(module, name) for name in public_names(package)}
    names = names_of_the_examples()
    changed = {name: copy.deepcopy(names[name]) for name in ("network", "quantized", "study")}  # By running.
    return {**names, **changed, **own, "folder": folder}
