"""Functions of torch that move elements about, or copy them, and compute nothing."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from qspinn_optuna.networks.capture.recorder import FunctionCall, Handler

_MOVING = (
    "view", "reshape", "view_as", "reshape_as", "flatten", "ravel", "unflatten", "squeeze", "unsqueeze", "transpose",
    "swapaxes", "swapdims", "permute", "movedim", "moveaxis", "t", "T", "mT", "expand", "broadcast_to", "repeat",
    "tile", "repeat_interleave", "select", "narrow", "chunk", "split", "tensor_split", "unbind", "stack", "cat",
    "concat", "concatenate", "hstack", "vstack", "flip", "roll", "rot90", "index_select", "clone", "detach",
    "contiguous", "data", "__getitem__", "unfold", "atleast_1d", "atleast_2d", "atleast_3d",
    "squeeze_", "unsqueeze_", "transpose_", "detach_",
)  # fmt: skip

_CASTING = ("to", "float", "double", "type", "type_as", "cpu", "requires_grad_", "bool", "int", "long")

_MAKING = (
    "zeros_like", "ones_like", "empty_like", "full_like", "new_zeros", "new_ones", "new_empty", "new_full",
)  # fmt: skip


def _move(call: FunctionCall) -> Any:
    origins = call.run_on_origins()
    return call.recorder.attach_all(call.run(), origins)


def _expand_as(call: FunctionCall) -> Any:
    tensor, other = call.args
    return call.recorder.attach(call.run(), call.recorder.origins(tensor).expand(other.shape))


def _iterate(call: FunctionCall) -> Any:
    (tensor,) = call.args
    parts = tensor.unbind(0)
    return iter(call.recorder.attach_all(parts, call.recorder.origins(tensor).unbind(0)))


def _cast(call: FunctionCall) -> Any:
    tensor = call.args[0]
    origins = call.recorder.origins(tensor)
    result = call.run()
    if not isinstance(result, Tensor):
        return result
    if not torch.equal(result.detach().double(), tensor.detach().double()):
        raise call.refused(f"values are not the same in {result.dtype}")
    return call.recorder.attach(result, origins)


def _write(call: FunctionCall) -> None:
    """``tensor[index] = value``."""
    tensor, index, value = call.args
    origins = call.recorder.origins(tensor).clone()
    value = value if isinstance(value, Tensor) else torch.as_tensor(value, dtype=tensor.dtype)
    origins[index] = call.recorder.origins(value)
    call.run()
    call.recorder.attach(tensor, origins)


def _copy(call: FunctionCall) -> Any:
    tensor, value = call.args[:2]
    return call.recorder.attach(call.run(), call.recorder.origins(value).expand(tensor.shape))


def _make(call: FunctionCall) -> Any:
    """Tensors of which only the shape is taken from another."""
    return call.run()


MOVEMENTS: dict[str, Handler] = {
    **dict.fromkeys(_MOVING, _move),
    **dict.fromkeys(_CASTING, _cast),
    **dict.fromkeys(_MAKING, _make),
    "expand_as": _expand_as,
    "__iter__": _iterate,
    "__setitem__": _write,
    "copy_": _copy,
}
