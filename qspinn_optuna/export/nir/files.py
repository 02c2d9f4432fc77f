"""An integer model as a file of NIR, the Neuromorphic Intermediate Representation, for other programs to read.

NIR is an interchange of real numbers and continuous time, and loses what makes the model exact:

- Values are on their grids, ``code * 2**-fraction_bits``, but membranes and sums are neither rounded nor saturated.
- Neurons fire above their threshold, not at it; NIR knows no reset by subtraction.
- Time is continuous: :mod:`~qspinn_optuna.export.nir.neurons` says with which step a reader computes what is meant.
- Coding and readout, which make spikes of pixels and classes of spikes, have no nodes.
- What else has no node is the nearest one, see :mod:`~qspinn_optuna.export.nir.operations`.

What a file deviates in is told on export; :func:`~qspinn_optuna.export.nir.difference` measures what comes of it. The
file holds the model itself as metadata, too, from which :func:`read_nir` makes the same model.

The metadata are those of the graph under "qspinn_optuna": ``document``, JSON with the kind, the version of the layout,
the model as in :mod:`~qspinn_optuna.integer.files`, and SHA-256 of each array and of all the rest; ``arrays``, the
arrays, flat; ``deviations``, a line each. Every node has the operation that it stands for there, as JSON.

Behind the end of HDF5, which readers do not look at, there is SHA-256 of the file: damaged HDF5 must not be opened,
since there is some on which the library never ends. It is gone once another program has written the file.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.export.nir.graph import Primitive, PrimitiveGraph
from qspinn_optuna.export.nir.lowering import lower
from qspinn_optuna.integer import IntegerModel, files
from qspinn_optuna.integer.model import NODES

KEY = "qspinn_optuna"
"""Of the metadata."""

KIND = "qspinn-nir"
VERSION = 1
"""Version of the layout of the metadata and of how operations become nodes."""


_SEAL = b"qspinn-nir-sha256:"
"""What the digest of a file begins with, at its end."""


def export_nir(model: IntegerModel, path: str | Path, *, overwrite: bool = False) -> tuple[str, ...]:
    """Write a model as a file of NIR, whole or not at all.

    Of a graph, operations that the scores do not depend on have no nodes.

    Example:
        >>> lost = export_nir(model, folder / "net.nir")

    Args:
        model: The model.
        path: The file, which is new. Its folder exists.
        overwrite: Whether to replace a file of NIR.

    Returns:
        What NIR cannot say of this model besides roundings, saturation and what happens at the threshold; a sentence
        each.

    Raises:
        ModuleNotFoundError: If the package nir is not installed.
        TypeError: If ``model`` is no model.
        ValueError: If ``path`` may not be written to, or NIR cannot hold an operation, which the error names.
    """
    nir = _nir()
    primitives = lower(model)
    # By its own name, whatever leads to it.
    target = Path(path).resolve()
    _check_target(target, overwrite)
    graph = _graph_of(nir, model, primitives)
    unfinished = target.with_name(f".{target.name}-{uuid.uuid4().hex}")
    try:
        nir.write(unfinished, graph)
        _seal(unfinished)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return primitives.deviations


def read_nir(path: str | Path) -> IntegerModel:
    """The model that :func:`export_nir` wrote.

    Its nodes must still be those of the model: what another program changed in the file is refused.

    Example:
        >>> export_nir(model, folder / "net.nir")
        ()
        >>> read_nir(folder / "net.nir").constant_bits == model.constant_bits
        True

    Raises:
        ModuleNotFoundError: If the package nir is not installed.
        ValueError: If ``path`` is no file of NIR, was written by another program or a newer version, or was changed.
    """
    nir = _nir()
    graph = _read_graph(nir, Path(path))
    model = _model_of(graph.metadata.get(KEY), path)
    try:
        expected = _graph_of(nir, model, lower(model))
    except ValueError as error:
        raise ValueError(f"{path} does not describe a model of NIR ({error}): export the model again.") from error
    _check_same(graph, expected, path)
    return model


def _nir() -> Any:
    try:
        import nir  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Files of NIR need the package nir, which is not installed: pip install nir."
        ) from error
    return nir


def _check_target(target: Path, overwrite: bool) -> None:
    if not target.parent.is_dir():
        raise ValueError(f"path must be in a folder that exists, got {target}: make {target.parent} first.")
    if target.is_dir():
        raise ValueError(f"path must be a file, got the folder {target}: name a file in it.")
    if target.exists() and not overwrite:
        raise ValueError(f"path must be new, got {target}: give overwrite=True to replace it.")
    if target.exists() and not _holds_nir(target):
        raise ValueError(f"path must be new or a file of NIR, got {target}, which holds something else.")


def _holds_nir(path: Path) -> bool:
    import h5py  # noqa: PLC0415 - comes with nir

    try:
        with h5py.File(path, "r") as file:
            return {"node", "version"} <= set(file)
    except OSError:
        return False


# ---------------------------------------------------------------------------------------------------------------------
# Writing
# ---------------------------------------------------------------------------------------------------------------------


def _graph_of(nir: Any, model: IntegerModel, primitives: PrimitiveGraph) -> Any:
    """The graph as the package knows it, which checks its types."""
    return nir.NIRGraph(
        nodes={name: _node_of(nir, primitive) for name, primitive in primitives.nodes.items()},
        edges=list(primitives.edges),
        metadata={KEY: {**_metadata_of(model), "deviations": "\n".join(map(_ascii, primitives.deviations))}},
    )


def _seal(path: Path) -> None:
    """Append the digest of a file."""
    digest = hashlib.sha256(path.read_bytes()).digest()
    with path.open("ab") as file:
        file.write(_SEAL + digest)


def _node_of(nir: Any, primitive: Primitive) -> Any:
    metadata = {KEY: primitive.operation} if primitive.operation else {}
    return getattr(nir, primitive.kind)(**primitive.parameters, metadata=metadata)


def _metadata_of(model: IntegerModel) -> dict[str, Any]:
    arrays: files.Arrays = {}
    node = files.encode(model, "", arrays)
    digests = {name: _digest_of(array) for name, array in arrays.items()}
    document = {"kind": KIND, "version": VERSION, "node": node, "files": digests}
    text = json.dumps({**document, "sha256": files.digest_of(document)})
    return {"document": text, "arrays": {name: array.ravel() for name, array in arrays.items()}}


def _digest_of(array: NDArray[Any]) -> str:
    """Of the type, the shape and the numbers of an array."""
    return hashlib.sha256(f"{array.dtype.str}{array.shape}".encode() + array.tobytes()).hexdigest()


def _ascii(text: str) -> str:
    """Text that HDF5 holds, whatever names there are in it."""
    return text.encode("unicode_escape").decode()


# ---------------------------------------------------------------------------------------------------------------------
# Reading
# ---------------------------------------------------------------------------------------------------------------------


def _read_graph(nir: Any, path: Path) -> Any:
    if not path.is_file():
        raise ValueError(f"path must be a file of NIR, got {path}, which is none.")
    _check_seal(path)
    try:
        graph = nir.read(path)
    except Exception as error:  # A damaged file raises whatever HDF5, nir or numpy come across.
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(f"{path} cannot be read as a graph of NIR ({reason}): export the model again.") from error
    if not isinstance(graph, nir.NIRGraph):
        raise ValueError(f"{path} must hold a graph of NIR, got a node of type {type(graph).__name__}.")
    return graph


def _check_seal(path: Path) -> None:
    """Refuse a file whose digest is another. One without a digest may be another program's."""
    content = path.read_bytes()
    inside, seal = content[: -len(_SEAL) - 32], content[-len(_SEAL) - 32 :]
    if seal.startswith(_SEAL) and seal != _SEAL + hashlib.sha256(inside).digest():
        raise ValueError(f"{path} was damaged or changed after it was written: export the model again.")


