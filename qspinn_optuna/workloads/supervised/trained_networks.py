"""The networks that a workload trains, each of them once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Mapping
from typing import Any

import torch
from torch import nn

from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.networks import calibrate, fold_batch_norm, freeze_network, quantize_network
from qspinn_optuna.networks.calibration.activity import silent_layers
from qspinn_optuna.networks.deletion import delete_states
from qspinn_optuna.networks.modules.channel_scale import ChannelScale
from qspinn_optuna.networks.modules.support import SYNAPSES, UnsupportedNetworkError
from qspinn_optuna.networks.quantization import is_quantized
from qspinn_optuna.networks.running.batches import Inputs
from qspinn_optuna.networks.running.watching import fresh_copy
from qspinn_optuna.networks.scaling import scale_channels
from qspinn_optuna.workloads.supervised.cache import NetworkCache
from qspinn_optuna.workloads.supervised.fingerprints import fingerprint
from qspinn_optuna.workloads.supervised.recipe import set_teacher
from qspinn_optuna.workloads.supervised.training import Train, TrainInParts, finish, run_training
from qspinn_optuna.workloads.supervised.turns import made_once, seeded

Training = Generator[tuple[float, nn.Module], None, nn.Module]
"""A training in progress, see :func:`~.training.run_training`."""

_GAIN = 8
"""Factor of the weights with which untrained networks fire."""


class TrainedNetworks:
    """The float network, its fine-tuned baseline, its control without states, and networks quantized in training.

    Each is trained when it is first needed, unless the cache has it.

    Args:
        untrained: The network at the start; left untouched.
        train: Trains it from scratch; None if it is trained already.
        fine_tune: Trains a trained network further; None if nothing is fine-tuned.
        sample: A batch as the network takes it, to fold batch normalization.
        cache: Files of trained networks, if any.
        seed: Of the float networks' training.
        channel_scale: Of the layers of quantized networks; they have none if not given.
    """

    def __init__(
        self,
        untrained: nn.Module,
        train: Train | None,
        fine_tune: Train | TrainInParts | None,
        sample: Inputs,
        cache: NetworkCache | None,
        seed: int,
        channel_scale: ChannelScale | None = None,
    ) -> None:
        self.untrained = untrained
        self.train = train
        self.fine_tune = fine_tune
        self.seed = seed
        self._channel_scale = channel_scale
        self._sample = sample
        self._cache = cache

    @made_once
    def network(self) -> nn.Module:
        """The trained float network, its batch normalization folded."""
        trained = self.untrained
        if self.train is not None:
            trained = self._trained(self._network_key, trained, "train", self.train, self._check_untrained)
        folded = fold_batch_norm(trained, self._sample)
        return folded if self._channel_scale is None else scale_channels(folded, self._sample, self._channel_scale)

    @made_once
    def baseline_network(self) -> nn.Module:
        """The float network after fine-tuning."""
        if self.fine_tune is None:
            return self.network
        # The first word stays, so that caches of earlier versions are found.
        key = fingerprint("control", self._fine_tune_key, self.seed)
        return self._trained(key, self.network, "fine_tune", self.fine_tune)

    @made_once
    def state_deleted(self) -> nn.Module:
        """The float network with its states reset at every step, see :func:`delete_states`, and trained once more.

        ``train`` does it, from the weights of the network: after a few epochs of fine-tuning only, the network would
        be far below what is possible without states. ``fine_tune`` does it if there is no ``train``.
        """
        without = delete_states(self.network, self._sample)
        if self.train is not None:
            key = fingerprint("states deleted, trained", self._network_key)
            return self._trained(key, without, "train", self.train)
        if self.fine_tune is None:
            return without
        key = fingerprint("states deleted, fine-tuned", self._fine_tune_key, self.seed)
        return self._trained(key, without, "fine_tune", self.fine_tune)

    def quantized_in_training(self, config: QuantizationConfig, seed: int) -> Training:
        """The float network, fine-tuned in quantization and frozen.

        Args:
            config: The quantization.
            seed: Of fine-tuning and stochastic rounding.

        Yields:
            At each pause of the training, the fraction that is done and the network; nothing if the cache has it.

        Raises:
            ValueError: If there is no ``fine_tune``, or it returns another network.
            InexactError: If the training diverges.
        """
        if self.fine_tune is None:
            raise ValueError("In-training quantization needs fine_tune; give it, or the space schemes=(Scheme.PTQ,).")
        network = quantize_network(self.network, config, seed=seed)
        key = fingerprint("itq", self._fine_tune_key, config.to_dict(), seed)
        weights = self._load(key)
        if weights is None:
            trained = fresh_copy(network)
            set_teacher(trained, self.network)
            trained = yield from run_training("fine_tune", self.fine_tune, trained, seed)
            if not is_quantized(trained):
                raise ValueError("fine_tune must return the network that it is given, got one that is not quantized.")
            weights = freeze_network(trained).state_dict()
            self._save(key, weights)
        # Training has used up draws of stochastic states; a network of the cache must draw the same.
        _load_into(network, weights)
        return freeze_network(network)

    def _trained(
        self,
        key: str,
        network: nn.Module,
        name: str,
        train: Train | TrainInParts,
        check: Callable[[], None] = lambda: None,
    ) -> nn.Module:
        """A trained copy of a float network; ``check`` is called before a training."""
        copied = fresh_copy(network)
        weights = self._load(key)
        if weights is not None:
            _load_into(copied, weights)
            return copied.eval()
        check()
        trained = finish(run_training(name, train, copied, self.seed))
        self._save(key, trained.state_dict())
        return trained

    def _check_untrained(self) -> None:
        """Refuse a network that cannot be quantized, before any time is spent on its training."""
        if not all(getattr(module, "spiking", True) for module in self.untrained.modules()):
            # Surrogates that put out no spikes are switched to them after the training.
            return
        with seeded(self.seed), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                network = fold_batch_norm(self.untrained, self._sample)
                batches = [(self._sample, None)]
                calibrate(network, batches)
                if silent_layers(network, batches):
                    # What comes after silent neurons is seen with larger weights only.
                    calibrate(_amplified(network), batches)
            except UnsupportedNetworkError as error:
                raise UnsupportedNetworkError(f"{error} The network was not trained yet.") from error
            except Exception:
                # A training may mend whatever else it is, such as statistics of normalizations.
                return

    def _load(self, key: str) -> dict[str, Any] | None:
        return None if self._cache is None else self._cache.load(key)

    def _save(self, key: str, weights: dict[str, Any]) -> None:
        if self._cache is not None:
            self._cache.save(key, weights)

    @made_once
    def _network_key(self) -> str:
        return fingerprint(self.untrained, self.train, self.seed)

    @made_once
    def _fine_tune_key(self) -> str:
        return fingerprint(self._network_key, self.fine_tune)


@torch.no_grad()
def _amplified(network: nn.Module) -> nn.Module:
    """A copy with larger weights."""
    network = fresh_copy(network)
    for module in network.modules():
        if isinstance(module, SYNAPSES):
            weight: Any = module.weight
            weight.mul_(_GAIN)
    return network


def _load_into(network: nn.Module, weights: Mapping[str, Any]) -> None:
    """Load a state dict, in place, whose buffers may have other shapes, such as states of the last batch."""
    for name, buffer in list(network.named_buffers()):
        if name in weights and weights[name].shape != buffer.shape:
            owner, _, own = name.rpartition(".")
            network.get_submodule(owner)._buffers[own] = torch.empty_like(weights[name], device=buffer.device)
    network.load_state_dict(weights)
