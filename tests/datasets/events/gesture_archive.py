"""A tiny archive in the layout of DVS-Gesture, for tests to damage."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.datasets.events.aedat import encode_aedat
from qspinn_optuna.datasets.events.manifest import Manifest, md5_of

HEADER = "class,startTime_usec,endTime_usec\n"
NAMES = ("DvsGesture.tar.gz", "gesture_mapping.csv", "LICENSE.txt", "README.txt")


def some_events(seed: int, count: int, end: int = 1_000) -> tuple[NDArray[np.int64], ...]:
    """Random t, x, y and p."""
    generator = np.random.default_rng(seed)
    t = np.sort(generator.integers(0, end, count))
    return t, generator.integers(0, 128, count), generator.integers(0, 128, count), generator.integers(0, 2, count)


@dataclass
class GestureArchive:
    """Content of the archive's folder ``DvsGesture``; the classes 3 and 11 distinguish lexical from numerical order."""

    files: dict[str, bytes] = field(
        default_factory=lambda: {
            "user01_led.aedat": encode_aedat(*some_events(1, 300)),
            "user01_led_labels.csv": f"{HEADER}3,100,400\n11,400,600\n11,600,900\n".encode(),
            "user02_lab.aedat": encode_aedat(*some_events(2, 200)),
            "user02_lab_labels.csv": f"{HEADER}3,0,500\n2,300,1000\n".encode(),
            "user03_led.aedat": encode_aedat(*some_events(3, 100)),
            "user03_led_labels.csv": f"{HEADER}1,0,500\n1,500,999\n".encode(),
            "trials_to_train.txt": b"user02_lab.aedat\nuser01_led.aedat\n\n",
            "trials_to_test.txt": b"user03_led.aedat\n",
        }
    )

    def write(self, root: Path, manifest: bool = True) -> Path:
        """Write ``root/download``, with or without a manifest of checksums."""
        download = root / "download"
        download.mkdir(parents=True)
        with tarfile.open(download / NAMES[0], "w:gz") as archive:
            for name, content in self.files.items():
                entry = tarfile.TarInfo(f"DvsGesture/{name}")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        for name in NAMES[1:]:
            (download / name).write_text(name)
        if manifest:
            Manifest({}, {name: md5_of(download / name) for name in NAMES}).write(download)
        return root


def content_of(root: Path) -> dict[str, bytes | None]:
    """Every path below a folder with what the file holds; None for folders."""
    return {str(p.relative_to(root)): p.read_bytes() if p.is_file() else None for p in sorted(root.rglob("*"))}
