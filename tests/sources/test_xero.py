"""Xero's receivables through its connector, from a server that stands in for it: the marts are those of the same book in files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dagster_project.sources import SourceError
from dagster_project.sources.xero import CONNECTOR
from tests.sources import one_book
from tests.sources.nights import Desk, by_files, differences, pulled, secrets_in
from tests.sources.one_book import FIRST, SECOND
from tests.sources.stand_in import CONSENT, ID, SECRET, Reply, serving
from tests.sources.xero_stand_in import TENANT, Xero, xero_id

TRAITS: frozenset[str] = frozenset()


@pytest.fixture
def xero() -> Iterator[Xero]:
    with serving(Xero(one_book.first())) as stand_in:
        assert isinstance(stand_in, Xero)
        yield stand_in


@pytest.fixture
def desk(xero: Xero, tmp_path: Path) -> Desk:
    own = {
        "client_id": ID,
        "client_secret": SECRET,
        "refresh_token": CONSENT,
        "tenant": TENANT,
        "url": f"{xero.url}/api.xro/2.0",
        "token_url": f"{xero.url}/token",
        "write_off_accounts": "BAD",
        "discount_accounts": "DSC, 405",
    }
    return Desk(tmp_path, CONNECTOR, own, {"size": 4, "wait": 0})


def test_two_nights_are_equal_to_those_of_the_same_book_in_files(xero: Xero, desk: Desk) -> None:
    desk.night(FIRST)
    assert differences(desk.marts(FIRST), by_files(1, TRAITS)) == []
    assert desk.left_out["invoices"] == {"drafts and deleted drafts": 1}
    assert desk.left_out["payments"] == {"payments to suppliers and others": 1}

    xero.begin_night(one_book.second())
    xero.ends, xero.repeats = {5}, {3}
    xero.faults = {
        6: Reply({"Title": "Too many"}, 429, {"Retry-After": "0", "X-Rate-Limit-Problem": "minute"}),
        7: Reply(b'{"Invoices": [', 200),
    }
    desk.night(SECOND)

    assert differences(desk.marts(SECOND), by_files(2, TRAITS)) == []
    assert desk.manifests["payments"].received == 4, "one undone, two new, and one of the day it is asked from"
    assert desk.manifests["allocations"].tombstones == 1, "an application taken back leaves no row"
    heard = [each for each in xero.heard if each.path.endswith("/Payments")]
    asked_of = [(each.headers["If-Modified-Since"], each.query.get("where", "")[:14]) for each in heard]
    assert list(dict.fromkeys(asked_of)) == [
        ("2025-06-12T00:00:00", ""),
        ("2025-06-02T00:00:00", 'PaymentType=="'),
        ("2025-06-02T00:00:00", ""),
    ]
    assert xero.tokens == 2, "the first night's token goes on until it ends in the middle of the second"

    kept = desk.folder / "tokens" / "xero.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert secrets_in(desk.folder, [SECRET, CONSENT]) == []
    assert secrets_in(desk.folder, [xero.refresh, xero.good], but=[kept]) == []


def test_records_say_what_xero_says(xero: Xero, desk: Desk) -> None:
    (company,) = pulled(desk, "companies")
    assert (company["company_id"], company["currency"], company["timezone"]) == (TENANT, "EUR", "Europe/Berlin")
    invoice = next(row for row in pulled(desk, "invoices") if row["invoice_number"] == "INV-003")
    assert (invoice["po_number"], invoice["invoice_date"], invoice["due_date"]) == ("Zß/7", "2025-03-15", "2025-04-14")
    assert (invoice["amount"], invoice["open_amount_reported"]) == ("99.99", "39.99")
    customers = pulled(desk, "customers")
    assert {row["name"] for row in customers} == {row["name"] for row in one_book.first()["customers"]}, "no supplier"
    customer = next(row for row in customers if row["name"] == "Nord Ltd")
    assert (customer["payment_terms"], customer["country"]) == ("30/DAYSAFTERBILLDATE", "DE")
    assert [(row["payment_terms"], row["net_days"]) for row in pulled(desk, "payment_terms")] == [("30/DAYSAFTERBILLDATE", "30")]
    application = next(row for row in pulled(desk, "allocations") if row["source_type"] == "credit_memo")
    assert application["allocated_on"] == "2025-04-01", "midnight in Auckland is the day it is written with"
    refund = next(row for row in pulled(desk, "refunds") if row["source_type"] == "credit_memo")
    assert refund["source_id"] == xero_id("invoice", "c02")


def test_money_is_of_its_currencys_digits_and_a_credit_applied_twice_in_a_day_stands_twice(xero: Xero, desk: Desk) -> None:
    records = xero.records(xero.book)
    note = next(each for each in records["CreditNotes"] if each["Allocations"])
    note["Allocations"] = [{**note["Allocations"][0], "Amount": 0.1 + 0.2}] * 2
    xero.records = lambda book: records  # type: ignore[method-assign]

    twice = [row for row in pulled(desk, "allocations") if row["source_type"] == "credit_memo"]

    assert [row["amount"] for row in twice] == ["0.30", "0.30"]
    assert len({row["allocation_id"] for row in twice}) == 2


def test_a_page_that_comes_twice_for_another_is_asked_for_again_and_a_list_that_stays_short_is_refused(
    xero: Xero, desk: Desk
) -> None:
    xero.repeats = {2}
    ids = {row["invoice_id"] for row in pulled(desk, "invoices")}
    assert ids == {xero_id("invoice", key) for key in one_book.by_key(xero.book["invoices"])}

    answer = xero.data

    def short(request: Any) -> Reply:  # fmt: skip
        reply = answer(request)
        if "pagination" in reply.body:
            reply.body["pagination"]["itemCount"] += 1
        return reply

    xero.data = short  # type: ignore[method-assign]
    with pytest.raises(SourceError, match=r"records were announced and .* different ones came, 3 times"):
        pulled(desk, "payments")


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Reply(b"", 429, {"Retry-After": "40000", "X-Rate-Limit-Problem": "day"}), "the calls of a day are used up"),
        (Reply({"Detail": "AuthenticationUnsuccessful"}, 403), "not connected to this app.*ARREARS_XERO_TENANT"),
        (Reply({"ErrorNumber": 16, "Message": "unitdp must be 2 or 4"}, 400), "unitdp must be 2 or 4"),
        (Reply({"Organisations": []}), "Contacts: the answer has no list of them, but Organisations"),
        (Reply(b"<html><title>Proxy</title>"), r"a web page \(«Proxy»\)"),
    ],
)
def test_what_is_wrong_is_said(fault: Reply, says: str, xero: Xero, desk: Desk) -> None:
    xero.faults = {1: fault}

    with pytest.raises(SourceError, match=says):
        pulled(desk, "customers")


def test_a_consent_that_ended_is_final_and_a_custom_connection_needs_none(xero: Xero, desk: Desk, tmp_path: Path) -> None:
    xero.refresh = "another"
    with pytest.raises(SourceError, match=r"invalid_grant.*somebody has to connect again"):
        pulled(desk, "customers")

    custom = {name: value for name, value in desk.own.items() if name not in ("refresh_token", "tenant")}
    alone = Desk(tmp_path / "custom", CONNECTOR, custom, {"size": 4, "wait": 0})
    with ExitStack() as stack:
        source = alone.source(FIRST, stack)
        assert CONNECTOR.companies is not None and CONNECTOR.rights is not None
        assert [company.key for company in CONNECTOR.companies(source)] == [TENANT]
        assert [right.lacks for right in CONNECTOR.rights(source)] == [""] * 7
    assert not (tmp_path / "custom" / "tokens").exists()
