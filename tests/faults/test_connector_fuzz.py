"""Whatever a vendor's server answers, a connector reads it or refuses it in one line of words. `FUZZ_EXAMPLES` for longer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_project.contract import DATASETS
from dagster_project.landing import Landing, LandingError
from dagster_project.sources import Connector, Opening, Source, SourceError
from dagster_project.sources.answers import Limits
from dagster_project.sources.catalogue import CONNECTORS
from dagster_project.sources.http import Http
from dagster_project.sources.sql import SqlSource
from dagster_project.sources.tryton import TrytonSource
from dagster_project.sources.understood import Understood, understood
from tests.sources import one_book
from tests.sources.business_central_stand_in import TENANT as CENTRAL
from tests.sources.business_central_stand_in import BusinessCentral
from tests.sources.erpnext_stand_in import KEY, SECRET_OF_KEY, ErpNext
from tests.sources.quickbooks_stand_in import REALM, QuickBooks
from tests.sources.stand_in import CONSENT, ID, SECRET, Request, StandIn
from tests.sources.xero_stand_in import TENANT, Xero

from .test_file_faults import BOUNDED, EXAMPLES, damaged, in_words

MORNING = date(2025, 9, 30)
ONCE = Limits(attempts=1, pages=60)
OFTEN = settings(BOUNDED, max_examples=max(EXAMPLES // 8, 3))
ADDRESS = "http://127.0.0.1:1"

OAUTH = {"client_id": ID, "client_secret": SECRET}
VENDORS: Mapping[str, tuple[Callable[[], StandIn], dict[str, Any]]] = {
    "xero": (
        lambda: Xero(one_book.first()),
        {**OAUTH, "tenant": TENANT, "url": f"{ADDRESS}/api.xro/2.0", "write_off_accounts": "BAD", "discount_accounts": "DSC"},
    ),
    "quickbooks": (lambda: QuickBooks(one_book.first()), {**OAUTH, "refresh_token": CONSENT, "realm": REALM, "url": ADDRESS}),
    "erpnext": (
        lambda: ErpNext(one_book.first(traits=frozenset({"entities", "instalments", "fixed"}))),
        {"url": ADDRESS, "key": KEY, "secret": SECRET_OF_KEY},
    ),
    "business_central": (
        lambda: BusinessCentral(one_book.first(traits=frozenset({"entities", "unapplied", "fixed"}))),
        {**OAUTH, "tenant": CENTRAL, "url": ADDRESS},
    ),
}

GONE = object()
ODD = st.sampled_from(
    (
        *(GONE, None, "", [], {}, [[]], [None], {"": None}, True, False, 0, -1, 10**30, 1e308, 5e-324, -0.0),
        *("NaN", "Infinity", "1e999999999", "9" * 5_000, "-1", "١٢", "1.234,56", "A\u2060\x1b[2J\u202e", "\ud83d", "x" * 3_000),
        *(
            "2025-13-45",
            "0001-01-01",
            "9999-12-31T23:59:59.999Z",
            "2025-06-01T00:00:00+99:00",
            "/Date(99999999999999999)/",
            "/Date(x)/",
        ),
        json.loads("[" * 90 + "]" * 90),
    )
)
CHANGES = st.lists(st.tuples(st.integers(0, 40), st.floats(0, 1), ODD), min_size=1, max_size=3)


def spots(answer: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a JSON answer: what it is in, and under which name or number."""
    for name, value in (
        list(answer.items()) if isinstance(answer, dict) else enumerate(answer) if isinstance(answer, list) else ()
    ):
        yield answer, name
        yield from spots(value)


def changed(content: bytes, where: float, put: Any) -> bytes:
    """An answer with something else at one of its places."""
    answer = json.loads(content)
    if not (found := list(spots(answer))):
        return content if put is GONE else json.dumps(put).encode()
    holder, name = found[min(int(where * len(found)), len(found) - 1)]
    if put is GONE:
        del holder[name]
    else:
        holder[name] = put
    return json.dumps(answer).encode()


def asked(http: Http, said: Callable[[Request], bytes], changes: list[tuple[int, float, Any]]) -> None:
    """Have a connector's questions answered without a server, the n-th of them changed."""
    heard = 0

    def answer(question: Any) -> tuple[int, str, Mapping[str, str], bytes]:
        nonlocal heard
        parts = urlsplit(question.address)
        query = dict(parse_qsl(parts.query, keep_blank_values=True)) | dict(question.parameters or {})
        content = said(Request("GET", unquote(parts.path), query, question.headers, question.body or b""))
        for number, where, put in changes:
            if number == heard:
                content = changed(content, where, put)
        heard += 1
        return 200, "OK", {}, content

    http._answer = answer  # type: ignore[method-assign]


def said_by(server: StandIn, request: Request) -> bytes:
    """What a stand-in answers; nothing where it is asked for what only a changed answer named."""
    try:
        return server.data(request).content
    except Exception:
        return b"{}"


