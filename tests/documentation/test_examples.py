"""The Python examples of the pages run as printed."""

from __future__ import annotations

import re
from pathlib import Path

import optuna
import pytest
from spikingjelly.activation_based import layer, learning, neuron, rnn
from torch import nn

from qspinn_optuna import QuantizationObjective, open_study
from qspinn_optuna.cli import main as qspinn
from qspinn_optuna.networks.modules.fixed_point_classes import FIXED_POINT_CLASSES, takes_fixed_point_step
from qspinn_optuna.networks.modules.support import reason_against
from qspinn_optuna.study import set_accuracy_floor
from tests.documentation.pages import PAGE, PAGES, Block
from tests.fake_workload import FakeWorkload, fake_space

EXAMPLES = [(page.name, block) for page in PAGES for block in page.blocks("python")]
STUDY = next(block.text for _, block in EXAMPLES if "open_study(" in block.text)
OF_A_FINISHED_STUDY = next(block.text for _, block in EXAMPLES if block.marker == "a finished study")
FILE = next(block.text for _, block in EXAMPLES if block.marker == "my_network.py")
SCRIPTS = [(name, block) for name, block in EXAMPLES if block.marker not in ("examples", "my_network.py")]
"""The others are run below, and for the docstrings."""


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("page", "block"), SCRIPTS, ids=[name for name, _ in SCRIPTS])
def test_an_example_runs(page: str, block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    if block.marker == "a finished study":
        finish_a_study()
    run(STUDY + block.text if block.marker == "goes on" else block.text, page)
    assert capsys.readouterr().out


def run(example: str, page: str) -> None:
    exec(compile(example, page, "exec"), {"__name__": "__main__"})


def finish_a_study() -> None:
    """One such as `studies/mnist_stdp.py` leaves in the current folder."""
    space = fake_space()
    study = open_study("mnist-stdp", "sqlite:///qspinn.db", space, optuna.samplers.RandomSampler(seed=0))
    study.optimize(QuantizationObjective(FakeWorkload(), space), n_trials=5)
    set_accuracy_floor(study, 0.1)


def test_the_first_picture_is_what_its_lines_draw(capsys: pytest.CaptureFixture[str]) -> None:
    """The figure is written, and what is printed has the form that the page shows."""
    finish_a_study()
    run(OF_A_FINISHED_STUDY, "studies/README.md")
    assert "accuracy against memory" in Path("mnist-front.html").read_text()
    told = OF_A_FINISHED_STUDY.partition("print(choice)  # ")[2].partition("\n")[0]
    assert form(told) == form(capsys.readouterr().out.strip().replace("itq", "ptq"))


def form(text: str) -> str:
    """What stays of a line whatever its figures are."""
    return re.sub(r"-?[\d.]+", "1", text)


FEW = "    data = ImageSplits(*(part[:200] for part in (data.train, data.validation, data.test)))\n"


def test_the_file_of_ones_own_is_searched_and_the_report_has_the_printed_form(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As printed, but for fewer images and trials."""
    loading = "    data = embedded_mnist()\n"
    assert loading in FILE
    names = "from qspinn_optuna.datasets import ImageSplits\n"
    Path("my_network.py").write_text(names + FILE.replace(loading, loading + FEW))
    assert qspinn(["run", "my_network.py", "--trials", "2", "--accuracy-drop", "0.5"]) == 0
    printed = capsys.readouterr().out.splitlines()
    shown = next(block.text for block in PAGE["README.md"].blocks("") if "Pareto front" in block.text).splitlines()
    header = next(line for line in shown if line.startswith("trial "))
    assert header.split() in [line.split() for line in printed]
    for begin in ("Pareto front of", "Chosen: smallest model with", "  accuracy"):
        told, expected = (next(line for line in lines if line.startswith(begin)) for lines in (printed, shown))
        assert form(told) == form(expected)


def classes_of_group(begin: str) -> list[str]:
    """Names in the row of the table of classes that begins so; a star stands for anything."""
    (row,) = (
        line for line in PAGE["qspinn_optuna/networks/README.md"].text.splitlines() if line.startswith(f"| {begin}")
    )
    return re.findall(r"`([\w.*]+)`", row.rpartition(", and `MemoryModule`s")[0] or row)


def named(pattern: str) -> list[type[nn.Module]]:
    """Classes of SpikingJelly or torch."""
    expression = pattern.removeprefix("nn.").replace("*", ".*")
    found = [
        vars(module)[name]
        for module in (neuron, layer, rnn, learning, nn)
        for name in vars(module)
        if re.fullmatch(expression, name)
    ]
    assert found, pattern
    return found


def test_the_groups_of_classes_are_those_of_the_code() -> None:
    fixed, floating, refused = (
        classes_of_group(begin) for begin in ("the whole step in", "states on the grid", "refused, by name")
    )
    assert sorted(fixed) == sorted(kind.__name__ for kind in FIXED_POINT_CLASSES)
    for kind in (found for name in floating for found in named(name)):
        assert reason_against(kind()) is None, kind
        assert not takes_fixed_point_step(kind())
    # Reasons against a class need no instance of it.
    for kind in (found for name in refused if name != "MemoryModule" for found in named(name)):
        assert reason_against(kind.__new__(kind)) is not None, kind


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 6
