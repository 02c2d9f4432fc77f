"""State dicts as safetensors files with a checksum."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

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


class DamagedError(ValueError):
    """A file that is not what was written."""


def to_bytes(content: Mapping[str, Any]) -> bytes:
    """A state dict as a file with a checksum.

    Raises:
        pickle.PickleError: If a value that is no tensor could not be read again.
    """
    tensors = {name: _plain(value) if _is_plain(value) else _packed(value) for name, value in content.items()}
    packed = json.dumps(sorted(name for name, value in content.items() if not _is_plain(value)))
    return save(tensors, {"packed": packed, "sha256": _digest(tensors, packed)})


def from_bytes(data: bytes) -> dict[str, Any]:
    """The state dict of a file.

    Raises:
        DamagedError: If it is not what was written.
    """
    try:
        tensors, packed = _checked(data)
        return {name: _unpacked(tensor) if name in packed else tensor for name, tensor in tensors.items()}
    except (SafetensorError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise DamagedError(f"{type(error).__name__}: {error}") from error


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
