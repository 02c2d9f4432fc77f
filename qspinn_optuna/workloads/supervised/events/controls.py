"""Whether a task needs its states: accuracies of float networks with and without them."""

from __future__ import annotations

from qspinn_optuna.datasets import FrameSplits
from qspinn_optuna.workloads.supervised.events.data import circles_of
from qspinn_optuna.workloads.supervised.events.workload import EVALUATION_BATCH
from qspinn_optuna.workloads.supervised.loader import FrameBatches
from qspinn_optuna.workloads.supervised.workload import SupervisedWorkload


def state_controls(workload: SupervisedWorkload, data: FrameSplits) -> dict[str, float]:
    """Test accuracies of the fine-tuned float network, and of the float network without states, trained anew.

    Of gestures, the samples of circling arms are measured separately too: only the order of frames tells them apart.

    Args:
        workload: The network and its training.
        data: The frames that the workload was made of.
    """
    networks = {"float, fine-tuned": workload.baseline_network, "states deleted, retrained": workload.state_deleted}
    parts = {"": data.test, ", circling arms alone": circles_of(data)}
    return {
        f"{network_name}{part_name}": workload.accuracy_of(network, FrameBatches(part, EVALUATION_BATCH))
        for network_name, network in networks.items()
        for part_name, part in parts.items()
        if part is not None
    }
