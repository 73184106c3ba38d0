"""Datasets over HTTP, as contract.md section 2.1 lays down: paged JSON, incremental, whole or nothing.

Belongs here: this dialect's questions, and what a page of its answers holds. A record's values leave as the text the server wrote: a
number never becomes a float.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
from pydantic import SecretStr

from dagster_project.contract import Dataset
from dagster_project.sources import EXTRA, Connector, ConnectorSettings, Delivery, Opening, SourceError, page_schema
from dagster_project.sources.answers import LIMITS, Limits, without_password
from dagster_project.sources.auth import Bearer
from dagster_project.sources.http import Http
from dagster_project.sources.paging import NextLink, Question, walked
from dagster_project.words import shown

PAGE_ROWS = 5_000
OVERLAP = timedelta(hours=1)
"""How far an incremental load reaches back behind the newest change landed: transactions commit later than they are stamped."""


class RestSource:
    """A server that speaks the datasets."""

    def __init__(
        self, url: str, token: str | None = None, *, page_rows: int = PAGE_ROWS, wait: float = 1.0, limits: Limits = LIMITS
    ):
        self.http = Http(
            url,
            Bearer(token, "ARREARS_REST_TOKEN") if token else None,
            setting="ARREARS_REST_URL",
            credentials="ARREARS_REST_TOKEN",
            limits=limits,
            wait=wait,
        )
        self.url = url.rstrip("/") + "/"
        self.page_rows = page_rows

    def fetch(self, dataset: Dataset, since: datetime | None) -> Delivery | None:
        incremental = dataset.has_cursor and since is not None
        parameters: dict[str, str] = {"limit": str(self.page_rows)}
        if incremental:
            assert since is not None
            parameters["updated_since"] = (since - OVERLAP).strftime("%Y-%m-%dT%H:%M:%SZ")
        question = Question(self.url + dataset.name, parameters)
        first = self._page(question)
        if first is None:
            return None
        total = first.get("total")
        return Delivery(
            pages=self._pages(dataset, question, first),
            full=not incremental,
            origin=without_password(question.address),
            expected=int(total) if isinstance(total, str) and total.isascii() and total.isdigit() and len(total) < 16 else None,
        )

    def _pages(self, dataset: Dataset, question: Question, first: Mapping[str, Any]) -> Iterator[pa.Table]:
        schema = page_schema(dataset)
        count = 0
        for page in walked(question, self._page, NextLink(), dataset.name, self.http.limits, first):
            count += len(page["data"])
            yield self._table(page["data"], dataset, schema)
        total = first.get("total")
        if total is not None and str(total) != str(count):
            told = shown(str(total), 40)
            raise SourceError(
                f"{without_password(question.address)}: the server announced {told} records and delivered {count}; nothing of it is used"
            )

    def _table(self, records: list[Any], dataset: Dataset, schema: pa.Schema) -> pa.Table:
        rows = []
        known = dataset.by_name
        for record in records:
            if not isinstance(record, dict):
                raise SourceError(f"{dataset.name}: a record is not a JSON object: {self.http.said(str(record))}")
            row = {name: _as_text(value) for name, value in record.items() if name in known}
            if len(row) < len(record):
                extra = {name: value for name, value in record.items() if name not in known}
                row[EXTRA] = json.dumps(extra, ensure_ascii=False)
            rows.append(row)
        try:
            return pa.Table.from_pylist(rows, schema=schema)
        except UnicodeEncodeError:  # half a character, written as an escape: visible, and no reason to lose the record
            whole = [{name: text and text.encode("utf-8", "replace").decode() for name, text in row.items()} for row in rows]
            return pa.Table.from_pylist(whole, schema=schema)

    def _page(self, question: Question) -> Mapping[str, Any] | None:
        """One page; None where there is no such dataset."""
        page = self.http.json(question.address, question.parameters, number=_number, whole=str)
        if page is not None and (not isinstance(page, dict) or not isinstance(page.get("data"), list)):
            told = self.http.said(str(page))
            raise SourceError(f"{without_password(question.address)}: the answer has no list `data`: {told}")
        return page


class RestSettings(ConnectorSettings, env_prefix="ARREARS_REST_"):
    """Where the server is, and the token it wants."""

    url: str
    token: SecretStr | None = None


def _opened(own: RestSettings, opening: Opening) -> RestSource:
    source = RestSource(own.url, own.token.get_secret_value() if own.token else None)
    opening.stack.callback(source.http.close)
    return source


CONNECTOR = Connector(
    name="rest",
    settings=RestSettings,
    opened=_opened,
    words=lambda own: without_password(own.url),
    needs="ARREARS_REST_URL, and ARREARS_REST_TOKEN where the server asks for one",
)


def _number(text: str) -> str:
    """A JSON number digit by digit: what some servers write as 1.25E+7 is 12500000. Absurd exponents stay for quarantine."""
    if "e" not in text.lower():
        return text
    try:
        exact = Decimal(text)
    except InvalidOperation:
        return text
    return f"{exact:f}" if abs(exact.adjusted()) < 40 else text


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False)
