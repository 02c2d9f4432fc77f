"""Any network that is trained on labeled data, as a workload."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.fixed_point import GridKind
from qspinn_optuna.integer import IntegerModel
from qspinn_optuna.networks import RangeMethod, calibrate
from qspinn_optuna.networks.calibration.activity import silent_layers
from qspinn_optuna.networks.calibration.fidelity import check_fidelity
from qspinn_optuna.networks.modules.channel_scale import ChannelScale
from qspinn_optuna.networks.running.batches import Inputs, inputs_of, labeled_inputs_of, tensors
from qspinn_optuna.networks.running.compiled import check_readable, initialize
from qspinn_optuna.networks.running.watching import fresh_copy
from qspinn_optuna.parameters import Deployment, ParameterSpec
from qspinn_optuna.workloads.progress import TrainingProgress, check_rungs
from qspinn_optuna.workloads.protocol import STOCHASTIC_ROUNDING
from qspinn_optuna.workloads.samples import IntegerSamples, Split
from qspinn_optuna.workloads.supervised.cache import NetworkCache
from qspinn_optuna.workloads.supervised.captures import Captures
from qspinn_optuna.workloads.supervised.comparison import ComparedWorkload
from qspinn_optuna.workloads.supervised.evaluation import (
    Accuracy,
    count_correct,
    total_accuracy,
)
from qspinn_optuna.workloads.supervised.fingerprints import fingerprint, fingerprint_of_batches
from qspinn_optuna.workloads.supervised.first_scores import FirstScores
from qspinn_optuna.workloads.supervised.quantized_networks import QuantizedNetworks
from qspinn_optuna.workloads.supervised.silence import warn_of_silence
from qspinn_optuna.workloads.supervised.trained_networks import TrainedNetworks
from qspinn_optuna.workloads.supervised.training import Batches, Scores, Train, TrainInParts, finish
from qspinn_optuna.workloads.supervised.turns import in_turns, made_once, seeded


def top1(scores: Tensor, labels: Tensor) -> float:
    """The part of the samples whose label has the highest score.

    Example:
        >>> top1(torch.tensor([[0.1, 0.9], [0.8, 0.2]]), torch.tensor([1, 1]))
        0.5

    Raises:
        ValueError: If labels are no class indices, [batch], which would be compared with the wrong scores.
    """
    _check_indices(labels)
    return (scores.argmax(1) == labels.to(scores.device)).float().mean().item()


def _have_highest_score(scores: Tensor, labels: Tensor) -> Tensor:
    """Which samples :func:`top1` counts."""
    return scores.argmax(1) == labels.to(scores.device)


class SupervisedWorkload(ComparedWorkload):
    """A network, how it is trained, and its data: a :class:`~qspinn_optuna.workloads.Workload`.

    The float network is trained when it is first needed. The *baseline* is the float network that had the same
    fine-tuning as networks that are quantized in training: fine-tuning alone may gain a point. Post-training
    quantization starts from the baseline, in-training quantization from the network before fine-tuning.

    Batch normalization is folded before anything is quantized or fine-tuned; what cannot be folded becomes a scale and
    an offset per channel. What the network draws from torch's global generators is seeded. Evaluations may run in
    several threads: they take turns at torch's process-wide generators and flags, which are left as they were.

    Example:
        >>> supervised = SupervisedWorkload(network, train=None, calibration=batches, validation=batches)

    Args:
        network: A network, which is left untouched, or a class or function that makes it, which is called with
            ``seed`` as torch's global seed, so that a later run begins with the same weights. It returns class scores
            for a batch, see :func:`~.training.class_scores`, or what ``scores`` takes them from.
        train: Trains it from scratch; None if it is trained already.
        fine_tune: Trains a trained network further, at a lower rate and for fewer epochs: the float one for the
            baseline, quantized ones in training. None for post-training quantization only. A generator function, such
            as a partial :func:`~.training.fit_by_epochs`, can be evaluated at ``rungs``.
        calibration: Batches, such as (inputs, labels), on which ranges are measured. A network of several inputs is
            called with a and b of (a, b, labels). The first batch says what of the network is quantized: modules that
            it does not reach stay as they are.
        validation: Batches (inputs, labels) held out of training, on which accuracies are measured.
        test: Batches for the final figures.
        confirmation: Batches of samples that nothing was trained on or chosen by, with which a choice can be confirmed.
        accuracy: The part of a batch that is right, of class scores and labels. With the default, it is known which
            samples are right, so that networks are compared sample by sample.
        scores: Takes the class scores, [batch, classes] or [steps, batch, classes], out of what the network returns,
            such as a tuple or a dict; give it to :func:`~.training.fit`, too. None if it returns the scores.
        range_method: How ranges are made of values.
        cache: Folder in which trained networks are kept. Later runs find them, as long as nothing that
            :func:`~.fingerprints.fingerprint` sees has changed. The folder is made if it does not exist.
        seed: Of the float networks' initial weights and training.
        rungs: Fractions of in-training quantization, rising, after which :meth:`evaluate` yields the accuracy, so that
            a pruner can stop it: each at the end of the epoch. They change no result; networks of the cache have none.
        channel_scale: Scales the sums of every output channel, so that narrow weights cost less accuracy; see
            :func:`~qspinn_optuna.networks.scale_channels`.
        weight_grids: Of layers, for a space to choose from; mid-rise if there are scales, else mid-tread, if not given.

    Raises:
        TypeError: If ``network`` neither is nor makes a module, ``train``, ``fine_tune`` or ``scores`` cannot be
            called, or there are ``rungs`` and ``fine_tune`` is no generator function.
        ValueError: If ``rungs`` are no rising fractions, or ``validation`` or ``calibration`` has no batches, ones
            that are not finite, or other ones when it is iterated again; or the network is of TorchScript.
    """

    deployment = Deployment.INFERENCE

    def __init__(
        self,
        network: nn.Module | Callable[[], nn.Module],
        *,
        train: Train | None,
        fine_tune: Train | TrainInParts | None = None,
        calibration: Iterable[Any],
        validation: Batches,
        test: Batches | None = None,
        confirmation: Batches | None = None,
        accuracy: Accuracy = top1,
        scores: Scores | None = None,
        range_method: RangeMethod = RangeMethod.LEAST_SQUARES,
        cache: Path | str | None = None,
        seed: int = 0,
        rungs: Sequence[float] = (),
        channel_scale: ChannelScale | None = None,
        weight_grids: Sequence[GridKind] | None = None,
    ) -> None:
        untrained = _made(network, seed)
        self.rungs = check_rungs(tuple(rungs))
        _check_functions(train, fine_tune, scores, pauses=bool(self.rungs))
        rightness = _have_highest_score if accuracy is top1 else None
        count = partial(count_correct, accuracy=accuracy, scores=scores, rightness=rightness)
        shown = FirstScores(calibration, scores, seed)
        super().__init__(count, shown, validation, confirmation, seed, fine_tunes=fine_tune is not None)
        self.calibration = calibration
        self._test = test
        self._accuracy = accuracy
        self._scores = scores
        self.range_method = RangeMethod(range_method)
        grids = _grids(channel_scale, weight_grids)
        self._calibrate = partial(calibrate, method=self.range_method, seed=seed, weight_grids=grids)
        with seeded(seed):
            sample = _repeated_inputs(calibration, "calibration")
            _check_validation(validation, accuracy)
        with seeded(seed):
            initialize(untrained, sample)
        check_readable(untrained)
        files = None if cache is None else NetworkCache(Path(cache))
        self._trained = TrainedNetworks(untrained, train, fine_tune, sample, files, seed, channel_scale)
        self._quantized = QuantizedNetworks(self._trained, validation, accuracy, scores)
        self._captures = Captures(self._trained, calibration, scores, seed)

    @property
    def schemes(self) -> tuple[Scheme, ...]:
        """The schemes that the workload can quantize with: in training only if there is a ``fine_tune``."""
        return (Scheme.PTQ,) if self._trained.fine_tune is None else tuple(Scheme)

    @property
    def network(self) -> nn.Module:
        """The trained float network, its batch normalization folded."""
        return self._trained.network

    @property
    def baseline_network(self) -> nn.Module:
        """The float network that had the same fine-tuning as networks that are quantized in training."""
        return self._trained.baseline_network

    @property
    def state_deleted(self) -> nn.Module:
        """A control: the float network without memory between time steps, trained once more."""
        return self._trained.state_deleted

    @made_once
    def parameters(self) -> tuple[ParameterSpec, ...]:
        """The parameters that the device stores, with the ranges of the baseline on the calibration batches.

        Raises:
            ValueError: If the baseline cannot be calibrated, or fixed point makes it another network.
        """
        specs = self._calibrate(self.baseline_network, self.calibration)
        with seeded(self.seed):
            check_fidelity(self.baseline_network, specs, next(inputs_of(self.calibration)))
        return specs

    @made_once
    def test_baseline(self) -> float | None:
        """Accuracy of the baseline network on the test batches; None if there are none."""
        return None if self._test is None else self.accuracy_of(self.baseline_network, self._test)

    def evaluate(self, config: QuantizationConfig, seed: int) -> Iterator[TrainingProgress | tuple[int, int]]:
        """Quantize the network and count its correct answers on the validation batches.

        Warns if a layer puts out no spikes on the calibration batches.

        Args:
            config: The quantization.
            seed: Of fine-tuning and stochastic rounding, and of draws of the network's own.

        Yields:
            The progress at each of ``rungs``, if ``config`` quantizes in training; then the counts so far, after
            every batch.

        Raises:
            InexactError: If the simulation cannot carry ``config`` exactly, or in-training quantization diverges.
            ValueError: If in-training quantization is asked for without ``fine_tune``, ``config`` is not of this
                network, or an accuracy is outside 0-1.
        """
        return in_turns(self._evaluation(config, seed), seed)

    def test(self, config: QuantizationConfig, seed: int) -> float:
        """Accuracy of the quantized network on the test batches: for the final figure only.

        Arguments and errors as in :meth:`evaluate`.

        Raises:
            ValueError: Also if the workload has no test batches.
        """
        batches = self.test_batches
        return self.accuracy_of(self.quantize(config, seed), batches)

    def quantize(self, config: QuantizationConfig, seed: int) -> nn.Module:
        """The quantized network, grid values in its parameters; arguments and errors as in :meth:`evaluate`.

        The last few networks are kept in memory: right after an evaluation nothing is trained again. Networks that are
        quantized in training are kept in the cache, too.
        """
        return finish(in_turns(self._quantized.quantize(config, seed), seed))

    def integer_model(self, config: QuantizationConfig, seed: int = 0) -> IntegerModel:
        """The quantized network as integers, the one that :meth:`evaluate` measures; see :func:`~.capture.capture`.

        It is captured with the first calibration sample. Of inputs that are on a grid already, the format holds all
        calibration batches. Samples of the test set are numbered from 0, as in :meth:`test`.

        Args:
            config: The quantization.
            seed: As in :meth:`evaluate`.

        Raises:
            CaptureError: If the network does what integer models cannot, naming module and function.
        """
        return self._captures.model(self.quantize(config, seed), config)

    def integer_samples(self, config: QuantizationConfig, seed: int = 0, count: int | None = None) -> IntegerSamples:
        """The first test samples, else validation samples, as the model of :meth:`integer_model` takes them.

        Args:
            config: The quantization.
            seed: As in :meth:`evaluate`.
            count: Number of samples; all if not given.
        """
        batches, split = (self.validation, Split.VALIDATION) if self._test is None else (self._test, Split.TEST)
        return self._captures.samples(self.quantize(config, seed), config, batches, split, count)

    def accuracy_of(self, network: nn.Module, batches: Batches) -> float:
        """The part of all samples that a network gets right."""
        with seeded(self.seed):
            return total_accuracy(network, batches, self._accuracy, self._scores)

    def describe(self) -> dict[str, Any]:
        """Digests of what accuracies depend on: network, training, data, seed; see :mod:`~.fingerprints`.

        The test batches are read for it, once and with torch's generators seeded. No network is trained or called.

        How stochastic rounding draws is told too: studies that offer it, of versions that drew another way, would go on
        with other counts for the same configurations.
        """
        return dict(self._description)

    @property
    def test_batches(self) -> Batches:
        """Batches for the final figures.

        Raises:
            ValueError: If the workload has none.
        """
        if self._test is None:
            raise ValueError("The workload has no test batches: give SupervisedWorkload test=.")
        return self._test

    def _evaluation(
        self, config: QuantizationConfig, seed: int
    ) -> Generator[TrainingProgress | tuple[int, int], None, None]:
        network = yield from self._quantized.quantize(config, seed, self.rungs)
        warn_of_silence(network, config, self.calibration, self._silent_in_float)
        yield from self._count(network, self.validation, 0)

    @made_once
    def _description(self) -> dict[str, Any]:
        trained = self._trained
        with seeded(self.seed):
            test = None if self._test is None else fingerprint_of_batches(self._test)
        return {
            "workload": "supervised",
            "network": fingerprint(trained.untrained),
            "train": fingerprint(trained.train, trained.fine_tune),
            "data": fingerprint(list(self.calibration), list(self.validation)),
            "test": test,
            "accuracy": fingerprint(self._accuracy),
            "range_method": self.range_method.value,
            "seed": self.seed,
            STOCHASTIC_ROUNDING: "keyed by sample",
        } | ({} if self._scores is None else {"scores": fingerprint(self._scores)})

    @made_once
    def _silent_in_float(self) -> set[str]:
        return set(silent_layers(self.baseline_network, self.calibration))


def _made(network: nn.Module | Callable[[], nn.Module], seed: int) -> nn.Module:
    """The user's network, made if need be, as a copy of the workload's own."""
    if not isinstance(network, nn.Module) and callable(network):
        with seeded(seed):
            network = network()
    if not isinstance(network, nn.Module):
        raise TypeError(f"network must be a torch.nn.Module, or make one, got {type(network).__name__}.")
    return fresh_copy(network)


def _check_functions(
    train: Train | None, fine_tune: Train | TrainInParts | None, scores: Scores | None, *, pauses: bool
) -> None:
    for name, function in (("train", train), ("fine_tune", fine_tune)):
        if function is not None and not callable(function):
            raise TypeError(f"{name} must be a function of a network and a seed, got {function!r}.")
    if scores is not None and not callable(scores):
        raise TypeError(f"scores must be a function of the network's output, got {scores!r}.")
    if pauses and not inspect.isgeneratorfunction(fine_tune):
        raise TypeError(
            f"rungs need a fine_tune that pauses, such as partial(fit_by_epochs, ...), got fine_tune={fine_tune!r}."
        )


def _grids(channel_scale: ChannelScale | None, grids: Sequence[GridKind] | None) -> tuple[GridKind, ...]:
    """The grids of weights that are asked for, or those that suit scales, or no scales."""
    if channel_scale is not None:
        ChannelScale(channel_scale)  # Refuses what is none.
    if grids is None:
        return (GridKind.MID_TREAD if channel_scale is None else GridKind.MID_RISE,)
    return tuple(GridKind(grid) for grid in grids)


def _check_indices(labels: Tensor, of: str = "") -> None:
    if labels.ndim != 1:
        raise ValueError(
            f"labels{of} must be class indices, [batch], got the shape {tuple(labels.shape)}: give labels.argmax(1) of "
            "one-hot ones, labels.squeeze(1) of a column, or SupervisedWorkload accuracy=."
        )


def _check_validation(batches: Batches, accuracy: Accuracy) -> None:
    """Refuse what could not be measured with, before anything is trained."""
    _repeated_inputs(batches, "validation")
    _, labels = next(labeled_inputs_of(batches, "validation"))
    if accuracy is top1 and isinstance(labels, Tensor):
        _check_indices(labels, " of validation")


def _repeated_inputs(batches: Iterable[Any], name: str) -> Inputs:
    """The first inputs, which must be the same each time."""
    first, again = (next(inputs_of(batches, name)) for _ in range(2))
    if not all(bool(one.isfinite().all()) for one in tensors(first)):
        raise ValueError(f"{name} must be finite, its first batch has NaN or infinities.")
    pairs = zip(tensors(first), tensors(again), strict=True)
    if not all(torch.equal(one, other) for one, other in pairs):
        raise ValueError(f"{name} must give the same batches each time: without shuffling and augmentation.")
    return first
