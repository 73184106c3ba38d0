"""The European Central Bank's euro reference rates, as the exchange rates of a ledger that has none.

Belongs here: its addresses, the two shapes of its CSV (SDMX and `eurofxref`), and rates between two other currencies, crossed through the
euro. Does not belong here: which rate a day takes (dbt).

The bank quotes 1 euro in other currencies once a TARGET day, about 16:00 in Frankfurt. A pair without the euro is one quote of that day,
the one rate divided by the other to ten digits, so that nothing downstream goes through a third currency.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from itertools import combinations
from urllib.parse import urlsplit

import pyarrow as pa
from pydantic import Field

from dagster_project.contract import Dataset
from dagster_project.sources import Connector, ConnectorSettings, Delivery, Opening, SourceError, page_schema
from dagster_project.sources.answers import is_html
from dagster_project.sources.http import Http
from dagster_project.words import shown

ADDRESS = "https://data-api.ecb.europa.eu"
SERIES = "/service/data/EXR/D..EUR.SP00.A"
DAYS = 1_100
"""How far back is asked for each night: two years of month-ends, and a year to be early or late in."""

UNPACKED_BYTES = 64 << 20
_TEN_DIGITS = Decimal("1e-10")
_EXACT = Context(prec=40, rounding=ROUND_HALF_UP)


class EcbSettings(ConnectorSettings, env_prefix="ARREARS_ECB_"):
    """Where the rates are, and between which currencies they are wanted: all that are quoted, or those listed with commas."""

    url: str = ADDRESS
    currencies: str = Field(default="", pattern=r"^([A-Z]{3}(,[A-Z]{3})*)?$", examples=["USD,GBP"])


class EcbSource:
    """The reference rates of about three years up to a morning."""

    def __init__(self, own: EcbSettings, opening: Opening):
        self.http = Http(own.url, setting="ARREARS_ECB_URL", credentials="ARREARS_ECB_URL")
        opening.stack.callback(self.http.close)
        self._address = own.url if urlsplit(own.url).path.strip("/") else own.url.rstrip("/") + SERIES
        self._first = opening.as_of - timedelta(days=DAYS)
        self._wanted = set(own.currencies.split(",")) | {"EUR"} if own.currencies else None

    def fetch(self, dataset: Dataset, since: datetime | None) -> Delivery | None:
        del since  # a rate is published once; what landed before stays
        if dataset.name != "exchange_rates":
            return None
        answer = self.http.content(
            self._address, {"format": "csvdata", "startPeriod": self._first.isoformat()}, accept="text/csv, application/zip, */*"
        )
        if answer is None:
            raise SourceError(f"{self._address}: 404. Nothing is published there: is ARREARS_ECB_URL right?")
        if is_html(answer):
            raise SourceError(
                f"{self._address}: the answer is a web page and no CSV: is ARREARS_ECB_URL right, or does a proxy stand before it?"
            )
        return Delivery(pages=self._pages(_text(self._address, answer), dataset), full=False, origin=self._address)

    def _pages(self, text: str, dataset: Dataset) -> Iterator[pa.Table]:
        schema = page_schema(dataset)
        days: dict[str, dict[str, str]] = {}
        for day, currency, rate in quotes(self._address, text):
            if day >= self._first.isoformat() and (self._wanted is None or currency in self._wanted):
                days.setdefault(day, {})[currency] = rate
        if not days:
            raise SourceError(
                f"{self._address}: there is no rate since {self._first} in the answer, which begins «{shown(text[:100], 60)}»"
            )
        for months in _chunks(sorted(days), 60):
            yield pa.Table.from_pylist([row for day in months for row in crossed(day, days[day])], schema=schema)


def quotes(where: str, text: str) -> Iterator[tuple[str, str, str]]:
    """Day, currency and its units for a euro, as texts, of either shape; without those that are not there.

    Raises:
        SourceError: it is neither.
    """
    reader = csv.reader(io.StringIO(text))
    try:
        header = [cell.strip() for cell in next(reader, [])]
        if {"CURRENCY", "TIME_PERIOD", "OBS_VALUE"} <= set(header):
            at = {name: number for number, name in enumerate(header)}
            for row in reader:
                if len(row) == len(header) and (at.get("CURRENCY_DENOM") is None or row[at["CURRENCY_DENOM"]] == "EUR"):
                    rate = row[at["OBS_VALUE"]].strip()
                    if rate not in ("", "NaN"):
                        yield row[at["TIME_PERIOD"]], row[at["CURRENCY"]], rate
            return
        if header[:1] == ["Date"]:
            for row in reader:
                for currency, rate in zip(header[1:], row[1:], strict=False):
                    if currency and rate.strip() not in ("", "N/A"):
                        yield _day(row[0].strip()), currency, rate.strip()
            return
    except csv.Error as broken:
        raise SourceError(f"{where}: line {reader.line_num} is no CSV: {broken}") from None
    raise SourceError(
        f"{where}: neither the ECB's SDMX-CSV (CURRENCY, TIME_PERIOD, OBS_VALUE) nor its eurofxref CSV (Date, USD, …): the header is "
        f"«{shown(', '.join(header), 80)}»"
    )


def crossed(day: str, rates: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Every pair of a day once: the euro's as they were published, the others as what a euro buys of the one over what it buys of the
    other, from the dearer currency to the cheaper, which keeps more digits."""
    for currency, rate in sorted(rates.items()):
        yield {"rate_date": day, "currency": "EUR", "base_currency": currency, "rate": rate}
    exact = {currency: units for currency, rate in sorted(rates.items()) if (units := _units(rate))}
    for one, other in combinations(exact, 2):
        dear, cheap = (one, other) if exact[one] <= exact[other] else (other, one)
        cross = _EXACT.quantize(_EXACT.divide(exact[cheap], exact[dear]), _TEN_DIGITS)
        yield {"rate_date": day, "currency": dear, "base_currency": cheap, "rate": f"{cross:f}"}


def _units(rate: str) -> Decimal | None:
    try:
        units = Decimal(rate)
    except InvalidOperation:
        return None
    return units if units.is_finite() and Decimal("1e-6") < units < Decimal("1e9") else None


def _day(text: str) -> str:
    """`eurofxref.csv`, the day's own file, has `28 November 2025` where the history has 2025-11-28."""
    parts = text.split()
    if len(parts) != 3:
        return text
    months = (
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    )
    try:
        return date(int(parts[2]), months.index(parts[1]) + 1, int(parts[0])).isoformat()
    except ValueError:
        return text


def _text(where: str, answer: bytes) -> str:
    """The CSV, out of its zip file where it comes in one."""
    try:
        if answer.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(io.BytesIO(answer)) as packed:
                name = next(name for name in packed.namelist() if name.lower().endswith(".csv"))
                if packed.getinfo(name).file_size > UNPACKED_BYTES:
                    raise SourceError(f"{where}: {shown(name, 60)} is larger than {UNPACKED_BYTES >> 20} MB unpacked")
                with packed.open(name) as file:
                    answer = file.read(UNPACKED_BYTES)
        return answer.decode("utf-8-sig")
    except (
        zipfile.BadZipFile,
        StopIteration,
        NotImplementedError,
        RuntimeError,
        EOFError,
        OSError,
        UnicodeDecodeError,
    ) as broken:
        raise SourceError(f"{where}: the answer is no CSV, and no zip file with one") from broken


def _chunks(days: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(days), size):
        yield days[start : start + size]


CONNECTOR = Connector(
    name="ecb",
    settings=EcbSettings,
    opened=EcbSource,
    words=lambda own: own.url,
    gives=frozenset({"rates"}),
)
