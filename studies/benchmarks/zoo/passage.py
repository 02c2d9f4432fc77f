"""The way of an architecture through the library: every step that a study takes, without a study."""

from __future__ import annotations

import pickle
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from spikingjelly.activation_based import functional
from torch import Tensor, nn

import qspinn_optuna
from qspinn_optuna import InexactError, QuantizationConfig, QuantizationSpace, Rounding, Scheme
from qspinn_optuna.networks import (
    calibrate,
    check_exact,
    find_parameters,
    fold_batch_norm,
    freeze_network,
    quantize_network,
)
from qspinn_optuna.parameters import ParameterSpec
from zoo.architecture import Architecture, Counts, Inputs, Outcome

BATCH_SIZES = (1, 3, 8)
NARROWEST = 2
WIDEST = 16
TRAINING_STEPS = 2

_PACKAGE = str(Path(qspinn_optuna.__file__).parent)
_GAIN = 6.0
"""Factor of fresh weights, whose currents are too weak for neurons to fire."""

_SAME_COUNT = {"scale": "weight"}
"""Factors of channels are weights to who counts by hand."""
_NOT_COUNTED = {"input"}
"""A buffer which the way of the inputs into the device decides upon."""


@dataclass
class Passage:
    """How far an architecture came.

    Args:
        name: Of the architecture.
        expected: How it should end.
        outcome: How it ended.
        reason: Why not, for all but searched ones.
        step: The first step that failed.
        parameters: Number of searched arrays.
        elements: Number of their elements, as the library counts them.
        exact: Configurations of those tried that are exact.
        tried: Configurations that were tried.
        drift: Norm of the change of the scores by quantization to the widest widths, by that of the scores.
        seconds: Time from making the network to the end.
    """

    name: str
    expected: Outcome
    outcome: Outcome = Outcome.SEARCHED
    reason: str = ""
    step: str = ""
    parameters: int = 0
    elements: int = 0
    exact: int = 0
    tried: int = 0
    drift: float | None = None
    seconds: float = 0.0
    _problems: list[tuple[Outcome, str, str]] = field(default_factory=list, repr=False)

    @property
    def as_expected(self) -> bool:
        """Whether it ended as it should."""
        return self.outcome is self.expected

    @contextmanager
    def during(self, step: str) -> Iterator[None]:
        """A step whose errors end the passage."""
        try:
            yield
        except _Ended:
            raise
        except Exception as error:
            self.fail(_kind_of(error), step, f"{type(error).__name__}: {error}")
            raise _Ended from error

    def fail(self, outcome: Outcome, step: str, reason: str) -> None:
        """Note a failure; the first one says how it ended, unless a later one ends it."""
        self._problems.append((outcome, step, " ".join(reason.split())))
        ending = [problem for problem in self._problems if problem[0] in {Outcome.REFUSED, Outcome.ERROR}]
        self.outcome, self.step, self.reason = (ending or self._problems)[0]
        if len(self._problems) > 1 and ending:
            others = "; ".join(f"{step}: {reason}" for kind, step, reason in self._problems if kind is not self.outcome)
            self.reason += f" (before: {others})" if others else ""


class _Ended(Exception):  # noqa: N818
    """The passage is over."""


