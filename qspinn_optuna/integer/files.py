"""Nodes in a folder: ``model.json`` for the structure, and a file for each array.

``model.json`` holds the kind of the folder and the version of its layout, the node, and the SHA-256 of every file. A
node is an object whose "type" is the name of its class; an array names its file. The digest in ``sha256`` is that of
the rest of the document, as compact JSON with sorted keys.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

KIND = "qspinn-integer-model"
VERSION = 1
"""Version of the layout. It grows when a reader of the version before could not read the folder."""

DOCUMENT = "model.json"

Arrays = dict[str, NDArray[Any]]


def write(node: object, folder: str | Path, *, overwrite: bool = False) -> None:
    """Write a node as a folder, whole or not at all.

    Args:
        node: A dataclass of dataclasses, tuples, arrays, and what JSON holds.
        folder: The folder. Its parent exists.
        overwrite: Whether to replace a folder that this function wrote.

    Raises:
        ValueError: If ``folder`` exists and is not to be replaced, or holds anything else, or has no parent.
    """
    # By its own name, whatever leads to it: "." or a link.
    target = Path(folder).resolve()
    _check_target(target, overwrite)
    unfinished = target.with_name(f".{target.name}-{uuid.uuid4().hex}")
    unfinished.mkdir()
    try:
        _write_files(node, unfinished)
        _put_in_place(unfinished, target)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def read(folder: str | Path, types: Mapping[str, type]) -> Any:
    """The node that :func:`write` wrote.

    Args:
        folder: The folder.
        types: Classes of nodes, by their names.

    Raises:
        ValueError: If ``folder`` is no such folder or one of a newer version, or a file is missing or changed.
    """
    source = Path(folder)
    document = _read_document(source)
    arrays = {name: _read_array(source / name, digest) for name, digest in document["files"].items()}
    try:
        return decode(document["node"], arrays, types)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{source / DOCUMENT} does not describe a model ({error}): save the model again.") from error


def _check_target(target: Path, overwrite: bool) -> None:
    if not target.parent.is_dir():
        raise ValueError(f"folder must be in a folder that exists, got {target}: make {target.parent} first.")
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not target.is_dir():
        raise ValueError(f"folder must not be a file, got {target}: name another.")
    try:
        own = {DOCUMENT, *_read_document(target)["files"]}
    except ValueError as error:
        raise ValueError(f"folder must be new or hold a model, got {target}, which holds something else.") from error
    others = sorted({path.name for path in target.iterdir()} - own)
    if others:
        raise ValueError(f"folder must hold nothing besides a model, got {target}, which holds {others} too.")
    if not overwrite:
        raise ValueError(f"folder must be new, got {target}, which holds a model: give overwrite=True to replace it.")


def _put_in_place(unfinished: Path, target: Path) -> None:
    if not target.exists():
        unfinished.rename(target)
        return
    old = target.with_name(f".{target.name}-{uuid.uuid4().hex}")
    target.rename(old)
    try:
        unfinished.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old)


def _write_files(node: object, folder: Path) -> None:
    arrays: Arrays = {}
    content = encode(node, "", arrays)
    digests = {}
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        (folder / name).write_bytes(buffer.getvalue())
        digests[name] = hashlib.sha256(buffer.getvalue()).hexdigest()
    document = {"kind": KIND, "version": VERSION, "node": content, "files": digests}
    text = json.dumps({**document, "sha256": digest_of(document)}, indent=2)
    (folder / DOCUMENT).write_text(text + "\n", encoding="utf-8")


def _read_document(folder: Path) -> dict[str, Any]:
    path = folder / DOCUMENT
    if not path.is_file():
        raise ValueError(f"folder must hold a model, got {folder}: {DOCUMENT} is missing.")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error}): save the model again.") from error
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise ValueError(f'{path} is no model: its kind is not "{KIND}".')
    if document.get("version") != VERSION:
        raise ValueError(
            f"{path} has version {document.get('version')!r} of the layout, and this program reads {VERSION}: "
            "install the version of qspinn_optuna that wrote it."
        )
    digest = document.pop("sha256", None)
    if digest != digest_of(document):
        raise ValueError(f"{path} was changed after it was written: save the model again.")
    return document


def _read_array(path: Path, digest: str) -> NDArray[Any]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} is missing or cannot be read: save the model again.") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"{path} was cut or changed after it was written: save the model again.")
    array: NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
    return array


def digest_of(document: Mapping[str, Any]) -> str:
    """SHA-256 of a document as compact JSON with sorted keys."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def encode(value: Any, path: str, arrays: Arrays) -> Any:
    """A value as JSON; its arrays go to ``arrays``, by the names of their files."""
    if is_dataclass(value):
        # What has its default is left out, so that readers that do not know it yet can read the rest.
        inside = {
            field.name: encode(own, f"{path}.{field.name}", arrays)
            for field in fields(value)
            if (own := getattr(value, field.name)) is not field.default
        }
        return {"type": type(value).__name__, **inside}
    if isinstance(value, tuple):
        return [encode(item, f"{path}.{number}", arrays) for number, item in enumerate(value)]
    if isinstance(value, np.ndarray):
        name = f"{path.lstrip('.')}.npy"
        arrays[name] = value
        return {"type": "array", "file": name, "dtype": str(value.dtype), "shape": list(value.shape)}
    return value


def decode(content: Any, arrays: Arrays, types: Mapping[str, type]) -> Any:
    """The inverse of :func:`encode`. What a node derives of the rest is derived again, and must be the same."""
    if isinstance(content, list):
        return tuple(decode(item, arrays, types) for item in content)
    if not isinstance(content, dict):
        return content
    if content["type"] == "array":
        return arrays[content["file"]]
    kind = types[content["type"]]
    values = {name: decode(item, arrays, types) for name, item in content.items() if name != "type"}
    derived = {field.name: values.pop(field.name) for field in fields(kind) if not field.init}
    node = kind(**values)
    for name, value in derived.items():
        if getattr(node, name) != value:
            given, needed = _first_difference(value, getattr(node, name))
            raise ValueError(f"{name} of {content['type']} is {given}, and {needed} is needed")
    return node


def _first_difference(one: object, other: object) -> tuple[object, object]:
    """Two values that differ; of tuples, the first of their parts that do."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return next(((a, b) for a, b in zip_longest(one, other) if a != b), (one, other))
    return one, other
