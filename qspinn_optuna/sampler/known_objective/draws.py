"""Random draws that follow from the study, not from the process that makes them."""

from __future__ import annotations

import zlib

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial

_RETRIED = "failed_trial"
"""System attribute of a trial that tries another one again, as Optuna names it: the number of the first attempt."""


def seeds_of(seed: int, study: Study, trial: FrozenTrial, purpose: str = "") -> np.random.SeedSequence:
    """Seeds of a trial, the same in every process.

    A trial that tries an interrupted one again has the seeds of that one, and the trials after it have those that they
    would have had without the interruption.

    Args:
        seed: Of the sampler.
        study: The study.
        trial: The trial that is being sampled.
        purpose: What is drawn; draws for different purposes are independent.
    """
    return np.random.SeedSequence([seed, place_of(study, trial), zlib.crc32(purpose.encode())])


def fresh_seed() -> int:
    """A seed that no other process has."""
    return int.from_bytes(np.random.SeedSequence().generate_state(4).tobytes(), "little")


def first_attempt(trial: FrozenTrial) -> int:
    """The number of the trial that a trial tries again; its own number if it is a first attempt."""
    first: int = trial.system_attrs.get(_RETRIED, trial.number)
    return first


def place_of(study: Study, trial: FrozenTrial) -> int:
    """The number that the first attempt would have if nothing before it had been tried again."""
    first = first_attempt(trial)
    earlier = study.get_trials(deepcopy=False)[:first]
    return first - sum(first_attempt(other) != other.number for other in earlier)
