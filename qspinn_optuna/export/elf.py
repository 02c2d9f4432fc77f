"""Sections and symbols of object files, as the ELF specification (TIS, version 1.2) lays them out."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_SYMBOL_TABLE = 2
_WRITABLE, _ALLOCATED, _CODE = 1, 2, 4
_OBJECT, _FUNCTION = 1, 2


class Section(NamedTuple):
    """A section: its name, type, flags, bytes, and where they lie in the file."""

    name: str
    type: int
    flags: int
    offset: int
    size: int
    link: int


@dataclass(frozen=True)
class ObjectFile:
    """What an object file takes on a device.

    Args:
        sections: Bytes of each section that is loaded, by name.
        code: Bytes of code.
        constants: Bytes that are only read.
        variables: Bytes that are written to.
        symbols: Bytes of functions and objects, by name.
    """

    sections: dict[str, int]
    code: int
    constants: int
    variables: int
    symbols: dict[str, int]


def read_object(path: Path) -> ObjectFile:
    """An object file of 32 or 64 bits.

    Raises:
        ValueError: If the file is none.
    """
    content = path.read_bytes()
    if content[:4] != b"\x7fELF" or len(content) < 52:
        raise ValueError(f"{path} must be an ELF file.")
    wide, order = content[4] == 2, "<" if content[5] == 1 else ">"
    sections = _sections(content, wide, order)
    loaded = [section for section in sections if section.flags & _ALLOCATED]
    return ObjectFile(
        sections={section.name: section.size for section in loaded if section.size},
        code=sum(section.size for section in loaded if section.flags & _CODE),
        constants=sum(section.size for section in loaded if not section.flags & (_CODE | _WRITABLE)),
        variables=sum(section.size for section in loaded if section.flags & _WRITABLE),
        symbols=_symbols(content, sections, wide, order),
    )


def _sections(content: bytes, wide: bool, order: str) -> list[Section]:
    table = struct.unpack_from(f"{order}Q" if wide else f"{order}I", content, 40 if wide else 32)[0]
    size, count, names = struct.unpack_from(f"{order}3H", content, 58 if wide else 46)
    layout = f"{order}2I4Q2I2Q" if wide else f"{order}10I"
    rows = [struct.unpack_from(layout, content, table + k * size) for k in range(count)]
    start = rows[names][4]
    return [Section(_text(content, start + row[0]), row[1], row[2], row[4], row[5], row[6]) for row in rows]


def _symbols(content: bytes, sections: list[Section], wide: bool, order: str) -> dict[str, int]:
    # Name, value, size, info, other, section; in files of 64 bits value and size come last.
    layout, fields = (f"{order}I2BH2Q", (0, 5, 1)) if wide else (f"{order}3I2BH", (0, 2, 3))
    symbols = {}
    for section in sections:
        if section.type != _SYMBOL_TABLE:
            continue
        names = sections[section.link].offset
        for row in struct.iter_unpack(layout, content[section.offset : section.offset + section.size]):
            name, size, info = (row[field] for field in fields)
            if info & 0xF in (_OBJECT, _FUNCTION):
                symbols[_text(content, names + name)] = size
    return symbols


def _text(content: bytes, start: int) -> str:
    return content[start : content.index(b"\0", start)].decode()
