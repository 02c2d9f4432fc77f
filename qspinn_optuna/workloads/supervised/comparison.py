"""The float network beside quantized ones, answer by answer, and both measured a second time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

import numpy as np
from numpy.typing import NDArray
from torch import nn

from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.workloads.answers import Answers, Fresh, last_counts
from qspinn_optuna.workloads.supervised.fingerprints import fingerprint_of_batches
from qspinn_optuna.workloads.supervised.first_scores import FirstScores
from qspinn_optuna.workloads.supervised.training import Batches
from qspinn_optuna.workloads.supervised.turns import in_turns, made_once, seeded

_FRESH_SAMPLE = 2**32
"""Number of the first sample of a confirmation: stochastic rounding draws by the number of a sample."""

_FRESH_SEED = 1
"""What is added to the seed of a network's own draws in a confirmation."""

Count = Callable[[nn.Module, Batches, int], Iterator[tuple[int, int]]]
"""Counts of a network on batches whose first sample has a number."""


class ComparedWorkload:
    """What a supervised workload tells of its baseline, and of quantized networks beside it.

    Args:
        count: Counts correct answers.
        first_scores: Gives class scores of calibration samples.
        validation: Batches on which accuracies are measured.
        confirmation: Batches of samples that nothing was trained on or chosen by; None if there are none.
        seed: Of the float networks.
        fine_tunes: Whether the baseline was fine-tuned.
    """

    def __init__(
        self,
        count: Count,
        first_scores: FirstScores,
        validation: Batches,
        confirmation: Batches | None,
        seed: int,
        *,
        fine_tunes: bool,
    ) -> None:
        self._count = count
        self._first_scores = first_scores
        self.validation = validation
        self._confirmation = confirmation
        self.seed = seed
        self._fine_tunes = fine_tunes

    @property
    def baseline_network(self) -> nn.Module:
        """The baseline."""
        raise NotImplementedError

    def quantize(self, config: QuantizationConfig, seed: int) -> nn.Module:
        """The quantized network."""
        raise NotImplementedError

    @property
    def baseline(self) -> float:
        """Accuracy of the baseline network on the validation batches."""
        correct, seen = self._baseline_counts
        return correct / seen

    @property
    def baseline_answers(self) -> Answers | None:
        """Answers of the baseline to the validation samples; None if ``accuracy`` only gives the part that is right."""
        counts = self._baseline_counts
        return counts if isinstance(counts, Answers) else None

    @property
    def baseline_treatment(self) -> str:
        """What the baseline had after its training, as quantized networks have, in words."""
        return "fine-tuned as quantized networks are in training" if self._fine_tunes else ""

    @property
    def fresh(self) -> Fresh:
        """What a confirmation has that evaluations have not."""
        return Fresh.DRAWS if self._confirmation is None else Fresh.SAMPLES

    @made_once
    def fresh_fingerprint(self) -> str:
        """A digest of the confirmation batches; empty without some, since a study is of its validation batches."""
        return "" if self._confirmation is None else fingerprint_of_batches(self._confirmation)

    @made_once
    def fresh_baseline(self) -> tuple[int, int]:
        """Counts of the baseline on what :meth:`evaluate_fresh` measures with."""
        with seeded(self.seed + _FRESH_SEED):
            return last_counts(self._fresh_counts(self.baseline_network))

    def scores(self, config: QuantizationConfig | None, samples: int) -> NDArray[np.float64]:
        """Class scores of the first calibration samples, [samples, classes].

        Args:
            config: A post-training quantization; None for the baseline.
            samples: Number of samples, about; all if there are no more.

        Raises:
            InexactError: If the simulation cannot carry ``config`` exactly.
        """
        network = self.baseline_network if config is None else self.quantize(config, self.seed)
        return self._first_scores.of(network, samples, self.baseline_network)

    def evaluate_fresh(self, config: QuantizationConfig, seed: int) -> Iterator[tuple[int, int]]:
        """Count as ``evaluate`` does, on the confirmation batches, or else with other draws.

        The draws are those of stochastic rounding and of the network itself, such as of an encoder. Without draws, the
        counts are the same as before.

        Args:
            config: The quantization.
            seed: That of the evaluation: the network is the same.
        """
        return in_turns(self._fresh_counts(self.quantize(config, seed)), seed + _FRESH_SEED)

    @made_once
    def _baseline_counts(self) -> tuple[int, int]:
        with seeded(self.seed):
            return last_counts(self._count(self.baseline_network, self.validation, 0))

    def _fresh_counts(self, network: nn.Module) -> Generator[tuple[int, int], None, None]:
        batches = self.validation if self._confirmation is None else self._confirmation
        yield from self._count(network, batches, _FRESH_SAMPLE)
