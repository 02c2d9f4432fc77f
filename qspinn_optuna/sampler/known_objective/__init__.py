"""A sampler for studies of two objectives of which one is known without an evaluation.

The modules of this folder import each other relatively and nothing else of the project: the folder is published on
its own too, as a package of OptunaHub. From the sampler down:

- ``sampler``: the sampler of Optuna, which ties the others together;
- ``initial_design``, ``probes``, ``acquisition``, ``maximizer``, ``descent``: what is suggested; ``claims``: by whom,
  and once only;
- ``surrogate``, with ``model``, ``saturating``, ``prior``, ``cliffs``, ``residuals`` and ``constraint_model``: what is
  expected of a configuration; ``milestones`` and ``window``: of which observations, and from where on;
- ``expectation``: what is known of single parameters before there are trials;
- ``history``, with ``observations``, ``constraints`` and ``fixed``: what the trials of a study tell;
- ``objectives``, ``linear``, ``improvement``, ``grid``: costs and gains, hypervolume, the search space in numbers;
- ``draws``: the random numbers of a trial.
"""

from .claims import SpaceExhausted
from .sampler import KnownObjectiveSampler

__all__ = ["KnownObjectiveSampler", "SpaceExhausted"]
