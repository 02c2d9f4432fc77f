"""What lowering one parameter at a time tells about a network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from optuna.distributions import IntDistribution

from qspinn_optuna.config import Scheme
from qspinn_optuna.fixed_point import Rounding
from qspinn_optuna.fixed_point.qformat import MAX_BITS
from qspinn_optuna.space import QuantizationSpace
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
    """

    width: int
    accuracy: float
    low: float
    high: float
    correct: int | None = None
    seen: int | None = None


@dataclass(frozen=True)
class WidthCurve:
    """Accuracy against the width of one parameter, with one scheme and rounding.

    Args:
        parameter: Its name, or that of a group of tied parameters: the dimension of the space without "bits.".
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

    def accuracy_at(self, width: int) -> float:
        """Accuracy at a width, interpolated between those that were looked at."""
        return float(np.interp(width, [p.width for p in self.points], [p.accuracy for p in self.points]))

    @property
    def loss_per_bit(self) -> float:
        """Accuracy lost per bit of width saved, a fraction: the sum over all widths of the one, over that of the other.

        Widths that were not looked at are interpolated.
        """
        widest = self.points[-1]
        widths = range(self.points[0].width, widest.width)
        saved = sum(widest.width - width for width in widths)
        return sum(widest.accuracy - self.accuracy_at(width) for width in widths) / saved if saved else 0.0


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
        usable = [curve for curve in self.curves if curve.narrowest is not None] or self.curves
        return {
            name: float(np.mean([curve.loss_per_bit for curve in usable if curve.parameter == name]))
            for name in self.parameters
        }

    @property
    def ranking(self) -> tuple[str, ...]:
        """The parameters, from the one that loses most accuracy per bit saved; of equals, in the order of the space."""
        return tuple(sorted(self.parameters, key=lambda name: -self.loss_per_bit[name]))

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
                        params[f"bits.{curve.parameter}"] = min(max(curve.narrowest + spare, low), high)
                if params not in trials:
                    trials.append(params)
        return trials

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
    """First and last width of every dimension that has more than one, by its name without "bits."."""
    return {
        name.removeprefix("bits."): (distribution.low, distribution.high)
        for name, distribution in space.distributions.items()
        if isinstance(distribution, IntDistribution) and not distribution.single()
    }


def params_at(
    space: QuantizationSpace, scheme: Scheme, rounding: Rounding, parameter: str | None = None, width: int | None = None
) -> dict[str, Any]:
    """Trial parameters with the widest widths, but for one parameter's, if it is given."""
    params = space.params(space.uniform(MAX_BITS, scheme, rounding))
    return params if parameter is None else {**params, f"bits.{parameter}": width}