def everything(source: Source, name: str) -> int:
    """Ask for every dataset as a night does; how many records there were."""
    count = 0
    for dataset in DATASETS.values():
        try:
            delivery = Understood(source, name).fetch(dataset, None)
            count += sum(len(page) for page in delivery.pages) if delivery else 0
        except SourceError as refused:
            in_words(refused)
    return count


def opened(connector: Connector, own: Mapping[str, Any], home: Path, stack: ExitStack, size: int) -> Any:
    given = connector.settings(**own)
    return connector.opened(given, Opening(MORNING, home, stack), wait=0, limits=ONCE, size=size)  # type: ignore[call-arg]


@pytest.mark.parametrize("vendor", VENDORS)
def test_an_answer_of_a_vendor_of_any_shape_is_read_or_refused_in_words(vendor: str) -> None:
    stands_in, own = VENDORS[vendor]
    server, connector = stands_in(), CONNECTORS[vendor]

    def night(changes: list[tuple[int, float, Any]]) -> int:
        with TemporaryDirectory() as home, ExitStack() as stack:
            source = opened(connector, own, Path(home), stack, 50)
            asked(source.http, lambda request: said_by(server, request), changes)
            count = everything(source, vendor)
            for what in (connector.companies, connector.rights):
                try:
                    with understood(vendor, "rights"):
                        list(what(source) if what else ())
                except SourceError as refused:
                    in_words(refused)
            return count

    assert night([]) > 20, "unchanged it is read"

    @OFTEN
    @given(CHANGES)
    def of_any_shape(changes: list[tuple[int, float, Any]]) -> None:
        night(changes)

    of_any_shape()


def tryton_says(request: Request) -> bytes:
    """A company, a customer, an invoice that was paid, as Tryton writes them."""
    stamp = {"__class__": "datetime", "year": 2025, "month": 9, "day": 1, "hour": 6, "minute": 30, "second": 0, "microsecond": 0}
    day = {"__class__": "date", "year": 2025, "month": 9, "day": 1}
    money = {"__class__": "Decimal", "decimal": "120.00"}
    common = {"write_date": None, "create_date": stamp}
    line = {
        "party": 7,
        "date": day,
        "maturity_date": day,
        "amount_second_currency": None,
        "second_currency": None,
        "origin": None,
        "description": None,
        "invoice_payment": None,
        "reconciliation": {"id": 1, "date": day},
        **common,
    }
    zero = {"__class__": "Decimal", "decimal": "0"}
    euro = {"code": "EUR", "digits": 2}

    def move(number: int, kind: str) -> dict[str, Any]:
        return {"id": number, "number": str(number), "origin": None, "journal": {"name": kind, "type": kind}}

    records: Mapping[str, list[dict[str, Any]]] = {
        "company.company": [{"id": 1, "party": {"id": 1, "name": "Wir"}, "currency": euro, "timezone": "Europe/Berlin"}],
        "party.party": [
            {
                "id": 7,
                "code": "D7",
                "name": "Seven",
                "active": 1,
                "lang": {"code": "de"},
                "customer_payment_term": {"name": "30"},
                **common,
            }
        ],
        "party.contact_mechanism": [{"id": 1, "party": 7, "type": "email", "value": "ap@seven.example"}],
        "account.invoice.payment_term.line": [{"id": 1, "payment": {"name": "30"}, "type": "remainder"}],
        "account.invoice.payment_term.line.delta": [
            {"id": 1, "line": 1, "days": 30, **dict.fromkeys(("day", "month", "weekday", "months", "weeks"))}
        ],
        "account.invoice": [
            {
                "id": 1,
                "number": "INV-1",
                "type": "out",
                "party": 7,
                "invoice_date": day,
                "currency": euro,
                "total_amount": money,
                "tax_amount": zero,
                "payment_term": {"name": "30"},
                "reference": None,
                "state": "paid",
                "move": 1,
                "cancel_move": None,
                "lines_to_pay": [1],
                "amount_to_pay": zero,
                **common,
            }
        ],
        "account.move.line": [
            {**line, "id": 1, "debit": money, "credit": zero, "move": move(1, "revenue")},
            {**line, "id": 2, "debit": zero, "credit": money, "move": move(2, "cash")},
        ],
        "currency.currency.rate": [{"id": 1, "date": day, "rate": money, "currency": {"code": "USD"}}],
    }
    model = request.path.rpartition("/")[2]
    return json.dumps([] if "PiI" in request.query.get("d", "") else records.get(model, [])).encode()


