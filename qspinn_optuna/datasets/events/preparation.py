"""Preparation of SpikingJelly's data sets that never changes the user's files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from qspinn_optuna.datasets.events.manifest import Manifest, md5_of


class CarefulPreparation:
    """A mixin that goes before SpikingJelly's data sets.

    SpikingJelly deletes an archive with a wrong checksum, leaves unfinished folders and a marker that blocks the next
    attempt, and numbers classes in the order of their folders' names, "10" before "2". With this mixin, archives are
    only read, ``events_np`` appears once it is complete, and the name of a folder is the number of its class.
    """

    cfg: Any
    raw_root: Path
    resource_url_md5: ClassVar[Callable[[], list[tuple[str, str, str]]]]
    extract_downloaded_files: Any
    create_raw_from_extracted: Any

    def prepare_raw_dataset(self) -> None:
        """Create ``events_np`` from the folder ``extract``, or from the archives in ``download``, unless it exists.

        Raises:
            FileNotFoundError: If neither the folder nor the archives exist.
            RuntimeError: If SpikingJelly left ``events_np`` unfinished.
            ValueError: If a file has a wrong checksum.
        """
        root: Path = self.cfg.root
        marker = self.raw_root.with_name(f"{self.raw_root.name}.building")
        if marker.exists():
            raise RuntimeError(
                f"{marker} must not exist: {self.raw_root} is in preparation, or was left unfinished. "
                f"Wait, or remove both and {root / 'extract'}."
            )
        if self.raw_root.exists():
            return
        extracted = root / "extract"
        if not extracted.is_dir():
            self._check_downloaded_files(root / "download")
        with TemporaryDirectory(dir=root, prefix="events_np.") as folder:
            if not extracted.is_dir():
                extracted = Path(folder) / "extract"
                extracted.mkdir()
                self.extract_downloaded_files(root / "download", extracted)
            made = Path(folder) / "events_np"
            made.mkdir()
            self.create_raw_from_extracted(extracted, made)
            _move(made, self.raw_root)

    @classmethod
    def _check_downloaded_files(cls, download_root: Path) -> None:
        """Compare the files with the checksums of the manifest in their folder, or else with the official ones."""
        resources = cls.resource_url_md5()
        missing = [name for name, _, _ in resources if not (download_root / name).is_file()]
        if missing:
            raise FileNotFoundError(
                f"{download_root.parent} must hold events_np/{{train,test}}/<label>/*.npz, or "
                f"{', '.join(name for name, _, _ in resources)} in the folder {download_root.name} (download them from "
                f"{resources[0][1]}); it lacks {', '.join(missing)}."
            )
        manifest = Manifest.read(download_root)
        for name, url, official in resources:
            expected = manifest.checksums.get(name, official) if manifest else official
            found = md5_of(download_root / name)
            if found != expected:
                raise ValueError(
                    f"{download_root / name} must have the MD5 checksum {expected}, got {found}: it is damaged or "
                    f"incomplete, and was not changed. Download it again from {url}"
                    f"{', or generate it again' if manifest else ''}."
                )

    def find_classes(self, directory: str | Path) -> tuple[list[str], dict[str, int]]:
        """The folders with recordings, and the class number that is the name of each.

        Raises:
            FileNotFoundError: If there are no recordings.
            ValueError: If the name of a folder is not a class number.
        """
        folder = Path(directory)
        names = sorted({path.parent.name for path in folder.glob("*/*.np[yz]")})
        if not names:
            raise FileNotFoundError(f"{folder} must hold recordings as <label>/*.npz, got none.")
        wrong = [name for name in names if not (name.isascii() and name.isdecimal())]
        if wrong:
            raise ValueError(f"Folders in {folder} must have class numbers as names, 0, 1, ..., got {wrong}.")
        return names, {name: int(name) for name in names}


def _move(made: Path, target: Path) -> None:
    try:
        made.rename(target)
    except OSError:
        # Several workers of a study may start at once; the first to finish created the same folder.
        if not target.is_dir():
            raise
