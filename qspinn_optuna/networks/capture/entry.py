"""What enters a captured network: its coding, and its codes of a sample."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding
from qspinn_optuna.integer import ValueCoding
from qspinn_optuna.networks.capture.constants import codes_of, grid_format
from qspinn_optuna.networks.capture.errors import CaptureError
from qspinn_optuna.networks.capture.matching import Arrivals
from qspinn_optuna.networks.capture.sources import Arrival
from qspinn_optuna.networks.capture.symbols import Entered, Prepared
from qspinn_optuna.networks.inputs import GRID_BITS

_WIDTHS = (1, 8, GRID_BITS)
"""Of inputs that nothing rounds: wide enough for what other samples hold."""


def coding_of(arrivals: Arrivals, steps: int, input_format: QFormat | None) -> ValueCoding:
    """The coding of what enters.

    Args:
        arrivals: What enters.
        steps: Time steps of a sample.
        input_format: Of an input that nothing rounds; None for that of the values that were seen.

    Raises:
        CaptureError: If nothing rounds an input that is on no grid, or it is rounded in several ways.
    """
    symbols = [arrival.symbol for arrival in arrivals.of_steps]
    first = symbols[0]
    quantization = first.quantization if isinstance(first, Entered) else None
    for symbol in symbols:
        if (symbol.quantization if isinstance(symbol, Entered) else None) != quantization:
            raise CaptureError(f"{first.where} and {symbol.where} are both inputs, of different formats.")
    shape = arrivals.of_steps[0].shape
    if isinstance(first, Entered) and quantization is not None:
        return ValueCoding(shape, quantization, steps, arrivals.repeated, True, first.key)
    fmt = input_format if input_format is not None and isinstance(first, Entered) else _seen_format(arrivals)
    return ValueCoding(shape, ParameterQuantization(fmt, Rounding.NEAREST), steps, arrivals.repeated, False, 0)


def codes(arrivals: Arrivals, coding: ValueCoding) -> NDArray[np.int64]:
    """Codes of the captured sample, [1, steps, ...], or [1, ...] if every step takes the same.

    Raises:
        CaptureError: If the format does not hold a value.
    """
    of_steps = arrivals.of_steps[:1] if coding.repeated else arrivals.of_steps
    fmt = coding.quantization.format
    found = [
        codes_of(arrival.symbol.where, _values(arrival), fmt).array.astype(np.int64).reshape(coding.shape)
        for arrival in of_steps
    ]
    return found[0][None] if coding.repeated else np.stack(found)[None]


def _values(arrival: Arrival) -> Tensor:
    symbol = arrival.symbol
    assert isinstance(symbol, Entered | Prepared)
    return symbol.values[arrival.box]


def _seen_format(arrivals: Arrivals) -> QFormat:
    """A format that holds all that enters."""
    fmt = input_format_of(map(_values, arrivals.of_steps))
    if fmt is None:
        raise CaptureError(
            f"{arrivals.of_steps[0].symbol.where} cannot be captured: what enters the fixed-point part of the network "
            f"is on no grid of {GRID_BITS} bits, and no parameter 'input', or 'layer.input', rounds it. Make the space "
            "of calibrate(network, batches), which finds such inputs."
        )
    return fmt


def input_format_of(inputs: Iterable[Tensor]) -> QFormat | None:
    """The format of inputs that are on a grid already: of 1, 8 or 16 bits, for what other inputs may hold.

    Args:
        inputs: Such inputs.

    Returns:
        The narrowest of these formats that holds them all; None if they are on no grid.
    """
    formats = [grid_format(one) for one in inputs if one.numel()]
    known = [fmt for fmt in formats if fmt is not None]
    if len(known) < len(formats) or not known:
        return None
    signed = any(fmt.signed for fmt in known)
    fraction_bits = max(fmt.fraction_bits for fmt in known)
    needed = max(fmt.integer_bits for fmt in known) + fraction_bits + signed
    width = next((width for width in _WIDTHS if needed <= width), needed)
    if width > GRID_BITS + signed:
        return None
    return QFormat(width - int(signed) - fraction_bits, fraction_bits, signed)
