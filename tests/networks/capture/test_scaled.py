"""Layers with scales: torch, integers and compiled C are the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from spikingjelly.activation_based import layer, neuron
from torch import nn

from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.export import tools
from qspinn_optuna.fixed_point import GridKind, ParameterQuantization, QFormat, Rounding
from qspinn_optuna.integer import IntegerModel, encode
from qspinn_optuna.integer.operations import Affine
from qspinn_optuna.networks import calibrate, scale_channels
from qspinn_optuna.networks.modules.channel_scale import ChannelScale
from qspinn_optuna.parameters import Family
from tests.export.test_graphs import write
from tests.networks.capture import networks
from tests.networks.capture.comparison import captured, coding_of, compare, graph_of, steps_first
from tests.networks.capture.networks import CLASSES, STEPS, counts, scaled

FRAMES = (STEPS, 1, 2, 5, 3)
BITS = QFormat(3, 0, signed=False)

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, tools.HOST_COMPILERS)), reason="no C compiler: cc, gcc or clang is needed"
)


def conv_network() -> nn.Module:
    return networks.MeanOverTime(
        layer.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(1, 1)),
        neuron.IFNode(),
        layer.MaxPool2d(2, stride=1, padding=1),
        layer.Conv2d(3, 3, 1, bias=False),
        neuron.LIFNode(decay_input=False, v_reset=None),
        layer.Flatten(),
        layer.Linear(60, CLASSES, bias=False),
    )


def conv1d_network() -> nn.Module:
    return networks.MultiStep(
        layer.Conv1d(2, 3, 3, stride=2, padding=1),
        neuron.LIFNode(tau=4.0),
        layer.Flatten(),
        layer.Linear(12, CLASSES),
    )


def made(
    network: nn.Module, shape: tuple[int, ...], kind: ChannelScale, bits: int, rounding: Rounding, grid: GridKind
) -> tuple[IntegerModel, nn.Module, QuantizationConfig]:
    with_scales = scale_channels(network, counts(*shape), kind)
    specs = calibrate(with_scales, [counts(*shape)], weight_grids=(grid,))
    widths = {Family.WEIGHT: bits, Family.SCALE: 4}
    parameters = {
        spec.name: ParameterQuantization(spec.format(min(widths.get(spec.family, 6), spec.max_bits)), rounding)
        for spec in specs
    }
    config = QuantizationConfig(Scheme.PTQ, parameters)
    model, frozen = captured(with_scales, config, counts(*shape), seed=5, input_format=BITS)
    return model, frozen, config


@needs_compiler
@pytest.mark.parametrize("kind", list(ChannelScale))
@pytest.mark.parametrize(
    ("make", "shape", "bits", "grid", "rounding"),
    [
        (conv_network, FRAMES, 1, GridKind.MID_RISE, Rounding.NEAREST),
        (conv_network, FRAMES, 3, GridKind.MID_TREAD, Rounding.TRUNCATION),
        (conv1d_network, (STEPS, 1, 2, 8), 2, GridKind.MID_RISE, Rounding.STOCHASTIC),
    ],
)
def test_model_and_c_are_the_network(
    make: type[nn.Module],
    shape: tuple[int, ...],
    bits: int,
    grid: GridKind,
    rounding: Rounding,
    kind: ChannelScale,
    tmp_path: Path,
) -> None:
    model, frozen, config = made(scaled(make(), 1), shape, kind, bits, rounding, grid)
    values = []
    for number in range(3):
        x = counts(*shape, seed=number + 10, high=[1, 3, 7][number])
        compare(model, frozen, x, steps_first(x), number=number)
        values.append(steps_first(x).reshape(1, *coding_of(model).shape, -1).reshape(1, STEPS, *coding_of(model).shape))
    steps = [one for one in graph_of(model).operations if isinstance(one, Affine)]
    assert steps
    assert all(one.shifts is (kind is ChannelScale.POWER_OF_TWO) for one in steps)
    stored = {constant.name: constant.codes for constant in graph_of(model).constants}
    for name, codes in stored.items():
        assert codes.format == config[name].format
    assert stored[next(name for name in stored if name.endswith(".weight"))].format.bits == bits
    samples = encode(coding_of(model), np.concatenate(values))
    write(model, tmp_path / "c", samples).verify(samples)
