"""``qspinn export``, in one process, of a study whose models are a small network."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from qspinn_optuna.cli import exported, main
from qspinn_optuna.cli.studies import export_line
from qspinn_optuna.export import Accuracy, Export, ToolError, tools
from qspinn_optuna.integer import IntegerModel, classify
from qspinn_optuna.selection import recorded_choice
from qspinn_optuna.study import accuracies_on_test, record_source
from tests.cli.fake_file import TEXT, asked, write_file
from tests.cli.test_commands import error_of, study_in
from tests.integer.models import example_model, random_images

TEST_IMAGES = 60
MODELS = """
    def integer_model(self, config, seed=0):
        from dataclasses import replace
        from tests.integer.models import example_model
        note("integer_model")
        # Every configuration draws in a way of its own.
        return replace(example_model(), seed=config.bits["fc.weight"])

    def integer_samples(self, config, seed=0, count=None):
        import numpy as np
        from qspinn_optuna.workloads import IntegerSamples, Split
        from tests.integer.models import random_images
        images, labels = random_images(3, 60), np.arange(60) % 3
        return IntegerSamples(images[:count], labels[:count], Split.TEST, count is None or count >= 60)

    def test(self, config, seed):
        from qspinn_optuna.integer import classify
        note("test")
        samples = self.integer_samples(config)
        return float((classify(self.integer_model(config), samples.inputs) == samples.labels).mean())

    def describe(self):
