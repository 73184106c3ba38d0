"""Whether the loads that are there are the loads that were landed: the chain of their seals, and what is damaged in it.

Belongs here: who comes after whom, the last link, what was lost, the check of all of it, and what a person is told. Does not belong
here: making loads (`store.py`) and packs (`compact.py`).

    landing/.chain/<dataset>.json         the last link; loads from before there were seals; what was lost
                   <dataset>.seen.json    files that were found whole, by size and times: what has not changed since is not read again

Each manifest names the load before it and that one's seal, so that a missing or edited one shows at the next; the last link stands in a
file of its own, which may lag behind by a load (a kill after the rename) and never runs ahead. Files are hashed when they are first
met, when the file system says that they were touched, and once a week whatever it says.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from dagster_project import duck
from dagster_project.contract import LANDED, Dataset
from dagster_project.landing.judge import text
from dagster_project.landing.loads import MANIFEST, PACK, ROWS, Load, Pack, UnreadableError, find, read_json, seal_of

if TYPE_CHECKING:
    from dagster_project.landing.shared import Shared

LONGEST_WAIT = 600  # seconds for another run's commit to end

HASHED_ANEW_DAYS = 7


@dataclass(frozen=True)
class Damage:
    """Something that is not as it was landed: loads `first` to `last` of a dataset, if it is known which they are. `as_of`: the earliest
    morning that knows them; None: any may. `moves`: what has to be put aside before the dataset can do without."""

    dataset: str
    path: Path
    what: str
    first: int = 0
    last: int = 0
    as_of: date | None = None
    moves: bool = True

    def __str__(self) -> str:
        if self.dataset in LANDED and LANDED[self.dataset].group == "delivery":
            out = "nobody else has it: restore it from a backup, or do without it: make verify ACCEPT=1"
        else:
            out = "restore it from a backup, or ask the source for everything again: make run FULL=1 REFRESH=1"
        return f"{self.dataset}: {self.path} {self.what}. Nothing is built on it; {out}"


@dataclass(frozen=True)
class Lost:
    """Loads that are given up: the dataset goes on without them."""

    first: int
    last: int
    as_of: str | None
    what: str
    at: str
    accepted: bool


@dataclass(frozen=True)
class Links:
    """The last link of a dataset's chain, and what else is remembered beside the loads. `adopted`: the seals of loads from before there
    were any, in their order; they are the first of the chain."""

    sequence: int = 0
    load_id: str | None = None
    seal: str | None = None
    adopted: Mapping[str, str] = field(default_factory=dict)
    lost: tuple[Lost, ...] = ()


@dataclass(frozen=True)
class _Unit:
    """A load or a pack, as a piece of the chain."""

    path: Path
    first: int
    last: int
    previous_seal: str | None
    seal: str
    as_of: date


class Chain:
    """The chain of one dataset. `shared`: the store that the home is a copy of, if of one."""

    def __init__(self, landing: Path, dataset: Dataset, shared: Shared | None = None):
        self.dataset = dataset
        self.shared = shared
        self.folder = landing / dataset.name
        self.landing = landing
        self._file = landing / ".chain" / f"{dataset.name}.json"
        self._seen_file = landing / ".chain" / f"{dataset.name}.seen.json"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else commits meanwhile."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._file.with_suffix(".lock"), timeout=LONGEST_WAIT):
            yield

    # --- links -------------------------------------------------------------------------------------------------------

    def links(self) -> Links:
        """What the chain's file says; of a dataset that has none yet, its loads so far in the order in which they came.

        Raises:
            UnreadableError: the file is damaged.
        """
        if not self._file.exists():
            packs, loose = find(self.folder)
            unsealed = sorted(
                (load for load in loose if not load.told.get("seal")), key=lambda load: (load.loaded_at, load.load_id)
            )
            adopted = {load.load_id: seal_of(load.told) for load in unsealed}
            if packs or len(unsealed) < len(loose) or not unsealed:
                return Links(adopted=adopted)
            return Links(len(adopted), unsealed[-1].load_id, adopted[unsealed[-1].load_id], adopted)
        told = dict(read_json(self._file))
        if told.pop("seal_of_this", None) != seal_of(told):
            raise UnreadableError(self._file, "was altered since it was written")
        return links_from(told)

    def write(self, links: Links) -> None:
        told = asdict(links)
        _write(self._file, {**told, "seal_of_this": seal_of(told)})

    def tip(self) -> Links:
        """The links, caught up with a load that was committed by somebody who was killed before he could say so."""
        links = self.links()
        packs, loose = find(self.folder)
        newest = max((load.told for load in loose), key=lambda told: told.get("sequence", 0), default=None)
        if newest and newest.get("sequence", 0) > links.sequence:
            links = replace(links, sequence=newest["sequence"], load_id=newest["load_id"], seal=newest["seal"])
        if packs and (last := max(packs, key=lambda pack: pack.last)).last > links.sequence:
            told = last.told["loads"][-1]
            links = replace(links, sequence=last.last, load_id=told["load_id"], seal=link_of(told))
        return links

    def sequence_of(self, load: Load, links: Links) -> int:
        if load.pack:
            return load.pack.first + load.pack.loads.index(load)
        if load.load_id in links.adopted:
            return list(links.adopted).index(load.load_id) + 1
        return int(load.told.get("sequence") or 0)

    # --- damage ------------------------------------------------------------------------------------------------------

    def damages(self, as_of: date | None = None, *, whole: bool = False, now: datetime | None = None) -> list[Damage]:
        """What is not as it was landed; for a morning, also what was lost and not asked for again by then.

        `whole` reads every byte; otherwise only of files that were not seen before or were touched since, and of all where that was
        not done for a week before `now`.
        """
        try:
            links = self.links()  # before the loads are listed: what lands in between is then ahead of it, which is allowed
        except UnreadableError as broken:
            return [self._damage(broken.path, broken.why)]
        try:
            packs, loose = find(self.folder)
        except UnreadableError as broken:
            return [self._damage(broken.path.parent if broken.path.name == PACK else broken.path, broken.why)]
        if not self._file.exists() and not packs and not loose:
            return []
        seen = _Seen.read(self._seen_file)
        whole = whole or seen.due(now)
        found: list[Damage] = []
        units: list[_Unit] = []
        items: list[Load | Pack] = [*packs, *loose]
        for item in items:
            unit = self._unit(item, links, seen, whole)
            if isinstance(unit, Damage):
                found.append(unit)
                continue
            units.append(unit)
            if wrong := self._file_of(item, seen, whole):
                found.append(self._damage(unit.path, wrong, unit))
        found += self._gaps(sorted(units, key=lambda unit: (unit.first, -unit.last)), links, [d for d in found if d.first])
        found += self._lost(links, items, as_of)
        if not found:
            seen.write(self._seen_file, now if whole or not seen.whole_at else None)
        return found

    def _damage(self, path: Path, what: str, unit: _Unit | None = None) -> Damage:
        known = {"first": unit.first, "last": unit.last, "as_of": unit.as_of} if unit else {}
        return Damage(self.dataset.name, path, what, **known)  # type: ignore[arg-type]

    def _unit(self, item: Load | Pack, links: Links, seen: _Seen, whole: bool) -> _Unit | Damage:
        """A load or pack as a piece of the chain, or what is wrong with what it says of itself."""
        if isinstance(item, Pack):
            first, last = item.told["loads"][0], item.told["loads"][-1]
            name, state = self._named(item.folder / PACK), _state_of((item.folder / PACK).stat())
            if whole or not seen.is_as_it_was(name, state):  # years of loads take long to go over
                if seal_of(item.told) != item.told.get("seal"):
                    return self._damage(item.folder, f"has a {PACK} that was altered since it was written")
                seen.files[name] = state
            earliest = min(load.as_of for load in item.loads)
            return _Unit(item.folder, item.first, item.last, first.get("previous_seal"), link_of(last), earliest)
        try:
            told = item.told
        except UnreadableError as broken:
            return replace(self._damage(item.folder, f"has a {MANIFEST} that {broken.why}"), as_of=item.as_of)
        sequence = self.sequence_of(item, links)
        adopted = links.adopted.get(item.load_id)
        if told.get("load_id") != item.load_id or not sequence or (adopted and told.get("seal")):
            return self._damage(item.folder, "was not landed here")
        unit = _Unit(item.folder, sequence, sequence, told.get("previous_seal"), link_of(told), item.as_of)
        if seal_of(told) != (adopted or told.get("seal")):
            return self._damage(item.folder, f"has a {MANIFEST} that was altered since it was written", unit)
        return unit

    def _file_of(self, item: Load | Pack, seen: _Seen, whole: bool) -> str | None:
        """What is wrong with the file of rows, in words that follow its folder's name."""
        told = item.told
        path = item.folder / ROWS
        rows = told["rows"] if isinstance(item, Pack) else told.get("landed", 0)
        try:
            stat = path.stat()
        except OSError:
            return f"has lost its {ROWS} with {rows:,} rows" if rows else None
        if not rows:
            return f"has a {ROWS} although nothing was landed with it"
        name, state = self._named(path), _state_of(stat)
        if seen.is_as_it_was(name, state) and not whole:
            return None
        if told.get("bytes") not in (None, stat.st_size):
            return f"has a {ROWS} of {stat.st_size:,} bytes, where {told['bytes']:,} were landed"
        if sha256_of(path) != told["sha256"]:
            return f"has a {ROWS} with {_rows_in(path)} that are not the {rows:,} that were landed"
        if whole and isinstance(item, Pack) and (wrong := _contradiction(item)):
            return wrong
        seen.files[name] = state
        return None

    def _gaps(self, units: list[_Unit], links: Links, known: list[Damage]) -> Iterator[Damage]:
        """Where the chain does not go on: loads that are gone, and manifests that are not what the next one says."""
        accounted = {number for damage in known for number in range(damage.first, damage.last + 1)}
        accounted |= {number for lost in links.lost for number in range(lost.first, lost.last + 1)}
        before, seal, path = 0, None, self.folder
        for unit in units:
            if unit.first <= before:
                yield self._damage(
                    unit.path, f"says that it is load {unit.first}, which {path.name} is", replace(unit, first=0, last=0)
                )
                continue
            missing = [number for number in range(before + 1, unit.first) if number not in accounted]
            if missing:
                yield self._gone(missing, unit.path.name)
            elif unit.first > max(1, len(links.adopted)) and unit.first == before + 1 and unit.previous_seal != seal:
                said = f"is not the load that {unit.path.name} followed: its manifest was altered and sealed again"
                yield Damage(self.dataset.name, path, said, before, before)
            before, seal, path = unit.last, unit.seal, unit.path
        missing = [number for number in range(before + 1, links.sequence + 1) if number not in accounted]
        if missing:
            yield self._gone(missing, None, links.load_id)
        elif before and before == links.sequence and before not in accounted and seal != links.seal:
            yield Damage(
                self.dataset.name,
                path,
                "is not the load that was landed last: its manifest was altered and sealed again",
                before,
                before,
            )
        elif before > len(links.adopted) + 1 and not self._file.exists():
            yield Damage(self.dataset.name, self._file, "is gone, which says which load was the last", moves=False)

    def _gone(self, missing: list[int], follower: str | None, last: str | None = None) -> Damage:
        which = f"load {missing[0]}" if len(missing) == 1 else f"loads {missing[0]} to {missing[-1]}"
        where = f"before {follower}" if follower else f"the last of them {last}"
        return Damage(
            self.dataset.name, self.folder, f"has lost {which} of its chain ({where})", missing[0], missing[-1], moves=False
        )

    def _lost(self, links: Links, items: Iterable[Load | Pack], as_of: date | None) -> Iterator[Damage]:
        """What was given up and is not made up for by a delivery of everything that the morning knows."""
        pending = [
            lost for lost in links.lost if not lost.accepted and not (as_of and lost.as_of and lost.as_of > as_of.isoformat())
        ]
        if not pending:
            return
        loads = [load for item in items for load in (item.loads if isinstance(item, Pack) else (item,))]
        for lost in pending:
            told_again = any(
                load.told["full"]
                and not load.told["absent"]
                and self.sequence_of(load, links) > lost.last
                and (as_of is None or load.as_of <= as_of)
                for load in loads
            )
            if not told_again:
                yield Damage(self.dataset.name, self.folder, f"is without loads that were given up: {lost.what}", moves=False)

    # --- doing without -----------------------------------------------------------------------------------------------

    def give_up(self, now: datetime, *, accepted: bool) -> list[Damage]:
        """Put what is damaged aside, into `landing/.damaged/`, and remember it as lost. `accepted`: the dataset does without; otherwise a
        delivery of everything has to make up for it. Returns what was given up."""
        given_up: list[Damage] = []
        with self.held():
            try:
                links = self.links()
            except UnreadableError:
                self.put_aside(self._file, now)
                links = Links()
            for _ in range(10_000):
                damages = self.damages(whole=True, now=now)
                moved = [damage for damage in damages if damage.moves]
                for damage in moved:
                    self.put_aside(damage.path, now)
                gone = [damage for damage in damages if damage.first]
                at = now.isoformat(timespec="seconds")
                lost = [
                    Lost(d.first, d.last, d.as_of.isoformat() if d.as_of else None, f"{d.path.name} {d.what}", at, accepted)
                    for d in gone
                ]
                links = replace(links, lost=(*links.lost, *lost))
                if accepted:
                    links = replace(links, lost=tuple(replace(each, accepted=True) for each in links.lost))
                self.write(links)
                links = self.tip()
                self.write(links)
                given_up += damages
                if not moved and not gone:
                    break
            if self.shared and given_up:
                self.shared.commit_loss(self)
        return given_up

    def put_aside(self, path: Path, now: datetime) -> None:
        """Move what is damaged into `landing/.damaged/`."""
        aside = self.landing / ".damaged" / f"{self.dataset.name}.{now:%Y%m%dT%H%M%S}.{path.name}"
        aside.parent.mkdir(parents=True, exist_ok=True)
        number = 1
        while aside.exists():
            number += 1
            aside = aside.with_name(f"{aside.name}.{number}")
        shutil.move(path, aside)

    def found_whole(self, path: Path) -> None:
        """Remember a file that was hashed by whoever wrote it."""
        seen = _Seen.read(self._seen_file)
        seen.files[self._named(path)] = _state_of(path.stat())
        seen.write(self._seen_file, None)

    def _named(self, path: Path) -> str:
        """As it is remembered."""
        return str(path.relative_to(self.landing))


