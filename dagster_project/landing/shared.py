"""Landing where several machines see it: the store of `ARREARS_LANDING_URL` is the truth, a home's folders are its copy by name.

Belongs here: what lies in the store, which of it counts, bringing a home and the store to the same loads, what goes when. Does not belong
here: talking to a store (`objects.py`), making loads and packs (`store.py`, `compact.py`), whether they are what was landed (`chain.py`).

    landing/<dataset>/<load or pack>/…          as in a home
            .chain/<dataset>/<number>.json      a state: which loads and packs count, the last link, whose refused records are kept
            .chain/forgotten/<record>.json      who was forgotten
            .chain/store.json                   which store this is
    quarantine/<dataset>/<load>.jsonl           as in a home

A store has no rename. A load's or pack's files are put first, its manifest last of them; it counts from the state that names it on, and a
state is made by one put that fails where another machine made that number first. Only then does it appear in the home. Whoever is killed
in between leaves files that no state names, which go after a day; whoever reads meanwhile sees the state before or the one after.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from dagster_project.contract import LANDED, Dataset
from dagster_project.landing.chain import Chain, Damage, Links, link_of, links_from
from dagster_project.landing.compact import READERS_WAIT_HOURS, Piece, clear_away_at_once, pieces
from dagster_project.landing.forget import forgotten, record_file
from dagster_project.landing.loads import MANIFEST, PACK, ROWS, LandingError, UnreadableError, read_json, seal_of
from dagster_project.landing.objects import Found, Objects, StoreError

log = logging.getLogger("arrears.ingestion")

CHAIN = "landing/.chain"
STORE = f"{CHAIN}/store.json"

STATES_KEPT_DAYS = 7
"""How long a state that is no longer the newest is kept. Nobody commits for longer, so that its number is never given twice."""

LONGEST_AGREED = 24 * 3600
"""Seconds after which a run looks again before it commits."""

_NAME = re.compile(r"\d{4}-\d\d-\d\d_[\w.]+|pack-\d+-\d+\.\w+")
"""How a load or pack is named."""

AT_ONCE = 8
"""Folders fetched at a time."""


class Behind(LandingError):
    """Another machine committed first: look at what it did, and commit after it."""

    def __init__(self) -> None:
        super().__init__("another machine landed something meanwhile: run again")


class DivergedError(LandingError):
    """A home and the store have loads that do not follow one another. The message says which, and what to do."""


@dataclass(frozen=True)
class State:
    """What counts of a dataset. `folders`: each load's or pack's first and last sequence; `left`: when a folder stopped counting, while it
    may still be read; `refused`: the fingerprint of each load's refused records that are kept."""

    links: Links = field(default_factory=Links)
    folders: Mapping[str, Sequence[int]] = field(default_factory=dict)
    left: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        told = asdict(self)
        return json.dumps({**told, "seal_of_this": seal_of(told)}, ensure_ascii=False, separators=(",", ":")).encode()

    def without(self, names: Collection[str], now: datetime) -> State:
        """From now on these folders do not count."""
        kept = {name: span for name, span in self.folders.items() if name not in names}
        gone = [name for name in self.folders if name in names]
        return replace(self, folders=kept, left={**self.left, **dict.fromkeys(gone, now.isoformat(timespec="seconds"))})


@dataclass(frozen=True)
class _Known:
    """The newest state that a home has seen, and its number."""

    number: int = 0
    state: State = field(default_factory=State)


