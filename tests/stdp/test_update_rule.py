"""The learning rule against SpikingJelly's ``stdp_linear_step``.

SpikingJelly's rule is pair-based with two branches::

    trace_pre <- trace_pre * (1 - 1 / tau_pre) + s_pre
    dw = f_post(w) * trace_pre * s_post - f_pre(w) * trace_post * s_pre

Ours is ``dw = learning_rate * (x - offset)`` at a post-synaptic spike. It is the first branch with
``f_post(w) = learning_rate`` and the second switched off by ``f_pre(w) = 0``, plus a depression of
``learning_rate * offset`` at each post-synaptic spike, which SpikingJelly does not have and the oracle adds. Our trace
decays by exp(-1 / tau), and is given SpikingJelly's factor 1 - 1 / tau here.

One difference is left: our trace is set to 1 by an input spike, SpikingJelly's grows by 1. They agree where an input
spikes at most once an image; where it spikes more often, the oracle is fed the part of a spike that fills its trace up
to 1, which ``f_pre = 0`` keeps from having any other effect.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from spikingjelly.activation_based.functional import stdp_linear_step
from torch import Tensor

from qspinn_optuna.fixed_point.simulated_rounding import UNQUANTIZED
from qspinn_optuna.workloads.stdp import SpikeTrains, STDPSettings
from qspinn_optuna.workloads.stdp.currents import from_blocks, room_for_currents, to_blocks
from qspinn_optuna.workloads.stdp.kernels import Plasticity, present
from qspinn_optuna.workloads.stdp.network import float_neuron

INPUTS, NEURONS, STEPS, IMAGES = 30, 5, 40, 4
TAU = 8.0
OFFSET = 0.25
LEARNING_RATE = 0.02
WEIGHT_SUM = 9.0

SETTINGS = STDPSettings(neurons=NEURONS, threshold=3.0, reset=0.0, inhibition=2.0, refractory_steps=1)
RULE = Plasticity(
    theta_step=0.1,
    theta_decay=1.0,
    theta=UNQUANTIZED,
    trace_decay=1 - 1 / TAU,
    trace_offset=OFFSET,
    trace=UNQUANTIZED,
    learning_rate=LEARNING_RATE,
    learning_rate_growth=1.0,
    weight_sum=WEIGHT_SUM,
    stored=UNQUANTIZED,
    forward=UNQUANTIZED,
    shadow=False,
    scaled=False,
    scale=UNQUANTIZED,
)


def single_spikes(generator: np.random.Generator) -> NDArray[np.bool_]:
    """Dense spikes [images, steps, inputs]; an input spikes at most once an image, some never."""
    times = generator.integers(0, STEPS + 10, (IMAGES, INPUTS))
    return np.asarray(times[:, None, :] == np.arange(STEPS)[None, :, None])


def frequent_spikes(generator: np.random.Generator) -> NDArray[np.bool_]:
    return np.asarray(generator.random((IMAGES, STEPS, INPUTS)) < 0.15)


def sparse(spikes: NDArray[np.bool_]) -> SpikeTrains:
    starts = np.zeros((IMAGES, STEPS + 1), np.int64)
    ends = spikes.sum(axis=2).cumsum().reshape(IMAGES, STEPS)
    starts[:, 1:] = ends
    starts[1:, 0] = ends[:-1, -1]
    return SpikeTrains(np.nonzero(spikes)[2].astype(np.uint16), starts, INPUTS)


def learn(weights: NDArray[np.float32], trains: SpikeTrains) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Weights after our learning, [inputs, neurons], and the neuron that spiked at each step, [images, steps]."""
    learned = to_blocks(weights)
    counts = np.empty((IMAGES, NEURONS), np.int32)
    winners = np.empty((IMAGES, STEPS), np.int32)
    present(
        trains.inputs, trains.starts, learned, learned, 1.0, np.ones(NEURONS), np.zeros(NEURONS),
        float_neuron(SETTINGS), RULE, True, True, 0, 0, room_for_currents(learned, NEURONS), counts,
        winners,
    )  # fmt: skip
    return from_blocks(learned, NEURONS), winners


