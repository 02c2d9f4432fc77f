"""What a step of a feed-forward or recurrent network computes: operations on named arrays of integers.

Every array is of one sample at one time step. Its values are ``code * 2**-fraction_bits``, with as many fraction bits
as its operation needs to be exact; only neurons, :class:`Affine` and :class:`Requantization` round. An operation names
the arrays that it reads, and the constants, see :class:`~qspinn_optuna.integer.graph.Graph`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from qspinn_optuna.fixed_point import ParameterQuantization
from qspinn_optuna.integer.node import Node


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


@dataclass(frozen=True, eq=False)
class Linear(Operation):
    """Sums of products over the last dimension, [..., inputs] to [..., outputs].

    Args:
        weight: Name of the weights, [outputs, inputs].
        bias: Name of what is added, [outputs]; None if nothing is.
    """

    weight: str
    bias: str | None


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


@dataclass(frozen=True, eq=False)
class Sum(Operation):
    """The sum of arrays of one shape, on the finest of their grids.

    Args:
        signs: 1 or -1, of each source.
    """

    signs: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Offset(Operation):
    """An array plus a constant of its shape, or of one that broadcasts to it.

    Args:
        offset: Name of the constant.
    """

    offset: str


@dataclass(frozen=True, eq=False)
class Scale(Operation):
    """An array times a constant, with all digits: an average, of a sum and a factor.

    Args:
        factor: Name of the constant, [1], or of a shape that broadcasts.
    """

    factor: str


@dataclass(frozen=True, eq=False)
class PowerOfTwo(Operation):
    """An array times ``2**exponent``: its codes on another grid, which costs nothing.

    Args:
        exponent: Any whole number.
    """

    exponent: int


@dataclass(frozen=True, eq=False)
class Affine(Operation):
    """A scale and an offset per channel, ``scale * x + offset``, rounded once, ties up, to an accumulator.

    The accumulator is signed, has 24 bits, and saturates. At step t, row t of the constants is used, or the only one.

    Args:
        scale: Name of the factors, [1 or steps, channels].
        offset: Name of what is added, [1 or steps, channels].
        axis: Dimension of the channels.
        fraction_bits: Of the accumulator.
    """

    scale: str
    offset: str
    axis: int
    fraction_bits: int


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


@dataclass(frozen=True, eq=False)
class Reshape(Operation):
    """The same values in another shape.

    Args:
        shape: The shape.
    """

    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Permutation(Operation):
    """The same values with their dimensions in another order, as numpy's ``transpose``.

    Args:
        order: Old dimension of each new one.
    """

    order: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Concatenation(Operation):
    """Arrays one behind the other, on the finest of their grids.

    Args:
        axis: Dimension in which they follow each other.
    """

    axis: int


@dataclass(frozen=True, eq=False)
class Delay(Operation):
    """Its source at the step before, 0 at the first step. The source may be an array of a later operation."""


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
