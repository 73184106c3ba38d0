"""A store of objects: names with bytes behind them, on S3 and what speaks it, Google Cloud, Azure, or a folder that several machines mount.

Belongs here: the few verbs landing needs of one, and its errors in words. Does not belong here: what lies in it (`shared.py`).

There is no rename and no lock. What every such store gives, and all that is asked of it: a put is whole or not at all, what was put is
read by the next request, a listing names what is there, and of two that create the same name one is told that it came second.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import from_url

from dagster_project.landing.loads import LandingError
from dagster_project.words import shown

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

LONGEST_WAIT = timedelta(seconds=60)
"""How long a request is tried again while the store is away, fails or is busy."""

PART = 16 * 1024**2
"""Bytes of a part: a larger file goes up and comes down piece by piece."""

_CLOUDS = {"s3": "AWS_", "s3a": "AWS_", "gs": "GOOGLE_", "az": "AZURE_", "abfs": "AZURE_", "abfss": "AZURE_"}
"""Schemes, and how the variables begin that hold the credentials for them."""

_ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT")


class StoreError(LandingError):
    """The store of `ARREARS_LANDING_URL` cannot be read or written. The message says what was tried, why it failed, and what to do."""


@dataclass(frozen=True)
class Found:
    """An object in a listing. `modified` is by the store's clock."""

    size: int
    modified: datetime


_T = TypeVar("_T")


class Objects:
    """The objects under a URL. Safe for several threads, processes and machines."""

    def __init__(self, url: str):
        self.url = url.rstrip("/")
        self._cloud = _CLOUDS.get(urlsplit(url).scheme)
        self._store: ObjectStore = self._asked("opened", "", lambda: _opened(self.url.replace("s3a://", "s3://", 1)))

    def address(self, name: str) -> str:
        """The URL of an object, as anybody else opens it."""
        return f"{self.url}/{name}"

    def read(self, name: str) -> bytes | None:
        """An object's bytes; None where there is none."""
        with suppress(FileNotFoundError):
            return self._asked("read", name, lambda: bytes(obstore.get(self._store, name).bytes()))
        return None

    def fetch(self, name: str, to: Path) -> str:
        """Copy an object into a new file, piece by piece. Returns its fingerprint (SHA-256).

        Raises:
            FileNotFoundError: there is none.
        """
        return self._asked("read", name, lambda: _copied(self._store, name, to))

    def fingerprint(self, name: str) -> str:
        """That of an object, which is read whole for it.

        Raises:
            FileNotFoundError: there is none.
        """
        return self._asked("read", name, lambda: _copied(self._store, name, None))

    def put(self, name: str, content: bytes | Path) -> None:
        """Let an object have this content: the whole of it or what was there before."""
        if isinstance(content, Path) and content.stat().st_size > PART:
            self._asked("written", name, lambda: obstore.put(self._store, name, content, chunk_size=PART, max_concurrency=4))
            return
        whole = content.read_bytes() if isinstance(content, Path) else content
        self._asked("written", name, lambda: obstore.put(self._store, name, whole, use_multipart=False))

    def create(self, name: str, content: bytes) -> bool:
        """Make an object where there is none of that name. False where somebody made another one first.

        An answer that was lost on the way is asked for again and then says that the name is taken: by what was put, which is read back.
        """

        def made() -> bool:
            try:
                obstore.put(self._store, name, content, mode="create", use_multipart=False)
            except AlreadyExistsError:
                return False
            return True

        try:
            return self._asked("written", name, made) or self.read(name) == content
        except StoreError:
            if self.read(name) == content:
                return True
            raise

    def names(self, prefix: str) -> Mapping[str, Found]:
        """What lies under a folder's name, by the whole name of each."""

        def listed() -> Mapping[str, Found]:
            pages = obstore.list(self._store, prefix, chunk_size=1000)
            return {each["path"]: Found(each["size"], each["last_modified"]) for page in pages for each in page}

        try:
            return self._asked("listed", prefix, listed)
        except FileNotFoundError:
            raise self._failed(
                "listed", prefix, "there is no such bucket, container or folder; make it, or mend the URL"
            ) from None

    def clock(self, name: str) -> datetime:
        """The time by the store's clock, by which its listings are: an object of that name is put for it."""
        self.put(name, os.urandom(8))
        modified: datetime = self._asked("read", name, lambda: obstore.head(self._store, name)["last_modified"])
        return modified

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects; one that is gone already is no fault."""
        left = list(names)
        if not left:
            return
        with suppress(FileNotFoundError):
            self._asked("removed", left[0], lambda: obstore.delete(self._store, left))
            return
        for name in left:
            with suppress(FileNotFoundError):
                self._asked("removed", name, lambda name=name: obstore.delete(self._store, name))  # type: ignore[misc]

    def _asked(self, done: str, name: str, ask: Callable[[], _T]) -> _T:
        try:
            return ask()
        except (FileNotFoundError, AlreadyExistsError):
            raise
        except (BaseError, OSError, ValueError) as failed:
            raise self._failed(done, name, self._why(failed)) from None

    def _failed(self, done: str, name: str, why: str) -> StoreError:
        what = f"{self.url}/{name}" if name else self.url
        return StoreError(f"ARREARS_LANDING_URL: {shown(what, 200)} could not be {done}: {why}")

    def _why(self, failed: Exception) -> str:
        """What a library says, in a line, and what a person can do."""
        first = shown(
            re.sub(r"\?\S+", "", str(failed).split("\n\nDebug source")[0]), 400
        )  # what is asked may be signed with a secret
        credentials = (
            f"look at the credentials ({self._cloud}…) and at what they may do" if self._cloud else "look at its permissions"
        )
        denied = isinstance(failed, (UnauthenticatedError, PermissionDeniedError, PermissionError))
        if denied or "403 Forbidden" in first or "401 Unauthorized" in first:
            return f"access is denied; {credentials}"
        if "NoSuchBucket" in first or "ContainerNotFound" in first or "canonicalize" in first:
            return "there is no such bucket, container or folder; make it, or mend the URL"
        if "PermanentRedirect" in first or "301 Moved" in first or "AuthorizationHeaderMalformed" in first:
            return "the bucket is in another region; set AWS_REGION to it"
        if "error sending request" in first or "error trying to connect" in first:
            return f"the store cannot be reached ({first}); look at the address and the network, and run again"
        if "metadata" in first or "must be specified" in first:
            return f"there are no credentials, or no account is named ({first}); {credentials}"
        return first


def _opened(url: str) -> ObjectStore:
    if urlsplit(url).scheme == "file":
        return from_url(url)
    retries: RetryConfig = {"max_retries": 10, "retry_timeout": LONGEST_WAIT}
    client: ClientConfig = {"timeout": "120s", "connect_timeout": "10s"}
    if any(os.environ.get(name, "").startswith("http://") for name in _ENDPOINTS):
        client["allow_http"] = True
    return from_url(url, client_options=client, retry_config=retries)


def _copied(store: ObjectStore, name: str, to: Path | None) -> str:
    seen = hashlib.sha256()
    stream = obstore.get(store, name).stream(min_chunk_size=PART)
    if to is None:
        for piece in stream:
            seen.update(piece)
        return seen.hexdigest()
    with to.open("wb") as file:
        for piece in stream:
            file.write(piece)
            seen.update(piece)
        file.flush()
        os.fsync(file.fileno())
    return seen.hexdigest()
