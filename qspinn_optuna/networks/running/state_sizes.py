"""How many elements of each state one sample takes, found by running batches of two sizes.

States grow with the batch, whatever dimension it is in: the first, a later one, or one that it shares with tokens.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from qspinn_optuna.networks.running.batches import Inputs, cloned, tensors
from qspinn_optuna.networks.running.watching import run, watched

_Dimensions = tuple[int | None, ...]
"""Of each input, the dimension that counts samples; None if there is none."""

_MOST_INPUTS = 4
"""Networks of more inputs must have the batch first in all of them."""


@dataclass(frozen=True)
class StateSizes:
    """Sizes of states.

    Args:
        counts: Elements of each state for one sample.
        growth: Elements that each further sample adds.
        dimensions: Of each input, the dimension that counts samples.
        rows: Length of that dimension for each sample, 1 unless inputs are folded.
    """

    counts: dict[str, int] = field(default_factory=dict)
    growth: dict[str, int] = field(default_factory=dict)
    dimensions: _Dimensions = (0,)
    rows: float = 1.0

    def expected(self, name: str, inputs: Inputs) -> int:
        """Elements that a state has for these inputs."""
        return self.counts[name] + self.growth[name] * (self.samples(inputs) - 1)

    def samples(self, inputs: Inputs) -> int:
        """Number of samples of inputs."""
        lengths = self._lengths(inputs)
        return round(lengths[0] / self.rows) if lengths else 1

    def first_samples(self, inputs: Inputs, count: int) -> Inputs:
        """The first ``count`` samples of inputs, or all of them if there are not more."""
        lengths = self._lengths(inputs)
        length = round(count * self.rows)
        return _resized(inputs, self.dimensions, length) if lengths and length < min(lengths) else inputs

    def sample(self, inputs: Inputs, number: int) -> Inputs:
        """One sample of inputs, as a batch of 1; inputs that do not grow with the batch are as they are."""
        rows = max(1, round(self.rows))
        made = tuple(
            one if dimension is None or dimension >= one.ndim else one.narrow(dimension, number * rows, rows)
            for one, dimension in zip(tensors(inputs), self._dimensions_of(inputs), strict=True)
        )
        return made if isinstance(inputs, tuple) else made[0]

    def _dimensions_of(self, inputs: Inputs) -> _Dimensions:
        """Without states nothing is known of the batch, which is the first dimension then."""
        count = len(tensors(inputs))
        return self.dimensions if len(self.dimensions) == count else (0,) * count

    def _lengths(self, inputs: Inputs) -> list[int]:
        """Of the dimensions that count samples."""
        return [
            one.shape[dimension]
            for one, dimension in zip(tensors(inputs), self.dimensions, strict=False)
            if dimension is not None and dimension < one.ndim
        ]


class _Runner:
    """Runs a network to see the sizes of its states."""

    def __init__(self, network: nn.Module) -> None:
        self._network = watched(network, self._measure)
        self._largest: dict[str, Tensor] = {}

    def sizes(self, inputs: Inputs) -> dict[str, Tensor]:
        """The largest value of every state, on no device."""
        self._largest = {}
        with torch.random.fork_rng():
            run(self._network, cloned(inputs))
        return self._largest

    def _measure(self, name: str, value: Tensor) -> None:
        if name not in self._largest or value.numel() > self._largest[name].numel():
            self._largest[name] = torch.empty(value.shape, device="meta")


def state_sizes(network: nn.Module, inputs: Inputs, samples: int | None = None) -> StateSizes:
    """Count the elements of every state for one sample.

    The network is run with the inputs, and with fewer or more samples. If it is not known which dimension counts them,
    the first two are tried: that along which most states grow is it.

    Args:
        network: A supported network. It and torch's generators are left as they are.
        inputs: As the network takes them.
        samples: Their number, if it is known.

    Raises:
        ValueError: If no batch of another size runs, and states do not have the batch first either.
    """
    runner = _Runner(network)
    here = runner.sizes(inputs)
    if not here:
        return StateSizes()
    best: StateSizes | None = None
    for dimensions, length in _candidates(inputs, samples):
        sizes = _compared(runner, inputs, here, dimensions, length, samples)
        if sizes is None:
            continue
        growing = sum(growth > 0 for growth in sizes.growth.values())
        if best is None or growing > sum(growth > 0 for growth in best.growth.values()):
            best = sizes
        if growing == len(here):
            break
    if best is None or not any(best.growth.values()):
        return _by_first_dimension(here, len(tensors(inputs)))
    return best


def _candidates(inputs: Inputs, samples: int | None) -> Iterator[tuple[_Dimensions, int]]:
    """Dimensions that may count samples, with their length, the likeliest first."""
    given = tensors(inputs)
    choices: list[list[int | None]] = []
    for one in given:
        first = list(range(min(one.ndim, 2))) if len(given) <= _MOST_INPUTS else [0][: one.ndim]
        labeled = [dimension for dimension in range(one.ndim) if one.shape[dimension] == samples]
        choices.append([*labeled, *(dimension for dimension in first if dimension not in labeled), None])
    found = []
    for dimensions in itertools.product(*choices):
        pairs = zip(given, dimensions, strict=True)
        lengths = {one.shape[dimension] for one, dimension in pairs if dimension is not None}
        if len(lengths) == 1:
            found.append((dimensions, lengths.pop()))
    # Stable, so that earlier dimensions come first.
    yield from sorted(found, key=lambda pair: (pair[1] != samples if samples else False, pair[0].count(None)))


def _compared(
    runner: _Runner,
    inputs: Inputs,
    here: dict[str, Tensor],
    dimensions: _Dimensions,
    length: int,
    samples: int | None,
) -> StateSizes | None:
    """Sizes by a batch of another length; None if it does not run, or states do not grow evenly."""
    rows = length / samples if samples else 1.0
    for other in [length // 2, 2 * length] if length > 1 else [2]:
        resized = _resized(inputs, dimensions, other)
        try:
            there = runner.sizes(resized)
        except Exception:
            # A network may refuse other sizes by any error.
            continue
        added = (length - other) / rows
        growth: dict[str, int] = {}
        counts: dict[str, int] = {}
        for name, state in here.items():
            more = (state.numel() - there[name].numel()) / added if name in there else -1.0
            one = state.numel() - more * (length / rows - 1)
            if more < 0 or one < 1 or more != round(more) or one != round(one):
                break
            growth[name], counts[name] = round(more), round(one)
        else:
            return StateSizes(counts, growth, dimensions, rows)
    return None


def _resized(inputs: Inputs, dimensions: _Dimensions, length: int) -> Inputs:
    """Inputs with another number of samples: the first of them, or all of them twice."""
    made = tuple(
        one if dimension is None else _first(one, dimension, length)
        for one, dimension in zip(tensors(inputs), dimensions, strict=True)
    )
    return made if isinstance(inputs, tuple) else made[0]


def _first(values: Tensor, dimension: int, length: int) -> Tensor:
    return (
        values.narrow(dimension, 0, length)
        if length <= values.shape[dimension]
        else torch.cat([values, values], dimension)
    )


def _by_first_dimension(here: dict[str, Tensor], inputs: int) -> StateSizes:
    """Sizes of states that have the batch first."""
    for name, state in here.items():
        if state.ndim < 2:
            raise ValueError(
                f"{name} must be [batch, ...], got the shape {tuple(state.shape)}: give the network a batch of samples."
            )
    lengths = {name: len(state) for name, state in here.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            "the network runs with batches of this size only, so that the first dimension of every state must be the "
            f"batch, got different ones, {lengths}: the states of one sample cannot be counted."
        )
    counts = {name: state.numel() // len(state) for name, state in here.items()}
    return StateSizes(counts, dict(counts), (0,) * inputs)
