"""The pages of the project: Markdown beside what it explains."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"(?:^<!-- ([\w. -]+) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


class Block(NamedTuple):
    """A block of code: the marker in front of it, its language, and the text."""

    marker: str
    language: str
    text: str


@dataclass(frozen=True)
class Page:
    """A page of Markdown.

    Args:
        name: Its path from the project's root.
        text: What it says.
    """

    name: str
    text: str

    @property
    def folder(self) -> Path:
        """Where its links start from."""
        return (ROOT / self.name).parent

    def blocks(self, *languages: str) -> list[Block]:
        """Its blocks of code in some languages."""
        return [block for block in map(Block._make, _FENCE.findall(self.text)) if block.language in languages]

    def table(self, first: str, number: int = 0) -> list[dict[str, str]]:
        """The rows of one of the tables whose first column has a heading."""
        lines = self.text.splitlines()
        begin = [at for at, line in enumerate(lines) if line.startswith(f"| {first} |")][number]
        rows = [_cells(line) for line in itertools.takewhile(lambda line: line.startswith("|"), lines[begin:])]
        return [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]

    @property
    def prose(self) -> str:
        """The text without blocks of code and comments."""
        return _COMMENT.sub("", _FENCE.sub("", self.text))

    @property
    def anchors(self) -> set[str]:
        """What a link to one of its headings names, as GitHub and pdoc do."""
        headings = re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def page_at(path: Path) -> Page:
    return Page(path.relative_to(ROOT).as_posix(), path.read_text())


PAGES = [
    page_at(path)
    for folder in (".", "qspinn_optuna", "studies")
    for path in sorted((ROOT / folder).glob("*.md" if folder == "." else "**/*.md"))
    if "optunahub" not in path.parts  # Of another project, once they are built.
]
PAGE = {page.name: page for page in PAGES}
