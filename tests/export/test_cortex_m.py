"""Sizes for a Cortex-M3, and runs on it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from exporting.random_models import random_model
from qspinn_optuna.export import Core, Export, Sizes, ToolError, export_c
from qspinn_optuna.export.elf import read_object
from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding
from qspinn_optuna.integer import Codes, IntegerModel, MeanResponse, RateCoding, WinnerTakeAll, linear_chances
from tests.integer.models import example_model, random_codes, random_images

PREFIX = "arm-none-eabi-"
WEIGHT, NEURONS, INPUTS = 1, 100, 200

needs_arm = pytest.mark.skipif(shutil.which(f"{PREFIX}gcc") is None, reason="arm-none-eabi-gcc is not installed")
needs_qemu = pytest.mark.skipif(
    not all(map(shutil.which, (f"{PREFIX}gcc", "qemu-system-arm", "make"))),
    reason="arm-none-eabi-gcc, qemu-system-arm and make are needed",
)


def sized_model(inputs: int = 784, neurons: int = 400) -> IntegerModel:
    """The sizes and widths of a network for MNIST; its codes are random."""
    generator = np.random.default_rng(0)
    layer = WinnerTakeAll(
        weight=random_codes(generator, QFormat(0, 1, signed=False), (inputs, neurons)),
        scale=random_codes(generator, QFormat(1, 7, signed=False), (neurons,)),
        theta=random_codes(generator, QFormat(9, -1, signed=False), (neurons,)),
        decay=Codes(np.array([253]), QFormat(0, 8, signed=False)),
        membrane=ParameterQuantization(QFormat(9, -1), Rounding.NEAREST),
        threshold=4,
        reset=3,
        inhibition=150,
        refractory_steps=5,
    )
    coding = RateCoding(linear_chances(0.25), 100, inputs, np.arange(inputs))
    return IntegerModel(coding, layer, MeanResponse(generator.integers(0, 10, neurons), 10), seed=1, first_sample=0)


@pytest.fixture(scope="module")
def sized(tmp_path_factory: pytest.TempPathFactory) -> tuple[Export, Sizes]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Export, "report", lambda _: "")
        export = export_c(sized_model(), tmp_path_factory.mktemp("sized"))
    return export, export.sizes()


@needs_arm
def test_constants_and_state_are_hardly_more_than_the_footprint(sized: tuple[Export, Sizes]) -> None:
    export, sizes = sized
    assert sizes.constants <= 1.002 * export.model.constant_bits / 8
    counted = sum(sizes.members[member.name] for member in export.program.members if member.bits)
    assert counted <= 1.01 * export.model.state_bits / 8
    assert sizes.code <= 3072
    assert sizes.variables == 0
    assert sizes.stack is not None
    assert 0 < sizes.stack < 2048


@needs_arm
def test_sizes_are_those_of_the_toolchain(sized: tuple[Export, Sizes], tmp_path: Path) -> None:
    export, sizes = sized
    flags = ["-mcpu=cortex-m3", "-mthumb", "-Os", "-std=c99", "-ffunction-sections", "-fdata-sections"]
    target = tmp_path / "model.o"
    subprocess.run([f"{PREFIX}gcc", *flags, "-c", "model.c", "-o", target], cwd=export.folder, check=True)
    said = subprocess.run([f"{PREFIX}size", target], capture_output=True, text=True, check=True).stdout
    text, data, bss = map(int, said.splitlines()[1].split()[:3])
    assert (sizes.code + sizes.constants, sizes.variables) == (text, data + bss)
    said = subprocess.run([f"{PREFIX}nm", "-S", target], capture_output=True, text=True, check=True).stdout
    named = {row.split()[3]: int(row.split()[1], 16) for row in said.splitlines() if len(row.split()) == 4}
    assert read_object(target).symbols.items() >= named.items()


@needs_arm
@pytest.mark.parametrize("cpu", ["cortex-m0", "cortex-m3"])
@pytest.mark.parametrize("seed", [0, 3])
def test_nothing_but_integers_is_linked(tmp_path: Path, cpu: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    monkeypatch.setattr(Export, "report", lambda _: "")
    export = export_c(random_model(seed), tmp_path / "export")
    core = cpu.removeprefix("cortex-")
    warnings = "EXTRA=-Werror"
    subprocess.run(["make", "-s", "cortex-m", f"CORE={core}", warnings], cwd=export.folder, check=True)
    linked = export.folder / "build" / cpu / "test.elf"
    said = subprocess.run([f"{PREFIX}nm", linked], capture_output=True, text=True, check=True).stdout
    names = {row.split()[-1] for row in said.splitlines()}
    assert "snn_step" in names
    assert not {
        name for name in names if re.match(r"__aeabi_[fd]|_?_?(add|mul|div|sub)[sd]f3|malloc|free|printf", name)
    }


@needs_qemu
def test_a_cortex_m3_computes_the_same(tmp_path: Path) -> None:
    export = export_c(example_model(), tmp_path, samples=random_images(5, 4))
    emulation = export.emulate(Core.M3)
    assert len(emulation.instructions) == 4
    # The same instructions every time, and more of them without optimization.
    assert export.emulate(Core.M3) == emulation
    slow = export.emulate(Core.M3, "-O0").mean
    assert emulation.mean is not None
    assert slow is not None
    assert slow > 1.5 * emulation.mean
    report = (tmp_path / "REPORT.md").read_text()
    assert f"{emulation.mean:,.0f} a sample" in report


@needs_qemu
def test_a_mistake_is_found_on_a_device(tmp_path: Path) -> None:
    export = export_c(example_model(), tmp_path, samples=random_images(5, 4))
    source = export.folder / "model.c"
    source.write_text(source.read_text().replace("#define SNN_RESET INT32_C(4)", "#define SNN_RESET INT32_C(5)"))
    with pytest.raises(ToolError, match="FAIL"):
        export.emulate()


@needs_arm
def test_the_report_adds_up(tmp_path: Path) -> None:
    export = export_c(random_model(1), tmp_path)
    sizes = export.sizes()
    report = (tmp_path / "REPORT.md").read_text()
    flash, ram = report.split("## ")[1:3]
    for text, total in ((flash, sizes.constants + sizes.code), (ram, sizes.state)):
        rows = [row.split("|")[1:-1] for row in text.splitlines() if row.startswith("| ")][1:]
        single = [int(row[3]) for row in rows if "**" not in row[0] and row[3].strip().isdigit()]
        assert sum(single) == total
        assert f"**{total}**" in text


def test_without_a_compiler_the_report_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    export_c(example_model(), tmp_path / "export")
    report = (tmp_path / "export" / "REPORT.md").read_text()
    assert "Code and RAM were not measured: arm-none-eabi-gcc is needed" in report
    assert "Instructions were not counted" in report
    assert "| `weights`" not in report
    assert "| `last_weights`" in report


def test_what_is_no_object_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.o").write_text("x" * 100)
    with pytest.raises(ValueError, match="must be an ELF file"):
        read_object(tmp_path / "text.o")
