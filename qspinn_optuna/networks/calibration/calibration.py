"""Measure the ranges of a network's parameters on data."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from qspinn_optuna.fixed_point import GridKind
from qspinn_optuna.networks.calibration import limits
from qspinn_optuna.networks.calibration.activity import computes_in_fixed_point
from qspinn_optuna.networks.calibration.decimals import neurons_that_take_decimals
from qspinn_optuna.networks.calibration.observation import (
    INPUT_BITS,
    WIDEST,
    Observation,
    naming_batch,
)
from qspinn_optuna.networks.calibration.simulable import ExactWidths, NeverExactError
from qspinn_optuna.networks.calibration.slow_decays import coarse_decays
from qspinn_optuna.networks.calibration.uncounted import (
    warn_of_buffers,
    warn_of_computed_coefficients,
    warn_of_own_constants,
)
from qspinn_optuna.networks.calibration.weights import WeightFormats
from qspinn_optuna.networks.discovery.dependence import check_dependent
from qspinn_optuna.networks.discovery.discovery import (
    NetworkParameter,
    listed_parameters,
    synaptic_parameters,
    unread_coefficients,
)
from qspinn_optuna.networks.entry.chained import chained_synapses
from qspinn_optuna.networks.entry.contributions import contributions
from qspinn_optuna.networks.entry.entry_parameters import entry_parameters
from qspinn_optuna.networks.entry.inputs import INPUT, elements_of_a_step
from qspinn_optuna.networks.entry.layer_inputs import Entering
from qspinn_optuna.networks.entry.transcendental import check_without_transcendental
from qspinn_optuna.networks.modules.coefficients import coefficients
from qspinn_optuna.networks.modules.neurons import REPEATING, has_fixed_point_step
from qspinn_optuna.networks.modules.support import check_supported, has_states
from qspinn_optuna.networks.names import join
from qspinn_optuna.networks.ranges import RangeMethod, calibrated_spec
from qspinn_optuna.networks.running.batches import Batches, Inputs, labeled_inputs_of
from qspinn_optuna.networks.running.reach import Reach, reach_of, warn_of_unreached
from qspinn_optuna.networks.running.reparametrization import with_plain_parameters
from qspinn_optuna.networks.simulated_digits import DECAY_BITS, HEADROOM_BITS, SIMULATED_BITS
from qspinn_optuna.parameters import Family, ParameterSpec

_WEIGHT_BITS_BESIDE_INPUTS = 4
"""Width that weights of inputs can have at least, however many are summed up."""

_MORE = 16
"""Samples on which decimals are looked for, which only neurons that fire pass on."""

_ENOUGH = 8
"""Width that a network must simulate exactly, or what its synapses pass on to each other is rounded; narrower limits
are told."""


def calibrate(
    network: nn.Module,
    batches: Batches,
    method: RangeMethod = RangeMethod.LEAST_SQUARES,
    *,
    percentile: float = 99.9,
    seed: int = 0,
    weight_grids: Sequence[GridKind] = (GridKind.MID_TREAD,),
) -> tuple[ParameterSpec, ...]:
    """The parameters of a network that can be quantized, with the ranges of their values on ``batches``.

    States are watched after every time step. The spikes that delays and recurrent containers keep take one bit and are
    not searched. A parameter that is always 0 gets a range around 0. Widths are limited to what float32 simulates
    exactly (``max_bits``): those of weights by the number of their inputs, those of membranes by the width of the
    decay, and all by a run of the quantized network at its widest on a few samples.

    Inputs that are on no grid, such as pixels / 255 or standardised ones, become a parameter "input" of what the device
    holds of one sample at one time step. Integers times a power of two with at most 16 digits, such as spikes, event
    counts and pixels / 256, are in fixed point already: they are neither rounded nor counted. Averages over k values, k
    no power of two, that go into a layer become sums times a stored factor, "reciprocal.k". Layers that take sums of
    other layers without a spike between, such as the shortcuts of membranes, add up digits: if float32 does not carry
    8 bits in all of them, what such a layer takes is rounded, by a parameter "layer.input".

    A network that computes with its input in floating point before the first layer, such as (x - mean) / std, has the
    parameter "layer.input" instead: what its first layers take is rounded there. Neurons that take what was multiplied
    by a decimal, such as neuron(layer(x) * 0.3), have a parameter "neuron.input". A device has no array for it, since
    neurons take their sums from an accumulator, one after the other: one element is counted, for the factor. Prepared
    inputs of the network are arrays, and scaled spikes as many numbers as they have levels, see :mod:`~.layer_inputs`.

    Modules that the first batch does not reach are left out, and so are thresholds and decays that a neuron's own step
    does not read. Networks of float16 or bfloat16 are computed in float32. Warnings tell of modules that are left out,
    of half precision, of floating-point buffers and properties, which may be states or coefficients that cannot be
    quantized, of those that prepare the input, which the device has to get prepared, of numbers that neurons of the
    user's compute with, of widths that the simulation limits to less than 8 bits, and of decays so slow that their
    widest format is off by more than 10 % of 1 - decay.

    Pruned weights are counted like all others, neither as their mask nor by their sparsity: the formats are those of
    arrays. Of weights that the network computes, such as by weight normalization, the computed ones are counted.

    Example:
        >>> for parameter in calibrate(network, [spikes]):
        ...     print(parameter.name, parameter.family, parameter.count)
        0.weight weight 128
        1.v membrane 8
        1.threshold threshold 1
        1.decay decay 1
        2.weight weight 32

    Args:
        network: A network without batch normalization; see :func:`fold_batch_norm`.
        batches: Inputs of the network, or tuples of one or several inputs and at last the label. The elements of a
            state for one sample are found with the first batch and one of another size.
        method: How ranges are made of values.
        percentile: Part of the values that is kept, in percent, if ``method`` is that one.
        seed: Of the sample of values from which percentiles and squared errors are computed.
        weight_grids: Grids of the weights of layers. Other parameters, of which many rest at 0, have mid-tread ones.

    Raises:
        TypeError: If ``network`` is no module, or a batch has no tensors.
        ValueError: If a module cannot be quantized, there are no batches, they differ in shape, a value is not finite,
            the output does not depend on the inputs, ``percentile`` is outside 50-100, or no width of the parameters is
            simulated exactly.
    """
    method = RangeMethod(method)
    if not 50 <= percentile <= 100:
        raise ValueError(f"percentile must be between 50 and 100, got {percentile}.")
    network = with_plain_parameters(network)
    labeled = labeled_inputs_of(batches)
    first, labels = next(labeled)
    weights = synaptic_parameters(network)
    parameters, reach = _reached_parameters(network, first)
    warn_of_computed_coefficients(network)
    warn_of_own_constants(network, first)
    _check_finite(weights, {parameter.name for parameter in parameters})
    constants = _constants(network)
    watch = Observation(network, torch.Generator().manual_seed(seed))
    weights_of = WeightFormats(network, watch.generator, method, percentile, tuple(weight_grids))
    watch.run(itertools.chain([(first, labels)], labeled))
    exact = computes_in_fixed_point(network)
    sources = contributions(network, watch.few_samples) if exact else {}
    sensor = _input_spec(network, watch, sources, method, percentile) if exact and not watch.inputs_on_grid else None
    entry = entry_parameters(sources, sensor)
    coded = {name: _largest_code(sensor) for name, names in sources.items() if sensor and names == {INPUT}}
    unread = unread_coefficients(network, watch.first)
    specs = [*entry.needed]
    for name, family in (
        (parameter.name, parameter.family) for parameter in parameters if parameter.name not in unread
    ):
        if name in constants:
            specs.append(_constant_spec(name, family, constants[name]))
        elif name in weights:
            limit = watch.weight_bits(name, weights[name], coded)
            specs.append(weights_of.spec(name, family, weights[name], limit))
        elif family is Family.SCALE:
            specs.append(weights_of.scale_spec(name))
        elif name in watch.states:
            seen, count = watch.states[name], watch.sizes.counts[name]
            if _holds_spikes(network, name) and seen.binary:
                specs.append(ParameterSpec(name, family, count, 0.0, 1.0, fixed_bits=1))
            else:
                threshold = constants.get(f"{name.rpartition('.')[0]}.threshold".lstrip("."))
                floor = -math.inf if threshold is None else -float(threshold.max())
                limit = _state_bits(network, name)
                specs.append(calibrated_spec(name, family, count, seen, limit, method, percentile, floor))
    measured = partial(watch.layer_inputs.specs, method=method, percentile=percentile)
    calibrated = _exactly_simulated(network, watch, specs, entry.optional, sources, measured) if exact else tuple(specs)
    warn_of_buffers(network, reach, watch.few_samples, calibrated)
    widest = {spec.name: spec.max_bits for spec in calibrated if spec.fixed_bits is None}
    for sentence in [*limits.told(watch.limits, widest, _ENOUGH), *coarse_decays(calibrated, constants)]:
        warnings.warn(sentence, stacklevel=2)
    return calibrated


def _exactly_simulated(
    network: nn.Module,
    watch: Observation,
    specs: Sequence[ParameterSpec],
    optional: Sequence[ParameterSpec],
    sources: Mapping[str, frozenset[str]],
    measured: Callable[[Mapping[str, int]], list[ParameterSpec]],
) -> tuple[ParameterSpec, ...]:
    """The parameters with widths that float32 simulates exactly, and with others that this needs.

    What layers take is rounded if they are never exact otherwise, and what neurons take if it has been multiplied by
    decimals, see :mod:`~.decimals`.

    Args:
        network: The network.
        watch: What was seen of it.
        specs: Its parameters.
        optional: An input, which may be needed.
        sources: What is added up where.
        measured: Gives the inputs of layers as parameters.

    Raises:
        NeverExactError: If no widths are exact.
    """
    widths = ExactWidths(network, watch.few_samples, sources)
    if optional and not widths.passes(specs):
        specs = [*specs, *optional]
    chained = chained_synapses(network, sources)
    if chained and not widths.passes(specs, _ENOUGH):
        sources = contributions(network, watch.few_samples, chained)
        specs = [*specs, *measured(watch.layer_inputs.chained(chained, sources).counts)]
        widths = ExactWidths(network, watch.few_samples, sources)
    if widths.are_never_exact(specs):
        specs, sources = _entered(specs, sources, watch.layer_inputs.entering(sources), measured)
        widths = ExactWidths(network, watch.few_samples, sources)
    listed = {spec.name for spec in specs}
    left_out = [spec for spec in optional if spec.name not in listed]
    neurons = neurons_that_take_decimals(network, [*specs, *left_out], watch.samples(_MORE))
    check_without_transcendental(network, watch.few_samples, {*chained, *neurons})
    if neurons:
        specs, sources = _entered(specs, sources, watch.layer_inputs.entering_neurons(neurons, sources), measured)
        widths = ExactWidths(network, watch.few_samples, sources)
    try:
        limited = widths.limited(specs)
    except NeverExactError:
        check_without_transcendental(network, watch.few_samples, dict(network.named_modules()).keys())
        raise
    watch.limits += widths.limits
    return limited


def _entered(
    specs: Sequence[ParameterSpec],
    sources: Mapping[str, frozenset[str]],
    entering: Entering,
    measured: Callable[[Mapping[str, int]], list[ParameterSpec]],
) -> tuple[Sequence[ParameterSpec], Mapping[str, frozenset[str]]]:
    """Parameters, and what is added up where, with the inputs of some layers or neurons, if there are any."""
    if not entering:
        return specs, sources
    kept = [spec for spec in specs if not entering.replaces(spec.name)]
    return [*measured(entering.counts), *kept], entering.contributions


def _reached_parameters(network: nn.Module, inputs: Inputs) -> tuple[tuple[NetworkParameter, ...], Reach]:
    """The parameters that the first batch reaches, and all else that it does; the rest is told."""
    if not isinstance(network, nn.Module):
        raise TypeError(f"network must be a torch.nn.Module, got {type(network).__name__}.")
    with naming_batch(0, inputs):
        reach = reach_of(network, inputs)
    check_supported(network, reach.modules)
    warn_of_unreached(network, reach, stacklevel=3)
    found = listed_parameters(network, reach)
    check_dependent(network, inputs)
    return found, reach


def _check_finite(weights: dict[str, nn.Parameter], names: set[str]) -> None:
    """Refuse values that would make all states after them infinite, too."""
    for name in sorted(names & weights.keys()):
        if not bool(weights[name].isfinite().all()):
            raise ValueError(f"{name} cannot be calibrated: the values are not finite.")


def _constants(network: nn.Module) -> dict[str, Tensor]:
    return {
        join(name, coefficient.name): coefficient.values
        for name, module in network.named_modules()
        if has_states(module)
        for coefficient in coefficients(module)
    }


def _input_spec(
    network: nn.Module,
    watch: Observation,
    sources: Mapping[str, frozenset[str]],
    method: RangeMethod,
    percentile: float,
) -> ParameterSpec:
    """The input of the network, which a device holds until its first layers have read it."""
    fan_ins = {name: count for name, count in watch.fan_in.items() if set(sources.get(name, ())) == {INPUT}}
    largest = max(fan_ins, key=lambda name: fan_ins[name], default="")
    fan_in = fan_ins.get(largest, 1)
    # Sums of very many inputs leave some bits to the weights.
    limit = SIMULATED_BITS + 1 - _WEIGHT_BITS_BESIDE_INPUTS - math.ceil(math.log2(fan_in))
    bits = max(2, min(INPUT_BITS, limit))
    if bits < INPUT_BITS:
        watch.limits.append(limits.Limit(INPUT, INPUT_BITS, bits, largest))
    count = elements_of_a_step(network, watch.few_samples, watch.sizes)
    return calibrated_spec(INPUT, Family.INPUT, count, watch.inputs, bits, method, percentile)


def _largest_code(spec: ParameterSpec) -> int:
    fmt = spec.format(spec.max_bits)
    return max(-fmt.min_code, fmt.max_code)


def _state_bits(network: nn.Module, name: str) -> int:
    """Widest state whose product with its decay is exact."""
    module = network.get_submodule(name.rpartition(".")[0])
    leaky = any(coefficient.family is Family.DECAY for coefficient in coefficients(module))
    return SIMULATED_BITS - DECAY_BITS - HEADROOM_BITS if leaky and has_fixed_point_step(module) else WIDEST


def _holds_spikes(network: nn.Module, name: str) -> bool:
    """Whether a state is made of spikes by design."""
    return isinstance(network.get_submodule(name.rpartition(".")[0]), REPEATING)


def _constant_spec(name: str, family: Family, values: Tensor) -> ParameterSpec:
    low, high, count = min(float(values.min()), 0.0), max(float(values.max()), 0.0), values.numel()
    if family is Family.DECAY and low >= 0 and high < 1:
        # All bits behind the point, whatever the decay, so that a trained one may change.
        return ParameterSpec(name, family, count, 0.0, 0.5, max_bits=DECAY_BITS)
    return ParameterSpec(name, family, count, low, high if low < high else 0.5, max_bits=WIDEST)
