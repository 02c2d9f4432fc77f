"""The deployable network as a value, its interpreter and its files; needs neither torch nor Optuna.

.. include:: README.md
   :start-line: 2
"""

from __future__ import annotations

from qspinn_optuna.integer.accumulators import Accumulators
from qspinn_optuna.integer.arrays import Accumulator, Array, Purpose
from qspinn_optuna.integer.codes import Codes
from qspinn_optuna.integer.coding import RateCoding, ValueCoding, linear_chances
from qspinn_optuna.integer.graph import INPUT, Constant, Graph
from qspinn_optuna.integer.graph_runtime import GraphResponses
from qspinn_optuna.integer.metrics import Activity, Metrics, Synapses, measure
from qspinn_optuna.integer.model import IntegerModel
from qspinn_optuna.integer.readout import LargestScore, MeanResponse, Reduction, WeightedResponse
from qspinn_optuna.integer.runtime import classify, respond
from qspinn_optuna.integer.value_encoding import encode
from qspinn_optuna.integer.winner_take_all import NeuronConstants, WinnerTakeAll
from qspinn_optuna.integer.winner_take_all_runtime import Responses

__all__ = [
    "INPUT",
    "Accumulator",
    "Accumulators",
    "Activity",
    "Array",
    "Codes",
    "Constant",
    "Graph",
    "GraphResponses",
    "IntegerModel",
    "LargestScore",
    "MeanResponse",
    "Metrics",
    "NeuronConstants",
    "Purpose",
    "RateCoding",
    "Reduction",
    "Responses",
    "Synapses",
    "ValueCoding",
    "WeightedResponse",
    "WinnerTakeAll",
    "classify",
    "encode",
    "linear_chances",
    "measure",
    "respond",
]
