"""The file of a workbook, looked through before anything opens it as one.

Belongs here: what a spreadsheet program or an enemy may have put into a file that nobody should hold in memory. Does not belong
here: what stands in the cells (`inbox.py`).
"""

from __future__ import annotations

import re
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
_FAR: Final = re.compile(rb"""\sr\s*=\s*["'](?:([A-Z]{1,3})([0-9]{6,7})["']|([A-Z]{2,3})[0-9]|([0-9]{1,7})["'])""")
"""A cell right of column Z, or one far down, or a row: to know how far a sheet reaches, the other cells need not be looked at."""


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
        if (size := path.stat().st_size) > MAX_FILE_BYTES:
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
                    wide = max(wide, sum((byte - 64) * 26**power for power, byte in enumerate(reversed(letters or far_out))))
                    deep = max(deep, int(far_down or row or 0))
                kept = chunk[-32:]
        return wide * (deep or UNTOLD_ROWS)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as broken:
        raise Unreadable(
            f"it is no whole .xlsx workbook ({broken}): it may be protected by a password, damaged, or of another kind. Save it again "
            "as .xlsx without a password"
        ) from broken
    except (KeyError, ElementTree.ParseError, ValueError) as foreign:
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
