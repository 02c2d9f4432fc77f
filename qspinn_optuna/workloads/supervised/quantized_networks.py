"""The quantized networks of a workload: made, checked, and kept for a while."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from torch import nn

from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.networks import check_exact, freeze_network, quantize_network
from qspinn_optuna.networks.calibration.activity import computes_in_fixed_point
from qspinn_optuna.networks.running.batches import Inputs, first_samples
from qspinn_optuna.workloads.progress import TrainingProgress
from qspinn_optuna.workloads.supervised.evaluation import Accuracy, evaluate_at_rungs
from qspinn_optuna.workloads.supervised.recent import RecentNetworks
from qspinn_optuna.workloads.supervised.trained_networks import TrainedNetworks
from qspinn_optuna.workloads.supervised.training import Batches, Scores, labeled
from qspinn_optuna.workloads.supervised.turns import made_once

_CHECKED_SAMPLES = 4
"""Samples on which the simulation is compared with float64."""

_RECENT_NETWORKS = 4
"""Networks that are kept in memory, so that a test right after an evaluation trains nothing again."""


class QuantizedNetworks:
    """Quantizes trained networks, refuses what float32 cannot carry, and keeps the last few networks.

    Args:
        trained: The float networks, and those that are quantized in training.
        validation: Batches at rungs of a training; the first samples of all are checked for exactness.
        accuracy: The part of a batch that is right.
        scores: Takes class scores out of the networks' outputs.
    """

    def __init__(
        self, trained: TrainedNetworks, validation: Batches, accuracy: Accuracy, scores: Scores | None = None
    ) -> None:
        self._trained = trained
        self._validation = validation
        self._accuracy = accuracy
        self._scores = scores
        self._recent = RecentNetworks(_RECENT_NETWORKS)

    def quantize(
        self, config: QuantizationConfig, seed: int, rungs: Sequence[float] = ()
    ) -> Generator[TrainingProgress, None, nn.Module]:
        """Quantize a network.

        Args:
            config: The quantization.
            seed: Of fine-tuning and stochastic rounding.
            rungs: Fractions of a training, rising, after which the network is evaluated.

        Yields:
            The progress at each rung, if the network has to be trained.

        Returns:
            The network, grid values in its parameters, in evaluation mode, of the caller's own.

        Raises:
            InexactError: If float32 cannot carry it exactly.
        """
        kept = self._recent.get((config, seed))
        if kept is not None:
            return kept
        if config.scheme is Scheme.PTQ:
            network = freeze_network(quantize_network(self._trained.baseline_network, config, seed=seed))
        else:
            training = self._trained.quantized_in_training(config, seed)
            network = yield from evaluate_at_rungs(training, rungs, self._validation, self._accuracy, self._scores)
        network.eval()
        if computes_in_fixed_point(network):
            check_exact(network, self._checked_samples)
        self._recent.keep((config, seed), network)
        return network

    @made_once
    def _checked_samples(self) -> Inputs:
        """A few of the first samples, if it is clear which dimension they are counted along, else all."""
        inputs, labels = labeled(next(iter(self._validation)))
        return first_samples(inputs, len(labels), _CHECKED_SAMPLES)
