"""The ECB's reference rates, from a stand-in that speaks both of its shapes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from dagster_project import duck
from dagster_project.contract import DATASETS
from dagster_project.landing import Landing, rows_select
from dagster_project.settings import Settings
from dagster_project.sources import SourceError
from dagster_project.sources.catalogue import Sources
from dagster_project.sources.ecb import SERIES

MORNING, RATES = date(2025, 9, 30), DATASETS["exchange_rates"]

SDMX = """KEY,FREQ,CURRENCY,CURRENCY_DENOM,EXR_TYPE,EXR_SUFFIX,TIME_PERIOD,OBS_VALUE,OBS_STATUS,TITLE
EXR.D.GBP.EUR.SP00.A,D,GBP,EUR,SP00,A,2025-09-26,0.87205,A,"Pound sterling/Euro, 2:15 pm"
EXR.D.GBP.EUR.SP00.A,D,GBP,EUR,SP00,A,2025-09-29,0.8731,A,Pound
EXR.D.GBP.EUR.SP00.A,D,GBP,EUR,SP00,A,2025-09-30,NaN,H,Pound
EXR.D.USD.EUR.SP00.A,D,USD,EUR,SP00,A,2025-09-26,1.1670,A,Dollar
EXR.D.USD.EUR.SP00.A,D,USD,EUR,SP00,A,2025-09-29,1.1734,A,Dollar
EXR.D.USD.EUR.SP00.A,D,USD,EUR,SP00,A,1999-01-04,1.1789,A,Dollar
"""
HISTORY = "Date,USD,GBP,RUB,\n2025-09-29,1.1734,0.8731,N/A,\n2025-09-26,1.1670,0.87205,N/A,\n1999-01-04,1.1789,0.7111,N/A,\n"
TODAY = "Date, USD, GBP, \n29 September 2025, 1.1734, 0.8731, \n"


def landed(settings: Settings, landing: Landing) -> dict[tuple[str, str, str], Decimal]:
    sources = Sources(settings, MORNING)
    try:
        source = sources.of(RATES)
        assert source is not None
        landing.land(RATES, source.fetch(RATES, None), MORNING)
    finally:
        sources.close()
    with duck.scratch(landing.folder) as con:
        rows = con.sql(
            f"select rate_date, currency, base_currency, rate from ({rows_select(RATES, con, landing.loads(RATES))})"
        ).fetchall()
    return {(day.isoformat(), currency, base): rate for day, currency, base, rate in rows}


def zipped(text: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("eurofxref-hist.csv", text)
    return packed.getvalue()


BOTH_DAYS = {
    ("2025-09-26", "EUR", "GBP"): Decimal("0.8720500000"),
    ("2025-09-26", "EUR", "USD"): Decimal("1.1670000000"),
    ("2025-09-26", "GBP", "USD"): Decimal("1.3382260192"),
    ("2025-09-29", "EUR", "GBP"): Decimal("0.8731000000"),
    ("2025-09-29", "EUR", "USD"): Decimal("1.1734000000"),
    ("2025-09-29", "GBP", "USD"): Decimal("1.3439468560"),
}
"""1.1670 / 0.87205 and 1.1734 / 0.8731, to ten digits; the euro's as they were published."""


@pytest.mark.parametrize(
    ("body", "rates"),
    [
        (SDMX.encode(), BOTH_DAYS),
        (HISTORY.encode(), BOTH_DAYS),
        (zipped(HISTORY), BOTH_DAYS),
        (TODAY.encode(), {key: rate for key, rate in BOTH_DAYS.items() if key[0] == "2025-09-29"}),
    ],
    ids=["sdmx", "history", "zip", "today"],
)
def test_either_shape_comes_to_the_same_rates_each_pair_one_quote(
    body: bytes, rates: Any, server: Any, answer: Any, make_settings: Callable[..., Settings], landing: Landing
) -> None:
    server.on(SERIES, answer(body, headers={"Content-Type": "text/csv"}))
    settings = make_settings(rates="ecb", ecb_url=server.url)

    assert landed(settings, landing) == rates
    assert server.heard[0].query == {"format": "csvdata", "startPeriod": "2022-09-26"}


def test_rates_come_from_the_bank_and_the_rest_from_the_ledgers_source(
    server: Any, answer: Any, make_settings: Callable[..., Settings], landing: Landing, tmp_path: Any
) -> None:
    server.on("/rates.csv", answer(HISTORY.encode()))
    settings = make_settings(
        source="files", files_dir=tmp_path, rates="ecb", ecb_url=f"{server.url}/rates.csv", ecb_currencies="USD"
    )

    sources = Sources(settings, MORNING)
    ledger, rates = sources.of(DATASETS["customers"]), sources.of(RATES)
    assert ledger and type(ledger.source).__name__ == "FilesSource"
    assert rates and type(rates.source).__name__ == "EcbSource"
    assert {key[1:] for key in landed(settings, landing)} == {("EUR", "USD")}
    sources.close()


def test_a_rate_that_fell_out_of_what_is_asked_for_stays(
    server: Any, answer: Any, make_settings: Callable[..., Settings], landing: Landing
) -> None:
    server.on(SERIES, answer(HISTORY.encode()), answer(TODAY.encode()))
    settings = make_settings(rates="ecb", ecb_url=server.url)

    assert landed(settings, landing) == landed(settings, landing) == BOTH_DAYS


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"<html>moved</html>", 200, "is a web page and no CSV"),
        (b"", 404, "404. Nothing is published there"),
        (b"a,b\n1,2\n", 200, "neither the ECB's SDMX-CSV"),
        (b"Date,USD\n", 200, "there is no rate since 2022-09-26"),
        (b"PK\x03\x04broken", 200, "no zip file with one"),
        (b"\xff\xfe\x00", 200, "is no CSV"),
    ],
)
def test_an_answer_without_rates_is_said_as_that(
    body: bytes, status: int, says: str, server: Any, answer: Any, make_settings: Callable[..., Settings], landing: Landing
) -> None:
    server.on(SERIES, answer(body, status))

    with pytest.raises(SourceError, match=says):
        landed(make_settings(rates="ecb", ecb_url=server.url), landing)


def test_a_value_that_is_no_rate_is_one_record_put_aside(
    server: Any, answer: Any, make_settings: Callable[..., Settings], landing: Landing
) -> None:
    many = "".join(f"2025-0{month}-{day:02},1.1,0.9\n" for month in (5, 6, 7) for day in range(1, 31))
    server.on(SERIES, answer(f"Date,USD,GBP\n{many}2025-09-29,one,0.8731\n".encode()))

    rates = landed(make_settings(rates="ecb", ecb_url=server.url), landing)

    assert [key for key in rates if key[0] == "2025-09-29"] == [("2025-09-29", "EUR", "GBP")]
