"""C of each kind of operation: hand-written functions, filled with the constants and types of one operation or several.

A function whose text two operations share is written once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import singledispatchmethod
from math import prod

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.export.graph_layout import Layout, Names
from qspinn_optuna.export.packing import WORD, PackedArray, c_integer, c_unsigned, pack
from qspinn_optuna.export.places import SIGNED, Place, computing, in_reach, times, unit
from qspinn_optuna.export.templates import fill
from qspinn_optuna.fixed_point import QFormat
from qspinn_optuna.fixed_point.integer_rounding import DRAW_BITS, NEAREST, STOCHASTIC, CodeRounding
from qspinn_optuna.integer import Codes, Purpose, alignment
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
    Requantization,
    Scale,
    Sum,
)

_UNSEEN = "UNNAMED"
_DRAW = "(uint32_t)(snn_mix(key + i * SNN_GOLDEN) >> 32)"


class Writer:
    """Functions, constant arrays and calls of a graph.

    Args:
        layout: Where its arrays lie.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.graph = layout.model.network
        self.functions: list[str] = []
        self.arrays: dict[tuple[str, bool], PackedArray] = {}
        self.inline: set[str] = set()
        self._names = Names(())
        self._shared: dict[str, str] = {}

    @property
    def inline_bits(self) -> int:
        """Bits of constants that are part of the code."""
        return sum(self.graph.codes[name].bits for name in self.inline)

    def calls(self, operation: Operation) -> str:
        """What a step runs for an operation: statements of C."""
        return self._write(operation)

    def copy_delayed(self, delay: Delay) -> str:
        """What the end of a step runs, so that the next finds the array."""
        (source,) = delay.sources
        factor = unit(delay.format.fraction_bits - self.layout.array(source).fraction_bits)
        kind = computing(self.layout.array(source).width, factor, delay.format.max_code)
        value = times(self.layout.place(source).load(kind, "i"), factor)
        return self._elementwise(delay, f"Kept until the next step, {delay.format}.", kind, value)

    # -----------------------------------------------------------------------------------------------------------------
    # Layers
    # -----------------------------------------------------------------------------------------------------------------

    @singledispatchmethod
    def _write(self, operation: Operation) -> str:
        raise TypeError(f"operations must be of a kind that C is written for, got {type(operation).__name__}.")

    @_write.register
    def _(self, operation: Delay) -> str:  # noqa: ARG002
        return ""

    @_write.register
    def _(self, operation: Linear) -> str:
        layout, (name,) = self.layout, operation.sources
        source, sums = layout.place(name), layout.place(operation.name)
        outputs, inputs = self.graph.codes[operation.weight].shape
        kind, factor, bias = self._sums(operation, "i" if self._is_vector(operation) else f"(i % {outputs}u)")
        weight = self._array(operation.weight, transposed=True)
        product = self._weight(operation.weight).load(kind, "weight", "weights")
        if source.holds_spikes:
            values = {"sum_type": sums.element, "product": times(product, factor)}
            kernel = self._share("linear_of_spikes.c", "add_weights_of_spikes", values)
        else:
            values = {
                "source_type": source.element,
                "sum_type": sums.element,
                "type": kind,
                "value": source.load(kind, "i", "source"),
                "product": times(f"x * {product}", factor),
            }
            kernel = self._share("linear_of_values.c", "add_weights_of_values", values)
        return self._own(
            "linear.c",
            operation,
            {
                "comment": f"Sums of products, [{outputs} outputs].",
                "takes_input": source.needs_input,
                "sum_type": sums.element,
                "sums": sums.pointer,
                "count": layout.elements(operation.name),
                "bias": bias,
                "kernel": kernel,
                "source": source.pointer,
                "rows": layout.elements(name) // inputs,
                "inputs": inputs,
                "weights": weight.name,
                "outputs": outputs,
            },
            source,
        )

    @_write.register
    def _(self, operation: Convolution) -> str:
        _, rows, columns = self.layout.array(operation.name).shape
        return self._convolve(operation, self.layout.place(operation.name), f"sums += {rows * columns}u;", "")

    def _convolve(self, operation: Convolution, sums: Place, then: str, key: str) -> str:
        """All filters, and what is to be done with the sums of each, or of those that share words."""
        layout, (name,) = self.layout, operation.sources
        source, lanes = layout.place(name), layout.lanes(operation)
        filters, channels, *_ = self.graph.codes[operation.weight].shape
        _, height, width = layout.array(name).shape
        _, rows, columns = layout.array(operation.name).shape
        area = height * width
        # Bits of a sum.
        bits = WORD // lanes
        bias = self._sums(operation, "filter" if lanes == 1 else f"(filter + shift / {bits}u)")[2]
        group = "0" if operation.groups == 1 else f"filter / {filters // operation.groups}u * {channels * area}u"
        return self._own(
            "convolution.c",
            operation,
            {
                "comment": f"A convolution, [{filters} filters, {rows}, {columns}], {lanes} at a time.",
                "takes_input": source.needs_input,
                "sum_type": sums.element,
                "sums": sums.pointer,
                "draws": bool(key),
                "key": key,
                "filters": filters,
                "lanes": lanes,
                "shared": lanes > 1,
                "bits": bits,
                "zero": c_integer(1 << bits - 1),
                "bias": bias,
                "area": rows * columns,
                "kernel": self._kernel(operation, source, sums),
                "source": source.pointer,
                "first": group,
                "channels": channels,
                "height": height,
                "width": width,
                "weights": self._array(operation.weight).name,
                "taps": prod(self.graph.codes[operation.weight].shape[1:]),
                "rows": rows,
                "columns": columns,
                "then": then,
            },
            source,
        )

    def _kernel(self, operation: Convolution, source: Place, sums: Place) -> str:
        """The function that adds up what one filter, or several side by side, make of their channels."""
        codes, lanes = self.graph.codes[operation.weight], self.layout.lanes(operation)
        kind, factor, _ = self._sums(operation, "filter")
        height, width = codes.shape[2:]
        values: dict[str, object] = {
            "sum_type": sums.element,
            "weight_type": "uint32_t" if lanes > 1 else _narrowest(codes.format),
            "taps": height * width,
            "shared": lanes > 1,
            "weight": self._weight(operation.weight).load("int32_t", "at" if lanes > 1 else "weight", "weights"),
            "stride_y": operation.stride[0],
            "stride_x": operation.stride[1],
            "padding_y": operation.padding[0],
            "padding_x": operation.padding[1],
        }
        cast = "" if lanes > 1 else f"({kind})"
        if source.holds_spikes:
            down, across = operation.dilation
            dilated = (down, across) != (1, 1)
            span = across * (width - 1) + 1
            more = {
                "span_y": down * (height - 1) + 1,
                "span_x": span,
                "cleared": " = {0}" if dilated else "",
                "tap": f"k / {width}u * {down * span}u + k % {width}u * {across}u" if dilated else "k",
                "product": _aligned(f"{cast}row[kx]", factor, lanes),
            }
            return self._share("convolution_of_spikes.c", "convolve_spikes", {**values, **more})
        x = source.load("uint32_t" if lanes > 1 else kind, "i", "source")
        if lanes > 1:
            x = f"(uint32_t){source.load('int32_t', 'i', 'source')}"
        more = {
            "kernel_height": height,
            "kernel_width": width,
            "dilation_y": operation.dilation[0],
            "dilation_x": operation.dilation[1],
            "source_type": source.element,
            "type": "uint32_t" if lanes > 1 else kind,
            "product": _aligned(f"{x} * {cast}*tap", factor, lanes),
        }
        return self._share("convolution_of_values.c", "convolve_values", {**values, **more})

    def _sums(self, operation: Linear | Convolution, index: str) -> tuple[str, int, str]:
        """The type of sums of products, the factor that aligns products, and the aligned bias."""
        source = self.layout.array(operation.sources[0])
        width = self.layout.array(operation.name).width
        products = source.fraction_bits + self.graph.codes[operation.weight].format.fraction_bits
        if operation.bias is None:
            return computing(width), 1, "0"
        codes = self.graph.codes[operation.bias]
        aligned = alignment.terms(products, codes.format.fraction_bits)
        factors = unit(aligned.one_shift), unit(aligned.other_shift)
        kind = computing(width, *factors)
        if codes.array.size == 1:
            return kind, factors[0], c_integer(self._scalar(operation.bias) * factors[1])
        self._array(operation.bias)
        bias = self._place_of(operation.bias).load(kind, index)
        return kind, factors[0], times(bias, factors[1])

    @_write.register
    def _(self, operation: Pool) -> str:
        (name,) = operation.sources
        source, target, before = self.layout.place(name), self.layout.place(operation.name), self.layout.array(name)
        channels, height, width = before.shape
        _, rows, columns = self.layout.array(operation.name).shape
        sizes = f"{channels}u, {height}u, {width}u, {target.pointer}, {rows}u, {columns}u"
        windows = {
            "kernel_y": operation.kernel[0],
            "kernel_x": operation.kernel[1],
            "stride_y": operation.stride[0],
            "stride_x": operation.stride[1],
            "padding_y": operation.padding[0],
            "padding_x": operation.padding[1],
        }
        largest = operation.kind is PoolKind.MAX
        if largest and source.holds_spikes and target.holds_spikes:
            overlap = operation.kernel[0] > operation.stride[0] or operation.kernel[1] > operation.stride[1]
            function = self._share("pool_of_spikes.c", "pool_spikes", {**windows, "overlap": overlap})
            return f"    snn_{function}({source.pointer}, {sizes});"
        kind = computing(self.layout.array(operation.name).width, before.low)
        function = self._share(
            "pool.c",
            "pool",
            {
                **windows,
                "what": "largest" if largest else "sum",
                "source_type": source.element,
                "target_type": target.element,
                "type": kind,
                "initial": c_integer(before.low) if largest else "0",
                "value": source.load(kind, "i", "source"),
                "reduce": "result = value > result ? value : result;" if largest else "result += value;",
                "store": target.store("o", "result", "target"),
            },
        )
        return f"    snn_{function}({source.pointer}, {sizes});"

    @_write.register
    def _(self, operation: IntegrateAndFire) -> str:
        layout = self.layout
        membranes = layout.place(operation.membrane_name).pointer
        spikes = "" if operation.threshold is None else f", {layout.place(operation.name).pointer}"
        stream = f"snn_stream({c_unsigned(operation.key)}, state->sample, state->step)"
        draws = _draws(self._neurons(operation).rounding)
        convolution = layout.convolutions.get(operation.name)
        count = layout.elements(operation.name)
        if convolution is None:
            source = layout.place(operation.sources[0])
            function, numbers = self._fire(operation, source)
            key = f", {stream}" if draws else ""
            return f"    snn_{function}({source.pointer}, 0, {count}u, {membranes}{spikes}{key}{numbers});"
        lanes, sums = layout.lanes(convolution), layout.filter_sums(convolution)
        function, numbers = self._fire(operation, sums, lanes)
        area = count // layout.array(convolution.name).shape[0]
        first = f"shift, {WORD // lanes}u, k * {area}u" if lanes > 1 else f"filter * {area}u"
        key = ", key" if draws else ""
        then = f"snn_{function}(sums, {first}, {area}u, {membranes}{spikes}{key}{numbers});"
        return self._convolve(convolution, sums, then, stream if draws else "")

    def _neurons(self, operation: IntegrateAndFire) -> alignment.NeuronAlignment:
        codes = self.graph.codes
        return alignment.of_neurons(
            operation,
            self.layout.array(operation.sources[0]).fraction_bits,
            decay=None if operation.decay is None else codes[operation.decay].format.fraction_bits,
            threshold=None if operation.threshold is None else codes[operation.threshold].format.fraction_bits,
        )

    def _fire(self, operation: IntegrateAndFire, source: Place, lanes: int = 1) -> tuple[str, str]:
        """The function of neurons, whose source may have several sums in a word; and numbers that it takes."""
        aligned, fmt = self._neurons(operation), operation.membrane.format
        to = aligned.rounding
        shape = self.layout.array(operation.name).shape
        width = self.graph.accumulator(operation.name, Purpose.CHARGED).width
        threshold, need, compared = None, 0, "int32_t"
        if operation.threshold is not None:
            threshold = self.graph.codes[operation.threshold]
            compared_width = self.graph.accumulator(operation.name, Purpose.COMPARED).width
            compared = computing(compared_width, unit(aligned.compare_shift), unit(aligned.threshold_shift))
            if threshold.array.size == 1:
                # u << a >= t if and only if u is at least t >> a, rounded up.
                need = -(-(int(threshold.array.flat[0]) << aligned.threshold_shift) >> aligned.compare_shift)
        charged, numbers = self._charged(operation, aligned, shape)
        kind = computing(width, need, aligned.one, *numbers.values(), *_rounding_constants(to))
        fires = operation.threshold is not None
        rounding = _rounded("u", to, kind)
        if to.drop and not _draws(to):
            numbers["drop"] = to.drop
            rounding[0] = "u = (u + half) >> drop;" if to.rounding == NEAREST else "u >>= drop;"
        level, fired = "", ""
        if operation.threshold is not None and threshold is not None:
            if threshold.array.size == 1:
                self._scalar(operation.threshold)
                numbers["threshold"] = need
                fired = "u >= threshold"
            else:
                compared = "int64_t" if kind == "int64_t" else compared
                level = times(self._element(operation.threshold, shape, compared), unit(aligned.threshold_shift))
                fired = f"{times(f'({compared})u', unit(aligned.compare_shift))} >= threshold"
        place = self.layout.place(operation.membrane_name)
        types = {"drop": "uint32_t"}
        name = self._share(
            "neurons.c",
            "fire",
            {
                "comment": _equations(operation),
                "source_type": source.element,
                "shared": lanes > 1,
                "parameters": "".join(f", {types.get(name, kind)} {name}" for name in numbers),
                "rounds": "drop" in numbers and to.rounding == NEAREST,
                "fires": fires,
                "levels": bool(level),
                "draws": _draws(to),
                "turns": WORD % fmt.bits == 0,
                "type": kind,
                "value": f"({kind})(source[i - first] >> shift & mask) - zero"
                if lanes > 1
                else source.load(kind, "(i - first)", "source"),
                "compared_type": compared,
                "threshold": level,
                "fired": fired,
                "mask": (1 << fmt.bits) - 1,
                "membrane": place.load(kind, "i", "membranes"),
                "raised": f" + {c_integer(fmt.min_code)}" if fmt.min_code else "",
                "lowered": f" - {c_integer(fmt.min_code)}" if fmt.min_code else "",
                "charged": charged.replace(_UNSEEN, kind),
                "subtracts": fires and operation.reset is None,
                "rounding": "\n        ".join(rounding),
                "resets": fires and operation.reset is not None,
                "reset": c_integer(operation.reset or 0),
                "bits": fmt.bits,
                "rest": WORD - fmt.bits,
            },
        )
        return name, "".join(f", {c_integer(number)}" for number in numbers.values())

    def _charged(
        self, operation: IntegrateAndFire, aligned: alignment.NeuronAlignment, shape: tuple[int, ...]
    ) -> tuple[str, dict[str, int]]:
        """A charged membrane of v and x in C, its type left open; and the numbers in it, by name."""
        one, reset = aligned.one, operation.reset or 0
        decay = None if operation.decay is None else self.graph.codes[operation.decay]
        if operation.decay is None or decay is None or decay.array.size == 1:
            kept = one if operation.decay is None else self._scalar(operation.decay)
            driven = one - kept if operation.decays_input else 1
            numbers = {
                "kept": in_reach(kept << aligned.decay_shift),
                "gain": in_reach(driven << aligned.input_shift),
            }
            if reset and one != kept:
                numbers["leak"] = (one - kept) * reset << aligned.decay_shift
            return "kept * v + gain * x" + (" + leak" if "leak" in numbers else ""), numbers
        numbers = {"kept": unit(aligned.decay_shift), "gain": unit(aligned.input_shift)}
        own = self._element(operation.decay, shape, _UNSEEN)
        lost = f"({c_integer(one)} - {own})"
        decayed = f"{own} * v" + (f" + {lost} * {c_integer(reset)}" if reset else "")
        return f"kept * ({decayed}) + gain * ({f'{lost} * x' if operation.decays_input else 'x'})", numbers

    # -----------------------------------------------------------------------------------------------------------------
    # One value at a time
    # -----------------------------------------------------------------------------------------------------------------

    @_write.register
    def _(self, operation: Sum) -> str:
        finest = self.layout.array(operation.name).fraction_bits
        shifts = [finest - self.layout.array(name).fraction_bits for name in operation.sources]
        kind = computing(self.layout.array(operation.name).width, *map(unit, shifts))
        terms = [
            ("+" if sign > 0 else "-", times(self.layout.place(name).load(kind, "i"), unit(shift)))
            for name, sign, shift in zip(operation.sources, operation.signs, shifts, strict=True)
        ]
        text = " ".join(f"{sign} {term}" for sign, term in terms)
        return self._elementwise(operation, "A sum of arrays.", kind, text.removeprefix("+ "))

    @_write.register
    def _(self, operation: Offset) -> str:
        source = self.layout.array(operation.sources[0])
        codes = self.graph.codes[operation.offset]
        aligned = alignment.terms(source.fraction_bits, codes.format.fraction_bits)
        factors = unit(aligned.one_shift), unit(aligned.other_shift)
        kind = computing(self.layout.array(operation.name).width, *factors)
        x = times(self.layout.place(operation.sources[0]).load(kind, "i"), factors[0])
        offset = times(self._element(operation.offset, source.shape, kind), factors[1])
        return self._elementwise(operation, "An offset.", kind, f"{x} + {offset}")

    @_write.register
    def _(self, operation: Scale) -> str:
        kind = computing(self.layout.array(operation.name).width)
        x = self.layout.place(operation.sources[0]).load(kind, "i")
        factor = self._element(operation.factor, self.layout.array(operation.name).shape, kind)
        return self._elementwise(operation, "A factor.", kind, f"{x} * {factor}")

    @_write.register
    def _(self, operation: Affine) -> str:
        source = self.layout.array(operation.sources[0])
        scale, offset = self.graph.codes[operation.scale], self.graph.codes[operation.offset]
        aligned = alignment.of_affine(
            operation, source.fraction_bits, scale=scale.format.fraction_bits, offset=offset.format.fraction_bits
        )
        factors = unit(aligned.product_shift), unit(aligned.offset_shift)
        width = self.graph.accumulator(operation.name, Purpose.ROUNDED).width
        kind = computing(width, *factors, *_rounding_constants(aligned.rounding))
        channel = _flat_index([1] * operation.axis + [-1] + [1] * (len(source.shape) - operation.axis - 1), source.shape)
        parts = [self._row(name, channel, kind) for name in (operation.scale, operation.offset)]
        x = self.layout.place(operation.sources[0]).load(kind, "i")
        value = f"{times(f'{x} * {parts[0]}', factors[0])} + {times(parts[1], factors[1])}"
        body = [f"{kind} u = {value};", *_rounded("u", aligned.rounding, kind)]
        return self._elementwise(operation, "A scale and an offset per channel, rounded.", kind, "u", body)

    @_write.register
    def _(self, operation: Requantization) -> str:
        source = self.layout.array(operation.sources[0])
        aligned = alignment.of_requantization(operation, source.fraction_bits)
        to, drop = aligned.rounding, aligned.even_drop
        half = (1 << drop >> 1) - 1 if drop else 0
        width = self.graph.accumulator(operation.name, Purpose.ROUNDED).width
        kind = computing(width, half, unit(aligned.shift), *_rounding_constants(to))
        body = [f"{kind} u = {self.layout.place(operation.sources[0]).load(kind, 'i')};"]
        if drop:
            # Half a step, less a little if what is below is even: a tie stays there.
            body.append(f"u = (u + {c_integer(half)} + (u >> {drop} & 1)) >> {drop};")
        body += _rounded(times("u", unit(aligned.shift)), to, kind)
        key = ""
        if _draws(to):
            key = f"snn_stream({c_unsigned(operation.key)}, state->sample, state->step)"
        comment = f"In the format of the layer that takes it, {operation.to.format}."
        return self._elementwise(operation, comment, kind, "u", body, key)

    @_write.register
    def _(self, operation: Permutation) -> str:
        (name,) = operation.sources
        old = self.layout.array(name).shape
        new = self.layout.array(operation.name).shape
        strides = [prod(old[axis + 1 :]) for axis in operation.order]
        terms = []
        for axis, (size, stride) in enumerate(zip(new, strides, strict=True)):
            if size > 1:
                place = _divided("i", prod(new[axis + 1 :]))
                place = place if axis == 0 else f"{place} % {size}u"
                terms.append(place if stride == 1 else f"{place} * {stride}u")
        kind = computing(self.layout.array(operation.name).width)
        value = self.layout.place(name).load(kind, f"({' + '.join(terms) or '0'})")
        return self._elementwise(operation, "Another order of dimensions.", kind, value)

    @_write.register
    def _(self, operation: Concatenation) -> str:
        target = self.layout.array(operation.name)
        inner = prod(target.shape[operation.axis + 1 :])
        whole = target.shape[operation.axis] * inner
        calls, begin = [], 0
        for number, name in enumerate(operation.sources):
            source = self.layout.array(name)
            own = source.shape[operation.axis] * inner
            factor = unit(target.fraction_bits - source.fraction_bits)
            kind = computing(max(target.width, source.width), factor)
            value = times(self.layout.place(name).load(kind, "i"), factor)
            index = f"(i / {own}u * {whole}u + i % {own}u + {begin}u)"
            body = [self.layout.place(operation.name).store(index, value)]
            calls.append(
                self._own(
                    "elementwise.c",
                    operation,
                    {
                        "comment": "Arrays one behind the other.",
                        "takes_input": self.layout.place(name).needs_input,
                        "draws": False,
                        "key": "",
                        "count": source.elements,
                        "body": "\n        ".join(body),
                    },
                    self.layout.place(name),
                    part=number,
                )
            )
            begin += own
        return "\n".join(calls)

    def _elementwise(
        self, operation: Operation, comment: str, kind: str, value: str, body: Sequence[str] = (), key: str = ""
    ) -> str:
        """A loop over all values: some statements, and the value that is stored."""
        places = [self.layout.place(name) for name in operation.sources]
        lines = [*body] if body else [f"{kind} u = {value};"]
        lines.append(self.layout.place(operation.name).store("i", "u"))
        inputs = next((place for place in places if place.needs_input), places[0])
        return self._own(
            "elementwise.c",
            operation,
            {
                "comment": comment,
                "takes_input": inputs.needs_input,
                "draws": bool(key),
                "key": key,
                "count": self.layout.elements(operation.name),
                "body": "\n        ".join(lines),
            },
            inputs,
        )

    # -----------------------------------------------------------------------------------------------------------------
    # Constants
    # -----------------------------------------------------------------------------------------------------------------

    def _scalar(self, name: str) -> int:
        """A constant of one element, which becomes part of the code."""
        self.inline.add(name)
        return int(self.graph.codes[name].array.flat[0])

    def _array(self, name: str, *, transposed: bool = False) -> PackedArray:
        """A constant array; that of a linear layer has the weights of an input one after the other."""
        if (name, transposed) not in self.arrays:
            codes = self.graph.codes[name]
            numbers: NDArray[np.int64] = codes.array.astype(np.int64) - codes.format.min_code
            order = "the outputs of an input one after the other" if transposed else "in their order"
            text = f"{codes.format}, {list(codes.shape)}, {order}"
            again = any(known == name for known, _ in self.arrays)
            member = f"codes_{self._names.of(f'{name} transposed' if again else name)}"
            packed = pack(member, text, numbers.T if transposed else numbers, codes.format.bits)
            # The footprint counts a constant once.
            counted = 0 if again else packed.bits
            self.arrays[name, transposed] = PackedArray(packed.name, packed.comment, counted, packed.words)
        return self.arrays[name, transposed]

    def _weight(self, name: str) -> Place:
        fmt = self.graph.codes[name].format
        return Place("weights", "uint32_t", fmt.bits, fmt.min_code)

    def _place_of(self, name: str) -> Place:
        fmt = self.graph.codes[name].format
        return Place(f"snn_{self._array(name).name}", "uint32_t", fmt.bits, fmt.min_code)

    def _element(self, name: str, shape: tuple[int, ...], kind: str) -> str:
        """The code that goes with value i of an array to whose shape a constant broadcasts."""
        codes = self.graph.codes[name]
        if codes.array.size == 1:
            return c_integer(self._scalar(name))
        padded = [1] * (len(shape) - len(codes.shape)) + list(codes.shape)
        return self._place_of(name).load(kind, f"({_flat_index(padded, shape)})")

    def _row(self, name: str, channel: str, kind: str) -> str:
        """The code of a channel, in the row of the step or the only one."""
        codes: Codes = self.graph.codes[name]
        rows, channels = codes.shape
        if codes.array.size == 1:
            return c_integer(self._scalar(name))
        index = f"({channel})" if rows == 1 else f"(state->step * {channels}u + {channel})"
        return self._place_of(name).load(kind, index)

    # -----------------------------------------------------------------------------------------------------------------
    # Functions
    # -----------------------------------------------------------------------------------------------------------------

    def _is_vector(self, operation: Operation) -> bool:
        return len(self.layout.array(operation.name).shape) == 1

    def _share(self, template: str, name: str, values: Mapping[str, object]) -> str:
        """The name of a function that all operations share whose values are the same."""
        text = fill(template, {"name": _UNSEEN, **values})
        if text not in self._shared:
            number = sum(known.startswith(name) for known in self._shared.values()) + 1
            self._shared[text] = f"{name}_{number}"
            self.functions.append(text.replace(_UNSEEN, self._shared[text]))
        return self._shared[text]

    def _own(
        self, template: str, operation: Operation, values: Mapping[str, object], source: Place, part: int | None = None
    ) -> str:
        """The call of a function of an operation's own."""
        name = f"run_{self.layout.names.of(operation.name)}" + ("" if part is None else f"_part_{part}")
        self.functions.append(fill(template, {"name": name, **values}))
        return f"    snn_{name}(state{', input' if source.needs_input else ''});"


