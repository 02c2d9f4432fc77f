"""What computes one value of one value each, in C."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from qspinn_optuna.export.graph.indices import divided, flat_index
from qspinn_optuna.export.graph.places import computing, times, unit
from qspinn_optuna.export.graph.rounding import draws_of, rounded, rounding_constants
from qspinn_optuna.export.graph.writer import Writer
from qspinn_optuna.export.packing import c_integer, c_unsigned
from qspinn_optuna.integer import Purpose, alignment
from qspinn_optuna.integer.operations import (
    Affine,
    Concatenation,
    Delay,
    Offset,
    Operation,
    Permutation,
    Requantization,
    Scale,
    Sum,
)


def sum_of(writer: Writer, operation: Sum) -> str:
    """The call."""
    finest = writer.layout.array(operation.name).fraction_bits
    shifts = [finest - writer.layout.array(name).fraction_bits for name in operation.sources]
    kind = computing(writer.layout.array(operation.name).width, *map(unit, shifts))
    terms = [
        ("+" if sign > 0 else "-", times(writer.layout.place(name).load(kind, "i"), unit(shift)))
        for name, sign, shift in zip(operation.sources, operation.signs, shifts, strict=True)
    ]
    text = " ".join(f"{sign} {term}" for sign, term in terms)
    return _elementwise(writer, operation, "A sum of arrays.", kind, text.removeprefix("+ "))


def offset(writer: Writer, operation: Offset) -> str:
    """The call."""
    source = writer.layout.array(operation.sources[0])
    codes = writer.graph.codes[operation.offset]
    aligned = alignment.terms(source.fraction_bits, codes.format.fraction_bits)
    factors = unit(aligned.one_shift), unit(aligned.other_shift)
    kind = computing(writer.layout.array(operation.name).width, *factors)
    x = times(writer.layout.place(operation.sources[0]).load(kind, "i"), factors[0])
    offset = times(writer.element(operation.offset, source.shape, kind), factors[1])
    return _elementwise(writer, operation, "An offset.", kind, f"{x} + {offset}")


def scale(writer: Writer, operation: Scale) -> str:
    """The call."""
    kind = computing(writer.layout.array(operation.name).width)
    x = writer.layout.place(operation.sources[0]).load(kind, "i")
    factor = writer.element(operation.factor, writer.layout.array(operation.name).shape, kind)
    return _elementwise(writer, operation, "A factor.", kind, f"{x} * {factor}")


def affine(writer: Writer, operation: Affine) -> str:
    """The call."""
    source = writer.layout.array(operation.sources[0])
    codes, offset = writer.graph.codes, operation.offset
    multiplied = alignment.factors_of(operation, codes[operation.scale])
    aligned = alignment.of_affine(
        operation,
        source.fraction_bits,
        scale=multiplied.fraction_bits,
        offset=None if offset is None else codes[offset].format.fraction_bits,
    )
    factors = unit(aligned.product_shift), unit(aligned.offset_shift)
    width = writer.graph.accumulator(operation.name, Purpose.ROUNDED).width
    kind = computing(width, *factors, *rounding_constants(aligned.rounding))
    channel = flat_index([1] * operation.axis + [-1] + [1] * (len(source.shape) - operation.axis - 1), source.shape)
    x = writer.layout.place(operation.sources[0]).load(kind, "i")
    factor = writer.row(operation.scale, channel, kind)
    if operation.shifts:
        # A shift of 1, which is never negative: compilers make one of the product.
        factor = f"(({kind})1 << ({factor} + {c_integer(multiplied.fraction_bits)}))"
    value = times(f"{x} * {factor}", factors[0])
    if offset is not None:
        value += f" + {times(writer.row(offset, channel, kind), factors[1])}"
    body = [f"{kind} u = {value};", *rounded("u", aligned.rounding, kind)]
    return _elementwise(writer, operation, "A scale and an offset per channel, rounded.", kind, "u", body)


def requantization(writer: Writer, operation: Requantization) -> str:
    """The call."""
    source = writer.layout.array(operation.sources[0])
    aligned = alignment.of_requantization(operation, source.fraction_bits)
    to, drop = aligned.rounding, aligned.even_drop
    half = (1 << drop >> 1) - 1 if drop else 0
    width = writer.graph.accumulator(operation.name, Purpose.ROUNDED).width
    kind = computing(width, half, unit(aligned.shift), *rounding_constants(to))
    body = [f"{kind} u = {writer.layout.place(operation.sources[0]).load(kind, 'i')};"]
    if drop:
        # Half a step, less a little if what is below is even: a tie stays there.
        body.append(f"u = (u + {c_integer(half)} + (u >> {drop} & 1)) >> {drop};")
    body += rounded(times("u", unit(aligned.shift)), to, kind)
    key = ""
    if draws_of(to):
        key = f"snn_stream({c_unsigned(operation.key)}, state->sample, state->step)"
    comment = f"In the format of the layer that takes it, {operation.to.format}."
    return _elementwise(writer, operation, comment, kind, "u", body, key)


def permutation(writer: Writer, operation: Permutation) -> str:
    """The call."""
    (name,) = operation.sources
    old = writer.layout.array(name).shape
    new = writer.layout.array(operation.name).shape
    strides = [prod(old[axis + 1 :]) for axis in operation.order]
    terms = []
    for axis, (size, stride) in enumerate(zip(new, strides, strict=True)):
        if size > 1:
            place = divided("i", prod(new[axis + 1 :]))
            place = place if axis == 0 else f"{place} % {size}u"
            terms.append(place if stride == 1 else f"{place} * {stride}u")
    kind = computing(writer.layout.array(operation.name).width)
    value = writer.layout.place(name).load(kind, f"({' + '.join(terms) or '0'})")
    return _elementwise(writer, operation, "Another order of dimensions.", kind, value)


def concatenation(writer: Writer, operation: Concatenation) -> str:
    """The call."""
    target = writer.layout.array(operation.name)
    inner = prod(target.shape[operation.axis + 1 :])
    whole = target.shape[operation.axis] * inner
    calls, begin = [], 0
    for number, name in enumerate(operation.sources):
        source = writer.layout.array(name)
        own = source.shape[operation.axis] * inner
        factor = unit(target.fraction_bits - source.fraction_bits)
        kind = computing(max(target.width, source.width), factor)
        value = times(writer.layout.place(name).load(kind, "i"), factor)
        index = f"(i / {own}u * {whole}u + i % {own}u + {begin}u)"
        body = [writer.layout.place(operation.name).store(index, value)]
        calls.append(
            writer.own(
                "elementwise.c",
                operation,
                {
                    "comment": "Arrays one behind the other.",
                    "takes_input": writer.layout.place(name).needs_input,
                    "draws": False,
                    "key": "",
                    "count": source.elements,
                    "body": "\n        ".join(body),
                },
                writer.layout.place(name),
                part=number,
            )
        )
        begin += own
    return "\n".join(calls)


def delay(writer: Writer, operation: Delay) -> str:
    """What the end of a step runs, so that the next finds the array."""
    (source,) = operation.sources
    factor = unit(operation.format.fraction_bits - writer.layout.array(source).fraction_bits)
    kind = computing(writer.layout.array(source).width, factor, operation.format.max_code)
    value = times(writer.layout.place(source).load(kind, "i"), factor)
    return _elementwise(writer, operation, f"Kept until the next step, {operation.format}.", kind, value)


def _elementwise(
    writer: Writer, operation: Operation, comment: str, kind: str, value: str, body: Sequence[str] = (), key: str = ""
) -> str:
    """A loop over all values: some statements, and the value that is stored."""
    places = [writer.layout.place(name) for name in operation.sources]
    lines = [*body] if body else [f"{kind} u = {value};"]
    lines.append(writer.layout.place(operation.name).store("i", "u"))
    inputs = next((place for place in places if place.needs_input), places[0])
    return writer.own(
        "elementwise.c",
        operation,
        {
            "comment": comment,
            "takes_input": inputs.needs_input,
            "draws": bool(key),
            "key": key,
            "count": writer.layout.elements(operation.name),
            "body": "\n        ".join(lines),
        },
        inputs,
    )
