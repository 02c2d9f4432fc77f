from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import neuron
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset, SubsetRandomSampler, TensorDataset

from qspinn_optuna import QFormat, Rounding
from qspinn_optuna.datasets.events import LabeledFrames
from qspinn_optuna.workloads.supervised import ConvBlock, ConvSNN, LocalLearningSNN
from qspinn_optuna.workloads.supervised.fingerprints import fingerprint, fingerprint_of_batches
from qspinn_optuna.workloads.supervised.loader import FrameBatches
from qspinn_optuna.workloads.supervised.turns import seeded


def scaled(factor: float) -> Callable[[float], float]:
    return lambda value: factor * value


class Trainer:
    def __init__(self, rate: float) -> None:
        self.rate = rate

    def train(self, network: nn.Module) -> nn.Module:
        return network


def loader(seed: int, batch_size: int = 2) -> DataLoader[tuple[Tensor, ...]]:
    return DataLoader(TensorDataset(torch.rand(6, generator=torch.Generator().manual_seed(seed))), batch_size)


def plain(value: float, power: int = 1) -> float:
    return value**power


def other(value: float, power: int = 2) -> float:
    return value**power


def local(**changes: Any) -> nn.Module:
    return LocalLearningSNN((1, 4, 4), (ConvBlock(2),), 2, **changes)


DIFFERENT: list[tuple[Any, Any]] = [
    (1, 2),
    (1, 1.0),
    ("1", 1),
    (None, 0),
    (Rounding.NEAREST, Rounding.TRUNCATION),
    (QFormat(1, 2), QFormat(2, 1)),
    ([1, 2], [2, 1]),
    ([[1], 2], [1, [2]]),
    ({"a": 1}, {"a": 2}),
    (torch.zeros(2, 3), torch.zeros(3, 2)),
    (torch.zeros(2), torch.zeros(2, dtype=torch.float64)),
    (np.zeros(2), np.ones(2)),
    (plain, other),
    (scaled(1.0), scaled(2.0)),
    (partial(plain, power=2), partial(plain, power=3)),
    (Trainer(0.1).train, Trainer(0.2).train),
    (loader(0), loader(1)),
    (loader(0), loader(0, batch_size=3)),
    (nn.Linear(2, 2), nn.Linear(2, 2)),
    (neuron.CUBALIFNode(c_decay=0.5), neuron.CUBALIFNode(c_decay=0.6)),
    (neuron.LIFNode(tau=2.0), neuron.LIFNode(tau=3.0)),
    (ConvSNN((1, 4, 4), (ConvBlock(2),), 2), ConvSNN((1, 4, 4), (ConvBlock(2),), 2, score_scale=2.0)),
    (local(), local(trace_decay=0.6)),
    (local(), local(refractory_decay=0.6)),
]


@pytest.mark.parametrize(("first", "second"), DIFFERENT, ids=range(len(DIFFERENT)))
def test_what_differs_has_another_fingerprint(first: Any, second: Any) -> None:
    assert fingerprint(first) != fingerprint(second)
    assert fingerprint(first) == fingerprint(first)


def test_what_is_made_alike_has_the_same() -> None:
    assert fingerprint(loader(0), scaled(2.0), local()) == fingerprint(loader(0), scaled(2.0), local())
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint(Trainer(0.1).train) == fingerprint(Trainer(0.1).train)


class Doubled(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 2


@pytest.mark.parametrize("value", [Doubled(2, 2), plain, Trainer(0.1).train, Trainer(0.1)])
def test_the_code_counts(value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(value)
    original = inspect.getsource
    monkeypatch.setattr(inspect, "getsource", lambda code: original(code).replace("return", "return 2 *"))
    assert fingerprint(value) != before


def test_another_process_finds_the_same() -> None:
    script = (
        "from functools import partial; import torch;"
        "from qspinn_optuna.workloads.supervised import ConvBlock, ConvSNN, fit;"
        "from qspinn_optuna.workloads.supervised.fingerprints import fingerprint;"
        "print(fingerprint(ConvSNN((1, 4, 4), (ConvBlock(2),), 2), partial(fit, epochs=2), {'a', 'b'}))"
    )
    found = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert found[0] == found[1]
    assert len(found[0].strip()) == 16


def test_cycles_end() -> None:
    looped: list[Any] = [1]
    looped.append(looped)
    assert len(fingerprint(looped)) == 16


class Files(Dataset[tuple[Tensor, int]]):
    """Samples that are in files."""

    def __init__(self, folder: Path, samples: Tensor) -> None:
        self.folder = folder
        for number, sample in enumerate(samples):
            (folder / str(number)).write_bytes(sample.numpy().tobytes())

    def __len__(self) -> int:
        return 10

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        return torch.frombuffer(bytearray((self.folder / str(number)).read_bytes()), dtype=torch.uint8), number % 2


LABELS = torch.arange(10) % 2


def frames(samples: Tensor) -> LabeledFrames:
    return LabeledFrames((samples % 2).reshape(10, 1, 1, 4, 4).numpy().astype(np.uint8), LABELS.numpy())


WAYS: dict[str, Callable[[Path, Tensor], Any]] = {
    "list": lambda _, samples: list(zip(torch.split(samples, 4), torch.split(LABELS, 4), strict=True)),
    "tensors": lambda _, samples: DataLoader(TensorDataset(samples, LABELS), 4),
    "shuffled": lambda _, samples: DataLoader(TensorDataset(samples, LABELS), 4, shuffle=True),
    "part": lambda _, samples: DataLoader(Subset(TensorDataset(samples, LABELS), range(2, 9)), 4),
    "drawn": lambda _, samples: DataLoader(TensorDataset(samples, LABELS), 4, sampler=SubsetRandomSampler(range(9))),
    "frames": lambda _, samples: FrameBatches(frames(samples), 4),
    "files": lambda folder, samples: DataLoader(Files(folder, samples), 4),
    "generated": lambda folder, samples: DataLoader(Files(folder, samples), 4, shuffle=True),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_bit_of_batches_counts(way: str, tmp_path: Path) -> None:
    def found(samples: Tensor) -> str:
        with seeded(0):
            return fingerprint_of_batches(WAYS[way](tmp_path, samples))

    samples = torch.randint(256, (10, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    first = found(samples)
    assert found(samples.clone()) == first
    for place in ((7, 3), (3, 15)):
        changed = samples.clone()
        changed[place] ^= 1
        assert found(changed) != first


def test_another_choice_of_the_same_samples_counts() -> None:
    data = TensorDataset(torch.arange(9))
    choices = (range(9), range(8), range(1, 9))
    with seeded(0):
        digests = {fingerprint_of_batches(DataLoader(data, 3, sampler=list(choice))) for choice in choices}
        digests |= {fingerprint_of_batches(DataLoader(data, batch_sampler=[[0, 1], [2, 3]]))}
        digests |= {fingerprint_of_batches(DataLoader(Subset(data, range(8)), 3))}
    assert len(digests) == 5
