"""The README's Python examples run as printed."""

from __future__ import annotations

import re
from pathlib import Path

import optuna
import pytest
from spikingjelly.activation_based import layer, learning, neuron, rnn
from torch import nn

from qspinn_optuna import QuantizationObjective, open_study
from qspinn_optuna.networks.modules.fixed_point_classes import FIXED_POINT_CLASSES, takes_fixed_point_step
from qspinn_optuna.networks.modules.support import reason_against
from tests.fake_workload import FakeWorkload, fake_space

README = (Path(__file__).parents[1] / "README.md").read_text()
FOUND = re.findall(r"(?:<!-- (goes on|a finished study) -->\n)?```python\n(.*?)```", README, flags=re.DOTALL)
STUDY = next(example for _, example in FOUND if "open_study(" in example)
EXAMPLES = [STUDY + example if begins == "goes on" else example for begins, example in FOUND]
OF_A_FINISHED_STUDY = [example for begins, example in FOUND if begins == "a finished study"]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_runs(example: str, capsys: pytest.CaptureFixture[str]) -> None:
    if example in OF_A_FINISHED_STUDY:
        finish_a_study()
    exec(compile(example, "README.md", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out


def finish_a_study() -> None:
    """One such as `studies/mnist_stdp.py` leaves in the current folder."""
    space = fake_space()
    study = open_study("mnist-stdp", "sqlite:///qspinn.db", space, optuna.samplers.RandomSampler(seed=0))
    study.optimize(QuantizationObjective(FakeWorkload(), space), n_trials=5)


def test_the_first_picture_is_what_its_lines_draw(capsys: pytest.CaptureFixture[str]) -> None:
    """The figure is written, and what is printed has the form that the README shows."""
    (example,) = OF_A_FINISHED_STUDY
    finish_a_study()
    exec(compile(example, "README.md", "exec"), {"__name__": "__main__"})
    assert "accuracy against memory" in Path("mnist-front.html").read_text()
    told = example.partition("print(choice)  # ")[2].partition("\n")[0]
    assert re.sub(r"[\d.]+", "1", told) == re.sub(r"[\d.]+", "1", capsys.readouterr().out).strip().replace("itq", "ptq")


def classes_of_group(begin: str) -> list[str]:
    """Names in the row of the table of classes that begins so; a star stands for anything."""
    (row,) = (line for line in README.splitlines() if line.startswith(f"| {begin}"))
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
    assert len(EXAMPLES) >= 3
