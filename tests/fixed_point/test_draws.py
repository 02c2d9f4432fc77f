"""Keyed draws against Python's integers, and against the published sequence of splitmix64."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from qspinn_optuna.fixed_point.draws import MEMBRANE, draw, draws, mix, stream, streams

BITS_64 = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15
number = st.integers(0, 2**32 - 1)


def plain_mix(z: int) -> int:
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & BITS_64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & BITS_64
    return z ^ (z >> 31)


def test_a_stream_is_the_published_sequence() -> None:
    """The first outputs of splitmix64 with seed 1234567: its state grows by the golden ratio before each."""
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert [int(draw(np.uint64(1234567), index)) for index in range(1, 6)] == expected
    assert draws(np.uint64(1234567), np.arange(1, 6)).tolist() == expected


@settings(max_examples=100, deadline=None, derandomize=True)
@given(seed=number, purpose=st.integers(1, 9), sample=number, step=number, index=number)
def test_kernels_and_arrays_draw_what_plain_integers_do(
    seed: int, purpose: int, sample: int, step: int, index: int
) -> None:
    key = plain_mix((seed * GOLDEN + purpose) & BITS_64)
    key = plain_mix((key + sample * GOLDEN) & BITS_64)
    key = plain_mix((key + step * GOLDEN) & BITS_64)
    assert int(stream(seed, purpose, sample, step)) == key
    assert streams(seed, purpose, sample, step).tolist() == [key]
    expected = plain_mix((key + index * GOLDEN) & BITS_64)
    assert int(draw(np.uint64(key), index)) == expected
    assert draws(np.uint64(key), index).tolist() == [expected]
    assert int(mix(np.uint64(key))) == plain_mix(key)


def test_arrays_are_broadcast() -> None:
    samples, steps, indices = np.array([7, 4_000_000_000]), np.arange(3), np.arange(5)
    keys = streams(3, MEMBRANE, samples[:, None], steps)
    assert keys.shape == (2, 3)
    table = draws(keys[:, :, None], indices)
    for k, sample in enumerate(samples.tolist()):
        for t in steps.tolist():
            key = np.uint64(stream(3, MEMBRANE, sample, t))
            assert table[k, t].tolist() == [int(draw(key, int(index))) for index in indices]
