"""Asking a server: whole answers within bounds, exact JSON, and what went wrong in words.

Belongs here: the session, retries and how long they wait, how long and how large an answer may be, which faults pass and which do not,
and what of a server's words is shown. Does not belong here: who we are (`auth.py`), what comes after a page (`paging.py`), what an
answer means (the connector).

A number never becomes a float. What a server says of a fault is shown short, without control characters and without our own secrets,
which some echo.
"""

from __future__ import annotations

import http.client
import json
import logging
import re
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import TimeoutError as TooLate
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from threading import Event, Lock
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import requests
import urllib3
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from dagster_project.patience import begun
from dagster_project.sources import NotReachedError, PaidLostError, SourceError
from dagster_project.sources.auth import Auth
from dagster_project.words import shown as shown

log = logging.getLogger("arrears.sources")

T = TypeVar("T")

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_LONGEST_ADDRESS = 8_000
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


class Throttle:
    """No more than `calls` in any `seconds`, as a vendor's limit has it: who is early waits."""

    def __init__(self, calls: int, seconds: float):
        self._calls, self._seconds = calls, seconds
        self._made: deque[float] = deque(maxlen=calls)
        self._turn = Lock()

    def keep(self) -> None:
        with self._turn:
            if len(self._made) == self._calls:
                time.sleep(max(0.0, self._made[0] + self._seconds - time.monotonic()))
            self._made.append(time.monotonic())


@dataclass(frozen=True)
class Refused:
    """An answer that is not 200, as a vendor's reading of it (`Http.reading`) sees it: what it says in full in `content`."""

    told: str
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        """The content, where it is JSON."""
        with suppress(ValueError, RecursionError, TooMuch):
            return exact_json(self.content)
        return None


@dataclass(frozen=True)
class _Asked:
    """One request: a POST of JSON where there is a body, else a GET. `is_paid`: the answer costs money."""

    address: str
    parameters: Mapping[str, str] | None
    headers: Mapping[str, str]
    body: bytes | None = None
    is_paid: bool = False


