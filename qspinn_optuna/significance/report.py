"""What lowering one parameter at a time tells about a network."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.config import Scheme
from qspinn_optuna.fixed_point import Rounding
from qspinn_optuna.fixed_point.qformat import MAX_BITS
from qspinn_optuna.space import QuantizationSpace, width_name
from qspinn_optuna.study import Measurement

SPARE_BELOW = 1
"""Widths under the narrowest sufficient one that stay in a narrowed space: accuracy is not quite monotone."""

SPARE_ABOVE = 3
"""Widths over it that stay: parameters that are narrow together lose more than each of them alone."""


@dataclass(frozen=True)
class WidthPoint:
    """Accuracy with one parameter at a width and all others at their widest.

    Args:
        width: In bits.
        accuracy: A fraction.
        low: Lower end of its confidence interval,
        high: and upper end.
        correct: Correct answers; None if the accuracy was predicted, not measured.
        seen: Among that many samples.
        reference: Accuracy of the widest width on these samples; None if it is not known.
    """

    width: int
    accuracy: float
    low: float
    high: float
    correct: int | None = None
    seen: int | None = None
    reference: float | None = None

    @property
    def standard_error(self) -> float:
        """Of the accuracy: that of a proportion, or a fourth of the interval if the accuracy was predicted."""
        if self.correct is None or self.seen is None:
            return (self.high - self.low) / 4
        # One more right and one more wrong: nothing is certain, not even where all answers were alike.
        proportion = (self.correct + 1) / (self.seen + 2)
        return math.sqrt(proportion * (1 - proportion) / (self.seen + 2))


@dataclass(frozen=True)
class WidthCurve:
    """Accuracy against the width of one parameter, with one scheme and rounding.

    Args:
        parameter: Its name, or that of a group of tied parameters: that of one of ``space.widths``.
        scheme: Of the whole network.
        rounding: Of the whole network.
        points: By ascending width; the last is the widest of the space.
        narrowest: The narrowest width that is accurate enough; None if even the widest is not.
    """

    parameter: str
    scheme: Scheme
    rounding: Rounding
    points: tuple[WidthPoint, ...]
    narrowest: int | None

    @property
    def losses(self) -> tuple[float, ...]:
        """Accuracy lost at every point, on the samples that it saw; that of the widest is 0."""
        best = self.points[-1].accuracy
        lost = [(best if p.reference is None else p.reference) - p.accuracy for p in self.points[:-1]]
        return (*lost, 0.0)

    @property
    def loss_per_bit(self) -> float:
        """Accuracy lost per bit of width saved, a fraction: the sum over all widths of the one, over that of the other.

        Between points that were looked at the loss halves with every bit, as the step of quantization does.
        """
        return float(self._shares @ self.losses)

    @property
    def standard_error(self) -> float:
        """Of the loss per bit, as if the points had seen different samples: they saw the same ones, so it is less."""
        shares, errors = self._shares[:-1], [point.standard_error for point in self.points]
        return math.hypot(*(shares * errors[:-1]), shares.sum() * errors[-1])

    @property
    def _shares(self) -> NDArray[np.float64]:
        """What each point's loss counts in the loss per bit, shape (points,)."""
        shares = np.zeros(len(self.points))
        widths = [point.width for point in self.points]
        for index, (low, high) in enumerate(pairwise(widths)):
            end = 0.5 ** (high - low)
            of_low = (0.5 ** np.arange(high - low) - end) / (1 - end)
            shares[index] += of_low.sum()
            shares[index + 1] += (1 - of_low).sum()
        saved = sum(widths[-1] - width for width in range(widths[0], widths[-1]))
        return shares / max(saved, 1)


