"""Digests of the networks, functions and data that a result depends on."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import partial
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler, Subset, TensorDataset

_FOREIGN = ("torch", "spikingjelly", "qspinn_optuna", "numpy", "builtins")
"""Packages whose sources change with their releases only."""

_DEPTH = 8


def fingerprint(*values: object) -> str:
    """A digest that is equal for equal values, in other processes too.

    The digest covers the source, defaults, closure and bound arguments of a function; weights, settings and the source
    of user classes of a module; data set and settings of a ``DataLoader``; the attributes of other objects. It does not
    cover global variables that functions read, nor files that are read later.
    """
    digest = hashlib.sha256()
    for value in values:
        _feed(digest.update, value, _DEPTH)
    return digest.hexdigest()[:16]


def fingerprint_of_batches(batches: Iterable[Any]) -> str:
    """A digest of all that batches hold. They are read one by one, unless their samples are in memory anyway."""
    if _is_in_memory(batches):
        return fingerprint(batches)
    digest = hashlib.sha256()
    for batch in batches:
        _feed(digest.update, batch, _DEPTH)
    return digest.hexdigest()[:16]


def _is_in_memory(value: object) -> bool:
    """Whether :func:`fingerprint` covers the samples of batches or of a data set, not just where they are read."""
    if isinstance(value, DataLoader):
        # Another sampler may leave samples out.
        takes_all = isinstance(value.sampler, SequentialSampler | RandomSampler)
        return takes_all and type(value.batch_sampler) is BatchSampler and _is_in_memory(value.dataset)
    if isinstance(value, Subset):
        return _is_in_memory(value.dataset)
    return isinstance(value, list | tuple | TensorDataset) or isinstance(getattr(value, "fingerprint", None), str)


def _feed(update: Callable[[bytes | memoryview], None], value: Any, depth: int) -> None:
    update(f"<{type(value).__qualname__}>".encode())
    if depth == 0:
        return
    known = getattr(value, "fingerprint", None) if not isinstance(value, type) else None
    if isinstance(known, str):
        update(known.encode())
    elif value is None or isinstance(value, bool | int | float | complex | str | bytes | Enum | Path):
        update(repr(value).encode())
    elif isinstance(value, Tensor) and value.dtype == torch.bfloat16:
        _feed(update, value.float(), depth)  # numpy does not know the type.
    elif isinstance(value, Tensor | np.ndarray):
        array = value.detach().cpu().contiguous().numpy() if isinstance(value, Tensor) else np.ascontiguousarray(value)
        update(repr((array.dtype.str, array.shape)).encode())
        # Without a copy, which takes longer than the digest.
        update(array.tobytes() if array.dtype.hasobject else array.reshape(-1).view(np.uint8).data)
    else:
        for part in _parts(value):
            _feed(update, part, depth - 1)


def _parts(value: Any) -> list[Any]:  # noqa: PLR0911
    """The parts of a compound value, in an order that does not change."""
    if isinstance(value, Mapping):
        return [part for key in sorted(value, key=repr) for part in (key, value[key])]
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return [_source(value), *_defaults(value), cells]
    if isinstance(value, type):
        return [value.__qualname__, _source(value)]
    if isinstance(value, nn.Module):
        return [value.state_dict(), *map(_settings, value.modules())]
    if isinstance(value, DataLoader):
        return [value.dataset, value.batch_size, value.drop_last, type(value.sampler), value.collate_fn]
    attributes = {name: part for name, part in getattr(value, "__dict__", {}).items() if not _is_random(part)}
    return [type(value), attributes]


def _defaults(function: FunctionType) -> tuple[Any, Any]:
    """Defaults of positional arguments and of keywords.

    Of a library's function without those that are None, so that a new optional argument changes no digest.
    """
    positional, keywords = function.__defaults__, function.__kwdefaults__
    if not _is_foreign(function):
        return positional, keywords
    given = tuple(value for value in positional or () if value is not None)
    named = {name: value for name, value in (keywords or {}).items() if value is not None}
    return given or None, named or None


def _is_foreign(value: Any) -> bool:
    return (getattr(value, "__module__", None) or "").partition(".")[0] in _FOREIGN


def _settings(module: nn.Module) -> list[Any]:
    """Class and plain attributes of a module, without its children."""
    kinds = (bool, int, float, str, tuple, Enum, type(None))
    plain = {name: part for name, part in vars(module).items() if isinstance(part, kinds) and name != "training"}
    return [type(module), plain]


def _source(value: Any) -> str:
    if _is_foreign(value):
        return f"{value.__module__}.{value.__qualname__}"
    try:
        return inspect.getsource(value)
    except (OSError, TypeError):
        code = getattr(value, "__code__", None)
        return repr((code.co_code, code.co_consts)) if code is not None else repr(getattr(value, "__qualname__", ""))


def _is_random(value: object) -> bool:
    return isinstance(value, torch.Generator | np.random.Generator)
