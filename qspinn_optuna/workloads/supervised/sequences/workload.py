"""Digits row by row as a workload: how the network is made and trained, and whether the task needs its states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from qspinn_optuna.datasets import ImageSplits
from qspinn_optuna.networks.modules.channel_scale import ChannelScale
from qspinn_optuna.workloads.supervised.recipe import QuantizedTraining
from qspinn_optuna.workloads.supervised.sequences.batches import SequenceBatches
from qspinn_optuna.workloads.supervised.sequences.network import SequenceSNN
from qspinn_optuna.workloads.supervised.training import fit, fit_by_epochs
from qspinn_optuna.workloads.supervised.workload import SupervisedWorkload

ROW = 28
"""Pixels of a row of a digit."""

_CALIBRATION_SAMPLES = 200
_CALIBRATION_BATCH = 100
_EVALUATION_BATCH = 250

_MOST_FRESH = 10_000
"""Left-out images that a confirmation measures with."""

_MANY_IMAGES = 10_000
"""Training images from which on fewer epochs are enough."""


@dataclass(frozen=True)
class SequenceRecipe:
    """How a network is made and trained.

    Args:
        recurrent: Whether the first layer gets its own spikes of the step before.
        hidden: Neurons of each layer.
        decay: Part of a membrane potential that remains after a step.
        epochs: Of training.
        learning_rate: Of training.
        fine_tune_epochs: Of in-training quantization, and of the float baseline.
        fine_tune_rate: Of both.
        batch_size: Of training.
        channel_scale: Of the layers of quantized networks, if they have any.
        quantized: How quantized networks are trained otherwise than the float one.
    """

    recurrent: bool = False
    hidden: int = 128
    decay: float = 0.9
    epochs: int = 10
    learning_rate: float = 1e-2
    fine_tune_epochs: int = 5
    fine_tune_rate: float = 3e-3
    batch_size: int = 100
    channel_scale: ChannelScale | None = None
    quantized: QuantizedTraining | None = None

    @classmethod
    def for_images(cls, count: int, *, recurrent: bool = False) -> SequenceRecipe:
        """The recipe for a number of training images: more of them need fewer passes, and allow larger batches."""
        if count < _MANY_IMAGES:
            return cls(recurrent=recurrent, hidden=64, epochs=15, fine_tune_epochs=4, batch_size=50)
        return cls(recurrent=recurrent, epochs=8, fine_tune_epochs=3, batch_size=125)

    def for_one_bit(self) -> SequenceRecipe:
        """The recipe for weights of one bit: a scale per channel, and longer fine-tuning, which changes their signs."""
        return replace(
            self, fine_tune_epochs=self.epochs, channel_scale=ChannelScale.FACTOR, quantized=QuantizedTraining()
        )


def sequence_workload(
    recipe: SequenceRecipe,
    data: ImageSplits,
    *,
    cache: Path | None = None,
    seed: int = 0,
    rungs: Sequence[float] = (),
) -> SupervisedWorkload:
    """The workload of a recipe, and of images row by row.

    Args:
        recipe: The network and its training.
        data: The images, 28 pixels wide.
        cache: Folder that keeps trained networks; none are kept if not given.
        seed: Of the initial weights and the training.
        rungs: Fractions of in-training quantization after which a pruner looks.

    Raises:
        ValueError: If the images are smaller than a row, or no multiple of it.
    """
    batches = SequenceBatches(data.train, ROW, recipe.batch_size, shuffle=True)
    network = SequenceSNN(ROW, recipe.hidden, data.classes, recurrent=recipe.recurrent, decay=recipe.decay, seed=seed)
    fresh = None if data.reserve is None else SequenceBatches(data.reserve[:_MOST_FRESH], ROW, _EVALUATION_BATCH)
    return SupervisedWorkload(
        network,
        train=partial(fit, batches=batches, epochs=recipe.epochs, learning_rate=recipe.learning_rate),
        fine_tune=partial(
            fit_by_epochs,
            batches=batches,
            epochs=recipe.fine_tune_epochs,
            learning_rate=recipe.fine_tune_rate,
            quantized=recipe.quantized,
        ),
        calibration=SequenceBatches(data.train[:_CALIBRATION_SAMPLES], ROW, _CALIBRATION_BATCH),
        validation=SequenceBatches(data.validation, ROW, _EVALUATION_BATCH),
        test=SequenceBatches(data.test, ROW, _EVALUATION_BATCH),
        confirmation=fresh,
        cache=cache,
        seed=seed,
        rungs=rungs,
        channel_scale=recipe.channel_scale,
    )


def state_controls(workload: SupervisedWorkload) -> dict[str, float]:
    """Test accuracies of the fine-tuned float network, and of the float network without states, trained anew."""
    networks = {"float, fine-tuned": workload.baseline_network, "states deleted, retrained": workload.state_deleted}
    return {name: workload.accuracy_of(network, workload.test_batches) for name, network in networks.items()}
