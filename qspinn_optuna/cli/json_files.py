"""Reports as files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qspinn_optuna.cli.outputs import write_whole


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a report, whole or not at all."""
    text = json.dumps(content, indent=2) + "\n"
    write_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))
