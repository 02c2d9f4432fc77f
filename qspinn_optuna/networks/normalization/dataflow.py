"""Which layer's output a normalization takes, seen in a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Self

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from qspinn_optuna.networks.modules.support import SYNAPSES
from qspinn_optuna.networks.running.nested import tensors_in

_Calls = frozenset[tuple[str, int]]
"""Layers, and the numbers of their calls."""

_REARRANGING = (
    "view reshape flatten unflatten transpose permute contiguous squeeze unsqueeze movedim moveaxis swapaxes swapdims "
    "t expand clone detach to float double type type_as stack cat concat unbind split chunk narrow select index_select "
    "__getitem__ __iter__ __get__"
)
_AVERAGING = (
    "avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d mean interpolate "
    "upsample dropout dropout1d dropout2d dropout3d feature_dropout alpha_dropout"
)
_PASSING = {*_REARRANGING.split(), *_AVERAGING.split()}
"""Functions that a scale and an offset per channel may come before or after, by name."""

_READING_SHAPES = {f"{kind}_like" for kind in ("zeros", "ones", "full", "empty", "rand", "randn")} | {
    f"new_{kind}" for kind in ("zeros", "ones", "full", "empty", "tensor")
}


class Dataflow(TorchFunctionMode):
    """A context in which a network runs once, and the outputs of its synapses are followed to normalizations.

    Views, copies, transposes, averages and the like pass an output on. It is a proposal only: whether channels stay
    channels on the way, and whether custom gradient functions take an output, it does not see.

    Args:
        network: What is run.
        norms: Names of its normalizations.

    Attributes:
        called: Names of the normalizations that ran.
        statistics: Names of the buffers by which functions normalize outside of these.
    """

    def __init__(self, network: nn.Module, norms: Iterable[str]) -> None:
        super().__init__()
        self.called: set[str] = set()
        self.statistics: set[str] = set()
        self._buffers = {id(buffer): name for name, buffer in network.named_buffers()}
        self._calls: dict[str, int] = {}
        self._takers: dict[tuple[str, int], set[str]] = {}
        self._used_elsewhere: set[str] = set()
        self._others: set[str] = set()
        self._within = 0
        names = set(norms)
        for name, module in network.named_modules():
            if name in names:
                module.register_forward_pre_hook(self._before_norm(name))
                module.register_forward_hook(self._after_norm)
            elif isinstance(module, SYNAPSES):
                module.register_forward_hook(self._after_synapse(name))

    def producers(self) -> dict[str, str]:
        """The synapse before each normalization, if all that it put out went there and nowhere else."""
        found: dict[str, set[str]] = {}
        for name, calls in self._calls.items():
            takers = set[str]().union(*(self._takers.get((name, call), {""}) for call in range(calls)))
            if len(takers) == 1 and name not in self._used_elsewhere:
                found.setdefault(takers.pop(), set()).add(name)
        return {
            norm: next(iter(names))
            for norm, names in found.items()
            if norm and len(names) == 1 and norm not in self._others
        }

    def __enter__(self) -> Self:
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one function, and pass the origin of its inputs on to its outputs."""
        output = func(*args, **(kwargs or {}))
        if self._within:
            return output
        inputs = list(tensors_in([args, kwargs or {}]))
        if getattr(func, "__name__", "") == "batch_norm":
            self.statistics |= {self._buffers[id(value)] for value in inputs if id(value) in self._buffers}
        origin = _Calls().union(*map(_origin, inputs))
        if not origin:
            return output
        name = getattr(func, "__name__", "")
        if name == "__iter__":
            entries = list(output)
            _mark(entries, origin)
            return iter(entries)
        if name in _PASSING and all(map(_origin, inputs)):
            _mark(output, origin)
        elif name not in _READING_SHAPES and any(True for _ in tensors_in(output)):
            self._used_elsewhere |= {synapse for synapse, _ in origin}
        return output

    def _after_synapse(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            call = self._calls.get(name, 0)
            self._calls[name] = call + 1
            _mark(output, _Calls({(name, call)}))

        return hook

    def _before_norm(self, name: str) -> Callable[[nn.Module, Any], None]:
        def hook(_: nn.Module, inputs: Any) -> None:
            self._within += 1
            self.called.add(name)
            origin = _Calls().union(*map(_origin, tensors_in(inputs)))
            if not origin:
                self._others.add(name)
            for call in origin:
                self._takers.setdefault(call, set()).add(name)

        return hook

    def _after_norm(self, _: nn.Module, __: Any, output: Any) -> None:
        self._within -= 1
        # It may be a view of its input.
        _mark(output, _Calls())


def _origin(tensor: Tensor) -> _Calls:
    return getattr(tensor, "_qspinn_origin", _Calls())


def _mark(value: Any, origin: _Calls) -> None:
    for tensor in tensors_in(value):
        tensor._qspinn_origin = origin  # type: ignore[attr-defined]
