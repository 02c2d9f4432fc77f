"""The deployable network as a value, its interpreter and its files; needs neither torch nor Optuna."""

from __future__ import annotations

from qspinn_optuna.integer.accumulators import Accumulators
from qspinn_optuna.integer.codes import Codes
from qspinn_optuna.integer.coding import RateCoding, linear_chances
from qspinn_optuna.integer.model import IntegerModel
from qspinn_optuna.integer.readout import MeanResponse
from qspinn_optuna.integer.runtime import Responses, classify, respond
from qspinn_optuna.integer.winner_take_all import NeuronConstants, WinnerTakeAll

__all__ = [
    "Accumulators",
    "Codes",
    "IntegerModel",
    "MeanResponse",
    "NeuronConstants",
    "RateCoding",
    "Responses",
    "WinnerTakeAll",
    "classify",
    "linear_chances",
    "respond",
]
