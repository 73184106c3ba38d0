"""Old loads put together: consecutive loads become one file with all their rows and stamps, so that a night costs what it did at first.

Belongs here: which loads are put together, how the pack appears, what is cleared away afterwards. Does not belong here: how packs are read
(`loads.py`, `read.py`), when this is due (policy).

A pack is built aside and appears by one rename; from then on the loads in it no longer count, wherever they still lie. They lie there for
a day, because whoever began to read before may still open them. Killed at any moment, the loads or the pack are there, and never neither.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from dagster_project import duck
from dagster_project.duck import MEMORY_LIMIT
from dagster_project.landing.chain import Chain, differences, link_of, sha256_of
from dagster_project.landing.judge import text
from dagster_project.landing.loads import PACK, ROWS, LandingError, Load, Pack, find, seal_of, superseded

READERS_WAIT_HOURS = 24
"""How long what was put together stays where it was: no run reads for longer."""

MUCH_LARGER = 2
"""A piece is left as it is while it has more rows than this many times all that is newer: a large first load is not written again for
every few small ones, and there are never more pieces than the logarithm of the rows."""


@dataclass(frozen=True)
class Piece:
    """A load or a pack in the order of the chain."""

    first: int
    last: int
    item: Load | Pack

    @property
    def rows(self) -> int:
        return int(self.item.told["rows" if isinstance(self.item, Pack) else "landed"])

    @property
    def manifests(self) -> Sequence[Any]:
        return self.item.told["loads"] if isinstance(self.item, Pack) else [self.item.told]

    @property
    def file(self) -> Path | None:
        return self.item.folder / ROWS if self.rows else None

    @property
    def shows_values(self) -> bool:
        """Whether a manifest in it shows values that were refused, as they did at first: of whoever they were."""
        return any(told.get("examples") for told in self.manifests)


def compact(chain: Chain, now: datetime, *, after: int, memory_limit: str = MEMORY_LIMIT) -> int:
    """Put the loads of a dataset together where there are more than `after` that are in no pack, and by themselves those whose manifests
    show values. Returns how many loads were.

    Raises:
        LandingError: what is landed is not what was: nothing is put together then.
    """
    if not chain.folder.is_dir():
        return 0
    try:
        with FileLock(chain.landing / ".chain" / f"{chain.dataset.name}.compacting.lock", timeout=0):
            _clear_away(chain)
            _, loose = find(chain.folder)
            showing = [piece for piece in pieces(chain) if piece.shows_values]
            if len(loose) <= after and not showing:
                return 0
            if damages := chain.damages(whole=True, now=now):
                raise LandingError("\n".join(map(str, damages)))
            chosen = _chosen(pieces(chain)) if len(loose) > after else []
            together = [chosen] if len(chosen) > 1 else []
            together += [[piece] for piece in showing if not together or piece not in chosen]
            for each in together:
                put_together(chain, each, now, memory_limit=memory_limit)
            return sum(not isinstance(piece.item, Pack) for each in together for piece in each)
    except Timeout:  # somebody is at it
        return 0


def pieces(chain: Chain) -> list[Piece]:
    """The loads and packs that count, in the order of the chain."""
    packs, loose = find(chain.folder)
    links = chain.tip()
    found = [Piece(pack.first, pack.last, pack) for pack in packs]
    found += [Piece(number, number, load) for load in loose if (number := chain.sequence_of(load, links))]
    return sorted(found, key=lambda piece: piece.first)


def _chosen(found: Sequence[Piece]) -> list[Piece]:
    """The newest pieces, back to the first that is much larger than all after it together, or to where something was lost."""
    chosen: list[Piece] = []
    for piece in reversed(found):
        if chosen and (piece.last + 1 != chosen[-1].first or piece.rows > MUCH_LARGER * sum(each.rows for each in chosen)):
            break
        chosen.append(piece)
    return chosen[::-1]


def put_together(
    chain: Chain,
    chosen: Sequence[Piece],
    now: datetime,
    *,
    select: str = "*",
    forgotten: Sequence[str] = (),
    memory_limit: str = MEMORY_LIMIT,
) -> Path:
    """Make a pack of consecutive pieces and let it appear. `select`: what becomes of the columns; `forgotten`: the records that say why.

    Raises:
        LandingError: the rows written are not those that the manifests speak of.
    """
    manifests = [_without_values(told) for piece in chosen for told in piece.manifests]
    first, last = chosen[0].first, chosen[-1].last
    staging = chain.landing / ".staging" / f"pack-{chain.dataset.name}-{secrets.token_hex(3)}"
    staging.mkdir(parents=True)
    try:
        rows = staging / ROWS
        files = [str(piece.file) for piece in chosen if piece.file]
        if files:
            with duck.scratch(staging, memory_limit) as con:
                con.execute("set preserve_insertion_order = true")
                scan = f"read_parquet([{', '.join(map(text, files))}], union_by_name = true)"
                con.execute(
                    f"copy (select {select} from {scan}) to {text(str(rows))} (format parquet, compression zstd, row_group_size 100000)"
                )
            if wrong := differences(rows, manifests):
                raise LandingError(
                    f"{chain.dataset.name}: what was put together is not what {wrong[0]} landed; all stays as it was"
                )
        earlier = [mark for piece in chosen if isinstance(piece.item, Pack) for mark in piece.item.told.get("forgotten", [])]
        told: dict[str, Any] = {
            "first": first,
            "last": last,
            "generation": 1 + max((piece.item.told["generation"] for piece in chosen if isinstance(piece.item, Pack)), default=0),
            "made": now.isoformat(),
            "rows": sum(piece.rows for piece in chosen),
            "sha256": sha256_of(rows) if files else None,
            "bytes": rows.stat().st_size if files else None,
            "forgotten": list(dict.fromkeys([*earlier, *forgotten])),
            "loads": manifests,
        }
        with (staging / PACK).open("w", encoding="utf-8") as file:
            json.dump({**told, "seal": seal_of(told)}, file, ensure_ascii=False, separators=(",", ":"))
            file.flush()
            os.fsync(file.fileno())
        final = chain.folder / f"pack-{first:06}-{last:06}.{secrets.token_hex(3)}"
        with chain.held():
            if chain.shared:
                made_of = [piece.item.folder.name for piece in chosen]
                chain.shared.commit_pack(chain, staging, final.name, (first, last), made_of)
            os.rename(staging, final)
        if files:
            chain.found_whole(final / ROWS)
        return final
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _without_values(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """A manifest that shows no value of a refused record. It keeps the seal that the next one names; what it says now is under the seal
    of the pack."""
    return {**told, "examples": {}, "seal": link_of(told)} if told.get("examples") else told


def _clear_away(chain: Chain, *, at_once: bool = False) -> None:
    """Remove what lies in a pack that has been there for long enough."""
    packs, _ = find(chain.folder)
    youngest = max(((pack.folder / PACK).stat().st_mtime for pack in packs), default=0.0)
    if at_once or abs(time.time() - youngest) > READERS_WAIT_HOURS * 3600:
        for path in superseded(chain.folder):
            with suppress(OSError):
                shutil.rmtree(path)


def clear_away_at_once(chain: Chain) -> None:
    """Remove what lies in packs, readers or not: only where nobody reads."""
    _clear_away(chain, at_once=True)
