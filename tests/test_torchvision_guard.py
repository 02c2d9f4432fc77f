"""The import of torchvision beside a torch that it was not compiled for."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from qspinn_optuna import torchvision_guard


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A torchvision that precedes the installed one; both are forgotten, and the installed one comes back."""
    monkeypatch.syspath_prepend(tmp_path)
    for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "part.py").write_text("")
    torchvision_guard.install()
    yield tmp_path / "torchvision" / "__init__.py"
    for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
        del sys.modules[name]


def test_operators_that_are_missing_are_declared(package: Path) -> None:
    package.write_text(
        "import torch, torchvision.part\n"
        "if not hasattr(torch.ops.torchvision, 'qnms'):\n"
        "    raise RuntimeError('operator torchvision::qnms does not exist')\n"
        "done = True\n"
    )
    assert importlib.import_module("torchvision").done
    assert hasattr(torch.ops.torchvision, "qnms")


def test_a_torchvision_that_works_is_loaded_once_and_by_its_own_loader(package: Path) -> None:
    package.write_text("import sys\nsys.torchvision_loads = getattr(sys, 'torchvision_loads', 0) + 1\n")
    module = importlib.import_module("torchvision")
    assert sys.torchvision_loads == 1  # type: ignore[attr-defined]
    del sys.torchvision_loads  # type: ignore[attr-defined]
    assert module.__spec__ is not None
    assert type(module.__loader__).__module__ == type(module.__spec__.loader).__module__ == "_frozen_importlib_external"


@pytest.mark.parametrize(
    ("failure", "kind"), [("RuntimeError('something else')", RuntimeError), ("ImportError('broken')", ImportError)]
)
def test_another_failure_is_not_hidden(package: Path, failure: str, kind: type[Exception]) -> None:
    package.write_text(f"import torchvision.part\nraise {failure}")
    with pytest.raises(kind, match=r"something else|broken"):
        importlib.import_module("torchvision")
    assert not [name for name in sys.modules if name.partition(".")[0] == "torchvision"]


def test_it_is_installed_once() -> None:
    before = list(sys.meta_path)
    torchvision_guard.install()
    assert sys.meta_path == before


def test_models_of_spikingjelly_are_imported_after_the_package() -> None:
    program = (
        "import qspinn_optuna\n"
        "from spikingjelly.activation_based.model import sew_resnet, spiking_resnet, spiking_vgg\n"
        "print(spiking_vgg.spiking_vgg11.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "spiking_vgg11"