class Shared:
    """A store that homes are copies of."""

    def __init__(self, url: str, folder: Path, quarantine: Path):
        self.url = url
        self.folder = folder
        self.quarantine = quarantine
        self.came: set[str] = set()
        """The folders that were fetched: what other machines landed."""
        self.agreed_at: float | None = None
        """When the home and the store were last brought together."""

    @cached_property
    def objects(self) -> Objects:
        return Objects(self.url)

    # --- bringing a home up to date ----------------------------------------------------------------------------------

    def refresh(self, datasets: Iterable[Dataset] = LANDED.values()) -> None:
        """Fetch what the store has and the home has not; put into the store what a home had before it had one.

        Raises:
            StoreError: the store cannot be read, or is not the one that this home is a copy of.
            DivergedError: the home has loads that do not follow the store's.
        """
        found = self.objects.names(f"{CHAIN}/")
        newest = _newest(found)
        path = self.folder / ".chain" / "store.json"
        store = self._this_store(STORE in found, path)
        if not path.exists():
            for dataset in LANDED.values():
                self._refuse_a_stranger(Chain(self.folder, dataset, self), newest.get(dataset.name, 0))
            _write(path, json.dumps({"id": store}).encode())
        self._recall(found)
        for dataset in datasets:
            chain = Chain(self.folder, dataset, self)
            if newest.get(dataset.name) or chain.folder.is_dir():
                with chain.held():
                    came = self._agree(chain, newest.get(dataset.name, 0))
                if any(read_json(chain.folder / name / PACK).get("forgotten") for name in came if name.startswith("pack-")):
                    clear_away_at_once(chain)
        self.agreed_at = time.time()

    def catch_up(self, chain: Chain) -> None:
        """The same for one dataset, whose lock is held.

        Raises:
            LandingError: somebody was forgotten meanwhile: what was judged before must not land.
        """
        found = self.objects.names(f"{CHAIN}/")
        before = len(self._people())
        self._recall(found)
        self._agree(chain, _newest(found).get(chain.dataset.name, 0))
        self.agreed_at = time.time()
        if len(self._people()) > before:
            raise LandingError(f"{chain.dataset.name}: somebody was forgotten on another machine meanwhile: run again")

    def _this_store(self, there: bool, path: Path) -> str:
        """Which store this is: the one that the home is a copy of, if it is one of any."""
        mine = (_json(path.read_bytes()) or {}).get("id", "unknown") if path.exists() else None
        if not there:
            if mine:
                raise StoreError(
                    f"ARREARS_LANDING_URL: {self.url} holds nothing, and this home is a copy of a store that did: mend the URL, mount "
                    f"the folder, or put the bucket back. To put what this home has into an empty store: remove {path}"
                )
            self._found()
        store = (_json(self.objects.read(STORE)) or {}).get("id")
        if not isinstance(store, str):
            raise StoreError(
                f"ARREARS_LANDING_URL: {self.objects.address(STORE)} is damaged: it does not say which store this is"
            )
        if mine not in (None, store):
            raise StoreError(
                f"ARREARS_LANDING_URL: {self.url} is another store than the one that this home is a copy of: mend the URL, or use an "
                "empty home"
            )
        return store

    def _refuse_a_stranger(self, chain: Chain, number: int) -> None:
        """A home that meets a store for the first time has the same loads, or the first of them, or those and more."""
        here = {load_id for piece in pieces(chain) for load_id in _ids(piece.item.folder)} if chain.folder.is_dir() else set()
        if not here or not number:
            return
        there: set[str] = set()
        for name in self._state(chain.dataset, number).folders:
            told = _json(self.objects.read(f"landing/{chain.dataset.name}/{name}/{_manifest_of(name)}")) or {}
            there |= {str(each.get("load_id")) for each in told.get("loads", [told])}
        if not (here <= there or there <= here):
            raise DivergedError(
                f"{chain.dataset.name}: {chain.folder} has loads that are not in {self.url}, and the other way round: this home was never "
                "a copy of that store. Use the home's own store, or an empty home"
            )

    def _found(self) -> None:
        """Make the object that says which store this is, and make sure that nobody can make it a second time."""
        if not self.objects.create(STORE, json.dumps({"id": secrets.token_hex(8)}).encode()):
            return  # another machine just did
        if self.objects.create(STORE, b"{}"):
            self.objects.remove([STORE])
            raise StoreError(
                f"ARREARS_LANDING_URL: {self.url} overwrites what it was told only to create (If-None-Match: *), so that loads of two "
                "machines could get lost there: use a store that does not"
            )

    def _agree(self, chain: Chain, number: int) -> list[str]:
        """Bring a dataset of the home and the store to the same loads. Returns the folders that came."""
        known = self._known(chain)
        if known.number > number:
            known = _Known()  # the store was put back to an earlier copy: what follows it is here
        state = known.state if known.number == number else self._state(chain.dataset, number)
        came = self._fetch_missing(chain, state)
        if number and _links_of(chain) != state.links:
            chain.write(state.links)
        try:
            here = pieces(chain)
        except UnreadableError as broken:
            folder = broken.path if broken.path.parent == chain.folder else broken.path.parent
            if folder.name not in state.folders:
                return came  # whoever asks for damages is told
            chain.put_aside(folder, _clock())
            came += self._fetch_missing(chain, state)
            here = pieces(chain)
        extra = [piece for piece in here if piece.item.folder.name not in state.folders]
        if extra:
            number, state = self._take(chain, number, state, extra)
        self._fetch_refused(chain.dataset, known.state, state)
        if (number, state) != (known.number, known.state):
            self._remember(chain, _Known(number, state))
        return came

    def _fetch_missing(self, chain: Chain, state: State) -> list[str]:
        missing = [name for name in state.folders if not (chain.folder / name).is_dir()]
        if not missing:
            return []
        chain.folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(AT_ONCE) as several:
            whole = list(several.map(lambda name: self._fetch(chain, name), missing))
        came = [name for name, is_whole in zip(missing, whole, strict=True) if is_whole]
        self.came.update(came)
        for name in came:
            if (rows := chain.folder / name / ROWS).exists():
                chain.found_whole(rows)
        if came:
            log.info("%-18s %8s loads and packs came from the store", chain.dataset.name, f"{len(came):,}")
        return came

    def _fetch(self, chain: Chain, name: str) -> bool:
        """Fetch a folder, and let it appear if it is what was landed; if not, the chain will miss it."""
        at = f"landing/{chain.dataset.name}/{name}"
        staging = self.folder / ".staging" / f"fetched-{name}-{secrets.token_hex(3)}"
        staging.mkdir(parents=True)
        try:
            manifest = _manifest_of(name)
            self.objects.fetch(f"{at}/{manifest}", staging / manifest)
            told = read_json(staging / manifest)
            if told.get("sha256") and self.objects.fetch(f"{at}/{ROWS}", staging / ROWS) != told["sha256"]:
                raise UnreadableError(staging / ROWS, "is not what was landed")
            os.rename(staging, chain.folder / name)
        except (FileNotFoundError, UnreadableError) as broken:
            why = broken.why if isinstance(broken, UnreadableError) else "is not there"
            log.warning("%s: a file of %s %s", chain.dataset.name, self.objects.address(at), why)
            return False
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return True

    def _fetch_refused(self, dataset: Dataset, before: State, state: State) -> None:
        folder = self.quarantine / dataset.name
        for load_id, fingerprint in state.refused.items():
            path = folder / f"{load_id}.jsonl"
            if not path.exists() or (before.refused.get(load_id) or _sha256(path.read_bytes())) != fingerprint:
                content = self.objects.read(f"quarantine/{dataset.name}/{path.name}")
                if content is None:
                    log.warning("%s: the refused records of %s are not in the store", dataset.name, load_id)
                else:
                    _write(path, content)
        for load_id in before.refused.keys() - state.refused.keys():
            (folder / f"{load_id}.jsonl").unlink(missing_ok=True)

    def _take(self, chain: Chain, number: int, state: State, extra: Sequence[Piece]) -> tuple[int, State]:
        """What only the home has: put aside what another machine gave up, and put into the store what follows on what is there."""
        lost = {place for each in state.links.lost for place in range(each.first, each.last + 1)}
        ahead = []
        for piece in extra:
            if piece.first in lost and piece.last in lost:
                chain.put_aside(piece.item.folder, _clock())
            else:
                ahead.append(piece)
        if not ahead:
            return number, state
        self._refuse_other_ways(chain, state, ahead)
        replaced = {name for name, (a, b) in state.folders.items() if any(p.first <= a and b <= p.last for p in ahead)}
        spans = {}
        for piece in ahead:
            self._put(chain.dataset, piece.item.folder, piece.item.folder.name)
            spans[piece.item.folder.name] = (piece.first, piece.last)
        refused: dict[str, str] = {}
        for load_id in (str(told["load_id"]) for piece in ahead for told in piece.manifests):
            refused |= self._put_refused(chain.dataset, load_id)
        tip = chain.tip()
        links = replace(state.links, sequence=tip.sequence, load_id=tip.load_id, seal=tip.seal) if number else tip
        after = state.without(replaced, self._now())
        after = replace(after, links=links, folders={**after.folders, **spans}, refused={**after.refused, **refused})
        if not self._create(chain.dataset, number + 1, after):
            raise DivergedError(f"{chain.dataset.name}: another machine put its loads into the store at the same time: run again")
        chain.write(links)
        log.info("%-18s %8s loads and packs of this home are in the store now", chain.dataset.name, f"{len(spans):,}")
        return number + 1, after

    def _refuse_other_ways(self, chain: Chain, state: State, ahead: Sequence[Piece]) -> None:
        """Make sure that pieces either follow on the last link of the store or hold the very loads that are there, put together."""
        last = reach = state.links.sequence
        lost = {place for each in chain.links().lost for place in range(each.first, each.last + 1)}
        for piece in ahead:
            told = {piece.first + place: manifest for place, manifest in enumerate(piece.manifests)}
            within = [name for name, (a, b) in state.folders.items() if a <= piece.last and b >= piece.first]
            theirs = {load_id for name in within for load_id in _ids(chain.folder / name)}
            goes_on = all(place in lost for place in range(reach + 1, piece.first)) and (
                piece.first != last + 1 or not last or told[piece.first].get("previous_seal") == state.links.seal
            )
            same_end = last not in told or link_of(told[last]) == state.links.seal
            whole = all(piece.first <= a and b <= piece.last for a, b in (state.folders[name] for name in within))
            same = theirs <= {str(each["load_id"]) for each in told.values()} and bool(theirs or piece.first > last)
            if not (goes_on and same_end and whole and same):
                raise DivergedError(
                    f"{chain.dataset.name}: {piece.item.folder} does not follow on what {self.url} holds, which has {last:,} loads: this "
                    f"home and the store went different ways. To go on with the store's: move {self.folder} away and run again; what only "
                    "this home has is then in neither"
                )
            reach = max(reach, piece.last)

    # --- committing --------------------------------------------------------------------------------------------------

    def commit_load(self, chain: Chain, staging: Path, name: str, links: Links, previous: Links) -> None:
        """Let a load count, which follows on `previous`. The dataset's lock is held.

        Raises:
            Behind: something else follows on it.
        """
        known = self._lately(chain)
        if (known.state.links.sequence, known.state.links.seal) != (previous.sequence, previous.seal):
            raise Behind
        self._put(chain.dataset, staging, name)
        after = replace(
            known.state,
            links=links,
            folders={**known.state.folders, name: (links.sequence, links.sequence)},
            refused={**known.state.refused, **self._put_refused(chain.dataset, name)},
        )
        if not self._create(chain.dataset, known.number + 1, after):
            raise Behind
        self._remember(chain, _Known(known.number + 1, after))

    def commit_pack(self, chain: Chain, staging: Path, name: str, span: tuple[int, int], made_of: Collection[str]) -> None:
        """Let a pack count instead of what it was made of. The dataset's lock is held.

        Raises:
            LandingError: another machine has put some of that together, or has forgotten somebody in it.
        """
        self._put(chain.dataset, staging, name)
        known, now = self._lately(chain), self._now()
        while True:
            if not set(made_of) <= set(known.state.folders):
                raise LandingError(
                    f"{chain.dataset.name}: another machine has put loads {span[0]} to {span[1]} together meanwhile: run again"
                )
            after = known.state.without(made_of, now)
            after = replace(after, folders={**after.folders, name: span})
            if self._create(chain.dataset, known.number + 1, after):
                break
            known = self._newest_of(chain.dataset)
        self._remember(chain, _Known(known.number + 1, after))

    def commit_loss(self, chain: Chain) -> None:
        """Let the store do without what the home gave up. The dataset's lock is held."""
        known = self._lately(chain)
        lost = [name for name in known.state.folders if not (chain.folder / name).is_dir()]
        after = known.state.without(lost, self._now())
        self._replace(chain, known, replace(after, links=chain.links()))

    def commit_refused(self, chain: Chain) -> None:
        """Let the store have refused records as they are in the home now. The dataset's lock is not held."""
        with chain.held():
            changed: dict[str, str] = {}
            known = self._lately(chain)
            for load_id, fingerprint in known.state.refused.items():
                path = self.quarantine / chain.dataset.name / f"{load_id}.jsonl"
                if path.exists() and _sha256(path.read_bytes()) != fingerprint:
                    changed |= self._put_refused(chain.dataset, load_id)
            if changed:
                self._replace(chain, known, replace(known.state, refused={**known.state.refused, **changed}))

    def commit_forgotten(self, line: str) -> None:
        """Keep the record that somebody was forgotten."""
        self.objects.put(f"{CHAIN}/forgotten/{json.loads(line)['id']}.json", line.encode())

    def _replace(self, chain: Chain, known: _Known, after: State) -> None:
        if not self._create(chain.dataset, known.number + 1, after):
            raise LandingError(f"{chain.dataset.name}: another machine landed something meanwhile: run again")
        self._remember(chain, _Known(known.number + 1, after))

    def _put(self, dataset: Dataset, folder: Path, name: str) -> None:
        at = f"landing/{dataset.name}/{name}"
        if (folder / ROWS).exists():
            self.objects.put(f"{at}/{ROWS}", folder / ROWS)
        self.objects.put(f"{at}/{_manifest_of(name)}", folder / _manifest_of(name))

    def _put_refused(self, dataset: Dataset, load_id: str) -> Mapping[str, str]:
        path = self.quarantine / dataset.name / f"{load_id}.jsonl"
        if not path.exists():
            return {}
        content = path.read_bytes()
        self.objects.put(f"quarantine/{dataset.name}/{path.name}", content)
        return {load_id: _sha256(content)}

    # --- what is damaged ---------------------------------------------------------------------------------------------

    def mend(self, chain: Chain, damages: Iterable[Damage]) -> bool:
        """Fetch again what is damaged or gone in the home. Whether there was anything to try."""
        with chain.held():
            known = self._known(chain)
            for damage in damages:
                if damage.moves and damage.path.parent == chain.folder and damage.path.name in known.state.folders:
                    log.warning("%s: %s %s; it is fetched from the store again", chain.dataset.name, damage.path, damage.what)
                    chain.put_aside(damage.path, _clock())
            tried = any(not (chain.folder / name).is_dir() for name in known.state.folders)
            self._agree(chain, known.number)
        return tried

    def look_over(self, chain: Chain) -> None:
        """Read all that counts in the store, and put there again, from a home that is whole, what is not what was landed."""
        state = self._known(chain).state
        for name in state.folders:
            at, told = f"landing/{chain.dataset.name}/{name}", read_json(chain.folder / name / _manifest_of(name))
            manifest = (chain.folder / name / _manifest_of(name)).read_bytes()
            try:
                whole = self.objects.read(f"{at}/{_manifest_of(name)}") == manifest
                whole = whole and (not told.get("sha256") or self.objects.fingerprint(f"{at}/{ROWS}") == told["sha256"])
            except FileNotFoundError:
                whole = False
            if not whole:
                log.warning("%s: %s was damaged; it is put there again", chain.dataset.name, self.objects.address(at))
                self._put(chain.dataset, chain.folder / name, name)

    # --- what goes ---------------------------------------------------------------------------------------------------

    def tidy(self, cleared: Mapping[str, Collection[str]]) -> None:
        """Remove from the store what has not counted for a day, what killed runs left there, old states, and, by dataset, the refused
        records of loads whose own were `cleared` from the home."""
        now = self._now()
        old = now - timedelta(hours=READERS_WAIT_HOURS)
        found = self.objects.names("landing/")
        newest = _newest(found)
        for dataset in LANDED.values():
            chain = Chain(self.folder, dataset, self)
            with chain.held():
                known = self._lately(chain)
                if not known.number or newest.get(dataset.name) != known.number:
                    continue  # another machine is at it
                folders = _by_folder(found, dataset)
                left = [name for name, at in known.state.left.items() if datetime.fromisoformat(at) < old]
                counts = {*known.state.folders, *known.state.left}
                orphans = [
                    name
                    for name, files in folders.items()
                    if name not in counts and all(each.modified < old for each in files.values())
                ]
                self.objects.remove([path for name in orphans for path in folders[name]])
                self._leave(chain, known, left, set(cleared.get(dataset.name, ())), folders)
            oldest = now - timedelta(days=STATES_KEPT_DAYS)
            states = [path for path in found if path.startswith(f"{CHAIN}/{dataset.name}/")]
            last = _name_of(dataset, newest[dataset.name])
            self.objects.remove([path for path in states if path < last and found[path].modified < oldest])

    def clear_away_at_once(self, chain: Chain) -> None:
        """Remove what does not count any more, whoever still reads it. The dataset's lock is not held."""
        with chain.held():
            known = self._lately(chain)
            if known.state.left:
                found = self.objects.names(f"landing/{chain.dataset.name}/")
                self._leave(chain, known, list(known.state.left), set(), _by_folder(found, chain.dataset))

    def _leave(
        self,
        chain: Chain,
        known: _Known,
        left: Collection[str],
        cleared: Collection[str],
        folders: Mapping[str, Mapping[str, Found]],
    ) -> None:
        dropped = cleared & known.state.refused.keys()
        if not left and not dropped:
            return
        self.objects.remove([path for name in left for path in folders.get(name, ())])
        self.objects.remove([f"quarantine/{chain.dataset.name}/{load_id}.jsonl" for load_id in dropped])
        still = {name: at for name, at in known.state.left.items() if name not in left}
        refused = {load_id: mark for load_id, mark in known.state.refused.items() if load_id not in dropped}
        self._replace(chain, known, replace(known.state, left=still, refused=refused))

    def _now(self) -> datetime:
        return self.objects.clock(f"{CHAIN}/clock")

    # --- states ------------------------------------------------------------------------------------------------------

    def _create(self, dataset: Dataset, number: int, state: State) -> bool:
        return self.objects.create(_name_of(dataset, number), state.content)

    def _state(self, dataset: Dataset, number: int) -> State:
        if not number:
            return State()
        address = self.objects.address(_name_of(dataset, number))
        content = self.objects.read(_name_of(dataset, number))
        if content is None:
            raise StoreError(f"ARREARS_LANDING_URL: {address} is gone: run again")
        try:
            return _state_from(_json(content) or {})
        except (TypeError, KeyError, ValueError, AttributeError):
            raise StoreError(
                f"ARREARS_LANDING_URL: {address} is damaged, which says what counts of {dataset.name}: put it back from a copy of the "
                "store, or remove it, and the loads after the state before it are put there again by a home that has them"
            ) from None

    def _newest_of(self, dataset: Dataset) -> _Known:
        number = _newest(self.objects.names(f"{CHAIN}/{dataset.name}/")).get(dataset.name, 0)
        return _Known(number, self._state(dataset, number))

    def _lately(self, chain: Chain) -> _Known:
        """What this home saw last, if that is not long ago: numbers are kept for days only.

        Raises:
            Behind: it is.
        """
        if self.agreed_at is None or time.time() - self.agreed_at > LONGEST_AGREED:
            raise Behind
        return self._known(chain)

    def _known(self, chain: Chain) -> _Known:
        """What this home saw last; nothing where its note is not as it was written, so that it is read again."""
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            told = json.loads(self._note(chain).read_text("utf-8"))
            return _Known(int(told["number"]), _state_from(told["state"]))
        return _Known()

    def _remember(self, chain: Chain, known: _Known) -> None:
        state = json.loads(known.state.content)
        _write(self._note(chain), json.dumps({"number": known.number, "state": state}, ensure_ascii=False).encode())

    def _note(self, chain: Chain) -> Path:
        return self.folder / ".chain" / f"{chain.dataset.name}.store.json"

    # --- who was forgotten -------------------------------------------------------------------------------------------

    def _people(self) -> Mapping[str, str]:
        """The lines of the home's record, by their names in the store."""
        forgotten(self.folder)  # says which line is damaged
        path = record_file(self.folder)
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        return {f"{CHAIN}/forgotten/{json.loads(line).get('id', _sha256(line.encode()))}.json": line for line in lines}

    def _recall(self, found: Mapping[str, Found]) -> None:
        """Let home and store know of everybody who was forgotten on any machine."""
        theirs = {path for path in found if path.startswith(f"{CHAIN}/forgotten/")}
        mine = self._people()
        for name in mine.keys() - theirs:
            self.objects.put(name, mine[name].encode())
        if news := sorted(theirs - mine.keys()):
            lines = [*mine.values(), *(self._record(name) for name in news)]
            _write(record_file(self.folder), "".join(f"{line}\n" for line in lines).encode())

    def _record(self, name: str) -> str:
        told = _json(self.objects.read(name)) or {}
        if not (
            isinstance(told.get("kind"), str) and isinstance(told.get("key"), str) and name.endswith(f"/{told.get('id')}.json")
        ):
            raise StoreError(
                f"ARREARS_LANDING_URL: {self.objects.address(name)} is damaged, which says who was forgotten: put it back from a copy of "
                "the store or from a line of a home's landing/.chain/forgotten.jsonl, or remove it and have whoever it was forgotten "
                "again (make forget)"
            )
        return json.dumps(told, ensure_ascii=False)


