"""Models of any formats and sizes, and samples for them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding
from qspinn_optuna.integer import Codes, IntegerModel, MeanResponse, RateCoding, WinnerTakeAll, linear_chances

NEURONS = (1, 5, 31, 32, 33, 64, 70)
PIXELS = (1, 9, 32, 33, 70)
MANY = 150
"""Pixels whose weights of 24 bits need sums of 64."""


def random_model(seed: int) -> IntegerModel:
    """A model of sizes at and beside those of words; formats of up to 24 bits, most of them coarse."""
    generator = np.random.default_rng(seed)
    while True:
        try:
            return _random_model(generator)
        except ValueError as error:
            # Some formats lie so far apart that no accumulator holds both.
            if "accumulators" not in str(error) and "can be dropped" not in str(error):
                raise


def random_codes(generator: np.random.Generator, fmt: QFormat, shape: tuple[int, ...]) -> Codes:
    """Uniform codes, some of them at the ends."""
    codes = generator.integers(fmt.min_code, fmt.max_code, shape, endpoint=True)
    ends = generator.choice([fmt.min_code, fmt.max_code], shape)
    found = np.where(generator.random(shape) < 0.2, ends, codes)
    return Codes(found | 1 if fmt.is_mid_rise else found, fmt)


def random_samples(model: IntegerModel, count: int, seed: int = 0) -> NDArray[np.uint8]:
    """Images for a model, some of them dark."""
    assert isinstance(model.coding, RateCoding)
    generator = np.random.default_rng(seed)
    shape = (count, model.coding.pixels)
    lit = generator.random(shape) < generator.choice([0.2, 0.9], (count, 1))
    return (generator.integers(0, 256, shape) * lit).astype(np.uint8)


def _random_model(generator: np.random.Generator) -> IntegerModel:
    # Wide codes of formats that lie far apart: what 32 bits do not hold.
    wide = bool(generator.random() < 0.25)
    _format = _wide_format if wide else _coarse_format
    neurons, pixels = int(generator.choice(NEURONS)), MANY if wide else int(generator.choice(PIXELS))
    kept = np.flatnonzero(generator.random(pixels) < generator.choice([0.7, 1.0]))
    kept = kept if len(kept) else np.array([pixels - 1])
    rounding = Rounding(generator.choice([each.value for each in Rounding]))
    membrane = ParameterQuantization(_format(generator, signed=bool(generator.random() < 0.8), least=3), rounding)
    fmt, classes = membrane.format, int(generator.integers(1, 12))
    theta = random_codes(generator, _format(generator, bool(generator.random() < 0.2)), (neurons,))
    layer = WinnerTakeAll(
        weight=random_codes(generator, _format(generator, least=24 if wide else 1), (len(kept), neurons)),
        scale=random_codes(generator, _format(generator, False), (neurons,)) if generator.random() < 0.6 else None,
        theta=Codes(theta.array >> generator.choice([0, 4, 12]), theta.format),
        decay=random_codes(generator, _format(generator, False), (1,)),
        membrane=membrane,
        threshold=int(generator.integers(0, max(2, fmt.max_code // 4))),
        reset=int(generator.integers(fmt.min_code // 8, fmt.max_code, endpoint=True)),
        inhibition=int(generator.integers(0, fmt.max_code, endpoint=True)) >> int(generator.choice([0, 3])),
        refractory_steps=int(generator.choice([0, 1, 2, 7])),
    )
    steps = int(generator.choice([3, 8, 20]))
    return IntegerModel(
        RateCoding(_chances(generator), steps, pixels, kept),
        layer,
        MeanResponse(generator.integers(0, classes, neurons), classes),
        seed=int(generator.integers(0, 2**63)),
        first_sample=int(generator.choice([0, 4_000_000_000, 2**40])),
    )


def _chances(generator: np.random.Generator) -> Codes:
    """Mostly those of a rate; some follow no formula."""
    if generator.random() < 0.8:
        return linear_chances(float(generator.choice([0.25, 0.7, 1.0])))
    return Codes(generator.integers(0, 2**16, 256), QFormat(0, 16, signed=False))


def _wide_format(generator: np.random.Generator, signed: bool | None = None, least: int = 16) -> QFormat:
    is_signed = bool(generator.random() < 0.4) if signed is None else signed
    bits = int(generator.integers(max(least, 16), 24, endpoint=True))
    fraction_bits = int(generator.integers(0, 34, endpoint=True))
    return QFormat(bits - is_signed - fraction_bits, fraction_bits, is_signed)


def _coarse_format(generator: np.random.Generator, signed: bool | None = None, least: int = 1) -> QFormat:
    is_signed = bool(generator.random() < 0.4) if signed is None else signed
    most = int(generator.choice([4, 9, 16, 24], p=[0.4, 0.3, 0.2, 0.1]))
    bits = int(generator.integers(least, most, endpoint=True))
    fraction_bits = int(generator.integers(-2, max(bits, 2), endpoint=True))
    return QFormat(bits - is_signed - fraction_bits, fraction_bits, is_signed)
