"""Graphs of any formats and sizes: layers of spikes as people build them, with what may stand between them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from exporting.random_models import random_codes
from qspinn_optuna.fixed_point import GridKind, ParameterQuantization, QFormat, Rounding
from qspinn_optuna.integer import (
    INPUT,
    Array,
    Codes,
    Constant,
    Graph,
    IntegerModel,
    LargestScore,
    Reduction,
    ValueCoding,
)
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

SHAPES = ((2, 7, 6), (1, 5, 33), (3, 4, 5), (4, 6, 3), (2, 1, 40), (6, 3, 3))
SPIKES = QFormat(1, 0, signed=False)


def random_graph(seed: int) -> IntegerModel:
    """A graph of some layers; most of its neurons fire now and then."""
    generator = np.random.default_rng(seed)
    while True:
        try:
            return _GraphBuilder(generator).model()
        except ValueError as error:
            # Some formats lie so far apart that no accumulator holds both.
            if "accumulators" not in str(error) and "drop" not in str(error):
                raise


def random_values(model: IntegerModel, count: int, seed: int = 0) -> NDArray[np.integer]:
    """Codes of the input's format, half of them 0 if there is a 0."""
    coding, generator = model.coding, np.random.default_rng(seed)
    assert isinstance(coding, ValueCoding)
    shape = (count, *(() if coding.repeated else (coding.steps,)), *coding.shape)
    codes = random_codes(generator, coding.quantization.format, shape).array
    return codes * (generator.random(shape) < 0.5).astype(codes.dtype)


