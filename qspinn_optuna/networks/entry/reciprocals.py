"""Averages and divisions by whole numbers in fixed point: an exact sum, and a stored factor 1 / k.

Average pools, ``mean`` and ``/`` are found where torch is called, in modules and in ``forward`` alike. A power of two
divides exactly, and needs no factor. All averages of k values share one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.overrides import TorchFunctionMode

_PREFIX = "reciprocal."
_LARGEST = 2**16


class Quotient(NamedTuple):
    """A sum that is to be divided.

    Attributes:
        total: The sum.
        divisors: Whole numbers, one for all elements or a tensor that broadcasts to them.
    """

    total: Tensor
    divisors: int | Tensor

    @property
    def counts(self) -> set[int]:
        """The different divisors."""
        if isinstance(self.divisors, int):
            return {self.divisors}
        return {int(count) for count in set(self.divisors.flatten().tolist())}


def reciprocal_name(count: int) -> str:
    """The parameter that holds 1 / ``count``."""
    return f"{_PREFIX}{count}"


def reciprocal_counts(names: Iterable[str]) -> dict[int, str]:
    """The divisors among the names of parameters."""
    return {int(name.removeprefix(_PREFIX)): name for name in names if is_reciprocal(name)}


def is_reciprocal(name: str) -> bool:
    """Whether a parameter is a factor 1 / k."""
    return name.startswith(_PREFIX) and name.removeprefix(_PREFIX).isdecimal()


class FixedPointDivisions:
    """Mixin of a network whose averages are sums times stored factors."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D102
        with StoredReciprocals(self.__dict__["_reciprocals"]):
            return super().forward(*args, **kwargs)  # type: ignore[misc]


class StoredReciprocals(TorchFunctionMode):
    """While it is entered, divisions by some whole numbers are products with stored factors.

    Args:
        factors: Of each divisor, on its grid.
    """

    def __init__(self, factors: Mapping[int, float]) -> None:
        super().__init__()
        self.factors = factors

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        quotient = quotient_of(func, args, kwargs or {})
        if quotient is None or not quotient.counts & self.factors.keys():
            return func(*args, **(kwargs or {}))
        if isinstance(quotient.divisors, int):
            product = quotient.total * self.factors[quotient.divisors]
            # Division in place, which `x /= k` is too.
            return quotient.total.copy_(product) if func is Tensor.div_ else product
        factors = torch.zeros_like(quotient.divisors)
        for count in quotient.counts:
            factors[quotient.divisors == count] = self.factors.get(count, 1 / count)
        return quotient.total * factors


class FoundReciprocals(TorchFunctionMode):
    """While it is entered, it keeps the divisors that are no powers of two, and what was divided by them.

    Attributes:
        found: Divisors and quotients.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[int, Tensor]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        quotient = quotient_of(func, args, kwargs or {})
        if quotient is not None:
            self.found += [(count, result) for count in sorted(quotient.counts) if count & (count - 1)]
        return result


def quotient_of(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Quotient | None:
    """What a call of torch sums up and divides, if it is an average or a division by a whole number."""
    decompose = _DECOMPOSITIONS.get(func)
    return None if decompose is None else decompose(*args, **kwargs)


def _mean(x: Any, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Quotient | None:
    dim = kwargs.pop("axis", dim)
    if kwargs or dim is None or not _is_real(x):
        return None
    dimensions = (dim,) if isinstance(dim, int) else tuple(dim)
    if not dimensions:
        return None
    return _checked(x.sum(dimensions, keepdim), math.prod(x.shape[each] for each in dimensions))


def _division(x: Any, divisor: Any, **kwargs: Any) -> Quotient | None:
    whole = isinstance(divisor, int | float) and not isinstance(divisor, bool) and float(divisor).is_integer()
    if kwargs or not whole or not _is_real(x):
        return None
    return _checked(x, int(divisor))


def _average_pool(
    dimensions: int,
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Quotient | None:
    if not _is_real(x):
        return None
    kernel = _tuple(kernel_size, dimensions)
    steps, pads = _tuple(stride or kernel, dimensions), _tuple(padding, dimensions)
    pool: Any = _POOLS[dimensions]

    def pooled(values: Tensor, divisor: int | None) -> Tensor:
        if dimensions > 1:
            result: Tensor = pool(values, kernel, steps, pads, ceil_mode, count_include_pad, divisor)
            return result
        shapes = ((1, *kernel), (1, *steps), (0, *pads))
        return F.avg_pool2d(values.unsqueeze(-2), *shapes, ceil_mode, count_include_pad, divisor).squeeze(-2)

    total = pooled(x, 1)
    if divisor_override is not None:
        return _checked(total, divisor_override)
    if not ceil_mode and (count_include_pad or not any(pads)):
        return _checked(total, math.prod(kernel))
    ones = torch.ones_like(x[(slice(0, 1),) * (x.ndim - dimensions)])
    divisors: Tensor = (pooled(ones, 1) / pooled(ones, None)).round()
    return Quotient(total, divisors)


def _adaptive_pool(dimensions: int, x: Any, output_size: Any) -> Quotient | None:
    if not _is_real(x):
        return None
    counts = torch.ones((), dtype=x.dtype, device=x.device)
    total = x
    for dimension, size in zip(range(-dimensions, 0), _tuple(output_size, dimensions), strict=True):
        length = x.shape[dimension]
        wanted = length if size is None else size
        windows = [(i * length // wanted, -(-(i + 1) * length // wanted)) for i in range(wanted)]
        parts = [total.narrow(dimension, start, end - start).sum(dimension) for start, end in windows]
        total = torch.stack(parts, dimension)
        counts = counts.unsqueeze(-1) * torch.tensor([end - start for start, end in windows]).to(counts)
    same = bool((counts == counts.flatten()[0]).all())
    return _checked(total, int(counts.flatten()[0])) if same else Quotient(total, counts)


def _checked(total: Tensor, divisor: int) -> Quotient | None:
    return Quotient(total, divisor) if 1 <= divisor <= _LARGEST else None


def _is_real(x: Any) -> bool:
    return isinstance(x, Tensor) and x.is_floating_point()


def _tuple(value: Any, length: int) -> tuple[Any, ...]:
    if isinstance(value, int) or value is None:
        return (value,) * length
    return tuple(value) * length if len(value) == 1 else tuple(value)


_POOLS: dict[int, Any] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}

_DECOMPOSITIONS: dict[Any, Callable[..., Quotient | None]] = {
    torch.mean: _mean,
    Tensor.mean: _mean,
    torch.div: _division,
    torch.true_divide: _division,
    Tensor.div: _division,
    Tensor.true_divide: _division,
    Tensor.__truediv__: _division,
    torch.divide: _division,
    Tensor.divide: _division,
    Tensor.div_: _division,
    **{pool: partial(_average_pool, dimensions) for dimensions, pool in _POOLS.items()},
    F.adaptive_avg_pool1d: partial(_adaptive_pool, 1),
    F.adaptive_avg_pool2d: partial(_adaptive_pool, 2),
    F.adaptive_avg_pool3d: partial(_adaptive_pool, 3),
}
