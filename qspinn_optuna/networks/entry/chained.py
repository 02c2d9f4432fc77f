"""Synapses that take sums of other synapses, without a spike between: what they take has a format of its own."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from qspinn_optuna.networks.modules.support import SYNAPSES


def chained_synapses(network: nn.Module, contributions: Mapping[str, frozenset[str]]) -> set[str]:
    """Synapses that other synapses reach.

    Each adds the digits of its weights to those of the sum that it takes, so that a few of them in a row, such as the
    shortcuts of membranes in a residual network, have more than float32 carries. A device rounds between them.
    """
    synapses = {name for name, module in network.named_modules() if isinstance(module, SYNAPSES)}
    return {name for name in synapses if contributions.get(name, frozenset()) & synapses}
