"""What a sample reaches: the modules that run, and the parameters that are read, when a network takes it.

A device stores only these. An auxiliary head that training alone uses, or a layer that is left over, counts nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from spikingjelly.activation_based import functional, surrogate
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from qspinn_optuna.networks.modules.support import has_parameters, has_states
from qspinn_optuna.networks.names import join
from qspinn_optuna.networks.running.batches import Inputs, cloned
from qspinn_optuna.networks.running.watching import fresh_copy, run


@dataclass(frozen=True)
class Reach:
    """What a sample reaches in a network.

    Args:
        modules: Names of the modules that were called, whose states changed, or one of whose own parameters was read.
        parameters: Names of the parameters that were read, by a module or a function; shared ones by all their names.
    """

    modules: frozenset[str]
    parameters: frozenset[str]

    def reaches(self, name: str) -> bool:
        """Whether a module, or one within it, is reached."""
        return name in self.modules or any(other.startswith(f"{name}.") for other in self.modules)

    def parameters_of(self, name: str, module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
        """Own parameters of a module that count: all of a layer that is reached, else those that were read.

        Args:
            name: Of the module in the network.
            module: Any module.

        Yields:
            Names in the module, and the parameters.
        """
        whole = name in self.modules and is_layer(module)
        for own, parameter in module.named_parameters(recurse=False):
            if whole or join(name, own) in self.parameters:
                yield own, parameter


def is_layer(module: nn.Module) -> bool:
    """Whether a module has no modules within, surrogate functions apart."""
    return all(isinstance(child, surrogate.SurrogateFunctionBase) for child in module.children())


def reach_of(network: nn.Module, inputs: Inputs) -> Reach:
    """Run a copy of a network, in evaluation mode, and see what is reached.

    Args:
        network: Any network; it and torch's generators are left as they are.
        inputs: As the network takes them.
    """
    network = fresh_copy(network).eval()
    called: set[str] = set()
    for name, module in network.named_modules():
        module.register_forward_pre_hook(_Adding(called, name))
    functional.reset_net(network)
    starts = {name: dict(module._memories) for name, module in _stateful(network)}
    changed = _Changes(starts)
    network.register_forward_hook(changed)
    reads = _Reads(network)
    with torch.random.fork_rng(), reads:
        run(network, cloned(inputs))
    owners = {name.rpartition(".")[0] for name in reads.names}
    return Reach(frozenset(called | changed.names | owners), frozenset(reads.names))


def warn_of_unreached(network: nn.Module, reach: Reach, *, stacklevel: int) -> None:
    """Tell what a sample does not reach, if it holds parameters or states."""
    names = list(_unreached(network, reach))
    if names:
        warnings.warn(
            f"No sample reaches {names}: they are not counted, and left as they are when the network is quantized.",
            stacklevel=stacklevel + 1,
        )


def _unreached(network: nn.Module, reach: Reach) -> Iterator[str]:
    """The largest modules of which nothing is reached, and the parameters of the others that are not."""
    told: list[str] = []
    for name, module in network.named_modules():
        if any(name.startswith(f"{larger}.") for larger in told) or not has_parameters(module):
            continue
        inner = {join(name, own) if own else name for own, _ in module.named_modules()}
        if not inner & reach.modules:
            if any(has_states(part) or any(True for _ in part.parameters(recurse=False)) for part in module.modules()):
                told.append(name)
                yield name
            continue
        counted = {own for own, _ in reach.parameters_of(name, module)}
        if name in reach.modules:
            yield from (join(name, own) for own, _ in module.named_parameters(recurse=False) if own not in counted)


def _stateful(network: nn.Module) -> Iterator[tuple[str, Any]]:
    return ((name, module) for name, module in network.named_modules() if has_states(module))


class _Adding:
    """A hook that notes the name of its module."""

    def __init__(self, names: set[str], name: str) -> None:
        self._names = names
        self._name = name

    def __call__(self, *_: object) -> None:
        self._names.add(self._name)


class _Changes:
    """A hook of the whole network that notes modules with other states than before: methods may be called directly."""

    def __init__(self, starts: dict[str, dict[str, Any]]) -> None:
        self.names: set[str] = set()
        self._starts = starts

    def __call__(self, network: nn.Module, *_: object) -> None:
        for name, module in _stateful(network):
            start = self._starts[name]
            if any(value is not start.get(state) for state, value in module._memories.items()):
                self.names.add(name)


class _Reads(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the parameters of a network that operations take.

    Attributes:
        names: Their names; all those of a shared one.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()
        self._names_of: dict[int, list[str]] = {}
        for name, parameter in network.named_parameters(remove_duplicate=False):
            self._names_of.setdefault(id(parameter), []).append(name)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for tensor in _tensors((*args, *(kwargs or {}).values())):
            self.names.update(self._names_of.get(id(tensor), ()))
        return func(*args, **(kwargs or {}))


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)
