"""The graph that a device runs at every step, of the operations of the last one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from qspinn_optuna.fixed_point import QFormat
from qspinn_optuna.integer import INPUT, Constant, Graph, operations
from qspinn_optuna.networks.capture.constants import Constants
from qspinn_optuna.networks.capture.errors import CaptureError
from qspinn_optuna.networks.capture.matching import Matching
from qspinn_optuna.networks.capture.sources import Arrival, Emitted, Result, Source, Zeros


class Assembly:
    """A graph of the operations of the last step.

    Args:
        matching: Which operations of earlier steps are the same.
        last: The last step.
        input_format: Of what enters the network.
    """

    def __init__(self, matching: Matching, last: int, input_shape: tuple[int, ...], input_format: QFormat) -> None:
        self._matching = matching
        self._last = last
        self._input_shape = input_shape
        self._input_format = input_format
        self._operations: list[operations.Operation] = []
        self._names: dict[tuple[int, bool], str] = {}
        self._taken = {INPUT}
        self._delays: dict[tuple[Any, ...], str] = {}
        self._pending: list[tuple[int, Source, str]] = []
        self._settled: set[str] = set()

    def name_of(self, source: Source, step: int | None = None) -> str:
        """Name of what is read, whose operation is appended if it is not there."""
        lag = self._matching.lag(source, self._last if step is None else step)
        if isinstance(source, Zeros):
            raise CaptureError("A part of the network computes with zeros at every step: take it out.")
        if lag == 0:
            return self._now(source)
        return self._delayed(source, lag)

    def graph(self, constants: Constants) -> Graph:
        """The graph of all operations that were named.

        Args:
            constants: Has what they read.
        """
        done = 0
        # Operations that only a delay reads are appended on the way, and may read delays themselves.
        while done < len(self._pending):
            place, source, before = self._pending[done]
            self._operations[place] = replace(self._delay(place), sources=(before or self._now(source),))
            done += 1
        for certain in (True, False):
            for place, source, _ in self._pending:
                if (_known_format(source) is not None or isinstance(source, Arrival)) is certain:
                    delay = replace(self._delay(place), format=self._format(source, constants))
                    self._operations[place] = delay
                    self._settled.add(delay.name)
        return self._graph(self._operations, constants)

    def _delay(self, place: int) -> operations.Delay:
        delay = self._operations[place]
        assert isinstance(delay, operations.Delay)
        return delay

    def _graph(self, chosen: Sequence[operations.Operation], constants: Constants) -> Graph:
        read = {name for operation in chosen for name in operation.constants}
        held: tuple[Constant, ...] = constants.named(read)
        return Graph(self._input_shape, self._input_format, held, tuple(chosen))

    def _now(self, source: Source) -> str:
        if isinstance(source, Arrival):
            return INPUT
        assert isinstance(source, Result)
        key = (id(source.emitted), source.membranes)
        if key not in self._names:
            self._append(source.emitted)
        return self._names[key]

    def _append(self, emitted: Emitted) -> None:
        sources = tuple(self.name_of(source) for source in emitted.sources)
        name = self._free(emitted.where or "neurons")
        self._names[id(emitted), False] = name
        operation = replace(emitted.operation, name=name, sources=sources)
        if isinstance(operation, operations.IntegrateAndFire):
            self._names[id(emitted), True] = operation.membrane_name
            self._taken.add(operation.membrane_name)
        self._operations.append(operation)

    def _delayed(self, source: Source, lag: int) -> str:
        """Name of what was computed some steps ago."""
        now = self._counterpart(source)
        identity = (id(now.emitted), now.membranes) if isinstance(now, Result) else (INPUT,)
        key = (*identity, lag)
        if key not in self._delays:
            base = now.emitted.where if isinstance(now, Result) else INPUT
            name = self._free(f"{base}.delay{'' if lag == 1 else lag}")
            self._delays[key] = name
            before = self._delayed(source, lag - 1) if lag > 1 else ""
            # The format, and the name of what is delayed, are settled once all operations are there.
            self._pending.append((len(self._operations), now, before))
            self._operations.append(
                operations.Delay(name, (before or name,), source.shape, QFormat(1, 0, signed=False))
            )
        return self._delays[key]

    def _counterpart(self, source: Source) -> Source:
        if not isinstance(source, Result):
            return source
        now = self._matching.counterpart(source.emitted)
        assert now is not None
        return Result(now, source.membranes)

    def _format(self, source: Source, constants: Constants) -> QFormat:
        """The narrowest format of all that an array can hold."""
        if isinstance(source, Arrival):
            return self._input_format
        assert isinstance(source, Result)
        if (known := _known_format(source)) is not None:
            return known
        name = self._now(source)
        array = self._graph(self._needed(name, source.emitted.where), constants).array(name)
        return _covering(array.low, array.high, array.fraction_bits)

    def _needed(self, name: str, where: str) -> list[operations.Operation]:
        """The operations that an array needs, in their order.

        Raises:
            CaptureError: If one is a delay whose format is not known.
        """
        by_name = {result: one for one in self._operations for result in (one.name, getattr(one, "membrane_name", ""))}
        found: set[str] = set()
        pending = [name]
        while pending:
            operation = by_name.get(pending.pop())
            if operation is None or operation.name in found:
                continue
            if isinstance(operation, operations.Delay) and operation.name not in self._settled:
                raise CaptureError(
                    f"{where} cannot be captured: it is added up from step to step outside of neurons, so that no "
                    "format holds it."
                )
            found.add(operation.name)
            pending += operation.sources
        return [operation for operation in self._operations if operation.name in found]

    def _free(self, base: str) -> str:
        name, number = base, 1
        while name in self._taken:
            number += 1
            name = f"{base}.{number}"
        self._taken.add(name)
        return name


def _known_format(source: Source) -> QFormat | None:
    """The format of what is stored in one: spikes, membranes, and what is rounded."""
    if not isinstance(source, Result):
        return None
    operation = source.emitted.operation
    if isinstance(operation, operations.IntegrateAndFire):
        return operation.membrane.format if source.membranes else QFormat(1, 0, signed=False)
    return operation.to.format if isinstance(operation, operations.Requantization) else None


def _covering(low: int, high: int, fraction_bits: int) -> QFormat:
    """The narrowest format of codes."""
    signed = low < 0
    bits = max(high.bit_length(), (-low - 1).bit_length() if signed else 1)
    return QFormat(bits - fraction_bits, fraction_bits, signed=signed)
