"""Random numbers in a ``forward``: the same in each run of a comparison, or refused."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qspinn_optuna.networks.running.nested import map_leaves

_SEED = 0


@contextlib.contextmanager
def same_draws() -> Iterator[None]:
    """A context in which torch's global generators begin anew; they are put back afterwards."""
    with torch.random.fork_rng():
        torch.manual_seed(_SEED)
        yield


def check_repeatable(observe: Callable[[], Iterable[Tensor]]) -> None:
    """Run a network twice from the same seed of torch's, and refuse it if what is seen differs.

    Args:
        observe: Runs the network, and gives what it computed on the way.

    Raises:
        ValueError: Naming whose random numbers differ.
    """
    before = _states()
    with same_draws():
        first = list(observe())
    after = _states()
    with same_draws():
        second = list(observe())
    if len(first) == len(second) and all(map(_same, first, second)):
        return
    sources = [name for name, state in before.items() if after[name] != state] or ["something else than torch's seed"]
    raise ValueError(
        f"network draws differently each time that it runs on the same batch: it uses {' and '.join(sources)}, which "
        "torch.manual_seed does not seed. Draw with torch.rand, torch.bernoulli or the like, or outside of forward."
    )


def copied(inputs: Any) -> Any:
    """Inputs that a ``forward`` may change in place."""
    return map_leaves(inputs, lambda value: value.clone() if isinstance(value, Tensor) else value)


def _states() -> dict[str, Any]:
    """States of the global generators that torch does not seed."""
    kind, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 - the user's
    return {"Python's random": random.getstate(), "numpy.random": (kind, np.asarray(keys).tobytes(), *rest)}


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one.nan_to_num(), other.nan_to_num())
