"""Small graphs of any operations, formats and roundings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from hypothesis import HealthCheck
from hypothesis import strategies as st
from numpy.typing import NDArray

from qspinn_optuna.fixed_point import GridKind, ParameterQuantization, QFormat, Rounding
from qspinn_optuna.integer import Codes, Constant, Graph, IntegerModel, LargestScore, Reduction, ValueCoding
from qspinn_optuna.integer.arrays import Array
from qspinn_optuna.integer.inference import infer
from qspinn_optuna.integer.operations import (
    Affine,
    Concatenation,
    Convolution,
    Delay,
    IntegrateAndFire,
    Linear,
    Offset,
    Operation,
    Permutation,
    Pool,
    PoolKind,
    PowerOfTwo,
    Requantization,
    Reshape,
    Scale,
    Sum,
)
from tests.integer.models import random_codes

_WIDEST = 2**30
"""Codes beyond are requantized before more is computed of them."""

_LARGEST = 48
"""Values of an array at most, where a choice is left."""

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
"""Checks that do not apply to graphs, whose constants take a while to make."""

SPIKES = QFormat(1, 0, signed=False)


@st.composite
def coarse_formats(draw: st.DrawFn, signed: bool | None = None, least: int = 1) -> QFormat:
    """Of few bits, so that there are ties and saturation."""
    is_signed = draw(st.booleans()) if signed is None else signed
    bits = draw(st.integers(max(least, 1 + is_signed), 8))
    fraction_bits = draw(st.integers(-1, 6))
    return QFormat(bits - is_signed - fraction_bits, fraction_bits, is_signed)


@st.composite
def quantizations(draw: st.DrawFn, signed: bool | None = None, least: int = 1) -> ParameterQuantization:
    return ParameterQuantization(draw(coarse_formats(signed, least)), draw(st.sampled_from(Rounding)))


@dataclass
class Builder:
    """A graph that grows.

    Args:
        draw: Hypothesis's.
        steps: Time steps of a sample.
        arrays: What there is, by name.
    """

    draw: st.DrawFn
    steps: int
    arrays: dict[str, Array]
    constants: dict[str, Codes] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.generator = np.random.default_rng(self.draw(st.integers(0, 2**32 - 1)))

    def chance(self) -> bool:
        return self.draw(st.booleans())

    def number(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def pair(self, low: int, high: int) -> tuple[int, int]:
        return self.number(low, high), self.number(low, high)

    def key(self) -> int:
        return int(self.generator.integers(0, 2**64 - 1, dtype=np.uint64, endpoint=True))

    def constant(self, shape: tuple[int, ...], fmt: QFormat | None = None) -> str:
        name = f"constant{len(self.constants)}"
        self.constants[name] = random_codes(self.generator, fmt or self.on_any_grid(self.draw(coarse_formats())), shape)
        return name

    def on_any_grid(self, fmt: QFormat) -> QFormat:
        """The format, or the mid-rise one of its width: by numpy's draws, so that graphs keep their structure."""
        mid_rise = self.generator.random() < 0.3
        return QFormat(fmt.integer_bits + 1, fmt.fraction_bits, fmt.signed, GridKind.MID_RISE) if mid_rise else fmt

    def next_name(self) -> str:
        return f"result{len(self.operations)}"

    def add(self, make: Callable[[str], Operation]) -> str:
        """Append an operation; its name."""
        operation = make(self.next_name())
        known = [] if isinstance(operation, Delay) else [self.arrays[name] for name in operation.sources]
        for array in infer(operation, known, self.constants).arrays:
            self.arrays[array.name] = array
        self.operations.append(operation)
        return operation.name

    def narrow(self, x: str) -> str:
        """The same, requantized if it has become wide."""
        array = self.arrays[x]
        return self.requantization(x) if max(-array.low, array.high) > _WIDEST or abs(array.fraction_bits) > 24 else x

    def broadcast(self, shape: tuple[int, ...], fmt: QFormat | None = None) -> str:
        """A constant for all, for each channel, or for each value."""
        channels = (shape[0], *[1] * (len(shape) - 1))
        return self.constant(self.draw(st.sampled_from([(1,), channels, shape])), fmt)

    # -----------------------------------------------------------------------------------------------------------------
    # Of any shape
    # -----------------------------------------------------------------------------------------------------------------

    def neurons(self, x: str, *, fires: bool = True) -> str:
        shape = self.arrays[x].shape
        membrane = self.draw(quantizations(signed=True, least=3))
        fmt = membrane.format
        # Thresholds that are reached now and then.
        bits = self.number(1, 6)
        threshold = QFormat(bits - fmt.fraction_bits, fmt.fraction_bits, signed=False)
        if self.chance():
            threshold = self.draw(coarse_formats())
        decays, hard = self.chance(), self.chance()
        fraction = self.number(1, 6)
        decay = QFormat(self.number(0, 1), fraction, signed=False)
        thresholds = self.broadcast(shape, threshold) if fires else None
        decay_name = self.broadcast(shape, decay) if decays else None
        return self.add(
            lambda name: IntegrateAndFire(
                name=name,
                sources=(x,),
                membrane=membrane,
                threshold=thresholds,
                decay=decay_name,
                decays_input=decays and self.chance(),
                reset=self.number(fmt.min_code, fmt.max_code // 4) if hard else None,
                start=self.number(0, fmt.max_code),
                key=self.key(),
                membrane_name=f"{name}.v",
            )
        )

    def requantization(self, x: str) -> str:
        to, finer = self.draw(quantizations()), self.number(0, 4) if self.chance() else None
        return self.add(lambda name: Requantization(name, (x,), to, finer, self.key()))

    def affine(self, x: str) -> str:
        shape = self.arrays[x].shape
        axis = self.number(0, len(shape) - 1)
        rows = [self.steps if self.chance() else 1 for _ in range(2)]
        shifts, added = self.generator.random(2) < 0.4
        of_scale, of_offset = self.draw(coarse_formats()), self.draw(coarse_formats())
        scale = self.constant((rows[0], shape[axis]), QFormat(2, 0) if shifts else self.on_any_grid(of_scale))
        offset = self.constant((rows[1], shape[axis]), self.on_any_grid(of_offset)) if added else None
        return self.add(lambda name: Affine(name, (x,), scale, offset, axis, self.number(-1, 18), bool(shifts)))

    def offset(self, x: str) -> str:
        offset = self.broadcast(self.arrays[x].shape)
        return self.add(lambda name: Offset(name, (x,), offset))

    def scale(self, x: str) -> str:
        factor = self.broadcast(self.arrays[x].shape)
        return self.add(lambda name: Scale(name, (x,), factor))

    def power_of_two(self, x: str) -> str:
        return self.add(lambda name: PowerOfTwo(name, (x,), self.number(-3, 3)))

    def sum(self, x: str) -> str:
        """With all that has the shape, or itself."""
        others = [name for name, array in self.arrays.items() if array.shape == self.arrays[x].shape]
        chosen = (x, *(self.draw(st.sampled_from(others)) for _ in range(self.number(0, 2))))
        signs = tuple(self.draw(st.sampled_from([1, -1])) for _ in chosen)
        return self.add(lambda name: Sum(name, chosen, signs))

    def permutation(self, x: str) -> str:
        order = tuple(self.draw(st.permutations(range(len(self.arrays[x].shape)))))
        return self.add(lambda name: Permutation(name, (x,), order))

    def concatenation(self, x: str) -> str:
        """With what has the shape."""
        shape = self.arrays[x].shape
        if 2 * self.arrays[x].elements > 2 * _LARGEST:
            return x
        others = [name for name, array in self.arrays.items() if array.shape == shape]
        return self.add(
            lambda name: Concatenation(name, (x, self.draw(st.sampled_from(others))), self.number(0, len(shape) - 1))
        )

    def linear(self, x: str, outputs: int | None = None) -> str:
        shape = self.arrays[x].shape
        most = max(_LARGEST * shape[-1] // self.arrays[x].elements, 1)
        count = self.number(1, most) if outputs is None else outputs
        weight = self.constant((count, shape[-1]))
        bias = self.constant((count,)) if self.chance() else None
        return self.add(lambda name: Linear(name, (x,), weight, bias))

    def delayed(self, x: str) -> str:
        """What x was at the step before, in a format that holds it."""
        array = self.arrays[x]
        signed = array.low < 0
        bits = max(array.high.bit_length(), (-array.low - 1).bit_length() if signed else 0, 1)
        if bits + signed > 24:
            return x
        fmt = QFormat(bits - array.fraction_bits, array.fraction_bits, signed)
        return self.add(lambda name: Delay(name, (x,), array.shape, fmt))

    # -----------------------------------------------------------------------------------------------------------------
    # Of [channels, height, width], and of vectors
    # -----------------------------------------------------------------------------------------------------------------

    def convolution(self, x: str) -> str:
        channels, height, width = self.arrays[x].shape
        groups = self.draw(st.sampled_from([g for g in range(1, channels + 1) if channels % g == 0]))
        padding, dilation = self.pair(0, 2), self.pair(1, 2)
        kernel = tuple(
            self.number(1, max(1, min(3, (size + 2 * added - 1) // distance + 1)))
            for size, added, distance in zip((height, width), padding, dilation, strict=True)
        )
        filters = groups * self.number(1, 2)
        weight = self.constant((filters, channels // groups, *kernel))
        bias = self.constant((filters,)) if self.chance() else None
        stride = self.pair(1, 3)
        return self.add(lambda name: Convolution(name, (x,), weight, bias, stride, padding, dilation, groups))

    def pool(self, x: str) -> str:
        whole = self.arrays[x].shape[1:]
        kernel, stride = self.pair(1, 3), self.pair(1, 3)
        padding = (self.number(0, kernel[0] - 1), self.number(0, kernel[1] - 1))
        # As many windows as begin within the array.
        most = [(size + added - 1) // step + 1 for size, added, step in zip(whole, padding, stride, strict=True)]
        size = (self.number(1, min(most[0], 4)), self.number(1, min(most[1], 4)))
        kind = self.draw(st.sampled_from(PoolKind))
        return self.add(lambda name: Pool(name, (x,), kind, kernel, stride, padding, size))

    def flat(self, x: str) -> str:
        array = self.arrays[x]
        return x if len(array.shape) == 1 else self.add(lambda name: Reshape(name, (x,), (array.elements,)))

    def recurrent(self, x: str) -> str:
        """Neurons that take their own spikes or membranes of the step before: added, or one behind the other."""
        outputs = self.number(1, 5)
        neurons = f"result{len(self.operations) + 4}"
        spikes, joined = self.chance(), self.chance()
        source, fmt = (neurons, SPIKES) if spikes else (f"{neurons}.v", QFormat(2, 21))
        delayed = self.add(lambda name: Delay(name, (source,), (outputs,), fmt))
        if joined:
            both = self.add(lambda name: Concatenation(name, (x, delayed), 0))
            driven = self.linear(self.power_of_two(both), outputs)
        else:
            parts = self.linear(x, outputs), self.linear(delayed, outputs)
            driven = self.add(lambda name: Sum(name, parts, (1, self.draw(st.sampled_from([1, -1])))))
        membrane = ParameterQuantization(QFormat(2, self.number(0, 5)), self.draw(st.sampled_from(Rounding)))
        threshold = self.constant((1,), QFormat(1, 3, signed=False))
        return self.add(
            lambda name: IntegrateAndFire(
                name, (driven,), membrane, threshold, None, False, None, 0, self.key(), f"{name}.v"
            )
        )


_ANY = (
    Builder.neurons,
    Builder.neurons,
    Builder.requantization,
    Builder.affine,
    Builder.offset,
    Builder.scale,
    Builder.power_of_two,
    Builder.sum,
    Builder.permutation,
    Builder.concatenation,
    Builder.delayed,
)
_OF_IMAGES = (*[Builder.convolution] * 4, *[Builder.pool] * 4, Builder.flat)
_OF_VECTORS = (Builder.linear, Builder.recurrent)


@st.composite
def graph_models(draw: st.DrawFn) -> IntegerModel:
    """A few operations, and a readout of spikes, membranes or sums."""
    shape = draw(st.sampled_from([(2, 3, 5), (1, 5, 4), (3, 4, 3), (4, 3, 2), (1, 1, 9), (3, 5), (7,), (33,)]))
    coding = ValueCoding(
        shape=shape,
        quantization=draw(quantizations()),
        steps=draw(st.integers(2, 5)),
        repeated=draw(st.booleans()),
        held=draw(st.booleans()),
        key=draw(st.integers(0, 2**64 - 1)),
    )
    fmt = coding.quantization.format
    builder = Builder(
        draw, coding.steps, {"input": Array("input", shape, fmt.fraction_bits, fmt.min_code, fmt.max_code, 16)}
    )
    x = "input"
    for _ in range(draw(st.integers(1, 6))):
        suited = {1: _OF_VECTORS, 3: _OF_IMAGES}.get(len(builder.arrays[x].shape), ())
        x = builder.narrow(draw(st.sampled_from((*_ANY, *suited)))(builder, x))
    source = builder.linear(builder.flat(x), draw(st.integers(1, 5)))
    readout = draw(st.sampled_from(["sums", "spikes", "membranes"]))
    if readout != "sums":
        source = builder.neurons(builder.narrow(source), fires=readout == "spikes")
    source = f"{source}.v" if readout == "membranes" else source
    graph = Graph(
        shape,
        fmt,
        tuple(Constant(name, codes) for name, codes in builder.constants.items()),
        tuple(builder.operations),
    )
    return IntegerModel(
        coding,
        graph,
        LargestScore(source, draw(st.sampled_from(Reduction))),
        seed=0,
        first_sample=draw(st.sampled_from([0, 4_000_000_000])),
    )


def random_inputs(model: IntegerModel, seed: int, count: int) -> NDArray[np.integer]:
    """Codes of the input's format, uniform, some of them at the ends."""
    coding = model.coding
    assert isinstance(coding, ValueCoding)
    shape = coding.shape if coding.repeated else (coding.steps, *coding.shape)
    return random_codes(np.random.default_rng(seed), coding.quantization.format, (count, *shape)).array


def example_graph_model() -> IntegerModel:
    """A convolution with a pool, a recurrent layer, and membranes that are read."""
    generator = np.random.default_rng(6)
    shapes = {
        "conv.weight": ((4, 1, 3, 3), QFormat(0, 3)),
        "conv.bias": ((4,), QFormat(0, 6)),
        "lif1.v_threshold": ((1,), QFormat(1, 4, signed=False)),
        "lif1.decay": ((1,), QFormat(0, 4, signed=False)),
        "fc.weight": ((3, 36), QFormat(0, 3)),
        "recurrent.weight": ((3, 3), QFormat(0, 3)),
        "lif2.v_threshold": ((3,), QFormat(1, 4, signed=False)),
    }
    constants = tuple(Constant(name, random_codes(generator, fmt, shape)) for name, (shape, fmt) in shapes.items())
    membrane = ParameterQuantization(QFormat(3, 4), Rounding.STOCHASTIC)
    operations = (
        Convolution("conv", ("input",), "conv.weight", "conv.bias", (1, 1), (1, 1), (1, 1), 2),
        IntegrateAndFire("lif1", ("conv",), membrane, "lif1.v_threshold", "lif1.decay", True, 0, 0, 7, "lif1.v"),
        Pool("pool", ("lif1",), PoolKind.MAX, (2, 2), (2, 2), (0, 0), (3, 3)),
        Reshape("flat", ("pool",), (36,)),
        Linear("fc", ("flat",), "fc.weight", None),
        Delay("before", ("lif2",), (3,), SPIKES),
        Linear("recurrent", ("before",), "recurrent.weight", None),
        Sum("driven", ("fc", "recurrent"), (1, 1)),
        IntegrateAndFire("lif2", ("driven",), membrane, "lif2.v_threshold", None, False, None, 0, 9, "lif2.v"),
    )
    pixels = QFormat(0, 8, signed=False)
    coding = ValueCoding((2, 6, 6), ParameterQuantization(pixels, Rounding.NEAREST), 5, True, True, 3)
    graph = Graph((2, 6, 6), pixels, constants, operations)
    return IntegerModel(coding, graph, LargestScore("lif2", Reduction.SUM), seed=1, first_sample=10)
