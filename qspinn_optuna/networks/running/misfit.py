"""Which layer of a network does not take its input, and what it takes: for errors that a forward pass raises."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Any

from torch import Tensor, nn

_ANY = ("...",)

_AXES: dict[Any, tuple[str, ...]] = {
    nn.Conv1d: ("length",),
    nn.ConvTranspose1d: ("length",),
    nn.Conv2d: ("height", "width"),
    nn.ConvTranspose2d: ("height", "width"),
    nn.Conv3d: ("depth", "height", "width"),
    nn.ConvTranspose3d: ("depth", "height", "width"),
}
"""Dimensions of convolutions behind their channels."""


@dataclass(frozen=True)
class _Layout:
    """What a layer takes.

    Args:
        before: Names of the dimensions before the features.
        features: Their number.
        after: Names of the dimensions behind them.
    """

    before: tuple[str, ...]
    features: int
    after: tuple[str, ...]

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether a layer takes an input of this shape; a single sample may go without the batch."""
        position = len(self.before) if self.after == _ANY else len(shape) - 1 - len(self.after)
        if not 0 <= position < len(shape) or shape[position] != self.features:
            return False
        return (
            _ANY in (self.before, self.after)
            or position == len(self.before)
            or (position, *self.before) == (0, "batch")
        )

    def __str__(self) -> str:
        return f"[{', '.join((*self.before, str(self.features), *self.after))}]"


def misfit(network: nn.Module, error: BaseException) -> str:
    """A remark on the layer that raised an error, if its input has another number of features than it takes.

    Args:
        network: What was called.
        error: What it raised.

    Returns:
        Name and class of the layer, what it takes and what it got; empty if its input fits, or it is no layer.
    """
    names = {id(module): name for name, module in network.named_modules()}
    layer, x = _innermost_call(error.__traceback__, names)
    layout = _layout(layer)
    if layout is None or not isinstance(x, Tensor) or layout.fits(tuple(x.shape)):
        return ""
    kind = type(layer).__name__.removeprefix("Quantized")
    return f"{names[id(layer)] or 'it'} ({kind}) takes inputs of the shape {layout}, got {list(x.shape)}."


def _innermost_call(traceback: TracebackType | None, names: dict[int, str]) -> tuple[Any, Any]:
    """The last module of a network that was called, and its first argument."""
    found: tuple[Any, Any] = (None, None)
    while traceback is not None:
        values = traceback.tb_frame.f_locals
        if traceback.tb_frame.f_code is nn.Module._call_impl.__code__ and id(values["self"]) in names:
            found = (values["self"], next(iter((*values["args"], *values["kwargs"].values())), None))
        traceback = traceback.tb_next
    return found


def _layout(layer: Any) -> _Layout | None:
    """What a layer takes; None if that is not known."""
    before = ("steps", "batch") if getattr(layer, "step_mode", "s") == "m" else ("batch",)
    if isinstance(layer, nn.Linear):
        return _Layout(_ANY, layer.in_features, ())
    if isinstance(layer, nn.modules.batchnorm._BatchNorm):
        return _Layout(before, layer.num_features, _ANY)
    for kind, axes in _AXES.items():
        if isinstance(layer, kind):
            return _Layout(before, layer.in_channels, axes)
    return None
