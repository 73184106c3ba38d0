"""One answer of a server: read whole within bounds, its JSON exact, and what went wrong on the way in words.

Belongs here: how long and how large an answer may be, reading it, which faults pass by themselves, what of a server's words is shown. Does
not belong here: who we are (`auth.py`), asking again (`http.py`), what an answer means (the connector).

A number never becomes a float.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from threading import Event
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import requests
import urllib3

from dagster_project.patience import begun
from dagster_project.sources import SourceError
from dagster_project.words import shown

T = TypeVar("T")

VALUES = 3_000_000
"""How many values a JSON answer may hold, which is what its room in memory goes by: a page of 5,000 records has a tenth of that."""


@dataclass(frozen=True)
class Limits:
    """How much patience and room a server gets. Seconds and bytes (decompressed); `silent_seconds` is between two bytes."""

    attempts: int = 5
    longest_wait: float = 60.0
    connect_seconds: float = 10.0
    silent_seconds: float = 60.0
    answer_seconds: float = 300.0
    answer_bytes: int = 64 << 20
    dataset_seconds: float = 4 * 3600.0
    pages: int = 100_000


LIMITS = Limits()


class PassingError(Exception):
    """Something that may be over in a moment; `retry_after` is what the server asked for, in seconds."""

    def __init__(self, message: str, retry_after: float | None = None):
        super().__init__(message)
        self.retry_after = retry_after


class LostError(PassingError):
    """An answer that did not come, or not whole. Whether it was given, and billed, nobody knows."""


class TooMuch(Exception):
    """An answer that would take more memory than it may."""


def answered(ask: Callable[[], requests.Response], limits: Limits, here: str = "") -> tuple[int, str, Mapping[str, str], bytes]:
    """Status, reason, headers and body of a streamed answer, all of it within the time an answer may take: in a thread, for a server
    may drip its headers byte by byte, and no timeout of a socket sees that.

    Raises:
        TimeoutError: it took longer.
        SourceError: it is larger than an answer may be.
        requests.RequestException: as `ask`, or while the body is read.
    """
    given_up = Event()

    def whole() -> tuple[int, str, Mapping[str, str], bytes]:
        with ask() as response:
            read: list[bytes] = []
            size = 0
            for part in response.iter_content(64 << 10):
                size += len(part)
                if size > limits.answer_bytes:
                    raise SourceError(
                        f"{here}: the answer is larger than {limits.answer_bytes >> 20} MB. "
                        "Ask for smaller pages, or look at what it sends"
                    )
                if given_up.is_set():
                    break
                read.append(part)
            return response.status_code, response.reason or "", response.headers, b"".join(read)

    return _within(limits.answer_seconds, whole, given_up)


def exact_json(content: bytes, *, number: Callable[[str], Any] = Decimal, whole: Callable[[str], Any] = int) -> Any:
    """JSON without a float in it.

    Raises:
        TooMuch: it holds more values than fit in memory.
        UnicodeDecodeError: it is no text of Unicode.
        RecursionError: it is nested more deeply than any record.
        ValueError: it is no JSON, or has NaN or Infinity for a number.
    """
    if sum(map(content.count, (b",", b"[", b"{"))) > VALUES:  # a value follows one of these, also where they stand in a text
        raise TooMuch(f"it holds more than {VALUES:,} values")
    try:
        return json.loads(content, parse_float=number, parse_int=whole, parse_constant=_no_number)
    except ArithmeticError:
        raise ValueError("a number has an exponent that nobody can mean") from None


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is not a number")


def without_password(address: str) -> str:
    """The address as it may be shown."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return re.sub(r"//[^/@]*@", "//", address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def is_html(content: bytes) -> bool:
    start = content[:2_000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<!--", b"<script"))


def title_of(content: bytes) -> str:
    found = re.search(rb"<title[^>]*>(.{1,200}?)</title", content[:50_000], re.IGNORECASE | re.DOTALL)
    return f" («{shown(found[1].decode('utf-8', 'replace'), 60)}»)" if found else ""


def words_in(answer: Any) -> str | None:
    """The words in a JSON answer that refuses."""
    if isinstance(answer, str):
        return answer
    if isinstance(answer, list):
        return next((words for part in answer[:3] if (words := words_in(part))), None)
    if isinstance(answer, dict):
        named = {str(name).lower(): value for name, value in answer.items()}
        for name in ("error_description", "message", "detail", "error", "errors", "title", "description"):
            if words := words_in(named.get(name)):
                return words
    return None


CUT = (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError)


def fault_of(error: BaseException) -> str:
    """What went wrong on the way, in words: the innermost reason of a chain, which is the one a person can act on."""
    chain = list(_chain(error))
    for cause in chain:
        match cause:
            case ssl.SSLCertVerificationError():
                return (
                    f"its certificate is not trusted: {cause.verify_message}. Have the server renew it, or name your own authority's file "
                    "in REQUESTS_CA_BUNDLE"
                )
            case ssl.SSLError() if "WRONG_VERSION_NUMBER" in str(cause) or "HTTP_REQUEST" in str(cause):
                return "no TLS is spoken there: is the address http:// and not https://?"
            case ssl.SSLError():
                return f"TLS could not be agreed on ({(cause.reason or 'the connection broke off').replace('_', ' ').lower()})"
            case socket.gaierror():
                asked = getattr(getattr(error, "request", None), "url", None)
                return f"the name {urlsplit(asked or '').hostname or 'of its host'} is not known (DNS)"
            case ConnectionRefusedError():
                return "nobody answers there: the connection was refused"
            case ConnectionResetError() | BrokenPipeError():
                return "the connection was broken off"
            case urllib3.exceptions.IncompleteRead() | http.client.IncompleteRead():
                return "the answer was cut off"
            case urllib3.exceptions.DecodeError() | requests.exceptions.ContentDecodingError():
                return "the compressed answer is damaged"
            case http.client.HTTPException():
                return f"what answers there does not speak HTTP ({cause})"
            case urllib3.exceptions.ConnectTimeoutError() | requests.ConnectTimeout():
                return "nobody answers there in time"
            case urllib3.exceptions.ReadTimeoutError() | requests.ReadTimeout() | TimeoutError():
                return "nothing more came in time"
    last = chain[-1]
    if isinstance(last, OSError) and last.strerror:
        return last.strerror.lower()
    return str(last) or "it cannot be asked"


def _chain(error: BaseException) -> Iterable[BaseException]:
    """An error and what led to it, innermost first."""
    found: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in found:
        found.append(following)
        carried = next((part for part in following.args if isinstance(part, BaseException)), None)
        following = following.__cause__ or following.__context__ or carried
    return reversed(found)


def never_sent(error: BaseException) -> bool:
    """Whether nobody was there to be asked."""
    nobody = (
        ConnectionRefusedError,
        socket.gaierror,
        urllib3.exceptions.ConnectTimeoutError,
        urllib3.exceptions.NewConnectionError,
    )
    return any(isinstance(cause, nobody) for cause in _chain(error))


def is_certificate(error: BaseException) -> bool:
    """Whether TLS fails in a way that will not pass."""
    return any(
        isinstance(cause, ssl.SSLCertVerificationError)
        or (isinstance(cause, ssl.SSLError) and not isinstance(cause, (ssl.SSLEOFError, ssl.SSLZeroReturnError)))
        for cause in _chain(error)
    )


def _within(seconds: float, call: Callable[[], T], given_up: Event) -> T:
    outcome = begun(call)
    try:
        return outcome.result(timeout=seconds)
    except TooLate:
        if outcome.done():
            raise PassingError("nothing more came in time") from None
        given_up.set()
        raise


def retry_after(text: str) -> float | None:
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        return (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds() if text else None
    except (TypeError, ValueError, OverflowError):
        return None
