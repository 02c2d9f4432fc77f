"""Small models of any formats."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding
from qspinn_optuna.integer import (
    Codes,
    IntegerModel,
    MeanResponse,
    RateCoding,
    WeightedResponse,
    WinnerTakeAll,
    linear_chances,
)

PIXELS, STEPS = 9, 8


def random_codes(generator: np.random.Generator, fmt: QFormat, shape: tuple[int, ...]) -> Codes:
    """Uniform codes, some of them at the ends."""
    codes = generator.integers(fmt.min_code, fmt.max_code, shape, endpoint=True)
    ends = generator.choice([fmt.min_code, fmt.max_code], shape)
    found = np.where(generator.random(shape) < 0.2, ends, codes)
    return Codes(found | 1 if fmt.is_mid_rise else found, fmt)


@st.composite
def formats(draw: st.DrawFn, signed: bool | None = None, least: int = 1) -> QFormat:
    is_signed = draw(st.booleans()) if signed is None else signed
    bits = draw(st.integers(least, 16))
    fraction_bits = draw(st.integers(-2, 14))
    return QFormat(bits - is_signed - fraction_bits, fraction_bits, is_signed)


@st.composite
def models(draw: st.DrawFn) -> IntegerModel:
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kept = np.flatnonzero(generator.random(PIXELS) < 0.8)
    kept = kept if len(kept) else np.array([0])
    neurons = draw(st.integers(1, 5))
    membrane = ParameterQuantization(draw(formats(signed=True, least=3)), draw(st.sampled_from(Rounding)))
    fmt = membrane.format
    classes = draw(st.integers(1, 4))
    # Thresholds that are reached: far below the end of the range.
    theta = random_codes(generator, draw(formats(signed=False)), (neurons,))
    layer = WinnerTakeAll(
        weight=random_codes(generator, draw(formats()), (len(kept), neurons)),
        scale=random_codes(generator, draw(formats(signed=False)), (neurons,)) if draw(st.booleans()) else None,
        theta=Codes(theta.array >> draw(st.sampled_from([0, 4, 12])), theta.format),
        decay=random_codes(generator, draw(formats(signed=False)), (1,)),
        membrane=membrane,
        threshold=draw(st.integers(0, max(1, fmt.max_code // 4))),
        reset=draw(st.integers(0, fmt.max_code)),
        inhibition=draw(st.integers(0, fmt.max_code)),
        refractory_steps=draw(st.integers(0, 3)),
    )
    return IntegerModel(
        RateCoding(linear_chances(draw(st.sampled_from([0.25, 1.0]))), STEPS, PIXELS, kept),
        layer,
        WeightedResponse(random_codes(generator, draw(formats()), (neurons, classes)))
        if draw(st.booleans())
        else MeanResponse(generator.integers(0, classes, neurons), classes),
        seed=draw(st.integers(0, 2**32 - 1)),
        first_sample=draw(st.sampled_from([0, 4_000_000_000])),
    )


def random_images(seed: int, count: int) -> NDArray[np.uint8]:
    generator = np.random.default_rng(seed)
    lit = generator.random((count, PIXELS)) < 0.8
    return (generator.integers(0, 256, (count, PIXELS)) * lit).astype(np.uint8)


def coding_of(model: IntegerModel) -> RateCoding:
    assert isinstance(model.coding, RateCoding)
    return model.coding


def layer_of(model: IntegerModel) -> WinnerTakeAll:
    assert isinstance(model.network, WinnerTakeAll)
    return model.network


def readout_of(model: IntegerModel) -> MeanResponse:
    assert isinstance(model.readout, MeanResponse)
    return model.readout


def example_model() -> IntegerModel:
    """One model of everyday formats."""
    generator = np.random.default_rng(5)
    layer = WinnerTakeAll(
        weight=random_codes(generator, QFormat(0, 3, signed=False), (6, 4)),
        scale=random_codes(generator, QFormat(1, 4, signed=False), (4,)),
        theta=Codes(np.array([1, 3, 5, 7]), QFormat(3, 2, signed=False)),
        decay=Codes(np.array([230]), QFormat(0, 8, signed=False)),
        membrane=ParameterQuantization(QFormat(5, 4), Rounding.STOCHASTIC),
        threshold=20,
        reset=4,
        inhibition=64,
        refractory_steps=2,
    )
    coding = RateCoding(linear_chances(0.5), STEPS, PIXELS, np.array([0, 1, 3, 4, 6, 8]))
    return IntegerModel(coding, layer, MeanResponse(np.array([0, 1, 2, 1]), 3), seed=3, first_sample=100)
