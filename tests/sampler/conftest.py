"""The tests of samplers on storages: in memory, unless `--sampler-storage` names another one."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.storages import BaseStorage

from qspinn_optuna.study.storage import open_storage
from tests.conftest import SAMPLER_STORAGE

OpenStorage = Callable[[str], BaseStorage]
"""Opens a new storage of a kind, "sqlite" or "journal"."""


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: Optuna takes half a second to make its tables."""
    path = tmp_path_factory.mktemp("database") / "empty.db"
    open_storage(f"sqlite:///{path}").remove_session()
    return path


@pytest.fixture
def new_storage(tmp_path: Path, empty_database: Path) -> OpenStorage:
    numbers = itertools.count()

    def new(kind: str) -> BaseStorage:
        path = tmp_path / f"studies-{next(numbers)}"
        if kind == "sqlite":
            shutil.copy(empty_database, path)
        return open_storage(f"{kind}:///{path}")

    return new


@pytest.fixture(autouse=True)
def _storage_of_the_option(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies that name no storage are on one of the option's kind."""
    kind = request.config.getoption(SAMPLER_STORAGE)
    if kind != "memory":
        new: OpenStorage = request.getfixturevalue("new_storage")
        use_instead_of_memory(monkeypatch, lambda: new(kind))


def use_instead_of_memory(monkeypatch: pytest.MonkeyPatch, new: Callable[[], BaseStorage]) -> None:
    """Let studies that name no storage be on a new one."""
    get_storage = optuna.storages.get_storage
    monkeypatch.setattr(optuna.storages, "get_storage", lambda one: new() if one is None else get_storage(one))
