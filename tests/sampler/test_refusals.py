"""What the samplers refuse, and with which words."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution

from qspinn_optuna import QuantizationObjective, QuantizationSpace, Rounding, Scheme, open_study
from qspinn_optuna.sampler import KnownObjectiveSampler, MemoryAwareSampler
from tests.fake_workload import FakeWorkload, fake_space
from tests.sampler.problems import SMALL, TWELVE, Objective, cost, make_study, suggest


@pytest.mark.parametrize("known", [None, 5, {"width": 1}])
def test_what_cannot_be_called_is_refused(known: Any) -> None:
    with pytest.raises(TypeError, match="known"):
        KnownObjectiveSampler(SMALL, known)


@pytest.mark.parametrize("index", [2, -1, None, "0", 1.0])
def test_another_index_is_refused(index: Any) -> None:
    with pytest.raises(ValueError, match="index"):
        KnownObjectiveSampler(SMALL, cost, index=index)


@pytest.mark.parametrize("reference", [math.nan, math.inf, -math.inf, "1"])
def test_a_reference_that_is_no_finite_number_is_refused(reference: Any) -> None:
    with pytest.raises(ValueError, match="reference"):
        KnownObjectiveSampler(SMALL, cost, reference=reference)


def test_a_space_with_nothing_to_search_is_refused() -> None:
    singles = {"x": IntDistribution(3, 3), "kind": CategoricalDistribution(["a"])}
    for space in ({}, singles):
        with pytest.raises(ValueError, match="search_space"):
            KnownObjectiveSampler(space, cost)
    quantization = QuantizationSpace(FakeWorkload.parameters, 4, [Scheme.PTQ], [Rounding.NEAREST])
    with pytest.raises(ValueError, match=r"^space"):
        MemoryAwareSampler(quantization)


@pytest.mark.parametrize("space", [None, ["x"], {"x": (1, 5)}])
def test_what_is_no_search_space_is_refused(space: Any) -> None:
    with pytest.raises(TypeError, match="search_space"):
        KnownObjectiveSampler(space, cost)


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (lambda _: math.nan, "nan"),
        (lambda _: -math.inf, "-inf"),
        (lambda _: "large", "ValueError"),
        (lambda _: None, "TypeError"),
        (lambda params: params["missing"], "KeyError.'missing'"),
    ],
)
def test_a_known_objective_that_is_no_number_is_refused(known: Callable[[Any], Any], words: str) -> None:
    study = make_study(KnownObjectiveSampler(SMALL, known, seed=0))
    with pytest.raises(ValueError, match=f"known.* {words}"):
        study.optimize(Objective(SMALL), n_trials=10)


@pytest.mark.parametrize("directions", [["minimize"], ["minimize"] * 3])
def test_a_study_of_other_than_two_objectives_is_refused(directions: list[Any]) -> None:
    study = optuna.create_study(directions=directions, sampler=KnownObjectiveSampler(SMALL, cost, seed=0))
    with pytest.raises(ValueError, match=f"two objectives.* got {len(directions)}:"):
        suggest(study.ask(), SMALL)


@pytest.mark.parametrize("directions", [["minimize"], ["minimize", "minimize"], ["maximize", "minimize"]])
def test_memory_is_to_be_minimized_and_accuracy_to_be_maximized(directions: list[Any]) -> None:
    sampler = MemoryAwareSampler(fake_space(), seed=0)
    study = optuna.create_study(directions=directions, sampler=sampler)
    with pytest.raises(ValueError, match="directions"):
        fake_space().suggest(study.ask())


def test_a_study_of_another_space_is_refused() -> None:
    study = open_study("a", None, fake_space((2, 8)))
    study.sampler = MemoryAwareSampler(fake_space((2, 7)), seed=0)
    with pytest.raises(ValueError, match=r"^space .*'a'"):
        study.optimize(QuantizationObjective(FakeWorkload(), fake_space((2, 8))), n_trials=1)


def test_an_objective_of_a_narrower_range_is_refused() -> None:
    sampler = MemoryAwareSampler(fake_space((2, 8)), seed=0)
    study = make_study(sampler)
    with pytest.raises(ValueError, match=r"search_space.*'bits\.weight'"):
        study.optimize(QuantizationObjective(FakeWorkload(), fake_space((2, 6))), n_trials=1)


def test_an_objective_of_a_wider_range_is_warned_of() -> None:
    study = make_study(KnownObjectiveSampler(TWELVE, cost, seed=0))
    wider = {**TWELVE, "width": IntDistribution(0, 9)}
    with pytest.warns(UserWarning, match=r"search_space.*'width' from IntDistribution\(high=9"):
        study.optimize(Objective(wider), n_trials=1)


def test_an_objective_of_other_choices_is_refused() -> None:
    study = make_study(KnownObjectiveSampler(TWELVE, cost, seed=0))
    with pytest.raises(ValueError, match="dynamic value space"):
        suggest(study.ask(), {**TWELVE, "kind": CategoricalDistribution(["a", "b"])})


@pytest.mark.parametrize("space", [None, {}, fake_space().distributions])
def test_what_is_no_quantization_space_is_refused(space: Any) -> None:
    with pytest.raises(TypeError, match=r"^space"):
        MemoryAwareSampler(space)
