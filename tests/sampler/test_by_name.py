"""Samplers by name: each is the one that its name promises."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from qspinn_optuna import MemoryAwareSampler, QuantizationObjective
from qspinn_optuna.sampler.by_name import SAMPLERS, make_sampler
from qspinn_optuna.sampler.repeatable import RepeatableSampler
from tests.fake_workload import FakeWorkload, fake_space

KINDS = {
    "tpe": TPESampler,
    "tpe-univariate": TPESampler,
    "nsgaii": NSGAIISampler,
    "random": RandomSampler,
    "gp": GPSampler,
}


def suggestions(sampler: BaseSampler, trials: int = 20) -> list[dict[str, Any]]:
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler)
    study.optimize(QuantizationObjective(FakeWorkload(), fake_space()), n_trials=trials)
    return [trial.params for trial in study.trials]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_every_name_has_its_sampler() -> None:
    assert set(SAMPLERS) == {"memory-aware", *KINDS}
    for name in SAMPLERS:
        sampler = make_sampler(name, fake_space(), 0)
        if isinstance(sampler, RepeatableSampler):
            assert type(sampler.make(0)) is KINDS[name]
        else:
            assert (name, type(sampler)) == ("memory-aware", MemoryAwareSampler)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_tpe_is_multivariate_unless_it_says_otherwise() -> None:
    found = {name: suggestions(make_sampler(name, fake_space(), 3)) for name in ("tpe", "tpe-univariate")}
    for name, suggested in found.items():
        expected = RepeatableSampler(lambda seed, name=name: TPESampler(multivariate=name == "tpe", seed=seed), 3)  # type: ignore[misc]
        assert suggested == suggestions(expected)
    assert found["tpe"] != found["tpe-univariate"]


@pytest.mark.parametrize("name", ["memory-aware", "random", "nsgaii"])
def test_the_seed_decides_what_is_suggested(name: str) -> None:
    first, again, other = (suggestions(make_sampler(name, fake_space(), seed), 12) for seed in (0, 0, 1))
    assert first == again != other


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"name .*memory-aware.*'best'"):
        make_sampler("best", fake_space(), 0)
