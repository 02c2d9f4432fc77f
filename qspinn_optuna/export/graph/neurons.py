"""Neurons in C."""

from __future__ import annotations

from typing import NamedTuple

from qspinn_optuna.export.graph.convolution import filter_by_filter
from qspinn_optuna.export.graph.places import Place, computing, in_reach, times, unit
from qspinn_optuna.export.graph.rounding import draws_of, rounded, rounding_constants
from qspinn_optuna.export.graph.writer import UNNAMED, Writer
from qspinn_optuna.export.packing import WORD, c_integer, c_unsigned
from qspinn_optuna.fixed_point.integer_rounding import NEAREST
from qspinn_optuna.integer import Purpose, alignment
from qspinn_optuna.integer.operations import IntegrateAndFire


def neurons(writer: Writer, operation: IntegrateAndFire) -> str:
    """The call."""
    layout = writer.layout
    membranes = layout.place(operation.membrane_name).pointer
    spikes = "" if operation.threshold is None else f", {layout.place(operation.name).pointer}"
    stream = f"snn_stream({c_unsigned(operation.key)}, state->sample, state->step)"
    draws = draws_of(_alignment(writer, operation).rounding)
    convolution = layout.schedule.convolutions.get(operation.name)
    count = layout.elements(operation.name)
    if convolution is None:
        source = layout.place(operation.sources[0])
        function, numbers = _fire(writer, operation, source)
        key = f", {stream}" if draws else ""
        return f"    snn_{function}({source.pointer}, 0, {count}u, {membranes}{spikes}{key}{numbers});"
    lanes, sums = layout.lanes(convolution), layout.filter_sums(convolution)
    function, numbers = _fire(writer, operation, sums, lanes)
    area = count // layout.array(convolution.name).shape[0]
    first = f"shift, {WORD // lanes}u, k * {area}u" if lanes > 1 else f"filter * {area}u"
    key = ", key" if draws else ""
    then = f"snn_{function}(sums, {first}, {area}u, {membranes}{spikes}{key},\n                {numbers[2:]});"
    return filter_by_filter(writer, convolution, sums, then, stream if draws else "")


def _alignment(writer: Writer, operation: IntegrateAndFire) -> alignment.NeuronAlignment:
    codes = writer.graph.codes
    return alignment.of_neurons(
        operation,
        writer.layout.array(operation.sources[0]).fraction_bits,
        decay=None if operation.decay is None else codes[operation.decay].format.fraction_bits,
        threshold=None if operation.threshold is None else codes[operation.threshold].format.fraction_bits,
    )


class _Firing(NamedTuple):
    """How neurons fire.

    Args:
        type: What is compared, in C.
        threshold: That of neuron i, in C; empty if all have one, which is a number that the function takes.
        fired: Whether u reaches it, in C.
        number: The threshold of all, on the grid of u.
    """

    type: str
    threshold: str
    fired: str
    number: int | None


def _firing(writer: Writer, operation: IntegrateAndFire, aligned: alignment.NeuronAlignment) -> _Firing | None:
    """How neurons fire; None if they never do."""
    if operation.threshold is None:
        return None
    codes = writer.graph.codes[operation.threshold]
    if codes.array.size == 1:
        threshold = writer.scalar(operation.threshold) << aligned.threshold_shift
        # u << a >= t if and only if u is at least t >> a, rounded up.
        return _Firing("", "", "u >= threshold", -(-threshold >> aligned.compare_shift))
    down, across = unit(aligned.threshold_shift), unit(aligned.compare_shift)
    kind = computing(writer.graph.accumulator(operation.name, Purpose.COMPARED).width, down, across)
    shape = writer.layout.array(operation.name).shape
    threshold_text = times(writer.element(operation.threshold, shape, kind), down)
    return _Firing(kind, threshold_text, f"{times(f'({kind})u', across)} >= threshold", None)


