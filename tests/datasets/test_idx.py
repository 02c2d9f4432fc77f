"""IDX files, written byte by byte, and possible errors in them."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from qspinn_optuna.datasets.idx import read_idx

VALUES = np.arange(6, dtype=np.uint8).reshape(2, 3)


def idx(values: NDArray[np.uint8], kind: int = 8) -> bytes:
    """The bytes of an IDX file: two zeros, the type, the number of dimensions, their sizes, the data."""
    sizes = b"".join(struct.pack(">I", size) for size in values.shape)
    return struct.pack(">BBBB", 0, 0, kind, values.ndim) + sizes + values.tobytes()


def refused(path: Path, content: bytes) -> str:
    """The message of the error that names the file."""
    path.write_bytes(content)
    with pytest.raises(ValueError, match=path.name) as error:
        read_idx(path)
    assert str(path) in str(error.value)
    return str(error.value)


@given(npst.arrays(np.uint8, npst.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)), st.booleans())
@settings(deadline=None)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, values: NDArray[np.uint8], zip_: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "round-trip-idx"
    path.write_bytes(gzip.compress(idx(values)) if zip_ else idx(values))
    found = read_idx(path)
    assert found.dtype == np.uint8
    assert found.shape == values.shape
    np.testing.assert_array_equal(found, values)


def test_a_gzipped_file_is_known_by_its_content_not_its_name(tmp_path: Path) -> None:
    path = tmp_path / "labels-idx1-ubyte"
    path.write_bytes(gzip.compress(idx(VALUES)))
    np.testing.assert_array_equal(read_idx(path), VALUES)
    (tmp_path / "plain.gz").write_bytes(idx(VALUES))
    np.testing.assert_array_equal(read_idx(tmp_path / "plain.gz"), VALUES)


@pytest.mark.parametrize("content", [idx(VALUES), gzip.compress(idx(VALUES))], ids=["plain", "gzip"])
def test_a_file_truncated_anywhere_is_refused(tmp_path: Path, content: bytes) -> None:
    for length in range(len(content)):
        refused(tmp_path / "cut", content[:length])


def test_a_truncated_header_is_called_so(tmp_path: Path) -> None:
    assert "truncated" in refused(tmp_path / "cut", idx(VALUES)[:9])


def test_truncated_data_is_counted(tmp_path: Path) -> None:
    message = refused(tmp_path / "cut", idx(VALUES)[:-2])
    assert "6 bytes" in message
    assert "got 4" in message


def test_a_truncated_gzip_file_is_called_so(tmp_path: Path) -> None:
    assert "gzip" in refused(tmp_path / "cut", gzip.compress(idx(VALUES))[:-3])


@pytest.mark.parametrize("surplus", [b"\0", b"more"])
def test_a_file_that_is_too_long_is_refused(tmp_path: Path, surplus: bytes) -> None:
    assert f"got {6 + len(surplus)}" in refused(tmp_path / "long", idx(VALUES) + surplus)
    refused(tmp_path / "long", gzip.compress(idx(VALUES) + surplus))


def test_no_flipped_bit_of_a_gzip_file_changes_what_is_read(tmp_path: Path) -> None:
    content, path, refusals = gzip.compress(idx(VALUES)), tmp_path / "flipped", 0
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            np.testing.assert_array_equal(read_idx(path), VALUES)
        except ValueError as error:
            assert str(path) in str(error)  # noqa: PT017
            refusals += 1
    assert refusals > 4 * len(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"\0\0\x08",
        b"\0\x01" + idx(VALUES)[2:],
        b"\x01\0" + idx(VALUES)[2:],
        struct.pack(">BBBB", 0, 0, 8, 0) + b"\x07",
        b"5,0,4,1,9\n",
        "Überschrift".encode(),
        b"\x89PNG\r\n\x1a\n",
    ],
)
def test_a_file_of_another_format_is_refused(tmp_path: Path, content: bytes) -> None:
    assert "IDX" in refused(tmp_path / "other", content)
    assert "IDX" in refused(tmp_path / "other.gz", gzip.compress(content))


@pytest.mark.parametrize("kind", [0x09, 0x0B, 0x0C, 0x0D, 0x0E, 0x00, 0xFF])
def test_other_types_than_unsigned_bytes_are_refused(tmp_path: Path, kind: int) -> None:
    assert f"type 0x{kind:02x}" in refused(tmp_path / "floats", idx(VALUES, kind))


def test_more_dimensions_than_an_array_can_have_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "deep", struct.pack(">BBBB", 0, 0, 8, 70) + struct.pack(">70I", *[1] * 70) + b"\x07")


def test_a_shape_larger_than_memory_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "vast", struct.pack(">BBBB", 0, 0, 8, 4) + struct.pack(">4I", 0, *[2**32 - 1] * 3))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere-idx"):
        read_idx(tmp_path / "nowhere-idx")
