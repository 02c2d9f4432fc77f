from __future__ import annotations

from collections.abc import Iterator

import optuna
import pytest


@pytest.fixture
def shown(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What is told where only errors are."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    optuna.logging.enable_propagation()
    yield caplog
    optuna.logging.disable_propagation()
