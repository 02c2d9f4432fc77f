"""The network's parameters, and the network quantized by a configuration."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from qspinn_optuna.config import InexactError, QuantizationConfig
from qspinn_optuna.fixed_point import Rounding, quantize
from qspinn_optuna.fixed_point.simulated_rounding import grid_of
from qspinn_optuna.integer import Codes, MeanResponse, WeightedResponse
from qspinn_optuna.parameters import Deployment, Family, Memory, ParameterSpec
from qspinn_optuna.workloads.stdp.class_responses import ClassResponses
from qspinn_optuna.workloads.stdp.kernels import Neuron
from qspinn_optuna.workloads.stdp.network import (
    LearningGrids,
    STDPNetwork,
    adapt_thresholds,
    inference_inhibition,
    membrane_decay,
    theta_decay,
    trace_decay,
    train_in_parts,
)
from qspinn_optuna.workloads.stdp.settings import ReadoutKind, STDPSettings
from qspinn_optuna.workloads.stdp.spikes import SpikeTrains

_Float = TypeVar("_Float", np.float32, np.float64)

_FLOAT32_BITS = 24
_FLOAT64_BITS = 53


def parameters(
    settings: STDPSettings, inputs: int, kept: int, classes: int, deployment: Deployment
) -> tuple[ParameterSpec, ...]:
    """What the device stores for the network.

    The range of a parameter that saturates at a power of two is given as the lower half of it, so that its formats are
    UQ0.b, and not UQ1.(b-1) for the sake of one value.

    Args:
        settings: The network.
        inputs: Inputs of the 32-bit original.
        kept: Inputs that are not dropped.
        classes: Classes of the readout.
        deployment: What the device does.
    """
    neurons = settings.neurons
    half = settings.voltage_range / 2
    narrow_learning = deployment is Deployment.LEARNING and not settings.shadow
    weight = ParameterSpec("weight", Family.WEIGHT, kept * neurons, 0.0, 0.5, baseline_count=inputs * neurons)
    specs = [replace(weight, max_bits=_FLOAT32_BITS - _sum_bits(kept))]
    if settings.scale_per_neuron and not narrow_learning:
        specs.append(ParameterSpec("scale", Family.SCALE, neurons, 0.0, 1.5, baseline_count=0))
    specs += [
        ParameterSpec("membrane", Family.MEMBRANE, neurons, -2 * half, half),
        ParameterSpec("theta", Family.THRESHOLD, neurons, 0.0, half),
        _coefficient("membrane_decay", membrane_decay(settings)),
        _readout(settings, classes),
    ]
    if settings.refractory_steps > 0:
        # Held are the neurons that spiked last, one a step at most: their numbers, or none.
        specs.append(_integers("refractory", Family.MEMBRANE, settings.refractory_steps, neurons + 1))
    if kept < inputs:
        mask = _integers("input_mask", Family.WEIGHT, inputs, 2)
        # Inputs are dropped before the device learns.
        specs.append(replace(mask, baseline_count=0, memory=Memory.FLASH))
    specs += [
        ParameterSpec("trace", Family.TRACE, kept, 0.0, 0.5, learning_only=True, baseline_count=inputs),
        replace(_coefficient("trace_decay", trace_decay(settings)), learning_only=True),
        replace(_coefficient("theta_decay", theta_decay(settings)), learning_only=True),
    ]
    if settings.shadow:
        shadow = ParameterSpec("shadow", Family.WEIGHT, kept * neurons, 0.0, 1.0, learning_only=True)
        specs.append(replace(shadow, fixed_bits=32, baseline_count=0))
    return tuple(specs)


def _readout(settings: STDPSettings, classes: int) -> ParameterSpec:
    if settings.readout is ReadoutKind.VOTE:
        return _integers("label", Family.WEIGHT, settings.neurons, classes)
    # The original is that of the vote, so that the same original stands beside both readouts.
    count = settings.neurons * classes
    return ParameterSpec("class_weight", Family.READOUT, count, 0.0, 0.5, baseline_count=settings.neurons)


def _coefficient(name: str, value: float) -> ParameterSpec:
    return ParameterSpec(name, Family.DECAY, 1, value, value)


def _integers(name: str, family: Family, count: int, values: int) -> ParameterSpec:
    """Integers below ``values``, stored as they are."""
    bits = max(1, math.ceil(math.log2(values)))
    return ParameterSpec(name, family, count, 0.0, float(2**bits - 1), fixed_bits=bits)


def check_exact(config: QuantizationConfig, inputs: int) -> None:
    """Refuse a configuration that the simulation cannot carry exactly.

    Raises:
        InexactError: If sums of weights take more than float32's 24 bits, or charged membranes more than float64's 53.
    """
    weight, membrane, decay = (config[name].format for name in ("weight", "membrane", "membrane_decay"))
    scale = config["scale"].format if "scale" in config.parameters else None
    current_bits = weight.bits + _sum_bits(inputs)
    if current_bits > _FLOAT32_BITS:
        raise InexactError(
            f"Weights of {weight.bits} bits sum to {current_bits} bits over {inputs} inputs, and the simulation's "
            f"float32 holds {_FLOAT32_BITS}: give weight at most {_FLOAT32_BITS - current_bits + weight.bits} bits."
        )
    scaled = weight.fraction_bits + (scale.fraction_bits if scale else 0)
    decayed = decay.fraction_bits + membrane.fraction_bits
    fraction = max(scaled, decayed, membrane.fraction_bits)
    bits = 1 + max(
        current_bits + (scale.bits if scale else 0) + fraction - scaled, decay.bits + membrane.bits + fraction - decayed
    )
    if bits > _FLOAT64_BITS:
        raise InexactError(
            f"A charged membrane takes {bits} bits, and the simulation's float64 holds {_FLOAT64_BITS}: give weight "
            "and scale, or membrane and membrane_decay, fewer bits."
        )


def _sum_bits(inputs: int) -> int:
    """Bits that a sum over all inputs is wider than a weight."""
    return math.ceil(math.log2(inputs))


def quantize_trained(
    network: STDPNetwork,
    adaptation: Sequence[SpikeTrains],
    config: QuantizationConfig,
    settings: STDPSettings,
    seed: int,
) -> STDPNetwork:
    """Post-training quantization: ``network`` with all values on the grids of ``config``.

    Args:
        network: The float network; left untouched.
        adaptation: Input spikes on which thresholds adapt afterwards; none leave the thresholds as they were.
        config: The quantization.
        settings: Those of the network.
        seed: Of stochastic rounding.
    """
    generator = torch.Generator().manual_seed(seed)
    weights = _quantized(network.weights, config, "weight", generator)
    scale = np.ones(settings.neurons)
    if "scale" in config.parameters:
        narrow = weights.sum(axis=0, dtype=np.float64)
        # A neuron of which nothing is left keeps silent, whatever its scale.
        ratio = np.divide(network.weights.sum(axis=0, dtype=np.float64), narrow, out=scale, where=narrow > 0)
        scale = _quantized(ratio, config, "scale", generator)
    neuron = quantized_neuron(config, settings, generator)
    quantized = STDPNetwork(weights, scale, network.theta, neuron)
    return _settle_thresholds(quantized, adaptation, config, settings, seed, generator)


def train_quantized(
    images: NDArray[np.uint8],
    adaptation: Sequence[SpikeTrains],
    config: QuantizationConfig,
    settings: STDPSettings,
    deployment: Deployment,
    weight_sum: float,
    seed: int,
    rungs: Sequence[float] = (),
) -> Iterator[STDPNetwork]:
    """In-training quantization: a network trained with its values on the grids of ``config``.

    A network that is trained for inference adapts float thresholds, which are quantized at the end. One that learns on
    the device has thresholds, traces and their decays on their grids throughout, and is taken as it has learned.

    Args:
        images: uint8 [images, inputs].
        adaptation: Input spikes on which thresholds adapt after the training, in parts.
        config: The quantization.
        settings: The network.
        deployment: What the device does.
        weight_sum: Sum of a neuron's weights.
        seed: Of everything random.
        rungs: Fractions of the training, rising, after which to show the network.

    Yields:
        The network after each of the fractions ``rungs`` of its training, its thresholds adapted on the first part;
        then the trained network, which they leave as it is.
    """
    generator = torch.Generator().manual_seed(seed)
    neuron = quantized_neuron(config, settings, generator)
    grids = LearningGrids(
        weights=grid_of(config["weight"]),
        shadow=settings.shadow,
        scaled=settings.shadow and "scale" in config.parameters,
    )
    if "scale" in config.parameters:
        grids = replace(grids, scale=grid_of(config["scale"]))
    if deployment is Deployment.LEARNING:
        grids = replace(
            grids,
            theta=grid_of(config["theta"]),
            theta_decay=_quantized_coefficient(theta_decay(settings), config, "theta_decay", generator),
            trace=grid_of(config["trace"]),
            trace_decay=_quantized_coefficient(trace_decay(settings), config, "trace_decay", generator),
        )
    networks = train_in_parts(images, settings, seed, neuron, grids, weight_sum, rungs)
    if deployment is Deployment.LEARNING:
        yield from networks
        return
    for _ in rungs:
        # With draws of their own: those of the trained network are to be the same, whether one looks or not.
        draws = generator.clone_state()
        yield _settle_thresholds(next(networks), adaptation[:1], config, settings, seed, draws)
    yield _settle_thresholds(next(networks), adaptation, config, settings, seed, generator)


def quantized_neuron(config: QuantizationConfig, settings: STDPSettings, generator: torch.Generator) -> Neuron:
    """The neurons with their decay on its grid, and their voltages on that of the membrane, rounded to nearest."""
    membrane = config["membrane"].format
    voltages = torch.tensor([settings.threshold, settings.reset, settings.inhibition], dtype=torch.float64)
    threshold, reset, inhibition = quantize(voltages, membrane, Rounding.NEAREST).tolist()
    decay = _quantized_coefficient(membrane_decay(settings), config, "membrane_decay", generator)
    return Neuron(decay, threshold, reset, inhibition, settings.refractory_steps, grid_of(config["membrane"]))


def quantize_readout(
    responses: ClassResponses, config: QuantizationConfig, settings: STDPSettings, seed: int
) -> MeanResponse | WeightedResponse:
    """What makes classes of spikes, as the device stores it.

    Args:
        responses: Those of the quantized network to labeled images.
        config: The quantization.
        settings: The network.
        seed: Of stochastic rounding.
    """
    if settings.readout is ReadoutKind.VOTE:
        return MeanResponse(responses.labels(), len(responses.images))
    generator = torch.Generator().manual_seed(seed)
    weights = _quantized(responses.class_weights(), config, "class_weight", generator)
    fmt = config["class_weight"].format
    return WeightedResponse(Codes((weights / fmt.resolution).astype(np.int64), fmt))


def _settle_thresholds(
    network: STDPNetwork,
    adaptation: Sequence[SpikeTrains],
    config: QuantizationConfig,
    settings: STDPSettings,
    seed: int,
    generator: torch.Generator,
) -> STDPNetwork:
    """Let the thresholds adapt to the quantized weights and the inhibition at inference; put them on their grid."""
    inhibition = torch.tensor([inference_inhibition(settings)], dtype=torch.float64)
    (inhibited,) = quantize(inhibition, config["membrane"].format, Rounding.NEAREST).tolist()
    network = replace(network, neuron=network.neuron._replace(inhibition=inhibited))
    if adaptation:
        network = adapt_thresholds(network, adaptation, settings, seed, grid_of(config["weight"]))
    return replace(network, theta=_quantized(network.theta, config, "theta", generator))


def _quantized(
    values: NDArray[_Float], config: QuantizationConfig, name: str, generator: torch.Generator
) -> NDArray[_Float]:
    quantization = config[name]
    grid = quantize(torch.from_numpy(values), quantization.format, quantization.rounding, generator)
    result: NDArray[_Float] = grid.numpy()
    return result


def _quantized_coefficient(value: float, config: QuantizationConfig, name: str, generator: torch.Generator) -> float:
    return float(_quantized(np.array([value]), config, name, generator)[0])
