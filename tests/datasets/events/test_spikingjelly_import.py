"""Import of SpikingJelly's data sets with builds of torchvision and torchaudio that fail, or work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from qspinn_optuna.datasets.events import spikingjelly_import
from qspinn_optuna.datasets.events.spikingjelly_import import import_spikingjelly_datasets


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages that precede the installed ones, whose imports are forgotten."""
    monkeypatch.syspath_prepend(tmp_path)
    for name in [n for n in sys.modules if n.partition(".")[0] in {"torchvision", "torchaudio"}]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


def package(folder: Path, name: str, content: str) -> None:
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(content)
    (folder / name / "part.py").write_text("")


def test_the_data_sets_are_imported_and_no_stub_is_left() -> None:
    assert import_spikingjelly_datasets().DVS128Gesture.get_H_W() == (128, 128)
    assert import_spikingjelly_datasets() is import_spikingjelly_datasets()
    assert getattr(sys.modules.get("torchaudio"), "__file__", "no stub") is not None


@pytest.mark.parametrize("failure", ["raise OSError('libc10_cuda.so')", "raise ImportError('no')", "import none_such_"])
def test_a_stub_stands_for_a_torchaudio_that_fails_and_goes_again(packages: Path, failure: str) -> None:
    package(packages, "torchaudio", f"import torchaudio.part\n{failure}")
    with spikingjelly_import._torchaudio_or_a_stub():
        assert sys.modules["torchaudio"].__spec__ is None
    assert not [name for name in sys.modules if name.startswith("torchaudio")]


def test_the_stub_goes_when_the_import_fails(packages: Path) -> None:
    package(packages, "torchaudio", "raise OSError")
    with pytest.raises(ZeroDivisionError), spikingjelly_import._torchaudio_or_a_stub():
        raise ZeroDivisionError
    assert "torchaudio" not in sys.modules


def test_a_torchaudio_that_works_is_left_as_it_is(packages: Path) -> None:
    package(packages, "torchaudio", "works = True")
    with spikingjelly_import._torchaudio_or_a_stub():
        assert sys.modules["torchaudio"].works
    assert sys.modules["torchaudio"].works
    del sys.modules["torchaudio"]


def test_the_package_does_not_import_spikingjelly_before_it_is_needed() -> None:
    code = "import sys, qspinn_optuna.datasets; print({'spikingjelly', 'torchvision', 'torchaudio'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
