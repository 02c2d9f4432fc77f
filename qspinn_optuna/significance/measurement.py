"""Measuring the accuracy with one parameter narrowed at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from typing import Any

from qspinn_optuna.config import InexactError, Scheme
from qspinn_optuna.display import Display
from qspinn_optuna.fixed_point import Rounding
from qspinn_optuna.fixed_point.qformat import MAX_BITS
from qspinn_optuna.pruning import cannot_reach, upper_bound
from qspinn_optuna.pruning.sequential import check_confidence
from qspinn_optuna.significance.report import (
    SignificanceReport,
    WidthCurve,
    WidthPoint,
    check_tolerance,
    params_at,
    searched_widths,
)
from qspinn_optuna.space import QuantizationSpace
from qspinn_optuna.workloads import TrainingProgress, Workload


def measure_significance(
    workload: Workload,
    space: QuantizationSpace,
    *,
    tolerance: float = 0.01,
    confidence: float = 0.95,
    seed: int = 0,
    stop_early: bool = True,
    show_progress: bool = False,
) -> SignificanceReport:
    """Narrow one parameter at a time, all others at their widest, with every scheme and rounding of ``space``.

    A width is sufficient if its accuracy is at most ``tolerance`` below ``workload.baseline``, like a feasible trial of
    a study with this accuracy floor. With ``stop_early``, bisection finds the narrowest sufficient width, since
    accuracy is almost monotone in every width; it begins at the result of the rounding before. The narrowest width of
    the space is measured, too, as the largest loss of the parameter. An evaluation stops as soon as a sequential test,
    see :func:`~qspinn_optuna.pruning.cannot_reach`, decides on which side of the floor it will end; the test assumes
    samples in random order. Only the widest configuration is evaluated on all samples, and losses are differences to it
    on the same samples.

    If in-training quantization takes long, measure a space with ``schemes=(Scheme.PTQ,)``.

    Example:
        >>> report = measure_significance(workload, space, tolerance=0.05)
        >>> report.ranking
        ('fc.weight', 'lif.v')

    Args:
        workload: The workload to measure.
        space: The widths, schemes and roundings; of the workload's parameters.
        tolerance: Accuracy that may be lost, a fraction: 0.01 is one point.
        confidence: Confidence of the points' intervals, which hold at every look, and of every early stop.
        seed: Seed of every evaluation. With the seed of a study's objective, its trials measure the same.
        stop_early: Whether to stop an evaluation that is decided, and to bisect; otherwise every width is evaluated on
            all samples.
        show_progress: Whether to show a bar, or without a terminal a line every few curves.

    Raises:
        TypeError: If ``space`` is not a space.
        ValueError: If ``tolerance`` or ``confidence`` is outside its range, no parameter of the space has several
            widths, or the workload refuses the widest configuration of every scheme and rounding.
    """
    if not isinstance(space, QuantizationSpace):
        raise TypeError(f"space must be a QuantizationSpace, got {type(space).__name__}.")
    check_tolerance(tolerance)
    widths = searched_widths(space)
    if not widths:
        raise ValueError("space must have a parameter with more than one width, got none: give it wider bits.")
    probe = _Probe(workload, space, workload.baseline - tolerance, check_confidence(confidence), seed, stop_early)
    curves: list[WidthCurve] = []
    refusals: list[str] = []
    guesses: dict[str, int] = {}
    combinations = [(scheme, rounding) for scheme in space.schemes for rounding in space.roundings]
    with Display("significance", len(combinations) * len(widths), "curve", hidden=not show_progress) as shown:
        for scheme, rounding in combinations:
            if probe.measure_widest(scheme, rounding) is None:
                refusals.append(f"{scheme} with {rounding}: {probe.refusal}")
                shown.advance(f"{probe.evaluations} evaluations", len(widths))
                continue
            for name, (low, high) in widths.items():
                curve = probe.curve(scheme, rounding, name, range(low, high + 1), guesses.get(name))
                if curve.narrowest is not None:
                    guesses[name] = curve.narrowest
                curves.append(curve)
                shown.advance(f"{probe.evaluations} evaluations")
    if not curves:
        raise ValueError(f"space must have widest widths that the workload accepts, got {'; '.join(refusals)}")
    return SignificanceReport(tuple(curves), workload.baseline, tolerance, confidence, probe.evaluations, probe.samples)


@dataclass
class _Probe:
    """Evaluates every configuration once, until it is decided."""

    workload: Workload
    space: QuantizationSpace
    floor: float
    confidence: float
    seed: int
    stop_early: bool
    evaluations: int = 0
    samples: int = 0
    refusal: str = ""
    _total: int = 0
    _reference: dict[int, float] = field(default_factory=dict)
    _known: dict[tuple[Any, ...], WidthPoint | None] = field(default_factory=dict)

    def curve(self, scheme: Scheme, rounding: Rounding, name: str, widths: range, guess: int | None) -> WidthCurve:
        """The curve of one parameter, with the points that its narrowest sufficient width needs."""
        points: dict[int, WidthPoint] = {}

        def suffices(width: int) -> bool:
            point = self.measure(scheme, rounding, name, width)
            if point is not None:
                points[width] = point
            # An evaluation that was stopped is already on the side of the floor on which it would have ended.
            return point is not None and point.accuracy >= self.floor

        if self.stop_early:
            narrowest = _narrowest(suffices, widths, guess)
            suffices(widths[0])
        else:
            passing = [width for width in reversed(widths) if suffices(width)]
            narrowest = _end_of_run(passing, widths[-1])
        by_width = tuple(points[width] for width in sorted(points))
        return WidthCurve(name, scheme, rounding, by_width, narrowest)

    def measure_widest(self, scheme: Scheme, rounding: Rounding) -> WidthPoint | None:
        """The point of the widest configuration, on all samples: the reference of its scheme and rounding."""
        self._total, self._reference = 0, {}
        return self.measure(scheme, rounding)

    def measure(
        self, scheme: Scheme, rounding: Rounding, name: str | None = None, width: int = MAX_BITS
    ) -> WidthPoint | None:
        """The point of one parameter at a width, or of the widest configuration; None if the workload refuses it."""
        params = params_at(self.space, scheme, rounding, name, width)
        key = tuple(params.values())
        if key not in self._known:
            try:
                looks = self._looks(params)
            except InexactError as error:
                self.refusal = str(error)
                self._known[key] = None
            else:
                if not self._total:
                    self._total, self._reference = looks[-1][1], {seen: correct / seen for correct, seen in looks}
                self._known[key] = self._point(width, *looks[-1])
        point = self._known[key]
        # NOTE: all parameters share the widest point, but not its width.
        return None if point is None else replace(point, width=width)

    def _looks(self, params: dict[str, Any]) -> list[tuple[int, int]]:
        """Correct answers and samples seen at every look, until the evaluation is decided."""
        found: list[tuple[int, int]] = []
        self.evaluations += 1
        looks = self.workload.evaluate(self.space.config(params), self.seed)
        try:
            for look in looks:
                if isinstance(look, TrainingProgress):
                    continue
                correct, seen = look
                found.append((correct, seen))
                if self._is_clear(correct, seen):
                    break
        finally:
            # Closing a generator ends its threads and contexts at once.
            if isinstance(looks, Generator):
                looks.close()
        correct, seen = found[-1] if found else (0, 0)
        if not 0 <= correct <= seen or seen == 0:
            raise ValueError(f"The workload must end with 0 <= correct <= seen > 0, got ({correct}, {seen}).")
        self.samples += seen
        return [(correct, seen) for correct, seen in found if seen]

    def _is_clear(self, correct: int, seen: int) -> bool:
        """Whether the evaluation is decided: it will end above the floor, or below it."""
        if not self.stop_early or seen >= self._total:
            return False
        needed = self._needed(self._total)
        # Half of the error probability for each side.
        confidence = 1 - (1 - self.confidence) / 2
        return cannot_reach(correct, seen, needed, confidence, self._total) or cannot_reach(
            seen - correct, seen, self._total - needed + 1, confidence, self._total
        )

    def _needed(self, total: int) -> int:
        """The fewest correct answers of ``total`` that reach the floor."""
        return math.ceil(self.floor * total - 1e-9)

    def _point(self, width: int, correct: int, seen: int) -> WidthPoint:
        confidence = 1 - (1 - self.confidence) / 2
        low = 1 - upper_bound(seen - correct, seen, confidence)
        high = upper_bound(correct, seen, confidence)
        return WidthPoint(width, correct / seen, low, high, correct, seen, self._reference.get(seen))


def _narrowest(suffices: Callable[[int], bool], widths: range, guess: int | None) -> int | None:
    """The narrowest width that suffices, by bisection, if all wider ones do; None if the widest does not."""
    if not suffices(widths[-1]):
        return None
    failing, passing = widths[0] - 1, widths[-1]
    if guess is not None:
        for width in (guess, guess - 1, guess + 1):
            if failing < width < passing:
                failing, passing = (failing, width) if suffices(width) else (width, passing)
    while passing - failing > 1:
        middle = (failing + passing) // 2
        failing, passing = (failing, middle) if suffices(middle) else (middle, passing)
    return passing


def _end_of_run(passing: list[int], widest: int) -> int | None:
    """The narrowest width of the unbroken run of widths from the widest down; None if the widest is not in it."""
    narrowest = None
    for expected, width in zip(range(widest, -1, -1), passing, strict=False):
        if width != expected:
            break
        narrowest = width
    return narrowest
