"""A model in a folder: whole, checked, and refused with a reason."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from qspinn_optuna.integer import IntegerModel, files
from tests.integer.models import example_model, layer_of, models


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that holds the example."""
    example_model().save(tmp_path / "model")
    return tmp_path / "model"


def test_any_model_is_the_same_after_save_and_load(tmp_path: Path) -> None:
    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(models())
    def compare(model: IntegerModel) -> None:
        model.save(tmp_path / "any", overwrite=True)
        assert IntegerModel.load(tmp_path / "any") == model

    compare()


def test_the_folder_holds_a_document_and_plain_arrays(folder: Path) -> None:
    document = json.loads((folder / "model.json").read_text())
    assert {path.name for path in folder.iterdir()} == {"model.json", *document["files"]}
    layer = document["node"]["network"]
    assert layer["type"] == "WinnerTakeAll"
    assert layer["accumulators"] == {"type": "Accumulators", "current": 8, "charged": 32, "margin": 16}
    weights = np.load(folder / layer["weight"]["array"]["file"], allow_pickle=False)
    np.testing.assert_array_equal(weights, layer_of(example_model()).weight.array)
    assert not [path for path in folder.parent.iterdir() if path != folder]


def test_a_model_is_replaced_only_if_asked(folder: Path) -> None:
    other = IntegerModel(example_model().coding, example_model().network, example_model().readout, 99, 0)
    with pytest.raises(ValueError, match="overwrite=True"):
        other.save(folder)
    assert IntegerModel.load(folder) == example_model()
    other.save(folder, overwrite=True)
    assert IntegerModel.load(folder) == other
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_an_empty_folder_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "link").symlink_to("here")
    monkeypatch.chdir(tmp_path / "here")
    example_model().save(".")
    for name in ("here", "link"):
        assert IntegerModel.load(tmp_path / name) == example_model()
    example_model().save(tmp_path / "link", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "link"]
    assert IntegerModel.load(tmp_path / "here") == example_model()


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_no_model_is_never_replaced(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("a cat")
    (tmp_path / "file").write_text("a file")
    example_model().save(tmp_path / "model")
    (tmp_path / "model" / "notes.txt").write_text("notes")
    for name in ("photos", "file", "model", "no/parent"):
        with pytest.raises(ValueError, match="folder"):
            example_model().save(tmp_path / name, overwrite=overwrite)
    assert (tmp_path / "photos" / "cat.jpg").read_text() == "a cat"
    assert (tmp_path / "model" / "notes.txt").read_text() == "notes"


def test_an_interrupted_save_leaves_what_was_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(np, "save", interrupted)
    for target in (folder, folder.parent / "new"):
        with pytest.raises((OSError, ValueError)):
            example_model().save(target, overwrite=True)
    monkeypatch.undo()
    assert IntegerModel.load(folder) == example_model()
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def rewrite(folder: Path, change: Callable[[dict], None]) -> None:  # type: ignore[type-arg]
    """Change the document as a program would that knows its digest."""
    document = json.loads((folder / "model.json").read_text())
    change(document)
    document.pop("sha256")
    document["sha256"] = files.digest_of(document)
    (folder / "model.json").write_text(json.dumps(document))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


WEIGHTS = "network.weight.array.npy"
DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no document": (lambda folder: (folder / "model.json").unlink(), "model.json is missing"),
    "no folder": (shutil.rmtree, "model.json is missing"),
    "no array": (lambda folder: (folder / WEIGHTS).unlink(), WEIGHTS),
    "a cut array": (lambda folder: cut(folder / WEIGHTS), WEIGHTS),
    "a changed array": (lambda folder: flip(folder / WEIGHTS), WEIGHTS),
    "a cut document": (lambda folder: cut(folder / "model.json"), "model.json"),
    "an empty document": (lambda folder: (folder / "model.json").write_text(""), "model.json"),
    "another document": (
        lambda folder: (folder / "model.json").write_text('{"kind": "shop"}'),
        "model.json is no model",
    ),
    "a list": (lambda folder: (folder / "model.json").write_text("[]"), "model.json is no model"),
    "no text": (lambda folder: (folder / "model.json").write_bytes(b"\xff\xfe"), "model.json cannot be read"),
    "a newer version": (lambda folder: rewrite(folder, lambda d: d.update(version=2)), "version 2"),
    "an unknown layer": (
        lambda folder: rewrite(folder, lambda d: d["node"]["network"].update(type="Convolution")),
        "Convolution",
    ),
    "a missing part": (lambda folder: rewrite(folder, lambda d: d["node"].pop("readout")), "readout"),
    "another accumulator": (
        lambda folder: rewrite(folder, lambda d: d["node"]["network"]["accumulators"].update(current=64)),
        "accumulators",
    ),
    "a node that is no model": (
        lambda folder: rewrite(folder, lambda d: d.update(node=d["node"]["coding"])),
        "RateCoding",
    ),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_folder_is_refused_with_its_reason(
    folder: Path, damage: Callable[[Path], object], message: str
) -> None:
    damage(folder)
    with pytest.raises(ValueError, match=message) as refusal:
        IntegerModel.load(folder)
    assert str(folder) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_number_that_was_changed_in_the_document_is_found(folder: Path) -> None:
    text = (folder / "model.json").read_text()
    (folder / "model.json").write_text(text.replace('"threshold": 20', '"threshold": 21'))
    with pytest.raises(ValueError, match="was changed"):
        IntegerModel.load(folder)
