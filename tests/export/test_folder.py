"""The folder of an export: what is written, what is refused, what is left alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from qspinn_optuna.export import Export, export_c
from qspinn_optuna.integer import IntegerModel, WinnerTakeAll
from tests.integer.models import example_model

FILES = {
    "Makefile", "REPORT.md", "cortex_m.c", "cortex_m.ld", "host.c", "main.c", "model.c", "model.h", "model.json",
    "port.h", "vectors.h",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Export, "report", lambda _: "a report")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_holds_the_c_and_the_model(tmp_path: Path) -> None:
    export = export_c(example_model(), tmp_path / "c")
    assert export.folder == tmp_path / "c"
    assert {name for name in contents(export.folder) if not name.endswith(".npy")} == FILES
    assert IntegerModel.load(export.folder) == example_model()
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_it_is_the_same_every_time(tmp_path: Path) -> None:
    assert contents(export_c(example_model(), tmp_path / "a").folder) == contents(
        export_c(example_model(), tmp_path / "b").folder
    )


def test_it_is_replaced_only_if_asked_and_other_files_stay(tmp_path: Path) -> None:
    export_c(example_model(), tmp_path)
    (tmp_path / "app.c").write_text("mine")
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "app").write_text("mine too")
    before = (tmp_path / "model.c").read_text()
    layer = example_model().network
    assert isinstance(layer, WinnerTakeAll)
    other = replace(example_model(), network=replace(layer, scale=None), seed=9)
    with pytest.raises(ValueError, match="overwrite=True"):
        export_c(other, tmp_path)
    assert (tmp_path / "model.c").read_text() == before
    export_c(other, tmp_path, overwrite=True)
    assert IntegerModel.load(tmp_path) == other
    assert (tmp_path / "model.c").read_text() != before
    assert (tmp_path / "app.c").read_text() == "mine"
    assert (tmp_path / "build" / "app").read_text() == "mine too"
    assert not (tmp_path / "network.scale.array.npy").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_no_export_is_never_written_to(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("a cat")
    (tmp_path / "file").write_text("a file")
    (tmp_path / "program").mkdir()
    (tmp_path / "program" / "model.c").write_text("int mine;")
    example_model().save(tmp_path / "model")
    saved = contents(tmp_path / "model")
    for name in ("photos", "file", "program", "model", "no/parent"):
        with pytest.raises(ValueError, match="folder must"):
            export_c(example_model(), tmp_path / name, overwrite=overwrite)
    assert contents(tmp_path / "photos") == {"cat.jpg": b"a cat"}
    assert contents(tmp_path / "program") == {"model.c": b"int mine;"}
    assert contents(tmp_path / "model") == saved


def test_a_document_cannot_have_other_files_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    export_c(example_model(), folder)
    (tmp_path / "victim.npy").write_text("precious")
    text = (folder / "model.json").read_text()
    (folder / "model.json").write_text(text.replace('"files": {', '"files": {"../victim.npy": "", '))
    export_c(example_model(), folder, overwrite=True)
    assert (tmp_path / "victim.npy").read_text() == "precious"


@pytest.mark.parametrize("prefix", ["", "2net", "my-net", "int", "while", "_Bool", "né", "a b", "a\n"])
def test_a_prefix_that_c_does_not_take_is_refused(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix must be"):
        export_c(example_model(), tmp_path, prefix)
    assert not list(tmp_path.iterdir())


def test_other_arguments_are_refused_with_their_names(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="model must be an IntegerModel, got int"):
        export_c(3, tmp_path)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="prefix must be a str, got 3"):
        export_c(example_model(), tmp_path, 3)  # type: ignore[arg-type]


def test_every_name_has_the_prefix(tmp_path: Path) -> None:
    export = export_c(example_model(), tmp_path, "blink")
    for path in (path for path in export.folder.iterdir() if path.suffix in {".c", ".h", ".ld"}):
        text = path.read_text()
        assert "snn_" not in text
        assert "SNN_" not in text
    assert "void blink_step(blink_state *state, const blink_input *input);" in (tmp_path / "model.h").read_text()
