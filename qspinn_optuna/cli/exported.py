"""What is told of an export: its sizes, whether it is right, and how accurate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import optuna
from numpy.typing import NDArray

from qspinn_optuna.cli.errors import CommandError
from qspinn_optuna.export import Accuracy, Export, Sizes, ToolError, host_compiler
from qspinn_optuna.parameters import format_kib
from qspinn_optuna.study import TrialRecord, accuracies_on_test
from qspinn_optuna.targets import Target
from qspinn_optuna.workloads import IntegerSamples, Split

_KIB = 1024


def sizes_in_words(export: Export) -> str:
    """Flash and RAM to the byte, beside the footprint."""
    model, sizes = export.model, export.on_cortex_m3
    flash, ram = (f"{bits / 8:,.10g} B" for bits in (model.constant_bits, model.state_bits))
    if not isinstance(sizes, Sizes):
        return f"footprint: flash {flash}, RAM {ram}; not compiled for a device: {sizes}"
    buffers = sizes.state - _counted(export, sizes) + sizes.variables
    stack = "a stack that the compiler does not tell" if sizes.stack is None else f"at most {sizes.stack:,} B of stack"
    return (
        f"flash {_flash(sizes):,} B: constants {sizes.constants:,} B (footprint {flash}), code {sizes.code:,} B\n"
        f"RAM   {sizes.state + sizes.variables + (sizes.stack or 0):,} B: state {_counted(export, sizes):,} B "
        f"(footprint {ram}), buffers {buffers:,} B, {stack}\n"
        f"      compiled with {sizes.compiler}"
    )


def compare(export: Export, samples: NDArray[np.integer]) -> bool:
    """Compare the C with the integers, and tell it; whether there was a compiler.

    Raises:
        DifferenceError: If they differ.
        ToolError: If the compiler or the program fails.
    """
    try:
        compiler = host_compiler()
    except ToolError as error:
        print(f"C and integers were not compared: {error}")
        return False
    done = export.verify(samples, compiler=compiler)
    print(
        f"C equals the integers: {done.values:,} spikes and membranes, all of {done.samples} samples, compiled with "
        f"{done.compiler}"
    )
    return True


def accuracies_of(
    study: optuna.Study,
    record: TrialRecord,
    export: Export,
    samples: IntegerSamples,
    classes: Sequence[int],
    compiled: bool,
) -> tuple[list[Accuracy], str]:
    """Accuracies of the study, the integers and the C, and a remark if two of them should be equal and are not.

    Args:
        study: The study.
        record: The trial.
        export: The export.
        samples: Samples of which the integers and the C are measured.
        classes: What the integers take them for.
        compiled: Whether there is a compiler for the C.
    """
    counts = record.counts
    held_out = "held-out samples" if counts is None else f"{counts.seen:,} held-out samples"
    known = {Split.VALIDATION: record.accuracy}
    accuracies = [Accuracy("study", record.accuracy, held_out)]
    tested = accuracies_on_test(study).get(record.number)
    if tested is not None:
        known[Split.TEST] = tested
        accuracies.append(Accuracy("study", tested, "the test set"))
    if samples.labels.ndim != 1:
        return accuracies, ""
    right = np.array(classes) == samples.labels
    integers = float(right.mean())
    accuracies.append(Accuracy("integers", integers, str(samples)))
    if compiled:
        found = export.classify(samples.inputs)
        accuracies.append(Accuracy("C", float((found == samples.labels).mean()), str(samples)))
    before = known.get(samples.split)
    if samples.is_whole and before is not None and round(before * len(samples)) != right.sum():
        return accuracies, (
            f"The integers have {integers:.2%} of {samples}, and the study {before:.2%}: it counts in another way, or "
            "the network is another one."
        )
    return accuracies, ""


def check_compiled(export: Export, target: Target | None) -> None:
    """Refuse a program that is too large for the device, with its code, buffers and stack.

    Raises:
        CommandError: If it is.
    """
    sizes = export.on_cortex_m3
    if target is None:
        return
    if not isinstance(sizes, Sizes):
        print(f"Whether code and buffers fit {target.name} is not known: they were not compiled")
        return
    flash_kib, ram_kib = _flash(sizes) / _KIB, (sizes.state + sizes.variables + (sizes.stack or 0)) / _KIB
    needs = (
        f"{target.name}: with code, buffers and stack, as compiled for a Cortex-M3, flash {format_kib(flash_kib)} of "
        f"{target.flash_kib:g} KiB, RAM {format_kib(ram_kib)} of {target.ram_kib:g} KiB"
    )
    if not target.fit(flash_kib, ram_kib).fits:
        raise CommandError(f"the files are written, but the program does not fit {needs}")
    print(f"Fits {needs}")


def _flash(sizes: Sizes) -> int:
    return sizes.constants + sizes.code


def _counted(export: Export, sizes: Sizes) -> int:
    """Bytes of the state that the footprint counts."""
    return sum(sizes.members[member.name] for member in export.program.members if member.bits)