def learn_with_spikingjelly(
    weights: NDArray[np.float32], spikes: NDArray[np.bool_], winners: NDArray[np.int32], fill_up: bool
) -> NDArray[np.float32]:
    """The same post-synaptic spikes, learned from with SpikingJelly; weights are normalized after each image."""
    weight = torch.from_numpy(weights.T.copy())
    for k in range(IMAGES):
        trace = (torch.zeros(1, INPUTS), torch.zeros(1, NEURONS))
        for t in range(STEPS):
            s_pre = torch.from_numpy(spikes[k, t]).float()[None]
            if fill_up:
                s_pre = s_pre * (1 - trace[0] * (1 - 1 / TAU))
            s_post = (torch.arange(NEURONS) == int(winners[k, t])).float()[None]
            dw, trace = stdp_linear_step(
                s_pre, s_post, trace, weight, tau_pre=TAU, tau_post=TAU, f_pre=torch.zeros_like, f_post=_learning_rate
            )
            weight = (weight + dw - LEARNING_RATE * OFFSET * s_post.T).clamp(0, 1)
        for j in set(winners[k][winners[k] >= 0].tolist()):
            weight[j] *= WEIGHT_SUM / weight[j].sum()
    return np.asarray(weight.T.numpy())


def _learning_rate(weight: Tensor) -> Tensor:
    return torch.full_like(weight, LEARNING_RATE)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("frequent", [False, True], ids=["once an image", "frequent"])
def test_learning_equals_spikingjellys(seed: int, frequent: bool) -> None:
    generator = np.random.default_rng(seed)
    spikes = frequent_spikes(generator) if frequent else single_spikes(generator)
    assert (spikes.sum(axis=1).max() > 1) == frequent
    weights = generator.uniform(0.2, 0.4, (INPUTS, NEURONS)).astype(np.float32)
    learned, winners = learn(weights, sparse(spikes))
    assert (winners >= 0).sum() >= 2 * IMAGES
    assert len(set(winners.ravel().tolist())) >= 4
    assert np.abs(learned - weights).max() > LEARNING_RATE

    oracle = learn_with_spikingjelly(weights, spikes, winners, fill_up=frequent)
    np.testing.assert_allclose(learned, oracle, rtol=1e-5, atol=1e-6)


def test_adding_traces_up_would_be_another_rule() -> None:
    """What the filled-up spikes are for: without them frequent spikes learn otherwise."""
    generator = np.random.default_rng(0)
    spikes = frequent_spikes(generator)
    weights = generator.uniform(0.2, 0.4, (INPUTS, NEURONS)).astype(np.float32)
    learned, winners = learn(weights, sparse(spikes))
    oracle = learn_with_spikingjelly(weights, spikes, winners, fill_up=False)
    assert not np.allclose(learned, oracle, rtol=1e-3, atol=1e-3)


def test_one_spike_changes_the_weight_by_the_formula() -> None:
    """An input that spikes d steps before the neuron has a trace of (1 - 1/tau)**d."""
    spikes = np.zeros((IMAGES, STEPS, INPUTS), np.bool_)
    spikes[0, 4, 0] = spikes[0, 7, 1] = spikes[0, 9, 2] = True
    weights = np.zeros((INPUTS, NEURONS), np.float32)
    weights[:4, 3] = [0.5, 0.5, 4.0, 0.5]  # The third brings neuron 3 over its threshold by itself.
    learned, winners = learn(weights, sparse(spikes))
    assert np.argwhere(winners >= 0).tolist() == [[0, 9]]
    assert winners[0, 9] == 3
    decay = 1 - 1 / TAU
    expected = np.zeros(INPUTS)
    expected[:4] = [
        0.5 + LEARNING_RATE * (decay**5 - OFFSET),
        0.5 + LEARNING_RATE * (decay**2 - OFFSET),
        1.0,
        0.5 - LEARNING_RATE * OFFSET,
    ]
    np.testing.assert_allclose(learned[:, 3], expected * WEIGHT_SUM / expected.sum(), rtol=1e-6)
    np.testing.assert_array_equal(np.delete(learned, 3, axis=1), np.delete(weights, 3, axis=1))
