"""Time steps against each other: whether all do the same, with what enters at each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

from qspinn_optuna.integer import operations
from qspinn_optuna.networks.capture.errors import CaptureError
from qspinn_optuna.networks.capture.sources import Arrival, Emitted, Result, Source, Zeros
from qspinn_optuna.networks.capture.symbols import Symbol
from qspinn_optuna.networks.capture.unrolling import is_linear


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
        for step, entering in enumerate(steps):
            if len(entering) != 1:
                raise CaptureError(_not_one_input(step, entering))
        self.of_steps = [entering[0] for entering in steps]
        shapes = {arrival.shape for arrival in self.of_steps}
        if len(shapes) > 1:
            raise CaptureError(f"The network takes inputs of different shapes at different steps, {sorted(shapes)}.")

    def of(self, symbols: Sequence[Symbol]) -> Arrivals:
        """The same of another run, in which these symbols enter at the steps."""
        other = copy(self)
        other.of_steps = [replace(one, symbol=symbol) for one, symbol in zip(self.of_steps, symbols, strict=True)]
        return other

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
            there = f"at the last step {template.where}, a {_kind(template)}"
            raise _different(Result(one), one.step, f"is a {_kind(one)}, {there} with other arguments")
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
