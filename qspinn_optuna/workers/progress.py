"""How far a search is: a bar on a terminal, otherwise a line every few trials."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType

from optuna.trial import TrialState
from tqdm.auto import tqdm

_LINES = 10
"""Lines of a search without a terminal."""


class Progress:
    """Shows finished trials: a bar on stderr if that is a terminal, otherwise about ten lines on stdout.

    Example:
        >>> progress = Progress(20)

    Args:
        n_trials: Trials in all.
        write: Writes a line; :func:`print` if not given.
    """

    def __init__(self, n_trials: int, write: Callable[[str], None] | None = None) -> None:
        self._n_trials = n_trials
        self._states: Counter[TrialState] = Counter()
        self._start = time.monotonic()
        self._write = _print if write is None else write
        self._bar = tqdm(total=n_trials, unit="trial") if sys.stderr.isatty() else None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def add(self, state: TrialState) -> None:
        """Show that a trial has finished, and how."""
        self._states[state] += 1
        if self._bar is not None:
            self._bar.update()
            return
        done = self._states.total()
        if done * _LINES // self._n_trials > (done - 1) * _LINES // self._n_trials:
            self._write(self._line(done))

    def tell(self, line: str) -> None:
        """Tell what is no progress, on stderr."""
        tqdm.write(line, file=sys.stderr)

    def _line(self, done: int) -> str:
        states = ", ".join(f"{count} {state.name.lower()}" for state, count in self._states.items())
        seconds = time.monotonic() - self._start
        left = self._n_trials - done
        ahead = f", about {seconds / done * left:.0f} s to go" if left > 0 else ""
        return f"{done} of {self._n_trials} trials ({states}) in {seconds:.0f} s{ahead}"


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
