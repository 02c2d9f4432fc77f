"""The C against the interpreter, on models of all formats; mistakes in it are found."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from exporting.mutants import MUTANTS
from exporting.random_models import random_model, random_samples
from qspinn_optuna.export import DifferenceError, Export, ToolError, export_c, tools
from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding
from qspinn_optuna.integer import IntegerModel, MeanResponse, WinnerTakeAll
from qspinn_optuna.integer.winner_take_all_runtime import respond
from tests.integer.models import PIXELS, example_model, models, random_codes, random_images

STRICT = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-O0")
UNPACKED = "-DSNN_UNPACKED"
SANITIZED = (*STRICT, "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def skip_without(compiler: str, folder: Path) -> None:
    """Skip the test if a compiler is missing, or the library of its sanitizers, which is a package of its own."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    (folder / "nothing.c").write_text("int main(void) { return 0; }\n")
    command = [compiler, *SANITIZED, "nothing.c", "-o", "nothing"]
    if subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode != 0:
        pytest.skip(f"the sanitizers of {compiler} are not installed, such as those of clang with libclang-rt-dev")


needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, tools.HOST_COMPILERS)), reason="no C compiler: cc, gcc or clang is needed"
)


@pytest.fixture
def _no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """The report compiles for a device and emulates it, which takes longer than the rest."""
    monkeypatch.setattr(Export, "report", lambda _: "")


@needs_compiler
@pytest.mark.usefixtures("_no_report")
def test_every_spike_and_membrane_is_that_of_the_interpreter(tmp_path: Path) -> None:
    some_spike = 0
    for seed in range(20):
        model = random_model(seed)
        samples = random_samples(model, 10, seed)
        done = export_c(model, tmp_path, samples=samples[:1], overwrite=True).verify(samples, flags=STRICT)
        steps = len(samples) * model.coding.steps
        assert isinstance(model.network, WinnerTakeAll)
        assert (done.samples, done.values) == (len(samples), steps * (model.network.neurons + 1))
        some_spike += 0 < (respond(model, samples).winners >= 0).sum() < steps
    assert some_spike >= 6


@needs_compiler
@pytest.mark.usefixtures("_no_report")
def test_the_code_of_a_computer_computes_the_same(tmp_path: Path) -> None:
    for seed in range(8):
        model = random_model(seed)
        samples = random_samples(model, 10, seed)
        export = export_c(model, tmp_path, samples=samples[:1], overwrite=True)
        export.verify(samples, flags=(*(SANITIZED if seed == 0 else STRICT), UNPACKED))


@needs_compiler
@pytest.mark.usefixtures("_no_report")
def test_it_is_that_of_small_models_too(tmp_path: Path) -> None:
    @settings(max_examples=12, deadline=None, derandomize=True)
    @given(models())
    def compare(model: IntegerModel) -> None:
        export_c(model, tmp_path, overwrite=True).verify(random_images(1, 12), first_sample=7, flags=STRICT)

    compare()


@needs_compiler
@pytest.mark.usefixtures("_no_report")
@pytest.mark.parametrize("rounding", Rounding)
def test_more_than_32_bits_are_dropped(tmp_path: Path, rounding: Rounding) -> None:
    generator = np.random.default_rng(1)
    example = example_model().network
    assert isinstance(example, WinnerTakeAll)
    layer = replace(
        example,
        weight=random_codes(generator, QFormat(4, 20, signed=False), (6, 4)),
        scale=random_codes(generator, QFormat(1, 20, signed=False), (4,)),
        membrane=ParameterQuantization(QFormat(8, 0), rounding),
    )
    model = replace(example_model(), network=layer)
    assert layer.constants.rounding.drop == 40
    samples = random_images(6, 20)
    assert (respond(model, samples).winners >= 0).any()
    export_c(model, tmp_path).verify(samples, flags=STRICT)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.usefixtures("_no_report")
def test_compilers_warn_of_nothing_and_sanitizers_find_nothing(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, compiler: str
) -> None:
    skip_without(compiler, tmp_path_factory.mktemp("sanitizers"))
    for seed in (0, 1, 3, 5):
        model = random_model(seed)
        export = export_c(model, tmp_path, overwrite=True)
        assert export.verify(random_samples(model, 5), compiler=compiler, flags=SANITIZED).compiler == compiler
        for source in ("model.c", "main.c", "host.c"):
            # Some warnings come with optimization alone.
            command = [compiler, *STRICT, "-O2", "-c", source, "-o", tmp_path / "object.o"]
            assert subprocess.run(command, cwd=export.folder, capture_output=True, check=True).stderr == b""


