"""C for graphs of operations: convolutions, linear layers, pools, neurons and what lies between them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.export.graph import convolution, elementwise, linear, neurons, pool
from qspinn_optuna.export.graph.layout import Layout
from qspinn_optuna.export.graph.places import SIGNED, computing, words
from qspinn_optuna.export.graph.writer import Writer
from qspinn_optuna.export.packing import WORD
from qspinn_optuna.export.program import Member, Program, Trace
from qspinn_optuna.export.templates import fill
from qspinn_optuna.integer import INPUT, IntegerModel, Reduction, graph_runtime
from qspinn_optuna.integer.codes import narrowest_type
from qspinn_optuna.integer.operations import (
    Affine,
    Concatenation,
    Convolution,
    Delay,
    IntegrateAndFire,
    Linear,
    Offset,
    Permutation,
    Pool,
    Requantization,
    Scale,
    Sum,
)

_CALLS: dict[type, Callable[[Writer, Any], str]] = {
    Affine: elementwise.affine,
    Concatenation: elementwise.concatenation,
    Convolution: convolution.convolution,
    IntegrateAndFire: neurons.neurons,
    Linear: linear.linear,
    Offset: elementwise.offset,
    Permutation: elementwise.permutation,
    Pool: pool.pool,
    Requantization: elementwise.requantization,
    Scale: elementwise.scale,
    Sum: elementwise.sum_of,
}
"""What a step runs for an operation, by its kind: statements of C. What has the codes of another array needs none."""

_MOST_CLASSES = 256
_LOWER_HALF = 2**32 - 1


def program_of(model: IntegerModel) -> Program:
    """The C of a graph.

    Raises:
        ValueError: If it has more than 256 classes.
    """
    if model.classes > _MOST_CLASSES:
        raise ValueError(f"model must have at most {_MOST_CLASSES} classes, got {model.classes}.")
    layout = Layout(model)
    coding, graph = layout.coding, layout.schedule.graph
    writer = Writer(layout)
    source = _source(layout, writer)
    elements = graph.array(INPUT).elements
    fmt = graph.input_format
    return Program(
        summary=(
            f"{elements} inputs, {fmt}; {len(graph.operations)} operations a step, {coding.steps} steps; "
            f"{model.classes} classes."
        ),
        inputs=elements if coding.repeated else elements * coding.steps,
        stride=0 if coding.repeated else elements,
        input_type=layout.input_type,
        input_dtype=narrowest_type(fmt),
        input_range=(fmt.min_code, fmt.max_code),
        input_bits=0 if INPUT in layout.held else coding.state_bits,
        steps=coding.steps,
        classes=model.classes,
        declarations=fill("graph.h", {"members": "\n".join(_declarations(layout))}).rstrip(),
        source=source,
        arrays=tuple(writer.arrays.values()),
        inline_bits=writer.inline_bits,
        members=_members(layout),
        values=len(_observed(layout)),
        name_of_value=lambda value: _observed(layout)[value],
        traces=lambda samples, first: _traces(layout, samples, first),
    )


def _source(layout: Layout, writer: Writer) -> str:
    """model.c without what all kinds of networks share."""
    computed = [operation for operation in layout.schedule.order if not isinstance(operation, Delay)]
    step = [_CALLS[type(operation)](writer, operation) for operation in computed]
    delays = [elementwise.delay(writer, delay) for delay in layout.schedule.delays]
    readout = layout.schedule.readout
    place, kind = layout.place(readout.source), SIGNED[_scores_width(layout)]
    # A packed code is not as narrow as what it stands for.
    score = place.load(computing(_scores_width(layout)), "k")
    score = f"({kind})({f'state->scores[k] + {score}' if readout.reduction is Reduction.SUM else score})"
    if INPUT in layout.held:
        step.insert(0, _pack_input(layout))
    statements = [line for line in step if line]
    if not any(re.search(r"(?<!>)\binput\b", line) for line in [*statements, *delays, score]):
        statements.insert(0, "    (void)input;")
    return fill(
        "graph.c",
        {
            "arrays": "\n".join(array.definition() for array in writer.arrays.values()),
            "functions": "\n".join(writer.functions),
            "reset": "\n".join(_resets(layout)),
            "step": "\n".join(statements),
            "score": score,
            "delays": "\n".join(delays),
            "observed": "\n".join(_shows(layout)),
            "scores": "\n".join(_shown_scores(layout)),
        },
    )


def _pack_input(layout: Layout) -> str:
    held = layout.held[INPUT]
    return (
        f"    for (k = 0; k < {held.count}u; k++) {{\n"
        f"        snn_write({held.place.pointer}, k, 1u, input[k] != 0);\n    }}"
    )


def _resets(layout: Layout) -> list[str]:
    return [
        f"    snn_fill({held.place.pointer}, {held.count}u, {held.place.bits}u, {held.start - held.place.lowest}u);"
        for held in layout.held.values()
        if held.resets
    ]


def _neurons(layout: Layout) -> list[IntegrateAndFire]:
    return [operation for operation in layout.schedule.graph.operations if isinstance(operation, IntegrateAndFire)]


def _shown(layout: Layout) -> list[str]:
    """Names of the arrays that are observed."""
    return [
        name
        for neurons in _neurons(layout)
        for name in ([] if neurons.threshold is None else [neurons.name]) + [neurons.membrane_name]
    ]


def _shows(layout: Layout) -> list[str]:
    lines = []
    for name in _shown(layout):
        held = layout.held[name]
        codes = f"{held.count}u, {held.place.bits}u, {held.place.lowest}"
        lines.append(f"    snn_show({held.place.pointer}, {codes}, see, context);")
    return lines


def _shown_scores(layout: Layout) -> list[str]:
    """Scores by their lower 32 bits, and the upper if they have more."""
    lines = ["        see(context, (int32_t)state->scores[k]);"]
    if _scores_width(layout) > WORD:
        lines.append(f"        see(context, (int32_t)(state->scores[k] >> {WORD}));")
    return lines


def _scores_width(layout: Layout) -> int:
    return layout.schedule.readout.scores(layout.schedule.graph, layout.coding.steps).width


def _observed(layout: Layout) -> list[str]:
    """What each observed value is, in words."""
    names = [
        f"{'the spike' if name in {neurons.name for neurons in _neurons(layout)} else 'membrane'} {k} of {name!r}"
        for name in _shown(layout)
        for k in range(layout.elements(name))
    ]
    halves = ["", "the upper half of "] if _scores_width(layout) > WORD else [""]
    return names + [f"{half}the score of class {k}" for k in range(layout.model.classes) for half in halves]


def _declarations(layout: Layout) -> list[str]:
    lines = []
    for held in layout.held.values():
        lines.append(f"    /* {held.member.purpose}: {held.count} x {held.place.bits} bits. */")
        lines.append(f"    uint32_t {held.name}[{words(held.count * held.place.bits)}];")
    if layout.buffers:
        lines.append("    /* Arrays of a part of a step. Those that share memory are not needed at the same time. */")
    lines += [buffer.declaration() for buffer in layout.buffers]
    lines.append(f"    {SIGNED[_scores_width(layout)]} scores[SNN_CLASSES];")
    return lines


def _members(layout: Layout) -> tuple[Member, ...]:
    return (
        Member("sample", "number of the sample, which keys the draws", 0),
        Member("step", "number of the next step, which keys the draws", 0),
        *(held.member for held in layout.held.values()),
        *(
            Member(buffer.name, "in turn " + ", ".join(array.name for array in buffer.arrays), 0)
            for buffer in layout.buffers
        ),
        Member("scores", "scores of the classes", 0),
    )


def _traces(layout: Layout, samples: NDArray[np.integer], first: int) -> Iterator[Trace]:
    coding, readout, shape = layout.coding, layout.schedule.readout, layout.coding.shape
    inputs = samples.astype(np.int64).reshape(len(samples), *(() if coding.repeated else (coding.steps,)), *shape)
    numbers = first + np.arange(len(inputs))
    scores = np.zeros((len(inputs), layout.model.classes), np.int64)
    steps = []
    for values in graph_runtime.run(layout.schedule.graph, coding, inputs, numbers):
        score = values[readout.source]
        scores = scores + score if readout.reduction is Reduction.SUM else score
        shown = [values[name].reshape(len(inputs), -1) for name in _shown(layout)]
        halves = [scores & _LOWER_HALF] + ([scores >> WORD] if _scores_width(layout) > WORD else [])
        shown.append(np.stack(halves, axis=2).reshape(len(inputs), -1))
        steps.append(np.concatenate(shown, axis=1).astype(np.uint32).view(np.int32))
    traces, answers = np.stack(steps, axis=1), readout.classify(scores)
    for values, answer in zip(traces, answers, strict=True):
        yield Trace(values, int(answer))
