"""The kinds of networks that become C, by their type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qspinn_optuna.export import graph, winner_take_all
from qspinn_optuna.export.program import Program
from qspinn_optuna.integer import Graph, IntegerModel, WinnerTakeAll

_KINDS: dict[type, Callable[[Any], Program]] = {WinnerTakeAll: winner_take_all.program_of, Graph: graph.program_of}


def program_of(model: IntegerModel) -> Program:
    """The C of a model.

    Raises:
        TypeError: If ``model`` is no model, or its network is of a kind that no C is written for.
    """
    if not isinstance(model, IntegerModel):
        raise TypeError(f"model must be an IntegerModel, got {type(model).__name__}.")
    kind = _KINDS.get(type(model.network))
    if kind is None:
        known = " or ".join(each.__name__ for each in _KINDS)
        raise TypeError(f"model.network must be a {known}, got {type(model.network).__name__}.")
    return kind(model)
