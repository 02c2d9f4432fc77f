"""The risk of a choice: how likely a chosen model's true accuracy is under the floor."""

from __future__ import annotations

from qspinn_optuna.selection.risk.optimism import Contest, corrected
from qspinn_optuna.selection.risk.posterior import paired_risk, unpaired_risk
from qspinn_optuna.selection.risk.risk import Risk, StudyRisk

__all__ = ["Contest", "Risk", "StudyRisk", "corrected", "paired_risk", "unpaired_risk"]