def _state_of(stat: os.stat_result) -> list[int]:
    """What changes with a file."""
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


@dataclass
class _Seen:
    """Files that were found whole, by name: size, times of change, number on the disk. `whole_at`: when all were read."""

    files: dict[str, list[int]] = field(default_factory=dict)
    whole_at: str | None = None

    @classmethod
    def read(cls, path: Path) -> _Seen:
        try:
            told = cls(**json.loads(path.read_text("utf-8")))
            _ = (dict(told.files), told.whole_at and datetime.fromisoformat(told.whole_at))
        except (OSError, ValueError, TypeError, RecursionError):  # a note that can always be made again
            return cls()
        return told

    def due(self, now: datetime | None) -> bool:
        if now is None or self.whole_at is None:
            return False
        return abs(now - datetime.fromisoformat(self.whole_at)) >= timedelta(days=HASHED_ANEW_DAYS)

    def is_as_it_was(self, name: str, state: list[int]) -> bool:
        return self.files.get(name) == state

    def write(self, path: Path, whole_at: datetime | None) -> None:
        root = path.parent.parent
        kept = {name: state for name, state in self.files.items() if (root / name).exists()}
        said = whole_at.isoformat() if whole_at else self.whole_at
        if path.exists() and (kept, said) == (_Seen.read(path).files, _Seen.read(path).whole_at):
            return
        _write(path, {"files": kept, "whole_at": said}, durable=False)


