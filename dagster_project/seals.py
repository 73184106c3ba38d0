"""The seal of a worklist's row: that this house issued it, on that morning, about that customer and document.

Belongs here: the key and what is sealed with it. Does not belong here: where the seal stands in a workbook (`form.py`), and what comes of
a row without one (`incoming/`).

A key belongs to a home and stays with it: the same morning gets the same seals as often as it is built. Where the file is lost a new
one is made, and what was issued before it can no longer be handed in.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Final

FILE: Final = "seal.key"
_BYTES: Final = 32
_SHOWN: Final = 10
"""Bytes of a seal that stand in a workbook: 16 characters. Nobody can try many; each costs a night."""


class SealError(Exception):
    """The home's key cannot be read or made. The message says where and what to do."""


def key_in(home: Path) -> bytes:
    """The home's key, made where there is none; only its user may read it.

    Raises:
        SealError: it cannot be read or made, or is no key.
    """
    path = home / FILE
    try:
        if not path.exists():
            _make(path)
        key = bytes.fromhex(path.read_text("ascii").strip())
    except OSError as refused:
        why = os.strerror(refused.errno) if refused.errno else "reading it failed"
        raise SealError(f"{path}, which seals the worklists, cannot be read or made: {why}") from refused
    except ValueError:
        key = b""
    if len(key) < _BYTES:
        raise SealError(
            f"{path} is not the key it was made as: restore it from a backup, or remove it, after which worklists that are out cannot be "
            "handed in any more"
        )
    return key


def _make(path: Path) -> None:
    """Put a key there whole, or leave the one that another run put there first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mine = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(mine, path)
    finally:
        mine.unlink()


def seal(key: bytes, as_of: date, policy: str, collector: str, customer_id: str, item_id: str = "") -> str:
    """The seal of a row of a morning's list: of a customer, or of one of their documents."""
    told = "\x1f".join((as_of.isoformat(), policy, collector, customer_id, item_id))
    return base64.b32encode(hmac.digest(key, told.encode("utf-8", "surrogatepass"), hashlib.sha256)[:_SHOWN]).decode("ascii")


def holds(
    found: str, key: bytes, as_of: date, policy: str, collectors: Iterable[str], customer_id: str, item_id: str = ""
) -> bool:
    """Whether a seal is the one of that row, issued for one of these collectors."""
    said = found.strip().upper().encode("utf-8", "replace")
    return any(
        hmac.compare_digest(said, seal(key, as_of, policy, collector, customer_id, item_id).encode()) for collector in collectors
    )
