"""An unsupervised spiking network that learns digits by spike-timing-dependent plasticity (STDP)."""

from __future__ import annotations

from qspinn_optuna.workloads.stdp.network import STDPNetwork
from qspinn_optuna.workloads.stdp.settings import ReadoutKind, STDPSettings
from qspinn_optuna.workloads.stdp.spikes import SpikeTrains, encode_images
from qspinn_optuna.workloads.stdp.workload import STDPWorkload

__all__ = ["ReadoutKind", "STDPNetwork", "STDPSettings", "STDPWorkload", "SpikeTrains", "encode_images"]
