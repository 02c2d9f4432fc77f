"""Files of the AEDAT 3.1 format, in which DVS-Gesture is published.

The format: https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-3.1.html
"""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_VERSION = b"#!AER-DAT3.1\r\n"
_END_OF_HEADER = b"#!END-HEADER\r\n"
_PACKET = struct.Struct("<HHIIIIII")
"""Type, source, event size in bytes, offset of the time, overflows of the time, capacity, events, valid events."""
_POLARITY = 1
_EVENT_BYTES = 8
_TIME_OFFSET = 4
_TIME_BITS = 31
_VALID = 1
"""Bit of the data of an event."""
_PACKET_EVENTS = 8_192
_LARGEST_COORDINATE = (1 << 15) - 1

Events = tuple[NDArray[np.int64], NDArray[np.int16], NDArray[np.int16], NDArray[np.int8]]
"""Times in microseconds, columns, rows and polarities, each [events]."""


def read_aedat(path: Path | str) -> Events:
    """The valid polarity events of an AEDAT 3.1 file, in the order of the file.

    Example:
        >>> write_aedat(folder / "events.aedat", *(np.array([1, 2]) for _ in range(3)), np.array([0, 1]))
        >>> t, x, y, p = read_aedat(folder / "events.aedat")
        >>> t
        array([1, 2])

    Returns:
        t, x, y and p.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is not AEDAT 3.1, or is truncated or damaged, or has events of which none is valid.
    """
    path = Path(path)
    content = path.read_bytes()
    blocks = [np.empty((0, 2), "<u4")]
    overflows = [np.empty(0, np.int64)]
    position = _end_of_header(path, content)
    while position < len(content):
        kind, event_bytes, overflow, capacity, count = _packet_header(path, content, position)
        position += _PACKET.size
        if kind == _POLARITY:
            if event_bytes != _EVENT_BYTES or count > capacity:
                raise ValueError(
                    f"{path} is damaged: the packet before byte {position:,} has {count} events of {event_bytes} bytes "
                    f"in room for {capacity}; polarity events have {_EVENT_BYTES} bytes."
                )
            blocks.append(np.frombuffer(content, "<u4", 2 * count, position).reshape(count, 2))
            overflows.append(np.full(count, overflow, np.int64))
        position += event_bytes * capacity
    data, time = np.concatenate(blocks).T
    if len(data) > 0 and not (data & _VALID).any():
        raise ValueError(
            f"{path} is damaged: the headers of its packets count {len(data):,} events, but the valid bit of every one "
            "is 0. If they are valid, set bit 0 of the first word of each."
        )
    return _decode(data, time, np.concatenate(overflows))


def write_aedat(
    path: Path | str,
    t: NDArray[np.integer],
    x: NDArray[np.integer],
    y: NDArray[np.integer],
    p: NDArray[np.integer],
) -> None:
    """Write events as AEDAT 3.1.

    Example:
        >>> t, x, y, p = np.array([10, 20]), np.array([1, 2]), np.array([3, 3]), np.array([0, 1])
        >>> write_aedat(folder / "events.aedat", t, x, y, p)
        >>> len(read_aedat(folder / "events.aedat"))
        4

    Raises:
        ValueError: If lengths differ, or a number is outside the range of the format.
    """
    Path(path).write_bytes(encode_aedat(t, x, y, p))


def encode_aedat(
    t: NDArray[np.integer], x: NDArray[np.integer], y: NDArray[np.integer], p: NDArray[np.integer]
) -> bytes:
    """The content of an AEDAT 3.1 file.

    Raises:
        ValueError: If lengths differ, or a number is outside the range of the format.
    """
    if not len(t) == len(x) == len(y) == len(p):
        raise ValueError(f"t, x, y and p must be equally long, got {len(t)}, {len(x)}, {len(y)} and {len(p)}.")
    largest = {"t": np.iinfo(np.int64).max, "x": _LARGEST_COORDINATE, "y": _LARGEST_COORDINATE, "p": 1}
    for (name, limit), values in zip(largest.items(), (t, x, y, p), strict=True):
        if len(values) > 0 and not 0 <= values.min() <= values.max() <= limit:
            raise ValueError(f"{name} must be between 0 and {limit}, got {values.min()} to {values.max()}.")
    words = np.empty((len(t), 2), "<u4")
    words[:, 0] = (x.astype(np.uint32) << 17) | (y.astype(np.uint32) << 2) | (p.astype(np.uint32) << 1) | 1
    words[:, 1] = t & ((1 << _TIME_BITS) - 1)
    overflows = t.astype(np.int64) >> _TIME_BITS
    parts = [_VERSION, b"#Format: RAW\r\n", b"#Source 1: DVS128\r\n", _END_OF_HEADER]
    for first, last in _packets(overflows):
        count = last - first
        parts.append(_PACKET.pack(_POLARITY, 1, _EVENT_BYTES, _TIME_OFFSET, int(overflows[first]), count, count, count))
        parts.append(words[first:last].tobytes())
    return b"".join(parts)


def _packets(overflows: NDArray[np.int64]) -> list[tuple[int, int]]:
    """First event and end of each packet, whose events have the same number of overflows."""
    changes = np.flatnonzero(np.diff(overflows)) + 1
    edges = sorted({*range(0, len(overflows), _PACKET_EVENTS), *changes.tolist(), len(overflows)})
    return list(pairwise(edges))


def _decode(data: NDArray[np.uint32], time: NDArray[np.uint32], overflows: NDArray[np.int64]) -> Events:
    valid = (data & _VALID) == _VALID
    data, time, overflows = data[valid], time[valid], overflows[valid]
    t = time.astype(np.int64) | (overflows << _TIME_BITS)
    x = (data >> 17).astype(np.int16)
    y = ((data >> 2) & _LARGEST_COORDINATE).astype(np.int16)
    p = ((data >> 1) & 1).astype(np.int8)
    return t, x, y, p


def _end_of_header(path: Path, content: bytes) -> int:
    if not content.startswith(_VERSION):
        raise ValueError(f"{path} must be AEDAT 3.1 and begin with {_VERSION!r}, got {content[: len(_VERSION)]!r}.")
    # NOTE: only lines that begin with "#" belong to the header; its last line may also occur among the events.
    position = 0
    while content.startswith(b"#", position):
        end = content.find(b"\r\n", position) + 2
        if end < 2:
            break
        if content[position:end] == _END_OF_HEADER:
            return end
        position = end
    raise ValueError(f"{path} must have a header that ends with {_END_OF_HEADER!r}, which is missing.")


def _packet_header(path: Path, content: bytes, position: int) -> tuple[int, int, int, int, int]:
    """Type, event size in bytes, overflows, capacity and events of a packet; checks that it is complete."""
    missing = position + _PACKET.size - len(content)
    if missing > 0:
        raise ValueError(
            f"{path} is truncated: the header of the packet at byte {position:,} lacks {missing} of "
            f"{_PACKET.size} bytes."
        )
    kind, _, event_bytes, _, overflow, capacity, count, _ = _PACKET.unpack_from(content, position)
    body = event_bytes * capacity
    missing += body
    if missing > 0:
        raise ValueError(
            f"{path} is truncated: the events of the packet at byte {position:,} lack {missing:,} of {body:,} bytes."
        )
    return kind, event_bytes, overflow, capacity, count
