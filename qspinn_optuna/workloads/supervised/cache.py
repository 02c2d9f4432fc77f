"""Networks that are kept: trained ones in files, the last few quantized ones in memory."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import platform
import threading
import time
import warnings
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from qspinn_optuna.networks.running.watching import fresh_copy

_PLAIN_TYPES = frozenset(
    {
        torch.bool,
        torch.uint8,
        torch.int8,
        torch.int16,
        torch.int32,
        torch.int64,
        torch.float16,
        torch.bfloat16,
        torch.float32,
        torch.float64,
    }
)
"""Types of tensors that every version of safetensors has."""

_DAY = 24 * 60 * 60
"""Seconds."""


class NetworkCache:
    """A folder of state dicts, each a safetensors file with a checksum, named after what it depends on.

    Args:
        folder: Made when something is saved.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, key: str) -> dict[str, Any] | None:
        """The state dict that was saved under ``key``; None if none was, or its file is damaged.

        A damaged file is moved aside, with a warning.
        """
        path = self._path(key)
        if not path.is_file():
            return None
        try:
            tensors, packed = _checked(path.read_bytes())
        except FileNotFoundError:
            # Another process has just moved it aside.
            return None
        except (OSError, SafetensorError, KeyError, RuntimeError, TypeError, ValueError) as error:
            kept = _move_aside(path)
            warnings.warn(
                f"{path} is damaged ({type(error).__name__}: {_one_line(error)}): it is kept as {kept.name}, and the "
                "network is trained again.",
                stacklevel=2,
            )
            return None
        return {name: _unpacked(tensor) if name in packed else tensor for name, tensor in tensors.items()}

    def save(self, key: str, content: Mapping[str, Any]) -> None:
        """Write a state dict, whole or not at all; one that could not be read again is not written, with a warning."""
        try:
            data = _file_content(content)
        except pickle.PickleError as error:
            warnings.warn(
                f"The network is not kept, and is trained again when it is needed: {_one_line(error)}", stacklevel=2
            )
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._remove_leftovers()
        # Threads, processes and machines that save the same network at once do not meet.
        owner = f"{platform.node()}.{os.getpid()}.{threading.get_ident()}"
        partial = self.folder / f"{key}.{owner}.partial"
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            # Without it, a power cut may leave the new name with nothing in it.
            os.fsync(file.fileno())
        partial.replace(self._path(key))

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"

    def _remove_leftovers(self) -> None:
        """Remove what processes left that ended while they saved."""
        for partial in self.folder.glob("*.partial"):
            if _is_left_over(partial):
                partial.unlink(missing_ok=True)


class RecentNetworks:
    """The networks that were used last, in memory; each is handed out as a fresh copy.

    Args:
        capacity: Number of networks that are kept.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._networks: OrderedDict[Hashable, nn.Module] = OrderedDict()

    def get(self, key: Hashable) -> nn.Module | None:
        """A copy of the network that was kept under ``key``; None if it is not kept."""
        if key not in self._networks:
            return None
        self._networks.move_to_end(key)
        return fresh_copy(self._networks[key])

    def keep(self, key: Hashable, network: nn.Module) -> None:
        """Keep a copy of ``network``, and forget the network that was not used for longest if there are too many."""
        self._networks[key] = fresh_copy(network)
        self._networks.move_to_end(key)
        if len(self._networks) > self.capacity:
            self._networks.popitem(last=False)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _file_content(content: Mapping[str, Any]) -> bytes:
    tensors = {name: _plain(value) if _is_plain(value) else _packed(value) for name, value in content.items()}
    packed = json.dumps(sorted(name for name, value in content.items() if not _is_plain(value)))
    return save(tensors, {"packed": packed, "sha256": _digest(tensors, packed)})


def _checked(data: bytes) -> tuple[dict[str, torch.Tensor], list[str]]:
    """The tensors of a file, and the names of those that are packed values.

    Raises:
        ValueError: If the checksum is another one; what is no safetensors file raises errors of its reader.
    """
    tensors = load(data)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    metadata = header["__metadata__"]
    if metadata["sha256"] != _digest(tensors, metadata["packed"]):
        raise ValueError("its checksum is another one")
    packed: list[str] = json.loads(metadata["packed"])
    return tensors, packed


def _digest(tensors: Mapping[str, torch.Tensor], packed: str) -> str:
    """SHA-256 of all that a file holds."""
    digest = hashlib.sha256(packed.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _is_plain(value: object) -> bool:
    """Whether safetensors can hold it."""
    return isinstance(value, torch.Tensor) and value.layout == torch.strided and value.dtype in _PLAIN_TYPES


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    # Tensors that share memory, such as tied weights, are refused by safetensors.
    return tensor.detach().cpu().contiguous().clone()


def _packed(value: object) -> torch.Tensor:
    """The bytes of what is no plain tensor, such as the extra state of a module."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    packed = torch.frombuffer(bytearray(buffer.getvalue()), dtype=torch.uint8)
    # Objects of arbitrary classes can be written, but not read.
    _unpacked(packed)
    return packed


def _unpacked(packed: torch.Tensor) -> Any:
    return torch.load(io.BytesIO(packed.numpy().tobytes()), map_location="cpu", weights_only=True)


def _move_aside(path: Path) -> Path:
    """Rename a damaged file, to a name that no other has."""
    number = 1
    while True:
        kept = path.with_name(f"{path.name}.damaged{number if number > 1 else ''}")
        try:
            # An empty file reserves the name: a rename alone would overwrite what another process has moved there.
            kept.touch(exist_ok=False)
        except FileExistsError:
            number += 1
            continue
        path.replace(kept)
        return kept


def _is_left_over(partial: Path) -> bool:
    """Whether no process writes a partial file any more."""
    try:
        if time.time() - partial.stat().st_mtime > _DAY:
            return True
    except FileNotFoundError:
        # It has become whole.
        return False
    start, *numbers = partial.name.rsplit(".", 3)
    # Processes of other machines, which may share the folder, cannot be looked up.
    here = len(numbers) == 3 and start.endswith(f".{platform.node()}")
    return here and numbers[0].isdecimal() and not _runs(int(numbers[0]))


def _runs(process: int) -> bool:
    """Whether a process of this machine runs; taken for granted where asking would end it, as on Windows."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        # It is another user's.
        return True
    return True
