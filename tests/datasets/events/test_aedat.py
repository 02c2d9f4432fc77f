"""AEDAT 3.1 against SpikingJelly's reader, and possible errors in files."""

from __future__ import annotations

import importlib
import struct
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qspinn_optuna.datasets import read_aedat, write_aedat
from qspinn_optuna.datasets.events.aedat import encode_aedat

datasets = importlib.import_module("spikingjelly.datasets")
HEADER = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n"


def packet(
    events: list[tuple[int, int]], kind: int = 1, overflow: int = 0, capacity: int | None = None, size: int = 8
) -> bytes:
    """A packet of pairs of data and time, padded with zeros up to its capacity."""
    capacity = len(events) if capacity is None else capacity
    head = struct.pack("<HHIIIIII", kind, 1, size, 4, overflow, capacity, len(events), len(events))
    body = b"".join(struct.pack("<II", data, time) + bytes(size - 8) for data, time in events)
    return head + body + bytes(size * max(capacity - len(events), 0))


def event(x: int, y: int, p: int) -> int:
    return (x << 17) | (y << 2) | (p << 1) | 1


def assert_equals_spikingjelly(path: Path) -> None:
    expected = datasets.utils.load_aedat_v3(path)
    for key, values in zip("txyp", read_aedat(path), strict=True):
        np.testing.assert_array_equal(values, expected[key])


coordinates = st.integers(0, (1 << 15) - 1)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, (1 << 40) - 1), coordinates, coordinates, st.integers(0, 1)), max_size=30))
def test_what_is_written_is_read(events: list[tuple[int, int, int, int]]) -> None:
    columns: list[NDArray[np.int64]] = list(np.array(sorted(events), np.int64).reshape(-1, 4).T)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.aedat"
        write_aedat(path, columns[0], columns[1], columns[2], columns[3])
        read = read_aedat(path)
        for values, expected in zip(read, columns, strict=True):
            np.testing.assert_array_equal(values, expected)
        assert [values.dtype for values in read] == [np.int64, np.int16, np.int16, np.int8]
        assert_equals_spikingjelly(path)


def test_many_packets_across_an_overflow_of_time(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    count = 20_001
    t = np.sort(generator.integers((1 << 31) - 500, (1 << 31) + 500, count))
    write_aedat(tmp_path / "a.aedat", t, np.arange(count) % 128, np.arange(count) % 100, np.arange(count) % 2)
    np.testing.assert_array_equal(read_aedat(str(tmp_path / "a.aedat"))[0], t)
    assert_equals_spikingjelly(tmp_path / "a.aedat")


def test_packets_of_other_events_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    path.write_bytes(
        HEADER
        + packet([(event(1, 2, 1), 10)])
        + packet([(7, 11)] * 3, kind=0)
        + packet([(7, 12)] * 2, kind=3, size=36)
        + packet([])
        + packet([(event(127, 126, 0), 13), (event(5, 6, 1), 14)], overflow=2)
    )
    t, x, y, p = read_aedat(path)
    np.testing.assert_array_equal(t, [10, 13 + (2 << 31), 14 + (2 << 31)])
    np.testing.assert_array_equal(x, [1, 127, 5])
    np.testing.assert_array_equal(y, [2, 126, 6])
    np.testing.assert_array_equal(p, [1, 0, 1])
    assert_equals_spikingjelly(path)


def test_invalid_events_and_unused_room_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    path.write_bytes(
        HEADER + packet([(event(1, 2, 1), 10), (event(3, 4, 1) - 1, 11), (event(5, 6, 0), 12)], capacity=9)
    )
    t, x, _, _ = read_aedat(path)
    np.testing.assert_array_equal(t, [10, 12])
    np.testing.assert_array_equal(x, [1, 5])


@pytest.mark.parametrize("packets", [1, 3])
def test_events_none_of_which_is_valid_are_not_silently_left_out(tmp_path: Path, packets: int) -> None:
    path = tmp_path / "a.aedat"
    invalid = packet([(event(1, 2, 1) - 1, 10), (event(5, 6, 0) - 1, 12)])
    path.write_bytes(HEADER + invalid * packets)
    with pytest.raises(ValueError, match=rf"a\.aedat is damaged.* {2 * packets} events.*valid bit"):
        read_aedat(path)
    path.write_bytes(HEADER + invalid * packets + packet([(event(7, 8, 1), 13)]))
    np.testing.assert_array_equal(read_aedat(path)[1], [7])


def test_a_file_without_events_is_empty(tmp_path: Path) -> None:
    (tmp_path / "a.aedat").write_bytes(HEADER)
    assert [len(values) for values in read_aedat(tmp_path / "a.aedat")] == [0] * 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be AEDAT 3.1"),
        (b"#!AER-DAT2.0\r\n#!END-HEADER\r\n", r"begin with .*3\.1.*got b'#!AER-DAT2\.0"),
        (b"<html>not found</html>", "got b'<html>"),
        (packet([(event(1, 1, 1), 1)]), "must be AEDAT 3.1"),
        (b"#!AER-DAT3.1\r\n#Format: RAW\r\n", "must have a header that ends with"),
        (b"#!AER-DAT3.1\r\n" + packet([(event(1, 1, 1), 1)]), "must have a header that ends with"),
        (b"#!AER-DAT3.1\r\n#Format", "must have a header that ends with"),
    ],
)
def test_another_format_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.aedat").write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read_aedat(tmp_path / "a.aedat")
    assert str(tmp_path / "a.aedat") in str(error.value)


WHOLE = HEADER + packet([(event(1, 2, 1), 10)]) + packet([(event(1, 2, 1), 10)] * 4)
SECOND = len(HEADER) + 28 + 8


@pytest.mark.parametrize("left", [1, 27, 28, 29, 59])
def test_a_truncated_file_says_where_and_how_many_bytes_are_missing(tmp_path: Path, left: int) -> None:
    path = tmp_path / "a.aedat"
    path.write_bytes(WHOLE[: SECOND + left])
    part, missing, whole = ("header", 28 - left, 28) if left < 28 else ("events", 60 - left, 32)
    with pytest.raises(ValueError, match=f"truncated: the {part} of the packet at byte {SECOND}.*{missing} of {whole}"):
        read_aedat(path)


@pytest.mark.parametrize(
    "body", [packet([(event(1, 1, 1), 1)], size=12), packet([(event(1, 1, 1), 1)] * 2, capacity=1)]
)
def test_a_damaged_packet_is_refused(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "a.aedat").write_bytes(HEADER + body + bytes(64))
    with pytest.raises(ValueError, match=r"a\.aedat is damaged"):
        read_aedat(tmp_path / "a.aedat")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.aedat"):
        read_aedat(tmp_path / "nowhere.aedat")


@pytest.mark.parametrize(("name", "wrong"), [("t", -1), ("x", -1), ("x", 1 << 15), ("y", 1 << 15), ("p", 2), ("p", -1)])
def test_numbers_that_the_format_does_not_hold_are_refused(name: str, wrong: int) -> None:
    columns = {key: np.array([0, wrong if key == name else 1]) for key in "txyp"}
    with pytest.raises(ValueError, match=rf"^{name}\b.*got .*{wrong}"):
        encode_aedat(columns["t"], columns["x"], columns["y"], columns["p"])


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^t, x, y and p\b.*got 2, 2, 1 and 2"):
        encode_aedat(np.zeros(2, int), np.zeros(2, int), np.zeros(1, int), np.zeros(2, int))
