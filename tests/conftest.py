"""Several processes run the tests, see pyproject.toml: each takes one thread, or they would wait for each other."""

from __future__ import annotations

import os
import signal

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Shells let what they start in the background ignore Ctrl-C; tests of it would wait for ever.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Before torch is imported, which reads it once.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SAMPLER_STORAGE = "--sampler-storage"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        SAMPLER_STORAGE,
        choices=["memory", "sqlite", "journal"],
        default="memory",
        help="where the studies of tests/sampler are (default: %(default)s)",
    )
