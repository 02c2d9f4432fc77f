"""Run a network in float64 although its ``forward`` has types of its own."""

from __future__ import annotations

import functools
import sys
import traceback
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from qspinn_optuna.networks.running.nested import map_leaves, tensors_in
from qspinn_optuna.networks.running.watching import run

_LIBRARIES = ("torch", "spikingjelly", __name__.partition(".")[0])
"""Packages whose code has to know the type that a tensor has."""


class DoublePrecision(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A context in which torch computes in float64 what it would compute in float32.

    ``x.float()``, ``x.to(torch.float32)``, ``x.type_as(y)``, ``torch.zeros(...)`` and tensors that the network keeps
    outside of its parameters and buffers become float64. Integers and booleans stay, such as ids of tokens. Random
    numbers are drawn in float32 and then widened, so that the same seed gives the same draws as in float32.

    A mode of ``torch.overrides`` would see less: no casts within operations that torch itself composes of others.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # torch would import its compiler, which takes seconds, to keep it away from the method below.
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute one operation."""
        kwargs = kwargs or {}
        if func.is_view:
            # A widened copy would lose what is written into the view.
            return func(*args, **kwargs)
        if torch.Tag.nondeterministic_seeded in func.tags:
            return _drawn_in_single(func, args, kwargs)
        written = _written(func, args, kwargs)
        args, kwargs = map_leaves((args, kwargs), _Widen(written))
        output = func(*args, **kwargs)
        return output if written else map_leaves(output, _widened)


class DeclaredSingle(TorchFunctionMode):
    """A context in which code of the network's own takes tensors of float64 for float32.

    So that its checks hold, and what it chooses by the type is what it chooses in float32. It is told of ``x.dtype``
    and ``x.type()``; ``isinstance(x, torch.FloatTensor)`` cannot be answered for torch.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute one operation, or read one attribute."""
        output = func(*args, **(kwargs or {}))
        if output is not torch.float64 and func is not Tensor.type:
            return output
        asking: str = sys._getframe(1).f_globals.get("__name__", "")
        if asking.partition(".")[0] in _LIBRARIES:
            return output
        if output is torch.float64:
            return torch.float32
        return output.replace("DoubleTensor", "FloatTensor") if isinstance(output, str) else output


def run_in_double(network: nn.Module, inputs: Any) -> Any:
    """The output of one forward pass in float64, from fresh states.

    Args:
        network: Its parameters, buffers and states become float64, in place.
        inputs: A tensor, or a nest of them; floating-point ones become float64, of a copy.

    Raises:
        ValueError: If ``forward`` fails, such as for a check of types.
    """
    network = network.double()
    # Of inputs in float64, checks for float32 fail in any case.
    single = not any(value.dtype == torch.float64 for value in tensors_in(inputs))
    inputs = map_leaves(inputs, _double)
    try:
        with DeclaredSingle() if single else nullcontext(), DoublePrecision():
            return run(network, inputs)
    except (AssertionError, NotImplementedError, RuntimeError, TypeError) as error:
        raise ValueError(
            "network must run on its batch in float64 too, in which what it computes is compared, got "
            f"{type(error).__name__}: {error}{_line_of(error)}. A check for float32 may let float64 pass."
        ) from error


def _line_of(error: Exception) -> str:
    """Where an assertion failed, of which the message may tell nothing."""
    if not isinstance(error, AssertionError):
        return ""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f" at line {frame.lineno}, `{frame.line}`"


class _Widen:
    """Float32 to float64, tensors and types, except tensors that an operation writes into."""

    def __init__(self, written: list[Tensor]) -> None:
        self._written = {id(tensor) for tensor in written}

    def __call__(self, value: Any) -> Any:
        if value is torch.float32:
            return torch.float64
        return value if id(value) in self._written else _widened(value)


def _widened(value: Any) -> Any:
    return value.double() if isinstance(value, Tensor) and value.dtype == torch.float32 else value


def _narrowed(value: Any) -> Any:
    if value is torch.float64:
        return torch.float32
    return value.float() if isinstance(value, Tensor) and value.dtype == torch.float64 else value


def _double(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    return value.to(torch.float64, copy=True) if value.is_floating_point() else value.clone()


def _drawn_in_single(func: Any, args: Any, kwargs: Any) -> Any:
    written = _written(func, args, kwargs)
    args, kwargs = map_leaves((args, kwargs), _narrowed)
    output = func(*args, **kwargs)
    if not written:
        return map_leaves(output, _widened)
    for target, drawn in zip(written, _written(func, args, kwargs), strict=True):
        target.copy_(drawn)
    return written[0]


def _written(func: Any, args: Any, kwargs: Any) -> list[Tensor]:
    """The tensors that an operation changes in place."""
    found: list[Tensor] = []
    for position, name in _written_arguments(func):
        value = args[position] if position < len(args) else kwargs.get(name)
        found += [each for each in (value if isinstance(value, list | tuple) else [value]) if isinstance(each, Tensor)]
    return found


@functools.cache
def _written_arguments(func: Any) -> tuple[tuple[int, str], ...]:
    """Positions and names of the arguments that an operation changes in place."""
    return tuple(
        (position, argument.name)
        for position, argument in enumerate(func._schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    )
