"""Pools in C."""

from __future__ import annotations

from qspinn_optuna.export.graph.places import computing
from qspinn_optuna.export.graph.writer import Writer
from qspinn_optuna.export.packing import c_integer
from qspinn_optuna.integer.operations import Pool, PoolKind


def pool(writer: Writer, operation: Pool) -> str:
    """The call."""
    (name,) = operation.sources
    source, target, before = writer.layout.place(name), writer.layout.place(operation.name), writer.layout.array(name)
    channels, height, width = before.shape
    _, rows, columns = writer.layout.array(operation.name).shape
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
        function = writer.share("pool_of_spikes.c", "pool_spikes", {**windows, "overlap": overlap})
        return f"    snn_{function}({source.pointer}, {sizes});"
    kind = computing(writer.layout.array(operation.name).width, before.low)
    function = writer.share(
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
