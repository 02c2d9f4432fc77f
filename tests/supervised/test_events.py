"""Recipes of event recordings: what is read, trained, searched and compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from optuna.distributions import IntDistribution
from torch import Tensor

from qspinn_optuna import Family, GridKind, ParameterSpec, QuantizationSpace, Rounding, Scheme
from qspinn_optuna.datasets import EventDataset, FrameSplits, LabeledFrames
from qspinn_optuna.networks import ChannelScale
from qspinn_optuna.workloads.supervised import ConvBlock, QuantizedTraining, SupervisedWorkload
from qspinn_optuna.workloads.supervised.events import (
    DVS_GESTURE,
    GESTURES,
    NARROW_GESTURES,
    NARROW_NMNIST,
    NMNIST,
    RECIPES,
    EventRecipe,
    circles_of,
    event_workload,
    first_trials,
    load_pooled,
    load_splits,
    search_space,
    state_controls,
    uniform_params,
)

TINY = replace(GESTURES, blocks=(ConvBlock(2, 3, pool=2),), epochs=1, fine_tune_epochs=1)
"""Gestures in a network that trains in a moment."""

CLASSES = EventDataset.DVS_GESTURE.class_names

COARSE = replace(NMNIST, steps=2, block=2)


def frames(labels: list[int], seed: int, channels: int = 1) -> LabeledFrames:
    generator = np.random.default_rng(seed)
    values = generator.integers(0, 2, (len(labels), 3, channels, 8, 8), np.uint8)
    return LabeledFrames(values, np.array(labels))


def splits(test: tuple[int, ...] = (0, 3, 4, 5, 6, 10), names: tuple[str, ...] = CLASSES) -> FrameSplits:
    return FrameSplits(frames([0, 3, 4, 5], 0), frames([1, 2, 3], 1), frames(list(test), 2), names)


@pytest.fixture(scope="module", params=["conv", "local"])
def space(request: pytest.FixtureRequest) -> QuantizationSpace:
    return search_space(event_workload(TINY, splits(), local=request.param == "local"))


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of N-MNIST with 40 training and 10 test recordings, each with another first event."""
    root = tmp_path_factory.mktemp("nmnist")
    for part, recordings in (("train", 4), ("test", 1)):
        for label in range(10):
            folder = root / "events_np" / part / str(label)
            folder.mkdir(parents=True)
            for number in range(recordings):
                place = np.array([label + 10 * number + (50 if part == "test" else 0)])
                time, pixel = np.zeros(1, np.int64), place % 17 * 2
                np.savez(folder / f"{number:05d}.npz", t=time, x=pixel, y=place // 17 * 2, p=np.zeros(1, np.int64))
    return root


def events_of(data: FrameSplits) -> list[list[tuple[int, ...]]]:
    """The pixels that are set in each sample of each split."""
    parts = (data.train, data.validation, data.test)
    return [[tuple(np.flatnonzero(sample).tolist()) for sample in part.frames] for part in parts]


def test_recipes_have_the_names_of_the_command_line() -> None:
    assert RECIPES == {
        "generated": GESTURES,
        "generated-narrow": NARROW_GESTURES,
        "dvs-gesture": DVS_GESTURE,
        "nmnist": NMNIST,
        "nmnist-narrow": NARROW_NMNIST,
    }
    assert GESTURES.time_reversal
    assert not DVS_GESTURE.time_reversal
    assert not DVS_GESTURE.merge_polarities


def test_a_tenth_of_the_training_recordings_is_held_out(digits: Path) -> None:
    data = load_splits(COARSE, digits, pool=False, seed=0)
    train, validation, test = events_of(data)
    assert (len(train), len(validation), len(test)) == (36, 4, 10)
    pooled = load_pooled(COARSE, digits)
    everything = [tuple(np.flatnonzero(sample).tolist()) for sample in pooled.frames]
    assert sorted(train + validation) == sorted(everything[:40])
    assert test == everything[40:]


def test_pooled_recordings_are_split_anew_by_the_seed(digits: Path) -> None:
    first, second = (events_of(load_splits(COARSE, digits, pool=True, seed=seed)) for seed in (0, 1))
    assert [len(part) for part in first] == [36, 4, 10]
    assert sorted(chain(*first)) == sorted(chain(*second))
    assert len(set(chain(*first))) == 50
    assert set(first[2]) != set(second[2])
    assert events_of(load_splits(COARSE, digits, pool=True, seed=0)) == first


def test_circles_are_the_gestures_that_time_reversal_exchanges() -> None:
    data = splits()
    circles = circles_of(data)
    assert circles is not None
    assert circles.labels.tolist() == [3, 4, 5, 6]
    np.testing.assert_array_equal(circles.frames, data.test.frames[1:5])


@pytest.mark.parametrize("data", [splits((3, 4), NMNIST.dataset.class_names), splits((0, 1))], ids=["digits", "others"])
def test_without_circling_arms_there_are_no_circles(data: FrameSplits) -> None:
    assert circles_of(data) is None


@pytest.mark.parametrize("recipe", [GESTURES, NMNIST], ids=["gestures", "digits"])
@pytest.mark.parametrize("local", [False, True])
def test_a_recipe_has_a_network_for_its_frames(recipe: EventRecipe, local: bool) -> None:
    height, width = recipe.dataset.sensor
    channels = 1 if recipe.merge_polarities else 2
    shape = (4, recipe.steps, channels, height // recipe.block, width // recipe.block)
    part = LabeledFrames(np.ones(shape, np.uint8), np.arange(4))
    data = FrameSplits(part, part, part, recipe.dataset.class_names)
    workload = event_workload(replace(recipe, epochs=1), data, local=local)
    inputs, _ = next(iter(workload.validation))
    scores = workload.network(inputs)
    assert scores.shape[-2:] == (4, len(recipe.dataset.class_names))


def test_validation_samples_are_in_an_order_of_their_own() -> None:
    labels = list(range(11)) * 3
    data = FrameSplits(frames([0], 0), frames(labels, 1), frames([0], 2), CLASSES)
    ((_, found),) = list(event_workload(TINY, data).validation)
    assert found.tolist() != labels
    assert sorted(found.tolist()) == sorted(labels)


def test_seed_and_data_make_another_workload() -> None:
    first = event_workload(TINY, splits()).describe()
    assert event_workload(TINY, splits()).describe() == first
    assert event_workload(TINY, splits(), seed=1).describe() != first
    assert event_workload(replace(TINY, epochs=2), splits()).describe() != first


def test_every_weight_and_state_is_searched_and_coefficients_are_tied(space: QuantizationSpace) -> None:
    families = {parameter.name: parameter.family for parameter in space.searched}
    first = {Family.WEIGHT: 2, Family.MEMBRANE: 1, Family.TRACE: 2}
    expected = {name: (first[family], 8) for name, family in families.items() if family in first}
    expected |= {"threshold": (2, 8), "decay": (2, 8)}
    found = {
        name.partition(".")[2]: (distribution.low, distribution.high)
        for name, distribution in space.distributions.items()
        if isinstance(distribution, IntDistribution)
    }
    assert found == expected
    assert {Family.MEMBRANE, Family.TRACE} & set(families.values())


def test_the_first_trials_go_down_the_widths_with_both_schemes(space: QuantizationSpace) -> None:
    configs = [space.config(params) for params in first_trials(space)]
    assert [config.scheme for config in configs] == [Scheme.PTQ, Scheme.ITQ] * 5
    expected = {
        Family.WEIGHT: [8, 4, 3, 2, 2],
        Family.MEMBRANE: [8, 4, 2, 2, 1],
        Family.TRACE: [8, 4, 2, 2, 2],
        Family.THRESHOLD: [6] * 5,
        Family.DECAY: [6] * 5,
    }
    for parameter in space.searched:
        assert [config.bits[parameter.name] for config in configs[::2]] == expected[parameter.family]
    assert {rounding for config in configs for rounding in config.roundings.values()} == {Rounding.NEAREST}


def test_weights_with_scales_are_searched_from_one_bit_on_and_begin_there() -> None:
    recipe = replace(TINY, channel_scale=ChannelScale.FACTOR, quantized=QuantizedTraining())
    space = search_space(event_workload(recipe, splits()))
    searched = {name: vars(one) for name, one in space.distributions.items() if isinstance(one, IntDistribution)}
    ends = {name: (one["low"], one["high"]) for name, one in searched.items()}
    assert {ends[name] for name in ends if name.endswith(".weight")} == {(1, 4)}
    assert {ends[name] for name in ends if name.endswith(".scale")} == {(4, 8)}
    assert space.schemes == (Scheme.ITQ,)
    _, narrowest, *_ = (space.config(params) for params in first_trials(space))
    assert {narrowest.bits[name] for name in narrowest.bits if name.endswith((".weight", ".v"))} == {1}
    assert {narrowest.bits[name] for name in narrowest.bits if name.endswith(".scale")} == {8}
    assert str(narrowest["readout.weight"].format) == "MQ0.1"


def test_weights_and_states_that_are_few_of_all_values_begin_wide() -> None:
    counts = {"large.weight": 9_700, "middle.weight": 1_000, "small.weight": 150, "small.v": 40, "large.v": 200}
    specs = [
        ParameterSpec(name, Family.MEMBRANE, count, 0.0, 1.0)
        if name.endswith(".v")
        else ParameterSpec(name, Family.WEIGHT, count, -1.0, 1.0, grids=(GridKind.MID_RISE,))
        for name, count in counts.items()
    ]
    space = QuantizationSpace(specs, (1, 4))
    small_wide, narrowest, wider_states, two_bits, largest_narrow = map(space.config, first_trials(space))
    assert set(narrowest.bits.values()) == {1}
    # The third smallest would bring them from 190 over 221.8, two in a hundred.
    assert {name for name, bits in small_wide.bits.items() if bits == 4} == {"small.v", "small.weight"}
    assert {small_wide.bits[name] for name in ("large.v", "large.weight", "middle.weight")} == {1}
    assert wider_states.bits == small_wide.bits | {"large.v": 2}
    assert two_bits.bits == wider_states.bits | {"large.weight": 2, "middle.weight": 2}
    assert largest_narrow.bits == wider_states.bits | {"middle.weight": 2}


def test_uniform_widths_end_where_the_space_does(space: QuantizationSpace) -> None:
    config = space.config(uniform_params(space, 1, 20, Scheme.ITQ))
    assert config.scheme is Scheme.ITQ
    expected = {Family.WEIGHT: 2, Family.MEMBRANE: 8, Family.TRACE: 8, Family.THRESHOLD: 6, Family.DECAY: 6}
    assert config.bits == {parameter.name: expected[parameter.family] for parameter in space.searched}


class Measured:
    """A workload that gives, for an accuracy, the network and the labels that were measured."""

    baseline_network, state_deleted = "with", "without"

    def accuracy_of(self, network: str, batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[str, list[int]]:
        return network, [label for _, labels in batches for label in labels.tolist()]


def test_controls_are_the_networks_with_and_without_states_on_all_samples_and_on_circles() -> None:
    workload = cast(SupervisedWorkload, Measured())
    found: dict[str, Any] = state_controls(workload, splits())
    assert found == {
        "float, fine-tuned": ("with", [0, 3, 4, 5, 6, 10]),
        "float, fine-tuned, circling arms alone": ("with", [3, 4, 5, 6]),
        "states deleted, retrained": ("without", [0, 3, 4, 5, 6, 10]),
        "states deleted, retrained, circling arms alone": ("without", [3, 4, 5, 6]),
    }
    assert list(state_controls(workload, splits((0, 1)))) == ["float, fine-tuned", "states deleted, retrained"]
