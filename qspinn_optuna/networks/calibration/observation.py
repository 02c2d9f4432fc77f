"""A network that is run on batches, to see the values of its states and what enters it and its layers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from qspinn_optuna.networks.calibration import limits
from qspinn_optuna.networks.entry.inputs import on_grid
from qspinn_optuna.networks.entry.layer_inputs import LayerInputs
from qspinn_optuna.networks.entry.rounded_inputs import takes_rounded_input
from qspinn_optuna.networks.modules.support import SYNAPSES, has_states
from qspinn_optuna.networks.ranges import SeenValues
from qspinn_optuna.networks.running.batches import Inputs, shape_of, tensors
from qspinn_optuna.networks.running.nested import is_of_vmap
from qspinn_optuna.networks.running.state_sizes import StateSizes, state_sizes
from qspinn_optuna.networks.running.watching import run, watched
from qspinn_optuna.networks.simulated_digits import SIMULATED_BITS

WIDEST = 16
"""Width of parameters that nothing limits."""

INPUT_BITS = 8
"""Fraction bits that inputs of a layer have at most, as far as the widths of its weights are concerned."""

_FEW = 4
"""Samples on which the simulation is compared with float64."""

_KEPT_INPUTS = 5_000
"""Inputs of each batch of which the formats are made."""


class Observation:
    """A network that is run to see its states and the inputs of its synapses.

    Attributes:
        states: Values of every state.
        sizes: Elements of every state for one sample.
        inputs_on_grid: Whether all inputs of the network are in fixed point already.
        inputs: Values of those that are not.
        first: The first batch.
        layer_inputs: What synapses take that is on no grid.
        fan_in: Number of products that a sum of each synapse adds up.
        limits: Widths that sums limit.
    """

    def __init__(self, network: nn.Module, generator: torch.Generator) -> None:
        self.generator = generator
        self.states: dict[str, SeenValues] = {}
        self.sizes = StateSizes()
        self.inputs_on_grid = True
        # A generator of its own, so that the samples of states do not depend on it.
        self.inputs = SeenValues(torch.Generator().manual_seed(generator.initial_seed()))
        self.first: Inputs = torch.empty(0)
        self.layer_inputs = LayerInputs(network, generator.initial_seed())
        self._largest_inputs: dict[str, float] = {}
        self._steps: dict[str, int] = {}
        self._original = network
        self._network = watched(network, self._on_state, self._on_input)
        self._watch_neurons(network)
        self.fan_in = _fan_in(network)
        self.limits: list[limits.Limit] = []

    def run(self, batches: Iterable[tuple[Inputs, Any]]) -> None:
        """Run the network on batches of inputs and labels."""
        for number, (inputs, labels) in enumerate(batches):
            with naming_batch(number, inputs):
                if number == 0:
                    self.sizes = state_sizes(self._original, inputs, _number_of(labels))
                self._inputs = inputs
                run(self._network, inputs)
                if number == 0:
                    self.layer_inputs.see_steps(self._steps)
                self._see(number, inputs)

    @property
    def few_samples(self) -> Inputs:
        """A few samples of the first batch."""
        return self.samples(_FEW)

    def samples(self, count: int) -> Inputs:
        """So many samples of the first batch, if it has them."""
        return self.sizes.first_samples(self.first, count)

    def _see(self, number: int, inputs: Inputs) -> None:
        """Take notice of inputs of the network."""
        if number == 0:
            self.first = inputs
        for one in tensors(inputs):
            self.inputs_on_grid = self.inputs_on_grid and on_grid(one)
            if one.is_floating_point():
                self.inputs.add(one, kept=_KEPT_INPUTS)

    def weight_bits(self, name: str, weight: Tensor, coded: Mapping[str, int]) -> int:
        """Widest weights whose sums over the largest inputs, or the largest codes of inputs, are exact."""
        layer_name = name.rpartition(".")[0]
        if layer_name not in self._largest_inputs or weight.ndim < 2:
            return WIDEST
        largest_sum = self.fan_in[layer_name] * coded.get(layer_name, self._largest_inputs[layer_name])
        # Codes of b bits are at most 2**(b - 1).
        limit = SIMULATED_BITS + 1 - math.ceil(math.log2(max(largest_sum, 1)))
        if limit < 2:
            raise ValueError(
                f"Sums of {self.fan_in[layer_name]} inputs of {layer_name}, up to {largest_sum:g} steps of their "
                f"resolution, are not exact in float32 with weights of even 2 bits: make its inputs coarser."
            )
        if limit < WIDEST:
            self.limits.append(limits.Limit(name, WIDEST, limit, layer_name))
        return min(limit, WIDEST)

    def _watch_neurons(self, network: nn.Module) -> None:
        """See what neurons take, too."""
        for name, module in network.named_modules():
            if has_states(module) and takes_rounded_input(module):
                self._network.get_submodule(name).register_forward_pre_hook(
                    lambda _, taken, name=name: self._on_neurons(name, taken)
                )

    def _on_neurons(self, name: str, taken: tuple[Any, ...]) -> None:
        value = taken[0] if taken else None
        if isinstance(value, Tensor) and not is_of_vmap(value):
            self.layer_inputs.see(name, value.detach(), self.sizes.samples(self._inputs))

    def _on_state(self, name: str, value: Tensor) -> None:
        expected = self.sizes.expected(name, self._inputs)
        if value.numel() != expected and name.rpartition(".")[2] != "queue":
            raise ValueError(
                f"{name} has the shape {tuple(value.shape)}, {value.numel():,} elements where the first batch gives "
                f"reason to expect {expected:,}: give batches of one shape."
            )
        self._steps[name] = self._steps.get(name, 0) + 1
        add_values(self.states.setdefault(name, SeenValues(self.generator)), name, value)

    def _on_input(self, name: str, value: Tensor) -> None:
        """Keep the largest input of a synapse, in steps of the coarsest resolution that holds it."""
        self.layer_inputs.see(name, value, self.sizes.samples(self._inputs))
        # Traces are on a grid only once they are quantized; check_exact finds out about inputs that never are.
        steps = (value.abs().double() * 2.0**INPUT_BITS).round()
        largest = float(steps.max()) if steps.numel() else 0.0
        while largest >= 2 and bool((steps % 2 == 0).all()):
            steps, largest = steps / 2, largest / 2
        self._largest_inputs[name] = max(self._largest_inputs.get(name, 0.0), largest)


@contextmanager
def naming_batch(number: int, inputs: Inputs) -> Iterator[None]:
    """Name the batch in errors that it causes."""
    try:
        yield
    except (ValueError, RuntimeError, TypeError, IndexError) as error:
        raise ValueError(f"Batch {number} of shape {shape_of(inputs)}: {error}") from error


def add_values(seen: SeenValues, name: str, values: Tensor, **arguments: int) -> None:
    """:meth:`SeenValues.add`, whose errors name the parameter."""
    try:
        seen.add(values, **arguments)
    except ValueError as error:
        raise ValueError(f"{name} cannot be calibrated: {error}.") from None


def _number_of(labels: Any) -> int | None:
    """The number of samples, of which a tensor of labels has one each."""
    return len(labels) if isinstance(labels, Tensor) and labels.ndim > 0 else None


def _fan_in(network: nn.Module) -> dict[str, int]:
    """Number of products that a sum of each synapse adds up."""
    found = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.modules.conv._ConvTransposeNd):
            found[name] = module.in_channels // module.groups * math.prod(module.kernel_size)
        elif isinstance(module, SYNAPSES):
            weight: Any = module.weight
            found[name] = weight[0].numel()
    return found
