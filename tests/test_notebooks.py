"""The notebooks run from a clean kernel, and are stored with what they show."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
FIGURE = "application/vnd.plotly.v1+json"
LARGEST = 2**20
SMALL: dict[str, dict[str, Any]] = {
    "01_from_study_to_model": {
        "neurons": 20,
        "training_images": 200,
        "epochs": 1,
        "trials": 8,
        "accuracy_drop": 0.5,
        "mu": 0.2,
        "folder": "results",
    },
    "02_which_parameters_matter": {
        "neurons": 20,
        "training_images": 200,
        "epochs": 1,
        "trials": 12,
        "tolerance": 0.3,
    },
    "03_your_own_network": {
        "hidden": 16,
        "training_images": 400,
        "epochs": 4,
        "fine_tuning_epochs": 1,
        "trials": 6,
        "accuracy_drop": 0.3,
        "mu": 0.2,
    },
    "04_onto_a_device": {
        "hidden": 16,
        "training_images": 1300,  # The test images are the others, and each of them is captured.
        "epochs": 2,
        "trials": 4,
        "accuracy_drop": 0.5,
        "device": "ATmega328P",
        "samples": 1,
        "folder": "firmware",
    },
}
"""Settings that take seconds."""


def read(name: str) -> Any:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)  # type: ignore[no-untyped-call]


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shows(source: str) -> bool:
    """Whether a cell prints, or ends with a value."""
    last = ast.parse(source).body[-1]
    return "print(" in source or (isinstance(last, ast.Expr) and "plot_" in ast.unparse(last))


def test_every_notebook_is_run_here() -> None:
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_it_runs_from_a_clean_kernel(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLOTLY_RENDERER", "plotly_mimetype")
    notebook = read(name)
    settings = code_cells(notebook)[0]
    assert settings.metadata.tags == ["parameters"]
    names = [statement.targets[0].id for statement in ast.parse(settings.source).body]
    assert names == list(SMALL[name])
    settings.source = "\n".join(f"{setting} = {value!r}" for setting, value in SMALL[name].items())
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()


@pytest.mark.parametrize("name", SMALL)
def test_it_is_stored_with_what_it_shows(name: str) -> None:
    cells = code_cells(read(name))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert [cell.source for cell in cells if shows(cell.source) and not cell.outputs] == []
    outputs = [output for cell in cells for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {"stream", "execute_result", "display_data"}
    assert {output.name for output in outputs if output.output_type == "stream"} == {"stdout"}
    figures = [output.data for output in outputs if FIGURE in output.get("data", {})]
    assert len(figures) >= 2
    # For viewers that run no code.
    assert all("image/png" in figure for figure in figures)


@pytest.mark.parametrize("name", SMALL)
def test_it_is_small_and_knows_no_machine(name: str) -> None:
    text = (FOLDER / f"{name}.ipynb").read_text()
    assert len(text) < LARGEST
    notebook = read(name)
    for cell in code_cells(notebook):
        assert set(cell.metadata) <= {"tags"}
        for output in cell.outputs:
            output.get("data", {}).pop("image/png", None)
    assert re.findall(r"/(?:home|root|tmp|Users|private|var)/\w*", json.dumps(notebook)) == []
