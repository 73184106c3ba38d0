"""Who writes a statement: name, address, logo and bank accounts of each legal entity, out of a file of the company's own.

Belongs here: reading and checking that file (`ARREARS_LETTERHEAD`). Does not belong here: how a statement looks (`statement_pdf.py`).

    name = "Nordwind GmbH"                       # of every entity that has no table of its own
    address = ["Hafenstraße 1", "20457 Hamburg"]
    contact = ["ar@nordwind.example"]
    foot = ["VAT DE123456789"]
    logo = "nordwind.png"                        # PNG or JPEG, beside the file

    font = "DroidSansFallback.ttf"               # TrueType, for names in other scripts than Latin, Greek and Cyrillic

    [[bank]]                                     # shown where something is owed in that currency; without one: always
    currency = "EUR"
    holder = "Nordwind GmbH"
    iban = "DE02 1203 0000 0000 2020 51"
    bic = "BYLADEM1001"

    [entities.0200]                              # what is another for an entity
    name = "Nordwind Ltd"
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from dagster_project.words import printable

ACCOUNT: Final = ("currency", "holder", "bank", "iban", "account", "bic", "routing")
LARGEST_LOGO: Final = 1 << 20
"""Bytes: it goes with every statement."""


class LetterheadError(ValueError):
    """The file cannot be used. The message says what of it, and what to write."""


@dataclass(frozen=True)
class Letterhead:
    """Who writes for an entity. `bank`: accounts by the names of `ACCOUNT`."""

    name: str = ""
    address: tuple[str, ...] = ()
    contact: tuple[str, ...] = ()
    foot: tuple[str, ...] = ()
    logo: Path | None = None
    font: Path | None = None
    bank: tuple[Mapping[str, str], ...] = ()


class Letterheads:
    """The letterhead of each entity."""

    def __init__(self, common: Letterhead, own: Mapping[str, Letterhead]):
        self._common, self._own = common, own

    def of(self, company_id: str | None, company_name: str | None) -> Letterhead:
        """An entity's; without a name in the file, the source's."""
        found = self._own.get(company_id or "", self._common)
        return found if found.name else replace(found, name=company_name or "")


def letterheads(path: Path) -> Letterheads:
    """
    Raises:
        LetterheadError: the file is not there, is no TOML, or says what is not known.
    """
    try:
        told = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as broken:
        why = broken.strerror if isinstance(broken, OSError) else str(broken)
        raise LetterheadError(f"{path.name} cannot be read: {why}") from None
    entities = told.pop("entities", {})
    common = _read(path, told, Letterhead(), path.name)
    if not isinstance(entities, dict) or not all(isinstance(one, dict) for one in entities.values()):
        raise LetterheadError(f"{path.name}: entities is to be tables, [entities.0100]")
    return Letterheads(common, {key: _read(path, one, common, f"{path.name}, entity {key}") for key, one in entities.items()})


def _read(path: Path, told: Mapping[str, Any], common: Letterhead, where: str) -> Letterhead:
    if unknown := sorted(set(told) - set(Letterhead.__dataclass_fields__)):
        raise LetterheadError(f"{where}: {unknown[0]} is not known; there is {', '.join(Letterhead.__dataclass_fields__)}")
    changes: dict[str, Any] = {}
    for name in ("address", "contact", "foot"):
        if name in told:
            lines = told[name]
            if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines) or len(lines) > 8:
                raise LetterheadError(f'{where}: {name} is to be a list of up to eight lines, ["…", "…"]')
            changes[name] = tuple(printable(line) for line in lines)
    if "name" in told:
        if not isinstance(told["name"], str):
            raise LetterheadError(f"{where}: name is to be a text")
        changes["name"] = printable(told["name"])
    if "logo" in told:
        changes["logo"] = _logo(path, told["logo"], where)
    if "font" in told:
        changes["font"] = _font(path, told["font"], where)
    if "bank" in told:
        accounts = told["bank"]
        if not isinstance(accounts, list) or not all(
            isinstance(one, dict) and set(one) <= set(ACCOUNT) and all(isinstance(value, str) for value in one.values())
            for one in accounts
        ):
            raise LetterheadError(f"{where}: bank is to be tables [[bank]] with texts under {', '.join(ACCOUNT)}")
        changes["bank"] = tuple({name: printable(value) for name, value in one.items()} for one in accounts)
    return replace(common, **changes)


def _logo(path: Path, name: object, where: str) -> Path:
    logo = path.parent / str(name)
    try:
        begins, size = logo.read_bytes()[:8], logo.stat().st_size
    except OSError as missing:
        raise LetterheadError(f"{where}: the logo {name} cannot be read: {missing.strerror}") from None
    if not begins.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")) or size > LARGEST_LOGO:
        raise LetterheadError(f"{where}: the logo {name} is to be a PNG or JPEG of at most 1 MB")
    return logo


def _font(path: Path, name: object, where: str) -> Path:
    font = path.parent / str(name)
    try:
        begins = font.read_bytes()[:4]
    except OSError as missing:
        raise LetterheadError(f"{where}: the font {name} cannot be read: {missing.strerror}") from None
    if begins not in (b"\x00\x01\x00\x00", b"true"):
        raise LetterheadError(f"{where}: the font {name} is to be a TrueType file (.ttf)")
    return font
