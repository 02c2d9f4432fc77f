"""The network of a recipe, its training and its data, as a workload."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from qspinn_optuna.datasets import TIME_REVERSED_GESTURES, FrameSplits, random_split
from qspinn_optuna.workloads.supervised.conv import ConvSNN
from qspinn_optuna.workloads.supervised.events.recipes import EventRecipe
from qspinn_optuna.workloads.supervised.loader import FrameBatches
from qspinn_optuna.workloads.supervised.local import LocalLearningSNN, local_loss
from qspinn_optuna.workloads.supervised.training import cross_entropy, fit, fit_by_epochs
from qspinn_optuna.workloads.supervised.workload import SupervisedWorkload

RUNGS = (0.25, 0.5, 0.75)
"""Fractions of in-training quantization after which a pruner looks, each at the end of an epoch."""

EVALUATION_BATCH = 110
"""Samples of a batch of validation and test."""

_CALIBRATION_SAMPLES = 100
_CALIBRATION_BATCH = 50


def event_workload(
    recipe: EventRecipe,
    data: FrameSplits,
    *,
    local: bool = False,
    cache: Path | None = None,
    seed: int = 0,
    rungs: Sequence[float] = (),
) -> SupervisedWorkload:
    """The workload of a recipe and its frames.

    Args:
        recipe: The network and its training.
        data: Frames that were made by the same recipe.
        local: Whether the layers learn by losses of their own.
        cache: Folder that keeps trained networks; none are kept if not given.
        seed: Of the initial weights and the training.
        rungs: Fractions of in-training quantization after which a pruner looks, such as ``RUNGS``.
    """
    batches = FrameBatches(
        data.train,
        recipe.batch_size,
        shuffle=True,
        shift=recipe.shift,
        reversals=TIME_REVERSED_GESTURES if recipe.time_reversal else None,
    )
    learning: dict[str, Any] = {"batches": batches, "loss": local_loss if local else cross_entropy}
    # Without a recipe there is no word of it, so that caches of earlier versions are found.
    fine_tuning = learning | ({} if recipe.quantized is None else {"quantized": recipe.quantized})
    calibration_samples = min(len(data.train), _CALIBRATION_SAMPLES)
    return SupervisedWorkload(
        _network(recipe, data, local=local, seed=seed),
        train=partial(fit, **learning, epochs=recipe.epochs, learning_rate=recipe.learning_rate),
        # By epochs with and without rungs: a study that goes on with a pruner finds the networks of before.
        fine_tune=partial(
            fit_by_epochs,
            epochs=recipe.fine_tune_epochs,
            learning_rate=recipe.fine_tune_rate,
            **fine_tuning,
        ),
        calibration=FrameBatches(random_split(data.train, [calibration_samples], seed)[0], _CALIBRATION_BATCH),
        # In random order: a pruner takes the first samples for a draw from all.
        validation=FrameBatches(
            random_split(data.validation, [len(data.validation)], seed=0)[0],
            EVALUATION_BATCH,
        ),
        test=FrameBatches(data.test, EVALUATION_BATCH),
        cache=cache,
        seed=seed,
        rungs=rungs,
        channel_scale=recipe.channel_scale,
    )


def _network(recipe: EventRecipe, data: FrameSplits, *, local: bool, seed: int) -> nn.Module:
    shape = data.train.frames.shape[2:]
    if local:
        return LocalLearningSNN(shape, recipe.blocks, data.classes, score_scale=recipe.score_scale, seed=seed)
    return ConvSNN(shape, recipe.blocks, data.classes, decay=recipe.decay, score_scale=recipe.score_scale, seed=seed)