def _flat_index(padded: Sequence[int], shape: tuple[int, ...]) -> str:
    """The number of the element of a constant that goes with value i; -1 is a dimension that it has, of any size."""
    kept = [size != 1 or whole == 1 for size, whole in zip(padded, shape, strict=True)]
    terms, axis = [], 0
    while axis < len(shape):
        end = axis
        while end < len(shape) and kept[end]:
            end += 1
        size = prod(shape[axis:end])
        if end > axis and size > 1:
            index = _divided("i", prod(shape[end:]))
            index = index if prod(shape[:axis]) == 1 else f"{index} % {size}u"
            stride = prod(whole for whole, own in zip(shape[end:], kept[end:], strict=True) if own)
            terms.append(index if stride == 1 else f"{index} * {stride}u")
        axis = max(end, axis + 1)
    return " + ".join(terms) or "0"


def _divided(index: str, by: int) -> str:
    return index if by == 1 else f"{index} / {by}u"


def _narrowest(fmt: QFormat) -> str:
    """The narrowest signed type that holds the codes of a format."""
    bits = fmt.bits + (not fmt.signed)
    return SIGNED[next(width for width in SIGNED if bits <= width)]


def _aligned(product: str, factor: int, lanes: int) -> str:
    if lanes == 1 or factor == 1:
        return times(product, factor)
    return f"{product} * {factor}u"