@dataclass(frozen=True)
class SignificanceReport:
    """Which parameters matter: what :func:`~qspinn_optuna.significance.measure_significance` found.

    Args:
        curves: One for each parameter, scheme and rounding.
        baseline_accuracy: Accuracy that models are compared with, a fraction.
        tolerance: What a model may lose to be accurate enough, a fraction.
        confidence: Of the intervals of the points.
        evaluations: Configurations that were evaluated.
        samples: Samples that were evaluated.
        importances: Optuna's, of every dimension of a study, if it was a study that was looked at.
    """

    curves: tuple[WidthCurve, ...]
    baseline_accuracy: float
    tolerance: float
    confidence: float
    evaluations: int = 0
    samples: int = 0
    importances: Mapping[str, float] = field(default_factory=dict)

    @property
    def parameters(self) -> tuple[str, ...]:
        """What was lowered, in the order of the space."""
        return tuple(dict.fromkeys(curve.parameter for curve in self.curves))

    @cached_property
    def loss_per_bit(self) -> dict[str, float]:
        """Accuracy lost per bit of width saved, for every parameter the mean over schemes and roundings.

        Those with which not even the widest widths are accurate enough are left out, unless all are like that.
        """
        return {name: float(np.mean([curve.loss_per_bit for curve in curves])) for name, curves in self._usable.items()}

    @property
    def ranking(self) -> tuple[str, ...]:
        """The parameters, from the one that loses most accuracy per bit saved; of equals, in the order of the space."""
        return tuple(sorted(self.parameters, key=lambda name: -self.loss_per_bit[name]))

    @cached_property
    def standard_error(self) -> dict[str, float]:
        """Of the loss per bit of every parameter, from the number of samples; see :attr:`WidthCurve.standard_error`."""
        return {
            name: math.hypot(*(curve.standard_error for curve in curves)) / len(curves)
            for name, curves in self._usable.items()
        }

    @property
    def tiers(self) -> tuple[tuple[str, ...], ...]:
        """The ranking in groups: those of one are not told apart from its first by two standard errors.

        Whoever measures again may find those of a group in another order.
        """
        tiers: list[list[str]] = []
        for name in self.ranking:
            first = tiers[-1][0] if tiers else name
            lead = self.loss_per_bit[first] - self.loss_per_bit[name]
            if tiers and lead <= 2 * math.hypot(self.standard_error[first], self.standard_error[name]):
                tiers[-1].append(name)
            else:
                tiers.append([name])
        return tuple(tuple(tier) for tier in tiers)

    @property
    def narrowest(self) -> dict[str, int]:
        """The narrowest width that is accurate enough with some scheme and rounding, of parameters that have one."""
        found: dict[str, int] = {}
        for curve in self.curves:
            if curve.narrowest is not None:
                found[curve.parameter] = min(curve.narrowest, found.get(curve.parameter, curve.narrowest))
        return found

    @property
    def worth_searching(self) -> dict[str, tuple[int, int]]:
        """First and last width of every parameter that a search should try: what ``space.narrow(report)`` keeps.

        From one under the narrowest that suffices with any scheme and rounding to three over the widest of these.
        Where nothing suffices, all of them.
        """
        widths: dict[str, tuple[int, int]] = {}
        for name in self.parameters:
            curves = [curve for curve in self.curves if curve.parameter == name]
            first, last = min(curve.points[0].width for curve in curves), curves[0].points[-1].width
            sufficient = [curve.narrowest for curve in curves if curve.narrowest is not None]
            if sufficient:
                first = max(first, min(sufficient) - SPARE_BELOW)
                last = min(last, max(sufficient) + SPARE_ABOVE)
            widths[name] = (first, last)
        return widths

    def measurements(self, space: QuantizationSpace) -> list[Measurement]:
        """What was measured, as a study keeps it for its sampler; see :func:`~qspinn_optuna.study.record_measurements`.

        Args:
            space: What was measured, or that space narrowed. In the latter what was measured with the widest widths
                counts for the widest that are left, which have bits to spare.
        """
        widths = searched_widths(space)
        found: dict[str, Measurement] = {}
        for curve in self.curves:
            low, high = widths.get(curve.parameter, (0, 0))
            for point in curve.points:
                width = high if point is curve.points[-1] else point.width
                if point.correct is None or point.seen is None or not low <= width <= high:
                    continue
                params = params_at(space, curve.scheme, curve.rounding, curve.parameter, width)
                # Curves share the point at which everything is wide.
                found.setdefault(json.dumps(params), Measurement(params, point.correct, point.seen))
        return list(found.values())

    def promising(self, space: QuantizationSpace) -> list[dict[str, Any]]:
        """Trial parameters to begin a study with: every width at what suffices alone, then one more bit, then two more.

        For each scheme and rounding that is accurate enough with the widest widths.
        """
        widths, trials = searched_widths(space), []
        for spare in range(3):
            for scheme, rounding in dict.fromkeys((curve.scheme, curve.rounding) for curve in self.curves):
                alike = [curve for curve in self.curves if (curve.scheme, curve.rounding) == (scheme, rounding)]
                if any(curve.narrowest is None for curve in alike):
                    continue
                params = params_at(space, scheme, rounding)
                for curve in alike:
                    assert curve.narrowest is not None
                    low, high = widths.get(curve.parameter, (0, 0))
                    if high > 0:
                        params[width_name(curve.parameter)] = min(max(curve.narrowest + spare, low), high)
                if params not in trials:
                    trials.append(params)
        return trials

    @property
    def _usable(self) -> dict[str, list[WidthCurve]]:
        """The curves of every parameter that tell what it costs."""
        usable = [curve for curve in self.curves if curve.narrowest is not None] or self.curves
        return {name: [curve for curve in usable if curve.parameter == name] for name in self.parameters}

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON keeps them."""
        plain: dict[str, Any] = json.loads(json.dumps({**asdict(self), "importances": dict(self.importances)}))
        return plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SignificanceReport:
        """The inverse of :meth:`to_dict`.

        Raises:
            ValueError: If the values are not those of a report.
        """
        try:
            curves = tuple(
                WidthCurve(
                    **{
                        **curve,
                        "scheme": Scheme(curve["scheme"]),
                        "rounding": Rounding(curve["rounding"]),
                        "points": tuple(WidthPoint(**point) for point in curve["points"]),
                    }
                )
                for curve in values["curves"]
            )
            return cls(**{**values, "curves": curves})
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"values must be those of SignificanceReport.to_dict, got others: {error!r}.") from error


def searched_widths(space: QuantizationSpace) -> dict[str, tuple[int, int]]:
    """First and last width of every parameter, or group of tied ones, that has more than one, by its name."""
    return {name: (low, high) for name, (low, high) in space.widths.items() if low < high}


def params_at(
    space: QuantizationSpace, scheme: Scheme, rounding: Rounding, parameter: str | None = None, width: int | None = None
) -> dict[str, Any]:
    """Trial parameters with the widest widths, but for one parameter's, if it is given."""
    params = space.params(space.uniform(MAX_BITS, scheme, rounding))
    return params if parameter is None else {**params, width_name(parameter): width}
