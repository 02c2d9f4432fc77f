"""Time steps that all do the same, as one: the graph that a device runs at every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from qspinn_optuna.fixed_point import QFormat
from qspinn_optuna.integer import INPUT, Constant, Graph, operations
from qspinn_optuna.networks.capture.constants import Constants
from qspinn_optuna.networks.capture.errors import CaptureError
from qspinn_optuna.networks.capture.unrolling import Arrival, Emitted, Result, Source, Zeros, is_linear


class Arrivals:
    """What enters the network: the same at every step, or something else at each.

    Args:
        by_step: What enters at each step, by keys, in the order of the steps.

    Attributes:
        repeated: Whether it is the same at every step.
        of_steps: What enters at each step.
    """

    def __init__(self, by_step: Sequence[Mapping[tuple[Any, ...], Arrival]]) -> None:
        self._first: dict[tuple[Any, ...], int] = {}
        for step, arrivals in enumerate(by_step):
            for key in arrivals:
                self._first.setdefault(key, step)
        everywhere = [key for key in self._first if all(key in arrivals for arrivals in by_step)]
        self.repeated = len(by_step) > 1 and len(everywhere) == len(self._first) == 1
        found = {key: arrival for arrivals in by_step for key, arrival in arrivals.items()}
        steps = [[found[key] for key, first in self._first.items() if first == step] for step in range(len(by_step))]
        if self.repeated:
            steps = [steps[0] for _ in by_step]
        for step, arrivals in enumerate(steps):
            if len(arrivals) != 1:
                raise CaptureError(_not_one_input(step, arrivals))
        self.of_steps = [arrivals[0] for arrivals in steps]
        shapes = {arrival.shape for arrival in self.of_steps}
        if len(shapes) > 1:
            raise CaptureError(f"The network takes inputs of different shapes at different steps, {sorted(shapes)}.")

    def lag(self, arrival: Arrival, step: int) -> int:
        """How many steps ago it entered, seen from a step."""
        return 0 if self.repeated else step - self._first[arrival.key]


def _not_one_input(step: int, arrivals: Sequence[Arrival]) -> str:
    if not arrivals:
        return f"The network takes nothing new at step {step}: every step must take an input, or all of them the same."
    names = " and ".join(f"{arrival.symbol.where} {list(arrival.shape)}" for arrival in arrivals)
    return (
        f"The network takes several inputs at step {step}, {names}: integer models have one, which may be rounded in "
        "one way only."
    )


class Matching:
    """Which operations of all steps are the same.

    Args:
        last: Step whose operations stand for those of all.
        arrivals: What enters the network.
    """

    def __init__(self, last: int, arrivals: Arrivals) -> None:
        self._last = last
        self._arrivals = arrivals
        self._same: dict[int, Emitted] = {}
        self._later: list[tuple[Emitted, Emitted, int]] = []

    def match(self, one: Source, template: Source, step: int) -> None:
        """Match what is read at a step with what is read at the last.

        Raises:
            CaptureError: If they are not the same.
        """
        template = self._without_nothing(template, step)
        lag = self.lag(template, self._last)
        if lag > step:
            if not isinstance(one, Zeros):
                raise _different(one, step, "begins with something else than zeros")
        elif self.lag(one, step) != lag:
            raise _different(one, step, f"reads what was {self.lag(one, step)} steps ago, later {lag} steps ago")
        elif isinstance(template, Result) and isinstance(one, Result):
            if one.membranes != template.membranes:
                raise _different(one, step, "reads membranes instead of spikes, or spikes instead of membranes")
            if lag:
                self._later.append((one.emitted, template.emitted, step))
            else:
                self.match_operations(one.emitted, template.emitted)
        elif type(one) is not type(template) or one.shape != template.shape:
            raise _different(one, step, "reads something else")

    def match_operations(self, one: Emitted, template: Emitted) -> None:
        """Match an operation with one of the last step; errors as in :meth:`match`."""
        if (known := self._same.get(id(one))) is not None:
            if known is not template:
                raise _different(Result(one), one.step, "is read in another place")
            return
        self._same[id(one)] = template
        operation, sources = template.operation, template.sources
        if isinstance(operation, operations.Sum):
            signs, sources = self._terms(template, one.step)
            operation = replace(operation, sources=("?",) * len(signs), signs=signs)
        if one.operation != operation:
            raise _different(Result(one), one.step, f"is a {_kind(one)}, at the last step a {_kind(template)}")
        if one.shape != template.shape:
            raise _different(Result(one), one.step, f"has the shape {one.shape}, at the last step {template.shape}")
        for mine, others in zip(one.sources, sources, strict=True):
            self.match(mine, others, one.step)

    def counterpart(self, emitted: Emitted) -> Emitted | None:
        """The operation of the last step that is the same."""
        return self._same.get(id(emitted))

    def check_delayed(self) -> None:
        """Check what is read of earlier steps, once everything is matched; errors as in :meth:`match`."""
        for one, template, step in self._later:
            mine, others = self.counterpart(one), self.counterpart(template)
            if mine is None or mine is not others:
                raise _different(Result(one), step, "reads something else of an earlier step")

    def lag(self, source: Source, step: int) -> int:
        """How many steps ago a source was computed."""
        if isinstance(source, Result):
            return step - source.emitted.step
        return self._arrivals.lag(source, step) if isinstance(source, Arrival) else 0

    def _vanishes(self, template: Source, step: int) -> bool:
        """Whether what the last step reads is zero at a step, before which there was nothing."""
        if isinstance(template, Zeros) or self.lag(template, self._last) > step:
            return True
        if not isinstance(template, Result) or template.membranes or self.lag(template, self._last):
            return False
        emitted = template.emitted
        return is_linear(emitted.operation) and all(self._vanishes(source, step) for source in emitted.sources)

    def _without_nothing(self, template: Source, step: int) -> Source:
        """What is left of a sum at a step at which all but one of its terms are zero."""
        while (
            isinstance(template, Result)
            and self.lag(template, self._last) == 0
            and isinstance(template.emitted.operation, operations.Sum)
        ):
            signs, sources = self._terms(template.emitted, step)
            if signs != (1,):
                break
            template = sources[0]
        return template

    def _terms(self, template: Emitted, step: int) -> tuple[tuple[int, ...], tuple[Source, ...]]:
        """Signs and terms of a sum that are not zero at a step."""
        assert isinstance(template.operation, operations.Sum)
        pairs = zip(template.operation.signs, template.sources, strict=True)
        kept = [(sign, source) for sign, source in pairs if not self._vanishes(source, step)]
        return tuple(sign for sign, _ in kept), tuple(source for _, source in kept)


def _kind(emitted: Emitted) -> str:
    return type(emitted.operation).__name__


def _different(source: Source, step: int, what: str) -> CaptureError:
    where = source.emitted.where if isinstance(source, Result) else "input"
    return CaptureError(
        f"The network does something else at step {step} than at the last: {where} {what}. A device runs the same "
        "operations at every step."
    )


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
            delay = self._operations[place]
            assert isinstance(delay, operations.Delay)
            self._operations[place] = replace(delay, sources=(before or self._now(source),))
            done += 1
        for certain in (True, False):
            for place, source, _ in self._pending:
                if (_known_format(source) is not None or isinstance(source, Arrival)) is certain:
                    self._operations[place] = replace(self._operations[place], format=self._format(source, constants))
                    self._settled.add(self._operations[place].name)
        return self._graph(self._operations, constants)

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
            if lag > 1:
                before = self._delayed(source, lag - 1)
            else:
                before = ""
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
