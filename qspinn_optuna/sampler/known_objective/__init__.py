"""A sampler for studies of two objectives of which one is known without an evaluation.

The modules of this folder import each other relatively and nothing else of the project: the folder is published on
its own too, as a package of OptunaHub.
"""

from .sampler import KnownObjectiveSampler, SpaceExhausted

__all__ = ["KnownObjectiveSampler", "SpaceExhausted"]
