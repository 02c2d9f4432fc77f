"""Files of an export with one byte changed: each is refused with a reason, or without effect.

1. ``model.json`` and the arrays beside it: loading raises a ValueError, or gives an equal model.
2. ``vectors.h``: the C compiler refuses it, the test that it is for fails, or the values are those of before.

Nothing may crash, and nothing may be another model silently.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from exporting.random_graphs import random_graph, random_values
from exporting.random_models import random_model, random_samples
from qspinn_optuna.cli.argument_types import positive
from qspinn_optuna.export import Export, export_c
from qspinn_optuna.integer import IntegerModel


def main() -> int:
    """Change files, and print what became of them.

    Returns:
        The exit code: 1 if a change went unnoticed.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=positive, default=1_000, help="of all files (default: %(default)s)")
    arguments = parser.parse_args()
    random = np.random.default_rng(0)
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        exports = list(_exports(Path(name)))
        for number in range(arguments.mutations):
            export = exports[number % len(exports)]
            files = ["model.json", "vectors.h", *(path.name for path in sorted(export.folder.glob("*.npy")))]
            path = export.folder / files[number // len(exports) % len(files)]
            outcome = _mutated(export, path, random)
            outcomes[f"{path.suffix.lstrip('.')}: {outcome}"] += 1
    for outcome, count in sorted(outcomes.items()):
        print(f"{count:>6}  {outcome}")
    return 1 if any("UNNOTICED" in outcome for outcome in outcomes) else 0


def _exports(folder: Path) -> Iterator[Export]:
    for seed in range(2):
        model = random_model(seed)
        yield export_c(model, folder / f"stdp{seed}", samples=random_samples(model, 3))
        graph = random_graph(seed)
        yield export_c(graph, folder / f"graph{seed}", samples=random_values(graph, 3, seed))


def _mutated(export: Export, path: Path, random: np.random.Generator) -> str:
    """What becomes of an export one byte of which is another; it is put back."""
    original = path.read_bytes()
    changed = bytearray(original)
    place = int(random.integers(len(changed)))
    changed[place] ^= int(random.integers(1, 256))
    path.write_bytes(changed)
    try:
        return _vectors(export, original, bytes(changed)) if path.name == "vectors.h" else _loaded(export)
    finally:
        path.write_bytes(original)


def _loaded(export: Export) -> str:
    try:
        model = IntegerModel.load(export.folder)
    except ValueError:
        return "refused"
    return "without effect" if model == export.model else "UNNOTICED"


def _vectors(export: Export, original: bytes, changed: bytes) -> str:
    made = subprocess.run(["make", "-s", "test"], cwd=export.folder, capture_output=True, check=False, timeout=60)
    if made.returncode != 0:
        return "refused"
    return "without effect" if _numbers(original) == _numbers(changed) else "UNNOTICED"


def _numbers(text: bytes) -> list[bytes]:
    """The numbers of a C file, comments left out: what it says, however it is written."""
    return re.findall(rb"\b\d\w*", re.sub(rb"/\*.*?\*/", b"", text, flags=re.DOTALL))


if __name__ == "__main__":
    sys.exit(main())