def passage(architecture: Architecture, roundings: Sequence[Rounding] = tuple(Rounding)) -> Passage:
    """Take an architecture through the library; failures are part of what is returned.

    Discovery at three batch sizes, folding, calibration, both schemes with ``roundings`` at both ends of the widths,
    freezing, the check of exactness, and a saved network that is loaded again. The global generator is used.
    """
    start = time.perf_counter()
    result = Passage(architecture.name, architecture.expected)
    torch.manual_seed(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _pass(architecture, roundings, result)
    except _Ended:
        pass
    result.seconds = time.perf_counter() - start
    return result


def _pass(architecture: Architecture, roundings: Sequence[Rounding], result: Passage) -> None:
    sample = architecture.sample(max(BATCH_SIZES))
    with result.during("making"):
        network = architecture.make()
        _settle(network, sample)
        if architecture.counts is not None:
            _check_alive(network, architecture, sample)
    with result.during("folding"):
        network = fold_batch_norm(network, sample)  # type: ignore[arg-type,unused-ignore]
    with result.during("counting"):
        for batch in BATCH_SIZES:
            counted = _counted(network, architecture.sample(batch))
            if architecture.counts is not None and counted != (expected := _comparable(architecture.counts)):
                wrong = {
                    family: counted[family] for family in {*counted, *expected} if counted[family] != expected[family]
                }
                right = {family: expected[family] for family in wrong}
                result.fail(Outcome.MISCOUNTED, "counting", f"{wrong} at batch size {batch}, by hand {right}")
                break
    with result.during("calibration"):
        specs = calibrate(network, [_with_labels(sample)])
        space = QuantizationSpace(specs, bits=(NARROWEST, WIDEST))
    result.parameters = len(space.searched)
    result.elements = sum(spec.count for spec in space.searched)
    _check_calibrated(specs, architecture, result)
    for width in (WIDEST, NARROWEST):
        for scheme in Scheme:
            for rounding in roundings:
                config = space.uniform(width, scheme, rounding)
                _quantize(network, config, architecture, sample, width, result)


def _quantize(
    network: nn.Module,
    config: QuantizationConfig,
    architecture: Architecture,
    sample: Inputs,
    width: int,
    result: Passage,
) -> None:
    """One configuration, as a trial goes through it."""
    result.tried += 1
    with result.during("quantization"):
        quantized = quantize_network(network, config)
    if config.scheme is Scheme.ITQ:
        with result.during("training"):
            _train(quantized, sample, architecture.scores)
    with result.during("freezing"):
        frozen = freeze_network(quantized)
    with result.during("exactness"):
        try:
            check_exact(frozen, sample)  # type: ignore[arg-type,unused-ignore]
            result.exact += 1
        except InexactError as error:
            result.fail(Outcome.INEXACT, "exactness", f"{width} bits, {config.scheme}: {error}")
    if result.drift is None:
        with result.during("comparison"):
            before, after = (_scores(each, sample, architecture.scores).double() for each in (network, frozen))
            result.drift = float((after - before).norm() / before.norm().clamp(min=1e-9))
    if width == NARROWEST and config.scheme is Scheme.PTQ:
        with result.during("saving"):
            output = _scores(frozen, sample, architecture.scores)
            other = quantize_network(network, config)
            other.load_state_dict(frozen.state_dict())
            _compare("state_dict", output, _scores(freeze_network(other), sample, architecture.scores), result)
            pickled = pickle.loads(pickle.dumps(freeze_network(quantized)))
            _compare("pickle", output, _scores(pickled, sample, architecture.scores), result)


@torch.no_grad()
def _settle(network: nn.Module, sample: Inputs) -> None:
    """Make a network that fires, and give normalizations statistics and factors as after a training."""
    for name, parameter in network.named_parameters():
        module: Any = network.get_submodule(name.rpartition(".")[0])
        if "Norm" in type(module).__name__ and parameter.ndim == 1:
            nn.init.uniform_(parameter, 2.0, 4.0) if name.endswith("weight") else nn.init.normal_(parameter, 0.0, 0.5)
        elif parameter.ndim > 1:
            parameter.mul_(_GAIN)
    norms: list[Any] = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = 1.0  # the statistics of the last batch
    for _ in range(2):
        _call(network.train(), sample)
        functional.reset_net(network)
    for norm in norms:
        norm.momentum = 0.1
    network.eval()


def _check_alive(network: nn.Module, architecture: Architecture, sample: Inputs) -> None:
    """A network whose scores are the same for all samples shows nothing."""
    scores = _scores(network, sample, architecture.scores)
    if not bool((scores != scores.flip(-2)).any()):
        raise AssertionError(f"{architecture.name} gives the same scores for all samples: no spikes reach its end.")


def _counted(network: nn.Module, sample: Inputs) -> Counts:
    counts: Counter[str] = Counter()
    for parameter in find_parameters(network, sample):  # type: ignore[arg-type,unused-ignore]
        counts[parameter.family.value] += parameter.count or 0
    return _comparable(counts)


def _comparable(counts: Counter[str]) -> Counts:
    merged = Counts()
    for family, count in counts.items():
        if family not in _NOT_COUNTED:
            merged[_SAME_COUNT.get(family, family)] += count
    return merged


def _check_calibrated(specs: Sequence[ParameterSpec], architecture: Architecture, result: Passage) -> None:
    """What is calibrated has as many elements as what was found, and the factors of averages."""
    if architecture.counts is None or result.outcome is Outcome.MISCOUNTED:
        return
    counts: Counter[str] = Counter()
    for spec in specs:
        counts[spec.family.value] += spec.count
    expected = _comparable(architecture.counts + Counts(scale=architecture.averages))
    if _comparable(counts) != expected:
        result.fail(Outcome.MISCOUNTED, "calibration", f"{dict(_comparable(counts))}, by hand {dict(expected)}")


def _train(network: nn.Module, sample: Inputs, scores: Callable[[Any], Tensor]) -> None:
    """A few steps towards labels that mean nothing."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=1e-3)
    network.train()
    for _ in range(TRAINING_STEPS):
        optimizer.zero_grad()
        output = scores(_call(network, sample)).float()
        labels = torch.arange(output.shape[-2]) % output.shape[-1]
        # [steps, batch, classes] or [batch, classes].
        output = output.mean(0) if output.ndim == 3 else output
        nn.functional.cross_entropy(output, labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        functional.reset_net(network)
    network.eval()


@torch.no_grad()
def _scores(network: nn.Module, sample: Inputs, scores: Callable[[Any], Tensor]) -> Tensor:
    torch.manual_seed(1)
    functional.reset_net(network)
    output = scores(_call(network.eval(), sample)).clone()
    functional.reset_net(network)
    return output


def _compare(what: str, before: Tensor, after: Tensor, result: Passage) -> None:
    if not torch.equal(before, after):
        difference = float((before - after).abs().max())
        result.fail(Outcome.LOST, "saving", f"scores after {what} differ by up to {difference:.3g}")


def _call(network: nn.Module, sample: Inputs) -> Any:
    return network(*sample) if isinstance(sample, tuple) else network(sample)


def _with_labels(sample: Inputs) -> tuple[Tensor, ...]:
    """A batch as a loader gives it: the last element is the labels."""
    inputs = sample if isinstance(sample, tuple) else (sample,)
    return (*inputs, torch.arange(max(BATCH_SIZES)) % 10)


def _kind_of(error: Exception) -> Outcome:
    """A refusal is an error that the library raised itself, of the kind that it documents."""
    innermost = traceback.extract_tb(error.__traceback__)[-1].filename
    own = innermost.startswith(_PACKAGE) and isinstance(error, ValueError | TypeError)
    return Outcome.REFUSED if own else Outcome.ERROR
