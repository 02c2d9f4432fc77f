"""The numbers that the pages work by hand are what the package computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from qspinn_optuna import Deployment, Footprint, QFormat, Rounding, quantize
from qspinn_optuna.fixed_point import ParameterQuantization
from qspinn_optuna.fixed_point.draws import draws, layer_key, purpose_of, streams_of_layer
from qspinn_optuna.fixed_point.integer_rounding import ROUNDING_NUMBERS, CodeRounding, round_code
from qspinn_optuna.integer import (
    Codes,
    Constant,
    Graph,
    GraphResponses,
    IntegerModel,
    LargestScore,
    MeanResponse,
    RateCoding,
    Reduction,
    Responses,
    ValueCoding,
    WinnerTakeAll,
    linear_chances,
    respond,
)
from qspinn_optuna.integer.operations import Affine, IntegrateAndFire, Linear, Operation
from qspinn_optuna.workloads.stdp.mnist import mnist_settings
from qspinn_optuna.workloads.stdp.quantization import parameters
from tests.documentation.pages import PAGE

ARITHMETIC = PAGE["qspinn_optuna/fixed_point/README.md"]
DEVICE = PAGE["qspinn_optuna/integer/README.md"]
MEMORY = PAGE["qspinn_optuna/parameters.md"]

DETERMINISTIC = (Rounding.TRUNCATION, Rounding.NEAREST)
SPIKES = QFormat.parse("UQ1.0")


def codes(name: str, *values: int | list[int]) -> Codes:
    return Codes(np.array(values), QFormat.parse(name))


def integers(cell: str) -> list[int]:
    return [int(word) for word in cell.replace(",", "").split()]


@pytest.mark.parametrize("row", ARITHMETIC.table("format"), ids=lambda row: row["format"])
def test_formats(row: dict[str, str]) -> None:
    fmt = QFormat.parse(row["format"])
    told = [float(row[name]) for name in ("bits", "step", "smallest", "largest")]
    assert told == [fmt.bits, fmt.resolution, fmt.min, fmt.max]


@pytest.mark.parametrize("row", ARITHMETIC.table("value"), ids=lambda row: row["value"])
def test_roundings(row: dict[str, str]) -> None:
    fmt, value = QFormat.parse("Q0.3"), float(row["value"])
    assert value / fmt.resolution == pytest.approx(float(row["in steps"]))
    for rounding in DETERMINISTIC:
        assert quantize(torch.tensor(value), fmt, rounding).item() == float(row[rounding.value])
    many = quantize(torch.full((20_000,), value), fmt, Rounding.STOCHASTIC, torch.Generator().manual_seed(0))
    least, _, rest = row["stochastic"].partition(", or ")
    if not rest:
        assert (many == float(least)).all()
        return
    other, _, probability = rest.partition(" with probability ")
    assert set(many.tolist()) == {float(least), float(other)}
    assert (many == float(other)).float().mean().item() == pytest.approx(float(probability), abs=0.02)


@pytest.mark.parametrize("row", ARITHMETIC.table("accumulator"), ids=lambda row: row["accumulator"])
def test_integer_rounding(row: dict[str, str]) -> None:
    for rounding in Rounding:
        to = CodeRounding(3, ROUNDING_NUMBERS[rounding], -100, 100)
        assert round_code(int(row["accumulator"]), to, 0x40000000) == int(row[rounding.value])


def test_rounding_to_odd_codes() -> None:
    told = ARITHMETIC.text.partition("above become the codes ")[2].partition(".")[0].replace(" and", ",")
    to = CodeRounding(3, ROUNDING_NUMBERS[Rounding.NEAREST], -99, 99, odd=1)
    accumulators = [int(row["accumulator"]) for row in ARITHMETIC.table("accumulator")]
    assert [int(code) for code in told.split(",")] == [round_code(a, to, 0) for a in accumulators]
    assert [int(code) for code in told.split(",")] == [a >> 3 | 1 for a in accumulators]


def test_draws() -> None:
    """By the package, and by the formulas of the page in integers of any size."""
    told = {row["number"]: row["value"] for row in ARITHMETIC.table("number")}
    layer = layer_key(1, "lif1.v")
    (stream,) = streams_of_layer(layer, 2, 3).tolist()
    (draw,) = draws(stream, 4).tolist()
    computed = {"purpose": purpose_of("lif1.v"), "layer": layer, "stream": stream, "draw": draw}
    assert {name: int(told[name], 16) for name in computed} == computed
    assert float(told["of a step"]) == pytest.approx((draw >> 32) / 2**32, abs=1e-10)
    purpose = computed["purpose"]
    assert layer == mix(golden(1) + purpose)
    assert stream == mix(mix(layer + golden(2)) + golden(3))
    assert draw == mix(stream + golden(4))


def golden(number: int) -> int:
    return number * 0x9E3779B97F4A7C15


def mix(z: int) -> int:
    z %= 2**64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    return z ^ z >> 31


def graph(inputs: int, constants: dict[str, Codes], *operations: Operation) -> Graph:
    return Graph((inputs,), SPIKES, tuple(Constant(*item) for item in constants.items()), operations)


def responses(network: Graph, inputs: list[list[int]], source: str) -> GraphResponses:
    """Of one sample, whose input is given for each step."""
    coding = ValueCoding(
        (len(inputs[0]),), ParameterQuantization(SPIKES, Rounding.NEAREST), len(inputs), False, False, 0
    )
    model = IntegerModel(coding, network, LargestScore(source, Reduction.SUM), 0, 0)
    found = respond(model, np.array([inputs]), membranes=True)
    assert isinstance(found, GraphResponses)
    return found


WEIGHTS = (7, -3, 5)


def neuron_of_the_page() -> Graph:
    membrane = ParameterQuantization(QFormat.parse("Q1.3"), Rounding.NEAREST)
    neuron = IntegrateAndFire("spikes", ("x",), membrane, "threshold", "decay", False, 0, 0, 0, "v")
    constants = {"weight": codes("Q0.4", [*WEIGHTS]), "decay": codes("UQ0.2", 3), "threshold": codes("UQ1.2", 4)}
    return graph(3, constants, Linear("x", ("input",), "weight", None), neuron)


def test_a_neuron_of_a_torch_network() -> None:
    rows = DEVICE.table("step")
    inputs = [integers(row["input spikes"]) for row in rows]
    found = responses(neuron_of_the_page(), inputs, "spikes")
    assert [row["spikes"] == "yes" for row in rows] == found.spikes["spikes"][0, :, 0].tolist()
    stored = [int(row["stored v"]) for row in rows]
    assert stored == found.membranes["v"][0, :, 0].tolist()
    for row, lit, before in zip(rows, inputs, [0, *stored], strict=False):
        x = sum(weight for weight, spike in zip(WEIGHTS, lit, strict=True) if spike)
        assert (int(row["x"]), int(row["u = 3 v + 2 x"])) == (x, 3 * before + 2 * x)


def test_widths_of_accumulators() -> None:
    network = neuron_of_the_page()
    known = {"input current": network.array("x")}
    known |= {f"{accumulator.purpose.value} membrane": accumulator for accumulator in network.accumulators}  # type: ignore[misc]
    told = {
        row["accumulator"]: [int(row[name]) for name in ("least", "largest", "bits")]
        for row in DEVICE.table("accumulator")
    }
    assert told == {name: [array.low, array.high, array.width] for name, array in known.items()}


def test_channel_scales() -> None:
    rows = DEVICE.table("weights of the inputs that spike")
    constants = {
        "weight": codes("MQ0.1", [1, 1, 1, -1, -1, -1]),
        "scale": codes("UQ0.4", [11]),
        "offset": codes("Q0.5", [2]),
    }
    scaled = Affine("scaled", ("sum",), "scale", "offset", axis=0, fraction_bits=4)
    network = graph(6, constants, Linear("sum", ("input",), "weight", None), scaled)
    for row in rows:
        signs = integers(row["weights of the inputs that spike"])
        above, below = signs.count(1), signs.count(-1)
        lit = [int(index < above) for index in range(3)] + [int(index < below) for index in range(3)]
        (score,) = responses(network, [lit], "scaled").scores[0].tolist()
        assert int(row["sum"]) == sum(signs)
        assert int(row["11 x sum + offset"]) == 11 * sum(signs) + 2
        assert (int(row["accumulator"]), float(row["value"])) == (score, score / 2**4)


def test_the_stdp_network() -> None:
    layer = WinnerTakeAll(
        weight=codes("UQ2.1", [3, 1], [3, 6]),
        scale=codes("UQ1.2", 5, 6),
        theta=codes("UQ2.3", 10, 31),
        decay=codes("UQ0.4", 15),
        membrane=ParameterQuantization(QFormat.parse("Q4.2"), Rounding.TRUNCATION),
        threshold=16,
        reset=4,
        inhibition=12,
        refractory_steps=2,
    )
    rows = DEVICE.table("step", 1)
    always = RateCoding(linear_chances(1.0), len(rows), 2, np.arange(2))
    model = IntegerModel(always, layer, MeanResponse(np.array([0, 1]), 2), 0, 0)
    found = respond(model, np.full((1, 2), 255, np.uint8), membranes=True)
    assert isinstance(found, Responses)
    assert found.membranes is not None
    assert [row["spikes"].replace("none", "-1") for row in rows] == [str(winner) for winner in found.winners[0]]
    assert [integers(row["u afterwards"]) for row in rows] == found.membranes[0].tolist()
    constants, before = layer.constants, [0, 0]
    for row in rows:
        charged = row["charged"].split()
        for neuron, current in enumerate((6, 7)):
            if charged[neuron] == "held":
                continue
            sums = 15 * before[neuron] + (int(layer.scale_codes.array[neuron]) * current << constants.current_shift)
            u = integers(row["u"])[neuron]
            assert (int(charged[neuron]), u) == (sums, sums >> constants.rounding.drop)
            margin = (u - 16 << constants.membrane_shift) - int(layer.theta.array[neuron])
            assert int(row["margins"].split()[neuron]) == margin
        before = integers(row["u afterwards"])


def test_memory() -> None:
    """Of the specifications that the package makes for the network, with the widths of the page."""
    rows = {row["array"]: row for row in MEMORY.table("array")}
    specs = parameters(mnist_settings(4_000), 784, 640, 10, Deployment.INFERENCE)
    footprint = Footprint.of(specs, {name: int(row["bits"]) for name, row in rows.items()})
    told = {
        name: (*(integers(row[column])[0] for column in ("elements", "bits", "memory in bits")), row["in"].lower())
        for name, row in rows.items()
    }
    assert told == {
        entry.name: (entry.count, entry.width, entry.bits, entry.memory.value) for entry in footprint.entries
    }
    text = " ".join(MEMORY.text.split())
    assert f"{footprint.flash_bits:,} bits of flash ({footprint.flash_kib:.2f} KiB)" in text
    assert f"{footprint.ram_bits:,} bits of RAM ({footprint.ram_kib:.2f} KiB), {footprint.bits:,} bits" in text
    assert f"{footprint.kib:.2f} KiB together" in text
    assert f"{footprint.baseline_kib:,.2f} KiB. The model is {footprint.compression:.2f} times smaller" in text
