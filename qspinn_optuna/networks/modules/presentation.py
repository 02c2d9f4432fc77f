"""What a quantized network is told of the batch that it runs on: which samples it holds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from qspinn_optuna.fixed_point.keyed_rounding import SampleNumbers

_PRESENTATION = "_presentation"


@dataclass(eq=False)
class Presentation:
    """What the modules of a quantized network know of the batch: one object, shared by all of them.

    Args:
        time_first: Whether folded inputs of layers are [steps * samples, ...], as they are in SpikingJelly's multi-step
            networks, instead of [samples * steps, ...].
        has_states: Whether a module has states, without which there is no time.
        numbers: Of the samples; None if they are counted along first dimensions.
        resets: Counts how often states were reset.
    """

    time_first: bool = False
    has_states: bool = False
    numbers: SampleNumbers | None = None
    resets: int = 0

    def join(self, module: nn.Module) -> None:
        """Let ``module`` be one of those that share this."""
        module.__dict__[_PRESENTATION] = self


def presentation_of(module: nn.Module) -> Presentation | None:
    """What a module of a quantized network shares with the others; None if it draws nothing."""
    found: Presentation | None = module.__dict__.get(_PRESENTATION)
    return found


@contextlib.contextmanager
def sample_numbers(network: nn.Module, numbers: Sequence[int]) -> Iterator[None]:
    """A context in which the samples of a batch have numbers of their own, by which stochastic rounding draws.

    With them a sample is rounded in the same way whatever batch it is in, see :mod:`~.keyed_draws`::

        with sample_numbers(network, range(64, 128)):
            functional.reset_net(network)
            scores = network(batch)

    Example:
        >>> with sample_numbers(quantized, range(100, 132)):
        ...     quantized(spikes).shape
        torch.Size([10, 32, 4])

    Args:
        network: Of :func:`~.quantization.quantize_network`; another one runs as it does without.
        numbers: One for each sample of the batch, integers of 0 to 2**64 - 1.

    Raises:
        ValueError: If there are no numbers, or one is out of range.
    """
    given = [int(number) for number in numbers]
    if not given or not all(0 <= number < 2**64 for number in given):
        raise ValueError(
            "numbers must be an integer of 0 to 2**64 - 1 for each sample of the batch, such as range(8), got "
            f"{numbers!r}."
        )
    found = {id(each): each for module in network.modules() if (each := presentation_of(module)) is not None}
    before = [(each, each.numbers) for each in found.values()]
    for each in found.values():
        each.numbers = np.array(given, np.uint64)
    try:
        yield
    finally:
        for each, known in before:
            each.numbers = known
