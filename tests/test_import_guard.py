"""Imports beside a torch that torchvision and torchaudio were not compiled for."""

from __future__ import annotations

import importlib
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from qspinn_optuna import import_guard


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A torchvision that precedes the installed one; both are forgotten, and the installed one comes back."""
    monkeypatch.syspath_prepend(tmp_path)
    for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "part.py").write_text("")
    import_guard.install()
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
    import_guard.install()
    assert sys.meta_path == before


def test_models_of_spikingjelly_are_imported_after_the_package() -> None:
    done = run_program(
        "from spikingjelly.activation_based.model import sew_resnet, spiking_resnet, spiking_vgg\n"
        "print(spiking_vgg.spiking_vgg11.__name__)"
    )
    assert done.stdout.strip() == "spiking_vgg11"


BROKEN = [
    "raise OSError('libc10_cuda.so')",
    "raise ImportError('no')",
    "raise AttributeError('torch has none')",
    "import none_such_",
]

DATASETS = "from spikingjelly.datasets.part import torchaudio, DatasetFolder\n"
LEFT = "import sys\nprint([name for name in sys.modules if name.startswith(('torchaudio', 'torchvision'))])\n"


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder of small packages that import each other as SpikingJelly's data sets do."""
    write_package(tmp_path, "spikingjelly", "")
    write_package(
        tmp_path / "spikingjelly", "datasets", "import torchaudio\nfrom torchvision.part import DatasetFolder"
    )
    (tmp_path / "spikingjelly" / "datasets" / "part.py").write_text("from . import torchaudio, DatasetFolder")
    write_package(tmp_path, "torchaudio", "works = True")
    write_package(tmp_path, "torchvision", "")
    (tmp_path / "torchvision" / "part.py").write_text("class DatasetFolder: pass")
    return tmp_path


@pytest.mark.parametrize("name", ["torchaudio", "torchvision"])
@pytest.mark.parametrize("failure", BROKEN)
def test_data_sets_are_imported_beside_a_package_that_fails_to_others_as_before(
    packages: Path, name: str, failure: str
) -> None:
    (packages / name / "__init__.py").write_text(f"import {name}.part\n{failure}")
    again = f"try:\n    import {name}\nexcept Exception as error:\n    print(type(error).__name__)"
    done = run_program(f"{DATASETS}{LEFT}{again}", packages)
    others = {"torchaudio": ["torchvision", "torchvision.part"], "torchvision": ["torchaudio"]}[name]
    failed = failure.removeprefix("raise ").partition("(")[0] if "raise" in failure else "ModuleNotFoundError"
    assert done.stdout.splitlines() == [str(others), failed]


def test_data_sets_are_imported_without_torchaudio(packages: Path) -> None:
    done = run_program(f"import sys\nsys.modules['torchaudio'] = None\n{DATASETS}print(torchaudio.__path__)", packages)
    assert done.stdout.strip() == "[]"


def test_a_torchaudio_and_a_torchvision_that_work_are_the_ones_that_data_sets_use(packages: Path) -> None:
    done = run_program(
        f"{DATASETS}import sys\nprint(torchaudio.works, sys.modules['torchaudio'] is torchaudio)", packages
    )
    assert done.stdout.strip() == "True True"


def test_what_a_data_set_needs_of_a_torchaudio_that_fails_tells_the_failure(packages: Path) -> None:
    (packages / "torchaudio" / "__init__.py").write_text(BROKEN[0])
    load = "try:\n    torchaudio.load\nexcept AttributeError as error:\n    print(error)"
    done = run_program(DATASETS + load, packages)
    assert done.stdout.strip() == "torchaudio has no 'load', since its import failed: libc10_cuda.so"


def test_data_sets_without_torchvision_tell_what_to_install(packages: Path) -> None:
    hide = "from qspinn_optuna import import_guard\nimport_guard.find_spec = lambda name: None\n"
    done = run_program(hide + DATASETS, packages, check=False)
    assert done.returncode == 1
    assert "spikingjelly.datasets reads folders and archives by torchvision, which is not installed" in done.stderr


def test_data_sets_of_spikingjelly_itself_are_imported_beside_a_torchaudio_that_fails(tmp_path: Path) -> None:
    write_package(tmp_path, "torchaudio", BROKEN[0])
    program = "from spikingjelly.datasets.n_mnist import NMNIST\nprint(NMNIST.get_H_W())\n"
    assert run_program(program, tmp_path).stdout.strip() == "(34, 34)"


def test_the_package_does_not_import_spikingjelly_before_it_is_needed() -> None:
    code = "import sys, qspinn_optuna.datasets; print({'spikingjelly', 'torchvision', 'torchaudio'} & set(sys.modules))"
    assert run_program(code).stdout.strip() == "set()"


def test_torch_does_not_remark_on_missing_triton(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("torch._library.triton")
    logger.warning("Triton not available, find_triton_kernels = []")
    logger.warning("another remark")
    assert caplog.messages == ["another remark"]


def write_package(folder: Path, name: str, content: str) -> None:
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(content)
    (folder / name / "part.py").write_text("")


def run_program(program: str, folder: Path | None = None, *, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a program that imports the package first; packages in ``folder`` precede those that are installed."""
    path = os.pathsep.join(filter(None, (str(folder or ""), os.environ.get("PYTHONPATH"))))
    return subprocess.run(
        [sys.executable, "-c", f"import qspinn_optuna\n{program}"],
        capture_output=True,
        text=True,
        check=check,
        env={**os.environ, "PYTHONPATH": path},
    )
