"""Fold batch normalization into the layers before it, or make it an affine step of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from spikingjelly.activation_based.functional import invalidate_reset_cache
from torch import Tensor, nn

from qspinn_optuna.networks.modules.channel_affine import (
    BATCH_NORMS,
    channel_affine,
    copy_affine_step,
    has_affine_step,
    keeps_statistics,
    may_be_frozen_norm,
    scale_and_offset,
)
from qspinn_optuna.networks.normalization.dataflow import Dataflow
from qspinn_optuna.networks.normalization.measured_affine import measure_affine_steps
from qspinn_optuna.networks.running.batches import Inputs, as_inputs
from qspinn_optuna.networks.running.nested import is_of_vmap, tensors_in
from qspinn_optuna.networks.running.precision import run_in_double
from qspinn_optuna.networks.running.randomness import check_repeatable, same_draws
from qspinn_optuna.networks.running.reparametrization import with_plain_parameters
from qspinn_optuna.networks.running.watching import fresh_copy, watched

_TOLERANCE = 1e-6
"""Largest change, relative to the largest value of a state or an output in float64, that folding may cause."""

_NOISE = 1e-12
"""Absolute change of what would be zero, were it not for rounding in float64."""


def fold_batch_norm(network: nn.Module, sample: Inputs) -> nn.Module:
    """A copy of ``network`` without batch normalization, folded into the weights and biases before it.

    A run of ``sample`` shows which layer precedes a normalization; the order of the modules does not matter, and
    reshapes, transposes, dropout and averages may come between. A normalization that follows no such layer, such as
    one before a neuron, after an addition, or with statistics of each time step, becomes a
    :class:`~qspinn_optuna.networks.modules.channel_affine.ChannelAffine`: a scale and an offset per channel, which are
    parameters of the network, quantized and counted.

    A layer of any class with the buffers ``running_mean`` and ``running_var`` is a normalization too if it computes an
    affine step per channel, such as torchvision's ``FrozenBatchNorm2d``.

    Folding is computed in float64. Outputs, states and what stands for a normalization are compared with the original
    ones in float64: a layer whose folding changes them is left as it is, its normalization an affine step.

    Example:
        >>> normalized = nn.Sequential(nn.Linear(16, 8), nn.BatchNorm1d(8)).eval()
        >>> folded = fold_batch_norm(normalized, spikes[0])
        >>> sum(isinstance(module, nn.BatchNorm1d) for module in folded.modules())
        0

    Args:
        network: Any network; one without batch normalization is just copied.
        sample: A batch as the network takes it; a tuple for several inputs. Normalization that it does not reach stays.

    Raises:
        ValueError: If a normalization keeps no running statistics or computes something else, ``forward`` normalizes
            by a function of torch's instead of a module, a parameter or statistic is not finite, or the network draws
            random numbers that no seed of torch's repeats.
    """
    if isinstance(network, BATCH_NORMS) or (isinstance(network, nn.Module) and may_be_frozen_norm(network)):
        network = nn.Sequential(network)
    network = fresh_copy(with_plain_parameters(network)).eval()
    if not any(isinstance(module, BATCH_NORMS) or keeps_statistics(module) for module in network.modules()):
        return network
    sample = as_inputs(sample)
    double = fresh_copy(network).double()
    norms = _find_norms(network)
    measure_affine_steps(double, sample, norms)
    norms = {name: norm for name, norm in norms.items() if isinstance(norm, BATCH_NORMS) or has_affine_step(norm)}
    expected, dataflow = _reference(double, sample, norms)
    _check_functions(dataflow)
    norms = {name: norm for name, norm in norms.items() if name in dataflow.called}
    for name, norm in norms.items():
        copy_affine_step(norm, double.get_submodule(name))
    for name, norm in norms.items():
        try:
            scale_and_offset(norm)
        except ValueError as error:
            raise ValueError(f"{name} ({type(norm).__name__}) {error}.") from None
    largest = _largest(expected, norms)
    producers = {
        norm: synapse
        for norm, synapse in dataflow.producers().items()
        if _can_fold(network.get_submodule(synapse), norms[norm])
    }
    compare = functools.partial(_first_difference, sample=sample, norms=norms, expected=expected)
    difference = compare(_without_norms(double, largest, producers))
    if difference is not None:
        _check_finite(network)
        check_repeatable(lambda: (torch.from_numpy(seen.value) for seen in _reference(double, sample, norms)[0]))
    while difference is not None:
        culprit = difference.culprit(expected, producers)
        if culprit is None:
            raise ValueError(difference.message(norms))
        del producers[culprit]
        difference = compare(_without_norms(double, largest, producers))
    return _without_norms(network, largest, producers)


def _check_functions(dataflow: Dataflow) -> None:
    if dataflow.statistics:
        raise ValueError(
            f"forward normalizes by torch.nn.functional.batch_norm with {sorted(dataflow.statistics)}, for which "
            "nothing can be put in place, as it can be for a module: call one, such as the nn.BatchNorm2d that keeps "
            "them, or a new one."
        )


def _check_finite(network: nn.Module) -> None:
    for name, values in (*network.named_parameters(), *network.named_buffers()):
        if not bool(values.isfinite().all()):
            raise ValueError(f"{name} must be finite, got NaN or infinities.")


@dataclass(frozen=True)
class _Seen:
    """A value of a run.

    Args:
        name: Of the normalization that put it out, or of the state.
        value: The value, rounded.
    """

    name: str
    value: npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Difference:
    """The first value that folding changed.

    Args:
        position: In the run.
        name: Of the value.
        relative: Change, relative to the largest value.
    """

    position: int
    name: str
    relative: float

    def culprit(self, expected: list[_Seen], producers: dict[str, str]) -> str | None:
        """The folded normalization that it is put down to: the one that shows it, or the last one before."""
        before = [seen.name for seen in expected[: self.position]]
        return next((name for name in (self.name, *reversed(before)) if name in producers), None)

    def message(self, norms: dict[str, nn.Module]) -> str:
        if self.name in norms:
            return (
                f"{self.name} ({type(norms[self.name]).__name__}) computes something else than batch normalization: "
                f"its output is off by {self.relative:.3g} of its largest value if it is a scale and an offset."
            )
        return (
            f"Without batch normalization {self.name} is off by {self.relative:.3g} of its largest value, although "
            "every normalization before it is not: does something read the parameters or statistics of one?"
        )


class _Comparison:
    """Compares the values of a run, as they come, with those of another."""

    def __init__(self, expected: list[_Seen]) -> None:
        self._expected = expected
        self._position = 0
        self.first: _Difference | None = None

    def __call__(self, name: str, value: Tensor) -> None:
        if self.first is None and self._position < len(self._expected):
            relative = _relative_difference(value.numpy(force=True), self._expected[self._position].value)
            if not relative <= _TOLERANCE:
                self.first = _Difference(self._position, name, relative)
        self._position += 1


def _relative_difference(value: npt.NDArray[Any], expected: npt.NDArray[np.float32]) -> float:
    """Largest change, relative to the largest expected value; equal infinities do not differ."""
    if value.shape != expected.shape:
        return np.inf
    value = value.astype(np.float32)
    if np.array_equal(value, expected):
        return 0.0
    change = float(np.abs(np.subtract(value, expected, where=value != expected, out=np.zeros_like(expected))).max())
    return 0.0 if change <= _NOISE else change / max(float(np.abs(expected).max()), _NOISE)


def _find_norms(network: nn.Module) -> dict[str, nn.Module]:
    """Normalizations by name, without those within another, and what may be one."""
    found: dict[str, nn.Module] = {}
    for name, module in network.named_modules():
        is_norm = isinstance(module, BATCH_NORMS) or may_be_frozen_norm(module)
        if is_norm and not any(name.startswith(f"{outer}.") for outer in found):
            found[name] = module
    return found


def _reference(network: nn.Module, sample: Any, norms: dict[str, nn.Module]) -> tuple[list[_Seen], Dataflow]:
    """What the original computes in float64, and from where normalizations take their inputs."""
    seen: list[_Seen] = []

    def see(name: str, value: Tensor) -> None:
        # Half of the memory, and enough for the tolerance.
        seen.append(_Seen(name, value.numpy(force=True).astype(np.float32)))

    network = watched(network, see)
    dataflow = Dataflow(network, norms)
    _run(network, sample, norms, see, dataflow)
    return seen, dataflow


def _first_difference(
    network: nn.Module, sample: Any, norms: dict[str, nn.Module], expected: list[_Seen]
) -> _Difference | None:
    comparison = _Comparison(expected)
    _run(watched(network, comparison), sample, norms, comparison, nullcontext())
    return comparison.first


def _run(
    network: nn.Module,
    sample: Any,
    norms: dict[str, nn.Module],
    see: Callable[[str, Tensor], None],
    context: AbstractContextManager[Any],
) -> None:
    """Run ``network`` in float64; ``see`` gets what stands for each normalization puts out, and the outputs."""

    def listen(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(_: nn.Module, __: Any, output: Tensor) -> None:
            if not is_of_vmap(output):
                see(name, output)

        return hook

    for name in norms:
        network.get_submodule(name).register_forward_hook(listen(name))
    with same_draws(), context:
        output = run_in_double(network, sample)
    for value in tensors_in(output):
        see("the output", value)


def _largest(seen: list[_Seen], norms: Iterable[str]) -> dict[str, float]:
    """The largest magnitude that each normalization has put out."""
    found = dict.fromkeys(norms, 0.0)
    for name, value in ((each.name, each.value) for each in seen if each.value.size):
        if name in found:
            found[name] = max(found[name], float(np.abs(value).max()))
    return found


def _without_norms(network: nn.Module, largest: dict[str, float], producers: dict[str, str]) -> nn.Module:
    """A copy in which the normalizations in ``largest`` are folded into their producers, or affine steps."""
    network = fresh_copy(network)
    trained = any(parameter.requires_grad for parameter in network.parameters())
    for name, magnitude in largest.items():
        norm: Any = network.get_submodule(name)
        if name in producers:
            _fold(network.get_submodule(producers[name]), *scale_and_offset(norm))
            _replace(network, name, nn.Identity())
        else:
            own = [parameter.requires_grad for parameter in norm.parameters()]
            _replace(network, name, channel_affine(norm, any(own) if own else trained, magnitude).eval())
    invalidate_reset_cache(network)
    return network


def _can_fold(synapse: nn.Module, norm: nn.Module) -> bool:
    """Whether channels may match, and weights can be replaced: not those that other parameters are computed into."""
    scale, _ = scale_and_offset(norm)
    channels = getattr(synapse, "out_channels", getattr(synapse, "out_features", None))
    return scale.ndim == 1 and len(scale) == channels and isinstance(synapse._parameters.get("weight"), nn.Parameter)


def _fold(synapse: Any, scale: Tensor, offset: Tensor) -> None:
    weight: Tensor = synapse.weight.detach().double()
    if isinstance(synapse, nn.modules.conv._ConvTransposeNd):
        # [in, out / groups, ...]: a group of inputs has output channels of its own.
        grouped = weight.reshape(synapse.groups, -1, *weight.shape[1:])
        factors = scale.reshape(synapse.groups, 1, -1, *[1] * (weight.ndim - 2))
        weight = (grouped * factors).flatten(0, 1)
    else:
        weight = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
    bias = offset if synapse.bias is None else synapse.bias.detach().double() * scale + offset
    dtype, trained = synapse.weight.dtype, synapse.weight.requires_grad
    # Without a bias before, the new one would be a constant.
    synapse.weight = nn.Parameter(weight.to(dtype), trained)
    synapse.bias = nn.Parameter(bias.to(dtype), trained)


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(network.get_submodule(parent), own, module)