def _model_of(metadata: object, path: str | Path) -> IntegerModel:
    """The model that the metadata of a graph hold."""
    if not isinstance(metadata, Mapping) or not isinstance(metadata.get("document"), str):
        raise ValueError(
            f'{path} holds a graph of NIR without metadata "{KEY}": NIR alone has no formats and roundings, of which '
            "an IntegerModel could be made."
        )
    document = _document_of(metadata["document"], path)
    try:
        arrays = {name: _array_of(name, metadata["arrays"], document["node"]) for name in document["files"]}
        for name, digest in document["files"].items():
            if _digest_of(arrays[name]) != digest:
                raise ValueError(f"array {name} was changed")
        model = files.decode(document["node"], arrays, NODES)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{path} does not describe a model ({error}): export the model again.") from error
    if not isinstance(model, IntegerModel):
        raise ValueError(f"{path} must hold an IntegerModel, got a {type(model).__name__}.")
    return model


def _document_of(text: str, path: str | Path) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ValueError(f"metadata of {path} cannot be read ({error}): export the model again.") from error
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise ValueError(f'{path} holds no model: the kind of its metadata is not "{KIND}".')
    if document.get("version") != VERSION:
        raise ValueError(
            f"{path} has version {document.get('version')!r} of the layout, and this program reads {VERSION}: "
            "install the version of qspinn_optuna that wrote it."
        )
    digest = document.pop("sha256", None)
    if digest != files.digest_of(document):
        raise ValueError(f"metadata of {path} were changed after they were written: export the model again.")
    return document


def _array_of(name: str, arrays: Mapping[str, Any], node: Any) -> NDArray[Any]:
    """An array in its shape, which the document says where it names the array."""
    pending = [node]
    while pending:
        content = pending.pop()
        if isinstance(content, dict):
            if content.get("file") == name:
                return np.asarray(arrays[name]).reshape(content["shape"])
            pending += content.values()
        elif isinstance(content, list):
            pending += content
    raise ValueError(f"array {name} is not part of it")


def _check_same(graph: Any, expected: Any, path: str | Path) -> None:
    """Refuse a graph whose nodes are not those of its model."""
    if graph.nodes.keys() != expected.nodes.keys():
        names = sorted(graph.nodes.keys() ^ expected.nodes.keys())
        raise ValueError(f"{path} must have the nodes of its model, got others: {names}. Export the model again.")
    if sorted(graph.edges) != sorted(expected.edges):
        edges = sorted(set(graph.edges) ^ set(expected.edges))
        raise ValueError(f"{path} must have the edges of its model, got others: {edges}. Export the model again.")
    if not _same(graph.metadata[KEY].get("deviations"), expected.metadata[KEY]["deviations"]):
        raise ValueError(f"deviations of {path} must be those of its model: export the model again.")
    for name, node in expected.nodes.items():
        found, wanted = graph.nodes[name].to_dict(), node.to_dict()
        changed = [key for key in sorted(found.keys() | wanted.keys()) if not _same(found.get(key), wanted.get(key))]
        if changed:
            raise ValueError(
                f"node {name!r} of {path} must be that of its model, got another {' and '.join(changed)}: export the "
                "model again."
            )


def _same(one: Any, other: Any) -> bool:
    """Whether two fields of a node are equal, as far as a file tells them apart."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, str | Mapping) or isinstance(other, str | Mapping):
        return type(one) is type(other) and bool(one == other)
    first, second = np.asarray(one), np.asarray(other)
    return first.dtype.kind == second.dtype.kind and np.array_equal(first, second)