class Http:
    """A server and how it is asked. `setting` is the variable that holds its address, `credentials` what to check where it refuses us.
    `throttle` is the vendor's limit; `reading` is what it means by a refusal, where that is not what its status says: a `PassingError`, a
    `SourceError`, or None."""

    def __init__(
        self,
        address: str,
        auth: Auth | None = None,
        *,
        setting: str,
        credentials: str,
        limits: Limits = LIMITS,
        wait: float = 1.0,
        throttle: Throttle | None = None,
        reading: Callable[[Refused], Exception | None] | None = None,
    ):
        self.address = checked(address, setting)
        self.auth = auth
        self.throttle = throttle
        self.reading = reading
        self.credentials = credentials
        self.limits = limits
        self.session = requests.Session()
        if urlsplit(address).hostname in _LOOPBACK:
            self.session.trust_env = False  # a proxy of the environment cannot reach this machine's own servers
        self.session.auth = auth or _Nobody()  # else an entry in ~/.netrc would speak for us
        self._backoff = wait_exponential_jitter(initial=wait, max=limits.longest_wait, jitter=wait)

    def close(self) -> None:
        self.session.close()

    def json(
        self,
        address: str,
        parameters: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        number: Callable[[str], Any] = Decimal,
        whole: Callable[[str], Any] = int,
        paid: bool = False,
    ) -> Any:
        """The answer of a GET as JSON (of a POST where there is a `body`), numbers with a fraction made by `number`, others by
        `whole`; None where there is no such thing. Only questions are posted: one that fails on the way is asked again, but for one whose
        answer is `paid` for: it is asked again only where the server said that it did not answer.

        Raises:
            SourceError: it refuses, answers something else, or keeps failing.
        """
        sent = {
            "Accept": "application/json",
            **({"Content-Type": "application/json"} if body is not None else {}),
            **(headers or {}),
        }
        asked = _Asked(address, parameters, sent, None if body is None else json.dumps(body).encode(), paid)
        return self._asked(asked, lambda content: self._json(address, content, number, whole))

    def content(self, address: str, parameters: Mapping[str, str] | None = None, *, accept: str = "*/*") -> bytes | None:
        """The answer of a GET as it is; None where the server has no such thing.

        Raises:
            SourceError: as `json`.
        """
        return self._asked(_Asked(address, parameters, {"Accept": accept}), lambda content: content)

    def said(self, text: str) -> str:
        """A server's words as they may be shown: one short line, nothing of ours in it."""
        for secret in sorted(self.auth.secrets if self.auth else (), key=len, reverse=True):
            text = text.replace(secret, "***")
        return shown(text)

    def _asked(self, asked: _Asked, read: Callable[[bytes], T]) -> T | None:
        attempts = Retrying(
            stop=stop_after_attempt(self.limits.attempts),
            retry=retry_if_exception(
                lambda failed: isinstance(failed, PassingError) and not (asked.is_paid and isinstance(failed, LostError))
            ),
            wait=self._wait,
            before_sleep=lambda state: log.warning("%s; trying again", state.outcome and state.outcome.exception()),
            reraise=True,
        )
        try:
            return attempts(self._once, asked, read)
        except PassingError as failed:
            if asked.is_paid and isinstance(failed, LostError):
                raise PaidLostError(f"{failed}; it is not asked again, for it may have been answered and billed") from failed
            raise NotReachedError(
                f"{failed}; gave up after {self.limits.attempts} attempts. Is the server up and reachable?"
            ) from failed

    def _wait(self, state: RetryCallState) -> float:
        failure = state.outcome.exception() if state.outcome else None
        asked = failure.retry_after if isinstance(failure, PassingError) else None
        return self._backoff(state) if asked is None else min(max(asked, 0.0), self.limits.longest_wait)

    def _once(self, asked: _Asked, read: Callable[[bytes], T], renewed: bool = False) -> T | None:
        here = without_password(asked.address)
        if self.throttle:
            self.throttle.keep()
        status, reason, headers, content = self._answer(asked)
        told = f"{here}: {status} {self.said(reason)}".rstrip()
        if status == 200:
            return read(content)
        if self.reading and (meant := self.reading(Refused(told, status, headers, content))):
            raise meant
        if status == 404:
            return None
        if status == 401 and self.auth and not renewed and self.auth.renewed():
            return self._once(asked, read, renewed=True)
        if status == 401:
            raise NotReachedError(
                f"{told}{self._words(content)}. The server does not take what we say who we are by: check {self.credentials}"
            )
        if status == 403:
            raise SourceError(
                f"{told}{self._words(content)}. The server knows us and does not let us read this: its administrator gives the right, to "
                f"the user of {self.credentials}"
            )
        if status in (408, 425, 429) or status >= 500:
            raise PassingError(told, retry_after(headers.get("Retry-After", "")))
        if 300 <= status < 400:
            raise SourceError(
                f"{told}. It sends us on to {self.said(headers.get('Location', 'nowhere'))}, "
                "which is not followed: set that address if it is the right one"
            )
        raise SourceError(f"{told}{self._words(content)}")

    def _answer(self, asked: _Asked) -> tuple[int, str, Mapping[str, str], bytes]:
        """Status, reason, headers and body."""
        here = without_password(asked.address)

        def ask() -> requests.Response:
            return self.session.request(
                "GET" if asked.body is None else "POST",
                asked.address,
                params=asked.parameters,
                data=asked.body,
                headers=asked.headers,
                timeout=(self.limits.connect_seconds, self.limits.silent_seconds),
                allow_redirects=False,
                stream=True,
            )

        try:
            return answered(ask, self.limits, here)
        except TooLate:
            raise LostError(
                f"{here}: the answer takes more than the {self.limits.answer_seconds:g} seconds it is given"
            ) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as lost:
            told = f"{here}: {self.said(fault_of(lost))}"
            if isinstance(lost, (requests.ConnectionError, requests.Timeout, *_CUT)) and not _is_certificate(lost):
                raise (PassingError if _never_sent(lost) else LostError)(told) from lost
            raise NotReachedError(told) from lost

    def _json(self, address: str, content: bytes, number: Callable[[str], Any], whole: Callable[[str], Any]) -> Any:
        here = without_password(address)
        if is_html(content):
            raise SourceError(
                f"{here}: the answer is a web page{_title(content)} and not JSON: this is not the address of the API, or a login or "
                "a proxy stands before it"
            )
        try:
            return exact_json(content, number=number, whole=whole)
        except UnicodeDecodeError as foreign:
            if foreign.end >= len(content) and "unexpected end" in foreign.reason:
                raise LostError(f"{here}: the answer is cut off in the middle of a character") from None
            near = shown(content[max(0, foreign.start - 20) : foreign.end + 20].decode("utf-8", "replace"))
            raise SourceError(
                f"{here}: the answer is not UTF-8, which JSON has to be: byte {foreign.start + 1:,}, near «{self.said(near)}»"
            ) from None
        except RecursionError:
            raise SourceError(f"{here}: the answer is nested too deeply to be read") from None
        except TooMuch as many:
            raise SourceError(
                f"{here}: the answer is too large: {many}. Ask for smaller pages, or look at what it sends"
            ) from None
        except ValueError as cut:
            raise LostError(
                f"{here}: the answer is not whole JSON ({self.said(str(cut)) if content.strip() else 'it is empty'})"
            ) from None

    def _words(self, content: bytes) -> str:
        """What a server says of its refusal, where it says it in words."""
        if is_html(content):
            return f": a web page{_title(content)}"
        text = content[:50_000].decode("utf-8", "replace")
        with suppress(ValueError, RecursionError, TooMuch):
            text = _message(exact_json(content)) or text
        return f": {self.said(text)}" if text.strip() else ""


