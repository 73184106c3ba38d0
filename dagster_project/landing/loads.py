"""What a load is, and which there are: found by the names of folders, read when asked.

Belongs here: manifests, loads and packs as they lie on disk. Does not belong here: making one (`store.py`, `compact.py`), holding them
against each other (`chain.py`).

    <dataset>/<as_of>_<loaded_at>_<nonce>/manifest.json   what was asked, received, kept, refused
                                          rows.parquet    the changed rows; absent where nothing changed
    <dataset>/pack-<first>-<last>.<nonce>/pack.json       the manifests of consecutive loads, as they were
                                          rows.parquet    the rows of all of them, in their order; absent where there are none
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property, lru_cache
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from dagster_project.words import shown

STAMP = "%Y%m%dT%H%M%S.%f"

MANIFEST, ROWS, PACK = "manifest.json", "rows.parquet", "pack.json"


class LandingError(Exception):
    """A delivery cannot be landed. The message says what, which records, and what to do; nothing of it landed."""


class UnreadableError(LandingError):
    """A manifest or a pack is not what was written. `path` says which file, the message why."""

    def __init__(self, path: Path, why: str):
        super().__init__(f"{path} {why}")
        self.path = path
        self.why = why


@dataclass(frozen=True)
class Manifest:
    """What a load was. `received = landed − tombstones + unchanged + repeated + quarantined`, always.

    Of all loads the morning knows, `cursor` is the newest `updated_at` and `newest_on` the newest day a record speaks of; `sums` are the
    amounts landed now per currency, as text. `parents` is of how many the delivery had all that hangs on them;
    `examples` is one value and its place for each of `reasons`, known to whoever landed it and never written: who is forgotten must not
    stand in what is sealed; `found` says how a file is written, where not as the contract has it;
    `left_out` counts, by name, what the source holds and the dataset does not.

    `sequence` counts a dataset's loads from 1 in the order in which they were committed;
    `previous` and `previous_seal` name the one before; `bytes` and `sha256` are those of the rows' file; `seal` is over all the rest.
    Loads from before there were seals have none of these but `sha256`.
    """

    load_id: str
    dataset: str
    as_of: str
    loaded_at: str
    origin: str
    absent: bool
    full: bool
    since: str | None
    cursor: str | None
    newest_on: str | None
    received: int
    landed: int
    tombstones: int
    unchanged: int
    repeated: int
    quarantined: int
    sums: Mapping[str, str] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    sha256: str | None = None
    parents: int | None = None
    examples: Mapping[str, str] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)
    left_out: Mapping[str, int] = field(default_factory=dict)
    bytes: int | None = None
    sequence: int = 0
    previous: str | None = None
    previous_seal: str | None = None
    seal: str = ""


_FIELDS = frozenset(each.name for each in fields(Manifest))
_NEEDED = frozenset(each.name for each in fields(Manifest) if each.default is MISSING and each.default_factory is MISSING)


@dataclass(frozen=True)
class Load:
    """A committed load, known by its name alone; the manifest is read when asked for. `pack`: the pack it lies in, if in one."""

    load_id: str
    folder: Path
    as_of: date
    loaded_at: datetime
    pack: Pack | None = field(default=None, compare=False)

    @property
    def rows(self) -> Path | None:
        """The file that holds its rows, and where it is a pack's those of other loads too; None where it brought none."""
        if self.pack:
            return self.pack.rows if self.told["landed"] else None
        path = self.folder / ROWS
        return path if path.exists() else None

    @cached_property
    def told(self) -> Mapping[str, Any]:
        """The manifest's fields as they are written.

        Raises:
            UnreadableError: the file is no manifest.
        """
        return (
            self.pack.told_of(self.load_id) if self.pack else _of_kinds(self.folder / MANIFEST, read_json(self.folder / MANIFEST))
        )

    @cached_property
    def manifest(self) -> Manifest:
        try:
            return Manifest(**self.told)
        except TypeError:
            odd = sorted(self.told.keys() - _FIELDS) + sorted(_NEEDED - self.told.keys())
            raise UnreadableError(
                self.folder / MANIFEST, f"is no manifest of a load: {shown(', '.join(odd), 100)} is not as it was written"
            ) from None


@dataclass(frozen=True)
class Pack:
    """Consecutive loads in one file. `told` is `pack.json`: `first` and `last` sequence, `loads` (their manifests as they were), `rows`,
    `sha256` and `bytes` of the file, `generation` (one more than that of any pack it was made of), `forgotten` (the records of what was
    blanked in it), `seal`."""

    folder: Path
    told: Mapping[str, Any]

    @property
    def first(self) -> int:
        return int(self.told["first"])

    @property
    def last(self) -> int:
        return int(self.told["last"])

    @cached_property
    def loads(self) -> list[Load]:
        return [_named(told["load_id"], self.folder, self) for told in self.told["loads"]]

    @cached_property
    def _told(self) -> Mapping[str, Mapping[str, Any]]:
        return {told["load_id"]: told for told in self.told["loads"]}

    @cached_property
    def rows(self) -> Path:
        return self.folder / ROWS

    def told_of(self, load_id: str) -> Mapping[str, Any]:
        return self._told[load_id]


