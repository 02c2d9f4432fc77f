"""Samples with what they must give, for the test that goes with the C."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.export.packing import c_unsigned
from qspinn_optuna.export.program import Program
from qspinn_optuna.export.templates import fill
from qspinn_optuna.integer import IntegerModel, RateCoding

HASH_FACTOR = 0x9E3779B1
"""Odd, so that no difference of a single value is lost."""

DEFAULT_SAMPLES = 2
"""Random samples, where none are given."""

_NUMBERS_A_LINE = 28


def hash_of(values: NDArray[np.int32]) -> int:
    """``hash * HASH_FACTOR + value`` over all values, in 32 bits, from 0."""
    words = values.ravel().view(np.uint32)
    powers = np.full(len(words), HASH_FACTOR, np.uint32)
    powers[:1] = 1
    return int((words * np.cumprod(powers, dtype=np.uint32)[::-1]).sum(dtype=np.uint32))


def random_samples(program: Program) -> NDArray[np.integer]:
    """Samples of which half the values are 0 and the others any, the same every time."""
    generator = np.random.default_rng(0)
    shape = (DEFAULT_SAMPLES, program.inputs)
    values = generator.integers(*program.input_range, shape, program.input_dtype, endpoint=True)
    return values * (generator.random(shape) < 0.5).astype(program.input_dtype)


def check_samples(program: Program, samples: object) -> NDArray[np.integer]:
    """Samples as the program takes them, [samples, inputs].

    Raises:
        TypeError: If they are no array of integers.
        ValueError: If their shape is another, there are none, or a value is outside the program's range.
    """
    if not isinstance(samples, np.ndarray) or samples.dtype.kind not in "iu":
        raise TypeError(
            f"samples must be an array of integers, got {getattr(samples, 'dtype', type(samples).__name__)}."
        )
    if samples.ndim < 2 or samples.shape[0] == 0 or samples[0].size != program.inputs:
        raise ValueError(f"samples must be [samples, {program.inputs} values], got {samples.shape}.")
    low, high = program.input_range
    if samples.min() < low or samples.max() > high:
        raise ValueError(f"samples must be {low} to {high}, got {samples.min()} to {samples.max()}.")
    return np.ascontiguousarray(samples.reshape(len(samples), -1), program.input_dtype)


def inputs_of(model: IntegerModel, samples: NDArray[np.integer]) -> NDArray[np.integer]:
    """Samples of a program, [samples, values], as the interpreter takes them."""
    coding = model.coding
    if isinstance(coding, RateCoding):
        return samples
    shape = coding.shape if coding.repeated else (coding.steps, *coding.shape)
    return samples.reshape(len(samples), *shape)


def vectors_h(program: Program, samples: NDArray[np.integer], first: int) -> str:
    """The file, of samples from a number on."""
    traces = list(program.traces(samples, first))
    return fill(
        "vectors.h",
        {
            "vectors": len(samples),
            "first_sample": c_unsigned(first),
            "factor": HASH_FACTOR,
            "answers": ", ".join(str(trace.answer) for trace in traces),
            "hashes": _lines(
                [
                    f"0x{hash_of(_hashed(number, sample, trace.values)):08X}u"
                    for number, (sample, trace) in enumerate(zip(samples, traces, strict=True), first)
                ],
                8,
            ),
            "inputs": ",\n    ".join(
                "{\n    " + _lines([str(value) for value in sample], _NUMBERS_A_LINE) + "}"
                for sample in samples.tolist()
            ),
        },
    )


def _hashed(number: int, sample: NDArray[np.integer], values: NDArray[np.int32]) -> NDArray[np.int32]:
    """What the test hashes: the number of a sample, its values, then every spike and membrane."""
    key = np.array([number >> 32, number & 0xFFFFFFFF], np.uint32).view(np.int32)
    return np.concatenate([key, sample.astype(np.int32), values.ravel()])


def _lines(numbers: list[str], a_line: int) -> str:
    lines = [", ".join(numbers[k : k + a_line]) for k in range(0, len(numbers), a_line)]
    return ",\n    ".join(lines)
