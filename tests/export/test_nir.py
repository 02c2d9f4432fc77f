"""Files of NIR: read back equal, open to other programs, and refused where they were changed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from qspinn_optuna.export import export_nir, read_nir
from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding
from qspinn_optuna.integer import Codes, Constant, Graph, IntegerModel, LargestScore, Reduction, ValueCoding, files
from qspinn_optuna.integer.model import NODES
from qspinn_optuna.integer.operations import Convolution, Reshape
from tests.integer.graphs import SLOW, example_graph_model, graph_models
from tests.integer.models import example_model, layer_of, models

nir = pytest.importorskip("nir")
h5py = pytest.importorskip("h5py")

EXAMPLES = {"layer": example_model, "graph": example_graph_model}


@pytest.fixture(params=EXAMPLES)
def model(request: pytest.FixtureRequest) -> IntegerModel:
    return EXAMPLES[request.param]()


@pytest.fixture
def path(model: IntegerModel, tmp_path: Path) -> Path:
    """A file of an example."""
    export_nir(model, tmp_path / "model.nir")
    return tmp_path / "model.nir"


@pytest.mark.parametrize("kind", ["layer", "graph"])
def test_any_model_is_the_same_after_export_and_reading(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "any.nir"

    @settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=SLOW)
    @given(models() if kind == "layer" else graph_models())
    def compare(model: IntegerModel) -> None:
        export_nir(model, path, overwrite=True)
        assert read_nir(path) == model
        check_types(nir.read(path))

    compare()


def check_types(graph: Any) -> None:
    """What nir checks, and that it had to add no node to make the graph whole."""
    assert graph.check_types()
    assert set(graph.inputs) == {"input"}
    assert set(graph.outputs) == {"output"}


def test_a_model_may_be_read_that_was_made_of_another_but_for_a_number(model: IntegerModel, tmp_path: Path) -> None:
    other = IntegerModel(model.coding, model.network, model.readout, 99, 0)
    export_nir(other, tmp_path / "other.nir")
    assert read_nir(tmp_path / "other.nir") == other != model


# ---------------------------------------------------------------------------------------------------------------------
# What other programs read
# ---------------------------------------------------------------------------------------------------------------------


def test_values_of_a_layer_are_codes_on_their_grids(tmp_path: Path) -> None:
    export_nir(example_model(), tmp_path / "layer.nir")
    nodes, layer = nir.read(tmp_path / "layer.nir").nodes, layer_of(example_model())
    assert layer.scale is not None
    np.testing.assert_array_equal(nodes["weight"].weight, layer.weight.array.T / 2**3)
    np.testing.assert_array_equal(nodes["scale"].scale, layer.scale.array / 2**4)
    np.testing.assert_array_equal(nodes["neurons"].v_threshold, 20 / 2**4 + np.array([1, 3, 5, 7]) / 2**2)
    np.testing.assert_array_equal(nodes["neurons"].v_reset, np.full(4, 4 / 2**4))
    np.testing.assert_allclose(1 - 1 / nodes["neurons"].tau, np.full(4, 230 / 2**8), rtol=1e-6)


def test_values_of_a_graph_are_codes_on_their_grids(tmp_path: Path) -> None:
    export_nir(example_graph_model(), tmp_path / "graph.nir")
    nodes = nir.read(tmp_path / "graph.nir").nodes
    codes = example_graph_model().network.codes  # type: ignore[union-attr]
    np.testing.assert_array_equal(nodes["fc"].weight, codes["fc.weight"].array / 2**3)
    np.testing.assert_array_equal(nodes["recurrent"].weight, codes["recurrent.weight"].array / 2**3)
    np.testing.assert_array_equal(nodes["conv"].bias, codes["conv.bias"].array / 2**6)
    weight = codes["conv.weight"].array[:, 0] / 2**3
    np.testing.assert_array_equal(nodes["conv"].weight[[0, 1, 2, 3], [0, 0, 1, 1]], weight)
    np.testing.assert_array_equal(nodes["lif2"].v_threshold, codes["lif2.v_threshold"].array / 2**4)
    assert nodes["lif1"].v_threshold.shape == (4, 6, 6)


def test_nodes_carry_formats_roundings_and_keys(tmp_path: Path) -> None:
    export_nir(example_graph_model(), tmp_path / "graph.nir")
    graph = nir.read(tmp_path / "graph.nir")
    neurons = json.loads(graph.nodes["lif1"].metadata["qspinn_optuna"])
    assert neurons["membrane"] == {"format": "Q3.4", "rounding": "stochastic"}
    assert neurons["constants"] == {"lif1.v_threshold": "UQ1.4", "lif1.decay": "UQ0.4"}
    assert (neurons["key"], neurons["reset"], neurons["decays_input"]) == (7, 0, True)
    assert "takes the threshold from its membrane" in graph.metadata["qspinn_optuna"]["deviations"]


@pytest.mark.parametrize("kernel", [(1, 2), (2, 1), (2, 2), (1, 3), (3, 1)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2)])
def test_windows_of_any_form_have_types_that_nir_takes(
    tmp_path: Path, kernel: tuple[int, int], stride: tuple[int, int]
) -> None:
    weight = Codes(np.ones((2, 1, *kernel), np.int64), QFormat(1, 0))
    whole = (4, 5)
    elements = 2 * prod((n - k) // s + 1 for n, k, s in zip(whole, kernel, stride, strict=True))
    conv = Convolution("conv", ("input",), "weight", None, stride, (0, 0), (1, 1), 2)
    graph = Graph(
        (2, *whole), QFormat(3, 0), (Constant("weight", weight),), (conv, Reshape("x", ("conv",), (elements,)))
    )
    coding = ValueCoding((2, *whole), ParameterQuantization(QFormat(3, 0), Rounding.NEAREST), 1, True, False, 0)
    model = IntegerModel(coding, graph, LargestScore("x", Reduction.SUM), 0, 0)
    export_nir(model, tmp_path / "model.nir")
    assert read_nir(tmp_path / "model.nir") == model
    check_types(nir.read(tmp_path / "model.nir"))


# ---------------------------------------------------------------------------------------------------------------------
# Writing
# ---------------------------------------------------------------------------------------------------------------------


def test_a_file_is_replaced_only_if_asked_and_if_it_is_one_of_nir(path: Path, model: IntegerModel) -> None:
    other = IntegerModel(model.coding, model.network, model.readout, 99, 0)
    with pytest.raises(ValueError, match="overwrite=True"):
        export_nir(other, path)
    assert read_nir(path) == model
    export_nir(other, path, overwrite=True)
    assert read_nir(path) == other
    (path.parent / "notes.txt").write_text("notes")
    for name in ("notes.txt", ".", "no/folder.nir"):
        with pytest.raises(ValueError, match="path"):
            export_nir(model, path.parent / name, overwrite=True)
    assert (path.parent / "notes.txt").read_text() == "notes"


def test_an_interrupted_export_leaves_what_was_there(
    path: Path, model: IntegerModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(name: Path, *_: object) -> None:
        name.write_text("half of it")
        raise OSError("disk full")

    monkeypatch.setattr(nir, "write", interrupted)
    with pytest.raises(OSError, match="disk full"):
        export_nir(model, path, overwrite=True)
    monkeypatch.undo()
    assert read_nir(path) == model
    assert [each.name for each in path.parent.iterdir()] == ["model.nir"]


def test_without_the_package_the_error_says_what_to_install(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nir", None)
    for use in (lambda: read_nir(path), lambda: export_nir(example_model(), path)):
        with pytest.raises(ModuleNotFoundError, match=r"pip install nir"):
            use()


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="model must be a IntegerModel"):
        export_nir("model", tmp_path / "model.nir")  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------------------------------
# Reading
# ---------------------------------------------------------------------------------------------------------------------


def unseal(path: Path) -> bytes:
    """The content of a file as another program would have written it, without the digest of the whole."""
    content = path.read_bytes()
    return content[: content.rindex(b"qspinn-nir-sha256:")]


def datasets(path: Path) -> list[str]:
    names: list[str] = []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return names


def change(path: Path, name: str) -> None:
    """Another value in a dataset, of the same type and shape."""
    with h5py.File(path, "r+") as file:
        data = file[name]
        value = data[()]
        if isinstance(value, bytes):
            data[()] = value[:-1] + bytes([value[-1] ^ 1])
        elif data.dtype == object:
            changed = value.copy()
            changed[0, 0] = value[-1, -1]
            data[...] = changed
        elif data.shape == ():
            data[()] = value + 1
        else:
            changed = value.copy()
            changed.flat[-1] += 1
            data[...] = changed


def refused(path: Path, model: IntegerModel) -> bool:
    """Whether a file is refused, with its name in one line; it holds the model, if not."""
    try:
        found = read_nir(path)
    except ValueError as error:
        text = str(error)
    else:
        assert found == model
        return False
    assert str(path) in text
    assert "\n" not in text
    return True


def test_any_number_and_any_text_that_was_changed_is_found(path: Path) -> None:
    original = unseal(path)
    names = datasets(path)
    assert len(names) > 20
    for name in names:
        path.write_bytes(original)
        change(path, name)
        if name == "version":  # Of nir, which reads any.
            continue
        with pytest.raises(ValueError, match=r"model\.nir"):
            read_nir(path)


def test_a_dataset_that_is_missing_never_makes_another_model(path: Path, model: IntegerModel) -> None:
    original = unseal(path)
    for name in datasets(path):
        path.write_bytes(original)
        with h5py.File(path, "r+") as file:
            del file[name]
        # nir finds shapes by itself, takes 0 for a reset that is not there, and ignores its version.
        found_again = name.endswith(("version", "input_shape", "input_type", "v_reset"))
        assert refused(path, model) or found_again


def test_flipped_bits_never_make_another_model(path: Path, model: IntegerModel) -> None:
    original = path.read_bytes()
    generator = np.random.default_rng(0)
    for position in generator.integers(0, len(original), 40):
        content = bytearray(original)
        content[position] ^= 1 << int(generator.integers(0, 8))
        path.write_bytes(content)
        # What is flipped in the name of the digest takes nothing but the digest.
        assert refused(path, model) or position > len(original) - 60


@pytest.mark.parametrize("part", ["HDF5", "digest"])
def test_what_is_damaged_is_not_opened(path: Path, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nir, "read", lambda _: pytest.fail("HDF5 was opened"))
    content = bytearray(path.read_bytes())
    content[1000 if part == "HDF5" else -1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged or changed"):
        read_nir(path)


def test_a_copy_that_another_program_wrote_holds_the_model(path: Path, model: IntegerModel) -> None:
    nir.write(path, nir.read(path))
    assert read_nir(path) == model


def metadata_of(graph: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = graph.metadata["qspinn_optuna"]
    return metadata


def rewrite(path: Path, update: Callable[[dict[str, Any]], None]) -> None:
    """Change the document as a program would that knows its digest."""
    graph = nir.read(path)
    document = json.loads(metadata_of(graph)["document"])
    document.pop("sha256")
    update(document)
    document["sha256"] = files.digest_of(document)
    metadata_of(graph)["document"] = json.dumps(document)
    nir.write(path, graph)


def edit(path: Path, update: Callable[[Any], None]) -> None:
    """Change the graph as another program would."""
    graph = nir.read(path)
    update(graph)
    nir.write(path, graph)


def swap_metadata(path: Path) -> None:
    other = example_model()
    export_nir(IntegerModel(other.coding, other.network, other.readout, 5, 0), path.parent / "other.nir")
    foreign = metadata_of(nir.read(path.parent / "other.nir"))
    edit(path, lambda graph: graph.metadata.update(qspinn_optuna={**foreign, "deviations": "none"}))


def add_node(graph: Any) -> None:
    graph.nodes["more"] = nir.Output(output_type=graph.nodes["output"].output_type)
    graph.edges.append((graph.edges[-1][0], "more"))


def as_doubles(graph: Any) -> None:
    node = next(node for node in graph.nodes.values() if hasattr(node, "v_threshold"))
    node.v_threshold = node.v_threshold.astype(np.float64) + 1e-9


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def renumber(graph: Any) -> None:
    text = metadata_of(graph)["document"]
    metadata_of(graph)["document"] = text.replace('"first_sample": 10', '"first_sample": 11')


def add_edge(graph: Any) -> None:
    graph.edges.append(("fc", "recurrent") if "fc" in graph.nodes else ("weight", "neurons"))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no file": (Path.unlink, "must be a file"),
    "text": (lambda path: path.write_text("a text"), "cannot be read"),
    "an empty file": (lambda path: path.write_bytes(b""), "cannot be read"),
    "a cut file": (cut, "cannot be read"),
    "a single node": (lambda path: nir.write(path, nir.Linear(np.ones((2, 2)))), "cannot be read|must hold a graph"),
    "another program's": (
        lambda path: nir.write(path, nir.NIRGraph.from_list(nir.Linear(np.ones((2, 2))))),
        "without metadata",
    ),
    "other metadata": (lambda path: edit(path, lambda graph: graph.metadata.update(qspinn_optuna="x")), "without meta"),
    "no JSON": (lambda path: edit(path, lambda graph: metadata_of(graph).update(document="{")), "cannot be read"),
    "another kind": (lambda path: rewrite(path, lambda document: document.update(kind="x")), "holds no model"),
    "a newer version": (lambda path: rewrite(path, lambda document: document.update(version=2)), "version 2"),
    "another seed": (lambda path: rewrite(path, lambda document: document["node"].update(seed=-1)), "seed"),
    "an unknown part": (
        lambda path: rewrite(path, lambda document: document["node"]["network"].update(type="Other")),
        "Other",
    ),
    "a part instead": (
        lambda path: rewrite(path, lambda document: document.update(node=document["node"]["coding"])),
        "Coding|not part of it",
    ),
    "no arrays": (lambda path: edit(path, lambda graph: metadata_of(graph).pop("arrays")), "arrays"),
    "another number": (lambda path: edit(path, renumber), "were changed"),
    "an edge more": (lambda path: edit(path, add_edge), "must have the edges"),
    "numbers for a text": (
        lambda path: edit(path, lambda graph: graph.nodes["input"].metadata.update(qspinn_optuna=np.arange(3))),
        "'input' .* another metadata",
    ),
    "numbers for arrays": (
        lambda path: edit(path, lambda graph: metadata_of(graph).update(arrays=np.arange(3))),
        "does not describe a model",
    ),
    "a node more": (lambda path: edit(path, add_node), "more"),
    "a threshold that is a little higher": (lambda path: edit(path, as_doubles), "v_threshold"),
    "metadata of another model": (swap_metadata, "must have the nodes|deviations"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_file_is_refused_with_its_reason(path: Path, damage: Callable[[Path], object], message: str) -> None:
    damage(path)
    with pytest.raises(ValueError, match=message) as refusal:
        read_nir(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_what_other_programs_add_beside_has_no_effect(path: Path, model: IntegerModel) -> None:
    edit(path, lambda graph: graph.metadata.update(author="someone"))
    assert read_nir(path) == model


def names_of(model: IntegerModel) -> Iterator[str]:
    yield from (operation.name for operation in model.network.operations)  # type: ignore[union-attr]


def test_names_may_be_paths_or_of_any_letters(tmp_path: Path) -> None:
    document: files.Arrays = {}
    content = json.dumps(files.encode(example_graph_model(), "", document))
    for old, new in (("lif1", "block/1.lif"), ("fc", "Schicht ö"), ("conv", "output"), ("flat", "..")):
        content = content.replace(f'"{old}"', json.dumps(new)).replace(f'"{old}.v"', json.dumps(f"{new}.v"))
    model = files.decode(json.loads(content), document, NODES)
    assert {"block/1.lif", "Schicht ö", "output", ".."} <= set(names_of(model))
    export_nir(model, tmp_path / "names.nir")
    assert read_nir(tmp_path / "names.nir") == model
    check_types(nir.read(tmp_path / "names.nir"))
