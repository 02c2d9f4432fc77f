"""Any network that is trained on labeled data, as a workload."""

from __future__ import annotations

import contextlib
import inspect
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from spikingjelly.activation_based import functional
from torch import Tensor, nn

from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.networks import (
    RangeMethod,
    calibrate,
    check_exact,
    fold_batch_norm,
    freeze_network,
    quantize_network,
)
from qspinn_optuna.networks.activity import computes_in_fixed_point, silent_layers
from qspinn_optuna.networks.deletion import delete_states
from qspinn_optuna.networks.watching import fresh_copy
from qspinn_optuna.parameters import Deployment, ParameterSpec
from qspinn_optuna.workloads.progress import TrainingProgress, check_rungs
from qspinn_optuna.workloads.supervised.cache import NetworkCache
from qspinn_optuna.workloads.supervised.fingerprints import fingerprint
from qspinn_optuna.workloads.supervised.training import Batches, check_batch, class_scores, seeded

Train = Callable[[nn.Module, int], nn.Module]
"""Trains a network, given a seed, and returns it."""

TrainInParts = Callable[[nn.Module, int], Generator[float, None, None]]
"""Trains a network in place, given a seed, and yields the fraction that is done whenever it may be looked at.

What it draws from torch's global generator it seeds itself, and goes on with after a pause, as
:func:`~.training.fit_by_epochs` does.
"""

Accuracy = Callable[[Tensor, Tensor], float]
"""The part of class scores, [batch, classes], that is right by labels, [batch]: between 0 and 1."""

_CHECKED_SAMPLES = 4
"""Samples on which the simulation is compared with float64."""

_LOOK_SAMPLES = 256
"""Samples of a look in training, rounded up to whole batches."""


def top1(scores: Tensor, labels: Tensor) -> float:
    """The part of the samples whose label has the highest score."""
    return (scores.argmax(1) == labels.to(scores.device)).float().mean().item()


