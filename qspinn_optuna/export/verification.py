"""The C against the interpreter: every spike, every membrane, every step."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.export import tools
from qspinn_optuna.export.program import Program, Trace
from qspinn_optuna.export.templates import text_of, with_prefix

_BATCH = 64
"""Samples whose traces are held at a time."""

_COMPILING, _RUNNING = 120.0, 300.0
"""Seconds after which a compiler, and a batch of samples, are given up."""

FLAGS = ("-std=c99", "-O2")


class DifferenceError(AssertionError):
    """The C does not compute what the interpreter does: says where they differ first.

    Example:
        >>> issubclass(DifferenceError, Exception)
        True
    """


@dataclass(frozen=True)
class Verification:
    """What was compared, and equal.

    Example:
        >>> export_c(model, folder / "net").verify(codes)  # doctest: +SKIP

    Args:
        samples: Samples.
        values: Spikes and membranes, over all samples and steps.
        compiler: What compiled the C.
    """

    samples: int
    values: int
    compiler: str


def verify(
    folder: Path,
    program: Program,
    prefix: str,
    samples: NDArray[np.integer],
    first: int,
    *,
    compiler: str | None = None,
    flags: Sequence[str] = FLAGS,
    seconds: float = _RUNNING,
) -> Verification:
    """Compile the C of a folder, run it on samples from a number on, and compare.

    Raises:
        ToolError: If there is no compiler, or it or the program fails.
        DifferenceError: If a spike, a membrane or a class differs.
    """
    compiler = compiler or tools.host_compiler()
    with tempfile.TemporaryDirectory() as name:
        build = Path(name)
        (build / "trace.c").write_text(with_prefix(text_of("trace.c"), prefix), encoding="utf-8")
        binary = build / "trace"
        source = folder.resolve()
        tools.run(
            [compiler, *flags, f"-I{source}", source / "model.c", build / "trace.c", "-o", binary], build, _COMPILING
        )
        for start in range(0, len(samples), _BATCH):
            batch = samples[start : start + _BATCH]
            (build / "samples").write_bytes(batch.tobytes())
            shown = tools.run([binary, build / "samples", str(first + start), str(len(batch))], build, seconds)
            _compare(program, np.frombuffer(shown, np.int32), list(program.traces(batch, first + start)), first + start)
    return Verification(len(samples), len(samples) * program.steps * program.values, compiler)


def _compare(program: Program, shown: NDArray[np.int32], expected: list[Trace], first: int) -> None:
    size = program.steps * program.values
    if len(shown) != len(expected) * (size + 2):
        raise DifferenceError(f"the C shows {len(shown)} values, and {len(expected) * (size + 2)} are expected.")
    for k, (row, trace) in enumerate(zip(shown.reshape(len(expected), -1), expected, strict=True)):
        values = row[:size].reshape(program.steps, program.values)
        differences = np.argwhere(values != trace.values)
        if len(differences):
            step, value = differences[0].tolist()
            raise DifferenceError(
                f"sample {first + k}, step {step}: {program.name_of_value(value)} is {values[step, value]} in C and "
                f"{trace.values[step, value]} in the interpreter ({len(differences)} values of this sample differ)."
            )
        for name, answer in zip(("snn_answer", "snn_classify"), row[size:].tolist(), strict=True):
            if answer != trace.answer:
                raise DifferenceError(
                    f"sample {first + k}: the class of {name} is {answer} in C and {trace.answer} in the interpreter."
                )
