"""The report on the significance of parameters, with one curve of accuracy against width for each."""

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
"""Widths below the narrowest sufficient one that stay in a narrowed space: accuracy is only almost monotone."""

SPARE_ABOVE = 3
"""Widths above it that stay: parameters that are narrow together lose more than each of them alone."""


@dataclass(frozen=True)
class WidthPoint:
    """Accuracy with one parameter at a width and all others at their widest.

    Example:
        >>> point = report.curves[0].points[-1]
        >>> point.width, point.low <= point.accuracy <= point.high
        (8, True)

    Args:
        width: Width in bits.
        accuracy: Accuracy, a fraction.
        low: Lower end of its confidence interval.
        high: Upper end of its confidence interval.
        correct: Correct answers; None if the accuracy was predicted, not measured.
        seen: Number of samples; None if the accuracy was predicted.
        reference: Accuracy of the widest configuration on these samples; None if it is unknown.
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
        """Standard error of the accuracy: of a proportion, or a fourth of the interval of a predicted accuracy."""
        if self.correct is None or self.seen is None:
            return (self.high - self.low) / 4
        # With one more correct and one more wrong answer, the error is never 0, even if all answers were alike.
        proportion = (self.correct + 1) / (self.seen + 2)
        return math.sqrt(proportion * (1 - proportion) / (self.seen + 2))


@dataclass(frozen=True)
class WidthCurve:
    """Accuracy against the width of one parameter, with one scheme and rounding.

    Example:
        >>> curve = report.curves[0]
        >>> curve.parameter, curve.narrowest, len(curve.points)
        ('fc.weight', 5, 5)

    Args:
        parameter: Name of the parameter, or of a group of tied parameters, as in ``space.widths``.
        scheme: Scheme of the whole network.
        rounding: Rounding of the whole network.
        points: The points by ascending width; the last is the widest of the space.
        narrowest: The narrowest sufficient width; None if even the widest is not sufficient.
    """

    parameter: str
    scheme: Scheme
    rounding: Rounding
    points: tuple[WidthPoint, ...]
    narrowest: int | None

    @property
    def losses(self) -> tuple[float, ...]:
        """Accuracy lost at every point, on its own samples; 0 for the widest."""
        best = self.points[-1].accuracy
        lost = [(best if p.reference is None else p.reference) - p.accuracy for p in self.points[:-1]]
        return (*lost, 0.0)

    @property
    def loss_per_bit(self) -> float:
        """Accuracy lost per saved bit of width, a fraction: the sum of losses over all widths, over that of saved bits.

        Losses between measured points are interpolated: they halve with every bit, as the quantization step does.
        """
        return float(self._shares @ self.losses)

    @property
    def standard_error(self) -> float:
        """Standard error of the loss per bit; an upper estimate, as if the points had independent samples."""
        shares, errors = self._shares[:-1], [point.standard_error for point in self.points]
        return math.hypot(*(shares * errors[:-1]), shares.sum() * errors[-1])

    @property
    def _shares(self) -> NDArray[np.float64]:
        """Coefficient of each point's loss in the loss per bit, shape (points,)."""
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
    """Significance of every parameter, see :func:`~qspinn_optuna.significance.measure_significance`.

    Example:
        >>> report.ranking
        ('fc.weight', 'lif.v')
        >>> report.narrowest
        {'fc.weight': 5, 'lif.v': 5}

    Args:
        curves: One curve for each parameter, scheme and rounding.
        baseline_accuracy: Accuracy that models are compared with, a fraction.
        tolerance: Accuracy that a sufficient width may lose, a fraction.
        confidence: Confidence of the intervals of the points.
        evaluations: Number of evaluated configurations.
        samples: Number of evaluated samples.
        importances: Optuna's importance of every dimension, if the report is of the trials of a study.
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
        """Names of the narrowed parameters, in the order of the space."""
        return tuple(dict.fromkeys(curve.parameter for curve in self.curves))

    @cached_property
    def loss_per_bit(self) -> dict[str, float]:
        """Accuracy lost per saved bit of width, for every parameter the mean over schemes and roundings.

        A scheme with a rounding counts only if the widest widths are sufficient with it, unless they never are.
        """
        return {name: float(np.mean([curve.loss_per_bit for curve in curves])) for name, curves in self._usable.items()}

    @property
    def ranking(self) -> tuple[str, ...]:
        """The parameters by descending loss per bit; ties stay in the order of the space."""
        return tuple(sorted(self.parameters, key=lambda name: -self.loss_per_bit[name]))

    @cached_property
    def standard_error(self) -> dict[str, float]:
        """Standard error of the loss per bit of every parameter; see :attr:`WidthCurve.standard_error`."""
        return {
            name: math.hypot(*(curve.standard_error for curve in curves)) / len(curves)
            for name, curves in self._usable.items()
        }

    @property
    def tiers(self) -> tuple[tuple[str, ...], ...]:
        """The ranking in groups, whose members are within two standard errors of the first of the group.

        Another measurement may order the members of a group differently.
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
        """The narrowest width that suffices with some scheme and rounding, for parameters that have one."""
        found: dict[str, int] = {}
        for curve in self.curves:
            if curve.narrowest is not None:
                found[curve.parameter] = min(curve.narrowest, found.get(curve.parameter, curve.narrowest))
        return found

    @property
    def worth_searching(self) -> dict[str, tuple[int, int]]:
        """First and last width of every parameter that ``space.narrow(report)`` keeps.

        They are :data:`SPARE_BELOW` below the smallest and :data:`SPARE_ABOVE` above the largest of the narrowest
        sufficient widths of all schemes and roundings. A parameter without a sufficient width keeps all widths.
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
        """The measurements that a study stores for its sampler; see :func:`~qspinn_optuna.study.record_measurements`.

        Args:
            space: The measured space, or that space narrowed. In a narrowed space, measurements at the widest widths
                count for its own widest widths, which are still wider than needed.
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
                # All curves share the widest point.
                found.setdefault(json.dumps(params), Measurement(params, point.correct, point.seen))
        return list(found.values())

    def promising(self, space: QuantizationSpace) -> list[dict[str, Any]]:
        """Trial parameters to begin a study with, for each scheme and rounding whose widest widths suffice.

        Every parameter has its narrowest sufficient width, then one bit more, then two bits more.
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
        """The curves of every parameter that count in its loss per bit."""
        usable = [curve for curve in self.curves if curve.narrowest is not None] or self.curves
        return {name: [curve for curve in usable if curve.parameter == name] for name in self.parameters}

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values for JSON."""
        plain: dict[str, Any] = json.loads(json.dumps({**asdict(self), "importances": dict(self.importances)}))
        return plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SignificanceReport:
        """The inverse of :meth:`to_dict`.

        Raises:
            ValueError: If ``values`` are not those of a report.
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


def check_tolerance(tolerance: float) -> None:
    """Refuse a tolerance that is not a fraction of at least 0 and below 1.

    Raises:
        ValueError: If it is not.
    """
    if not (isinstance(tolerance, int | float) and 0 <= tolerance < 1):
        raise ValueError(f"tolerance must be a fraction of at least 0 and below 1, such as 0.01, got {tolerance!r}.")


def searched_widths(space: QuantizationSpace) -> dict[str, tuple[int, int]]:
    """First and last width of every parameter, or group of tied ones, with more than one width, by its name."""
    return {name: (low, high) for name, (low, high) in space.widths.items() if low < high}


def params_at(
    space: QuantizationSpace, scheme: Scheme, rounding: Rounding, parameter: str | None = None, width: int | None = None
) -> dict[str, Any]:
    """Trial parameters of the widest configuration, with another width for one parameter if it is given."""
    params = space.params(space.uniform(MAX_BITS, scheme, rounding))
    return params if parameter is None else {**params, width_name(parameter): width}