class SupervisedWorkload:
    """A network, how it is trained, and its data: a :class:`~qspinn_optuna.workloads.Workload`.

    The float network is trained when it is first needed. Quantization is compared with the float network *fine-tuned*
    as in-training quantization is, the ``control``: that alone may gain a point. Post-training quantization starts
    from the control, in-training quantization from the network before fine-tuning.

    Batch normalization is folded before anything is quantized or fine-tuned.

    Args:
        network: A network, which is left untouched, or a class or function that makes it, which is called with
            ``seed`` as torch's global seed, so that a later run begins with the same weights. It returns class scores
            for a batch; see :func:`~.training.class_scores`.
        train: Trains it from scratch; None if it is trained already.
        fine_tune: Goes on with a trained network, at a lower rate and for fewer epochs: the float one for the control,
            quantized ones in training. None for post-training quantization only. A generator function, such as a
            partial :func:`~.training.fit_by_epochs`, can be looked at meanwhile.
        calibration: Batches, such as (inputs, labels), on which ranges are measured.
        validation: Batches (inputs, labels) held out of training, on which accuracies are measured.
        test: Batches for the final figures.
        accuracy: The part of a batch that is right.
        range_method: How ranges are made of values.
        cache: Folder in which trained networks are kept, to be found by later runs, as long as nothing that
            :func:`~.fingerprints.fingerprint` sees has changed; made if need be.
        seed: Of the float networks' initial weights and training.
        rungs: Fractions of in-training quantization, rising, after which :meth:`evaluate` tells the accuracy,
            for a pruner to stop it: each at the end of the epoch. A network from the cache is not looked at. They
            change no result.

    Raises:
        TypeError: If ``network`` neither is nor makes a module, or ``train`` or ``fine_tune`` cannot be called, or
            there are ``rungs`` and ``fine_tune`` is no generator function.
        ValueError: If ``rungs`` are no rising fractions, or ``validation`` or ``calibration`` has no batches, or
            other ones when it is gone through again.
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
        accuracy: Accuracy = top1,
        range_method: RangeMethod = RangeMethod.LEAST_SQUARES,
        cache: Path | str | None = None,
        seed: int = 0,
        rungs: Sequence[float] = (),
    ) -> None:
        if not isinstance(network, nn.Module) and callable(network):
            with seeded(seed):
                network = network()
        if not isinstance(network, nn.Module):
            raise TypeError(f"network must be a torch.nn.Module, or make one, got {type(network).__name__}.")
        for name, function in (("train", train), ("fine_tune", fine_tune)):
            if function is not None and not callable(function):
                raise TypeError(f"{name} must be a function of a network and a seed, got {function!r}.")
        self.rungs = check_rungs(tuple(rungs))
        if self.rungs and not inspect.isgeneratorfunction(fine_tune):
            raise TypeError(
                f"rungs need a fine_tune that pauses, such as partial(fit_by_epochs, ...), got fine_tune={fine_tune!r}."
            )
        self._untrained = fresh_copy(network)
        self._train = train
        self._fine_tune = fine_tune
        self.calibration = calibration
        self.validation = validation
        self._test = test
        self._accuracy = accuracy
        self.range_method = RangeMethod(range_method)
        self._cache = None if cache is None else NetworkCache(Path(cache))
        self.seed = seed
        self._sample = _first_inputs(calibration, "calibration")
        for name, batches in (("calibration", calibration), ("validation", validation)):
            if not torch.equal(_first_inputs(batches, name), _first_inputs(batches, name)):
                raise ValueError(f"{name} must give the same batches each time: without shuffling and augmentation.")

    @cached_property
    def network(self) -> nn.Module:
        """The trained float network, its batch normalization folded."""
        trained = self._untrained
        if self._train is not None:
            trained = self._trained(self._network_key, self._untrained, self._train_copy, self.seed)
        return fold_batch_norm(trained, self._sample)

    @cached_property
    def baseline_network(self) -> nn.Module:
        """The float network after fine-tuning."""
        if self._fine_tune is None:
            return self.network
        return self._trained(
            fingerprint("control", self._fine_tune_key, self.seed), self.network, self._fine_tune_copy, self.seed
        )

    @cached_property
    def state_deleted(self) -> nn.Module:
        """The float network with its states reset at every step, see :func:`delete_states`, and trained once more.

        By ``train``, from the weights of the network: what a few epochs of fine-tuning would leave far below what can
        be done without states would make them look better than they are. By ``fine_tune`` if there is no ``train``.
        """
        without = delete_states(self.network)
        if self._train is not None:
            key = fingerprint("states deleted, trained", self._network_key)
            return self._trained(key, without, self._train_copy, self.seed)
        if self._fine_tune is None:
            return without
        key = fingerprint("states deleted, fine-tuned", self._fine_tune_key, self.seed)
        return self._trained(key, without, self._fine_tune_copy, self.seed)

    @cached_property
    def parameters(self) -> tuple[ParameterSpec, ...]:
        """What the device stores, with the ranges that the control has on the calibration batches."""
        return calibrate(self.baseline_network, self.calibration, self.range_method, seed=self.seed)

    @cached_property
    def baseline(self) -> float:
        """Accuracy of the control on the tuning batches."""
        return self.accuracy_of(self.baseline_network, self.validation)

    @cached_property
    def test_baseline(self) -> float:
        """Accuracy of the control on the test batches."""
        return self.accuracy_of(self.baseline_network, self.test_batches)

    def evaluate(self, config: QuantizationConfig, seed: int) -> Iterator[TrainingProgress | tuple[int, int]]:
        """Quantize the network and count its correct answers on the tuning batches.

        Warns if a layer puts out no spikes on the calibration batches.

        Args:
            config: The quantization.
            seed: Of fine-tuning and stochastic rounding.

        Yields:
            The progress at each of ``rungs``, if ``config`` quantizes in training; then (correct, seen),
            after every batch.

        Raises:
            ValueError: If the simulation cannot carry ``config`` exactly, in-training quantization is asked for
                without ``fine_tune``, or an accuracy is outside 0-1.
        """
        network = yield from self._quantize_in_parts(config, seed, self.rungs)
        self._warn_of_silence(network, config)
        yield from self._count(network, self.validation)

    def test(self, config: QuantizationConfig, seed: int) -> float:
        """Accuracy of the quantized network on the test batches: for the final figure only."""
        return self.accuracy_of(self.quantize(config, seed), self.test_batches)

    def quantize(self, config: QuantizationConfig, seed: int) -> nn.Module:
        """The quantized network, grid values in its parameters; arguments and errors as in :meth:`evaluate`.

        What was trained in quantization is kept in the cache, too.
        """
        return _result(self._quantize_in_parts(config, seed))

    def _quantize_in_parts(
        self, config: QuantizationConfig, seed: int, looks: Sequence[float] = ()
    ) -> Generator[TrainingProgress, None, nn.Module]:
        """Quantize, and tell the progress at the looks in training, if there is any."""
        if config.scheme is Scheme.PTQ:
            network = freeze_network(quantize_network(self.baseline_network, config, seed=seed))
        elif self._fine_tune is None:
            raise ValueError("In-training quantization needs fine_tune; give it, or the space schemes=(Scheme.PTQ,).")
        else:
            network = quantize_network(self.network, config, seed=seed)
            key = fingerprint("itq", self._fine_tune_key, config.to_dict(), seed)
            trained = yield from self._fine_tune_in_parts(key, network, seed, looks)
            # Into a fresh copy, for stochastic states to draw the same whether it has just been trained or not.
            network.load_state_dict(trained.state_dict())
            network = freeze_network(network)
        network.eval()
        if computes_in_fixed_point(network):
            check_exact(network, self._checked_samples)
        return network

    def accuracy_of(self, network: nn.Module, batches: Batches) -> float:
        """The part of all samples that a network gets right."""
        correct, seen = 0, 0
        for correct, seen in self._count(network, batches):  # noqa: B007
            pass
        if seen == 0:
            raise ValueError("The batches hold no samples: an iterator may be used up; give a list or a DataLoader.")
        return correct / seen

    def describe(self) -> dict[str, Any]:
        """What accuracies depend on, as digests: network, training, data, seed; see :mod:`~.fingerprints`."""
        return dict(self._description)

    @cached_property
    def _description(self) -> dict[str, Any]:
        return {
            "workload": "supervised",
            "network": fingerprint(self._untrained),
            "train": fingerprint(self._train, self._fine_tune),
            "data": fingerprint(list(self.calibration), list(self.validation)),
            "accuracy": fingerprint(self._accuracy),
            "range_method": self.range_method.value,
            "seed": self.seed,
        }

    @cached_property
    def _network_key(self) -> str:
        return fingerprint(self._untrained, self._train, self.seed)

    @cached_property
    def _fine_tune_key(self) -> str:
        return fingerprint(self._network_key, self._fine_tune)

    @cached_property
    def _checked_samples(self) -> Tensor:
        """A few of the first samples, if it is clear which dimension they are counted along, else all."""
        inputs, labels = next(iter(self.validation))
        along = [dimension for dimension in (0, 1) if inputs.ndim > 1 and inputs.shape[dimension] == len(labels)]
        return inputs.narrow(along[0], 0, min(_CHECKED_SAMPLES, len(labels))) if len(along) == 1 else inputs

    @cached_property
    def _silent_in_float(self) -> set[str]:
        return set(silent_layers(self.baseline_network, self.calibration))

    def _trained(self, key: str, network: nn.Module, train: Train, seed: int) -> nn.Module:
        """A trained copy of a network, from the cache if it is there."""
        copied = fresh_copy(network)
        cached = None if self._cache is None else self._cache.load(key)
        if cached is not None:
            copied.load_state_dict(cached)
            return copied.eval()
        trained = train(copied, seed)
        if self._cache is not None:
            self._cache.save(key, trained.state_dict())
        return trained

    def _train_copy(self, network: nn.Module, seed: int) -> nn.Module:
        return self._run_training("train", self._train, network, seed)

    def _fine_tune_copy(self, network: nn.Module, seed: int) -> nn.Module:
        return self._run_training("fine_tune", self._fine_tune, network, seed)

    def _fine_tune_and_freeze(self, network: nn.Module, seed: int) -> nn.Module:
        return _frozen(self._fine_tune_copy(network, seed))

    def _fine_tune_in_parts(
        self, key: str, network: nn.Module, seed: int, looks: Sequence[float]
    ) -> Generator[TrainingProgress, None, nn.Module]:
        """A copy of a quantized network, fine-tuned and frozen; looked at on the way unless the cache has it."""
        if not looks or (self._cache is not None and self._cache.load(key) is not None):
            return self._trained(key, network, self._fine_tune_and_freeze, seed)
        copied = fresh_copy(network)
        assert inspect.isgeneratorfunction(self._fine_tune)
        pending = list(looks)
        with contextlib.closing(self._fine_tune(copied, seed)) as parts:
            for done in parts:
                while pending and pending[0] <= done < 1:
                    yield self._look(copied, pending.pop(0))
        trained = _frozen(copied.eval())
        if self._cache is not None:
            self._cache.save(key, trained.state_dict())
        return trained

    def _look(self, network: nn.Module, fraction: float) -> TrainingProgress:
        """Accuracy of a network that trains, on the first batches; itself left untouched."""
        correct, seen = 0, 0
        for correct, seen in self._count(freeze_network(fresh_copy(network)), self.validation):  # noqa: B007
            if seen >= _LOOK_SAMPLES:
                break
        return TrainingProgress(fraction, correct, seen)

    def _run_training(self, name: str, train: Train | TrainInParts | None, network: nn.Module, seed: int) -> nn.Module:
        assert train is not None
        with seeded(seed):
            trained: object = train(network, seed)
            if inspect.isgenerator(trained):
                for _ in trained:
                    pass
                trained = network
        if not isinstance(trained, nn.Module):
            raise TypeError(
                f"{name} must return the trained network, got {type(trained).__name__}: add `return network` to it."
            )
        functional.reset_net(trained)
        return trained.eval()

    @torch.no_grad()
    def _count(self, network: nn.Module, batches: Batches) -> Iterator[tuple[int, int]]:
        correct, seen = 0, 0
        network.eval()
        for inputs, labels in batches:
            functional.reset_net(network)
            part = self._part_right(class_scores(network, inputs), labels)
            correct, seen = correct + round(part * len(labels)), seen + len(labels)
            yield correct, seen
        functional.reset_net(network)

    def _part_right(self, scores: Tensor, labels: Tensor) -> float:
        check_batch(scores, labels)
        given = self._accuracy(scores, labels)
        try:
            part = float(given)
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(f"accuracy must give a number, got {given!r}.") from error
        if not 0 <= part <= 1:
            raise ValueError(f"accuracy must give a fraction between 0 and 1, got {part!r}.")
        return part

    @property
    def test_batches(self) -> Batches:
        """Batches for the final figures.

        Raises:
            ValueError: If the workload has none.
        """
        if self._test is None:
            raise ValueError("The workload has no test batches: give SupervisedWorkload test=.")
        return self._test

    def _warn_of_silence(self, network: nn.Module, config: QuantizationConfig) -> None:
        for layer_name in sorted(set(silent_layers(network, self.calibration)) - self._silent_in_float):
            suspects = [
                f"{name} {quantization.format}"
                for name, quantization in config.parameters.items()
                if name.rpartition(".")[0] == layer_name
            ]
            warnings.warn(
                f"{layer_name} puts out no spikes on the calibration batches once quantized. Likely its formats "
                f"({', '.join(suspects)}) saturate below the threshold or round small inputs away, or the weights "
                "before it are rounded to 0: give them more bits.",
                stacklevel=2,
            )


def _frozen(trained: nn.Module) -> nn.Module:
    try:
        return freeze_network(trained)
    except ValueError as error:
        raise ValueError(
            "fine_tune must return the network that it is given, got one that is not quantized."
        ) from error


def _result(parts: Generator[object, None, nn.Module]) -> nn.Module:
    """What a generator returns, whatever it yields."""
    while True:
        try:
            next(parts)
        except StopIteration as end:
            network: nn.Module = end.value
            return network


def _first_inputs(batches: Iterable[Any], name: str) -> Tensor:
    for batch in batches:
        inputs = batch if isinstance(batch, Tensor) else batch[0]
        if not isinstance(inputs, Tensor):
            raise TypeError(f"{name} must yield tensors, or tuples that begin with one, got {type(inputs).__name__}.")
        return inputs
    raise ValueError(f"{name} must have at least one batch, got none: an iterator may be used up; give a list.")
