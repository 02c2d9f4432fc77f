"""Plotly figures of studies."""

from __future__ import annotations

from qspinn_optuna.visualization.bit_allocation import plot_bit_allocation
from qspinn_optuna.visualization.devices import plot_devices
from qspinn_optuna.visualization.footprint import plot_footprint
from qspinn_optuna.visualization.front import plot_front
from qspinn_optuna.visualization.hypervolume import plot_hypervolume
from qspinn_optuna.visualization.membranes import plot_membranes
from qspinn_optuna.visualization.schemes_and_roundings import plot_schemes_and_roundings
from qspinn_optuna.visualization.significance import plot_significance
from qspinn_optuna.visualization.winner_by_mu import plot_winner_by_mu

__all__ = [
    "plot_bit_allocation",
    "plot_devices",
    "plot_footprint",
    "plot_front",
    "plot_hypervolume",
    "plot_membranes",
    "plot_schemes_and_roundings",
    "plot_significance",
    "plot_winner_by_mu",
]
