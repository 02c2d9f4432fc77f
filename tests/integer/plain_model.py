"""An integer model in rational numbers and plain loops: the specification that the interpreter is compared with.

It is made of the model's codes and formats alone, and computes with values, not with aligned codes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

from qspinn_optuna.fixed_point import QFormat, Rounding
from qspinn_optuna.integer import Codes, IntegerModel, WeightedResponse, WinnerTakeAll
from tests.integer.models import coding_of, layer_of, readout_of
from tests.stdp.numpy_network import Purpose, draw, stream


def value_of(code: int, fmt: QFormat) -> Fraction:
    return code * Fraction(2) ** -fmt.fraction_bits


def values_of(codes: Codes) -> list[Fraction]:
    return [value_of(code, codes.format) for code in codes.array.ravel().tolist()]


@dataclass
class PlainResponse:
    """What happens while an image is shown."""

    winners: list[int] = field(default_factory=list)
    membranes: list[list[int]] = field(default_factory=list)
    currents: list[int] = field(default_factory=list)
    """Every input current, as a code of the weights."""


def encode(model: IntegerModel, image: list[int], sample: int) -> list[list[bool]]:
    """Input spikes, [steps][inputs]."""
    coding = coding_of(model)
    kept = [image[pixel] for pixel in coding.kept.tolist()]
    chances = coding.chances.array.tolist()
    spikes = []
    for t in range(coding.steps):
        key = stream(model.seed, Purpose.INPUT, sample, t)
        row, number = [], 0
        for pixel in kept:
            bits = draw(key, number - number % 4) >> 16 * (number % 4) & 0xFFFF
            row.append(pixel > 0 and bits < chances[pixel])
            number += pixel > 0
        spikes.append(row)
    return spikes


def store(layer: WinnerTakeAll, charged: Fraction, key: int, j: int) -> int:
    """The code of a charged membrane, by the definitions of the roundings."""
    fmt = layer.membrane.format
    position = charged / Fraction(2) ** -fmt.fraction_bits
    if layer.membrane.rounding is Rounding.NEAREST:
        position += Fraction(1, 2)
    elif layer.membrane.rounding is Rounding.STOCHASTIC:
        position += Fraction(draw(key, j) >> 32, 2**32)
    return min(max(math.floor(position), fmt.min_code), fmt.max_code)


def respond(model: IntegerModel, image: list[int], sample: int) -> PlainResponse:
    layer = layer_of(model)
    fmt = layer.membrane.format
    neurons = range(layer.neurons)
    weights = layer.weight.array.tolist()
    theta = values_of(layer.theta)
    scale = [Fraction(1) for _ in neurons] if layer.scale is None else values_of(layer.scale)
    (decay,) = values_of(layer.decay)
    threshold = value_of(layer.threshold, fmt)
    u, free_from = [0 for _ in neurons], [0 for _ in neurons]
    seen = PlainResponse()
    for t, spikes in enumerate(encode(model, image, sample)):
        key = stream(model.seed, Purpose.MEMBRANE, sample, t)
        free = [j for j in neurons if free_from[j] <= t]
        for j in neurons:
            current = sum(weights[i][j] for i, spike in enumerate(spikes) if spike)
            seen.currents.append(current)
            if j in free:
                charged = decay * value_of(u[j], fmt) + scale[j] * value_of(current, layer.weight.format)
                u[j] = store(layer, charged, key, j)
        margins = {j: value_of(u[j], fmt) - threshold - theta[j] for j in free}
        above = [j for j in free if margins[j] >= 0]
        winner = max(above, key=lambda j: (margins[j], -j)) if above else -1
        if winner >= 0:
            u = [max(code - layer.inhibition, fmt.min_code) for code in u]
            u[winner] = layer.reset
            free_from[winner] = t + 1 + layer.refractory_steps
        seen.winners.append(winner)
        seen.membranes.append(list(u))
    return seen


def answer(model: IntegerModel, winners: list[int]) -> int:
    """The first class of those with the largest mean response, or the largest sum of class weights."""
    if isinstance(model.readout, WeightedResponse):
        weights = values_of(model.readout.weights)
        classes = range(model.classes)
        scores = [sum(weights[j * model.classes + label] for j in winners if j >= 0) for label in classes]
        return scores.index(max(scores))
    labels = readout_of(model).labels.tolist()
    means = []
    for label in range(model.classes):
        counts = [winners.count(j) for j, own in enumerate(labels) if own == label]
        means.append(Fraction(sum(counts), max(len(counts), 1)))
    return means.index(max(means))
