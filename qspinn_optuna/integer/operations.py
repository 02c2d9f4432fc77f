"""What a step of a feed-forward or recurrent network computes: operations on named arrays of integers.

Every array is of one sample at one time step. Its values are ``code * 2**-fraction_bits``, with as many fraction bits
as its operation needs to be exact; only neurons, :class:`Affine` and :class:`Requantization` round. An operation names
the arrays that it reads, and the constants, see :class:`~qspinn_optuna.integer.graph.Graph`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from qspinn_optuna.fixed_point import ParameterQuantization, QFormat
from qspinn_optuna.integer.node import (
    Node,
    check_has_zero,
    check_key,
    check_name,
    check_type,
    check_whole,
    check_wholes,
)

_MOST_FRACTION_BITS = 200
"""Beyond the sum of those of any two formats."""


class PoolKind(StrEnum):
    """What a pool keeps of a window."""

    MAX = "max"
    SUM = "sum"


@dataclass(frozen=True, eq=False)
class Operation(Node):
    """An operation with one result.

    Args:
        name: Of the result, unlike all others of the graph.
        sources: Names of the arrays that it reads.
    """

    name: str
    sources: tuple[str, ...]

    reads: ClassVar[int | None] = 1
    """Number of sources; None if one or more."""

    def __post_init__(self) -> None:
        check_name("name", self.name)
        check_type("sources", self.sources, tuple)
        for source in self.sources:
            check_name("sources", source)
        if not self.sources or (self.reads is not None and len(self.sources) != self.reads):
            wanted = "at least 1 array" if self.reads is None else f"{self.reads} array"
            raise ValueError(f"sources of {self.name!r} must name {wanted}, got {self.sources}.")

    @property
    def constants(self) -> tuple[str, ...]:
        """Names of the constants that it reads."""
        return ()


@dataclass(frozen=True, eq=False)
class Linear(Operation):
    """Sums of products over the last dimension, [..., inputs] to [..., outputs].

    Args:
        weight: Name of the weights, [outputs, inputs].
        bias: Name of what is added, [outputs]; None if nothing is.
    """

    weight: str
    bias: str | None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_name("weight", self.weight)
        _check_optional_name("bias", self.bias)

    @property
    def constants(self) -> tuple[str, ...]:  # noqa: D102
        return _named(self.weight, self.bias)


@dataclass(frozen=True, eq=False)
class Convolution(Operation):
    """Cross-correlation, [channels, height, width] to [filters, height, width], as torch's ``conv2d``.

    A convolution over one dimension has a height of 1.

    Args:
        weight: Name of the weights, [filters, channels / groups, kernel height, kernel width].
        bias: Name of what is added, [filters]; None if nothing is.
        stride: Of the windows, (vertical, horizontal).
        padding: Zeros on either side, (vertical, horizontal).
        dilation: Distance between the values of a window, (vertical, horizontal).
        groups: Groups of channels that do not see each other.
    """

    weight: str
    bias: str | None
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    def __post_init__(self) -> None:
        super().__post_init__()
        check_name("weight", self.weight)
        _check_optional_name("bias", self.bias)
        check_wholes("stride", self.stride, 1, 2)
        check_wholes("padding", self.padding, 0, 2)
        check_wholes("dilation", self.dilation, 1, 2)
        check_whole("groups", self.groups, 1)

    @property
    def constants(self) -> tuple[str, ...]:  # noqa: D102
        return _named(self.weight, self.bias)


@dataclass(frozen=True, eq=False)
class Pool(Operation):
    """The largest value, or the sum, of each window, [channels, height, width].

    Windows are cut at the borders of the padded array; what is padded is 0 in a sum, and never the largest.

    Args:
        kind: What is kept.
        kernel: Size of a window, (vertical, horizontal).
        stride: Of the windows.
        padding: On either side.
        size: Of the result, (height, width).
    """

    kind: PoolKind
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    size: tuple[int, int]

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "kind", PoolKind(self.kind))
        check_wholes("kernel", self.kernel, 1, 2)
        check_wholes("stride", self.stride, 1, 2)
        check_wholes("padding", self.padding, 0, 2)
        check_wholes("size", self.size, 1, 2)


@dataclass(frozen=True, eq=False)
class Sum(Operation):
    """The sum of arrays of one shape, on the finest of their grids.

    Args:
        signs: 1 or -1, of each source.
    """

    signs: tuple[int, ...]

    reads = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_wholes("signs", self.signs, -1, len(self.sources))
        if any(abs(sign) != 1 for sign in self.signs):
            raise ValueError(f"signs must be 1 or -1, got {self.signs}.")


@dataclass(frozen=True, eq=False)
class Offset(Operation):
    """An array plus a constant of its shape, or of one that broadcasts to it.

    Args:
        offset: Name of the constant.
    """

    offset: str

    def __post_init__(self) -> None:
        super().__post_init__()
        check_name("offset", self.offset)

    @property
    def constants(self) -> tuple[str, ...]:  # noqa: D102
        return (self.offset,)


@dataclass(frozen=True, eq=False)
class Scale(Operation):
    """An array times a constant, with all digits: an average, of a sum and a factor.

    Args:
        factor: Name of the constant, [1], or of a shape that broadcasts.
    """

    factor: str

    def __post_init__(self) -> None:
        super().__post_init__()
        check_name("factor", self.factor)

    @property
    def constants(self) -> tuple[str, ...]:  # noqa: D102
        return (self.factor,)


@dataclass(frozen=True, eq=False)
class PowerOfTwo(Operation):
    """An array times ``2**exponent``: its codes on another grid, which costs nothing.

    Args:
        exponent: Any whole number.
    """

    exponent: int

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("exponent", self.exponent, -_MOST_FRACTION_BITS, _MOST_FRACTION_BITS)


@dataclass(frozen=True, eq=False)
class Affine(Operation):
    """A scale and an offset per channel, ``scale * x + offset``, rounded once, ties up, to an accumulator.

    The accumulator is signed, has 24 bits, and saturates. At step t, row t of the constants is used, or the only one.

    Args:
        scale: Name of the factors, [1 or steps, channels].
        offset: Name of what is added, [1 or steps, channels]; None if nothing is.
        axis: Dimension of the channels.
        fraction_bits: Of the accumulator.
        shifts: Whether the constant holds the exponents of powers of two, whole numbers, instead of the factors.
    """

    scale: str
    offset: str | None
    axis: int
    fraction_bits: int
    shifts: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_name("scale", self.scale)
        _check_optional_name("offset", self.offset)
        check_whole("axis", self.axis, 0)
        check_type("shifts", self.shifts, bool)
        check_whole("fraction_bits", self.fraction_bits, -_MOST_FRACTION_BITS, _MOST_FRACTION_BITS)

    @property
    def constants(self) -> tuple[str, ...]:  # noqa: D102
        return _named(self.scale, self.offset)


@dataclass(frozen=True, eq=False)
class Requantization(Operation):
    """An array in another format: what a layer takes.

    The array is rounded to ``finer_bits`` more fraction bits than the format has first, ties to even, unless None.

    Args:
        to: Format and rounding.
        finer_bits: Fraction bits beyond those of the format, of the first rounding.
        key: Of the draws of stochastic rounding.
    """

    to: ParameterQuantization
    finer_bits: int | None
    key: int

    def __post_init__(self) -> None:
        super().__post_init__()
        check_type("to", self.to, ParameterQuantization)
        check_has_zero("to", self.to.format)
        if self.finer_bits is not None:
            check_whole("finer_bits", self.finer_bits, 0, _MOST_FRACTION_BITS)
        check_key(self.key)


@dataclass(frozen=True, eq=False)
class Reshape(Operation):
    """The same values in another shape.

    Args:
        shape: The shape.
    """

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_wholes("shape", self.shape, 1)


@dataclass(frozen=True, eq=False)
class Permutation(Operation):
    """The same values with their dimensions in another order, as numpy's ``transpose``.

    Args:
        order: Old dimension of each new one.
    """

    order: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_wholes("order", self.order, 0)
        if sorted(self.order) != list(range(len(self.order))):
            raise ValueError(f"order must hold each of 0 to {len(self.order) - 1} once, got {self.order}.")


@dataclass(frozen=True, eq=False)
class Concatenation(Operation):
    """Arrays one behind the other, on the finest of their grids.

    Args:
        axis: Dimension in which they follow each other.
    """

    axis: int

    reads = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("axis", self.axis, 0)


@dataclass(frozen=True, eq=False)
class Delay(Operation):
    """Its source at the step before, 0 at the first step. The source may be an array of a later operation.

    The format holds every value of the source. It is declared, and not found, since what the source holds may depend on
    what was delayed.

    Args:
        shape: Of the source.
        format: In which a device keeps the values until the next step; UQ1.0 of spikes.
    """

    shape: tuple[int, ...]
    format: QFormat

    def __post_init__(self) -> None:
        super().__post_init__()
        check_wholes("shape", self.shape, 1)
        check_type("format", self.format, QFormat)
        check_has_zero("format", self.format)


@dataclass(frozen=True, eq=False)
class IntegrateAndFire(Operation):
    """Neurons; the result is their spikes, 0 or 1.

    With v the membrane, which starts a sample at ``start``, x the source, d the decay, r the reset potential (0 without
    one), R the rounding and saturation of the membrane, a step is::

        u = v + x                          without decay
        u = v + (1 - d) * (r - v) + x      with decay; + (1 - d) * x if ``decays_input``
        s = u >= threshold                 0 if there is none
        v = R(s ? reset : u)               R(u - s * threshold) without ``reset``

    Args:
        membrane: Format of the membranes, and their rounding.
        threshold: Name of the thresholds, [1] or of a shape that broadcasts to that of the neurons; None if they
            never fire.
        decay: Name of the decays, likewise; None if the membranes do not decay.
        decays_input: Whether the input is scaled by 1 - decay too.
        reset: Code of a membrane after a spike; None if the threshold is taken from it instead.
        start: Code of a membrane before the first step.
        key: Of the draws of stochastic rounding.
        membrane_name: Name of the membranes after the step, which other operations and the readout may read.
    """

    membrane: ParameterQuantization
    threshold: str | None
    decay: str | None
    decays_input: bool
    reset: int | None
    start: int
    key: int
    membrane_name: str

    def __post_init__(self) -> None:
        super().__post_init__()
        check_type("membrane", self.membrane, ParameterQuantization)
        check_has_zero("membrane", self.membrane.format)
        for name in ("threshold", "decay"):
            _check_optional_name(name, getattr(self, name))
        check_type("decays_input", self.decays_input, bool)
        fmt = self.membrane.format
        for name in ("start", *([] if self.reset is None else ["reset"])):
            check_whole(name, getattr(self, name), fmt.min_code, fmt.max_code)
        check_key(self.key)
        check_name("membrane_name", self.membrane_name)
        if self.decays_input and self.decay is None:
            raise ValueError(f"decay of {self.name!r} must be given where the input decays, got None.")
        if self.membrane_name == self.name:
            raise ValueError(f"membrane_name must be unlike that of the spikes, got {self.membrane_name!r} for both.")

    @property
    def constants(self) -> tuple[str, ...]:  # noqa: D102
        return _named(self.threshold, self.decay)


def _check_optional_name(name: str, value: object) -> None:
    if value is not None:
        check_name(name, value)


def _named(*names: str | None) -> tuple[str, ...]:
    return tuple(name for name in names if name is not None)
