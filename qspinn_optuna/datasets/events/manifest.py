"""The settings of a generated archive, and the checksums of its files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "generated.md5"


@dataclass(frozen=True)
class Manifest:
    """The manifest of a generated archive, a file that ``md5sum --check`` reads, too.

    Args:
        settings: The settings of the archive, as plain values for JSON.
        checksums: MD5 of each file, by its name.
    """

    settings: dict[str, Any]
    checksums: dict[str, str]

    def write(self, folder: Path) -> None:
        """Write the manifest to ``folder``."""
        lines = [f"# {json.dumps(self.settings)}", *(f"{md5}  {name}" for name, md5 in self.checksums.items())]
        (folder / NAME).write_text("\n".join(lines) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Manifest | None:
        """The manifest in ``folder``; None if there is none.

        Raises:
            ValueError: If the manifest is damaged.
        """
        path = folder / NAME
        if not path.is_file():
            return None
        try:
            first, *lines = path.read_text(encoding="utf-8").splitlines()
            pairs = (line.split("  ") for line in lines)
            return cls(json.loads(first.removeprefix("# ")), {name: md5 for md5, name in pairs})
        except ValueError as error:
            raise ValueError(f"{path} is damaged ({error}); generate the archive again.") from error


def md5_of(path: Path) -> str:
    """The MD5 checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
