"""An architecture of the zoo, and counting by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from torch import Tensor, nn

Inputs = Tensor | tuple[Tensor, ...]
"""A batch as the network takes it; of several inputs a tuple."""


class Outcome(StrEnum):
    """How an architecture should end, or ended."""

    SEARCHED = "searched"
    """All configurations of both ends of the widths run, and are what integers would compute."""
    INEXACT = "inexact"
    """Some configurations are refused after they were quantized, so that a study prunes them."""
    MISCOUNTED = "miscounted"
    """The library counts other numbers of elements than a person."""
    REFUSED = "refused"
    """The library says why not, by an error of its own."""
    ERROR = "raw error"
    """Something below the library raised."""
    LOST = "lost"
    """A saved network is another one once it is loaded."""


class Counts(Counter[str]):
    """Numbers of elements for one sample, by family; sums of layers are sums of counts."""

    def __add__(self, other: Mapping[str, int]) -> Counts:  # type: ignore[override]
        return Counts({family: self[family] + other.get(family, 0) for family in {*self, *other}})

    def __mul__(self, times: int) -> Counts:
        return Counts({family: times * count for family, count in self.items()})


def conv(inputs: int, outputs: int, kernel: int, *, bias: bool = True, groups: int = 1) -> Counts:
    """A square convolution; a normalization that is folded into it gives it a bias."""
    return Counts(weight=inputs // groups * outputs * kernel**2) + Counts({"bias": outputs} if bias else {})


def linear(inputs: int, outputs: int, *, bias: bool = True) -> Counts:
    """A linear layer."""
    return Counts(weight=inputs * outputs) + Counts({"bias": outputs} if bias else {})


def lif(*sizes: int) -> Counts:
    """Layers of leaky neurons: a membrane for each neuron, a threshold and a decay for each layer."""
    return Counts(membrane=sum(sizes), threshold=len(sizes), decay=len(sizes))


def non_leaky(*sizes: int) -> Counts:
    """Layers of neurons without a leak."""
    return Counts(membrane=sum(sizes), threshold=len(sizes))


def leaky_readout(size: int) -> Counts:
    """Neurons that leak and never fire."""
    return Counts(membrane=size, decay=1)


def same(output: Any) -> Tensor:
    """Scores of a network that returns nothing else."""
    scores: Tensor = output
    return scores


@dataclass(frozen=True)
class Architecture:
    """A network that someone would bring.

    Args:
        name: Unique.
        make: Makes the network, with weights of the global generator.
        sample: Makes a batch of so many samples.
        counts: Elements by family, counted by hand, after folding; None if the network is refused before.
        scores: From the output of the network to class scores, [batch, classes] or [steps, batch, classes].
        expected: How it should end.
        quick: Whether a second is enough, so that it is part of the tests.
        averages: Numbers k, no powers of two, over which layers take averages: calibration stores a factor 1 / k each.
    """

    name: str
    make: Callable[[], nn.Module]
    sample: Callable[[int], Inputs]
    counts: Counts | None
    scores: Callable[[Any], Tensor] = same
    expected: Outcome = Outcome.SEARCHED
    quick: bool = False
    averages: int = 0
