"""The file of a workbook, looked through before anything opens it as one.

Belongs here: what a spreadsheet program or an enemy may have put into a file that nobody should hold in memory. Does not belong
here: what stands in the cells (`inbox.py`).
"""

from __future__ import annotations

import lzma
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

MAX_FILE_BYTES: Final = 100 * 2**20
MAX_UNPACKED_BYTES: Final = 2**30
MAX_CELLS: Final = 10_000_000
"""The largest rectangle of cells that is read from one sheet: reading holds all of it in memory, empty cells too."""

UNTOLD_ROWS: Final = 100_000
"""A sheet whose rows have no numbers reaches down to here, at most."""

_SHEETS: Final = "xl/worksheets/"
_RELATION: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_FAR: Final = re.compile(rb"""\sr\s*=\s*["'](?:([A-Za-z]+)([0-9]{6,})["']|([A-Za-z]{2,})[0-9]|([0-9]+)["'])""")
"""A cell right of column Z, or one far down, or a row: to know how far a sheet reaches, the other cells need not be looked at."""

_NO_RESULT: Final = re.compile(
    rb"""<c\s[^<>]*?\br="([A-Z]+[0-9]+)"[^<>]*>\s*<f\b[^<>]*(?:/>|>[^<]*</f>)\s*(?:<v\s*/>|<v\s*>\s*</v>)?\s*</c>"""
)
"""A cell with a formula that whoever saved the file did not work out, as programs write it that are no spreadsheets."""

_OVERLAP: Final = 1 << 16
"""More than a cell with the longest formula takes."""


class Refused(Exception):
    """The whole file cannot be taken. The message says why, and what to do."""


class Unreadable(Refused):
    """It does not open as a workbook: broken, of another kind, or not all of it is there yet."""


@dataclass(frozen=True)
class Archive:
    """A workbook's file that is not too large to open. `parts`: where in it each sheet is."""

    path: Path
    parts: Mapping[str, str]

    @classmethod
    def of(cls, path: Path) -> Archive:
        """Read through everything but the sheets: a part that is not what the archive says it is fails here.

        Raises:
            Refused: the file is too large, packed or unpacked, or no whole workbook.
        """
        try:
            size = path.stat().st_size
        except OSError as gone:
            raise Unreadable("it cannot be opened here: it is gone, or nobody may read it") from gone
        if size > MAX_FILE_BYTES:
            limit = MAX_FILE_BYTES // 2**20
            raise Refused(f"it has {size / 2**20:,.0f} MB and at most {limit} are read: send back the collector's own list")
        with _opened(path) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
            if unpacked > MAX_UNPACKED_BYTES:
                limit = MAX_UNPACKED_BYTES // 2**20
                raise Refused(f"unpacked it would have {unpacked / 2**20:,.0f} MB and at most {limit} are read")
            for part in archive.namelist():
                if not part.startswith(_SHEETS):
                    for _ in _chunks(archive, part):
                        pass
            return cls(path, _sheet_parts(archive))

    def cells(self, sheet: str) -> int:
        """The cells of a rectangle from A1 that has all of a sheet's, at least; 0 of a sheet that is not there."""
        part = self.parts.get(sheet)
        if part is None:
            return 0
        wide, deep, kept = 26, 0, b""
        with _opened(self.path) as archive:
            for chunk in _chunks(archive, part):
                for far_out, far_down, letters, row in set(_FAR.findall(kept + chunk)):
                    column = (letters or far_out).upper()
                    wide = max(wide, sum((byte - 64) * 26**power for power, byte in enumerate(reversed(column[:8]))))
                    deep = max(deep, int((far_down or row or b"0")[:20]))
                kept = chunk[-32:]
        return wide * (deep or UNTOLD_ROWS)

    def without_result(self, sheet: str) -> frozenset[str]:
        """The cells of a sheet that hold a formula and not what it comes to, as `B7`."""
        part = self.parts.get(sheet)
        if part is None:
            return frozenset()
        found: set[str] = set()
        kept = b""
        with _opened(self.path) as archive:
            for chunk in _chunks(archive, part):
                if b"<f" in (text := kept + chunk):
                    found.update(cell.decode("ascii") for cell in _NO_RESULT.findall(text))
                kept = text[-_OVERLAP:]
        return frozenset(found)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except OSError as kept:
        raise Unreadable(f"it cannot be opened here: {os.strerror(kept.errno) if kept.errno else 'reading it failed'}") from kept
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, NotImplementedError, struct.error) as broken:
        raise Unreadable(
            "it is no whole .xlsx workbook: it may be protected by a password, damaged, or of another kind. Save it again as .xlsx "
            "without a password"
        ) from broken
    except (LookupError, ElementTree.ParseError, ValueError) as foreign:
        raise Unreadable("it is no workbook that a spreadsheet would open: only .xlsx workbooks are read back") from foreign


def _chunks(archive: zipfile.ZipFile, part: str) -> Iterator[bytes]:
    with archive.open(part) as file:
        while chunk := file.read(1 << 20):
            yield chunk


def _sheet_parts(archive: zipfile.ZipFile) -> dict[str, str]:
    targets = {
        relation.get("Id"): relation.get("Target", "")
        for relation in ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
    }
    parts = {}
    for element in ElementTree.fromstring(archive.read("xl/workbook.xml")).iter():
        if element.tag.rpartition("}")[2] == "sheet":
            target = targets.get(element.get(_RELATION)) or ""
            parts[element.get("name") or ""] = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
    return parts
