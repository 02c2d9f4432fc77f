"""Two processes run the tests, see pyproject.toml: each takes one thread, or they would wait for each other."""

from __future__ import annotations

import os

# Before torch is imported, which reads it once.
os.environ.setdefault("OMP_NUM_THREADS", "1")
