"""Where each array of a graph lies while a step runs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

from qspinn_optuna.export.graph.buffers import Buffer, Lifetime, share
from qspinn_optuna.export.graph.places import SIGNED, Place, words
from qspinn_optuna.export.graph.schedule import Schedule
from qspinn_optuna.export.packing import WORD
from qspinn_optuna.export.program import Member
from qspinn_optuna.export.templates import KEYWORDS
from qspinn_optuna.integer import INPUT, Array, IntegerModel, ValueCoding
from qspinn_optuna.integer.codes import narrowest_type
from qspinn_optuna.integer.operations import (
    Convolution,
    Delay,
    IntegrateAndFire,
    Linear,
    Pool,
    PoolKind,
    Requantization,
)

_WORD_BYTES = 4
_END = 2**31
"""Later than any operation."""


class Names:
    """Identifiers of C for any names, each its own."""

    def __init__(self, reserved: Iterable[str]) -> None:
        self._taken = set(reserved)
        self._found: dict[str, str] = {}

    def of(self, name: str) -> str:
        """The identifier of a name, the same every time."""
        if name not in self._found:
            # Capitals are left to macros.
            base = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "array"
            base = base if base[0].isalpha() else f"n{base}"
            found, number = base, 2
            while found in self._taken:
                found, number = f"{base}_{number}", number + 1
            self._taken.add(found)
            self._found[name] = found
        return self._found[name]


@dataclass(frozen=True)
class Held:
    """A packed array that lives from step to step, or in which spikes are kept to be shown.

    Args:
        name: Of the member in C.
        place: Where it lies.
        count: Codes.
        start: Code before the first step.
        member: As the report names it.
    """

    name: str
    place: Place
    count: int
    start: int
    member: Member

    @property
    def resets(self) -> bool:
        """Whether the code before the first step is of any account."""
        return self.start != _UNSET


_UNSET = _END
"""No code."""


@dataclass(frozen=True)
class Layout:
    """The memory of a graph.

    Args:
        model: The graph.
    """

    model: IntegerModel
    names: Names = field(init=False)
    schedule: Schedule = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "schedule", Schedule(self.model))
        object.__setattr__(self, "names", Names(_RESERVED))

    @property
    def coding(self) -> ValueCoding:
        """Of the input."""
        return cast(ValueCoding, self.model.coding)

    @property
    def input_type(self) -> str:
        """Type of an input's code in C."""
        return f"{narrowest_type(self.schedule.graph.input_format).__name__}_t"

    def array(self, name: str) -> Array:
        """What is known of an array."""
        return self.schedule.graph.array(name)

    def place(self, name: str) -> Place:
        """Where an array lies."""
        return self._places[self.schedule.root(name)]

    def elements(self, name: str) -> int:
        """Number of codes of an array."""
        return self.array(name).elements

    @cached_property
    def held(self) -> dict[str, Held]:
        """Packed arrays, by the name of the array."""
        found: dict[str, Held] = {}
        if self._input_is_packed:
            bits = self.coding.state_bits
            found[INPUT] = self._hold(INPUT, Place("", "uint32_t", 1), _UNSET, "input, a bit each", bits)
        for operation in self.schedule.order:
            if isinstance(operation, IntegrateAndFire):
                fmt, name = operation.membrane.format, operation.membrane_name
                place = Place("", "uint32_t", fmt.bits, fmt.min_code)
                bits = fmt.bits * self.elements(name)
                found[name] = self._hold(name, place, operation.start, f"membranes, {fmt}", bits)
                if operation.threshold is not None or operation.name in {*self.schedule.readers, self.schedule.scores}:
                    start = 0 if operation.threshold is None else _UNSET
                    place = Place("", "uint32_t", 1)
                    found[operation.name] = self._hold(operation.name, place, start, "spikes of a step", 0)
            elif isinstance(operation, Delay):
                fmt = operation.format
                place = Place("", "uint32_t", fmt.bits, fmt.min_code)
                bits = fmt.bits * self.elements(operation.name)
                found[operation.name] = self._hold(operation.name, place, 0, f"kept from the step before, {fmt}", bits)
            elif isinstance(operation, Requantization):
                fmt = operation.to.format
                place = Place("", "uint32_t", fmt.bits, fmt.min_code)
                bits = fmt.bits * self.elements(operation.name)
                found[operation.name] = self._hold(operation.name, place, _UNSET, f"what a layer takes, {fmt}", bits)
        return found

    @cached_property
    def buffers(self) -> list[Buffer]:
        """Arrays that live for a part of a step."""
        return share(self._lifetimes)

    def filter_sums(self, convolution: Convolution) -> Place:
        """Where the sums of a filter lie, of a convolution that neurons alone take."""
        return self._buffered[convolution.name]

    def lanes(self, convolution: Convolution) -> int:
        """How many filters are computed at a time: as many sums as a word has room for, if neurons take them."""
        if convolution.name not in self._fused:
            return 1
        most = max(WORD // self.array(convolution.name).width, 1)
        same_channels = len(self.schedule.graph.codes[convolution.weight].array) // convolution.groups
        return max(lanes for lanes in (1, 2, 4) if lanes <= most and same_channels % lanes == 0)

    # -----------------------------------------------------------------------------------------------------------------

    @cached_property
    def _input_is_packed(self) -> bool:
        """Whether the input is spikes, and a layer takes them: it goes from spike to spike."""
        fmt = self.schedule.graph.input_format
        layers = any(isinstance(reader, Convolution | Linear) for reader in self.schedule.readers.get(INPUT, []))
        return fmt.bits == 1 and not fmt.signed and layers

    @cached_property
    def _places(self) -> dict[str, Place]:
        places = {INPUT: Place("input", self.input_type)}
        places |= {name: held.place for name, held in self.held.items()}
        return places | {name: place for name, place in self._buffered.items() if name not in self._fused}

    @property
    def _fused(self) -> set[str]:
        return {convolution.name for convolution in self.schedule.convolutions.values()}

    @cached_property
    def _buffered(self) -> dict[str, Place]:
        """Places in buffers, by the name of the array."""
        where = {array.name: buffer.name for buffer in self.buffers for array in buffer.arrays}
        found = {}
        for name in self._unpacked:
            member = self.names.of(name)
            element, bits = self._element(name)
            found[name] = Place(f"state->{where[member]}.{member}", element, bits)
        return found

    @property
    def _unpacked(self) -> list[str]:
        """Arrays that live for a part of a step."""
        return [
            name
            for name, operation in self.schedule.operations.items()
            if not isinstance(operation, IntegrateAndFire)
            and self.schedule.root(name) == name
            and name not in self.held
        ]

    def _element(self, name: str) -> tuple[str, int]:
        """Type of an element, and the bits of a packed code."""
        array, operation = self.array(name), self.schedule.operations[name]
        adds_up = isinstance(operation, Convolution | Linear) or (
            isinstance(operation, Pool) and operation.kind is PoolKind.SUM
        )
        if not adds_up and array.low >= 0 and array.high <= 1:
            return "uint32_t", 1
        if isinstance(operation, Convolution) and self.lanes(operation) > 1:
            return "uint32_t", 0
        return SIGNED[array.width], 0

    @property
    def _lifetimes(self) -> list[Lifetime]:
        found = []
        moments = {operation.name: number for number, operation in enumerate(self.schedule.order)}
        owners = {convolution.name: neurons for neurons, convolution in self.schedule.convolutions.items()}
        for name in self._unpacked:
            element, bits = self._element(name)
            born = moments[owners.get(name, name)]
            count = self.elements(name)
            dies = born
            if name in owners:
                count //= self.array(name).shape[0]
            else:
                for reader in self.schedule.readers.get(name, []):
                    moment = moments[owners.get(reader.name, reader.name)]
                    dies = max(dies, _END if isinstance(reader, Delay) else moment)
                if name == self.schedule.scores:
                    dies = _END
            count = words(count) if bits else count
            size = count * (_WORD_BYTES if element == "uint32_t" else self.array(name).width // 8)
            found.append(Lifetime(self.names.of(name), element, count, size, born, dies))
        return found

    def _hold(self, name: str, place: Place, start: int, purpose: str, bits: int) -> Held:
        member = self.names.of(name)
        count = self.elements(name)
        there = Place(f"state->{member}", place.element, place.bits, place.lowest, count)
        return Held(member, there, count, start, Member(member, purpose, bits))


_RESERVED = (*KEYWORDS, "bool", "true", "false", "linux", "unix", "sample", "step", "scores")
"""Keywords of C, what some compilers define, and members that every state has."""
