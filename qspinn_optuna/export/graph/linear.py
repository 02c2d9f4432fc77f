"""Linear layers in C: from spike to spike, or value by value."""

from __future__ import annotations

from qspinn_optuna.export.graph.places import times
from qspinn_optuna.export.graph.sums import sums_of
from qspinn_optuna.export.graph.writer import Writer
from qspinn_optuna.integer.operations import Linear


def linear(writer: Writer, operation: Linear) -> str:
    """The call."""
    layout, (name,) = writer.layout, operation.sources
    source, sums = layout.place(name), layout.place(operation.name)
    outputs, inputs = writer.graph.codes[operation.weight].shape
    kind, factor, bias = sums_of(
        writer, operation, "i" if len(layout.array(operation.name).shape) == 1 else f"(i % {outputs}u)"
    )
    weight = writer.array(operation.weight, transposed=True)
    product = writer.weight(operation.weight).load(kind, "weight", "weights")
    if source.holds_spikes:
        values = {"sum_type": sums.element, "type": kind, "product": times(product, factor)}
        kernel = writer.share("linear_of_spikes.c", "add_weights_of_spikes", values)
    else:
        values = {
            "source_type": source.element,
            "sum_type": sums.element,
            "type": kind,
            "value": source.load(kind, "i", "source"),
            "product": times(f"x * {product}", factor),
        }
        kernel = writer.share("linear_of_values.c", "add_weights_of_values", values)
    return writer.own(
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
