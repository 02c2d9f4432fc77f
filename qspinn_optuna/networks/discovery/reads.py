"""Is every quantized parameter of a network read when the network runs?"""

from __future__ import annotations

from collections.abc import Collection

from torch import nn

from qspinn_optuna.networks.discovery.discovery import synaptic_parameters
from qspinn_optuna.networks.running.batches import Inputs
from qspinn_optuna.networks.running.recording import coefficient_attributes, reads


def check_reads(network: nn.Module, names: Collection[str], inputs: Inputs) -> None:
    """Refuse parameters that change nothing: a search over their widths would be one over noise.

    Args:
        network: Quantized, in training or frozen; it is left as it is.
        names: Its quantized parameters.
        inputs: A batch as the network takes it, which is run once.

    Raises:
        ValueError: Naming the parameters that no operation reads.
    """
    attributes = coefficient_attributes(network)
    stored = {id(parameter): name for name, parameter in synaptic_parameters(network).items()}
    for name, module in network.named_modules():
        for own, parameter in module.named_parameters(recurse=False):
            if id(parameter) in stored:
                attributes.setdefault(name, {})[own] = stored[id(parameter)]
    unread = sorted(set(names) - reads(network, attributes, inputs))
    if unread:
        raise ValueError(
            f"network never reads {unread} when it runs, so that their widths would change nothing: take them out of "
            "the network, or let its forward use them."
        )
