"""An integer model as a folder of C99."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.export import emulation, sizes, tools, verification
from qspinn_optuna.export.accuracy import Accuracy
from qspinn_optuna.export.classification import classify
from qspinn_optuna.export.emulation import Core, Emulation
from qspinn_optuna.export.folder import REPORT, check_folder, write_export
from qspinn_optuna.export.kinds import program_of
from qspinn_optuna.export.packing import c_unsigned
from qspinn_optuna.export.pieces import pieces_for
from qspinn_optuna.export.program import Program
from qspinn_optuna.export.report import report_of
from qspinn_optuna.export.sizes import CORTEX_M3, FAST_CORTEX_M3, Sizes
from qspinn_optuna.export.templates import check_prefix, fill, text_of, with_prefix
from qspinn_optuna.export.vectors import check_samples, inputs_of, random_samples, vectors_h
from qspinn_optuna.export.verification import Verification
from qspinn_optuna.integer import IntegerModel, Metrics, measure

_AS_THEY_ARE = ("main.c", "port.h", "host.c", "cortex_m.c", "cortex_m.ld", "Makefile")


Measured = TypeVar("Measured")


@dataclass(frozen=True, eq=False)
class Export:
    """A folder that holds a model as C.

    Example:
        >>> export = export_c(model, folder / "net")
        >>> "model.h" in {path.name for path in export.folder.iterdir()}
        True

    Args:
        folder: The folder.
        model: The model.
        prefix: What the names in C begin with.
        samples: Those of ``vectors.h``, as the program takes them; random ones if not given.
    """

    folder: Path
    model: IntegerModel
    prefix: str
    samples: NDArray[np.integer] | None = None

    @cached_property
    def program(self) -> Program:
        """The parts of the C, and what they must compute."""
        return program_of(self.model)

    def verify(
        self,
        samples: NDArray[np.integer],
        first_sample: int | None = None,
        *,
        compiler: str | None = None,
        flags: Sequence[str] = verification.FLAGS,
    ) -> Verification:
        """Compile the folder's C on this machine and compare it with the interpreter, at every step.

        Args:
            samples: Samples, [samples, values].
            first_sample: Number of the first, which keys the draws; that of the model's test set if not given.
            compiler: The compiler; that of the variable CC, or cc, gcc or clang, if not given.
            flags: Its flags.

        Returns:
            What was compared and found equal.

        Raises:
            ToolError: If there is no compiler, or it or the program fails.
            DifferenceError: If a spike, a membrane or a class differs; names the first.
            TypeError: If ``samples`` are of another type than the model's input.
            ValueError: If they are of another shape.
        """
        first = self.model.first_sample if first_sample is None else first_sample
        checked = check_samples(self.program, samples)
        return verification.verify(
            self.folder, self.program, self.prefix, checked, first, compiler=compiler, flags=flags
        )

    def classify(
        self, samples: NDArray[np.integer], first_sample: int | None = None, *, compiler: str | None = None
    ) -> NDArray[np.uint8]:
        """Compile the folder's C on this machine, and let it classify; arguments and errors as in :meth:`verify`.

        Returns:
            A class for each sample, uint8 [samples].
        """
        first = self.model.first_sample if first_sample is None else first_sample
        return classify(self.folder, self.prefix, check_samples(self.program, samples), first, compiler)

    def sizes(self, compiler: str = tools.ARM_COMPILER, flags: Sequence[str] = CORTEX_M3) -> Sizes:
        """Compile the folder's C for a device, and read from the object files what it takes.

        Args:
            compiler: A compiler that writes ELF files.
            flags: Its flags: those of the processor, and how to optimize.

        Raises:
            ToolError: If the compiler is missing or fails.
            ValueError: If it does not write ELF files.
        """
        return sizes.measure(self.folder, self.program, self.prefix, compiler, flags)

    def emulate(self, core: Core = Core.M3, optimization: str = "-O2") -> Emulation:
        """Run the folder's test on a Cortex-M that QEMU emulates.

        Args:
            core: The processor.
            optimization: A flag of the compiler.

        Raises:
            ToolError: If make, the compiler or QEMU is missing or fails, or a vector is wrong.
        """
        return emulation.emulate(self.folder, core, optimization)

    @cached_property
    def metrics(self) -> Metrics:
        """NeuroBench's metrics on the samples of ``vectors.h``."""
        samples = random_samples(self.program) if self.samples is None else self.samples
        return measure(self.model, inputs_of(self.model, samples))

    @cached_property
    def on_cortex_m3(self) -> Sizes | str:
        """What the C takes on a Cortex-M3, or why it is not known."""
        return _or_reason(self.sizes)

    def report(self, accuracies: Sequence[Accuracy] = ()) -> str:
        """What the model takes on a Cortex-M3, as Markdown: as far as the tools that measure it are installed.

        Args:
            accuracies: Accuracies that are known.
        """
        fast, emulation = self._speed
        return report_of(
            self.model, self.program, self.on_cortex_m3, fast, self._unpacked, emulation, self.metrics, accuracies
        )

    def write_report(self, accuracies: Sequence[Accuracy] = ()) -> None:
        """Write REPORT.md again, with accuracies."""
        (self.folder / REPORT).write_text(self.report(accuracies), encoding="utf-8")

    @cached_property
    def _speed(self) -> tuple[Sizes | str, Emulation | str]:
        """What fast code takes, and how fast it is; or why that is not known."""
        return _or_reason(partial(self.sizes, flags=FAST_CORTEX_M3)), _or_reason(self.emulate)

    @cached_property
    def _unpacked(self) -> Sizes | str | None:
        """What the code of a computer takes, if there is any: on a Cortex-M3, to compare."""
        if not self.program.unpacks:
            return None
        macro = f"-D{self.prefix.upper()}_UNPACKED"
        return _or_reason(partial(self.sizes, flags=(*FAST_CORTEX_M3, macro)))


