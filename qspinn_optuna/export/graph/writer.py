"""What becomes of a graph in C: its functions and constant arrays.

A function whose text two operations share is written once.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.export.graph.indices import flat_index
from qspinn_optuna.export.graph.layout import Layout, Names
from qspinn_optuna.export.graph.places import Place
from qspinn_optuna.export.packing import PackedArray, c_integer, pack
from qspinn_optuna.export.templates import fill
from qspinn_optuna.integer import Codes
from qspinn_optuna.integer.operations import Operation

UNNAMED = "UNNAMED"
"""Takes the place of what is known only when a text is whole."""


class Writer:
    """Functions, constant arrays and calls of a graph.

    Args:
        layout: Where its arrays lie.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.graph = layout.schedule.graph
        self.functions: list[str] = []
        self.arrays: dict[tuple[str, bool], PackedArray] = {}
        self.inline: set[str] = set()
        self._names = Names(())
        self._shared: dict[str, str] = {}

    @property
    def inline_bits(self) -> int:
        """Bits of constants that are part of the code."""
        return sum(self.graph.codes[name].bits for name in self.inline)

    def scalar(self, name: str) -> int:
        """A constant of one element, which becomes part of the code."""
        self.inline.add(name)
        return int(self.graph.codes[name].array.flat[0])

    def array(self, name: str, *, transposed: bool = False) -> PackedArray:
        """A constant array; that of a linear layer has the weights of an input one after the other."""
        if (name, transposed) not in self.arrays:
            codes = self.graph.codes[name]
            numbers: NDArray[np.int64] = (codes.array.astype(np.int64) - codes.format.min_code) // codes.format.stride
            order = "the outputs of an input one after the other" if transposed else "in their order"
            text = f"{codes.format}, {list(codes.shape)}, {order}"
            again = any(known == name for known, _ in self.arrays)
            member = f"codes_{self._names.of(f'{name} transposed' if again else name)}"
            packed = pack(member, text, numbers.T if transposed else numbers, codes.format.bits)
            # The footprint counts a constant once.
            counted = 0 if again else packed.bits
            self.arrays[name, transposed] = PackedArray(packed.name, packed.comment, counted, packed.words)
        return self.arrays[name, transposed]

    def weight(self, name: str) -> Place:
        """Weights, in a function that takes them."""
        fmt = self.graph.codes[name].format
        return Place("weights", "uint32_t", fmt.bits, fmt.min_code, stride=fmt.stride)

    def place_of(self, name: str) -> Place:
        """Where a constant array lies."""
        codes = self.graph.codes[name]
        fmt, pointer = codes.format, f"snn_{self.array(name).name}"
        return Place(pointer, "uint32_t", fmt.bits, fmt.min_code, codes.array.size, fmt.stride)

    def element(self, name: str, shape: tuple[int, ...], kind: str) -> str:
        """The code that goes with value i of an array to whose shape a constant broadcasts."""
        codes = self.graph.codes[name]
        if codes.array.size == 1:
            return c_integer(self.scalar(name))
        padded = [1] * (len(shape) - len(codes.shape)) + list(codes.shape)
        return self.place_of(name).load(kind, f"({flat_index(padded, shape)})")

    def row(self, name: str, channel: str, kind: str) -> str:
        """The code of a channel, in the row of the step or the only one."""
        codes: Codes = self.graph.codes[name]
        rows, channels = codes.shape
        if codes.array.size == 1:
            return c_integer(self.scalar(name))
        index = f"({channel})" if rows == 1 else f"(state->step * {channels}u + {channel})"
        return self.place_of(name).load(kind, index)

    def share(self, template: str, name: str, values: Mapping[str, object]) -> str:
        """The name of a function that all operations share whose values are the same."""
        text = fill(template, {"name": UNNAMED, **values})
        if text not in self._shared:
            number = sum(known.startswith(name) for known in self._shared.values()) + 1
            self._shared[text] = f"{name}_{number}"
            self.functions.append(text.replace(UNNAMED, self._shared[text]))
        return self._shared[text]

    def own(
        self, template: str, operation: Operation, values: Mapping[str, object], source: Place, part: int | None = None
    ) -> str:
        """The call of a function of an operation's own."""
        name = f"run_{self.layout.names.of(operation.name)}" + ("" if part is None else f"_part_{part}")
        self.functions.append(fill(template, {"name": name, **values}))
        return f"    snn_{name}(state{', input' if source.needs_input else ''});"
