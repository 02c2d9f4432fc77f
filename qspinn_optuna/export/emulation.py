"""The test of an export on an emulated Cortex-M."""

from __future__ import annotations

import enum
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from qspinn_optuna.export import tools
from qspinn_optuna.export.folder import SOURCES

_SECONDS = 600.0
_VECTOR = re.compile(
    r"^vector (\d+) class (\d+) expected (\d+) hash (\w+) expected (\w+) ticks (\d+) OK$", re.MULTILINE
)


class Core(enum.Enum):
    """Processors of which QEMU has a board, and the nanoseconds of a tick of its clock.

    Example:
        >>> [core.value for core in Core]
        [('m0', 62.5), ('m3', 40.0), ('m4', 40.0), ('m7', 40.0)]
    """

    M0 = ("m0", 62.5)
    M3 = ("m3", 40.0)
    M4 = ("m4", 40.0)
    M7 = ("m7", 40.0)

    def __init__(self, word: str, nanoseconds: float) -> None:
        self.word = word
        self.nanoseconds = nanoseconds


@dataclass(frozen=True)
class Emulation:
    """A run in which every vector had its class and its hash.

    Example:
        >>> Emulation(Core.M3, instructions=(1_000, 3_000)).instructions
        (1000, 3000)

    Args:
        core: The processor.
        instructions: Instructions of each vector, from a reset to the class, to within some tens; none for one that
            took longer than the clock counts.
    """

    core: Core
    instructions: tuple[int, ...]

    @property
    def mean(self) -> float | None:
        """Mean of those that were counted."""
        return sum(self.instructions) / len(self.instructions) if self.instructions else None


def emulate(folder: Path, core: Core = Core.M3, optimization: str = "-O2") -> Emulation:
    """Build the test of a folder for a core, apart from the folder, and run it.

    Raises:
        ToolError: If make, arm-none-eabi-gcc or qemu-system-arm is missing or fails, or a vector is wrong.
    """
    missing = "install make, gcc-arm-none-eabi, libnewlib-arm-none-eabi and qemu-system-arm"
    make = tools.find([tools.MAKE], missing)
    for tool in (tools.ARM_COMPILER, tools.QEMU):
        tools.find([tool], missing)
    with tempfile.TemporaryDirectory() as name:
        build = Path(name)
        for source in SOURCES:
            shutil.copy(folder / source, build / source)
        said = tools.run(
            ["sh", "-c", f"'{make}' -s cortex-m-test CORE={core.word} OPT={optimization} 2>&1"], build, _SECONDS
        ).decode()
    ticks = [int(vector[5]) for vector in _VECTOR.findall(said)]
    # An instruction takes a nanosecond; a tick of 0 is a time that was too long.
    return Emulation(core, tuple(round(count * core.nanoseconds) for count in ticks if count))
