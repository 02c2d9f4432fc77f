from __future__ import annotations

import numpy as np
import pytest
import torch

from qspinn_optuna.datasets import LabeledFrames
from qspinn_optuna.workloads.supervised import FrameBatches
from qspinn_optuna.workloads.supervised.fingerprints import fingerprint


def frames(samples: int = 7, side: int = 5) -> LabeledFrames:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 2, (samples, 3, 1, side, side), dtype=np.uint8)
    return LabeledFrames(pixels, np.arange(samples, dtype=np.int64))


def test_all_samples_come_once_in_order() -> None:
    data = frames()
    batches = list(FrameBatches(data, 3))
    assert [len(labels) for _, labels in batches] == [3, 3, 1]
    assert len(FrameBatches(data, 3)) == 3
    assert torch.equal(torch.cat([inputs for inputs, _ in batches]), torch.from_numpy(data.frames).float())
    assert torch.cat([labels for _, labels in batches]).tolist() == data.labels.tolist()


def test_shuffling_follows_the_global_generator() -> None:
    batches = FrameBatches(frames(), 7, shuffle=True)

    def order(seed: int) -> list[int]:
        torch.manual_seed(seed)
        return next(iter(batches))[1].tolist()

    assert order(0) == order(0)
    assert sorted(order(0)) == list(range(7))
    assert len({tuple(order(seed)) for seed in range(5)}) > 1


def test_shifted_samples_are_shifts_of_the_sample() -> None:
    data = frames(samples=40)
    torch.manual_seed(0)
    ((shifted, _),) = FrameBatches(data, 40, shift=1)
    padded = np.pad(data.frames, ((0, 0), (0, 0), (0, 0), (1, 1), (1, 1)))
    places = set()
    for sample, moved in zip(padded, shifted.numpy(), strict=True):
        fitting = [
            (y, x) for y in range(3) for x in range(3) if np.array_equal(sample[..., y : y + 5, x : x + 5], moved)
        ]
        assert len(fitting) == 1
        places.add(fitting[0])
    assert len(places) == 9


def test_reversed_samples_change_their_class() -> None:
    data = LabeledFrames(frames(40).frames, np.tile(np.array([0, 1], np.int64), 20))
    torch.manual_seed(0)
    ((made, labels),) = FrameBatches(data, 40, reversals={0: 1, 1: 0})
    backwards = 0
    for sample, label, new, new_label in zip(data.frames, data.labels, made.numpy(), labels.numpy(), strict=True):
        if new_label == label:
            assert np.array_equal(new, sample)
        else:
            assert np.array_equal(new, sample[::-1])
            backwards += 1
    assert 8 < backwards < 32


def test_the_fingerprint_tells_data_and_settings() -> None:
    first = FrameBatches(frames(), 3)
    others = [
        FrameBatches(frames(), 4),
        FrameBatches(frames(), 3, shuffle=True),
        FrameBatches(frames(), 3, shift=1),
        FrameBatches(frames(), 3, reversals={0: 1, 1: 0}),
        FrameBatches(frames(6), 3),
    ]
    assert fingerprint(first) == fingerprint(FrameBatches(frames(), 3))
    assert len({fingerprint(first), *map(fingerprint, others)}) == 6


@pytest.mark.parametrize(("name", "value"), [("batch_size", 0), ("shift", -1)])
def test_bad_settings_are_refused(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{name} must"):
        FrameBatches(frames(), **{"batch_size": 3, name: value})  # type: ignore[arg-type]
