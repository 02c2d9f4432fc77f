from __future__ import annotations

import optuna
import pytest

from qspinn_optuna import FrontPruner, ParetoFront, QuantizationObjective, Rounding, Scheme, open_study
from qspinn_optuna.study import set_accuracy_floor
from tests.fake_workload import FakeWorkload, fake_space


@pytest.fixture(scope="session")
def study() -> optuna.Study:
    """Random trials, two of uniform width, and two that narrow only weights."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = fake_space()
    study = open_study("fake", None, space, sampler=optuna.samplers.RandomSampler(seed=0))
    wide = space.params(space.uniform(8, Scheme.PTQ, Rounding.NEAREST))
    study.enqueue_trial(space.params(space.uniform(5, Scheme.ITQ, Rounding.STOCHASTIC)))
    study.enqueue_trial(wide)
    study.enqueue_trial({**wide, "bits.weight": 4})
    set_accuracy_floor(study, 0.8)
    study.optimize(QuantizationObjective(FakeWorkload(), space), n_trials=30)
    return study


@pytest.fixture(scope="session")
def pruned_study() -> optuna.Study:
    """A study of a hundred random trials, most of which are stopped."""
    study = open_study("pruned", None, fake_space(), sampler=optuna.samplers.RandomSampler(seed=1))
    objective = QuantizationObjective(FakeWorkload(), fake_space(), pruner=FrontPruner(0.9))
    study.optimize(objective, n_trials=60)
    return study


@pytest.fixture(scope="session")
def front(study: optuna.Study) -> ParetoFront:
    return ParetoFront.from_study(study)
