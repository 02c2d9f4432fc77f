"""Any network that is trained on labeled data, as a workload."""

from __future__ import annotations

import hashlib
import inspect
import json
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, partial
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
from qspinn_optuna.networks.observation import fresh_copy
from qspinn_optuna.parameters import Deployment, ParameterSpec
from qspinn_optuna.workloads.supervised.cache import NetworkCache
from qspinn_optuna.workloads.supervised.training import Batches, class_scores, seeded

Train = Callable[[nn.Module, int], nn.Module]
"""Trains a network, given a seed, and returns it."""

Accuracy = Callable[[Tensor, Tensor], float]
"""The part of class scores, [batch, classes], that is right by labels, [batch]: between 0 and 1."""

_CHECKED_SAMPLES = 4
"""Samples on which the simulation is compared with float64."""


def top1(scores: Tensor, labels: Tensor) -> float:
    """The part of the samples whose label has the highest score."""
    return (scores.argmax(1) == labels).float().mean().item()


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
            quantized ones in training. None for post-training quantization only.
        calibration: Batches, such as (inputs, labels), on which ranges are measured.
        tuning: Batches (inputs, labels) held out of training, on which accuracies are measured.
        test: Batches for the final figures.
        accuracy: The part of a batch that is right.
        range_method: How ranges are made of values.
        cache: Folder in which trained networks are kept, to be found by later runs; made if need be.
        seed: Of the float networks' initial weights and training.

    Raises:
        TypeError: If ``network`` neither is nor makes a module, or ``train`` or ``fine_tune`` cannot be called.
        ValueError: If ``tuning`` or ``calibration`` has no batches.
    """

    deployment = Deployment.INFERENCE

    def __init__(
        self,
        network: nn.Module | Callable[[], nn.Module],
        *,
        train: Train | None,
        fine_tune: Train | None = None,
        calibration: Iterable[Any],
        tuning: Batches,
        test: Batches | None = None,
        accuracy: Accuracy = top1,
        range_method: RangeMethod = RangeMethod.LEAST_SQUARES,
        cache: Path | str | None = None,
        seed: int = 0,
    ) -> None:
        if not isinstance(network, nn.Module) and callable(network):
            with seeded(seed):
                network = network()
        if not isinstance(network, nn.Module):
            raise TypeError(f"network must be a torch.nn.Module, or make one, got {type(network).__name__}.")
        for name, function in (("train", train), ("fine_tune", fine_tune)):
            if function is not None and not callable(function):
                raise TypeError(f"{name} must be a function of a network and a seed, got {function!r}.")
        self._untrained = fresh_copy(network)
        self._train = train
        self._fine_tune = fine_tune
        self.calibration = calibration
        self.tuning = tuning
        self._test = test
        self._accuracy = accuracy
        self.range_method = RangeMethod(range_method)
        self._cache = None if cache is None else NetworkCache(Path(cache))
        self.seed = seed
        self._sample = _first_inputs(calibration, "calibration")
        _first_inputs(tuning, "tuning")

    @cached_property
    def network(self) -> nn.Module:
        """The trained float network, its batch normalization folded."""
        trained = self._untrained
        if self._train is not None:
            trained = self._trained("network", self._untrained, self._train_from_scratch, self.seed)
        return fold_batch_norm(trained, self._sample)

    @cached_property
    def control(self) -> nn.Module:
        """The float network after fine-tuning."""
        if self._fine_tune is None:
            return self.network
        return self._trained("control", self.network, self._fine_tune_copy, self.seed)

    @cached_property
    def state_deleted(self) -> nn.Module:
        """The float network with its states reset at every step, fine-tuned as well; see :func:`delete_states`."""
        without = delete_states(self.network)
        if self._fine_tune is None:
            return without
        return self._trained("state_deleted", without, self._fine_tune_copy, self.seed)

    @cached_property
    def parameters(self) -> tuple[ParameterSpec, ...]:
        """What the device stores, with the ranges that the control has on the calibration batches."""
        return calibrate(self.control, self.calibration, self.range_method, seed=self.seed)

    @cached_property
    def baseline(self) -> float:
        """Accuracy of the control on the tuning batches."""
        return self.accuracy_of(self.control, self.tuning)

    @cached_property
    def test_baseline(self) -> float:
        """Accuracy of the control on the test batches."""
        return self.accuracy_of(self.control, self.test_batches)

    def evaluate(self, config: QuantizationConfig, seed: int) -> Iterator[tuple[int, int]]:
        """Quantize the network and count its correct answers on the tuning batches.

        Warns if a layer puts out no spikes on the calibration batches.

        Args:
            config: The quantization.
            seed: Of fine-tuning and stochastic rounding.

        Yields:
            (correct, seen), after every batch.

        Raises:
            ValueError: If the simulation cannot carry ``config`` exactly, in-training quantization is asked for
                without ``fine_tune``, or an accuracy is outside 0-1.
        """
        network = self.quantize(config, seed)
        self._warn_of_silence(network, config)
        yield from self._count(network, self.tuning)

    def test(self, config: QuantizationConfig, seed: int) -> float:
        """Accuracy of the quantized network on the test batches: for the final figure only."""
        return self.accuracy_of(self.quantize(config, seed), self.test_batches)

    def quantize(self, config: QuantizationConfig, seed: int) -> nn.Module:
        """The quantized network, grid values in its parameters; arguments and errors as in :meth:`evaluate`.

        What was trained in quantization is kept in the cache, too.
        """
        if config.scheme is Scheme.PTQ:
            network = freeze_network(quantize_network(self.control, config, seed=seed))
        elif self._fine_tune is None:
            raise ValueError("In-training quantization needs fine_tune; give it, or the space schemes=(Scheme.PTQ,).")
        else:
            start = quantize_network(self.network, config, seed=seed)
            role = f"itq {seed} {json.dumps(config.to_dict(), sort_keys=True)}"
            network = freeze_network(self._trained(role, start, self._fine_tune_and_freeze, seed))
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
        """What accuracies depend on, as digests: network, training, data, seed."""
        return {
            "workload": "supervised",
            "network": _digest(repr(self._untrained), *self._untrained.state_dict().values()),
            "train": [_source(self._train), _source(self._fine_tune)],
            "data": [_digest(*_tensors(batches)) for batches in (self.calibration, self.tuning)],
            "range_method": self.range_method.value,
            "seed": self.seed,
        }

    @cached_property
    def _checked_samples(self) -> Tensor:
        return self._sample[:_CHECKED_SAMPLES]

    def _trained(self, role: str, network: nn.Module, train: Train, seed: int) -> nn.Module:
        """A trained copy of a network, from the cache if it is there."""
        key = _digest(role, str(self.describe()))
        copied = fresh_copy(network)
        cached = None if self._cache is None else self._cache.load(key)
        if cached is not None:
            copied.load_state_dict(cached)
            return copied.eval()
        trained = train(copied, seed)
        if self._cache is not None:
            self._cache.save(key, trained.state_dict())
        return trained

    def _train_from_scratch(self, network: nn.Module, seed: int) -> nn.Module:
        return self._run_training("train", self._train, network, seed)

    def _fine_tune_copy(self, network: nn.Module, seed: int) -> nn.Module:
        return self._run_training("fine_tune", self._fine_tune, network, seed)

    def _fine_tune_and_freeze(self, network: nn.Module, seed: int) -> nn.Module:
        return freeze_network(self._fine_tune_copy(network, seed))

    def _run_training(self, name: str, train: Train | None, network: nn.Module, seed: int) -> nn.Module:
        assert train is not None
        with seeded(seed):
            trained = train(network, seed)
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
            part = self._accuracy(class_scores(network, inputs), labels)
            if not 0 <= part <= 1:
                raise ValueError(f"accuracy must give a fraction between 0 and 1, got {part!r}.")
            correct, seen = correct + round(part * len(labels)), seen + len(labels)
            yield correct, seen
        functional.reset_net(network)

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
        for layer_name in silent_layers(network, self.calibration):
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


def _first_inputs(batches: Iterable[Any], name: str) -> Tensor:
    for batch in batches:
        inputs = batch if isinstance(batch, Tensor) else batch[0]
        if not isinstance(inputs, Tensor):
            raise TypeError(f"{name} must yield tensors, or tuples that begin with one, got {type(inputs).__name__}.")
        return inputs
    raise ValueError(f"{name} must have at least one batch, got none: an iterator may be used up; give a list.")


def _tensors(batches: Iterable[Any]) -> Iterator[Tensor]:
    for batch in batches:
        yield from [batch] if isinstance(batch, Tensor) else batch


def _source(function: Train | None) -> str:
    """A digest of what a function does, as far as its source tells."""
    bound: list[object] = []
    target: Any = function
    while isinstance(target, partial):
        bound += [target.args, sorted(target.keywords.items())]
        target = target.func
    try:
        text = inspect.getsource(target)
    except (OSError, TypeError):
        text = getattr(target, "__qualname__", type(target).__name__)
    plain = [value for value in map(_plain, bound) if value is not None]
    return _digest(text, str(plain))


def _plain(value: object) -> object:
    """Numbers, strings and fingerprints among bound arguments; of other objects nothing is known."""
    value = getattr(value, "fingerprint", value)
    if isinstance(value, tuple | list):
        return [plain for plain in map(_plain, value) if plain is not None]
    return value if isinstance(value, int | float | str) else None


def _digest(*parts: str | Tensor) -> str:
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            digest.update(str((part.dtype, tuple(part.shape))).encode())
            digest.update(part.detach().cpu().contiguous().numpy().tobytes())
        else:
            digest.update(part.encode())
    return digest.hexdigest()[:16]
