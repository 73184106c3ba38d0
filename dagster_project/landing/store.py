"""The append-only store of everything a source ever said.

Belongs here: staging what a source delivers, judging each record against the contract (types, required values, enums, keys),
quarantine with reasons, landing what changed as Parquet committed by one rename, and finding the loads a morning may know of.
Does not belong here: how records are fetched (`sources/`), what a record must be (`judge.py`), whether what is landed is still what
was (`chain.py`), whether a load as a whole is plausible (`quality.py`), rules about rows (`dbt/`).

    landing/<dataset>/               the loads and packs of loads (`loads.py`), which a store that several machines see may have as well
                                     (`shared.py`)
            .chain/                  which of them was the last (`chain.py`)
    quarantine/<dataset>/<load>.jsonl   records refused, as received, with every reason

A load is whole or nothing: it is built under `landing/.staging/` and appears by `rename`. Nothing is ever edited.

Of two loads for the same morning the later committed one counts, whatever the clock said: a load is stamped with the time, or just after
the newest stamp of its morning where the clock stands before that.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from dagster_project import duck
from dagster_project.amounts import digits_on
from dagster_project.contract import ISSUED_STEPS, LANDED, SQL_TYPES, Dataset
from dagster_project.duck import MEMORY_LIMIT
from dagster_project.landing import forms, judge
from dagster_project.landing.chain import Chain, Damage, sha256_of
from dagster_project.landing.compact import compact
from dagster_project.landing.forget import Person, Record, blank_refused, blanks, forget, forgotten
from dagster_project.landing.judge import CONTRADICTION, kind_of, quoted
from dagster_project.landing.loads import MANIFEST, ROWS, STAMP, LandingError, Load, Manifest, find, seal_of
from dagster_project.landing.read import empty_select, rows_select
from dagster_project.policy import EVERY_PACK, limits_of
from dagster_project.sources import EXTRA, Delivery, Hand
from dagster_project.words import printable, shown

if TYPE_CHECKING:
    from dagster_project.landing.shared import Shared
    from dagster_project.settings import Settings

log = logging.getLogger("arrears.ingestion")

STAGING_KEPT_HOURS = 24
"""A staging folder older than this belongs to a run that was killed."""

MOST_OVERTAKEN = 20
"""How often a load is committed anew after another machine's."""

Known = Literal["then", "now"]
"""Whether a morning sees what was known that morning, or everything learned since."""


class DamagedError(LandingError):
    """What is landed is not what was landed: nothing may be built on it. A line for each damage, with what to do."""


