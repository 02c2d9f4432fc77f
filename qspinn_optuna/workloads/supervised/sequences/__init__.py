"""Images as sequences for supervised networks, feed-forward and recurrent: a task that needs its states."""

from __future__ import annotations

from qspinn_optuna.workloads.supervised.sequences.batches import SequenceBatches
from qspinn_optuna.workloads.supervised.sequences.network import SequenceSNN
from qspinn_optuna.workloads.supervised.sequences.search import first_trials
from qspinn_optuna.workloads.supervised.sequences.workload import SequenceRecipe, sequence_workload, state_controls

__all__ = ["SequenceBatches", "SequenceRecipe", "SequenceSNN", "first_trials", "sequence_workload", "state_controls"]
