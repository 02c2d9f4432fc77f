"""How far a search is: a bar on a terminal, otherwise a line every few trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from types import TracebackType

from optuna.trial import TrialState

from qspinn_optuna.display import Display


class Progress:
    """Shows finished trials: a bar on stderr if that is a terminal, otherwise lines on stdout, ten or a few more.

    Example:
        >>> progress = Progress(20)

    Args:
        n_trials: Trials in all.
        write: Writes a line; :func:`print` if not given.
    """

    def __init__(self, n_trials: int, write: Callable[[str], None] | None = None) -> None:
        self._states: Counter[TrialState] = Counter()
        self._display = Display("", n_trials, "trial", stays=True, write=write)

    def __enter__(self) -> Progress:
        self._display.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._display.__exit__(kind, error, trace)

    def add(self, state: TrialState) -> None:
        """Show that a trial has finished, and how."""
        self._states[state] += 1
        self._display.advance(", ".join(f"{count} {state.name.lower()}" for state, count in self._states.items()))
