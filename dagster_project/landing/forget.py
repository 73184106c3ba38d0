"""People who are to be forgotten: what is personal is blanked in every load and in quarantine, and stays so.

Belongs here: the landing store. Does not belong here: what lies outside it (`dagster_project/forgetting.py`), which columns are personal
(`contract.py`).

    landing/.chain/forgotten.jsonl   who was forgotten when and by whom, by key, and which files took the place of which

A file of rows that holds anything is written anew as a pack of the same loads: their manifests stay as they were, word for word but for
values of refused records, which those of before showed, and the pack has a seal and a fingerprint of its own and names the record that
says why. Keys, days and amounts stay, so that counts, sums and replays do. What the source says of the forgotten later is blanked before
it lands.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock

from dagster_project import duck
from dagster_project.contract import LANDED, PERSONAL, Dataset
from dagster_project.landing.chain import LONGEST_WAIT, Chain
from dagster_project.landing.compact import Piece, clear_away_at_once, pieces, put_together
from dagster_project.landing.judge import quoted, text
from dagster_project.landing.loads import LandingError

if TYPE_CHECKING:
    from dagster_project.landing.shared import Shared

Kind = Literal["customer", "contact"]


@dataclass(frozen=True)
class Person:
    """Who is to be forgotten: a customer with everybody there, or one contact."""

    kind: Kind
    key: str

    @property
    def column(self) -> str:
        return f"{self.kind}_id"


@dataclass(frozen=True)
class Record:
    """That somebody was forgotten. `files`: of each file that was written anew, the fingerprint before and after."""

    id: str
    at: str
    by: str
    kind: Kind
    key: str
    files: Mapping[str, tuple[str, str]]
    quarantined: int


def record_file(landing: Path) -> Path:
    return landing / ".chain" / "forgotten.jsonl"


def forgotten(landing: Path) -> list[Person]:
    """Whoever was forgotten so far.

    Raises:
        LandingError: the record cannot be read: what the source says of somebody in it must not land as if nobody had asked.
    """
    path = record_file(landing)
    lines = path.read_bytes().splitlines() if path.exists() else []
    people: dict[Person, None] = {}
    for number, line in enumerate(lines, start=1):
        try:
            told = json.loads(line)
            people[Person(told["kind"], str(told["key"]))] = None
        except (ValueError, TypeError, KeyError, RecursionError):
            raise LandingError(
                f"{path} line {number} is damaged, which says who was forgotten: restore it from a backup, or take the line out and "
                "have whoever it was forgotten again (make forget)"
            ) from None
    return list(people)


def blanks(dataset: Dataset, people: list[Person]) -> dict[str, str]:
    """SQL for the personal columns of a dataset: what each becomes of the rows of those people. Empty where the dataset has none."""
    conditions = []
    for column in sorted({person.column for person in people} & set(dataset.column_names)):
        keys = ", ".join(text(person.key) for person in people if person.column == column)
        conditions.append(f"{quoted(column)} in ({keys})")
    if not conditions or dataset.name not in PERSONAL:
        return {}
    who = " or ".join(conditions)
    return {name: f"case when {who} then {_blank(dataset, name)} else {quoted(name)} end" for name in PERSONAL[dataset.name]}


FORGOTTEN = "forgotten"
"""What stands where an e-mail address was: that there was one is a figure (an invoice that could be sent), which it was is not."""


def _blank(dataset: Dataset, column: str) -> str:
    if column == "email":
        return f"case when {quoted(column)} is not null then '{FORGOTTEN}' end"
    return "''" if dataset.by_name[column].required else "null"


def known_of(landing: Path, quarantine: Path, person: Person) -> set[str]:
    """Everything personal that was landed or refused of somebody: what has to be looked for elsewhere."""
    found: set[str] = set()
    for name, personal in PERSONAL.items():
        for _, _, lines in _refused_of(quarantine, LANDED[name], person):
            found |= {str(line["record"][column]).strip() for line in lines for column in personal if line["record"].get(column)}
    for dataset, piece in _holding(landing, person):
        columns = _present(piece, PERSONAL[dataset.name])
        con = duck.connect()
        try:
            rows = con.execute(
                f"select distinct unnest([{', '.join(f'cast({quoted(name)} as varchar)' for name in columns)}]) "
                f"from read_parquet({text(str(piece.file))}) where {quoted(person.column)} = ?",
                [person.key],
            ).fetchall()
        finally:
            con.close()
        found |= {value for (value,) in rows if value}
    return found - {FORGOTTEN}


def forget(landing: Path, quarantine: Path, person: Person, now: datetime, by: str, shared: Shared | None = None) -> Record:
    """Blank what is personal of somebody in every load and in quarantine, and keep the record; in the store, too, that the home is a copy
    of, if of one. Only where no run is at work.

    Raises:
        LandingError: what is landed is not what was: nothing is blanked then, or not all of it yet.
    """
    number = f"{now:%Y%m%dT%H%M%S}-{person.kind}"
    files: dict[str, tuple[str, str]] = {}
    for dataset in LANDED.values():
        chain = Chain(landing, dataset, shared)
        if not chain.folder.is_dir():
            continue
        with FileLock(landing / ".chain" / f"{dataset.name}.compacting.lock", timeout=LONGEST_WAIT):
            clear_away_at_once(chain)
            if not chain.links().sequence:
                continue
            with chain.held():  # a home from before there were seals gets its chain first
                chain.write(chain.tip())
            for piece in _pieces_with(chain, person) if _is_about(dataset, person) else ():
                assert piece.file
                replaced = blanks(dataset, [person])
                kept = ", ".join(f"{replaced[name]} as {quoted(name)}" for name in _present(piece, PERSONAL[dataset.name]))
                pack = put_together(chain, [piece], now, select=f"* replace ({kept})", forgotten=[number])
                told = json.loads((pack / "pack.json").read_text("utf-8"))
                files[f"{dataset.name}/{piece.item.folder.name}"] = (str(piece.item.told["sha256"]), str(told["sha256"]))
            for piece in [each for each in pieces(chain) if each.shows_values]:  # nobody can tell whose they were
                put_together(chain, [piece], now)
            clear_away_at_once(chain)
            if shared:
                shared.clear_away_at_once(chain)
    lines = 0
    for dataset in LANDED.values():
        if blanked := _in_quarantine(quarantine, dataset, person):
            lines += blanked
            if shared:
                shared.commit_refused(Chain(landing, dataset, shared))
    record = Record(number, now.isoformat(timespec="seconds"), by, person.kind, person.key, files, lines)
    path = record_file(landing)
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(asdict(record), ensure_ascii=False)
    if shared:
        shared.commit_forgotten(line)
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())
    return record


def _is_about(dataset: Dataset, person: Person) -> bool:
    return dataset.name in PERSONAL and person.column in dataset.by_name


def _holding(landing: Path, person: Person) -> Iterator[tuple[Dataset, Piece]]:
    for dataset in LANDED.values():
        chain = Chain(landing, dataset)
        if _is_about(dataset, person) and chain.folder.is_dir():
            for piece in _pieces_with(chain, person):
                yield dataset, piece


def _pieces_with(chain: Chain, person: Person) -> list[Piece]:
    """The files of rows that hold anything of somebody."""
    found = []
    for piece in pieces(chain):
        if not piece.file:
            continue
        con = duck.connect()
        try:
            asked = f"from read_parquet({text(str(piece.file))}) where {quoted(person.column)} = ? limit 1"
            if con.execute(f"select 1 {asked}", [person.key]).fetchone():
                found.append(piece)
        finally:
            con.close()
    return found


def _present(piece: Piece, columns: tuple[str, ...]) -> list[str]:
    con = duck.connect()
    try:
        rows = con.execute(f"describe select * from read_parquet({text(str(piece.file))})").fetchall()
    finally:
        con.close()
    return [name for name in columns if name in {row[0] for row in rows}]


def _in_quarantine(quarantine: Path, dataset: Dataset, person: Person) -> int:
    """Blank the refused records of somebody. Returns how many there are."""
    blanked = 0
    for path, lines, mine in _refused_of(quarantine, dataset, person):
        for line in mine:
            line.update(blank_refused(dataset, line["record"], line["reasons"]))
        beside = path.with_name(f".{path.name}.new")
        beside.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
        os.replace(beside, path)
        blanked += len(mine)
    return blanked


def _refused_of(
    quarantine: Path, dataset: Dataset, person: Person
) -> Iterator[tuple[Path, list[dict[str, Any]], list[dict[str, Any]]]]:
    """The files with refused records of somebody: all lines, and of those the ones that are theirs."""
    for path in sorted((quarantine / dataset.name).glob("*.jsonl")):
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        if mine := [line for line in lines if (line["record"].get(person.column) or "").strip() == person.key]:
            yield path, lines, mine


def blank_refused(dataset: Dataset, record: Mapping[str, Any], reasons: list[str]) -> dict[str, Any]:
    """A refused record without what is personal: neither in its columns, nor in those the contract does not know, nor, where the dataset
    has personal columns, in a value that was refused: it may be theirs, a column further on."""
    personal = PERSONAL.get(dataset.name, ())
    refused = {reason.split(" ", 1)[0] for reason in reasons if " «" in reason and personal} - set(dataset.key)
    kept = {name: value for name, value in record.items() if name in dataset.by_name and name not in {*personal, *refused}}
    told = [f"{reason.split(' «', 1)[0]} «»" if reason.split(" ", 1)[0] in refused else reason for reason in reasons]
    return {"record": kept, "reasons": told}
