"""Decays that their widest format rounds by much."""

from __future__ import annotations

import warnings
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from spikingjelly.activation_based import neuron
from torch import nn

from qspinn_optuna.networks import calibrate
from qspinn_optuna.networks.calibration.slow_decays import coarse_decays
from qspinn_optuna.parameters import Family, ParameterSpec
from tests.networks.builders import eighths


def error_of(leak: Fraction, bits: int) -> Fraction:
    """Of 1 - decay, the decay rounded to nearest, ties up, and below 1."""
    code = min(int((1 - leak) * 2**bits + Fraction(1, 2)), 2**bits - 1)
    return abs(1 - leak - Fraction(code, 2**bits)) / leak


@given(st.integers(2, 2000), st.integers(5, 10))
def test_errors_over_a_tenth_are_told_with_a_width_that_would_do(tau: int, bits: int) -> None:
    name = "lif.decay"
    spec = ParameterSpec(name, Family.DECAY, 1, 0.0, 0.5, max_bits=bits)
    decay = torch.tensor(1 - 1 / tau, dtype=torch.float64)
    found = coarse_decays([spec], {name: decay})
    error = error_of(Fraction(1, tau), bits)
    if abs(error - Fraction(1, 10)) < Fraction(1, 10**6):
        return
    assert bool(found) == (error > Fraction(1, 10))
    if found:
        enough = next(more for more in range(bits + 1, 25) if error_of(Fraction(1, tau), more) <= Fraction(1, 10))
        assert abs(float(found[0].partition("off by ")[2].partition("%")[0]) - 100 * float(error)) <= 0.51
        assert f"with {bits} bits" in found[0]
        assert f" {enough} bits would do" in found[0]


def test_the_time_constant_that_is_named_is_on_the_grid() -> None:
    spec = ParameterSpec("v_decay", Family.DECAY, 1, 0.0, 0.5, max_bits=8)
    (sentence,) = coarse_decays([spec], {"v_decay": torch.tensor(0.99, dtype=torch.float64)})
    named = float(sentence.rpartition("constant of ")[2].partition(",")[0])
    assert abs(256 / named - round(256 / named)) < 0.01
    assert coarse_decays([spec], {"v_decay": torch.tensor(1 - 3 / 256, dtype=torch.float64)}) == []


def test_decays_of_channels_are_told_by_the_worst() -> None:
    spec = ParameterSpec("decay", Family.DECAY, 2, 0.0, 0.5, max_bits=8)
    (sentence,) = coarse_decays([spec], {"decay": torch.tensor([0.5, 0.99], dtype=torch.float64)})
    assert sentence.startswith("decay is off by 17% ")


@pytest.mark.parametrize(("tau", "slow"), [(2.0, False), (25.0, False), (100.0, True)])
def test_calibration_tells_once_of_each(tau: float, slow: bool) -> None:
    network = nn.Sequential(nn.Linear(6, 4), neuron.LIFNode(tau))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        calibrate(network, [eighths(9, 6)])
    assert [str(each.message).partition(" with")[0] for each in told] == ["1.decay is off by 17% of 1 - decay"] * slow
