"""Files of the IDX format, in which MNIST is published (http://yann.lecun.com/exdb/mnist/)."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_UNSIGNED_BYTE = 0x08
_MAX_DIMENSIONS = 8


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array of unsigned bytes in an IDX file, plain or gzipped.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is not IDX, has another type than unsigned bytes, or is truncated.
    """
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path} is a damaged or truncated gzip file ({error}); download it again.") from error
    if b"\0\0".startswith(content[:2]) and len(content) < 4:
        raise ValueError(f"{path} is empty or truncated: an IDX file has at least 4 bytes, got {len(content)}.")
    if content[:2] != b"\0\0" or content[3] == 0:
        raise ValueError(f"{path} must be an IDX file, which begins with two zero bytes; got {content[:4]!r}.")
    if content[2] != _UNSIGNED_BYTE:
        raise ValueError(f"{path} must hold unsigned bytes (type 0x08), got type 0x{content[2]:02x}.")
    header = 4 + 4 * content[3]
    if content[3] > _MAX_DIMENSIONS:
        raise ValueError(f"{path} must have at most {_MAX_DIMENSIONS} dimensions, got {content[3]}.")
    if len(content) < header:
        raise ValueError(f"{path} is truncated: it ends within its header.")
    shape = struct.unpack(f">{content[3]}I", content[4:header])
    if len(content) - header != math.prod(shape):
        raise ValueError(
            f"{path} must hold {math.prod(shape)} bytes of data for its shape {list(shape)}, "
            f"got {len(content) - header}: it is truncated or damaged."
        )
    try:
        return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
    except ValueError as error:
        raise ValueError(
            f"{path} must have the shape of an array, got {list(shape)}: its header is damaged."
        ) from error
