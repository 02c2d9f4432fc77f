"""Programs that an export may need: compilers, QEMU."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

HOST_COMPILERS = ("cc", "gcc", "clang")
ARM_COMPILER = "arm-none-eabi-gcc"
QEMU = "qemu-system-arm"
MAKE = "make"


class ToolError(RuntimeError):
    """A program that is not installed, or that failed: says which, and what it printed.

    Example:
        >>> issubclass(ToolError, Exception)
        True
    """


def host_compiler() -> str:
    """The compiler of this machine: that of the variable CC, or the first of cc, gcc and clang.

    Example:
        >>> compiler = host_compiler()

    Raises:
        ToolError: If there is none.
    """
    wanted = os.environ.get("CC", "").split()
    return find(wanted[:1] or HOST_COMPILERS, "install gcc or clang, or name a compiler in the variable CC")


def find(names: Iterable[str], advice: str) -> str:
    """The path of the first of some programs that is installed.

    Raises:
        ToolError: If none is.
    """
    tried = list(names)
    for name in tried:
        path = shutil.which(name)
        if path is not None:
            return path
    raise ToolError(f"{' or '.join(tried)} is needed and not installed: {advice}.")


def run(command: Sequence[str | Path], folder: Path, seconds: float) -> bytes:
    """What a program writes to its standard output.

    Raises:
        ToolError: If it fails, or takes too long.
    """
    words = [str(word) for word in command]
    line = " ".join(words)
    try:
        done = subprocess.run(words, cwd=folder, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"{line} did not end in {seconds:g} seconds.") from error
    if done.returncode != 0:
        said = (done.stderr + done.stdout[-2000:]).decode(errors="replace").strip()
        raise ToolError(f"{line} failed with status {done.returncode}: {said[-4000:]}")
    return done.stdout
