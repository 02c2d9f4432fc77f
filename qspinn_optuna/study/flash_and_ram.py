"""Flash and RAM of a trial's model apart: as the trial stores them, or computed from the space of its study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import optuna

from qspinn_optuna.fixed_point import Rounding
from qspinn_optuna.parameters import Deployment, Family, Memory, memory_for
from qspinn_optuna.study.identity import space_of
from qspinn_optuna.study.records import FootprintRecord, TrialRecord
from qspinn_optuna.targets import Fit, Target


def footprint_of(study: optuna.Study, record: TrialRecord) -> FootprintRecord | None:
    """Memory of a trial's configuration, flash and RAM apart where they can be told.

    Trials of a time when the memories were not stored get them from the description of the space. That does not tell
    which parameters a device that learns leaves as they are, so that its older trials have none.

    Args:
        study: The study.
        record: The record of one of its trials.
    """
    footprint = record.footprint
    if footprint is None or footprint.memories is not None:
        return footprint
    return replace(footprint, memories=_memories(space_of(study), footprint))


def fit_of(study: optuna.Study, record: TrialRecord, target: Target) -> Fit | None:
    """How a trial's model fits a target; None if its flash and RAM cannot be told apart.

    The device rounds what it keeps in RAM; constants are rounded before they get there.

    Args:
        study: The study.
        record: The record of one of its trials.
        target: The device.
    """
    footprint, config = footprint_of(study, record), record.config
    if footprint is None or config is None or footprint.memories is None:
        return None
    flash_kib, ram_kib = footprint.flash_kib, footprint.ram_kib
    assert flash_kib is not None
    assert ram_kib is not None
    changing = {name for name, memory in footprint.memories.items() if memory == Memory.RAM}
    used: set[Rounding] = {rounding for name, rounding in config.roundings.items() if name in changing}
    return target.fit(flash_kib, ram_kib, used)


def _memories(space: Mapping[str, Any] | None, footprint: FootprintRecord) -> dict[str, str] | None:
    """The memory of each parameter by the description of a space; None if that does not tell."""
    if space is None or space["deployment"] == Deployment.LEARNING:
        return None
    families = {name: Family(entry["family"]) for name, entry in space["parameters"].items()}
    if not footprint.by_parameter.keys() <= families.keys():
        return None
    return {name: memory_for(families[name], Deployment.INFERENCE).value for name in footprint.by_parameter}