def find(folder: Path) -> tuple[list[Pack], list[Load]]:
    """The packs of a dataset and its loads in none, in no order. What a pack was made of may lie beside it for a while and does not count.

    Raises:
        UnreadableError: a pack cannot be read, so that nobody knows what it stands for.
    """
    packs: list[Pack] = []
    found = sorted(_packs(folder), key=lambda pack: (pack.first, -pack.last, -pack.told["generation"]))
    for pack in found:  # the widest first; of two of the same loads the one made from the other
        if not packs or pack.last > packs[-1].last:
            packs.append(pack)
    packed = {load.load_id for pack in packs for load in pack.loads}
    loose = [_named(path.name, path) for path in folder.glob("*_*_*") if path.name not in packed]
    return packs, loose


def superseded(folder: Path) -> list[Path]:
    """What lies beside the pack it was put into."""
    packs, _ = find(folder)
    packed = {load.load_id for pack in packs for load in pack.loads}
    kept = {pack.folder for pack in packs}
    return [path for path in folder.glob("pack-*") if path not in kept] + [
        path for path in folder.glob("*_*_*") if path.name in packed
    ]


def _packs(folder: Path) -> list[Pack]:
    """Those that may count. What lies within one that was read, by its name, is what that one was made of, and years of it take long."""
    found: list[Pack] = []
    for first, last, path in sorted(map(_span, folder.glob("pack-*")), key=lambda span: (span[0], -span[1])):
        within = any(pack.first <= first <= last <= pack.last and (pack.first, pack.last) != (first, last) for pack in found)
        if not within and (path / PACK).exists():
            found.append(_read_pack(path, (path / PACK).stat().st_mtime_ns))
    return found


def _span(pack: Path) -> tuple[int, int, Path]:
    """Its first and its last load, by its name; one that is named otherwise lies within none."""
    named = re.match(r"pack-(\d+)-(\d+)", pack.name)
    return (int(named[1]), int(named[2]), pack) if named else (0, 0, pack)


@lru_cache(maxsize=1_000)
def _read_pack(folder: Path, written: int) -> Pack:
    """Nothing writes into a pack that is there: one that was read is as it was, unless its file says it is another."""
    told = read_json(folder / PACK)
    try:
        pack = Pack(folder, told)
        if not all(isinstance(told[name], int) for name in ("first", "last", "generation", "rows")) or not told["loads"]:
            raise TypeError
        for manifest in told["loads"]:
            _of_kinds(folder / PACK, manifest)
        _ = pack.loads
    except (KeyError, TypeError, ValueError, AttributeError) as broken:
        missing = f"it has no {broken.args[0]}" if isinstance(broken, KeyError) else "something in it is of another kind"
        raise UnreadableError(folder / PACK, f"is no description of a pack: {shown(missing, 100)}") from None
    return pack


def _kinds(hint: Any) -> tuple[type, ...]:
    """What JSON gives for a field of that type: an object where a mapping is meant, and a whole number for a fraction too."""
    parts = [get_origin(part) or part for part in (get_args(hint) if isinstance(hint, UnionType) else (hint,))]
    return tuple(dict if part is Mapping else part for part in [*parts, *([int] if float in parts else [])])


_KINDS: Mapping[str, tuple[type, ...]] = {name: _kinds(hint) for name, hint in get_type_hints(Manifest).items()}
_DAYS, _TIMES = ("as_of", "newest_on"), ("loaded_at", "cursor", "since")


def _of_kinds(path: Path, told: Mapping[str, Any]) -> Mapping[str, Any]:
    """A manifest whose every field is of the kind it was written as: an altered one that was sealed again shows here, not where it is used.

    Raises:
        UnreadableError: one is not; the message names it.
    """
    name = ""
    try:
        for name, value in told.items():
            if not isinstance(value, _KINDS.get(name, object)):
                raise TypeError
        for name in _DAYS:
            if (value := told.get(name)) is not None:
                date.fromisoformat(value)
        for name in _TIMES:
            if (value := told.get(name)) is not None:
                datetime.fromisoformat(value)
        name = "sums"
        for amount in told.get(name, {}).values():
            Decimal(amount)
    except (TypeError, ValueError, ArithmeticError):
        raise UnreadableError(path, f"is damaged: its {shown(name, 40)} is not of the kind it was written as") from None
    return told


def _named(load_id: str, folder: Path, pack: Pack | None = None) -> Load:
    try:
        made_for, loaded_at, _ = load_id.split("_")
        return Load(load_id, folder, date.fromisoformat(made_for), datetime.fromisoformat(loaded_at), pack)
    except ValueError:
        raise UnreadableError(folder, "is not named like a load") from None


def read_json(path: Path) -> Mapping[str, Any]:
    """A file that holds one JSON object.

    Raises:
        UnreadableError: it is not there, or holds something else.
    """
    try:
        text = path.read_text("utf-8")
        told = json.loads(text)
        if r"\ud" in text.lower():
            json.dumps(told, ensure_ascii=False).encode()  # half a character, which nothing of ours writes
    except OSError as gone:
        raise UnreadableError(path, f"cannot be read: {gone.strerror}") from None
    except (ValueError, RecursionError):
        raise UnreadableError(path, "is damaged: it holds no JSON") from None
    if not isinstance(told, dict):
        raise UnreadableError(path, "is damaged: it holds no JSON object")
    return told


def seal_of(told: Mapping[str, Any]) -> str:
    """The fingerprint of everything a manifest says but its own seal."""
    said = {name: value for name, value in told.items() if name != "seal"}
    return hashlib.sha256(
        json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    ).hexdigest()
