"""A graph of the sizes and widths of a convolutional network for N-MNIST, and frames of events as it takes them.

Weights are random, thresholds such that about as many neurons spike as in a trained network: some 2 of 100 in the first
layer, 3 in the second.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding
from qspinn_optuna.integer import (
    INPUT,
    Codes,
    Constant,
    Graph,
    IntegerModel,
    LargestScore,
    Reduction,
    ValueCoding,
)
from qspinn_optuna.integer.operations import (
    Convolution,
    IntegrateAndFire,
    Linear,
    Operation,
    Pool,
    PoolKind,
    Reshape,
)

SIDE, POLARITIES, CLASSES = 34, 2, 10
FILTERS = (16, 32)
WEIGHT = QFormat(1, 2)
THRESHOLDS = (2, 4)
SPIKES = QFormat(1, 0, signed=False)

_LIT = 0.09
"""Part of the pixels that have an event in a frame, in recordings of which 10 frames are made."""


def event_graph(steps: int) -> IntegerModel:
    """Weights of 4 bits, membranes of 2 with a decay of 1/2, input spikes."""
    generator = np.random.default_rng(0)
    membrane = ParameterQuantization(QFormat(0, 1), Rounding.NEAREST)
    constants, operations = [], list[Operation]()
    x, channels, side = INPUT, POLARITIES, SIDE
    for k, (filters, threshold) in enumerate(zip(FILTERS, THRESHOLDS, strict=True), start=1):
        constants += [
            _weights(generator, f"conv{k}.weight", (filters, channels, 3, 3)),
            Constant(f"lif{k}.v_threshold", Codes(np.array([threshold]), QFormat(4, 0, signed=False))),
            Constant(f"lif{k}.decay", Codes(np.array([1]), QFormat(0, 1, signed=False))),
        ]
        neurons = (f"lif{k}.v_threshold", f"lif{k}.decay", False, 0, 0, k, f"lif{k}.v")
        operations += [
            Convolution(f"conv{k}", (x,), f"conv{k}.weight", None, (1, 1), (1, 1), (1, 1), 1),
            IntegrateAndFire(f"lif{k}", (f"conv{k}",), membrane, *neurons),
            Pool(f"pool{k}", (f"lif{k}",), PoolKind.MAX, (2, 2), (2, 2), (0, 0), (side // 2, side // 2)),
        ]
        x, channels, side = f"pool{k}", filters, side // 2
    inputs = channels * side**2
    constants.append(_weights(generator, "readout.weight", (CLASSES, inputs)))
    operations += [Reshape("flatten", (x,), (inputs,)), Linear("readout", ("flatten",), "readout.weight", None)]
    shape = (POLARITIES, SIDE, SIDE)
    coding = ValueCoding(shape, ParameterQuantization(SPIKES, Rounding.NEAREST), steps, False, False, 0)
    graph = Graph(shape, SPIKES, tuple(constants), tuple(operations))
    return IntegerModel(coding, graph, LargestScore("readout", Reduction.SUM), seed=0, first_sample=0)


def event_frames(count: int, steps: int, seed: int = 0) -> NDArray[np.uint8]:
    """Frames with events around a ring that moves, [samples, steps, polarities, side, side]."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    center = SIDE / 2 + 3 * np.sin(2 * np.pi * (np.arange(steps) / steps + generator.random((count, 1))))
    distance = np.hypot(y - SIDE / 2, x - center[..., None, None])
    chance = np.exp(-(((distance - generator.uniform(5, 10, (count, 1, 1, 1))) / 3) ** 2))
    chance *= _LIT / chance.mean()
    lit: NDArray[np.bool_] = generator.random((count, steps, POLARITIES, SIDE, SIDE)) < chance[:, :, None]
    return lit.astype(np.uint8)


def _weights(generator: np.random.Generator, name: str, shape: tuple[int, ...]) -> Constant:
    codes = np.round(generator.normal(0, 2.4, shape)).astype(np.int64)
    return Constant(name, Codes(np.clip(codes, WEIGHT.min_code, WEIGHT.max_code), WEIGHT))
