"""A quantized network as an integer model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from spikingjelly.activation_based import functional
from torch import Tensor, nn

from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.fixed_point import QFormat
from qspinn_optuna.integer import IntegerModel, LargestScore, Reduction
from qspinn_optuna.networks.capture.arithmetic import ARITHMETIC
from qspinn_optuna.networks.capture.assembly import Assembly
from qspinn_optuna.networks.capture.constants import Constants
from qspinn_optuna.networks.capture.entry import codes, coding_of
from qspinn_optuna.networks.capture.errors import CaptureError
from qspinn_optuna.networks.capture.matching import Arrivals, Matching
from qspinn_optuna.networks.capture.modules import NeuronRecord, prepare
from qspinn_optuna.networks.capture.movements import MOVEMENTS
from qspinn_optuna.networks.capture.recorder import Recorder
from qspinn_optuna.networks.capture.scores import ScoreTerms, Terms
from qspinn_optuna.networks.capture.sources import Result, Source
from qspinn_optuna.networks.capture.symbols import Entered, Symbol
from qspinn_optuna.networks.capture.unrolling import Unrolling
from qspinn_optuna.networks.capture.verification import Observed, verify
from qspinn_optuna.networks.discovery.discovery import synaptic_parameters
from qspinn_optuna.networks.modules.presentation import sample_numbers
from qspinn_optuna.networks.quantization import freeze_network, is_quantized
from qspinn_optuna.networks.running.batches import Inputs, as_inputs, call, tensors
from qspinn_optuna.networks.running.randomness import same_draws
from qspinn_optuna.networks.running.watching import fresh_copy

Scores = Callable[[Any], Any]
"""Takes class scores out of what a network puts out."""


def capture(
    network: nn.Module,
    config: QuantizationConfig,
    sample: Inputs,
    *,
    scores: Scores | None = None,
    input_format: QFormat | None = None,
    first_sample: int = 0,
) -> IntegerModel:
    """A quantized network as integers: all that a device needs, and nothing else.

    The network is run on one sample, and every call of torch on what depends on the input is recorded, through
    containers and functions alike: layers, convolutions, pools, additions, normalization, roundings, neurons, and all
    that moves elements about. Loops over time and multi-step modes become one graph that runs once a time step, results
    of earlier steps that are read again become delays, and the sum, mean or last of the scores the readout.

    What the network does with its input before it is rounded, such as a standardization before the parameter
    "layer.input", or a comparison with numbers, is left to the host: the input of the model is what it gives. Positive
    factors of the scores are left out, which matter to no class.

    The model is checked: it must give the spikes and membranes of the network at every step, and a run on another
    sample, the given one turned round, must give the same model.

    Example:
        >>> model = capture(quantized, config, sample)
        >>> codes = input_codes(quantized, config, sample)
        >>> model.network.array("1.v").width
        8

    Args:
        network: Of :func:`~qspinn_optuna.networks.quantize_network`, frozen or not; it is left untouched.
        config: The configuration by which it was quantized.
        sample: One sample as the network takes it, a batch of 1; a tuple for several inputs.
        scores: Takes class scores, [1, classes] or [steps, 1, classes], out of what the network returns.
        input_format: Of an input that nothing rounds, since it is on a grid; if not given, the narrowest of 1, 8 and 16
            bits that holds the sample.
        first_sample: Number of the first sample of the test set, by which stochastic rounding draws.

    Raises:
        TypeError: If ``network`` is no module, or ``sample`` no tensors.
        ValueError: If ``network`` is not quantized; or, naming module and function, if the network does what integer
            models cannot, depends on values of its input in Python, does not do the same at every step, takes an input
            on no grid that nothing rounds, or the model is not the same as the network.
    """
    if not isinstance(network, nn.Module):
        raise TypeError(f"network must be a torch.nn.Module, got {type(network).__name__}.")
    if not is_quantized(network):
        raise ValueError("network must be quantized, see quantize_network; got one that is not.")
    sample = as_inputs(sample, "sample")
    frozen = freeze_network(network).eval().cpu()
    captured = _captured(frozen, config, sample, scores, input_format)
    verify(captured.model, captured.observed)
    turned = _captured(frozen, config, _turned(sample), scores, input_format)
    if turned.model != captured.model:
        raise CaptureError(
            "The network does something else with another sample, so that one program is not all of it: numbers that "
            "come from its input are used where they are not seen, such as in a list or in an array of numpy."
        )
    verify(turned.model, turned.observed)
    return replace(captured.model, first_sample=first_sample)


def input_codes(
    network: nn.Module,
    config: QuantizationConfig,
    sample: Inputs,
    *,
    scores: Scores | None = None,
    input_format: QFormat | None = None,
    number: int = 0,
) -> NDArray[np.int64]:
    """What the model of :func:`capture` takes of a sample: as a host prepares it. Errors as in :func:`capture`.

    Example:
        >>> codes = input_codes(quantized, config, sample)
        >>> codes.shape, codes.max()
        ((1, 10, 16), np.int64(1))

    Args:
        network: As in :func:`capture`.
        config: As in :func:`capture`.
        sample: One sample, a batch of 1.
        scores: As in :func:`capture`.
        input_format: That of the model's coding, if the input is on a grid already.
        number: Of the sample, by which stochastic rounding draws.

    Returns:
        Codes, [1, steps, ...], or [1, ...] if every step takes the same.
    """
    return SampleCoder(network, config, scores=scores, input_format=input_format).codes(sample, number)


class SampleCoder:
    """What the model of :func:`capture` takes of many samples, as :func:`input_codes` gives it of one.

    The first sample is captured. Of the others the network's run is recorded, and what enters is read where it entered
    in the first run. A sample whose run has something else there is captured, too.

    Args:
        network: As in :func:`capture`.
        config: As in :func:`capture`.
        scores: As in :func:`capture`.
        input_format: As in :func:`input_codes`.
    """

    def __init__(
        self,
        network: nn.Module,
        config: QuantizationConfig,
        *,
        scores: Scores | None = None,
        input_format: QFormat | None = None,
    ) -> None:
        self._frozen = freeze_network(network).eval().cpu()
        self._config = config
        self._scores = scores
        self._input_format = input_format
        self._first: _Captured | None = None

    def codes(self, sample: Inputs, number: int = 0) -> NDArray[np.int64]:
        """Codes of a sample; arguments, result and errors are those of :func:`input_codes`."""
        sample = as_inputs(sample, "sample")
        known = None if self._first is None else self._read(self._first, sample, number)
        if known is not None:
            return known
        captured = _captured(self._frozen, self._config, sample, self._scores, self._input_format, number)
        self._first = self._first or captured
        return captured.observed.codes

    @torch.no_grad()
    def _read(self, first: _Captured, sample: Inputs, number: int) -> NDArray[np.int64] | None:
        """Codes of what enters where it did in the first run; None if something else is there."""
        run = _recorded(self._frozen, sample, self._scores, number)
        arrivals = first.arrivals
        symbols = [run.recorder.symbols.at(position) for position in first.positions]
        if not all(map(_is_alike, symbols, [one.symbol for one in arrivals.of_steps])):
            return None
        entering = arrivals.of([symbol for symbol in symbols if symbol is not None])
        return codes(entering, coding_of(entering, len(entering.of_steps), self._input_format))


def _is_alike(symbol: Symbol | None, other: Symbol) -> bool:
    """Whether the same enters, but for its values."""
    if symbol is None or type(symbol) is not type(other) or (symbol.shape, symbol.where) != (other.shape, other.where):
        return False
    return not isinstance(symbol, Entered) or symbol.quantization == other.quantization  # type: ignore[attr-defined]


@dataclass(frozen=True, eq=False)
class _Captured:
    """A model, and what the run showed of which it was made.

    Args:
        model: The model.
        observed: Spikes, membranes and codes of the run.
        arrivals: What entered.
        positions: Of its symbols at each step, among those of the run.
    """

    model: IntegerModel
    observed: Observed
    arrivals: Arrivals
    positions: list[int]


@dataclass(frozen=True, eq=False)
class _Recorded:
    """A run of a network.

    Args:
        network: The copy that ran.
        reciprocals: Stored factors of its averages.
        recorder: What was recorded.
        neurons: The calls of its neurons.
        output: Its class scores.
    """

    network: nn.Module
    reciprocals: dict[int, float]
    recorder: Recorder
    neurons: dict[str, NeuronRecord]
    output: Tensor


@torch.no_grad()
def _captured(
    frozen: nn.Module,
    config: QuantizationConfig,
    sample: Inputs,
    scores: Scores | None,
    input_format: QFormat | None,
    number: int = 0,
) -> _Captured:
    run = _recorded(frozen, sample, scores, number)
    recorder, neurons, reciprocals, output = run.recorder, run.neurons, run.reciprocals, run.output
    steps = _steps(neurons)
    terms_of = ScoreTerms(recorder)
    terms = terms_of.of(recorder.origins(output))
    constants = Constants(config, recorder.symbols, reciprocals)
    unrolling = Unrolling(recorder.symbols, neurons, constants, config)
    reduction, results = _unrolled(unrolling, neurons, steps, terms, terms_of)
    arrivals = Arrivals([unrolling.arrivals.get(step, {}) for step in range(steps)])
    coding = coding_of(arrivals, steps, input_format)
    matching = _matched(unrolling, neurons, steps, arrivals, results)
    assembly = Assembly(matching, steps - 1, coding.shape, coding.quantization.format)
    layers = {name: assembly.name_of(Result(unrolling.neurons(name, steps - 1))) for name in neurons}
    readout = LargestScore(assembly.name_of(results[steps - 1]), reduction)
    model = IntegerModel(coding, assembly.graph(constants), readout, _seed(neurons), 0)
    observed = Observed(
        codes(arrivals, coding),
        {layers[name]: _stacked(record) for name, record in neurons.items()},
        output.detach().double().numpy().reshape(-1, output.shape[-1]).mean(0),
        terms.factor,
    )
    return _Captured(model, observed, arrivals, [recorder.symbols.position(one.symbol) for one in arrivals.of_steps])


def _recorded(frozen: nn.Module, sample: Inputs, scores: Scores | None, number: int) -> _Recorded:
    """A run of a copy of a network."""
    network = fresh_copy(frozen)
    reciprocals: dict[int, float] = network.__dict__.get("_reciprocals", {})
    # They are looked up where averages are recorded.
    network.__dict__["_reciprocals"] = {}
    recorder = Recorder(MOVEMENTS, ARITHMETIC, reciprocals)
    for name, parameter in synaptic_parameters(network).items():
        recorder.know(parameter, name)
    neurons = prepare(network, recorder)
    output = _recorded_run(network, recorder, sample, scores, number)
    return _Recorded(network, reciprocals, recorder, neurons, output)


def _recorded_run(network: nn.Module, recorder: Recorder, sample: Inputs, scores: Scores | None, number: int) -> Tensor:
    """Run a network; its class scores."""
    given = [one.detach().cpu().clone() for one in tensors(sample)]
    functional.reset_net(network)
    with same_draws(), recorder.inside(network), sample_numbers(network, [number]):
        for position, one in enumerate(given):
            where = "input" if len(given) == 1 else f"input {position}"
            recorder.entered(one, Entered(tuple(one.shape), where, one.clone()))
        output = call(network, tuple(given) if isinstance(sample, tuple) else given[0])
        output = output if scores is None else scores(output)
    if not isinstance(output, Tensor):
        raise CaptureError(
            f"The network must return a tensor of class scores, got {type(output).__name__}: give capture scores=, a "
            "function that takes them out of it."
        )
    if not recorder.varies(output):
        raise CaptureError("The scores do not depend on the input by any call of torch: they cannot be captured.")
    return output


def _steps(neurons: dict[str, NeuronRecord]) -> int:
    """Time steps of a run."""
    for name in [name for name, record in neurons.items() if not record.calls]:
        del neurons[name]
    steps = {name: record.steps for name, record in neurons.items()}
    if len(set(steps.values())) != 1:
        raise CaptureError(
            f"All neurons must take the same number of time steps, got {steps}: a device runs all of them once a step."
            if steps
            else "The network has no neurons that run, so that it has no time steps."
        )
    return next(iter(steps.values()))


def _unrolled(
    unrolling: Unrolling, neurons: dict[str, NeuronRecord], steps: int, terms: Terms, terms_of: ScoreTerms
) -> tuple[Reduction, dict[int, Source]]:
    """Make the operations of all steps; what is read out at the steps, and how."""
    by_step = terms_of.by_step(terms, steps)
    reduction = Reduction.SUM if len(by_step) == steps else Reduction.LAST
    results: dict[int, Source] = {}
    order = sorted(neurons, key=lambda name: neurons[name].calls[0].spikes.first)
    for step in range(steps):
        unrolling.step = step
        for name in order:
            unrolling.neurons(name, step)
        if step in by_step:
            results[step] = unrolling.total(by_step[step])
    return reduction, results


def _matched(
    unrolling: Unrolling,
    neurons: dict[str, NeuronRecord],
    steps: int,
    arrivals: Arrivals,
    results: dict[int, Source],
) -> Matching:
    """Check that all steps are the same."""
    last = steps - 1
    matching = Matching(last, arrivals)
    for step in reversed(range(steps)):
        for name in neurons:
            matching.match_operations(unrolling.neurons(name, step), unrolling.neurons(name, last))
        if step in results:
            matching.match(results[step], results[last], step)
    matching.check_delayed()
    return matching


def _stacked(record: NeuronRecord) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Spikes and membranes of a run, [steps, ...]."""
    spikes, membranes = (
        torch.cat([call.values[number].detach().double() for call in record.calls]).numpy() for number in (0, 1)
    )
    return spikes, membranes


def _seed(neurons: dict[str, NeuronRecord]) -> int:
    """Of the draws of the network."""
    record = next(iter(neurons.values()))
    seed: int = record.module._quantization.draws["v"].seed
    return seed


def _turned(sample: Inputs) -> Inputs:
    """A sample with its values in the opposite order, or of zeros if that is the same."""
    turned = tuple(one.flip(tuple(range(one.ndim))) for one in tensors(sample))
    if all(torch.equal(one, other) for one, other in zip(turned, tensors(sample), strict=True)):
        turned = tuple(torch.zeros_like(one) for one in turned)
    return turned if isinstance(sample, tuple) else turned[0]
