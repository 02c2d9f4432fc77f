from __future__ import annotations

import os
import platform
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from qspinn_optuna.workloads.supervised.cache import NetworkCache

DAY = 24 * 60 * 60


def small_content() -> dict[str, Any]:
    return {"layer.weight": torch.tensor([[0.5, -1.25], [3.0, 0.0]]), "steps": torch.tensor(7), "state": {"seed": 3}}


def saved_file(folder: Path, content: dict[str, Any] | None = None) -> Path:
    NetworkCache(folder).save("key", small_content() if content is None else content)
    return folder / "key.safetensors"


def bits(tensor: torch.Tensor) -> list[int]:
    values: list[int] = tensor.contiguous().reshape(-1).view(torch.uint8).tolist()
    return values


@pytest.mark.parametrize(
    "dtype",
    [
        *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
        *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128),
    ],
)
@pytest.mark.parametrize("shape", [(), (0,), (3, 5)])
def test_tensors_come_back_bit_by_bit(tmp_path: Path, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    tensor = (torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 9).to(dtype)
    saved_file(tmp_path, {"tensor": tensor})
    loaded = NetworkCache(tmp_path).load("key")
    assert loaded is not None
    assert (loaded["tensor"].dtype, loaded["tensor"].shape) == (dtype, tensor.shape)
    assert bits(loaded["tensor"]) == bits(tensor)


def test_unusual_numbers_come_back_bit_by_bit(tmp_path: Path) -> None:
    numbers = torch.tensor([0x7FC00001, -0x80000000, 0x7F800000, 1], dtype=torch.int64).to(torch.int32)
    saved_file(tmp_path, {"numbers": numbers.view(torch.float32)})
    loaded = NetworkCache(tmp_path).load("key")
    assert loaded is not None
    assert loaded["numbers"].view(torch.int32).tolist() == numbers.tolist()


def test_tensors_that_share_memory_or_are_views_are_kept(tmp_path: Path) -> None:
    weight = torch.arange(12.0).reshape(3, 4).requires_grad_()
    content = {"a": weight, "tied": weight, "transposed": weight.T, "column": weight[:, 1], "expanded": weight[:1]}
    saved_file(tmp_path, content)
    loaded = NetworkCache(tmp_path).load("key")
    assert loaded is not None
    assert loaded.keys() == content.keys()
    assert all(torch.equal(loaded[name], value) for name, value in content.items())
    loaded["a"].zero_()
    assert torch.equal(loaded["tied"], weight)


def test_what_is_no_tensor_is_kept(tmp_path: Path) -> None:
    state = {"count": 3, "names": ["a", "b"], "scale": torch.tensor(0.1), "nothing": None}
    saved_file(tmp_path, {"module._extra_state": state, "weight": torch.ones(2)})
    loaded = NetworkCache(tmp_path).load("key")
    assert loaded is not None
    assert loaded["module._extra_state"] == state
    assert torch.equal(loaded["weight"], torch.ones(2))


def test_what_could_not_be_read_again_is_not_kept(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="The network is not kept"):
        saved_file(tmp_path, {"extra": random.Random(0)})
    assert NetworkCache(tmp_path).load("key") is None


def test_a_network_without_tensors_is_kept(tmp_path: Path) -> None:
    saved_file(tmp_path, {})
    assert NetworkCache(tmp_path).load("key") == {}


def assert_told(folder: Path, data: bytes, kept: str = "key.safetensors.damaged") -> None:
    """A file of these bytes is told to be damaged, once, and kept aside."""
    path = folder / "key.safetensors"
    path.write_bytes(data)
    with pytest.warns(UserWarning, match="damaged") as told:
        assert NetworkCache(folder).load("key") is None
    (message,) = (str(warning.message) for warning in told)
    assert message.startswith(f"{path} is damaged")
    assert message.endswith(f"it is kept as {kept}, and the network is trained again.")
    assert "\n" not in message
    assert not path.exists()
    assert (folder / kept).read_bytes() == data


def test_every_flipped_bit_of_a_small_file_is_told(tmp_path: Path) -> None:
    data = saved_file(tmp_path, {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([True])}).read_bytes()
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        assert_told(tmp_path, bytes(flipped))
        (tmp_path / "key.safetensors.damaged").unlink()


def test_flipped_bits_of_a_large_file_are_told(tmp_path: Path) -> None:
    content = {**small_content(), "large": torch.randn(100, 100, generator=torch.Generator().manual_seed(0))}
    data = saved_file(tmp_path, content).read_bytes()
    draws = random.Random(0)
    for number in range(300):
        flipped = bytearray(data)
        flipped[draws.randrange(len(data))] ^= 1 << draws.randrange(8)
        assert_told(tmp_path, bytes(flipped), f"key.safetensors.damaged{number + 1 if number else ''}")


def test_torn_and_empty_files_are_told(tmp_path: Path) -> None:
    data = saved_file(tmp_path).read_bytes()
    for length in range(len(data)):
        assert_told(tmp_path, data[:length])
        (tmp_path / "key.safetensors.damaged").unlink()
    assert_told(tmp_path, data + b"\0")


def test_a_valid_file_without_a_checksum_is_told(tmp_path: Path) -> None:
    assert_told(tmp_path, save({"weight": torch.ones(2)}))


def test_a_damaged_network_can_be_saved_again(tmp_path: Path) -> None:
    data = saved_file(tmp_path).read_bytes()
    assert_told(tmp_path, data[:-1])
    saved_file(tmp_path)
    assert NetworkCache(tmp_path).load("key") is not None
    assert (tmp_path / "key.safetensors.damaged").read_bytes() == data[:-1]


def ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.skipif(os.name != "posix", reason="processes are not looked up elsewhere")
def test_leftovers_of_ended_processes_are_removed(tmp_path: Path) -> None:
    node, ended = platform.node(), ended_process()
    removed = [tmp_path / f"key.{node}.{ended}.1.partial", tmp_path / f"other.{node}.{ended}.2.partial"]
    left = [
        *(tmp_path / f"key.{node}.{process}.1.partial" for process in (os.getpid(), os.getppid())),
        *(tmp_path / name for name in (f"key.elsewhere{node}x.{ended}.1.partial", f"key.{ended}.partial", "a.partial")),
    ]
    for path in (*removed, *left):
        path.write_bytes(b"half")
    saved_file(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([*left, tmp_path / "key.safetensors"])


def test_old_leftovers_are_removed(tmp_path: Path) -> None:
    for name in ("key.1.partial", f"key.{platform.node()}.{os.getpid()}.1.partial", "key.elsewhere.1.1.partial"):
        path = tmp_path / name
        path.write_bytes(b"half")
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 2 * DAY))
    saved_file(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["key.safetensors"]


def test_a_save_that_fails_leaves_the_earlier_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError("disk full")

    data = saved_file(tmp_path).read_bytes()
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        NetworkCache(tmp_path).save("key", {"weight": torch.ones(2)})
    assert (tmp_path / "key.safetensors").read_bytes() == data
