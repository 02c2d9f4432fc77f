"""What a process is doing, how far it is and how long it will take: one display at a time.

On a terminal it is a bar on stderr, elsewhere lines on stdout. What runs inside of something that is displayed has no
display of its own: it tells how far it is in that of the whole.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tqdm import tqdm

_LINES = 10
"""Lines of work without a terminal, if they come fast enough."""

_SILENCE = 10.0
"""Seconds after which there is another line, in the beginning; later a part of the time that has passed."""

_LATER = 0.05
"""That part: an hour of work has a line every three minutes."""

_PULSE = 1.0
"""Seconds between two looks at the time."""

_shown: list[Display] = []
"""What is displayed, and what is in it; only the first one is seen."""

_silenced = threading.Event()


def silence() -> None:
    """Display nothing in this process any more: another one does."""
    _silenced.set()


class Display:
    """Shows work that goes on.

    Args:
        what: The work, such as "training the float network"; empty if the unit says it.
        total: Units of it; None if that is not known.
        unit: What is counted, in the singular.
        lines: Whether lines are written where there is no terminal.
        stays: Whether the bar stays at the end.
        hidden: Whether nothing is shown at all.
        write: Writes a line; :func:`print` if not given.
    """

    def __init__(
        self,
        what: str,
        total: int | None = None,
        unit: str = "",
        *,
        lines: bool = True,
        stays: bool = False,
        hidden: bool = False,
        write: Callable[[str], None] | None = None,
    ) -> None:
        self.total = total
        self._what = what
        self._unit = unit
        self._lines = lines
        self._stays = stays
        self._hidden = hidden
        self._write = _print if write is None else write
        self.done = 0
        self._state = ""
        self._start = self._written = time.monotonic()
        self._ended = threading.Event()
        self._bar: tqdm | None = None

    def __enter__(self) -> Self:
        self._start = self._written = time.monotonic()
        if self._hidden:
            return self
        _shown.append(self)
        if _shown[0] is self and not _silenced.is_set():
            self._show()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self in _shown:
            _shown.remove(self)
        if self._bar is not None:
            self._bar.close()

    def advance(self, state: str = "", count: int = 1) -> None:
        """Show that some units are done.

        Args:
            state: How the work stands, such as "3 complete".
            count: Units.
        """
        before, self.done, self._state = self.done, self.done + count, state
        if self._bar is not None:
            self._bar.update(count)
            self._refresh()
        elif self.total and self._is_seen and self.done * _LINES // self.total > before * _LINES // self.total:
            self._write_line()

    def tell(self, line: str) -> None:
        """Write a line that says something else."""
        if self._bar is not None:
            tqdm.write(line, file=sys.stderr)
        else:
            self._write(line)
            self._written = time.monotonic()

    @property
    def _is_seen(self) -> bool:
        return self._lines and bool(_shown) and _shown[0] is self and not _silenced.is_set()

    def _show(self) -> None:
        if _has_room_for_a_bar():
            # Shorter than tqdm's own: how the work stands has room in 60 columns, too.
            counted = f"{{n_fmt}} of {{total_fmt}} {self._unit}s |{{bar}}| {{elapsed}}, {{remaining}} to go"
            begin = f"{self._what}: " if self._what else ""
            self._bar = tqdm(
                total=self.total,
                leave=self._stays,
                bar_format=begin + (counted if self.total else "{elapsed}") + "{postfix}",
                dynamic_ncols=True,
            )
        elif not self._lines:
            return
        # A daemon: it ends with the process even if a generator leaves the display open.
        threading.Thread(target=self._pulse, daemon=True).start()

    def _pulse(self) -> None:
        """Let time be seen to pass, also while nothing advances."""
        while not self._ended.wait(_PULSE):
            if self._bar is not None:
                self._refresh()
            elif time.monotonic() - self._written >= max(_SILENCE, _LATER * self._seconds):
                self._write_line()

    def _refresh(self) -> None:
        assert self._bar is not None
        self._bar.set_postfix_str(", ".join(filter(None, [self._state, *_inside()])))

    def _write_line(self) -> None:
        self._written = time.monotonic()
        inside = ", ".join(_inside())
        self._write(self.line + (f" ({inside})" if inside else ""))

    @property
    def line(self) -> str:
        """How far the work is, and how long it will take."""
        begin = f"{self._what}: " if self._what else ""
        if not self.total:
            return f"{begin}{self._counted}{self._seconds:.0f} s"
        state = f" ({self._state})" if self._state else ""
        return f"{begin}{self.done} of {self.total} {self._unit}s{state} in {self._seconds:.0f} s{self._ahead}"

    @property
    def brief(self) -> str:
        """The same in a display of something else."""
        if not self.total:
            return f"{self._what} {self._counted}".rstrip(" ,")
        return f"{self._what} {self.done} of {self.total} {self._unit}s{self._ahead}"

    @property
    def _counted(self) -> str:
        """Of work whose amount is not known."""
        return f"{self.done} {self._unit}s, " if self._unit else ""

    @property
    def _ahead(self) -> str:
        left = (self.total or 0) - self.done
        return f", about {self._seconds / self.done * left:.0f} s to go" if self.done and left > 0 else ""

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._start


def part(what: str, total: int | None = None, unit: str = "", *, hidden: bool = False) -> Display:
    """What a function shows that may run by itself: a bar on a terminal, and no lines elsewhere."""
    return Display(what, total, unit, lines=False, hidden=hidden)


def _has_room_for_a_bar() -> bool:
    """Whether stderr is a terminal; one that does not know its size, as of some containers, shows no bars."""
    if not sys.stderr.isatty():
        return False
    try:
        return min(os.get_terminal_size(sys.stderr.fileno())) > 0
    except OSError:
        return True


def _inside() -> list[str]:
    """What is displayed in the display of the whole."""
    return [one.brief for one in list(_shown[1:])]


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
