from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import neuron
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from qspinn_optuna import QFormat, Rounding
from qspinn_optuna.workloads.supervised import ConvBlock, ConvSNN, LocalLearningSNN
from qspinn_optuna.workloads.supervised.fingerprints import fingerprint


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
