"""REPORT.md: what a model takes on a device, to the byte, beside its footprint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from qspinn_optuna.export.accuracy import Accuracy
from qspinn_optuna.export.emulation import Emulation
from qspinn_optuna.export.program import Program
from qspinn_optuna.export.sizes import Sizes
from qspinn_optuna.integer import IntegerModel, Metrics

Row = Sequence[object]


def report_of(
    model: IntegerModel,
    program: Program,
    sizes: Sizes | str,
    fast: Sizes | str,
    unpacked: Sizes | str | None,
    emulation: Emulation | str,
    metrics: Metrics,
    accuracies: Sequence[Accuracy] = (),
) -> str:
    """The report as Markdown.

    Args:
        model: The model.
        program: Its C.
        sizes: What a compiler says that makes code small, or why there is none.
        fast: What it says of the code whose instructions are counted.
        unpacked: What it says of the code of a computer, if the network has such code.
        emulation: What an emulated run says, or why there is none.
        metrics: What was counted of the model on samples.
        accuracies: Accuracies that are known.
    """
    summary = program.summary.replace("\n *", "")
    sections = [
        f"# A spiking neural network in C\n\n{summary}\n\n"
        "The footprint is what the search counts: the bits of codes. The device stores them in whole words, and needs "
        "more than that: all of it is here.",
        *(
            [_without(program, sizes)]
            if isinstance(sizes, str)
            else [_flash(model, program, sizes), _ram(model, program, sizes)]
        ),
        *([_computer(unpacked)] if isinstance(unpacked, Sizes) else []),
        _time(program, fast, emulation),
        _activity(metrics),
        *([_accuracy(accuracies)] if accuracies else []),
    ]
    return "\n\n".join(sections) + "\n"


def _flash(model: IntegerModel, program: Program, sizes: Sizes) -> str:
    rows: list[Row] = [
        (f"`{array.name}`", array.comment, _bytes(array.bits), sizes.arrays[array.name]) for array in program.arrays
    ]
    if program.inline_bits:
        rows.append(("in the code", "constants that all neurons share", _bytes(program.inline_bits), 0))
    between = sizes.constants - sum(sizes.arrays.values())
    if between:
        rows.append(("other", "what the compiler adds", "", between))
    rows.append(("**constants**", "", _bytes(model.constant_bits), f"**{sizes.constants}**"))
    rows += [(f"`{name}`", "code", "", size) for name, size in sorted(sizes.functions.items())]
    between = sizes.code - sum(sizes.functions.values())
    if between:
        rows.append(("between functions", "", "", between))
    rows.append(("**code**", "", "", f"**{sizes.code}**"))
    rows.append(("**flash**", "", _bytes(model.constant_bits), f"**{sizes.constants + sizes.code}**"))
    title = f"## Flash, in bytes\n\nCompiled with `{sizes.compiler}`.\n\n"
    return title + _table(("What", "Holds", "Footprint", "Device"), rows)


def _ram(model: IntegerModel, program: Program, sizes: Sizes) -> str:
    rows: list[Row] = [
        (f"`{member.name}`", member.purpose, _bytes(member.bits) if member.bits else "", sizes.members[member.name])
        for member in program.members
    ]
    between = sizes.state - sum(sizes.members.values())
    if between:
        rows.append(("between members", "", "", between))
    rows.append(("**one state**", "", _bytes(model.state_bits), f"**{sizes.state}**"))
    if sizes.variables:
        rows.append(("other variables", "", "", sizes.variables))
    if program.input_bits:
        size = program.inputs * program.input_dtype(0).itemsize
        rows.append(("input", "codes of a sample, where the caller has it", _bytes(program.input_bits), size))
    stack = "not told by the compiler" if sizes.stack is None else f"at most {sizes.stack}"
    rows.append(("stack", "accumulators and buffers of a step, all functions together", "", stack))
    counted = sum(sizes.members[member.name] for member in program.members if member.bits)
    note = f"\n\nOf the state, what the footprint counts takes {counted} bytes."
    return "## RAM, in bytes\n\n" + _table(("What", "Holds", "Footprint", "Device"), rows) + note


def _computer(unpacked: Sizes) -> str:
    stack = "" if unpacked.stack is None else f", and at most {unpacked.stack:,} of stack"
    return (
        "## On a computer\n\nAll of the above is for a device. "
        f"Compiled as `{unpacked.compiler}`, which suits a computer and not a device, the same network takes "
        f"{unpacked.variables:,} bytes of RAM besides the state, for unpacked constants{stack}. "
        f"Code: {unpacked.code:,} bytes."
    )


def _without(program: Program, reason: str) -> str:
    """What is known without a compiler for a device."""
    rows = [(f"`{array.name}`", array.comment, _bytes(array.bits), array.bytes) for array in program.arrays]
    return (
        "## Flash, in bytes\n\n" + _table(("What", "Holds", "Footprint", "Device"), rows) + "\n\n"
        f"Code and RAM were not measured: {reason}"
    )


def _time(program: Program, fast: Sizes | str, emulation: Emulation | str) -> str:
    title = "## Time\n\n"
    if isinstance(emulation, str):
        return f"{title}Instructions were not counted: {emulation}"
    if emulation.mean is None:
        return f"{title}No vector was short enough to count its instructions."
    code = "" if isinstance(fast, str) else f" (code: {fast.code} bytes)"
    return (
        f"{title}Instructions on an emulated Cortex-{emulation.core.name}, compiled with `-O2`{code}, over "
        f"{len(emulation.instructions)} vectors of `vectors.h`: {emulation.mean:,.0f} a sample, "
        f"{emulation.mean / program.steps:,.0f} a step."
    )


def _activity(metrics: Metrics) -> str:
    """The metrics of NeuroBench but for accuracy."""
    whole = [
        ("footprint, bytes, every width as it is", f"{metrics.footprint:,.10g}"),
        ("connection sparsity", f"{metrics.connection_sparsity:.5f}"),
        ("activation sparsity", f"{metrics.activation_sparsity:.5f}"),
        ("synaptic operations a sample, dense", f"{metrics.dense:,}"),
        ("effective multiply-accumulates a sample", f"{metrics.effective_macs:,.1f}"),
        ("effective accumulates a sample", f"{metrics.effective_acs:,.1f}"),
    ]
    synapses = [
        (f"`{one.name}`", "AC" if one.accumulates else "MAC", f"{one.weights:,}", f"{one.zeros:,}", f"{one.dense:,}",
         f"{one.effective:,.1f}")
        for one in metrics.synapses
    ]  # fmt: skip
    neurons = [
        (f"`{one.name}`", "spikes", f"{one.neurons:,}", f"{one.spikes:,.1f}", f"{one.rate:.5f}", f"{one.sparsity:.5f}")
        for one in metrics.activities
    ]
    tables = [_table(("Metric", "Value"), whole)]
    if synapses:
        head = ("Synapses", "Operation", "Weights", "Of them 0", "Dense a sample", "Effective a sample")
        tables.append(_table(head, synapses))
    if neurons:
        head = ("Neurons", "Put out", "Number", "Spikes a sample", "Spikes a neuron and step", "Activation sparsity")
        tables.append(_table(head, neurons))
    return "\n\n".join(
        [
            "## Activity",
            "The metrics of NeuroBench (Yik et al., Nature Communications 16, 1545, 2025), counted by the interpreter "
            f"over {metrics.samples} samples of `vectors.h`.",
            *tables,
        ]
    )


def _accuracy(accuracies: Sequence[Accuracy]) -> str:
    rows = [(one.of, one.samples, f"{one.share:.2%}") for one in accuracies]
    return "## Accuracy\n\n" + _table(("Of", "Samples", "Accuracy"), rows)


def _bytes(bits: int) -> str:
    return f"{bits / 8:g}" if bits / 8 < 10**5 else f"{bits / 8:.3f}"


def _table(head: Sequence[str], rows: Iterable[Row]) -> str:
    texts = 1 if len(head) == 2 else 2
    lines = [head, ["---"] * texts + ["---:"] * (len(head) - texts), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