def links_from(told: Mapping[str, Any]) -> Links:
    """Links as they were written."""
    return Links(**{**told, "lost": tuple(Lost(**lost) for lost in told["lost"])})


def link_of(told: Mapping[str, Any]) -> str:
    """The seal by which the next load names this one."""
    return told.get("seal") or seal_of(told)


def _contradiction(pack: Pack) -> str | None:
    """What the rows of a pack say that the manifests of its loads do not."""
    wrong = next(iter(differences(pack.folder / ROWS, pack.told["loads"])), None)
    return f"contradicts the manifest of {wrong}" if wrong else None


def differences(rows: Path, manifests: Iterable[Mapping[str, Any]]) -> list[str]:
    """The loads whose rows in a file are not as many, or do not come to the sums, that their manifests say."""
    con = duck.connect()
    try:
        scan = f"read_parquet({text(str(rows))})"
        counts = dict(con.execute(f"select _load_id, count(*) from {scan} group by all").fetchall())
        sums: dict[str, dict[str, Decimal]] = {}
        columns = {row[0] for row in con.execute(f"describe select * from {scan}").fetchall()}
        if {"amount", "currency"} <= columns:
            asked = f"select _load_id, currency, sum(amount) from {scan} where not _deleted group by all"
            for load_id, currency, amount in con.execute(asked).fetchall():
                sums.setdefault(load_id, {})[currency] = amount
    finally:
        con.close()
    wrong = []
    for told in manifests:
        load_id = told["load_id"]
        said = {currency: Decimal(amount) for currency, amount in told.get("sums", {}).items()}
        if counts.pop(load_id, 0) != told["landed"] or (said and sums.get(load_id, {}) != said):
            wrong.append(load_id)
    return wrong + list(counts)


def _rows_in(path: Path) -> str:
    try:
        return f"{pq.read_metadata(path).num_rows:,} rows"
    except (OSError, pa.ArrowException):
        return "contents"


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, told: Mapping[str, Any], *, durable: bool = True) -> None:
    """Put a small file in place in one step, and on the disk where a power cut must not take it back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(3).hex()}")
    with beside.open("w", encoding="utf-8") as file:
        json.dump(told, file, ensure_ascii=False, separators=(",", ":"))
        file.flush()
        if durable:
            os.fsync(file.fileno())
    os.replace(beside, path)
