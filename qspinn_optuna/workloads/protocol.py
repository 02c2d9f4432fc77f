"""The protocols of workloads: what the search needs, and what reports, confirmations and an export need besides."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.parameters import Deployment, ParameterSpec
from qspinn_optuna.workloads.answers import Answers, Fresh
from qspinn_optuna.workloads.progress import TrainingProgress

if TYPE_CHECKING:
    from qspinn_optuna.integer import IntegerModel
    from qspinn_optuna.workloads.samples import IntegerSamples

STOCHASTIC_ROUNDING = "stochastic_rounding"
"""Key of a workload's description: how it draws. It matters to studies whose space offers stochastic rounding only."""


class Workload(Protocol):
    """A network, its data and its training: what is quantized, and how good a quantization is.

    Implement it for a network of your own; nothing need be inherited.

    Example:
        >>> missing_members(workload)
        ()
    """

    @property
    def parameters(self) -> Sequence[ParameterSpec]:
        """The parameters that can be quantized. Ranges may have to wait for the network's training."""
        ...

    @property
    def deployment(self) -> Deployment:
        """What the device does; the space must be for the same."""
        ...

    @property
    def baseline(self) -> float:
        """Accuracy of the baseline on the samples that :meth:`evaluate` counts, between 0 and 1.

        The baseline is the float network that had the same fine-tuning or adaptation as the quantized ones.
        """
        ...

    def evaluate(self, config: QuantizationConfig, seed: int) -> Iterator[TrainingProgress | tuple[int, int]]:
        """Quantize by ``config`` and measure.

        Args:
            config: The quantization.
            seed: Of all random draws.

        Yields:
            (correct, seen): correct answers among the samples seen so far, or :class:`Answers`, which also know which
            they are. Before them, if the network is trained first, any number of :class:`TrainingProgress`. The caller
            may stop early.

        Raises:
            InexactError: If the workload cannot carry ``config`` exactly: a study prunes the trial and goes on.
        """
        ...

    def describe(self) -> Mapping[str, Any]:
        """Plain values that JSON keeps, equal for workloads whose accuracies may be compared within a study."""
        ...


class PairedWorkload(Workload, Protocol):
    """A workload whose baseline and quantized networks can be compared sample by sample.

    Example:
        >>> missing_members(workload, PairedWorkload)
        ('baseline_answers', 'baseline_treatment')
    """

    @property
    def baseline_answers(self) -> Answers | None:
        """Answers of the baseline to the samples of :meth:`evaluate`, in their order; None if only counts are known."""
        ...

    @property
    def baseline_treatment(self) -> str:
        """What the baseline had after its training, as quantized networks have, in words; empty if nothing."""
        ...


class ConfirmableWorkload(Workload, Protocol):
    """A workload that can measure a network a second time, on samples or with draws that nothing was chosen by.

    Example:
        >>> missing_members(workload, ConfirmableWorkload)
        ('fresh', 'fresh_fingerprint', 'fresh_baseline', 'evaluate_fresh')
    """

    @property
    def fresh(self) -> Fresh:
        """What is fresh."""
        ...

    @property
    def fresh_fingerprint(self) -> str:
        """A digest of the samples of :meth:`evaluate_fresh`, equal for equal ones: counts of others are not reused."""
        ...

    @property
    def fresh_baseline(self) -> tuple[int, int]:
        """Counts of the baseline, or its :class:`Answers`, to what :meth:`evaluate_fresh` measures with."""
        ...

    def evaluate_fresh(self, config: QuantizationConfig, seed: int) -> Iterator[tuple[int, int]]:
        """Measure the network that :meth:`evaluate` measures, as it does, but on fresh samples or with fresh draws.

        Args:
            config: The quantization.
            seed: As in :meth:`evaluate`.

        Yields:
            As :meth:`evaluate`, without progress.
        """
        ...


class ScoredWorkload(Workload, Protocol):
    """A workload that can show what its networks put out, without a training and without labels.

    Example:
        >>> missing_members(workload, ScoredWorkload)
        ('scores',)
    """

    def scores(self, config: QuantizationConfig | None, samples: int) -> NDArray[np.float64]:
        """Class scores of a few samples on which nothing is chosen, such as those of the calibration.

        Args:
            config: A post-training quantization, rounded to nearest; None for the baseline.
            samples: Number of samples, about; all if there are no more.

        Returns:
            [samples, classes].

        Raises:
            InexactError: If the workload cannot carry ``config`` exactly.
        """
        ...


class TestedWorkload(Workload, Protocol):
    """A workload that has a test set, for the final figures.

    Example:
        >>> missing_members(workload, TestedWorkload)
        ('test_baseline', 'test')
    """

    @property
    def test_baseline(self) -> float | None:
        """Accuracy of the baseline on the test set, between 0 and 1; None if the workload has no test set."""
        ...

    def test(self, config: QuantizationConfig, seed: int) -> float:
        """Accuracy of a quantized network on the test set, between 0 and 1.

        Args:
            config: The quantization.
            seed: Of all random draws, as in :meth:`Workload.evaluate`.

        Raises:
            ValueError: If the workload has no test set.
        """
        ...


class DeployableWorkload(Workload, Protocol):
    """A workload whose quantized networks leave Python as integers.

    Example:
        >>> missing_members(workload, DeployableWorkload)[-2:]
        ('integer_model', 'integer_samples')
    """

    def integer_model(self, config: QuantizationConfig, seed: int = 0) -> IntegerModel:
        """The quantized network as integers, the one that :meth:`Workload.evaluate` measures.

        Args:
            config: The quantization.
            seed: Of all random draws, as in :meth:`Workload.evaluate`.
        """
        ...

    def integer_samples(self, config: QuantizationConfig, seed: int = 0, count: int | None = None) -> IntegerSamples:
        """The first samples of the test set, or else of the validation set, as the network takes them.

        Args:
            config: The quantization.
            seed: Of all random draws, as in :meth:`Workload.evaluate`.
            count: Number of samples; all if not given.
        """
        ...


def missing_members(workload: object, protocol: type = Workload) -> tuple[str, ...]:
    """Names of the protocol's members that ``workload`` lacks; none if it has all.

    No property is evaluated, since that may train a network. ``isinstance`` with a protocol does so before Python
    3.12, which is why these protocols do not allow it.

    Example:
        >>> missing_members(object())
        ('parameters', 'deployment', 'baseline', 'evaluate', 'describe')

    Args:
        workload: Any object.
        protocol: A protocol of this module.
    """
    absent = object()
    return tuple(
        name
        for base in reversed(protocol.__mro__)
        if getattr(base, "_is_protocol", False)
        for name in vars(base)
        if not name.startswith("_") and inspect.getattr_static(workload, name, absent) is absent
    )