def _name_of(dataset: Dataset, number: int) -> str:
    return f"{CHAIN}/{dataset.name}/{number:08}.json"


def _newest(found: Iterable[str]) -> Mapping[str, int]:
    """The highest number of a state of each dataset, in a listing."""
    numbers: dict[str, int] = {}
    for path in found:
        chain, _, name = path.rpartition("/")
        dataset, number = chain.removeprefix(f"{CHAIN}/"), name.removesuffix(".json")
        if dataset in LANDED and number.isdecimal():
            numbers[dataset] = max(int(number), numbers.get(dataset, 0))
    return numbers


def _by_folder(found: Mapping[str, Found], dataset: Dataset) -> Mapping[str, Mapping[str, Found]]:
    """What a listing has of a dataset's loads and packs."""
    folders: dict[str, dict[str, Found]] = {}
    for path, each in found.items():
        _, name, folder, *_ = path.split("/")
        if name == dataset.name:
            folders.setdefault(folder, {})[path] = each
    return folders


def _state_from(told: Mapping[str, Any]) -> State:
    """A state as it was written.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it is none: also where a name in it would lead out of its folder.
    """
    said = dict(told)
    if said.pop("seal_of_this") != seal_of(said):
        raise ValueError("altered")
    state = State(**{**said, "links": links_from(said["links"])})
    if not all(_NAME.fullmatch(name) for name in (*state.folders, *state.left, *state.refused)):
        raise ValueError("a name that is none of ours")
    _ = [(int(first), int(last)) for first, last in state.folders.values()]
    _ = [datetime.fromisoformat(at).astimezone(UTC) for at in state.left.values()]
    return state


def _manifest_of(name: str) -> str:
    return PACK if name.startswith("pack-") else MANIFEST


def _ids(folder: Path) -> list[str]:
    """The loads that a folder holds."""
    if _manifest_of(folder.name) == MANIFEST:
        return [folder.name]
    return [str(told["load_id"]) for told in read_json(folder / PACK)["loads"]]


def _json(content: bytes | None) -> Mapping[str, Any] | None:
    with suppress(ValueError, RecursionError):
        told = json.loads(content or b"")
        return told if isinstance(told, dict) else None
    return None


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(3)}")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def _links_of(chain: Chain) -> Links | None:
    """What the home says of the last link; None where that is damaged."""
    with suppress(UnreadableError):
        return chain.links()
    return None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _clock() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
