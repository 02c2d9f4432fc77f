"""Functions that fixed point does not have, between one layer or neuron and another: softmax, tanh and the like."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from torch import nn

from qspinn_optuna.networks.entry.contributions import graph_before
from qspinn_optuna.networks.modules.support import UnsupportedNetworkError
from qspinn_optuna.networks.running.batches import Inputs

_FUNCTIONS = {
    "Softmax": "a softmax",
    "LogSoftmax": "a log_softmax",
    "ScaledDotProduct": "an attention with softmax",
    "NativeLayerNorm": "a layer normalization",
    "FusedRmsNorm": "a normalization by the root mean square",
    "NativeGroupNorm": "a group normalization",
    "LinalgVectorNorm": "a norm",
    "Norm": "a norm",
    "Std": "a standard deviation",
    "Var": "a variance",
    "StdMean": "a standard deviation",
    "VarMean": "a variance",
    **{name: f"a {name.lower()}" for name in ("Tanh", "Sigmoid", "LogSigmoid", "Gelu", "Silu", "Softplus", "Mish")},
    **{name: f"an {name.lower()}" for name in ("Exp", "Expm1", "Elu", "Erf")},
    **{name: f"a {name.lower()}" for name in ("Log", "Log1P", "Log2", "Log10", "Sqrt", "Rsqrt", "Sin", "Cos")},
}
"""By the names of torch's nodes of the graph."""

_NODE = re.compile(r"(?:_?(?:Safe|Flash|Efficient|Fused)?)(\w+?)(?:For\w+)?(?:Attention\w*)?Backward\w*$")


def check_without_transcendental(network: nn.Module, inputs: Inputs, names: Collection[str]) -> None:
    """Refuse a network in which a layer or neurons take such a function of what other layers, or neurons, put out.

    Those of the input alone are its preparation, and those of parameters alone are constants, whose results a device
    gets.

    Args:
        network: A supported network.
        inputs: A few samples.
        names: Of the layers and neurons that are looked at.

    Raises:
        UnsupportedNetworkError: Naming the function and what takes it.
    """
    for name, node, computed in graph_before(network, inputs, names):
        function = _function_of(node)
        if function is not None and computed:
            raise UnsupportedNetworkError(
                f"{name} takes {function} of what the network has computed, which fixed point does not have: "
                "put neurons, an average or a product in its place."
            )


def _function_of(node: Any) -> str | None:
    found = _NODE.match(node.name())
    return None if found is None else _FUNCTIONS.get(found[1])
