"""The suites that Optuna has for samplers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)

from qspinn_optuna.sampler import KnownObjectiveSampler, MemoryAwareSampler
from tests.fake_workload import fake_space
from tests.sampler.problems import SMALL, cost


class TestMemoryAwareSampler(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: MemoryAwareSampler(fake_space(), seed=0)


class TestKnownObjectiveSampler(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        # The suites call their parameters x, y and z: these are others.
        return lambda: KnownObjectiveSampler({f"{name}{name}": SMALL[name] for name in SMALL}, cost, seed=0)
