"""Warn of layers that fall silent by quantization."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable
from typing import Any

from torch import nn

from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.networks.calibration.activity import silent_layers


def warn_of_silence(
    network: nn.Module, config: QuantizationConfig, batches: Iterable[Any], silent_before: Collection[str]
) -> None:
    """Warn if layers put out no spikes, and name the formats that may be the cause.

    Args:
        network: A quantized network.
        config: Its quantization.
        batches: Inputs as the network takes them, or tuples that begin with them.
        silent_before: Layers that are silent in the float network, too.
    """
    for layer_name in sorted(set(silent_layers(network, batches)) - set(silent_before)):
        suspects = [
            f"{name} {quantization.format}"
            for name, quantization in config.parameters.items()
            if name.rpartition(".")[0] == layer_name
        ]
        warnings.warn(
            f"{layer_name} puts out no spikes on the calibration batches once quantized. Likely its formats "
            f"({', '.join(suspects)}) saturate below the threshold or round small inputs away, or the weights "
            "before it are rounded to 0: give them more bits.",
            stacklevel=2,
        )
