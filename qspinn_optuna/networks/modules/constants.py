"""Constants of modules as numbers, whatever their type."""

from __future__ import annotations

import copy
import numbers
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def constant(value: object) -> Tensor | None:
    """The number or numbers of a constant, float64; 0-d unless there are several.

    Args:
        value: A number of Python's or numpy's, an array, or a tensor.

    Returns:
        None if ``value`` is none of them.
    """
    if isinstance(value, Tensor):
        if value.is_complex() or value.dtype is torch.bool:
            return None
        found = value.detach().double()
    elif isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
        found = torch.as_tensor(value.astype(np.float64))
    elif isinstance(value, numbers.Real) and not isinstance(value, bool):
        found = torch.tensor(float(value), dtype=torch.float64)
    else:
        return None
    if found.numel() == 0:
        return None
    return found.cpu().reshape(()) if found.numel() == 1 else found


def is_computed(module: nn.Module, name: str) -> bool:
    """Whether an attribute is a property that does not keep what is put into it."""
    found = getattr(type(module), name, None)
    if not isinstance(found, property):
        return False
    before = constant(getattr(module, name, None))
    if found.fset is None or before is None:
        return True
    probe: Any = copy.copy(module)
    # States in the middle of a sequence may have gradients, with which they cannot be copied.
    probe.__dict__["_memories"] = {}
    probe = copy.deepcopy(probe)
    try:
        set_constant(probe, name, before + 1)
    except (ValueError, TypeError, AttributeError, RuntimeError):
        return True
    return False


def is_settled(module: nn.Module, name: str) -> bool:
    """Whether a property computes the same numbers always, so that a device stores them as a constant.

    Not what a module computes from its parameters, which are stored themselves, or from its states, such as an adaptive
    threshold.
    """
    before = constant(getattr(module, name, None))
    if before is None or any(True for _ in module.parameters()):
        return False
    probe: Any = copy.copy(module)
    probe.__dict__["_memories"] = dict.fromkeys(module.__dict__.get("_memories", ()), 1.75)
    found = []
    for training in (True, False):
        probe.__dict__["training"] = training
        try:
            found.append(constant(getattr(probe, name)))
        except (ValueError, TypeError, AttributeError, RuntimeError):
            return False
    return all(value is not None and torch.equal(value, before) for value in found)


def set_constant(module: Any, name: str, values: Tensor) -> None:
    """Put other numbers into an attribute: a float where one number was, a tensor of its kind where a tensor was.

    Args:
        module: Any module.
        name: Of an attribute that is no parameter.
        values: As many as before, or a scalar.

    Raises:
        ValueError: If the attribute is something else afterwards, as a property may be.
    """
    before = getattr(module, name)
    if isinstance(before, Tensor):
        dtype = before.dtype if before.is_floating_point() else torch.get_default_dtype()
        after: Any = values.reshape(before.shape).to(before.device, dtype)
    else:
        after = float(values) if values.ndim == 0 else values.float()
    if name in module._buffers:
        module._buffers[name] = after
    else:
        setattr(module, name, after)
    kept = constant(getattr(module, name))
    expected = constant(after)
    assert expected is not None
    if kept is None or kept.shape != expected.shape or not bool(torch.isclose(kept, expected).all()):
        raise ValueError(f"{name} of {type(module).__name__} is {kept} after it was set to {after}.")