class _Nobody(requests.auth.AuthBase):
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


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


def checked(address: str, setting: str) -> str:
    """The address, if it is one.

    Raises:
        SourceError: it is not; the message names the setting and shows no password.
    """
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018 - which is where a bad one is refused
    except ValueError:
        raise SourceError(f"{setting}: {without_password(address)!r} is not an address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SourceError(f"{setting}: {without_password(address)!r} is not an http or https address")
    if re.search(r"[\x00-\x20\x7f]", address) or len(address) > _LONGEST_ADDRESS:
        raise SourceError(
            f"{setting}: {shown(without_password(address))!r} has blanks or control characters in it, or is too long for an address"
        )
    if parts.username or parts.password:
        raise SourceError(
            f"{setting}: the address has a password in it, which would stand in logs. Leave it out: the token has a setting of its own"
        )
    return address


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


def _title(content: bytes) -> str:
    found = re.search(rb"<title[^>]*>(.{1,200}?)</title", content[:50_000], re.IGNORECASE | re.DOTALL)
    return f" («{shown(found[1].decode('utf-8', 'replace'), 60)}»)" if found else ""


def _message(answer: Any) -> str | None:
    """The words in a JSON answer that refuses."""
    if isinstance(answer, str):
        return answer
    if isinstance(answer, list):
        return next((words for part in answer[:3] if (words := _message(part))), None)
    if isinstance(answer, dict):
        named = {str(name).lower(): value for name, value in answer.items()}
        for name in ("error_description", "message", "detail", "error", "errors", "title", "description"):
            if words := _message(named.get(name)):
                return words
    return None


_CUT = (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError)


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


def _never_sent(error: BaseException) -> bool:
    """Whether nobody was there to be asked."""
    nobody = (
        ConnectionRefusedError,
        socket.gaierror,
        urllib3.exceptions.ConnectTimeoutError,
        urllib3.exceptions.NewConnectionError,
    )
    return any(isinstance(cause, nobody) for cause in _chain(error))


def _is_certificate(error: BaseException) -> bool:
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


class Walk:
    """What one dataset may take on a server, from its first page to its last.

    Raises:
        SourceError: from `step`, when it is more than that.
    """

    def __init__(self, what: str, limits: Limits):
        self._what, self._limits = what, limits
        self._began, self._pages = time.monotonic(), 0

    def step(self) -> None:
        self._pages += 1
        if self._pages > self._limits.pages:
            raise SourceError(
                f"{self._what}: more than {self._limits.pages:,} pages; a server that never ends is not read to the end"
            )
        if time.monotonic() - self._began > self._limits.dataset_seconds:
            raise SourceError(
                f"{self._what}: not all there after {self._limits.dataset_seconds / 3600:.1f} hours and "
                f"{self._pages:,} pages. Is the server slow tonight?"
            )
