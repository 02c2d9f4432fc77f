"""Measuring what narrow widths do to a network's output, which takes a few samples and no labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.config import InexactError, QuantizationConfig, Scheme
from qspinn_optuna.display import Display
from qspinn_optuna.fixed_point import ParameterQuantization, Rounding
from qspinn_optuna.significance.report import params_at, searched_widths
from qspinn_optuna.space import QuantizationSpace
from qspinn_optuna.study import Sensitivity
from qspinn_optuna.workloads import ScoredWorkload, missing_members

Floats = NDArray[np.float64]

_NONE = 0.005
"""Loss that is as good as none: wider widths of the parameter are not measured."""


_MOST_LOST = 0.5
"""Loss of the widest configuration from which on what narrower ones lose besides says nothing."""


class SensitivityError(ValueError):
    """A network whose sensitivity cannot be told; it can be searched without.

    Example:
        >>> str(SensitivityError("The network is silent."))
        'The network is silent.'
    """


def measure_sensitivity(
    workload: ScoredWorkload, space: QuantizationSpace, *, samples: int = 64, show_progress: bool = False
) -> Sensitivity:
    """Narrow one parameter at a time, all others at their widest, and compare class scores with those of the baseline.

    Networks are quantized after training and rounded to nearest, whatever the space offers; nothing is trained. A width
    is expected to lose as much of the accuracy as of the correlation of the class scores, see :func:`drift`, less what
    the widest configuration loses of it. Widths are measured from the narrowest up, to the first that loses next to
    nothing.

    Example:
        >>> supervised = SupervisedWorkload(network, train=None, calibration=batches, validation=batches)
        >>> sensitivity = measure_sensitivity(supervised, QuantizationSpace(supervised.parameters, bits=(2, 8)))
        >>> sorted(sensitivity.losses)
        ['0.weight', '1.decay', '1.threshold', '1.v', '2.weight']

    Args:
        workload: What is quantized, such as a :class:`~qspinn_optuna.SupervisedWorkload`.
        space: The widths; of the workload's parameters.
        samples: Samples that each network is compared on; whole batches if it is not clear what a sample of them is.
        show_progress: Whether to show a bar, or without a terminal a line every few parameters.

    Raises:
        TypeError: If ``space`` is not a space, ``workload`` has no ``scores``, or ``samples`` is no whole number.
        ValueError: If ``samples`` is under 2, or scores are not [samples, classes].
        SensitivityError: If no parameter of the space has several widths, the workload refuses the widest
            configuration or all others, the scores of the baseline are not finite or all alike, the widest
            configuration loses most of their correlation, or no width changes them.
    """
    if not isinstance(space, QuantizationSpace):
        raise TypeError(f"space must be a QuantizationSpace, got {type(space).__name__}.")
    if missing_members(workload, ScoredWorkload):
        raise TypeError(
            f"workload must have scores(config, samples), the class scores of a few samples, got a "
            f"{type(workload).__name__}, which lacks {', '.join(missing_members(workload, ScoredWorkload))}."
        )
    if not isinstance(samples, Integral):
        raise TypeError(f"samples must be a whole number, got {samples!r}.")
    if samples < 2:
        raise ValueError(f"samples must be at least 2, got {samples}.")
    widths = searched_widths(space)
    if not widths:
        raise SensitivityError("space must have a parameter with more than one width, got none: give it wider bits.")
    probe = _Probe(workload, space, int(samples))
    losses: dict[str, dict[int, float]] = {}
    with Display("sensitivity", len(widths), "parameter", hidden=not show_progress) as shown:
        for name, (low, high) in widths.items():
            losses[name] = probe.curve(name, range(low, high))
            shown.advance(f"{probe.networks} networks")
    measured = {name: curve for name, curve in losses.items() if curve}
    if not measured:
        raise SensitivityError("The workload refuses every configuration with a narrower width.")
    if not any(loss > 0 for curve in measured.values() for loss in curve.values()):
        raise SensitivityError("No width changes what the network puts out: the narrowest ones are wide enough.")
    return Sensitivity(measured, probe.networks, probe.seen)


def drift(scores: Floats, reference: Floats) -> float:
    """What class scores have lost of their correlation with a reference, 0 to 1.

    The size of all scores does not matter, which no choice of a class depends on, and neither does what all classes of
    a sample have in common. On networks of digits it was within a factor of two or three of the accuracy that was lost;
    the Fisher information of weights was too low by a factor of two to forty, which differed from layer to layer
    (``studies/benchmarks/sensitivity_measures.py``).

    Example:
        >>> scores = np.array([[0.0, 1.0], [3.0, 2.0]])
        >>> round(drift(2 * scores + 1, scores), 6), drift(np.zeros((2, 2)), scores)
        (0.0, 1.0)

    Args:
        scores: [samples, classes].
        reference: Likewise.
    """
    here, there = _centered(scores), _centered(reference)
    norms = np.sqrt((here**2).sum() * (there**2).sum())
    return 1.0 if norms == 0 else float(1 - np.clip((here * there).sum() / norms, 0, 1))


def _centered(scores: Floats) -> Floats:
    """Scores without what classes have in common; of a single class, without what samples have in common."""
    centered: Floats = scores - scores.mean(axis=1 if scores.shape[1] > 1 else 0, keepdims=True)
    return centered


@dataclass
class _Probe:
    """Compares quantized networks with the baseline."""

    workload: ScoredWorkload
    space: QuantizationSpace
    samples: int
    networks: int = 0
    seen: int = 0
    _reference: Floats = field(init=False)
    _widest: float = field(init=False)

    def __post_init__(self) -> None:
        self._reference = self._scores(None)
        if not np.isfinite(self._reference).all():
            raise SensitivityError("The scores of the float network are not finite.")
        if not _centered(self._reference).any():
            raise SensitivityError("The float network puts out the same for all classes: it is silent.")
        try:
            self._widest = self._drift(None, None)
        except InexactError as error:
            raise SensitivityError(f"The workload refuses the widest widths of the space: {error}") from error
        if self._widest > _MOST_LOST:
            raise SensitivityError(
                f"The widest widths of the space lose {self._widest:.0%} of the correlation with the float network "
                "already: give it wider bits."
            )

    def curve(self, name: str, widths: range) -> dict[int, float]:
        """Losses of a parameter from its narrowest width up to the first that loses nothing."""
        losses: dict[int, float] = {}
        for width in widths:
            try:
                found = self._drift(name, width)
            except InexactError:
                continue
            losses[width] = max(0.0, found - self._widest) / (1 - self._widest)
            if losses[width] <= _NONE:
                break
        return losses

    def _drift(self, name: str | None, width: int | None) -> float:
        scores = self._scores(_post_training(self.space, name, width))
        if scores.shape != self._reference.shape:
            raise ValueError(
                f"scores must have one shape for all configurations, got {scores.shape} and {self._reference.shape}."
            )
        self.networks, self.seen = self.networks + 1, self.seen + len(scores)
        # NaN and infinities choose no class.
        return drift(scores, self._reference) if np.isfinite(scores).all() else 1.0

    def _scores(self, config: QuantizationConfig | None) -> Floats:
        scores = np.asarray(self.workload.scores(config, self.samples), np.float64)
        if scores.ndim != 2 or len(scores) == 0:
            raise ValueError(f"scores must be [samples, classes], got the shape {scores.shape}.")
        return scores


def _post_training(space: QuantizationSpace, name: str | None, width: int | None) -> QuantizationConfig:
    """The widest configuration, with another width for one parameter if it is given; after training, to nearest."""
    formats: Mapping[str, ParameterQuantization] = space.config(
        params_at(space, space.schemes[0], space.roundings[0], name, width)
    ).parameters
    nearest = {each: ParameterQuantization(one.format, Rounding.NEAREST) for each, one in formats.items()}
    return QuantizationConfig(Scheme.PTQ, nearest)
