"""Arithmetic that adds up grid values exactly, and the proof that it did."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from qspinn_optuna.config import InexactError
from qspinn_optuna.networks.entry.agreement import Agreement
from qspinn_optuna.networks.entry.rounded_inputs import agree
from qspinn_optuna.networks.modules.channel_affine import ChannelAffine
from qspinn_optuna.networks.modules.support import SYNAPSES
from qspinn_optuna.networks.running.batches import as_inputs
from qspinn_optuna.networks.running.nested import is_of_vmap, tensors_in
from qspinn_optuna.networks.running.precision import run_in_double
from qspinn_optuna.networks.running.randomness import check_repeatable, copied, same_draws
from qspinn_optuna.networks.running.watching import run, watched

_OUTPUT_TOLERANCE = 1e-5
"""Relative difference of scores, which are compared with each other only."""


_ADDING: tuple[type[nn.Module], ...] = (*SYNAPSES, ChannelAffine)
"""Layers whose outputs are compared."""


class _SharedContext:
    """A context for any number of users at a time, in any threads: the first enters it, the last leaves it."""

    def __init__(self, context: Callable[[], AbstractContextManager[None]]) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._users = 0
        self._entered = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if self._users == 0:
                self._entered.enter_context(self._context())
            self._users += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._entered.close()


@contextmanager
def _exact_flags() -> Iterator[None]:
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.nnpack.flags(enabled=False), torch.backends.cudnn.flags(enabled=False, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)


_EXACT_FLAGS = _SharedContext(_exact_flags)
"""torch's flags belong to the process, so that threads share one switch."""


def exact_sums() -> AbstractContextManager[None]:
    """Switch off what makes sums of float32 inexact although 24 bits hold them.

    TF32 and bfloat16 cut the factors; Winograd's transformed convolutions, which cuDNN and NNPACK may choose, divide
    by numbers that are no powers of two. The flags are as they were once no thread is within such a context.

    Example:
        >>> with exact_sums():
        ...     quantized(spikes).shape
        torch.Size([10, 32, 4])
    """
    return _EXACT_FLAGS


def check_exact(network: nn.Module, inputs: Any) -> None:
    """Run a quantized network in float32 and in float64, and refuse it if a sum, a state or a score differs.

    Float64 has 53 digits, enough for every sum and product of formats of at most 24 bits, so what agrees with it was
    computed exactly, as integers would. Both runs see the same random numbers of torch's, and round what is computed in
    floating point before a layer or neurons take it to the same values, see :class:`~.agreement.Agreement`. The
    network, the inputs and the global generators are left as they are.

    Example:
        >>> check_exact(quantized, spikes)

    Args:
        network: Quantized and frozen; see :func:`freeze_network`.
        inputs: A batch as the network takes it; a tuple for several inputs.

    Raises:
        TypeError: If ``inputs`` are no tensors.
        ValueError: If ``inputs`` are empty or not finite, or the network draws random numbers that no seed of torch's
            repeats.
        InexactError: Naming the first layer or state that float32 cannot carry, or that is not finite.
    """
    inputs = as_inputs(inputs, "inputs")
    if not all(bool(value.isfinite().all()) for value in tensors_in(inputs)):
        raise ValueError("inputs must be finite, got NaN or infinities.")
    agreement = Agreement()
    single = _trace(network, copied(inputs), run, agreement)
    agreement.complete = True
    double = _trace(network, inputs, run_in_double, agreement)
    try:
        _compare(single, double)
    except InexactError:
        check_repeatable(lambda: [seen.value for seen in _trace(network, copied(inputs), run, Agreement())])
        raise


@dataclass(frozen=True)
class _Seen:
    """A value of a run.

    Args:
        name: Of the layer that put it out, or of the state; None for an output of the network.
        value: The value.
    """

    name: str | None
    value: Tensor


def _compare(single: list[_Seen], double: list[_Seen]) -> None:
    for seen, exact in zip(single, double, strict=True):
        name, value, precise = seen.name or "the output", seen.value.double(), exact.value.double()
        if bool(value.isnan().any()):
            raise InexactError.at(name, f"This configuration makes {name} NaN, which fixed point does not have.")
        if not value.numel():
            continue
        # Equal infinities have no difference.
        difference = float((value - precise).masked_fill_(value == precise, 0.0).abs().max())
        # Scores may be scaled by anything.
        tolerance = _OUTPUT_TOLERANCE * float(precise.abs().max()) if seen.name is None else 0.0
        if not difference <= tolerance:
            raise InexactError.at(
                name,
                f"float32 cannot carry this configuration exactly: {name} differs from its exact value by up to "
                f"{difference:.3g}. Give what is added up there, its layer's weights above all, fewer bits. "
                "Inputs of the network must be fixed-point numbers too, pixels multiples of 1/256 and not of 1/255, "
                "and averages those of 2, 4, 8 ... values: calibrate makes a parameter of inputs and averages that are "
                "not.",
            )


def _trace(
    network: nn.Module, inputs: Any, run_once: Callable[[nn.Module, Any], Any], agreement: Agreement
) -> list[_Seen]:
    """What synapses and affine steps put out, and states after every step, as they are computed; then the outputs."""
    seen: list[_Seen] = []

    def listen(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(_: nn.Module, __: Any, output: Tensor) -> None:
            if not is_of_vmap(output):
                seen.append(_Seen(name, output))

        return hook

    network = watched(network, lambda name, value: seen.append(_Seen(name, value.clone())))
    agree(network, agreement)
    for name, module in network.named_modules():
        if isinstance(module, _ADDING):
            module.register_forward_hook(listen(name))
    with same_draws():
        output = run_once(network, inputs)
    return [*seen, *(_Seen(None, value) for value in tensors_in(output))]