def export_c(
    model: IntegerModel,
    folder: str | Path,
    prefix: str = "snn",
    *,
    samples: NDArray[np.integer] | None = None,
    overwrite: bool = False,
) -> Export:
    """Write a model as C99 that needs integers alone: no floating point, no dynamic memory, no library.

    The folder holds ``model.h`` and ``model.c``, the network; ``vectors.h`` and ``main.c``, a test of it; ``Makefile``,
    which builds and runs the test on this machine and on emulated Cortex-M; ``model.json`` and arrays, the model as
    :meth:`~qspinn_optuna.integer.IntegerModel.load` reads it; and ``REPORT.md``, its memory to the byte.

    Example:
        >>> export = export_c(model, folder / "net", prefix="mine", samples=codes)
        >>> sorted(path.name for path in export.folder.glob("model.*"))
        ['model.c', 'model.h', 'model.json']
        >>> export.verify(codes).values  # spikes and membranes that are equal
        200

    Args:
        model: The model.
        folder: The folder: new, empty, or one that holds an export. Its parent exists.
        prefix: What all names in C begin with.
        samples: Samples for ``vectors.h``, [samples, values], numbered from the model's first; two random ones if not
            given.
        overwrite: Whether to replace an export. Other files of its folder stay as they are.

    Returns:
        The export.

    Raises:
        TypeError: If ``model`` is of a kind that no C is written for, or another argument is of another type.
        ValueError: If the folder may not be written to, ``prefix`` is no name of C, or the samples do not fit.
    """
    # By its own name, whatever leads to it.
    target = Path(folder).resolve()
    check_prefix(prefix)
    program = program_of(model)
    check_folder(target, overwrite)
    shown = random_samples(program) if samples is None else check_samples(program, samples)
    write_export(target, model, sources_of(program, model, prefix, shown))
    export = Export(target, model, prefix, shown)
    (target / REPORT).write_text(export.report(), encoding="utf-8")
    return export


def _or_reason(measure: Callable[[], Measured]) -> Measured | str:
    """What is measured, or why it cannot be."""
    try:
        return measure()
    except tools.ToolError as error:
        return str(error)


def sources_of(program: Program, model: IntegerModel, prefix: str, samples: NDArray[np.integer]) -> dict[str, str]:
    """The files of an export by their names, without those of the model and the report."""
    title = {"title": f"A spiking neural network in integers, {prefix}."}
    first = model.first_sample
    texts = {
        "model.h": fill(
            "model.h",
            {
                **title,
                "summary": program.summary,
                "inputs": program.inputs,
                "stride": program.stride,
                "steps": program.steps,
                "classes": program.classes,
                "first_sample": c_unsigned(first),
                "input_type": program.input_type,
                "declarations": program.declarations,
            },
        ),
        "model.c": fill(
            "model.c",
            {
                **title,
                "pieces": pieces_for(program.source),
                "network": program.source,
            },
        ),
        "vectors.h": vectors_h(program, samples, first),
        **{name: text_of(name) for name in _AS_THEY_ARE},
    }
    return {name: with_prefix(text, prefix) for name, text in texts.items()}
