"""Convolutions in C: from spike to spike, or window by window."""

from __future__ import annotations

from math import prod

from qspinn_optuna.export.graph.places import SIGNED, Place, times
from qspinn_optuna.export.graph.sums import sums_of
from qspinn_optuna.export.graph.writer import Writer
from qspinn_optuna.export.packing import WORD, c_integer
from qspinn_optuna.fixed_point import QFormat
from qspinn_optuna.integer.operations import Convolution


def convolution(writer: Writer, operation: Convolution) -> str:
    """The call."""
    _, rows, columns = writer.layout.array(operation.name).shape
    return filter_by_filter(writer, operation, writer.layout.place(operation.name), f"sums += {rows * columns}u;", "")


def filter_by_filter(writer: Writer, operation: Convolution, sums: Place, then: str, key: str) -> str:
    """All filters, and what is to be done with the sums of each, or of those that share words."""
    layout, (name,) = writer.layout, operation.sources
    source, lanes = layout.place(name), layout.lanes(operation)
    filters, channels, *_ = writer.graph.codes[operation.weight].shape
    _, height, width = layout.array(name).shape
    _, rows, columns = layout.array(operation.name).shape
    area = height * width
    # Bits of a sum.
    bits = WORD // lanes
    bias = sums_of(writer, operation, "filter" if lanes == 1 else f"(filter + shift / {bits}u)")[2]
    group = "0" if operation.groups == 1 else f"filter / {filters // operation.groups}u * {channels * area}u"
    return writer.own(
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
            "kernel": _kernel(writer, operation, source, sums),
            "source": source.pointer,
            "first": group,
            "channels": channels,
            "height": height,
            "width": width,
            "weights": writer.array(operation.weight).name,
            "taps": prod(writer.graph.codes[operation.weight].shape[1:]),
            "rows": rows,
            "columns": columns,
            "then": then,
        },
        source,
    )


def _kernel(writer: Writer, operation: Convolution, source: Place, sums: Place) -> str:
    """The function that adds up what one filter, or several side by side, make of their channels."""
    codes, lanes = writer.graph.codes[operation.weight], writer.layout.lanes(operation)
    kind, factor, _ = sums_of(writer, operation, "filter")
    height, width = codes.shape[2:]
    values: dict[str, object] = {
        "sum_type": sums.element,
        "weight_type": "uint32_t" if lanes > 1 else _narrowest(codes.format),
        "taps": height * width,
        "shared": lanes > 1,
        "weight": writer.weight(operation.weight).load("int32_t", "at" if lanes > 1 else "weight", "weights"),
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
        return writer.share("convolution_of_spikes.c", "convolve_spikes", {**values, **more})
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
    return writer.share("convolution_of_values.c", "convolve_values", {**values, **more})


def _narrowest(fmt: QFormat) -> str:
    """The narrowest signed type that holds the codes of a format."""
    bits = fmt.bits + (not fmt.signed) + fmt.is_mid_rise
    return SIGNED[next(width for width in SIGNED if bits <= width)]


def _aligned(product: str, factor: int, lanes: int) -> str:
    if lanes == 1 or factor == 1:
        return times(product, factor)
    return f"{product} * {factor}u"
