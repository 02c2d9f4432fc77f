"""The package as OptunaHub loads it; ``known_objective`` is a link to the folder of the same name in the project."""

from .known_objective import KnownObjectiveSampler, SpaceExhausted

__all__ = ["KnownObjectiveSampler", "SpaceExhausted"]
