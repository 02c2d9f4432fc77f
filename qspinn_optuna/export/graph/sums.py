"""Sums of products with a bias, of linear layers and convolutions."""

from __future__ import annotations

from qspinn_optuna.export.graph.places import computing, times, unit
from qspinn_optuna.export.graph.writer import Writer
from qspinn_optuna.export.packing import c_integer
from qspinn_optuna.integer import alignment
from qspinn_optuna.integer.operations import Convolution, Linear


def sums_of(writer: Writer, operation: Linear | Convolution, index: str) -> tuple[str, int, str]:
    """The type of sums of products, the factor that aligns products, and the aligned bias."""
    source = writer.layout.array(operation.sources[0])
    width = writer.layout.array(operation.name).width
    products = source.fraction_bits + writer.graph.codes[operation.weight].format.fraction_bits
    if operation.bias is None:
        return computing(width), 1, "0"
    codes = writer.graph.codes[operation.bias]
    aligned = alignment.terms(products, codes.format.fraction_bits)
    factors = unit(aligned.one_shift), unit(aligned.other_shift)
    kind = computing(width, *factors)
    if codes.array.size == 1:
        return kind, factors[0], c_integer(writer.scalar(operation.bias) * factors[1])
    writer.array(operation.bias)
    bias = writer.place_of(operation.bias).load(kind, index)
    return kind, factors[0], times(bias, factors[1])