def _fire(writer: Writer, operation: IntegrateAndFire, source: Place, lanes: int = 1) -> tuple[str, str]:
    """The function of neurons, whose source may have several sums in a word; and the numbers that it takes, in C."""
    aligned, fmt = _alignment(writer, operation), operation.membrane.format
    to, firing = aligned.rounding, _firing(writer, operation, aligned)
    charged, numbers = _charged(writer, operation, aligned)
    if firing is not None and firing.number is not None:
        numbers["threshold"] = firing.number
    width = writer.graph.accumulator(operation.name, Purpose.CHARGED).width
    kind = computing(width, aligned.one, *numbers.values(), *rounding_constants(to))
    rounding = rounded("u", to, kind)
    if to.drop and not draws_of(to):
        rounding[0] = "u >>= drop;"
        if to.rounding == NEAREST:
            rounding[0] = "u = (u + half) >> drop;"
            numbers["half"] = 1 << to.drop >> 1
        numbers["drop"] = to.drop
    types = {"drop": "uint32_t"}
    lowest = c_integer(fmt.min_code)
    x = source.load(kind, "(i - first)", "source")
    name = writer.share(
        "neurons.c",
        "fire",
        {
            "comment": _equations(operation),
            "source_type": source.element,
            "shared": lanes > 1,
            "parameters": "".join(f", {types.get(number, kind)} {number}" for number in numbers),
            "fires": firing is not None,
            "levels": firing is not None and firing.number is None,
            "draws": draws_of(to),
            "turns": WORD % fmt.bits == 0,
            "type": kind,
            "value": f"({kind})(source[i - first] >> shift & mask) - zero" if lanes > 1 else x,
            "compared_type": firing.type if firing else "",
            "threshold": firing.threshold if firing else "",
            "fired": firing.fired if firing else "",
            "mask": (1 << fmt.bits) - 1,
            "membrane": writer.layout.place(operation.membrane_name).load(kind, "i", "membranes"),
            "raised": f" + {lowest}" if fmt.min_code else "",
            "lowered": f" - {lowest}" if fmt.min_code else "",
            "charged": charged.replace(UNNAMED, kind),
            "subtracts": firing is not None and operation.reset is None,
            "rounding": "\n        ".join(rounding),
            "resets": firing is not None and operation.reset is not None,
            "reset": c_integer(operation.reset or 0),
            "bits": fmt.bits,
            "rest": WORD - fmt.bits,
        },
    )
    return name, "".join(f", {c_integer(number)}" for number in numbers.values())


def _charged(
    writer: Writer, operation: IntegrateAndFire, aligned: alignment.NeuronAlignment
) -> tuple[str, dict[str, int]]:
    """A charged membrane of v and x in C, its type left open; and the numbers in it, by name."""
    one, reset = aligned.one, operation.reset or 0
    decay = None if operation.decay is None else writer.graph.codes[operation.decay]
    if operation.decay is None or decay is None or decay.array.size == 1:
        kept = one if operation.decay is None else writer.scalar(operation.decay)
        driven = one - kept if operation.decays_input else 1
        numbers = {
            "kept": in_reach(kept << aligned.decay_shift),
            "gain": in_reach(driven << aligned.input_shift),
        }
        if reset and one != kept:
            numbers["leak"] = (one - kept) * reset << aligned.decay_shift
        return "kept * v + gain * x" + (" + leak" if "leak" in numbers else ""), numbers
    numbers = {"kept": unit(aligned.decay_shift), "gain": unit(aligned.input_shift)}
    own = writer.element(operation.decay, writer.layout.array(operation.name).shape, UNNAMED)
    lost = f"({c_integer(one)} - {own})"
    decayed = f"{own} * v" + (f" + {lost} * {c_integer(reset)}" if reset else "")
    return f"kept * ({decayed}) + gain * ({f'{lost} * x' if operation.decays_input else 'x'})", numbers


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
    lines.append(f"where R rounds and saturates: {operation.membrane.format}")
    return "\n".join(f" *     {line}" for line in lines)
