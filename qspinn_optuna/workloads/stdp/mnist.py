"""The STDP network on MNIST: settings that suit it, what is searched, and the trials that a study begins with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.fixed_point import Rounding
from qspinn_optuna.fixed_point.qformat import MAX_BITS
from qspinn_optuna.parameters import Deployment, Family
from qspinn_optuna.space import QuantizationSpace
from qspinn_optuna.workloads.stdp.measurement import TEST
from qspinn_optuna.workloads.stdp.settings import ReadoutKind, STDPSettings
from qspinn_optuna.workloads.stdp.workload import STDPWorkload

RUNGS = (0.2, 0.4, 0.6, 0.8)
"""Fractions of in-training quantization after which a pruner looks."""

_WIDTHS: dict[str, int | tuple[int, int]] = {
    Family.WEIGHT: (1, 8),
    Family.SCALE: (3, 8),
    Family.MEMBRANE: (6, 16),
    Family.THRESHOLD: (4, 16),
    Family.READOUT: (2, 8),
    Family.TRACE: (2, 8),
    Family.DECAY: (6, 16),
}
"""First and last width of each family."""

_TIES = {"membrane_decay": "decay", "trace_decay": "decay", "theta_decay": "decay"}
"""Parameters that have the same width."""

_FIRST_WEIGHT_WIDTHS = {Deployment.INFERENCE: (8, 4, 2, 1), Deployment.LEARNING: (8, 7, 6, 5, 4)}
"""Widths of weights that a study begins with."""

_SMALL_TRAINING_SET = 10_000


def mnist_settings(
    training_images: int,
    *,
    neurons: int = 400,
    epochs: int | None = None,
    readout: ReadoutKind = ReadoutKind.VOTE,
    minimum_input_spikes: float = 0.0,
    deployment: Deployment = Deployment.INFERENCE,
) -> STDPSettings:
    """Settings of the network, by what it learns from and what the device does.

    Args:
        training_images: Number of them. Fewer than 10,000 have settings of their own.
        neurons: Of the network.
        epochs: Passes over the images; 3, or 2 of a large network, or 1 on a device that learns, if not given.
        readout: What makes classes of the neurons' spikes.
        minimum_input_spikes: Inputs with fewer spikes an image are dropped, with their weights.
        deployment: Whether the device infers or learns.
    """
    small = training_images < _SMALL_TRAINING_SET
    if deployment is Deployment.LEARNING:
        settings = _settings_of_a_learner(neurons, small)
    elif small:
        settings = STDPSettings(neurons=neurons, epochs=3, theta_step=2.0 * neurons / 400)
    else:
        settings = STDPSettings.for_neurons(neurons)
    return replace(
        settings,
        epochs=settings.epochs if epochs is None else epochs,
        readout=readout,
        minimum_input_spikes=minimum_input_spikes,
    )


def _settings_of_a_learner(neurons: int, small: bool) -> STDPSettings:
    """Settings of a device that learns: without float weights, as it is after training."""
    return STDPSettings(
        neurons=neurons,
        epochs=3 if small else 1,
        theta_step=(2.0 if small else 1.0) * neurons / 400,
        # Narrow weights are noisy: they settle at a lower rate than float ones.
        final_learning_rate=0.0025,
        shadow=False,
    )


def search_space(workload: STDPWorkload) -> QuantizationSpace:
    """The search space: a device that learns is quantized in training."""
    learning = workload.deployment is Deployment.LEARNING
    schemes = (Scheme.ITQ,) if learning else tuple(Scheme)
    names = {parameter.name for parameter in workload.parameters if learning or not parameter.learning_only}
    ties = {name: group for name, group in _TIES.items() if name in names}
    return QuantizationSpace(workload.parameters, _WIDTHS, schemes, ties=ties, deployment=workload.deployment)


def first_trials(space: QuantizationSpace) -> list[dict[str, Any]]:
    """Parameters of the trials that a study begins with: narrow weights beside wide states.

    Weights take most of the memory, so these trials bound what each scheme gives.
    """
    preferred = Rounding.STOCHASTIC if space.deployment is Deployment.LEARNING else Rounding.NEAREST
    rounding = preferred if preferred in space.roundings else space.roundings[0]
    return [
        space.params(_with_narrow_weights(space, width, scheme, rounding))
        for width in _FIRST_WEIGHT_WIDTHS[space.deployment]
        for scheme in space.schemes
    ]


def float_controls(workload: STDPWorkload) -> dict[str, float]:
    """Test accuracy of the float network as it was trained, beside that of the baseline, which was adapted."""
    if not workload.baseline_treatment:
        return {}
    trained = workload.classifier(workload.network)
    return {"float network, thresholds as trained": trained.accuracy(workload.data.test, TEST)}


def _with_narrow_weights(
    space: QuantizationSpace, width: int, scheme: Scheme, rounding: Rounding
) -> QuantizationConfig:
    wide = space.uniform(MAX_BITS, scheme, rounding)
    narrow = space.uniform(width, scheme, rounding)
    return QuantizationConfig(scheme, {**wide.parameters, "weight": narrow["weight"]})