def _draws(to: CodeRounding) -> bool:
    """Whether rounding draws: without dropped bits it has nothing to decide."""
    return to.rounding == STOCHASTIC and to.drop > 0


def _rounding_constants(to: CodeRounding) -> tuple[int, ...]:
    return (1 << to.drop >> 1, to.lowest, to.highest)


def _rounded(value: str, to: CodeRounding, kind: str) -> list[str]:
    """Statements that make u the code of an accumulator: shift, round, saturate."""
    added = ""
    if to.rounding == NEAREST and to.drop:
        added = f" + {c_integer(1 << to.drop >> 1)}"
    elif _draws(to):
        fraction = (
            f"({kind})({_DRAW} >> {DRAW_BITS - to.drop})"
            if to.drop <= DRAW_BITS
            else f"({kind}){_DRAW} * {c_integer(1 << to.drop - DRAW_BITS)}"
        )
        added = f" + {fraction}"
    total = f"{value}{added}"
    lines = [f"u = ({total}) >> {to.drop};"] if to.drop else [f"u = {total};"] if total != "u" else []
    lowest, highest = c_integer(to.lowest), c_integer(to.highest)
    return [*lines, f"u = u < {lowest} ? {lowest} : u > {highest} ? {highest} : u;"]


def _equations(operation: IntegrateAndFire) -> str:
    """What neurons compute, in words of C."""
    x = "(1 - d) * x" if operation.decays_input else "x"
    lines = ["u = v + x" if operation.decay is None else f"u = d * v + (1 - d) * reset + {x}"]
    if operation.threshold is None:
        lines.append("v = R(u)")
    elif operation.reset is None:
        lines += ["spike = u >= threshold", "v = R(u - spike * threshold)"]
    else:
        lines += ["spike = u >= threshold", "v = spike ? reset : R(u)"]
    return f"Neurons from `first` on: {', '.join(lines)}. R rounds and saturates: {operation.membrane.format}."
