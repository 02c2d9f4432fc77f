"""Bytes that the C takes on a device: read from object files."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qspinn_optuna.export import tools
from qspinn_optuna.export.elf import read_object
from qspinn_optuna.export.program import Program

CORTEX_M3 = ("-mcpu=cortex-m3", "-mthumb", "-Os")
FAST_CORTEX_M3 = (*CORTEX_M3[:-1], "-O2")
_SECONDS = 120.0
_FLAGS = ("-std=c99", "-ffunction-sections", "-fdata-sections", "-fstack-usage")
_TESTING = "observe"
"""A function that only tests call: a program that does not is linked without it."""


@dataclass(frozen=True)
class Sizes:
    """Bytes of a model's C, from one compiler.

    Example:
        >>> export_c(model, folder / "net").sizes("arm-none-eabi-gcc").constants  # doctest: +SKIP

    Args:
        compiler: The compiler and its flags.
        functions: Code of each function.
        code: Code in all, with what lies between functions.
        constants: Constants in all.
        arrays: Constants of each array.
        state: The state in all, with what lies between its members.
        members: Each member of the state.
        variables: Variables besides the state: none are expected.
        stack: Stack of all functions together, at most: none calls itself. None if the compiler does not tell.
    """

    compiler: str
    functions: dict[str, int]
    code: int
    constants: int
    arrays: dict[str, int]
    state: int
    members: dict[str, int]
    variables: int
    stack: int | None


def measure(
    folder: Path, program: Program, prefix: str, compiler: str = tools.ARM_COMPILER, flags: Sequence[str] = CORTEX_M3
) -> Sizes:
    """Compile the C of a folder for a device, and read the sizes.

    Raises:
        ToolError: If the compiler is missing or fails.
        ValueError: If it does not write ELF files.
    """
    path = tools.find([compiler], "give another compiler, or install gcc-arm-none-eabi")
    with tempfile.TemporaryDirectory() as name:
        build = Path(name)
        model, probe = build / "model.o", build / "probe.o"
        (build / "probe.c").write_text(_probe(program, prefix), encoding="utf-8")
        for source, target in ((folder.resolve() / "model.c", model), (build / "probe.c", probe)):
            tools.run([path, *_FLAGS, *flags, f"-I{folder.resolve()}", "-c", source, "-o", target], build, _SECONDS)
        compiled, probed = read_object(model), read_object(probe)
        usage = build / "model.su"
        stack = _stack(usage.read_text(encoding="utf-8")) if usage.exists() else None
    arrays = {array.name: f"{prefix}_{array.name}" for array in program.arrays}
    functions = {symbol: size for symbol, size in compiled.symbols.items() if symbol not in arrays.values() and size}
    return Sizes(
        compiler=" ".join([Path(path).name, *flags]),
        functions=functions,
        code=compiled.code,
        constants=compiled.constants,
        # A small array may become part of the code.
        arrays={name: compiled.symbols.get(symbol, 0) for name, symbol in arrays.items()},
        state=probed.symbols["probe_state"],
        members={member.name: probed.symbols[f"probe_{member.name}"] for member in program.members},
        variables=compiled.variables,
        stack=stack,
    )


def _probe(program: Program, prefix: str) -> str:
    """C whose objects are as large as the state and each of its members."""
    lines = ['#include "model.h"', f"char probe_state[sizeof({prefix}_state)];"]
    lines += [f"char probe_{member.name}[sizeof((({prefix}_state *)0)->{member.name})];" for member in program.members]
    return "\n".join([*lines, ""])


def _stack(usage: str) -> int:
    """The frames of all functions but that of tests: lines are ``file:line:column:function<tab>bytes<tab>kind``."""
    frames = re.findall(r":(\w+)[^\t\n]*\t(\d+)\t", usage)
    return sum(int(size) for function, size in frames if not function.endswith(f"_{_TESTING}"))
