"""Functions of torch that compute what integer models can compute."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor

from qspinn_optuna.integer.operations import PoolKind
from qspinn_optuna.networks.capture.elementwise import (
    Addition,
    ConstantAddition,
    ConstantProduct,
    NumberAddition,
    NumberProduct,
)
from qspinn_optuna.networks.capture.layers import Correlation, Matrix, Reduction, Windows
from qspinn_optuna.networks.capture.recorder import FunctionCall, Handler
from qspinn_optuna.networks.reciprocals import StoredReciprocals, quotient_of


def _sum_of_two(call: FunctionCall, signs: tuple[int, int] = (1, 1)) -> Any:
    one, other = call.args[:2]
    if call.kwargs.get("alpha", 1) != 1:
        raise call.refused(f"alpha must be 1, got {call.kwargs['alpha']}")
    if call.varies(one) and call.varies(other):
        return call.record(Addition(signs), one, other)
    (sign, array), (constant_sign, constant) = zip(signs, (one, other), strict=True)
    if not call.varies(array):
        (sign, array), (constant_sign, constant) = (constant_sign, constant), (sign, array)
    number = _number(call, array, constant)
    if number is not None:
        return call.record(NumberAddition(sign, constant_sign * number), array)
    if not call.recorder.tracks(constant) and not bool(constant.any()):
        # What stands for a result of a step before the first.
        return call.record(Addition(signs), one, other)
    return call.record(ConstantAddition(sign, constant_sign), array, constant)


def _product(call: FunctionCall) -> Any:
    one, other = call.args[:2]
    if call.varies(one) and call.varies(other):
        raise call.refused("it multiplies arrays that both depend on the input, which no operation does")
    array, constant = (one, other) if call.varies(one) else (other, one)
    number = _number(call, array, constant)
    if number == 0:
        # Zeros, whatever the input.
        result = call.run()
        call.recorder.know(result, None)
        return result
    if number is not None:
        return call.record(NumberProduct(number), array)
    return call.record(ConstantProduct(), array, constant)


def _division(call: FunctionCall) -> Any:
    array, divisor = call.args[:2]
    number = None if call.varies(divisor) else _number(call, array, divisor)
    if not call.varies(array) or number is None or number == 0:
        raise call.refused("it divides by an array, or by zero")
    if call.kwargs.get("rounding_mode") is not None:
        raise call.refused("it rounds a quotient")
    count = int(number) if number > 0 and float(number).is_integer() else None
    return call.record(NumberProduct(1 / number, count), array, run=partial(_averaged, call))


def _negative(call: FunctionCall) -> Any:
    return call.record(Addition((-1,)), call.args[0])


def _number(call: FunctionCall, array: Tensor, constant: Any) -> float | None:
    """The value of a constant that is one number, and does not widen the array; parameters are none."""
    if not isinstance(constant, Tensor):
        return float(constant)
    if constant.numel() == 1 and constant.ndim <= array.ndim and not call.recorder.tracks(constant):
        return float(constant)
    return None


def _averaged(call: FunctionCall) -> Tensor:
    """What is divided, by stored factors."""
    with StoredReciprocals(call.recorder.reciprocals):
        result: Tensor = call.function(*call.args, **call.kwargs)
    return result


def _total(call: FunctionCall) -> Any:
    return _reduced(call, PoolKind.SUM)


def _largest(call: FunctionCall) -> Any:
    return _reduced(call, PoolKind.MAX)


def _reduced(call: FunctionCall, pool: PoolKind) -> Any:
    array = call.args[0]
    axes = _axes(call, array)
    origins = call.recorder.origins(array)
    result = call.run()
    if not isinstance(result, Tensor):
        raise call.refused("it says where the largest is")
    kept = result.reshape([1 if axis in axes else length for axis, length in enumerate(array.shape)])
    return call.recorder.attach(result, call.recorder.computed(call.name, Reduction(pool, axes), (origins,), kept))


def _mean(call: FunctionCall) -> Any:
    array = call.args[0]
    axes = _axes(call, array)
    count = prod(array.shape[axis] for axis in axes)
    total = array.sum(axes, keepdim=True)
    kind = Reduction(PoolKind.SUM, axes)
    origins = call.recorder.computed(call.name, kind, (call.recorder.origins(array),), total)
    result = _averaged(call)
    factor = NumberProduct(1 / count, count)
    return call.recorder.attach(
        result, call.recorder.computed(call.name, factor, (origins,), result.reshape(total.shape))
    )


def _axes(call: FunctionCall, array: Tensor) -> tuple[int, ...]:
    given = call.argument(1, "dim", call.kwargs.get("axis"))
    if given is None or given == ():
        return tuple(range(array.ndim))
    axes = (given,) if isinstance(given, int) else tuple(given)
    return tuple(sorted(axis % array.ndim for axis in axes))


def _linear(call: FunctionCall) -> Any:
    array, weight, bias = call.args[0], call.argument(1, "weight"), call.argument(2, "bias")
    _check_fixed(call, weight, bias)
    return call.record(Matrix(), array, weight, *([] if bias is None else [bias]))


def _matrix_product(call: FunctionCall) -> Any:
    """``x @ weight``, as a linear layer."""
    array, other = call.args[:2]
    if call.varies(other):
        raise call.refused("it multiplies arrays that both depend on the input, which no operation does")
    if other.ndim != 2:
        raise call.refused(f"the weights must have 2 dimensions, got {other.ndim}")
    weight = other.t()
    call.recorder.attach(weight, call.recorder.origins(other).t())
    return call.record(Matrix(), array, weight)


def _convolution(call: FunctionCall, dimensions: int) -> Any:
    array, weight, bias = call.args[0], call.argument(1, "weight"), call.argument(2, "bias")
    _check_fixed(call, weight, bias)
    dilation = _pair(call.argument(5, "dilation", 1), dimensions, 1)
    padding = call.argument(4, "padding", 0)
    if padding == "same":
        kernel = _pair(tuple(weight.shape[2:]), dimensions, 1)
        total = tuple(step * (length - 1) for step, length in zip(dilation, kernel, strict=True))
        if any(each % 2 for each in total):
            raise call.refused("padding='same' pads more on one side than on the other: give an odd kernel_size")
        padding = tuple(each // 2 for each in total)[2 - dimensions :]
    kind = Correlation(
        stride=_pair(call.argument(3, "stride", 1), dimensions, 1),
        padding=_pair(0 if padding == "valid" else padding, dimensions, 0),
        dilation=dilation,
        groups=call.argument(6, "groups", 1),
        dimensions=dimensions,
    )
    return call.record(kind, array, weight, *([] if bias is None else [bias]))


def _check_fixed(call: FunctionCall, weight: Any, bias: Any) -> None:
    if call.varies(weight) or call.varies(bias):
        raise call.refused("its weights depend on the input")


def _max_pool(call: FunctionCall, dimensions: int) -> Any:
    dilation = call.argument(4, "dilation", 1)
    if _pair(dilation, dimensions, 1) != (1, 1):
        raise call.refused(f"dilation must be 1, got {dilation}")
    if call.argument(6, "return_indices", False):
        raise call.refused("it says where the largest is")
    kernel = call.argument(1, "kernel_size")
    kind = Windows(
        PoolKind.MAX,
        _pair(kernel, dimensions, 1),
        _pair(call.argument(2, "stride") or kernel, dimensions, 1),
        _pair(call.argument(3, "padding", 0), dimensions, 0),
        dimensions,
    )
    return call.record(kind, call.args[0])


def _average_pool(call: FunctionCall, dimensions: int) -> Any:
    array = call.args[0]
    kernel = call.argument(1, "kernel_size")
    kind = Windows(
        PoolKind.SUM,
        _pair(kernel, dimensions, 1),
        _pair(call.argument(2, "stride") or kernel, dimensions, 1),
        _pair(call.argument(3, "padding", 0), dimensions, 0),
        dimensions,
    )
    return _divided(call, kind, array)


def _adaptive_pool(call: FunctionCall, dimensions: int, pool: PoolKind = PoolKind.SUM) -> Any:
    array = call.args[0]
    given = call.argument(1, "output_size")
    sizes = _pair(given, dimensions, 1)
    lengths = (1, *array.shape[-dimensions:])[-2:]
    sizes = tuple(length if size is None else size for size, length in zip(sizes, lengths, strict=True))
    if any(length % size for length, size in zip(lengths, sizes, strict=True)):
        raise call.refused(f"its windows are of different sizes: {sizes} of {lengths}")
    kernel = (lengths[0] // sizes[0], lengths[1] // sizes[1])
    kind = Windows(pool, kernel, kernel, (0, 0), dimensions)
    return _divided(call, kind, array) if pool is PoolKind.SUM else call.record(kind, array)


def _divided(call: FunctionCall, kind: Windows, array: Tensor) -> Tensor:
    """A sum of each window, and its division."""
    quotient = quotient_of(call.function, call.args, call.kwargs)
    if quotient is None or not isinstance(quotient.divisors, int):
        raise call.refused("its windows hold different numbers of values, each of which needs a divisor")
    total = call.recorder.computed(call.name, kind, (call.recorder.origins(array),), quotient.total)
    result = _averaged(call)
    factor = NumberProduct(1 / quotient.divisors, quotient.divisors)
    return call.recorder.attach(result, call.recorder.computed(call.name, factor, (total,), result))


def _dropout(call: FunctionCall) -> Any:
    if call.argument(2, "training", True) and call.argument(1, "p", 0.5):
        raise call.refused("it drops values in evaluation")
    return call.recorder.attach(call.run(), call.recorder.origins(call.args[0]))


def _pair(value: Any, dimensions: int, missing: int) -> Any:
    """(vertical, horizontal) of a number, or of one for each dimension."""
    values = tuple(value) if isinstance(value, tuple | list | torch.Size) else (value,) * dimensions
    values = values * dimensions if len(values) < dimensions else values
    return values if dimensions == 2 else (missing, *values)


_DIFFERENCE = partial(_sum_of_two, signs=(1, -1))
_REVERSED = partial(_sum_of_two, signs=(-1, 1))

ARITHMETIC: dict[str, Handler] = {
    **dict.fromkeys(("add", "__add__", "__radd__", "__iadd__", "add_"), _sum_of_two),
    **dict.fromkeys(("sub", "subtract", "__sub__", "__isub__", "sub_"), _DIFFERENCE),
    **dict.fromkeys(("__rsub__", "rsub"), _REVERSED),
    **dict.fromkeys(("mul", "multiply", "__mul__", "__rmul__", "__imul__", "mul_"), _product),
    **dict.fromkeys(
        ("div", "divide", "true_divide", "__truediv__", "__itruediv__", "__div__", "__idiv__", "div_"), _division
    ),
    **dict.fromkeys(("neg", "negative", "__neg__"), _negative),
    "sum": _total,
    "mean": _mean,
    "amax": _largest,
    "linear": _linear,
    **dict.fromkeys(("matmul", "__matmul__", "mm"), _matrix_product),
    "conv1d": partial(_convolution, dimensions=1),
    "conv2d": partial(_convolution, dimensions=2),
    "max_pool1d": partial(_max_pool, dimensions=1),
    "max_pool2d": partial(_max_pool, dimensions=2),
    "avg_pool1d": partial(_average_pool, dimensions=1),
    "avg_pool2d": partial(_average_pool, dimensions=2),
    "adaptive_avg_pool1d": partial(_adaptive_pool, dimensions=1),
    "adaptive_avg_pool2d": partial(_adaptive_pool, dimensions=2),
    "adaptive_max_pool1d": partial(_adaptive_pool, dimensions=1, pool=PoolKind.MAX),
    "adaptive_max_pool2d": partial(_adaptive_pool, dimensions=2, pool=PoolKind.MAX),
    **dict.fromkeys(("dropout", "dropout1d", "dropout2d", "dropout3d"), _dropout),
}