class Landing:
    """The store under two folders. Safe for several processes: loads have names of their own and appear whole. With a `url` the folders
    are a copy of what is there, and what lands is there first: safe for several machines."""

    def __init__(self, folder: Path, quarantine: Path, memory_limit: str = MEMORY_LIMIT, url: str | None = None):
        self.folder = folder
        self.quarantine = quarantine
        self.memory_limit = memory_limit
        self.shared: Shared | None = None
        if url:
            from dagster_project.landing.shared import Shared

            self.shared = Shared(url, folder, quarantine)

    @classmethod
    def of(cls, settings: Settings) -> Landing:
        """The landing of a home, as it is: `refresh` looks what other machines landed."""
        return cls(settings.landing, settings.quarantine, settings.memory_limit, settings.landing_url)

    def refresh(self) -> None:
        """Bring the home and the store that it is a copy of to the same loads; nothing where it is a copy of none.

        Raises:
            StoreError: the store cannot be read or written, or is another one.
            LandingError: it has loads that do not follow one another with those of this home.
        """
        if self.shared:
            self.shared.refresh()

    def came_from_elsewhere(self, load: Load) -> bool:
        """Whether another machine landed it, and this process fetched it."""
        return bool(self.shared and load.folder.name in self.shared.came)

    def chain(self, dataset: Dataset) -> Chain:
        return Chain(self.folder, dataset, self.shared)

    # --- what is known -----------------------------------------------------------------------------------------------

    def loads(self, dataset: Dataset, as_of: date | None = None, known: Known = "then") -> list[Load]:
        """The loads a morning knows, those whose word counts most last. Without a morning, all of them."""
        packs, loose = find(self.folder / dataset.name)
        found = [load for pack in packs for load in pack.loads] + loose
        wanted = [load for load in found if as_of is None or known == "now" or load.as_of <= as_of]
        return sorted(wanted, key=lambda load: (load.as_of, load.loaded_at, load.load_id))

    def later(self, dataset: Dataset, as_of: date) -> bool:
        """Whether anything was landed for a later morning that has come: one that a clock far ahead made up does not count."""
        return any(as_of < load.as_of <= _newest_morning() for load in self.loads(dataset))

    def still_counts(self, dataset: Dataset, load_id: str) -> bool:
        """Whether what a load refused may still be the newest word on a record: no later delivery of everything has come."""
        for load in reversed(self.loads(dataset)):
            if load.load_id == load_id:
                return True
            if load.manifest.full and not load.manifest.absent:
                return False
        return False

    def asks(self, as_of: date, today: date, *, published: date | None, refresh: bool = False) -> bool:
        """Whether a run for a morning asks the source, or replays what was known.

        Today's run always asks; a past one only where neither that morning nor a later one ever went out: `published` is the newest
        whose marts did, and lists that did are remembered here. A night that failed is so asked again.
        """
        if refresh or as_of >= today:
            return True
        listed = [load.as_of for load in self.loads(ISSUED_STEPS)]
        return not any(as_of <= day <= today for day in (*listed, published or date.min))

    def cursor(self, dataset: Dataset, as_of: date) -> datetime | None:
        """The newest `updated_at` that a morning knows of (UTC): where its next incremental load goes on from.

        One that has not come yet was let in by a clock far ahead; the one before it counts.
        """
        for load in reversed(self.loads(dataset, as_of)):
            cursor = load.manifest.cursor
            if cursor is None or datetime.fromisoformat(cursor) <= _clock():
                return datetime.fromisoformat(cursor) if cursor else None
        return None

    def whole_on(self, dataset: Dataset, as_of: date) -> date | None:
        """The newest morning, of those a morning knows, on which everything there is was delivered."""
        for load in reversed(self.loads(dataset, as_of)):
            if load.manifest.full and not load.manifest.absent:
                return load.as_of
        return None

    def damages(
        self, as_of: date | None = None, *, datasets: Iterable[Dataset] = LANDED.values(), whole: bool = False
    ) -> list[Damage]:
        """What of those datasets is not as it was landed, or was lost and not made up for by what a morning knows; what is damaged here or
        in the store, and whole on the other side, is mended."""
        now, found = _clock(), []
        for dataset in datasets:
            chain = self.chain(dataset)
            damages = chain.damages(as_of, whole=whole, now=now)
            if damages and self.shared:
                self.shared.mend(chain, damages)
                damages = chain.damages(as_of, whole=whole, now=now)
            if whole and self.shared and not damages:
                self.shared.look_over(chain)
            found += damages
        return found

    def sound(self, as_of: date | None = None, datasets: Iterable[Dataset] = LANDED.values()) -> None:
        """Make sure that what is landed is what was.

        Raises:
            DamagedError: it is not.
        """
        if damages := self.damages(as_of, datasets=datasets):
            raise DamagedError("\n".join(map(str, damages)))

    def compact(self, dataset: Dataset, *, after: int = 1) -> int:
        """Put loads together where more than `after` lie by themselves: see `compact.py`. Returns how many were."""
        return compact(self.chain(dataset), _clock(), after=after, memory_limit=self.memory_limit)

    def forget(self, person: Person, by: str) -> Record:
        """Blank what is personal of somebody: see `forget.py`. Only where no run is at work."""
        return forget(self.folder, self.quarantine, person, _clock(), by, self.shared)

    def _forgotten(self) -> list[Person]:
        return forgotten(self.folder)

    def give_up(self, dataset: Dataset, *, accepted: bool = False) -> list[Damage]:
        """Go on without what is damaged: see `Chain.give_up`."""
        if self.shared:
            self.damages(datasets=[dataset], whole=True)  # mends what it can
        return self.chain(dataset).give_up(_clock(), accepted=accepted)

    def tidy(self, cleared: Mapping[str, Collection[str]]) -> None:
        """Let the store keep no more than it must: see `Shared.tidy`."""
        if self.shared:
            self.shared.tidy(cleared)

    def refused(self, dataset: Dataset, as_of: date, known: Known = "then") -> Iterator[tuple[Load, Mapping[str, str]]]:
        """Records a morning knows to exist and could not read, as received, newest first: those refused since a whole delivery
        last said everything anew. A later load may have brought a readable version of some."""
        if not (folder := self.quarantine / dataset.name).exists():
            return
        for load in reversed(self.loads(dataset, as_of, known)):
            if (path := folder / f"{load.load_id}.jsonl").exists():
                for line in path.read_text("utf-8").splitlines():
                    entry = json.loads(line)
                    if not all(kind_of(reason) == CONTRADICTION for reason in entry["reasons"]):
                        yield load, entry["record"]
            if load.manifest.full and not load.manifest.absent:
                return

    def twin(self, folder: Path) -> Landing:
        """The same store once more under another folder, to try something on: what lands there lands only there. What it refuses goes
        to the same quarantine, where people look for it. Rows are shared: nothing writes into a file that is there."""
        if self.folder.exists():
            left_out = shutil.ignore_patterns(".staging", "*.lock")
            shutil.copytree(self.folder, folder, copy_function=_rows_shared, ignore=left_out)
        return Landing(folder, self.quarantine, self.memory_limit)

    # --- landing -----------------------------------------------------------------------------------------------------

    def land(
        self,
        dataset: Dataset,
        delivery: Delivery | None,
        as_of: date,
        *,
        since: datetime | None = None,
        quarantine_share: Decimal | None = None,
        anew: bool = False,
        alone: bool = False,
    ) -> Manifest:
        """Stage, judge and commit a delivery; `None` records that the source has no such dataset.

        `quarantine_share` is the largest share of records that may be refused, without it what policy has for every pack. `anew`: a
        delivery of everything makes up for what is damaged, which is put aside; otherwise nothing lands on top of it. `alone`: nor on top
        of what another machine lands meanwhile.

        Raises:
            SourceError: the source failed on the way.
            DamagedError: what is landed is not what was.
            LandingError: too many records were refused, or all of a required dataset.
        """
        began = time.monotonic()
        if delivery is None and dataset.required:
            raise LandingError(
                f"the source has no {dataset.name}, which is required: deliver it, with a header and no rows if there are none"
            )
        chain = self.chain(dataset)
        if anew and delivery and delivery.full and (damages := self.damages(as_of, datasets=[dataset])):
            self.give_up(dataset)
            for damage in damages:
                log.warning("%s: %s %s; what the source says now stands for it", dataset.name, damage.path, damage.what)
        else:
            self.sound(as_of, [dataset])
        loaded_at = self._stamp(dataset, as_of)
        load_id = f"{as_of}_{loaded_at.strftime(STAMP)}_{secrets.token_hex(3)}"
        with self._staging(load_id) as staging:
            received = _stage(delivery, staging / "raw.parquet") if delivery else 0
            tally = _Tally()
            if delivery and (received or delivery.full or delivery.parents):  # a database takes longer to open than all the rest
                with duck.scratch(staging, self.memory_limit) as con:
                    if received:
                        tally = self._judge(con, dataset, staging, load_id, loaded_at, as_of, delivery.hand)
                        if quarantine_share is None:
                            quarantine_share = limits_of(dataset.name, EVERY_PACK, as_of).max_quarantined_share
                        self._refuse_too_many(dataset, load_id, received, tally, quarantine_share)
                    gone = _gone(con, dataset, delivery)
                    tally = self._write(con, dataset, staging, load_id, loaded_at, as_of, tally, received > 0, gone)
            known = self.loads(dataset, as_of)
            cursor = _newest(tally.newest, self.cursor(dataset, as_of))
            newest_on = _newest(
                tally.newest_on, *(date.fromisoformat(day) for load in known[-1:] if (day := load.manifest.newest_on))
            )
            rows = staging / ROWS
            manifest = Manifest(
                load_id=load_id,
                dataset=dataset.name,
                as_of=as_of.isoformat(),
                loaded_at=loaded_at.isoformat(),
                origin=printable(delivery.origin) if delivery else "",
                absent=delivery is None,
                full=bool(delivery and delivery.full),
                since=since.isoformat() if since and delivery and not delivery.full else None,
                cursor=cursor.isoformat() if cursor else None,
                newest_on=newest_on.isoformat() if newest_on else None,
                received=received,
                landed=tally.landed,
                tombstones=tally.tombstones,
                unchanged=tally.unchanged,
                repeated=tally.repeated,
                quarantined=tally.quarantined,
                sums={currency: str(amount) for currency, amount in tally.sums},
                reasons=tally.reasons,
                examples=tally.examples,
                found=list(tally.found),
                left_out={what: count for what, count in delivery.left_out.items() if count} if delivery else {},
                seconds=round(time.monotonic() - began, 3),
                sha256=sha256_of(rows) if rows.exists() else None,
                bytes=rows.stat().st_size if rows.exists() else None,
                parents=len(delivery.parents.keys) if delivery and delivery.parents else None,
            )
            (staging / "raw.parquet").unlink(missing_ok=True)
            with chain.held():
                return self._commit_after(chain, manifest, staging, alone=alone)

    def _commit_after(self, chain: Chain, manifest: Manifest, staging: Path, *, alone: bool) -> Manifest:
        """Commit a load after whatever other machines committed meanwhile."""
        if not self.shared:
            return self._commit(chain, manifest, staging)
        from dagster_project.landing.shared import Behind

        for _ in range(MOST_OVERTAKEN):
            try:
                return self._commit(chain, manifest, staging)
            except Behind:
                had = set(self.shared.came)
                self.shared.catch_up(chain)
            came = [load for load in self.loads(chain.dataset) if load.folder.name in self.shared.came - had]
            for load in came:
                if alone or (
                    load.as_of.isoformat() == manifest.as_of and load.loaded_at >= datetime.fromisoformat(manifest.loaded_at)
                ):
                    raise LandingError(
                        f"{chain.dataset.name}: another machine landed {load.load_id} meanwhile, and nothing of this load landed: run again"
                    )
        raise LandingError(f"{chain.dataset.name}: other machines keep landing before this one: run again")

    def _commit(self, chain: Chain, manifest: Manifest, staging: Path) -> Manifest:
        """Link a load to the one before it and let it appear."""
        tip = chain.tip()
        linked = replace(manifest, sequence=tip.sequence + 1, previous=tip.load_id, previous_seal=tip.seal, examples={})
        sealed = replace(linked, seal=seal_of(asdict(linked)))
        _write_text(staging / MANIFEST, json.dumps(asdict(sealed), indent=1, ensure_ascii=False))
        links = replace(tip, sequence=sealed.sequence, load_id=sealed.load_id, seal=sealed.seal)
        final = chain.folder / sealed.load_id
        final.parent.mkdir(parents=True, exist_ok=True)
        if self.shared:
            self.shared.commit_load(chain, staging, sealed.load_id, links, tip)
        os.rename(staging, final)
        chain.write(links)
        if sealed.landed:
            chain.found_whole(final / ROWS)
        return replace(sealed, examples=manifest.examples)

    def _stamp(self, dataset: Dataset, as_of: date) -> datetime:
        """The time, or just after the newest load for the morning: the later load must win whatever the clock says."""
        now = _clock()
        packs, loose = find(self.folder / dataset.name)
        loads = [load for pack in packs for load in pack.loads] + loose
        last = max(loads, key=lambda load: load.told.get("sequence", 0), default=None)
        if last and last.loaded_at > now:
            log.warning(
                "%s: the clock went back: it is %s UTC, and the last load was made at %s UTC. What lands now counts as the later one; "
                "set the clock right",
                dataset.name,
                f"{now:%Y-%m-%d %H:%M:%S}",
                f"{last.loaded_at:%Y-%m-%d %H:%M:%S}",
            )
        after = [load.loaded_at + timedelta(microseconds=1) for load in loads if load.as_of == as_of]
        return max([now, *after])

    @contextmanager
    def _staging(self, load_id: str) -> Iterator[Path]:
        root = self.folder / ".staging"
        root.mkdir(parents=True, exist_ok=True)
        for left in root.iterdir():
            if time.time() - left.stat().st_mtime > STAGING_KEPT_HOURS * 3600:
                shutil.rmtree(left, ignore_errors=True)
        folder = root / load_id
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _judge(
        self,
        con: duckdb.DuckDBPyConnection,
        dataset: Dataset,
        staging: Path,
        load_id: str,
        loaded_at: datetime,
        as_of: date,
        hand: Hand | None,
    ) -> _Tally:
        """Type every record, refuse what breaks the contract, keep one version of each key. Leaves `kept`, and the keys of what is refused
        in `refused_keys`."""
        con.execute(f"create view given as from read_parquet('{staging / 'raw.parquet'}', file_row_number = true)")
        kinds = dict(con.execute("select column_name, column_type from (describe given)").fetchall())
        texts = {name for name, kind in kinds.items() if kind == "VARCHAR"}
        values = ", ".join(f"{judge.typed(column, column.name in texts)} as {quoted(column.name)}" for column in dataset.columns)
        plain = " and ".join(judge.plain(dataset, texts, by_hand=hand is not None)) or "true"
        con.execute(f"create table typed as select file_row_number, {values}, ({plain}) is true as _plain from given")
        odd = _one(con, "select count(*) from typed where not _plain")[0] > 0
        how = self._mend(con, dataset, texts, as_of, hand) if odd else None
        for name, blanked in blanks(dataset, self._forgotten()).items():
            con.execute(f"update typed set {quoted(name)} = {blanked}")
        columns, key = (", ".join(map(quoted, names)) for names in (dataset.column_names, dataset.key))
        twice = _one(con, f"select count(*) from (select 1 from typed group by {key} having count(*) > 1)")[0] > 0
        quarantined = repeated = 0
        reasons_by_count: dict[str, int] = {}
        examples: dict[str, str] = {}
        if odd or twice:
            if not odd:
                self._show(con, dataset, texts)
                con.execute(
                    "create table broken (file_row_number bigint, _reasons varchar[]); create view mended as from raw limit 0"
                )
            quarantined, repeated = self._refuse(con, dataset)
            con.execute(f"create view kept as select {columns} from typed anti join again using (file_row_number)")
        else:  # as in most loads: planning what nobody needs takes longer than all the rest
            con.execute(
                f"create view kept as select {columns} from typed; create view refused_keys as select {key} from typed limit 0"
            )
        if quarantined:
            reasons_by_count, examples = self._quarantine(con, dataset, load_id, hand)
        # A time that has not come yet is a typing error of somebody's: it must neither carry the cursor off nor look fresh.
        newest = f"max(updated_at) filter (updated_at <= timestamp '{_clock()}')" if dataset.has_cursor else "max(null)"
        newest_on = "max(null)"
        if dataset.dated_by:
            day = f"cast({quoted(dataset.dated_by)} as date)"
            newest_on = f"max({day}) filter ({day} <= date '{as_of}')"
        newest_value, newest_day = _one(con, f"select {newest}, {newest_on} from kept")
        found = (*hand.found, *(how.found if how else ())) if hand else ()
        return _Tally(
            quarantined,
            repeated,
            reasons=reasons_by_count,
            examples=examples,
            found=found,
            newest=newest_value,
            newest_on=newest_day,
        )

    def _show(self, con: duckdb.DuckDBPyConnection, dataset: Dataset, texts: Set[str]) -> None:
        """Leave `raw`: every record in words, as people see it where it is refused."""
        shown = ", ".join(f"{judge.shown(column, column.name in texts)} as {quoted(column.name)}" for column in dataset.columns)
        con.execute(f"create view raw as select file_row_number, {shown}, {EXTRA} from given")

    def _mend(
        self, con: duckdb.DuckDBPyConnection, dataset: Dataset, texts: Set[str], as_of: date, hand: Hand | None
    ) -> forms.Read | None:
        """Hold what does not look plain against every rule, which costs more than all the rest; `typed` then has what can be read. Leaves
        `mended` and, with its reasons, `broken`."""
        self._show(con, dataset, texts)
        # A table of its own, or DuckDB asks the rules first.
        con.execute("create table odd as from raw semi join (from typed where not _plain) using (file_row_number)")
        how = _read(con, dataset, hand) if hand else None
        mended = ", ".join(forms.mended(dataset, how, digits_on(as_of)))
        con.execute(f"create table mended as select file_row_number, {mended} from odd")
        reasons = ", ".join(judge.reasons(dataset, by_hand=hand is not None))
        con.execute(
            f"create table broken as select file_row_number, list_filter([{reasons}], lambda x: x is not null) as _reasons "
            f"from mended where coalesce({reasons}) is not null"
        )
        con.execute("delete from typed where not _plain")
        values = ", ".join(f"{judge.typed(column)} as {quoted(column.name)}" for column in dataset.columns)
        con.execute(
            f"insert into typed select file_row_number, {values}, true from mended anti join broken using (file_row_number)"
        )
        return how

    def _refuse(self, con: duckdb.DuckDBPyConnection, dataset: Dataset) -> tuple[int, int]:
        """Leave `again`, `refused` and `refused_keys`; how many records are refused, and how many are there again without harm."""
        con.execute("create view parsed as select * exclude (_plain) from typed")
        self._split_repeats(con, dataset)
        told = " || ', ' || ".join(f"coalesce(r.{quoted(name)}, '')" for name in dataset.key)
        con.execute(
            "create table refused as from broken union all "
            f"select r.file_row_number, ['key ' || {told} || ' is there twice with other values'] from raw r "
            "join again using (file_row_number) where not again.harmless"
        )
        refused_key = ", ".join(f"{judge.typed(dataset.by_name[name])} as {quoted(name)}" for name in dataset.key)
        con.execute(f"create table refused_keys as select {refused_key} from mended semi join broken using (file_row_number)")
        quarantined, repeated = _one(con, "select (select count(*) from refused), (select count(*) from again where harmless)")
        return quarantined, repeated

    def _split_repeats(self, con: duckdb.DuckDBPyConnection, dataset: Dataset) -> None:
        """Leave table `again`: every record whose key a better one has. The same values, or an older version, are harmless
        (a page delivered twice, a record that changed while pages were read); a contradiction of the same age is not."""
        key = ", ".join(map(quoted, dataset.key))
        same_key = " and ".join(f"p.{quoted(name)} is not distinct from d.{quoted(name)}" for name in dataset.key)
        newest = "updated_at desc nulls last, " if dataset.has_cursor else ""
        content = "struct_pack(" + ", ".join(f"{quoted(n)} := p.{quoted(n)}" for n in dataset.column_names) + ")"
        older = "or version.updated_at < best.updated_at" if dataset.has_cursor else ""
        con.execute(
            f"create table again as with doubled as (select {key} from parsed group by all having count(*) > 1), "
            f"versions as (select p.*, {content} as version from parsed p join doubled d on {same_key}), "
            "ranked as (select file_row_number, version, row_number() over best as place, first(version) over best as best "
            f"from versions window best as (partition by {key} order by {newest}file_row_number desc)) "
            f"select file_row_number, (version is not distinct from best {older}) is true as harmless from ranked where place > 1"
        )

    def _quarantine(
        self, con: duckdb.DuckDBPyConnection, dataset: Dataset, load_id: str, hand: Hand | None
    ) -> tuple[dict[str, int], dict[str, str]]:
        """Put the refused records aside, with their lines where they have some. Returns how often each reason stands, and an example."""
        lines: Mapping[int, int] = {}
        if hand:
            numbers = [number for (number,) in con.execute("select file_row_number from refused order by 1").fetchall()]
            lines = dict(zip(numbers, hand.lines(numbers), strict=True))
        folder = self.quarantine / dataset.name
        folder.mkdir(parents=True, exist_ok=True)
        columns = ", ".join(f"j.{quoted(name)}" for name in (*dataset.column_names, EXTRA))
        found = con.execute(
            f"select r.file_row_number + 1, r._reasons, {columns} from refused r join raw j using (file_row_number) order by 1"
        )
        counts: dict[str, int] = {}
        examples: dict[str, str] = {}
        people = self._forgotten()
        unfinished = folder / f".{load_id}.jsonl"
        with unfinished.open("w", encoding="utf-8") as file:
            while rows := found.fetchmany(1_000):
                for number, reasons, *values in rows:
                    record = {name: value for name, value in zip(dataset.column_names, values, strict=False) if value is not None}
                    record |= json.loads(values[-1]) if values[-1] else {}
                    if any((record.get(person.column) or "").strip() == person.key for person in people):
                        blank = blank_refused(dataset, record, reasons)
                        record, reasons = blank["record"], blank["reasons"]
                    line = {
                        "dataset": dataset.name,
                        "load": load_id,
                        "record_number": number,
                        **({"file": hand.file, "line": lines[number - 1]} if hand else {}),
                        "record": record,
                        "reasons": reasons,
                    }
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
                    for reason in reasons:
                        kind = kind_of(reason)
                        counts[kind] = counts.get(kind, 0) + 1
                        place = f"{hand.file} line {lines[number - 1]}" if hand else f"record {number}"
                        value = shown(reason.partition(" «")[2])
                        examples.setdefault(kind, f"«{value} in {place}" if value else place)
        os.replace(unfinished, folder / f"{load_id}.jsonl")
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))), examples

    def _refuse_too_many(self, dataset: Dataset, load_id: str, received: int, tally: _Tally, share: Decimal) -> None:
        where = self.quarantine / dataset.name / f"{load_id}.jsonl"
        worst = "; ".join(
            f"{reason} ({count:,}×, such as {tally.examples[reason]})" for reason, count in list(tally.reasons.items())[:3]
        )
        if dataset.required and tally.quarantined == received:
            raise LandingError(f"{dataset.name}: none of {received:,} records can be read: {worst}. They are in {where}")
        if tally.quarantined > share * received:
            raise LandingError(
                f"{dataset.name}: {tally.quarantined:,} of {received:,} records break the contract, more than the "
                f"{share * 100:.2f} % that policy lets pass: {worst}. Nothing of it landed; the records are in {where}"
            )

    def _write(
        self,
        con: duckdb.DuckDBPyConnection,
        dataset: Dataset,
        staging: Path,
        load_id: str,
        loaded_at: datetime,
        as_of: date,
        tally: _Tally,
        any_rows: bool,
        gone_where: str | None,
    ) -> _Tally:
        """Write the rows that differ from the latest known, and tombstones where a key does not come again that should have."""
        if not any_rows and not gone_where:
            return tally
        columns = ", ".join(map(quoted, dataset.column_names))
        if not any_rows:
            con.execute(f"create table kept as select {columns} from ({empty_select(dataset)})")
            con.execute("create view refused_keys as from kept")
        before = [load for load in self.loads(dataset, as_of) if load.rows]
        same_key = " and ".join(f"k.{quoted(name)} is not distinct from b.{quoted(name)}" for name in dataset.key)
        if before:
            key = ", ".join(map(quoted, dataset.key))
            con.execute(
                f"create table before as select * exclude (_rank) from (select *, row_number() over "
                f"(partition by {key} order by _as_of desc, _loaded_at desc, _load_id desc) as _rank "
                f"from ({rows_select(dataset, con, before)})) "
                "where _rank = 1 and not _deleted"
            )
            same = " and ".join(f"k.{quoted(name)} is not distinct from b.{quoted(name)}" for name in dataset.column_names)
            con.execute(f"create view changed as select k.* from kept k where not exists (select 1 from before b where {same})")
            # A record refused tonight is not gone: its last good version stays.
            gone = (
                f"select b.* from before b where not exists (select 1 from kept k where {same_key}) "
                f"and not exists (select 1 from refused_keys k where {same_key}) and {gone_where}"
                if gone_where
                else None
            )
        else:
            con.execute("create view changed as from kept")
            gone = None
        parts = [f"select {columns}, false as _deleted from changed"]
        if gone:
            parts.append(f"select {columns}, true as _deleted from ({gone})")
        rows = staging / "rows.parquet"
        stamps = f"'{load_id}' as _load_id, timestamp '{loaded_at.isoformat()}' as _loaded_at, date '{as_of}' as _as_of"
        con.execute(
            f"copy (select {columns}, {stamps}, _deleted from ({' union all '.join(parts)})) to '{rows}' "
            "(format parquet, compression zstd, row_group_size 100000)"
        )
        landed, tombstones, kept = _one(
            con, f"select count(*), count(*) filter (_deleted), (select count(*) from kept) from '{rows}'"
        )
        sums = []
        if "amount" in dataset.by_name and "currency" in dataset.by_name:
            sums = con.execute(
                f"select coalesce(currency, ''), sum(amount) from '{rows}' where not _deleted group by 1 order by 1"
            ).fetchall()
        if not landed:
            rows.unlink()
        return replace(tally, landed=landed, tombstones=tombstones, unchanged=kept - (landed - tombstones), sums=sums)