"""
EXPORTED = TEXT.replace("    def test(self, config, seed):", "    def formula_test(self, config, seed):").replace(
    "    def describe(self):\n", MODELS.lstrip("\n")
)
EXPORT = ["export", "--study", "formula", "--out", "net"]
EXPORT_HERE = ["export", "formula.py", *EXPORT[1:]]
"""With the file of the current folder instead of the one that was run."""

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, tools.HOST_COMPILERS)), reason="no C compiler: cc, gcc or clang is needed"
)
needs_arm = pytest.mark.skipif(shutil.which(tools.ARM_COMPILER) is None, reason="arm-none-eabi-gcc is not installed")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a study ran."""
    folder = tmp_path_factory.mktemp("finished")
    write_file(folder, EXPORTED)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["run", "formula.py", "--trials", "6", "--best", "0.9"]) == 0
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, which is the current one."""
    for path in finished.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "asked.txt").unlink()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def reported(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Accuracy]]:
    """What reports are told of accuracies; they are not made, since that compiles and emulates."""
    told: list[Sequence[Accuracy]] = []

    def report(_: Export, accuracies: Sequence[Accuracy] = ()) -> str:
        told.append(accuracies)
        return "a report"

    monkeypatch.setattr(Export, "report", report)
    return told


def weight_bits(folder: Path, number: int) -> int:
    bits: int = study_in(folder).trials[number].params["bits.weight"]
    return bits


def chosen(folder: Path) -> int:
    choice = recorded_choice(study_in(folder))
    assert choice is not None
    return choice.trial_number


def correct(model: IntegerModel) -> int:
    return int((classify(model, random_images(3, TEST_IMAGES)) == np.arange(TEST_IMAGES) % 3).sum())


@needs_compiler
@needs_arm
def test_the_chosen_model_becomes_c_that_is_compared(
    folder: Path, capsys: pytest.CaptureFixture[str], reported: list[Sequence[Accuracy]]
) -> None:
    assert main(EXPORT) == 0
    said = capsys.readouterr().out
    model = IntegerModel.load(folder / "net")
    assert model.seed == weight_bits(folder, chosen(folder))
    assert f"Trial {chosen(folder)} of study formula" in said
    assert "net: Makefile, REPORT.md, " in said
    # 20 samples, 8 steps, 4 neurons and who of them spikes.
    assert f"C equals the integers: {20 * 8 * 5} spikes and membranes, all of 20 samples" in said
    assert f"(footprint {model.constant_bits / 8:g} B)" in said
    assert f"(footprint {model.state_bits / 8:g} B)" in said
    share = correct(model) / TEST_IMAGES
    assert f"integers {share:.2%} (all 60 test samples); C {share:.2%} (all 60 test samples)" in said
    assert accuracies_on_test(study_in(folder))[chosen(folder)] == share
    assert f"study {share:.2%} (the test set)" in said
    assert "another one" not in said
    assert [one.of for one in reported[-1]] == ["study", "study", "integers", "C"]
    assert "make -C net test" in said
    assert "make -C net cortex-m-test" in said


@needs_compiler
def test_a_trial_a_prefix_and_a_number_of_samples(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = next(n for n in range(6) if weight_bits(folder, n) != weight_bits(folder, chosen(folder)))
    assert main([*EXPORT, "--trial", str(other), "--prefix", "digits", "--samples", "3"]) == 0
    assert IntegerModel.load(folder / "net").seed == weight_bits(folder, other)
    assert "all of 3 samples" in capsys.readouterr().out
    assert "#define DIGITS_VECTORS 3" in (folder / "net" / "vectors.h").read_text()
    if shutil.which("make") is not None:
        done = subprocess.run(["make", "-s", "-C", "net", "test"], capture_output=True, text=True, check=True)
        assert done.stdout.strip().endswith("OK 3 of 3 vectors")


def test_a_file_can_be_named_instead_of_the_one_that_was_run(folder: Path) -> None:
    record_source(study_in(folder), str(folder / "gone.py"), ["--best", "0.9"])
    assert main(EXPORT_HERE) == 0
    assert (folder / "net" / "model.c").exists()


def write_states(folder: Path) -> None:
    """Trials that failed, were pruned and go on."""
    study = study_in(folder)
    for state in (TrialState.FAIL, TrialState.PRUNED):
        study.tell(study.ask(), state=state)
    study.ask()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--trial", "6"], "--trial must be a finished one, got 6, which is failed"),
        (["--trial", "7"], "--trial must be a finished one, got 7, which is pruned"),
        (["--trial", "8"], "--trial must be a finished one, got 8, which is running"),
        (["--trial", "9"], "--trial must be under 9"),
        (["--prefix", "2nd"], '--prefix must be an identifier of C such as "snn"'),
        (["--prefix", "int"], "--prefix must be no keyword of C"),
        (["--out", "full"], "--out must be new, empty or hold an export"),
        (["--out", "full", "--overwrite"], "--out must be new, empty or hold an export"),
        (["--out", "no/parent"], "--out must be in a folder that exists"),
        (["--out", "formula.py"], "--out must not be a file"),
        (["--target", "toaster"], "--target must be one of ATmega328P"),
        (["--study", "other"], "--study must be one of formula, got other"),
        (["--storage", "sqlite:///nowhere.db"], "--storage must be a database that exists"),
    ],
)
def test_a_command_line_that_names_what_will_not_do(
    folder: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    write_states(folder)
    (folder / "full").mkdir()
    (folder / "full" / "cat.jpg").write_text("a cat")
    assert message in error_of(capsys, *EXPORT, *options, code=2)
    assert asked(folder) == []
    assert not (folder / "net").exists()
    assert [path.name for path in (folder / "full").iterdir()] == ["cat.jpg"]


def test_an_export_is_replaced_only_if_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(EXPORT) == 0
    asked(folder)
    assert "net, which holds an export: --overwrite replaces it" in error_of(capsys, *EXPORT, code=2)
    assert asked(folder) == []
    assert main([*EXPORT, "--overwrite"]) == 0


def test_a_study_without_a_choice_or_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = study_in(folder)
    made = optuna.create_study(study_name="bare", storage=study._storage, directions=["minimize", "maximize"])
    kept = ("qspinn", "identity")
    for name, value in study.user_attrs.items():
        if any(word in name for word in kept) and "choice" not in name and "source" not in name:
            made.set_user_attr(name, value)
    made.add_trials(study.trials)
    bare = ["export", "--study", "bare", "--out", "net"]
    assert "--trial must be given: no model of study bare is chosen yet" in error_of(capsys, *bare, code=2)
    said = error_of(capsys, *bare, "--trial", "1", code=2)
    assert "FILE.py must be given: study bare does not know which file it was run from" in said


def test_a_network_that_has_changed_since_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_file(folder, EXPORTED.replace('"formula"', '"another"'))
    assert 'was "formula", now "another"' in error_of(capsys, *EXPORT_HERE, code=2)
    record_source(study_in(folder), str(folder / "gone.py"), ["--best", "0.9"])
    assert "FILE.py must be a Python file with a function workload()" in error_of(capsys, *EXPORT, code=2)
    assert asked(folder) == []
    assert not (folder / "net").exists()


def test_a_workload_without_integers_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_file(folder, EXPORTED.replace("def integer_", "def other_"))
    said = error_of(capsys, *EXPORT_HERE, code=1)
    assert "a Formula cannot be exported: it has no integer_model and no integer_samples" in said
    assert not (folder / "net").exists()


def test_a_network_that_cannot_be_captured_is_refused_by_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = EXPORTED.replace(
        '        note("integer_model")\n',
        '        from qspinn_optuna import CaptureError\n        raise CaptureError("attention (softmax) cannot be")\n',
    )
    write_file(folder, text)
    said = error_of(capsys, *EXPORT_HERE, code=1)
    assert "formula.py, line " in said
    assert "attention (softmax) cannot be" in said
    assert not (folder / "net").exists()


def test_what_does_not_fit_the_device_is_not_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = error_of(capsys, *EXPORT, "--target", "mine=0.05,8", code=1)
    assert f"trial {chosen(folder)} does not fit mine: flash " in said
    assert "qspinn choose --study formula --target mine=0.05,8 chooses one that fits" in said
    assert asked(folder) == []
    assert not (folder / "net").exists()


@needs_arm
def test_code_and_buffers_must_fit_the_device_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The footprint of the formula's trials is under a KiB, the program's code over it.
    said = error_of(capsys, *EXPORT, "--target", "mine=1.3,8", code=1)
    assert "the files are written, but the program does not fit mine: with code, buffers and stack" in said
    assert (folder / "net" / "model.c").exists()
    assert main([*EXPORT, "--target", "RP2040", "--overwrite"]) == 0
    assert "Fits RP2040: with code, buffers and stack" in capsys.readouterr().out


def test_without_compilers_it_is_written_and_nothing_compared(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("CC", raising=False)
    assert main([*EXPORT, "--target", "RP2040"]) == 0
    said = capsys.readouterr().out
    assert "C and integers were not compared: cc or gcc or clang is needed and not installed" in said
    assert "not compiled for a device: arm-none-eabi-gcc is needed" in said
    assert "Whether code and buffers fit RP2040 is not known" in said
    assert "integers" in said
    assert "; C " not in said
    assert (folder / "net" / "model.c").exists()


@needs_compiler
@pytest.mark.usefixtures("folder")
def test_a_difference_is_an_error(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    written = exported.compare

    def damage(export: Export, samples: np.ndarray) -> bool:
        source = export.folder / "model.c"
        source.write_text(source.read_text().replace("#define SNN_RESET INT32_C(4)", "#define SNN_RESET INT32_C(5)"))
        return written(export, samples)

    monkeypatch.setattr("qspinn_optuna.cli.export.compare", damage)
    said = error_of(capsys, *EXPORT, code=1)
    assert "is 5 in C and 4 in the interpreter" in said


def test_a_compiler_that_fails_is_an_error(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "false")
    assert "failed with status 1" in error_of(capsys, *EXPORT, code=1)
    assert (folder / "net" / "model.c").exists()
    with pytest.raises(ToolError):
        Export(folder / "net", example_model(), "snn").verify(random_images(1, 1))


def test_integers_that_are_not_those_of_the_study_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_file(folder, EXPORTED.replace("np.arange(60) % 3", "(np.arange(60) + 1) % 3"))
    assert main(EXPORT_HERE) == 0
    assert "the network is another one" in capsys.readouterr().out


def test_reports_say_how_to_export(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "Export: qspinn export --study formula --out DIR"
    for command in (["run", "formula.py", "--trials", "0", "--best", "0.9"], ["show"], ["choose"]):
        assert main(command) == 0
        assert capsys.readouterr().out.rstrip().splitlines()[-1] == line
    assert export_line(study_in(folder), "sqlite:///my studies.db") == line.replace(
        "formula", "formula --storage 'sqlite:///my studies.db'"
    )
