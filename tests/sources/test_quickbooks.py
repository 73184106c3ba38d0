"""QuickBooks' receivables through their connector, from a server that stands in for it: the marts are those of the same book in files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from dagster_project.sources import SourceError, quickbooks
from dagster_project.sources.quickbooks import CONNECTOR
from tests.sources import one_book
from tests.sources.nights import Desk, by_files, differences, pulled, secrets_in
from tests.sources.one_book import FIRST, SECOND
from tests.sources.quickbooks_stand_in import BAD_DEBT, DEBTORS, DISCOUNT, REALM, QuickBooks, link, meta, number_of, ref
from tests.sources.stand_in import CONSENT, ID, SECRET, Reply, serving

TRAITS = frozenset({"unapplied"})
SINCE = datetime(2025, 6, 12, 8)
"""The newest change of the first night: what a second one asks from."""


@pytest.fixture
def books() -> Iterator[QuickBooks]:
    with serving(QuickBooks(one_book.first())) as stand_in:
        assert isinstance(stand_in, QuickBooks)
        yield stand_in


@pytest.fixture
def desk(books: QuickBooks, tmp_path: Path) -> Desk:
    own = {
        "client_id": ID,
        "client_secret": SECRET,
        "refresh_token": CONSENT,
        "realm": REALM,
        "url": books.url,
        "token_url": f"{books.url}/token",
        "write_off_items": BAD_DEBT,
        "discount_items": f"99, {DISCOUNT}",
    }
    return Desk(tmp_path, CONNECTOR, own, {"size": 4, "wait": 0})


def test_two_nights_are_equal_to_those_of_the_same_book_in_files(books: QuickBooks, desk: Desk) -> None:
    desk.night(FIRST)
    assert differences(desk.marts(FIRST), by_files(1, TRAITS)) == []
    assert sorted(desk.left_out["invoices"].values()) == [1, 2], (
        "a journal, and the two memos that are a write-off and a discount"
    )

    books.begin_night(one_book.second(traits=TRAITS))
    books.ends, books.repeats = {5}, {9}
    books.faults = {
        12: books.fault("message=ThrottleExceeded; errorCode=003001; statusCode=403", "3001", 403, **{"Retry-After": "0"}),
        13: Reply(b"", 503),
    }
    desk.night(SECOND)

    assert differences(desk.marts(SECOND), by_files(2, TRAITS)) == []
    lists = [each.query["query"] for each in books.heard if " from Payment " in each.query.get("query", "")]
    assert lists and all("LastUpdatedTime >= '2025-06-12T07:00:00Z'" in each for each in lists), "only what changed was asked for"
    assert books.tokens == 2, "the first night's token goes on until it ends in the middle of the second"
    void = next(row for row in desk.rows("invoices") if row["invoice_number"] == "INV-008")
    assert void["amount"] == Decimal("180.0000"), "what was voided says 0 now; what it was is remembered"

    kept = desk.folder / "tokens" / "quickbooks.json"
    memory = desk.folder / "memory" / f"quickbooks-{REALM}.sqlite"
    assert (kept.stat().st_mode & 0o777, memory.stat().st_mode & 0o777) == (0o600, 0o600)
    assert secrets_in(desk.folder, [SECRET, CONSENT]) == []
    assert secrets_in(desk.folder, [books.refresh, books.good], but=[kept]) == []
    assert secrets_in(memory.parent, ["Nord Ltd", "ap@nord.example"]) == [], "what is remembered names nobody"


def test_journals_deposits_and_cash_in_an_invoice_are_what_they_do_to_the_receivable(books: QuickBooks, desk: Desk) -> None:
    objects = books.objects(books.book)
    nord = number_of("customer", "nord")

    def journal(id_: str, posting: str) -> dict[str, object]:
        entity = {"Type": "Customer", "EntityRef": ref(nord)}
        detail = {"PostingType": posting, "AccountRef": ref(DEBTORS), "Entity": entity}
        return {
            "Id": id_,
            "TxnDate": "2025-06-01",
            "Line": [{"Id": "0", "Amount": 12.5, "JournalEntryLineDetail": detail}],
            **meta(one_book.CHANGED),
        }

    objects["JournalEntry"] += [journal("8", "Debit"), journal("9", "Credit")]
    own = {"Id": "2", "Amount": 33, "DepositLineDetail": {"AccountRef": ref(DEBTORS), "Entity": ref(nord)}}
    objects["Deposit"].append({"Id": "5", "TxnDate": "2025-06-01", "Line": [own], **meta(one_book.CHANGED)})
    objects["Invoice"][0] |= {"Deposit": 10}
    lines = [
        link("JournalEntry", "8", 12.5),
        link("JournalEntry", "9", 12.5),
        link("Invoice", number_of("Invoice", "i02"), 33),
        link("Deposit", "5", 33),
    ]
    objects["Payment"].append(
        {"Id": "77", "TxnDate": "2025-06-02", "TotalAmt": 0, "CustomerRef": ref(nord), "Line": lines, **meta(one_book.CHANGED)}
    )
    books.objects = lambda book: objects  # type: ignore[method-assign]

    memos = {row["invoice_id"]: row["document_type"] for row in pulled(desk, "invoices") if row["invoice_id"].startswith("je:")}
    put = {row["allocation_id"]: (row["source_id"], row["amount"]) for row in pulled(desk, "allocations")}
    paid = {row["payment_id"]: row["amount"] for row in pulled(desk, "payments")}

    assert memos == {"je:8:0": "debit_memo", "je:9:0": "credit_memo"}
    assert put["77:je:8:0:je:9:0"] == ("je:9:0", "12.50")
    assert put[f"77:inv:{number_of('Invoice', 'i02')}:dep:5:2"] == ("dep:5:2", "33.00")
    deposit = f"invdep:{number_of('Invoice', 'i01')}"
    assert (paid["dep:5:2"], paid[deposit], put[deposit]) == ("33.00", "10.00", (deposit, "10.00"))


def test_after_a_long_pause_everything_is_read_and_what_is_missing_is_gone(
    books: QuickBooks, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulled(desk, "payments")
    books.begin_night(one_book.second(traits=TRAITS))
    monkeypatch.setattr(quickbooks, "CAPTURED", -quickbooks.CAPTURED)

    gone = undone(pulled(desk, "payments", SINCE))

    assert not [each for each in books.heard if each.path.endswith("/cdc")]
    assert gone == (FIRST.isoformat(), "400.00"), "the morning that found it missing"


def test_more_than_change_data_capture_tells_is_found_by_every_id_there_is(
    books: QuickBooks, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulled(desk, "payments")
    books.begin_night(one_book.second(traits=TRAITS))
    monkeypatch.setattr(quickbooks, "MOST_CAPTURED", 2)

    gone = undone(pulled(desk, "payments", SINCE))

    assert len([each for each in books.heard if each.path.endswith("/cdc")]) == 7, "together, then each alone"
    assert gone == (FIRST.isoformat(), "400.00")


def undone(payments: list[dict[str, str]]) -> tuple[str, str]:
    (row,) = [row for row in payments if row["payment_id"] == f"pay:{number_of('payment', 'p04')}"]
    return row["reversed_on"], row["amount"]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (("Wrong Cluster", "3100", 403), "sandbox and production have addresses of their own"),
        (("Object Not Found", "610", 400), r"Object Not Found \(code 610, intuit_tid tid-7\)"),
    ],
)
def test_what_is_wrong_is_said_with_the_number_that_support_asks_for(
    fault: tuple[str, str, int], says: str, books: QuickBooks, desk: Desk
) -> None:
    books.faults = {1: books.fault(*fault)}

    with pytest.raises(SourceError, match=says):
        pulled(desk, "customers")


def test_a_night_that_ends_on_the_way_is_done_again_by_the_next(books: QuickBooks, desk: Desk) -> None:
    pulled(desk, "payments")
    books.begin_night(one_book.second(traits=TRAITS))
    books.faults = {12: books.fault("Object Not Found", "610", 400)}
    with pytest.raises(SourceError):
        pulled(desk, "payments", SINCE)
    books.begin_night()

    assert undone(pulled(desk, "payments", SINCE)) == (SECOND.isoformat(), "400.00"), "the day that was told"
    (moved,) = [row for row in pulled(desk, "invoices", SINCE) if row["invoice_number"] == "INV-012"]
    assert moved["customer_id"] == number_of("customer", "nord")


def test_its_own_aged_report_is_read_by_customer_without_its_sums(books: QuickBooks, desk: Desk) -> None:
    def cells(name: str, total: str, **key: str) -> dict[str, object]:
        return {"ColData": [{"value": name, **key}, {"value": ""}, {"value": total}]}

    jobs = {
        "Header": cells("Nord", "20.00", id="1"), "Rows": {"Row": [cells("Nord:Roof", "-5.50", id="7")]},
        "Summary": cells("Total Nord", "14.50"), "type": "Section",
    }  # fmt: skip
    total = {"Summary": cells("TOTAL", "114.50"), "type": "Section", "group": "GrandTotal"}
    columns = {"Column": [{"ColType": "Customer"}, {"ColTitle": "Current"}, {"ColTitle": "Total"}]}
    report = {
        "Header": {},
        "Columns": columns,
        "Rows": {"Row": [jobs, cells("Süd", "100.00", id="2"), cells("West", "", id="3"), total]},
    }
    books.faults = {1: Reply(report), 4: Reply({"Header": {}})}
    assert CONNECTOR.aged is not None

    with ExitStack() as stack:
        source = desk.source(FIRST, stack)
        said = [(each.customer_id, each.currency, str(each.balance)) for each in CONNECTOR.aged(source, FIRST)]
        asked = books.heard[0]
        books.faults = {len(books.heard) + 1: Reply({"Header": {}})}
        with pytest.raises(SourceError, match="the report AgedReceivables has no columns and rows"):
            list(CONNECTOR.aged(source, FIRST))

    assert said == [("1", "EUR", "20.00"), ("7", "EUR", "-5.50"), ("2", "EUR", "100.00")]
    assert (asked.path.rpartition("/")[2], asked.query["report_date"]) == ("AgedReceivables", "2025-06-30")
