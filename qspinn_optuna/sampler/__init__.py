"""Samplers of studies in which one objective is known."""

from qspinn_optuna.sampler.known_objective import KnownObjectiveSampler, SpaceExhausted
from qspinn_optuna.sampler.memory_aware import MemoryAwareSampler

__all__ = ["KnownObjectiveSampler", "MemoryAwareSampler", "SpaceExhausted"]
