"""Datasets over HTTP, as contract.md section 2.1 lays down: paged JSON, incremental, whole or nothing.

Belongs here: asking, paging, retrying, giving up with a reason. A record's values leave as the text the server wrote: a number
never becomes a float.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import pyarrow as pa
import requests
import requests.auth
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from dagster_project.contract import Dataset
from dagster_project.sources import EXTRA, Delivery, SourceError, page_schema

log = logging.getLogger("arrears.sources")

PAGE_ROWS = 5_000
TIMEOUT = (10, 60)  # seconds to connect, and between two bytes
ATTEMPTS = 5
LONGEST_WAIT = 60.0  # seconds, also where the server asks for more
OVERLAP = timedelta(hours=1)
"""How far an incremental load reaches back behind the newest change landed: transactions commit later than they are stamped."""


_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class _Bearer(requests.auth.AuthBase):
    def __init__(self, token: str):
        self._header = f"Bearer {token}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        return request


class RestSource:
    """A server that speaks the datasets."""

    def __init__(self, url: str, token: str | None = None, *, page_rows: int = PAGE_ROWS, wait: float = 1.0):
        if urlsplit(url).scheme not in ("http", "https"):
            raise SourceError(f"ARREARS_REST_URL: {url!r} is not an http or https address")
        self.url = url.rstrip("/") + "/"
        self.page_rows = page_rows
        self.session = requests.Session()
        self.session.headers["Accept"] = "application/json"
        if urlsplit(url).hostname in _LOOPBACK:
            self.session.trust_env = False  # a proxy of the environment cannot reach this machine's own servers
        if token:
            self.session.auth = _Bearer(token)  # as a header alone, an entry in ~/.netrc would replace it
        self._backoff = wait_exponential_jitter(initial=wait, max=LONGEST_WAIT, jitter=wait)

    def fetch(self, dataset: Dataset, since: datetime | None) -> Delivery | None:
        incremental = dataset.has_cursor and since is not None
        parameters: dict[str, str] = {"limit": str(self.page_rows)}
        if incremental:
            assert since is not None
            parameters["updated_since"] = (since - OVERLAP).strftime("%Y-%m-%dT%H:%M:%SZ")
        address = self.url + dataset.name
        first = self._page(address, parameters)
        if first is None:
            return None
        return Delivery(pages=self._pages(dataset, address, first), full=not incremental, origin=address)

    def _pages(self, dataset: Dataset, address: str, first: Mapping[str, Any]) -> Iterator[pa.Table]:
        schema = page_schema(dataset)
        page: Mapping[str, Any] | None = first
        count, here, seen = 0, address, {address}
        with ThreadPoolExecutor(max_workers=1) as ahead:  # the next page is on its way while this one is worked on
            while page is not None:
                following = _following(here, page, seen)
                coming = ahead.submit(self._page, following, {}) if following else None
                count += len(page["data"])
                yield _as_page(page["data"], dataset, schema)
                page, here = (coming.result() if coming else None), following or here
                if coming and page is None:
                    raise SourceError(f"{here}: 404 in the middle of the pages of {dataset.name}")
        total = first.get("total")
        if total is not None and str(total) != str(count):
            raise SourceError(f"{address}: the server announced {total} records and delivered {count}; nothing of it is used")

    def _page(self, address: str, parameters: Mapping[str, str]) -> Mapping[str, Any] | None:
        """One page; None where there is no such dataset."""
        attempts = Retrying(
            stop=stop_after_attempt(ATTEMPTS),
            retry=retry_if_exception_type(_PassingError),
            wait=self._wait,
            before_sleep=lambda state: log.warning("%s; trying again", state.outcome and state.outcome.exception()),
            reraise=True,
        )
        try:
            return attempts(self._ask, address, parameters)
        except _PassingError as failed:
            raise SourceError(f"{failed}; gave up after {ATTEMPTS} attempts. Is the server up and reachable?") from failed

    def _wait(self, state: RetryCallState) -> float:
        failure = state.outcome.exception() if state.outcome else None
        asked = failure.retry_after if isinstance(failure, _PassingError) else None
        return self._backoff(state) if asked is None else min(max(asked, 0.0), LONGEST_WAIT)

    def _ask(self, address: str, parameters: Mapping[str, str]) -> Mapping[str, Any] | None:
        try:
            response = self.session.get(address, params=parameters, timeout=TIMEOUT, allow_redirects=False)
        except (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ContentDecodingError,
        ) as lost:
            raise _PassingError(f"{address}: {_short(lost)}") from lost
        status = response.status_code
        if status == 404:
            return None
        if status in (401, 403):
            raise SourceError(
                f"{address}: {status} {response.reason}. The server refuses the token: check ARREARS_REST_TOKEN and what it may read"
            )
        if status == 429 or status >= 500:
            raise _PassingError(f"{address}: {status} {response.reason}", _retry_after(response))
        if status != 200:
            raise SourceError(f"{address}: {status} {response.reason}: {response.text[:200]}")
        try:
            page = json.loads(response.content, parse_float=_number, parse_int=str)
        except ValueError as cut:
            raise _PassingError(f"{address}: the answer is not whole JSON ({cut})") from cut
        if not isinstance(page, dict) or not isinstance(page.get("data"), list):
            raise SourceError(f"{address}: the answer has no list `data`: {response.text[:200]}")
        return page


def _following(here: str, page: Mapping[str, Any], seen: set[str]) -> str | None:
    """The next page's address, absolute or relative to this one's; None on the last page."""
    if not page.get("next"):
        return None
    following = urljoin(here, str(page["next"]))
    if urlsplit(following)[:2] != urlsplit(here)[:2]:
        raise SourceError(f"{here}: the next page is on another server ({following}); the token is not sent there")
    if following in seen:
        raise SourceError(f"{here}: the page {following} names itself or an earlier page as the next one")
    seen.add(following)
    return following


class _PassingError(Exception):
    """Something that may be over in a moment; `retry_after` is what the server asked for, in seconds."""

    def __init__(self, message: str, retry_after: float | None = None):
        super().__init__(message)
        self.retry_after = retry_after


def _number(text: str) -> str:
    """A JSON number digit by digit: what some servers write as 1.25E+7 is 12500000. Absurd exponents stay for quarantine."""
    if "e" not in text.lower():
        return text
    exact = Decimal(text)
    return f"{exact:f}" if abs(exact.adjusted()) < 40 else text


def _retry_after(response: requests.Response) -> float | None:
    text = response.headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.isdigit():
        return float(text)
    try:
        return (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):
        return None


def _short(error: Exception) -> str:
    """The innermost reason of a chain of connection errors, which is the one a person can act on."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return f"{type(error).__name__}: {error}"


def _as_page(records: list[Any], dataset: Dataset, schema: pa.Schema) -> pa.Table:
    rows = []
    known = dataset.by_name
    for record in records:
        if not isinstance(record, dict):
            raise SourceError(f"{dataset.name}: a record is not a JSON object: {str(record)[:200]}")
        row = {name: _as_text(value) for name, value in record.items() if name in known}
        if len(row) < len(record):
            extra = {name: value for name, value in record.items() if name not in known}
            row[EXTRA] = json.dumps(extra, ensure_ascii=False)
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=schema)


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False)
