"""What the class scores are made of: arrays of time steps that are added up, or one of the last step.

Only the class with the largest score matters, so positive factors are left out, that of a mean among them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from qspinn_optuna.integer.operations import PoolKind
from qspinn_optuna.networks.capture.elementwise import Addition, NumberAddition, NumberProduct
from qspinn_optuna.networks.capture.errors import CaptureError
from qspinn_optuna.networks.capture.layers import Correlation, Matrix, Reduction, Windows
from qspinn_optuna.networks.capture.recorder import Recorder
from qspinn_optuna.networks.capture.symbols import Computed, Known, Stepped, Symbols, box_of


@dataclass(frozen=True, eq=False)
class Terms:
    """A sum of arrays, times a factor.

    Args:
        parts: Origins of the arrays.
        factor: Positive.
        stored: Whether the factor, or a part of it, is a stored one.
    """

    parts: tuple[Tensor, ...]
    factor: float = 1.0
    stored: bool = False


class ScoreTerms:
    """Takes scores apart.

    Args:
        recorder: Has recorded the run.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._symbols: Symbols = recorder.symbols
        self._latest: dict[tuple[Any, ...], int] = {}

    def of(self, origins: Tensor) -> Terms:
        """The terms of class scores, [1, classes], or [steps, 1, classes], over which the mean is taken.

        Raises:
            CaptureError: If they are of another shape.
        """
        if origins.ndim not in (2, 3) or origins.shape[-2] != 1:
            raise CaptureError(
                "The network must return scores [1, classes] or [steps, 1, classes] of one sample, got the shape "
                f"{list(origins.shape)}: give a sample of a batch of 1."
            )
        if origins.ndim == 2:
            return self._terms(origins)
        terms = self._added([self._terms(one) for one in origins])
        if terms is None:
            raise CaptureError("The scores of the steps are scaled by different factors, before their mean is taken.")
        return Terms(terms.parts, terms.factor / len(origins), terms.stored)

    def by_step(self, terms: Terms, steps: int) -> dict[int, list[Tensor]]:
        """The terms of each time step that has some.

        Raises:
            CaptureError: If neither all steps have some, nor the last alone.
        """
        found: dict[int, list[Tensor]] = {}
        for part in terms.parts:
            found.setdefault(max(self.latest(part), 0), []).append(part)
        if set(found) in ({steps - 1}, set(range(steps))):
            return found
        if len(terms.parts) == steps and all(self.latest(part) <= step for step, part in enumerate(terms.parts)):
            # Scores of what was delayed, which depend on earlier steps.
            return {step: [part] for step, part in enumerate(terms.parts)}
        raise CaptureError(
            f"The scores are made of steps {sorted(found)} of {steps}: they must be of all steps, or of the last."
        )

    def latest(self, origins: Tensor) -> int:
        """The last time step on which elements depend; -1 if they depend on none."""
        return max((self._latest_of(symbol, origins) for symbol in self._symbols.among(origins)), default=-1)

    def _terms(self, origins: Tensor) -> Terms:
        symbol = self._symbols.only(origins)
        box = None if symbol is None else box_of(symbol, origins)
        if not isinstance(symbol, Computed) or box is None:
            return Terms((origins,))
        boxes = symbol.kind.boxes(symbol, box)
        operands = [one if part is None else one[part] for one, part in zip(symbol.operands, boxes, strict=True)]
        kind = symbol.kind
        terms: Terms | None = None
        if isinstance(kind, NumberProduct) and kind.number > 0:
            terms = self._scaled(symbol, kind, operands[0])
        elif isinstance(kind, NumberAddition) and kind.sign > 0 and kind.number == 0:
            terms = self._terms(operands[0])
        elif isinstance(kind, Addition) and set(kind.signs) == {1}:
            terms = self._added([self._terms(one) for one in operands if not self._is_zero(one)])
        elif isinstance(kind, Reduction) and kind.pool is PoolKind.SUM:
            terms = self._over_time(symbol, kind, operands[0])
        elif isinstance(kind, Matrix | Correlation) or (isinstance(kind, Windows) and kind.pool is PoolKind.SUM):
            terms = self._layer_of_sum(symbol, operands)
        return terms or Terms((origins,))

    def _scaled(self, symbol: Computed, kind: NumberProduct, operand: Tensor) -> Terms:
        """The terms of an average, or of a product with a number."""
        terms = self._terms(operand)
        stored = self._recorder.reciprocals.get(kind.count or 0)
        if stored == 0:
            raise CaptureError(f"{symbol.where} cannot be captured: its factor is rounded to 0.")
        return Terms(terms.parts, terms.factor * (stored or kind.number), terms.stored or stored is not None)

    def _added(self, several: list[Terms]) -> Terms | None:
        """All terms in one sum; None if their factors differ."""
        if not several or len({terms.factor for terms in several}) > 1:
            return None
        parts = tuple(part for terms in several for part in terms.parts)
        return Terms(parts, several[0].factor, any(terms.stored for terms in several))

    def _over_time(self, symbol: Computed, kind: Reduction, operand: Tensor) -> Terms | None:
        """The terms of a sum over time steps, and perhaps over other dimensions; None if it is not over time."""
        for axis in kind.axes:
            slices = torch.split(operand, 1, dim=axis)
            steps = [self.latest(one) for one in slices]
            if len(set(steps)) > 1 and steps == sorted(steps):
                others = tuple(each for each in kind.axes if each != axis and operand.shape[each] > 1)
                if others:
                    slices = tuple(self._computed(symbol, Reduction(kind.pool, others), one) for one in slices)
                return self._added([self._terms(one) for one in slices])
        return None

    def _layer_of_sum(self, symbol: Computed, operands: list[Tensor]) -> Terms | None:
        """The terms of a layer that takes a sum over time: those of the layer at each step.

        With a bias, the sum must be a mean, so that each step has the bias.
        """
        terms = self._terms(operands[0])
        has_bias = len(operands) > 2
        if len(terms.parts) < 2 or (has_bias and not math.isclose(terms.factor * len(terms.parts), 1.0)):
            return None
        if has_bias and terms.stored:
            raise CaptureError(
                f"{symbol.where} cannot be captured: it takes a mean over {len(terms.parts)} steps, whose factor is "
                "rounded, and adds a bias. Take the mean after it, or over a power of two of steps."
            )
        parts = tuple(
            self._computed(symbol, symbol.kind, part.reshape(operands[0].shape), *operands[1:]) for part in terms.parts
        )
        return Terms(parts, terms.factor, terms.stored)

    def _computed(self, symbol: Computed, kind: Any, operand: Tensor, *constants: Tensor) -> Tensor:
        """What a function would compute of another operand."""
        if isinstance(kind, Reduction):
            shape = tuple(1 if axis in kind.axes else length for axis, length in enumerate(operand.shape))
        else:
            shape = (*operand.shape[: operand.ndim - len(symbol.shape)], *symbol.shape)
        made = Computed(shape, symbol.where, kind, (operand, *constants), torch.empty(0))
        return self._symbols.add(made)

    def _is_zero(self, origins: Tensor) -> bool:
        return all(
            isinstance(symbol, Known) and not bool(symbol.values.any()) for symbol in self._symbols.among(origins)
        )

    def _latest_of(self, symbol: Any, origins: Tensor) -> int:
        here = origins[(origins >= symbol.first) & (origins < symbol.first + symbol.elements)]
        if isinstance(symbol, Stepped):
            if not symbol.several:
                return symbol.step
            inner = symbol.elements // symbol.shape[0]
            return int(symbol.step + (int(here.max()) - symbol.first) // inner)
        if not isinstance(symbol, Computed):
            return -1
        box = box_of(symbol, here)
        if box is None:
            return max(self.latest(one) for one in symbol.operands)
        key = (symbol.first, *((part.start, part.stop) for part in box))
        if key not in self._latest:
            self._latest[key] = self._latest_in(symbol, box)
        return self._latest[key]

    def _latest_in(self, symbol: Computed, box: Any) -> int:
        try:
            boxes = symbol.kind.boxes(symbol, box)
        except CaptureError:
            return max(self.latest(one) for one in symbol.operands)
        pairs = zip(symbol.operands, boxes, strict=True)
        return max(self.latest(one if part is None else one[part]) for one, part in pairs)