@needs_compiler
@pytest.mark.usefixtures("_no_report")
@pytest.mark.parametrize(
    "name",
    [
        "fires above the threshold, not at it",
        "the last of equals wins",
        "division instead of a shift",
        "saturation one code early",
        "one refractory step less",
        "packing across words loses bits",
        "draws do not depend on the step",
        "sums of spikes instead of means",
    ],
)
def test_a_mistake_is_found(tmp_path: Path, name: str) -> None:
    (mutant,) = (mutant for mutant in MUTANTS if mutant.name == name)
    for seed in range(8):
        model = random_model(seed)
        export = export_c(model, tmp_path, overwrite=True)
        source = export.folder / "model.c"
        wrong = mutant.apply(source.read_text())
        if wrong is None:
            continue
        source.write_text(wrong)
        try:
            export.verify(random_samples(model, 20, seed), flags=("-std=c99", "-O0"))
        except DifferenceError:
            return
    pytest.fail("no model shows the mistake")


@needs_compiler
@pytest.mark.usefixtures("_no_report")
def test_the_first_difference_is_named(tmp_path: Path) -> None:
    export = export_c(example_model(), tmp_path, samples=random_images(3, 3))
    source = export.folder / "model.c"
    text = source.read_text()
    source.write_text(text.replace("#define SNN_RESET INT32_C(4)", "#define SNN_RESET INT32_C(5)"))
    samples = random_images(3, 3)
    responses = respond(example_model(), samples)
    image, step = np.argwhere(responses.winners >= 0)[0].tolist()
    winner = responses.winners[image, step]
    with pytest.raises(
        DifferenceError,
        match=f"sample {100 + image}, step {step}: the membrane of neuron {winner} is 5 in C and 4 in the interpreter",
    ):
        export.verify(samples)


@needs_compiler
@pytest.mark.usefixtures("_no_report")
def test_the_test_that_goes_with_it_passes_and_fails_if_the_c_is_wrong(tmp_path: Path) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    export = export_c(example_model(), tmp_path, "spiking", samples=random_images(4, 3))
    done = subprocess.run(["make", "-s", "test"], cwd=export.folder, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "OK 3 of 3 vectors"
    source = export.folder / "model.c"
    source.write_text(source.read_text().replace("0x94D049BB133111EB", "0x94D049BB133111E9"))
    done = subprocess.run(["make", "-s", "-B", "test"], cwd=export.folder, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stdout.splitlines()[-1].startswith("FAIL ")


@needs_compiler
@pytest.mark.usefixtures("_no_report")
def test_two_networks_live_in_one_program(tmp_path: Path) -> None:
    """All names begin with the prefix: even one file may hold two networks."""
    expected = []
    lines = ["#include <stdio.h>"]
    for prefix, seed in (("one", 0), ("two", 1)):
        model = random_model(seed)
        samples = random_samples(model, 1)
        export_c(model, tmp_path / prefix, prefix, samples=samples)
        assert isinstance(model.readout, MeanResponse)
        expected.append(int(model.readout.classify(respond(model, samples).counts)[0]))
        lines += [f'#include "{prefix}/model.c"', f'#include "{prefix}/vectors.h"']
    lines.append(
        "int main(void) { static one_state a; static two_state b; "
        'printf("%d %d\\n", one_classify(&a, ONE_FIRST_SAMPLE, one_vector_inputs[0]), '
        "two_classify(&b, TWO_FIRST_SAMPLE, two_vector_inputs[0])); return 0; }"
    )
    (tmp_path / "both.c").write_text("\n".join(lines))
    subprocess.run([tools.host_compiler(), "both.c", "-o", "both"], cwd=tmp_path, check=True)
    done = subprocess.run(["./both"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert [int(word) for word in done.stdout.split()] == expected


@pytest.mark.usefixtures("_no_report")
def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export = export_c(example_model(), tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(ToolError, match="cc or gcc or clang is needed and not installed"):
        export.verify(random_images(0, 1))
    with pytest.raises(ToolError, match="gcc-arm-none-eabi"):
        export.sizes()
    with pytest.raises(ToolError, match="install make"):
        export.emulate()


@needs_compiler
@pytest.mark.usefixtures("_no_report")
def test_a_program_that_does_not_compile_says_why(tmp_path: Path) -> None:
    export = export_c(example_model(), tmp_path)
    (export.folder / "model.c").write_text("int model;")
    with pytest.raises(ToolError, match="failed with status"):
        export.verify(random_images(0, 1))


@pytest.mark.usefixtures("_no_report")
def test_samples_must_fit(tmp_path: Path) -> None:
    export = export_c(example_model(), tmp_path)
    with pytest.raises(TypeError, match="samples must be an array of integers, got float32"):
        export.verify(np.zeros((2, PIXELS), np.float32))
    with pytest.raises(ValueError, match="samples must be 0 to 255, got 0 to 256"):
        export.verify(np.arange(PIXELS)[None] * 32)
    for shape in ((2, PIXELS + 1), (0, PIXELS), (PIXELS,)):
        with pytest.raises(ValueError, match=f"samples must be .samples, {PIXELS} values."):
            export.verify(np.zeros(shape, np.uint8))


def test_it_needs_neither_torch_nor_optuna() -> None:
    program = "import sys, qspinn_optuna.export; print({'torch', 'optuna', 'spikingjelly'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