class _GraphBuilder:
    """A graph that grows from its input on."""

    def __init__(self, generator: np.random.Generator) -> None:
        self.generator = generator
        self.shape = SHAPES[generator.integers(len(SHAPES))]
        self.format = SPIKES if self.chance(0.6) else self.any_format()
        self.steps = int(generator.integers(2, 6))
        self.constants: list[Constant] = []
        self.operations: list[Operation] = []
        fmt = self.format
        self.arrays = {INPUT: Array(INPUT, self.shape, fmt.fraction_bits, fmt.min_code, fmt.max_code, 32)}

    def model(self) -> IntegerModel:
        x = INPUT
        for _ in range(self.number(1, 3)):
            x = self.block(x)
        x = self.add(Reshape(self.name(), (x,), (self.array(x).elements,)))
        if self.chance(0.3):
            x = self.neurons(self.linear(x, self.number(1, 40)))
        x = self.recurrent(x) if self.chance(0.4) else self.between(self.linear(x, self.number(1, 11)))
        if self.chance(0.6):
            x = self.neurons(x, fires=self.chance(0.7))
            x = f"{x}.v" if self.chance(0.4) else x
        coding = ValueCoding(
            self.shape,
            ParameterQuantization(self.format, Rounding.NEAREST),
            self.steps,
            repeated=self.chance(0.3),
            held=self.chance(0.5),
            key=self.key(),
        )
        first = int(self.generator.choice([0, 4_000_000_000, 2**40]))
        reduction = Reduction.SUM if self.chance(0.6) else Reduction.LAST
        graph = Graph(self.shape, self.format, tuple(self.constants), tuple(self.operations))
        return IntegerModel(coding, graph, LargestScore(x, reduction), seed=0, first_sample=first)

    def block(self, x: str) -> str:
        """A convolution or a pool, what may stand behind it, and neurons."""
        if self.chance(0.15):
            x = self.pool(x)
        x = self.neurons(self.between(self.convolution(x)))
        if self.chance(0.2):
            before = self.add(Delay(self.name(), (x,), self.array(x).shape, SPIKES))
            x = self.add(Concatenation(self.name(), (x, before), self.number(0, 2)))
        if self.chance(0.15):
            x = self.add(Permutation(self.name(), (x,), tuple(self.generator.permutation(3).tolist())))
        return self.pool(x) if self.chance(0.5) else x

    def between(self, x: str) -> str:  # noqa: PLR0911
        """Mostly nothing."""
        shape = self.array(x).shape
        match self.number(0, 11):
            case 0:
                axis = self.number(0, len(shape) - 1)
                rows = [self.steps if self.chance(0.5) else 1 for _ in range(2)]
                shifts = self.chance(0.4)
                scale = self.constant((rows[0], shape[axis]), QFormat(self.number(0, 3), 0) if shifts else None)
                offset = self.constant((rows[1], shape[axis])) if self.chance(0.5) else None
                return self.add(Affine(self.name(), (x,), scale, offset, axis, self.number(0, 12), shifts))
            case 1:
                to = ParameterQuantization(self.any_format(), self.rounding())
                finer = self.number(0, 3) if self.chance(0.5) else None
                return self.add(Requantization(self.name(), (x,), to, finer, self.key()))
            case 2:
                return self.add(Offset(self.name(), (x,), self.broadcast(shape, self.any_format())))
            case 3:
                return self.add(Scale(self.name(), (x,), self.broadcast(shape, self.any_format())))
            case 4:
                return self.add(PowerOfTwo(self.name(), (x,), self.number(-2, 2)))
            case 5:
                return self.add(Sum(self.name(), (x, x, x), (1, -1, 1)))
        return x

    def convolution(self, x: str) -> str:
        channels, height, width = self.array(x).shape
        groups = int(self.generator.choice([g for g in range(1, channels + 1) if channels % g == 0]))
        groups = groups if self.chance(0.4) else 1
        padding = self.pair(0, 2)
        dilation = self.pair(1, 2) if self.chance(0.3) else (1, 1)
        kernel = [
            self.number(1, max(1, min(4, (size + 2 * added - 1) // distance + 1)))
            for size, added, distance in zip((height, width), padding, dilation, strict=True)
        ]
        filters = groups * self.number(1, 4)
        weight = self.constant((filters, channels // groups, *kernel))
        bias = self.constant((filters,)) if self.chance(0.4) else None
        stride = self.pair(1, 3) if self.chance(0.5) else (1, 1)
        return self.add(Convolution(self.name(), (x,), weight, bias, stride, padding, dilation, groups))

    def pool(self, x: str) -> str:
        whole = self.array(x).shape[1:]
        kernel, stride = self.pair(1, 3), self.pair(1, 3)
        padding = (self.number(0, kernel[0] - 1), self.number(0, kernel[1] - 1))
        most = [(size + added - 1) // step + 1 for size, added, step in zip(whole, padding, stride, strict=True)]
        size = (self.number(1, most[0]), self.number(1, most[1]))
        kind = PoolKind.MAX if self.chance(0.7) else PoolKind.SUM
        return self.add(Pool(self.name(), (x,), kind, kernel, stride, padding, size))

    def linear(self, x: str, outputs: int) -> str:
        weight = self.constant((outputs, self.array(x).shape[-1]))
        bias = self.constant((outputs,)) if self.chance(0.4) else None
        return self.add(Linear(self.name(), (x,), weight, bias))

    def recurrent(self, x: str) -> str:
        """Neurons that take their own spikes of the step before."""
        outputs = self.number(1, 9)
        neurons = f"layer{len(self.operations) + 4}"
        before = self.add(Delay(self.name(), (neurons,), (outputs,), SPIKES))
        driven = self.linear(x, outputs), self.linear(before, outputs)
        return self.neurons(self.add(Sum(self.name(), driven, (1, 1))))

    def neurons(self, x: str, *, fires: bool = True) -> str:
        array = self.array(x)
        largest = max(array.high, 1)
        bits = int(self.generator.choice([2, 3, 4, 5, 8, 9, 16, 20]))
        fraction_bits = array.fraction_bits + self.number(0, 3) - largest.bit_length() + bits - 2
        fmt = QFormat(bits - 1 - fraction_bits, fraction_bits)
        # Thresholds that some inputs reach at once, and others in some steps.
        level_bits = max(min(largest.bit_length() - self.number(2, 4), 16), 1)
        level_fraction = array.fraction_bits - max(largest.bit_length() - 18, 0)
        level = QFormat(level_bits - level_fraction, level_fraction, signed=False)
        decays, hard = self.chance(0.6), self.chance(0.6)
        decay = QFormat(0, self.number(1, 6), signed=False)
        return self.add(
            IntegrateAndFire(
                name=self.name(),
                sources=(x,),
                membrane=ParameterQuantization(fmt, self.rounding()),
                threshold=self.broadcast(array.shape, level) if fires else None,
                decay=self.broadcast(array.shape, decay) if decays else None,
                decays_input=decays and self.chance(0.4),
                reset=self.number(fmt.min_code // 4, fmt.max_code // 4) if hard else None,
                start=self.number(fmt.min_code // 2, fmt.max_code),
                key=self.key(),
                membrane_name=f"{self.name()}.v",
            )
        )

    # -----------------------------------------------------------------------------------------------------------------

    def name(self) -> str:
        return f"layer{len(self.operations)}"

    def add(self, operation: Operation) -> str:
        known = [] if isinstance(operation, Delay) else [self.arrays[name] for name in operation.sources]
        inferred = infer(operation, known, {constant.name: constant.codes for constant in self.constants})
        self.arrays |= {array.name: array for array in inferred.arrays}
        self.operations.append(operation)
        return operation.name

    def array(self, name: str) -> Array:
        return self.arrays[name]

    def constant(self, shape: tuple[int, ...], fmt: QFormat | None = None) -> str:
        name = f"constant{len(self.constants)}"
        codes: Codes = random_codes(self.generator, fmt or self.constant_format(), shape)
        self.constants.append(Constant(name, codes))
        return name

    def broadcast(self, shape: tuple[int, ...], fmt: QFormat) -> str:
        """A constant for all, mostly, or for each channel, or for each value."""
        shapes = [(1,), (shape[0], *[1] * (len(shape) - 1)), shape, shape[-1:]]
        return self.constant(shapes[self.generator.choice(4, p=[0.55, 0.25, 0.1, 0.1])], fmt)

    def any_format(self) -> QFormat:
        signed = self.chance(0.7)
        bits = self.number(1 + signed, int(self.generator.choice([4, 8, 12])))
        fraction_bits = self.number(0, 5)
        return QFormat(bits - signed - fraction_bits, fraction_bits, signed)

    def constant_format(self) -> QFormat:
        """Of any grid."""
        fmt = self.any_format()
        return replace(fmt, integer_bits=fmt.integer_bits + 1, grid=GridKind.MID_RISE) if self.chance(0.3) else fmt

    def rounding(self) -> Rounding:
        return list(Rounding)[self.number(0, len(Rounding) - 1)]

    def chance(self, probability: float) -> bool:
        return bool(self.generator.random() < probability)

    def number(self, low: int, high: int) -> int:
        return int(self.generator.integers(low, high, endpoint=True))

    def pair(self, low: int, high: int) -> tuple[int, int]:
        return self.number(low, high), self.number(low, high)

    def key(self) -> int:
        return int(self.generator.integers(0, 2**64 - 1, dtype=np.uint64, endpoint=True))