@dataclass(frozen=True)
class _Tally:
    quarantined: int = 0
    repeated: int = 0
    landed: int = 0
    tombstones: int = 0
    unchanged: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, str] = field(default_factory=dict)
    found: Sequence[str] = ()
    newest: datetime | None = None
    newest_on: date | None = None
    sums: Sequence[tuple[str, Decimal]] = ()


def _read(con: duckdb.DuckDBPyConnection, dataset: Dataset, hand: Hand) -> forms.Read:
    """How a file of people's is written, from all that is odd in it."""
    asked = forms.evidence(dataset)
    if asked is None:
        return forms.Read()
    found = con.execute(asked)
    names = [column[0] for column in found.description or ()]
    row = found.fetchall()[0]
    return forms.read(hand, dict(zip(names, row, strict=True)))


def _gone(con: duckdb.DuckDBPyConnection, dataset: Dataset, delivery: Delivery | None) -> str | None:
    """SQL for which of the rows known before (`b`) are gone if they did not come again; None where none is."""
    if delivery is None or delivery.full:
        return "true" if delivery else None
    if delivery.parents is None or not delivery.parents.keys:
        return None
    names = delivery.parents.columns
    con.execute(f"create table parents ({', '.join(f'{quoted(n)} {SQL_TYPES[dataset.by_name[n].type]}' for n in names)})")
    con.execute(
        f"insert into parents select distinct {', '.join(f'unnest(?) as {quoted(name)}' for name in names)}",
        [list(column) for column in zip(*delivery.parents.keys, strict=True)],
    )
    hangs = " and ".join(f"p.{quoted(name)} is not distinct from b.{quoted(name)}" for name in names)
    return f"exists (select 1 from parents p where {hangs})"


