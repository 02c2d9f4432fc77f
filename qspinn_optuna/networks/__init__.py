"""Any torch or SpikingJelly network: discovery of its parameters, calibration of their ranges, and quantization.

.. include:: README.md
   :start-line: 2
"""

from __future__ import annotations

from qspinn_optuna.networks.calibration.calibration import calibrate
from qspinn_optuna.networks.calibration.fidelity import check_fidelity
from qspinn_optuna.networks.capture import CaptureError, capture, input_codes
from qspinn_optuna.networks.discovery.discovery import NetworkParameter, find_parameters
from qspinn_optuna.networks.exactness import check_exact, exact_sums
from qspinn_optuna.networks.modules.channel_scale import ChannelScale
from qspinn_optuna.networks.modules.presentation import sample_numbers
from qspinn_optuna.networks.normalization.batch_norm import fold_batch_norm
from qspinn_optuna.networks.quantization import freeze_network, quantize_network
from qspinn_optuna.networks.ranges import RangeMethod
from qspinn_optuna.networks.scaling import scale_channels

__all__ = [
    "CaptureError",
    "ChannelScale",
    "NetworkParameter",
    "RangeMethod",
    "calibrate",
    "capture",
    "check_exact",
    "check_fidelity",
    "exact_sums",
    "find_parameters",
    "fold_batch_norm",
    "freeze_network",
    "input_codes",
    "quantize_network",
    "sample_numbers",
    "scale_channels",
]
