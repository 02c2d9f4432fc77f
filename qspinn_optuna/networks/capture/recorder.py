"""A run of a network, of which every call of torch on what depends on the input is recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from qspinn_optuna.networks.capture.errors import CaptureError
from qspinn_optuna.networks.capture.kinds import Kind
from qspinn_optuna.networks.capture.symbols import Computed, Entered, Known, Prepared, Symbol, Symbols
from qspinn_optuna.networks.nested import map_leaves, tensors_in


@dataclass(frozen=True, eq=False)
class _Tracked:
    """A tensor whose elements are known.

    Args:
        tensor: Kept, so that no other tensor takes its identity.
        origins: Numbers of its elements.
        varies: Whether one of them depends on the input.
    """

    tensor: Tensor
    origins: Tensor
    varies: bool


@dataclass(frozen=True, eq=False)
class FunctionCall:
    """A call of a function of torch.

    Args:
        recorder: What it is recorded by.
        name: Of the function, such as "add".
        function: The function.
        args: Its arguments.
        kwargs: Those by name.
    """

    recorder: Recorder
    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def run(self) -> Any:
        """What the function returns."""
        return self.function(*self.args, **self.kwargs)

    def run_on_origins(self) -> Any:
        """What the function makes of the numbers of the elements, if it only moves them about."""
        args, kwargs = map_leaves((self.args, dict(self.kwargs)), self._origins_of_argument)
        return self.function(*args, **kwargs)

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """An argument by its position or its name."""
        return self.args[position] if len(self.args) > position else self.kwargs.get(name, default)

    def varies(self, value: Any) -> bool:
        """Whether an argument depends on the input."""
        return isinstance(value, Tensor) and self.recorder.varies(value)

    def refused(self, reason: str) -> CaptureError:
        """The error that names this call."""
        return CaptureError(f"{self.recorder.where(self.name)} cannot be captured: {reason}.")

    def record(self, kind: Kind, *operands: Tensor, run: Callable[[], Tensor] | None = None) -> Tensor:
        """Run the call; its result holds the elements that ``kind`` computes of operands."""
        # What is computed in place is not what it was afterwards.
        origins = tuple(self.recorder.origins(one) for one in operands)
        result = (run or self.run)()
        return self.recorder.attach(result, self.recorder.computed(self.name, kind, origins, result))

    def _origins_of_argument(self, value: Any) -> Any:
        # Indices are no elements.
        if isinstance(value, Tensor) and (self.recorder.tracks(value) or value.is_floating_point()):
            return self.recorder.origins(value).clone()
        return value


Handler = Callable[[FunctionCall], Any]
"""Runs a call, and lets the recorder know where the elements of its result come from."""


class Recorder(TorchFunctionMode):
    """While it is entered, it records calls of torch on tensors that depend on the input.

    Args:
        movements: Handlers of functions that move elements about, by their names.
        arithmetic: Handlers of functions that compute.
        reciprocals: Stored factors of averages, by the number of values that are averaged.

    Attributes:
        symbols: The arrays of the run.
    """

    def __init__(
        self, movements: Mapping[str, Handler], arithmetic: Mapping[str, Handler], reciprocals: Mapping[int, float]
    ) -> None:
        super().__init__()
        self.movements = movements
        self.arithmetic = arithmetic
        self.reciprocals = reciprocals
        self.symbols = Symbols()
        self._tracked: dict[int, _Tracked] = {}
        self._path: list[str] = []
        self._paused = 0
        self._raw: dict[int, bool] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [] if self._paused else [one for one in tensors_in((args, kwargs)) if self.tracks(one)]
        if not given:
            return func(*args, **kwargs)
        if not args and "input" in kwargs:
            args, kwargs = (kwargs["input"],), {name: value for name, value in kwargs.items() if name != "input"}
        call = FunctionCall(self, function_name(func), func, args, kwargs)
        handler = self.movements.get(call.name) or self.arithmetic.get(call.name)
        if not any(map(self.varies, given)):
            return self._of_constants(call, handler)
        try:
            if handler is not None:
                return handler(call)
            if call.name in _READS_VALUES:
                raise call.refused("what is done next depends on the values of its input; a device has one program")
            result = call.run()
            if not any(True for _ in tensors_in(result)):
                return result
            raise call.refused(
                "it compares what depends on the input, which only neurons do"
                if call.name in _COMPARES
                else "it is no operation of integer models"
            )
        except CaptureError:
            if call.name in _READS_VALUES or not all(self.is_raw(self.origins(one)) for one in given):
                raise
        return self._prepared(call)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """A context in which nothing is recorded."""
        self._paused += 1
        try:
            yield
        finally:
            self._paused -= 1

    @contextmanager
    def inside(self, network: nn.Module) -> Iterator[None]:
        """A context in which the recorder is entered, and knows which module runs."""
        handles = []
        for name, module in network.named_modules():
            handles.append(module.register_forward_pre_hook(lambda *_, name=name: self._path.append(name)))
            handles.append(module.register_forward_hook(lambda *_: self._leave(), always_call=True))
        try:
            with self:
                yield
        finally:
            for handle in handles:
                handle.remove()

    def where(self, function: str) -> str:
        """The function that is called, and the module that runs."""
        module = next((name for name in reversed(self._path) if name), "")
        return f"{function} in {module}" if module else f"{function} in the network's forward"

    def tracks(self, tensor: Tensor) -> bool:
        """Whether the elements of a tensor are known."""
        return id(tensor) in self._tracked

    def varies(self, tensor: Tensor) -> bool:
        """Whether a tensor depends on the input."""
        return self.tracks(tensor) and self._tracked[id(tensor)].varies

    def origins(self, tensor: Tensor) -> Tensor:
        """Numbers of the elements of a tensor, which does not depend on the input if it is not tracked."""
        if not self.tracks(tensor):
            self.know(tensor, None)
        return self._tracked[id(tensor)].origins

    def know(self, tensor: Tensor, name: str | None) -> None:
        """Track a tensor that does not depend on the input, by the name of its parameter."""
        where = self.where("a constant") if name is None else name
        symbol = Known(tuple(tensor.shape), where, tensor.detach().clone(), name)
        self.attach(tensor, self.symbols.add(symbol))

    def computed(self, function: str, kind: Kind, operands: tuple[Tensor, ...], values: Tensor) -> Tensor:
        """Origins of a new array."""
        values = values.detach().clone()
        return self.symbols.add(Computed(tuple(values.shape), self.where(function), kind, operands, values))

    def entered(self, tensor: Tensor, symbol: Entered) -> Tensor:
        """Let a tensor hold what enters the network."""
        return self.attach(tensor, self.symbols.add(symbol))

    def attach(self, tensor: Tensor, origins: Tensor) -> Tensor:
        """Let a tensor hold elements that there are."""
        varies = any(not isinstance(symbol, Known) for symbol in self.symbols.among(origins))
        self._tracked[id(tensor)] = _Tracked(tensor, origins.reshape(tensor.shape), varies)
        return tensor

    def attach_all(self, result: Any, origins: Any) -> Any:
        """Let the tensors of a nest hold elements that there are."""
        for one, numbers in zip(tensors_in(result), tensors_in(origins), strict=True):
            self.attach(one, numbers)
        return result

    def is_raw(self, origins: Tensor) -> bool:
        """Whether elements are computed of the input before it is rounded, and of no parameter."""
        return all(self._is_raw(symbol) for symbol in self.symbols.among(origins))

    def _is_raw(self, symbol: Symbol) -> bool:
        if isinstance(symbol, Computed):
            if symbol.first not in self._raw:
                self._raw[symbol.first] = all(self.is_raw(origins) for origins in symbol.operands)
            return self._raw[symbol.first]
        if isinstance(symbol, Known):
            return symbol.name is None
        return isinstance(symbol, Prepared) or (isinstance(symbol, Entered) and symbol.quantization is None)

    def _of_constants(self, call: FunctionCall, handler: Handler | None) -> Any:
        """What is computed of constants is one, but for what stands for a result of a step before the first.

        Parameters that are moved about stay known by their names.
        """
        if call.name in self.movements or (call.name in _LAYERS and not bool(call.args[0].any())):
            assert handler is not None
            return handler(call)
        result = call.run()
        if isinstance(result, Tensor) and self.tracks(result):
            self.know(result, None)
        return result

    def _prepared(self, call: FunctionCall) -> Any:
        """What the host does with the input before it gives it to the device."""
        result = call.run()
        for one in tensors_in(result):
            symbol = Prepared(tuple(one.shape), self.where(call.name), one.detach().clone())
            self.attach(one, self.symbols.add(symbol))
        return result

    def _leave(self) -> None:
        self._path.pop()


_LAYERS = frozenset({"linear", "conv1d", "conv2d", "matmul", "__matmul__", "mm"})

_COMPARES = frozenset({
    "gt", "ge", "lt", "le", "eq", "ne", "greater", "greater_equal", "less", "less_equal", "not_equal", "where",
    "__gt__", "__ge__", "__lt__", "__le__", "__eq__", "__ne__", "isclose", "heaviside", "sign",
})  # fmt: skip

_READS_VALUES = frozenset({
    "__bool__", "__int__", "__float__", "__index__", "__contains__", "__array__", "item", "tolist", "numpy",
    "nonzero", "equal", "allclose", "is_nonzero", "unique", "argwhere",
})  # fmt: skip


def function_name(function: Any) -> str:
    """Name of a function of torch; of a property, that of the property."""
    name: str = getattr(function, "__name__", type(function).__name__)
    if name == "__get__":
        name = getattr(getattr(function, "__self__", None), "__name__", name)
    return name
