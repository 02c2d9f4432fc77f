"""Runs that are kept in a folder, a file a contestant and a line a run."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from searching.runs import Run

_FOLDER = "contestants"

_OLD_FOLDER = "runs"
_OLD_NAMES = {"tpe-univariate": "tpe", "tpe": "tpe-multivariate"}
"""Names in ``_OLD_FOLDER`` where they differ: "tpe" was the sampler that models each dimension by itself."""


def store(output: Path, run: Run) -> None:
    """Add a run to the file of its contestant, ``contestants/<name>.jsonl``."""
    path = _file(output, run.sampler)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(asdict(run)) + "\n")


def stored_runs(output: Path, contestant: str) -> list[Run]:
    """The runs of a contestant, those of before in the folder ``runs`` first."""
    old = output / _OLD_FOLDER / f"{_OLD_NAMES.get(contestant, contestant)}.jsonl"
    return [replace(run, sampler=contestant) for run in (*_read(old), *_read(_file(output, contestant)))]


def _file(output: Path, contestant: str) -> Path:
    return output / _FOLDER / f"{contestant}.jsonl"


def _read(path: Path) -> list[Run]:
    """The runs of a file, without the end of a line that an interrupted comparison did not complete."""
    if not path.exists():
        return []
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole)
    return [Run(**json.loads(line)) for line in whole.splitlines()]
