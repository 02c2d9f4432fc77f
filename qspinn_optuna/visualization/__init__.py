"""Figures of studies, as Plotly figures."""

from __future__ import annotations

from qspinn_optuna.visualization.front import plot_front

__all__ = ["plot_front"]
