"""What is added up where: the synapses, inputs and factors whose values reach a sum without a spike between."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import torch
from spikingjelly.activation_based import functional
from torch import Tensor, nn

from qspinn_optuna.networks.entry.inputs import INPUT
from qspinn_optuna.networks.entry.reciprocals import FoundReciprocals, reciprocal_name
from qspinn_optuna.networks.modules.support import SYNAPSES, has_states
from qspinn_optuna.networks.names import join
from qspinn_optuna.networks.running.batches import Inputs, call, mapped
from qspinn_optuna.networks.running.watching import fresh_copy

OUTPUT = "the output"
"""Name of what a network puts out."""


def contributions(network: nn.Module, inputs: Inputs, rounded: Collection[str] = ()) -> Mapping[str, frozenset[str]]:
    """What reaches every synapse, every module with states, and the output.

    It is read from the graph of a forward pass, so that a part of ``forward`` without gradients hides what it adds.

    Args:
        network: A supported network, quantized or not.
        inputs: A few samples.
        rounded: Layers and neurons whose inputs are rounded, so that nothing that reaches them goes further.

    Returns:
        Names of synapses, of reciprocals, and "input", by the names of modules and "the output". Empty if the network
        cannot run with gradients.
    """
    found = _found(network, inputs, rounded, ())
    return found | {name: frozenset({join(name, INPUT)}) for name in rounded} if found else {}


def contributions_of_buffers(
    network: nn.Module, inputs: Inputs, buffers: Collection[str], rounded: Collection[str]
) -> Mapping[str, frozenset[str]]:
    """The same with names of buffers among the contributions, and what reaches ``rounded`` before it is rounded.

    Args:
        network: A supported network, not quantized.
        inputs: A few samples.
        buffers: Names of floating-point buffers.
        rounded: Layers and neurons beyond which nothing goes that reaches them.
    """
    return _found(network, inputs, rounded, buffers)


def graph_before(network: nn.Module, inputs: Inputs, names: Collection[str]) -> Iterator[tuple[str, Any, bool]]:
    """Operations between layers and neurons and what they take, as nodes of torch's graph.

    Args:
        network: A supported network, not quantized.
        inputs: A few samples.
        names: Of layers and neurons.

    Yields:
        The name, an operation before it with no layer or neuron between, and whether it works on what a layer or a
        neuron has put out.
    """
    watch = _run(network, inputs, (), ())
    return iter(()) if watch is None else watch.before(names)


def _found(
    network: nn.Module, inputs: Inputs, rounded: Collection[str], buffers: Collection[str]
) -> dict[str, frozenset[str]]:
    watch = _run(network, inputs, rounded, buffers)
    return {} if watch is None else watch.found()


def _run(network: nn.Module, inputs: Inputs, rounded: Collection[str], buffers: Collection[str]) -> _GraphWatch | None:
    """The graph of a run; None if the network cannot run with gradients."""
    network = fresh_copy(network).eval().requires_grad_()
    watch = _GraphWatch(network, rounded)
    try:
        with torch.enable_grad(), watch.divisions:
            functional.reset_net(network)
            watch.mark_buffers(network, buffers)
            entered = mapped(inputs, _as_leaf)
            watch.mark(INPUT, entered)
            output = call(network, entered)
    except RuntimeError:
        # An operation without a gradient, such as a write into a view.
        return None
    watch.look(OUTPUT, output)
    return watch


class _GraphWatch:
    """Keeps the nodes of the graph that synapses, neurons and divisions make.

    Args:
        network: It gets hooks.
        rounded: Layers and neurons whose inputs are rounded.
    """

    def __init__(self, network: nn.Module, rounded: Collection[str]) -> None:
        self._rounded = frozenset(rounded)
        self.divisions = FoundReciprocals()
        # NOTE: nodes are kept, since a node that is let go is another object when it is found again.
        self._names: dict[Any, set[str]] = {}
        self._ends: set[Any] = set()
        self._closed: set[Any] = set()
        self._looked: list[tuple[str, Any]] = []
        self._found_before: list[int] = []
        for name, module in network.named_modules():
            synapse = isinstance(module, SYNAPSES)
            if synapse or has_states(module):
                module.register_forward_pre_hook(lambda _, inputs, name=name: self.look(name, inputs))
            if has_states(module):
                module.register_forward_pre_hook(self._enter)
                module.register_forward_hook(self._leave)
            elif synapse:
                module.register_forward_hook(lambda _, __, output, name=name: self.mark(name, output))

    def _enter(self, *_: Any) -> None:
        self._found_before.append(len(self.divisions.found))

    def _leave(self, _: nn.Module, __: Any, output: Any) -> None:
        # What a neuron divides within its step, as by a time constant, it does in fixed point by its decay.
        del self.divisions.found[self._found_before.pop() :]
        self._ends.update(_nodes(output))

    def mark(self, name: str, value: Any) -> None:
        """``value`` is what ``name`` contributes."""
        for node in _nodes(value):
            self._names.setdefault(node, set()).add(name)
            if name in self._rounded:
                self._closed.add(node)

    def mark_buffers(self, network: nn.Module, buffers: Collection[str]) -> None:
        """Buffers contribute what they hold; they get gradients, in place."""
        for name in buffers:
            owner, _, own = name.rpartition(".")
            held = _as_leaf(network.get_buffer(name))
            network.get_submodule(owner)._buffers[own] = held
            self.mark(name, held)

    def look(self, name: str, value: Any) -> None:
        """``name`` takes ``value``."""
        self._looked += [(name, node) for node in _nodes(value)]

    def found(self) -> dict[str, frozenset[str]]:
        """What contributes to all that was looked at."""
        for count, quotient in self.divisions.found:
            self.mark(reciprocal_name(count), quotient)
        found: dict[str, set[str]] = {}
        for name, node in self._looked:
            found.setdefault(name, set()).update(self._behind(node))
        return {name: frozenset(names) for name, names in found.items()}

    def before(self, names: Collection[str]) -> Iterator[tuple[str, Any, bool]]:
        """Operations before what was looked at, see :func:`graph_before`."""
        computed: dict[Any, bool] = {}
        for name, first in self._looked:
            if name not in names:
                continue
            for node in self._between(first):
                if node not in computed:
                    computed[node] = self._is_computed(node)
                yield name, node, computed[node]

    def _is_computed(self, node: Any) -> bool:
        """Whether a layer or a neuron is behind an operation."""
        return any(behind in self._ends or self._names.get(behind, set()) - {INPUT} for behind in self._walk(node))

    def _between(self, first: Any) -> Iterator[Any]:
        """Operations from one on, up to layers and neurons."""
        return (node for node in self._walk(first) if node not in self._ends and not self._names.get(node))

    def _walk(self, first: Any) -> Iterator[Any]:
        """An operation and those before it, up to layers and neurons, these included."""
        seen: set[Any] = set()
        pending = [first]
        while pending:
            node = pending.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            yield node
            if node not in self._ends and not self._names.get(node):
                pending += [before for before, _ in node.next_functions]

    def _behind(self, first: Any) -> set[str]:
        names: set[str] = set()
        seen: set[Any] = set()
        pending = [first]
        while pending:
            node = pending.pop()
            if node is None or node in seen or node in self._ends:
                continue
            seen.add(node)
            names |= self._names.get(node, set())
            if node in self._closed:
                continue
            pending += [before for before, _ in node.next_functions]
        return names


def _as_leaf(values: Tensor) -> Tensor:
    """A copy with a gradient, into which a network may write."""
    values = values.detach().clone()
    return values.requires_grad_().clone() if values.is_floating_point() else values


def _nodes(value: Any) -> list[Any]:
    """Nodes of the graph that made the tensors of an argument or a result."""
    if isinstance(value, Tensor):
        return [] if value.grad_fn is None else [value.grad_fn]
    if isinstance(value, dict):
        value = list(value.values())
    return [node for part in value for node in _nodes(part)] if isinstance(value, tuple | list) else []
