"""Results that could not be told to their storage, in files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import distribution_to_json, json_to_distribution
from optuna.trial import FrozenTrial, TrialState

from qspinn_optuna.study.storage.leases import Lease

_SUFFIX = ".unsaved.json"


def save(folder: Path, study: str, trial: FrozenTrial) -> Path:
    """Write a finished trial that has a lease to a file, which is whole or not there.

    Args:
        folder: Where.
        study: Name of the study.
        trial: The trial.

    Raises:
        OSError: If it cannot be written.
    """
    lease = Lease.of(trial)
    token = "" if lease is None else lease.token
    name = re.sub(r"[^\w.-]+", "-", study)
    path = folder / f"{name}-{trial.number}-{token}{_SUFFIX}"
    unfinished = path.with_suffix(".part")
    try:
        with unfinished.open("w") as file:
            file.write(as_text(study, trial))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    return path


def as_text(study: str, trial: FrozenTrial) -> str:
    """A finished trial as the file has it, in a line."""
    content = {
        "study": study,
        "number": trial.number,
        "state": trial.state.name,
        "values": trial.values,
        "params": {name: _with_distribution(trial, name) for name in trial.params},
        "user_attrs": trial.user_attrs,
        "system_attrs": trial.system_attrs,
        "intermediate_values": list(trial.intermediate_values.items()),
        "datetime_start": None if trial.datetime_start is None else trial.datetime_start.isoformat(),
    }
    return json.dumps(content)


def _with_distribution(trial: FrozenTrial, name: str) -> list[Any]:
    distribution = trial.distributions[name]
    return [distribution.to_internal_repr(trial.params[name]), distribution_to_json(distribution)]


def unsaved_in(folder: Path, study: str) -> Iterator[tuple[Path, FrozenTrial]]:
    """The files in a folder with trials of a study's name, and the trials; what is no such file is left out."""
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        try:
            content = json.loads(path.read_text())
            trial = _trial_of(content) if content["study"] == study else None
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if trial is not None:
            yield path, trial


def _trial_of(content: dict[str, Any]) -> FrozenTrial:
    distributions = {name: json_to_distribution(text) for name, (_, text) in content["params"].items()}
    trial = optuna.create_trial(
        state=TrialState[content["state"]],
        values=content["values"],
        params={name: distributions[name].to_external_repr(value) for name, (value, _) in content["params"].items()},
        distributions=distributions,
        user_attrs=content["user_attrs"],
        system_attrs=content["system_attrs"],
        intermediate_values={int(step): float(value) for step, value in content["intermediate_values"]},
    )
    if content["datetime_start"] is not None:
        trial.datetime_start = datetime.fromisoformat(content["datetime_start"])
    trial.number = int(content["number"])
    return trial
