"""The classes that the C gives, on this machine."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.export import tools
from qspinn_optuna.export.templates import text_of, with_prefix

_COMPILING, _RUNNING = 120.0, 300.0
"""Seconds after which a compiler, and the program, are given up."""

_FLAGS = ("-std=c99", "-O2")


def classify(
    folder: Path, prefix: str, samples: NDArray[np.integer], first: int, compiler: str | None = None
) -> NDArray[np.uint8]:
    """Compile the C of a folder, and let it classify samples from a number on.

    Raises:
        ToolError: If there is no compiler, or it or the program fails.
    """
    compiler = compiler or tools.host_compiler()
    with tempfile.TemporaryDirectory() as name:
        build = Path(name)
        (build / "classify.c").write_text(with_prefix(text_of("classify.c"), prefix), encoding="utf-8")
        (build / "samples").write_bytes(samples.tobytes())
        source, binary = folder.resolve(), build / "classify"
        tools.run(
            [compiler, *_FLAGS, f"-I{source}", source / "model.c", build / "classify.c", "-o", binary],
            build,
            _COMPILING,
        )
        shown = tools.run([binary, build / "samples", str(first), str(len(samples))], build, _RUNNING)
    return np.frombuffer(shown, np.uint8)
