"""An export in a folder, beside what else is there."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qspinn_optuna.integer import IntegerModel
from qspinn_optuna.integer.files import DOCUMENT, KIND

MARK = "Written by a program from model.json"
"""In model.c: what tells an export from a folder that holds a model alone."""

SOURCES = ("model.h", "model.c", "vectors.h", "main.c", "port.h", "host.c", "cortex_m.c", "cortex_m.ld", "Makefile")
REPORT = "REPORT.md"


def check_folder(folder: Path, overwrite: bool) -> None:
    """Refuse a folder that may not be written to.

    Example:
        >>> check_folder(folder / "new", overwrite=False)

    Raises:
        ValueError: If it is a file, has no parent, or is not empty and no export that may be replaced.
    """
    if not folder.parent.is_dir():
        raise ValueError(f"folder must be in a folder that exists, got {folder}: make {folder.parent} first.")
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not folder.is_dir():
        raise ValueError(f"folder must not be a file, got {folder}: name another.")
    if not is_export(folder):
        raise ValueError(f"folder must be new, empty or hold an export, got {folder}, which holds something else.")
    if not overwrite:
        raise ValueError(f"folder must be new, got {folder}, which holds an export: give overwrite=True to replace it.")


def is_export(folder: Path) -> bool:
    """Whether a folder holds an export, maybe beside other files.

    Example:
        >>> is_export(folder)
        False
    """
    try:
        source = (folder / "model.c").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return MARK in source and _document(folder).get("kind") == KIND


def write_export(folder: Path, model: IntegerModel, sources: Mapping[str, str]) -> None:
    """Write the model and the sources. Of what is there, only files of an earlier export are replaced or deleted."""
    folder.mkdir(exist_ok=True)
    old = _array_files(folder)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        saved = Path(name) / "model"
        model.save(saved)
        for text_name, text in sources.items():
            (saved / text_name).write_text(text, encoding="utf-8")
        written = sorted(saved.iterdir())
        for path in written:
            path.replace(folder / path.name)
    for array in old - {path.name for path in written}:
        (folder / array).unlink(missing_ok=True)


def _array_files(folder: Path) -> set[str]:
    """Arrays of the model in a folder: plain names, whatever its document says."""
    files = _document(folder).get("files", {})
    return {name for name in files if Path(name).name == name and name.endswith(".npy")}


def _document(folder: Path) -> dict[str, Any]:
    try:
        document = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
