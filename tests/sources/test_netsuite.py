"""NetSuite's receivables through their connector, from a server that stands in for it: the marts are those of the same book in files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from dagster_project.contract import DATASETS
from dagster_project.sources import SourceError
from dagster_project.sources.netsuite import CONNECTOR
from tests.sources import one_book
from tests.sources.netsuite_stand_in import BAD, BANK, CERTIFICATE, INCOME, NetSuite
from tests.sources.nights import Desk, by_files, differences, pulled, secrets_in
from tests.sources.one_book import FIRST, SECOND
from tests.sources.stand_in import ID, Reply, serving

TRAITS: frozenset[str] = frozenset()


@pytest.fixture
def netsuite() -> Iterator[NetSuite]:
    with serving(NetSuite(one_book.first())) as stand_in:
        assert isinstance(stand_in, NetSuite)
        yield stand_in


@pytest.fixture
def desk(netsuite: NetSuite, tmp_path: Path) -> Desk:
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(key)
    own = {
        "account": "1234567_SB1",
        "client_id": ID,
        "certificate_id": CERTIFICATE,
        "key_file": tmp_path / "key.pem",
        "timezone": "Europe/Berlin",
        "write_off_accounts": "6500",
        "url": netsuite.url,
    }
    return Desk(tmp_path / "home", CONNECTOR, own, {"size": 4, "wait": 0})


def test_two_nights_are_equal_to_those_of_the_same_book_in_files(netsuite: NetSuite, desk: Desk) -> None:
    desk.night(FIRST)
    assert differences(desk.marts(FIRST), by_files(1, TRAITS)) == []
    assert desk.left_out["invoices"] == {"what is not posted": 1, "documents of suppliers": 1}

    netsuite.begin_night(one_book.second())
    netsuite.ends = {11}
    busy = netsuite.failed("Concurrent request limit exceeded. Request blocked.", 429, "CONCURRENCY_LIMIT_EXCEEDED")
    netsuite.faults = {4: busy, 6: Reply(b'{"items": [', 200), 9: Reply(busy.body, 400)}
    desk.night(SECOND)

    assert differences(desk.marts(SECOND), by_files(2, TRAITS)) == []
    assert desk.manifests["allocations"].tombstones == 2, "links of what was voided and of what was taken back"
    assert desk.manifests["payments"].received == 6, "one void, two new, and those of a customer that changed"
    assert netsuite.tokens == 3, "a token of each night, and one for that which ended in the middle"
    (kept,) = (desk.folder / "memory").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert secrets_in(desk.folder, [netsuite.good]) == []


def test_journals_are_memos_money_or_what_they_settle_by_their_other_accounts(netsuite: NetSuite, desk: Desk) -> None:
    tables = netsuite.records(netsuite.book)
    invoice = one_book.by_key(netsuite.book["invoices"])["i02"]
    for key, put, other in (("RAISE", "12.5", INCOME), ("LOWER", "-7", INCOME), ("CASH", "-5", BANK), ("BAD", "-9", BAD)):
        netsuite.journal(key, invoice, "2025-06-15", put, other)
    for key, put in (("LOWER", "7"), ("CASH", "5"), ("BAD", "6")):
        netsuite.link("i02", "CustInvc", key, "Journal", {**invoice, "amount": put}, nextline=1)
    netsuite.link("RAISE", "Journal", "p07", "CustPymt", {**invoice, "amount": "12.5"}, previousline=1)
    netsuite.records = lambda book: tables  # type: ignore[method-assign]

    memos = {row["invoice_number"]: (row["document_type"], row["amount"]) for row in pulled(desk, "invoices")}
    assert {key: memos.get(key) for key in ("RAISE", "LOWER", "BAD", "CASH")} == {
        "RAISE": ("debit_memo", "12.50"),
        "LOWER": ("credit_memo", "7.00"),
        "BAD": ("credit_memo", "3.00"),
        "CASH": None,
    }
    cash, lower, raised = (f"{netsuite.id(key)}:1" for key in ("CASH", "LOWER", "RAISE"))
    assert [row["amount"] for row in pulled(desk, "payments") if row["payment_id"] == cash] == ["5.00"]
    put = {
        (row["source_type"], row["source_id"], row["amount"])
        for row in pulled(desk, "allocations")
        if row["allocated_on"] == "2025-06-15"
    }
    money = str(netsuite.id("p07"))
    assert put == {
        ("write_off", None, "6.00"),
        ("credit_memo", lower, "7.00"),
        ("payment", cash, "5.00"),
        ("payment", money, "12.50"),
    }
    assert [row["invoice_id"] for row in pulled(desk, "allocations") if row["source_id"] == money] == [raised]


def test_subsidiaries_are_companies_and_only_one_is_read_where_one_is_named(
    netsuite: NetSuite, desk: Desk, tmp_path: Path
) -> None:
    netsuite.book = one_book.first(traits={"entities"})
    assert [(row["company_id"], row["currency"]) for row in pulled(desk, "companies")] == [("1", "GBP"), ("2", "EUR")]
    rates = [(row["rate_date"], row["base_currency"], row["rate"]) for row in rates_of(desk)]
    assert ("2025-06-10", "GBP", "0.7812500000") in rates and ("2025-04-01", "EUR", "0.8000000000") in rates

    kent = Desk(tmp_path / "kent", CONNECTOR, {**desk.own, "subsidiary": "We Trade Ltd"}, desk.opened)
    assert {row["company_id"] for row in pulled(kent, "invoices")} == {"1"}
    assert len(pulled(kent, "allocations")) == 1


def rates_of(desk: Desk) -> list[dict[str, Any]]:
    """The rates, which are those of the documents that were read before in the same run."""
    with ExitStack() as stack:
        source = desk.source(FIRST, stack)
        for name in ("invoices", "exchange_rates"):
            delivery = source.fetch(DATASETS[name], None)
            assert delivery is not None
            rows = [row for page in delivery.pages for row in page.to_pylist()]
        return rows


def test_records_say_what_netsuite_says_and_what_accounts_hold_is_what_the_book_owes(netsuite: NetSuite, desk: Desk) -> None:
    invoice = next(row for row in pulled(desk, "invoices") if row["invoice_number"] == "INV-003")
    assert (invoice["po_number"], invoice["payment_terms"], invoice["open_amount_reported"]) == ("Zß/7", "Net 30", "39.99")
    sud = next(row for row in pulled(desk, "customers") if row["name"].startswith("Süd"))
    assert (sud["credit_limit"], sud["status"], sud["updated_at"]) == ("5000", "active", "2025-01-02T08:00:00.000000Z")
    assert [(row["net_days"], row["discount_pct"], row["discount_days"]) for row in pulled(desk, "payment_terms")] == [
        ("30", "2.0", "10")
    ]
    refund = next(row for row in pulled(desk, "refunds") if row["amount"] == "25.00")
    assert (refund["source_type"], refund["source_id"]) == ("payment", str(netsuite.id("p08"))), "of the deposit"

    assert CONNECTOR.aged is not None and CONNECTOR.companies is not None and CONNECTOR.rights is not None
    with ExitStack() as stack:
        source = desk.source(FIRST, stack)
        owed = {each.customer_id: (each.currency, str(each.balance)) for each in CONNECTOR.aged(source, FIRST)}
        assert [company.name for company in CONNECTOR.companies(source)] == ["Wir Handel GmbH"]
        assert {right.lacks for right in CONNECTOR.rights(source)} == {""}
        netsuite.hidden = {"nexttransactionlinelink"}
        (lacking,) = [right for right in CONNECTOR.rights(source) if right.lacks]
        assert "Record 'nexttransactionlinelink' was not found" in lacking.lacks and "role of the mapping lacks" in lacking.lacks
    assert owed[sud["customer_id"]] == ("EUR", "4.99")


@pytest.mark.parametrize(
    ("own", "says"),
    [
        ({"certificate_id": "ended"}, r"400 Bad Request: .*invalid_client"),
        ({"subsidiary": "Wer"}, r"'Wer' is not a subsidiary that the role sees: 2 Wir Handel GmbH"),
        ({"timezone": "Mars/Olympus"}, r"'Mars/Olympus' is not a time zone"),
    ],
)
def test_what_is_wrong_is_said(own: dict[str, str], says: str, desk: Desk, tmp_path: Path) -> None:
    with pytest.raises((SourceError, ValueError), match=says):
        pulled(Desk(tmp_path, CONNECTOR, {**desk.own, **own}, desk.opened), "companies")


def test_a_page_that_comes_twice_is_asked_for_again(netsuite: NetSuite, desk: Desk) -> None:
    netsuite.repeats = {2}
    assert len(pulled(desk, "customers")) == len(one_book.first()["customers"])

    netsuite.begin_night()
    netsuite.repeats = {2, 3, 4}
    with pytest.raises(SourceError, match="is not the page behind"):
        pulled(desk, "customers")
