"""How networks are trained that are being quantized, where that differs from the training of the float network."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from qspinn_optuna.networks.modules.channel_scale import mean_scale
from qspinn_optuna.networks.modules.derivation import Derived
from qspinn_optuna.networks.modules.quantizer import ParameterQuantizer
from qspinn_optuna.networks.modules.relaxation import float_states, unclipped_gradients

_TEACHER = "_float_network"


@dataclass(frozen=True)
class Distillation:
    """Part of the loss by which a quantized network learns the scores of the float one (Hinton et al. 2015).

    Example:
        >>> QuantizedTraining(distillation=Distillation(weight=0.5, temperature=2.0)).narrow_bits
        2

    Args:
        weight: Of the Kullback-Leibler divergence in the loss; the rest is that of the labels.
        temperature: By which the scores are divided.

    Raises:
        ValueError: If ``weight`` is outside 0-1, or ``temperature`` is not positive.
    """

    weight: float = 0.5
    temperature: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 1:
            raise ValueError(f"weight must be over 0 and at most 1, got {self.weight}.")
        if not self.temperature > 0:
            raise ValueError(f"temperature must be positive, got {self.temperature}.")

    def loss(self, scores: Tensor, float_scores: Tensor) -> Tensor:
        """The divergence of the float scores from the quantized ones, [batch, classes], times temperature squared."""
        log, target = ((one / self.temperature).log_softmax(1) for one in (scores, float_scores.detach()))
        divergence = nn.functional.kl_div(log, target, reduction="batchmean", log_target=True)
        return divergence * self.temperature**2


@dataclass(frozen=True)
class QuantizedTraining:
    """Settings of :func:`~.training.fit` for quantized networks; float ones are trained without them.

    Example:
        >>> recipe = QuantizedTraining(clip_gradients=True, narrow_rate=1e-3)
        >>> train = functools.partial(fit, batches=batches, epochs=1, learning_rate=1e-3, quantized=recipe)

    Args:
        clip_gradients: Whether a weight beyond its format gets no gradient. If not, weights that are far off can come
            back, and change their sign, which narrow formats need.
        narrow_rate: Learning rate of weights of at most ``narrow_bits``; that of the training if not given.
        narrow_bits: Widest of the weights that have a rate of their own.
        float_states: Part of the epochs, from the first, in which states are not rounded yet.
        distillation: How much is learned from the float network; nothing if not given.

    Raises:
        ValueError: If ``narrow_rate`` is not positive, ``narrow_bits`` is under 1, or ``float_states`` is outside 0-1.
    """

    clip_gradients: bool = False
    narrow_rate: float | None = None
    narrow_bits: int = 2
    float_states: float = 0.0
    distillation: Distillation | None = None

    def __post_init__(self) -> None:
        if self.narrow_rate is not None and not self.narrow_rate > 0:
            raise ValueError(f"narrow_rate must be positive, got {self.narrow_rate}.")
        if self.narrow_bits < 1:
            raise ValueError(f"narrow_bits must be at least 1, got {self.narrow_bits}.")
        if not 0 <= self.float_states < 1:
            raise ValueError(f"float_states must be a part of the epochs, from 0 to below 1, got {self.float_states}.")

    def groups(self, network: nn.Module, learning_rate: float) -> list[dict[str, Any]]:
        """The parameters of a network with their learning rates, as optimizers take them.

        Weights with a scale are trained in units of it, at rates that are as much larger, so that a rate means the same
        for them as for float weights.
        """
        rates: dict[int, float] = {}
        for weight, bits, unit in _quantized_weights(network):
            own = self.narrow_rate if bits <= self.narrow_bits else None
            rates[id(weight)] = (learning_rate if own is None else own) / unit
        by_rate: dict[float, list[nn.Parameter]] = {}
        for parameter in network.parameters():
            if parameter.requires_grad:
                by_rate.setdefault(rates.get(id(parameter), learning_rate), []).append(parameter)
        return [{"params": parameters, "lr": rate} for rate, parameters in by_rate.items()]

    @contextlib.contextmanager
    def epoch(self, network: nn.Module, done: float) -> Iterator[None]:
        """A context in which a quantized network is trained for an epoch.

        Args:
            network: Quantized.
            done: Part of the training that is done before.
        """
        with contextlib.ExitStack() as entered:
            if not self.clip_gradients:
                entered.enter_context(unclipped_gradients(network))
            if done < self.float_states:
                entered.enter_context(float_states(network))
            yield


def set_teacher(network: nn.Module, teacher: nn.Module) -> None:
    """Let a quantized network know the float network that distillation learns from.

    Example:
        >>> set_teacher(quantized, network)
    """
    # In a tuple: it is no part of the network.
    network.__dict__[_TEACHER] = (teacher,)


def teacher_of(network: nn.Module) -> nn.Module:
    """The float network that a quantized one learns from.

    Raises:
        ValueError: If it knows none.
    """
    if _TEACHER not in network.__dict__:
        raise ValueError(
            "distillation needs a float network to learn from: SupervisedWorkload gives its own; before fit, give one "
            "by set_teacher(network, float_network)."
        )
    teacher: nn.Module = network.__dict__[_TEACHER][0]
    return teacher


def _quantized_weights(network: nn.Module) -> Iterator[tuple[nn.Parameter, int, float]]:
    """Stored weights of quantized layers, their widths, and their units."""
    for module in network.modules():
        if isinstance(module, Derived):
            quantizer: ParameterQuantizer | None = module.__dict__["_parameter_quantizers"].get("weight")
            weight: Any = module.__dict__["_parameters"].get("weight")
            if quantizer is not None and weight is not None:
                # A layer of zeros has no unit.
                yield weight, quantizer.quantization.format.bits, mean_scale(module) or 1.0