@settings(OFTEN, max_examples=max(EXAMPLES // 2, 3))
@given(CHANGES)
def test_an_answer_of_tryton_of_any_shape_is_read_or_refused_in_words(changes: list[tuple[int, float, Any]]) -> None:
    source = TrytonSource(f"{ADDRESS}/ledger", "k3y", limits=ONCE, wait=0)
    asked(source.http, tryton_says, changes)

    everything(source, "tryton")


SDMX = (
    b"KEY,FREQ,CURRENCY,CURRENCY_DENOM,TIME_PERIOD,OBS_VALUE\n"
    b"EXR.D.GBP.EUR.SP00.A,D,GBP,EUR,2025-09-26,0.87205\nEXR.D.USD.EUR.SP00.A,D,USD,EUR,2025-09-29,1.1734\n"
)
HISTORY = b"Date,USD,GBP,RUB,\n2025-09-29,1.1734,0.8731,N/A,\n29 September 2025,1.1670,1e-9,N/A,\n"
PACKED = bytes.fromhex("504b0304") + b"\x14\x00\x00\x00\x00\x00" + b"x.csv" * 9


@BOUNDED
@given(content=st.one_of(st.binary(max_size=120), *(damaged(good) for good in (SDMX, HISTORY, PACKED))))
def test_rates_of_any_bytes_are_read_or_refused_in_words(content: bytes) -> None:
    connector = CONNECTORS["ecb"]
    with ExitStack() as stack:
        source: Any = connector.opened(connector.settings(url=ADDRESS), Opening(MORNING, Path(), stack))  # type: ignore[call-arg]
        source.http.limits = ONCE
        source.http._answer = lambda _: (200, "OK", {}, content)
        everything(source, "ecb")


VALUES = st.sampled_from(
    ("null", "''", "x'ff00'", "cast(x'ff41' as text)", "9e999", "-9e999", "1e308", "9223372036854775807", "-0.0", "'2025-13-45'", "'NaN'",
     "char(27) || '[2J'", "char(0)", "char(8238)", "char(55357)", "'9999-12-31 23:59:59'", "replace(hex(zeroblob(600)), '00', '9')",
     "'true'", "'1e999999999'", "zeroblob(9)", "'EUR'", "'2025-06-01'", "'invoice'", "12.5", "'12.50'")
)  # fmt: skip
COLUMNS = (
    "invoice_number",
    "customer_id",
    "document_type",
    "invoice_date",
    "due_date",
    "currency",
    "tax_amount",
    "sent_at",
    "odd",
)


@settings(OFTEN, max_examples=max(EXAMPLES // 8, 3))
@given(rows=st.lists(st.lists(VALUES, min_size=len(COLUMNS), max_size=len(COLUMNS)), min_size=1, max_size=4))
def test_values_of_a_database_of_any_kind_land_or_are_put_aside_and_none_is_lost(rows: list[list[str]]) -> None:
    with TemporaryDirectory() as folder:
        home = Path(folder)
        selected = [
            ", ".join([f"'I{number}' as invoice_id, '1.00' as amount", *map(" as ".join, zip(row, COLUMNS, strict=True))])
            for number, row in enumerate(rows)
        ]
        (home / "invoices.sql").write_text(" union all ".join(f"select {each}" for each in selected), "utf-8")
        source = SqlSource("sqlite://", home)
        try:
            delivery = Understood(source, "sql").fetch(DATASETS["invoices"], None)
            assert delivery is not None
            manifest = Landing(home / "landing", home / "quarantine").land(
                DATASETS["invoices"], delivery, MORNING, quarantine_share=Decimal(1)
            )
        except (SourceError, LandingError) as refused:
            in_words(refused)
        else:
            assert manifest.received == manifest.landed + manifest.quarantined == len(rows)
        finally:
            source.close()


@BOUNDED
@given(content=st.binary(max_size=60))
def test_a_query_of_any_bytes_is_asked_or_refused_in_words(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "companies.sql").write_bytes(content)
    source = SqlSource("sqlite://", tmp_path)
    try:
        everything(source, "sql")
    finally:
        source.close()


@pytest.mark.parametrize(
    ("vendor", "name", "put", "says"),
    [
        ("xero", "Contact", GONE, r"xero invoices: the record InvoiceID \S+ is not of the shape .*: it has no «Contact»"),
        ("xero", "Contact", ["x"], r"the record InvoiceID \S+ is not .*: something in it is of another kind than it should be"),
        ("xero", "DateString", "2025-06-XX", r"«2025-06-XX» is not what should stand there"),
        ("xero", "Total", "1e999999999", r"Xero invoice \S+: «1e999999999» is not a number"),
    ],
)
def test_a_record_of_another_shape_is_named_with_what_is_wrong(
    vendor: str, name: str, put: Any, says: str, tmp_path: Path
) -> None:
    stands_in, own = VENDORS[vendor]
    server = stands_in()

    def said(request: Request) -> bytes:
        answer = json.loads(server.data(request).content)
        for record in answer.get("Invoices", []) if request.path.endswith("/Invoices") else []:
            if put is GONE:
                record.pop(name, None)
            else:
                record[name] = put
        return json.dumps(answer).encode()

    with ExitStack() as stack:
        source = opened(CONNECTORS[vendor], own, tmp_path, stack, 50)
        asked(source.http, said, [])
        delivery = Understood(source, vendor).fetch(DATASETS["invoices"], None)
        assert delivery is not None
        with pytest.raises(SourceError, match=says) as refused:
            list(delivery.pages)
    in_words(refused.value)
