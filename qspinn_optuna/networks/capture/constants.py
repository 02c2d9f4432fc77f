"""Constants of a graph: parameters in the formats of their configuration, and numbers on a grid."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.fixed_point import QFormat
from qspinn_optuna.integer import Codes, Constant
from qspinn_optuna.networks.capture.errors import CaptureError
from qspinn_optuna.networks.capture.symbols import Known, Shape, Symbols
from qspinn_optuna.networks.inputs import GRID_BITS
from qspinn_optuna.networks.reciprocals import reciprocal_name

FLOAT32_DIGITS = 24
"""Binary digits of a number of float32."""


class Constants:
    """The constants that operations read, each once.

    Args:
        config: Formats of parameters.
        symbols: The arrays of the run.
        reciprocals: Stored factors, by the number of values that are averaged.
    """

    def __init__(self, config: QuantizationConfig, symbols: Symbols, reciprocals: dict[int, float]) -> None:
        self._config = config
        self._symbols = symbols
        self._reciprocals = reciprocals
        self._made: dict[str, Constant] = {}
        self._known: dict[tuple[int, Shape], tuple[Tensor, str]] = {}

    def named(self, names: set[str]) -> tuple[Constant, ...]:
        """The constants that have one of these names, in the order in which they were made."""
        return tuple(constant for name, constant in self._made.items() if name in names)

    def of(self, origins: Tensor, shape: Shape) -> str:
        """Name of the constant of the given elements, in a shape."""
        # Weights are large, and asked for at every step: by the same tensor, which is kept so that it stays the same.
        key = id(origins), shape
        if key not in self._known:
            self._known[key] = origins, self._of(origins, shape)
        return self._known[key][1]

    def parameter(self, name: str, values: Tensor) -> str:
        """Name of a parameter, in the format that the configuration gives it.

        Raises:
            CaptureError: If the configuration does not name it.
        """
        if name not in self._config.parameters:
            raise CaptureError(f"{name} cannot be captured: the configuration does not name it.")
        return self._add(name, codes_of(name, values, self._config[name].format))

    def number(self, value: float, digits: int = GRID_BITS) -> str:
        """Name of a constant of one number, as float32 has it, of at most so many binary digits."""
        return self._add("number", _codes(f"the number {value:g}", torch.tensor([value]).double(), digits))

    def reciprocal(self, count: int) -> str | None:
        """Name of a stored factor 1 / ``count``; None if there is none."""
        if count not in self._reciprocals:
            return None
        return self.parameter(reciprocal_name(count), torch.tensor([self._reciprocals[count]], dtype=torch.float64))

    def _of(self, origins: Tensor, shape: Shape) -> str:
        values = torch.empty(origins.shape, dtype=torch.float64)
        parts = list(self._symbols.among(origins))
        for symbol in parts:
            if not isinstance(symbol, Known):
                raise CaptureError(
                    f"{symbol.where} cannot be captured: what depends on the input is used as a constant."
                )
            here = (origins >= symbol.first) & (origins < symbol.first + symbol.elements)
            values[here] = symbol.values.flatten().double()[origins[here] - symbol.first]
        only = parts[0] if len(parts) == 1 and isinstance(parts[0], Known) else None
        if only is not None and only.name is not None and origins.numel() == only.elements:
            return self.parameter(only.name, values.reshape(shape))
        where = only.where if only is not None else "a constant"
        return self._add(_base(only), _codes(where, values.reshape(shape)))

    def _add(self, name: str, codes: Codes) -> str:
        """A constant, whose name is made unlike those of others with other values."""
        number, tried = 1, name
        while tried in self._made and self._made[tried].codes != codes:
            number += 1
            tried = f"{name}.{number}"
        self._made.setdefault(tried, Constant(tried, codes))
        return tried


def codes_of(name: str, values: Tensor, fmt: QFormat) -> Codes:
    """Values on the grid of a format as codes.

    Raises:
        CaptureError: If they are not.
    """
    scaled = np.ldexp(values.detach().double().numpy(), fmt.fraction_bits)
    codes: NDArray[np.int64] = scaled.astype(np.int64)
    if not np.array_equal(codes, scaled) or codes.min() < fmt.min_code or codes.max() > fmt.max_code:
        raise CaptureError(f"{name} cannot be captured: its values are not on the grid of {fmt}.")
    return Codes(codes, fmt)


def grid_format(values: Tensor, most: int = GRID_BITS) -> QFormat | None:
    """The narrowest format that has all values; None if it takes more bits than ``most`` and a sign."""
    numbers = values.detach().double().flatten()
    largest = float(numbers.abs().max())
    if not math.isfinite(largest):
        return None
    if largest == 0:
        return QFormat(1, 0, signed=False)
    digits = math.frexp(largest)[1]
    fraction = most - digits
    codes = numbers * 2.0**fraction
    if not bool((codes == codes.round()).all()):
        return None
    while bool((codes % 2 == 0).all()):
        codes, fraction = codes / 2, fraction - 1
    signed = bool((codes < 0).any())
    low, high = int(codes.min()), int(codes.max())
    bits = max(high.bit_length(), (-low - 1).bit_length() if signed else 0, 0 if signed else 1)
    return QFormat(bits - fraction, fraction, signed=signed)


def _codes(where: str, values: Tensor, digits: int = GRID_BITS) -> Codes:
    fmt = grid_format(values, digits)
    if fmt is None:
        raise CaptureError(
            f"{where} cannot be captured: its values have more than {GRID_BITS} binary digits. Take numbers of fewer, "
            "such as multiples of 1/256, or make it a parameter of the network, which is quantized."
        )
    return codes_of(where, values, fmt)


def _base(symbol: Known | None) -> str:
    if symbol is None:
        return "constant"
    return symbol.name or "constant"