# --- staging --------------------------------------------------------------------------------------------------------


def _stage(delivery: Delivery, path: Path) -> int:
    """Write the pages as they come, one row group a page, so that memory stays flat. Returns the number of records."""
    count = 0
    with ExitStack() as stack:
        writer = None
        for page in _ahead(iter(delivery.pages)):
            count += len(page)
            if len(page):
                writer = writer or stack.enter_context(
                    pq.ParquetWriter(path, page.schema, compression="snappy", write_statistics=False)
                )
                writer.write_table(page)
    return count


def _ahead(pages: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The pages, each fetched while the one before it is used."""
    with ThreadPoolExecutor(1) as fetcher:
        coming = fetcher.submit(next, pages, None)
        while (page := coming.result()) is not None:
            coming = fetcher.submit(next, pages, None)
            yield page


def _rows_shared(source: str, target: str) -> None:
    """Copy a file of the store; the rows of a load get a second name, where the file system has such."""
    if Path(source).name == ROWS:
        with suppress(OSError):
            os.link(source, target)
            return
    shutil.copy2(source, target)


def _clock() -> datetime:
    """The time by the machine's clock, UTC without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def _newest_morning() -> date:
    """The newest morning that has come anywhere."""
    return (_clock() + timedelta(hours=14)).date()


_T = TypeVar("_T", date, datetime)


def _newest(*times: _T | None) -> _T | None:
    """The latest of those that are there."""
    return max((time for time in times if time is not None), default=None)


def _one(con: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    row = con.execute(sql).fetchone()
    assert row is not None
    return row


def _write_text(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
