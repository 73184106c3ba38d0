"""Business Central's receivables through their connector, from a server that stands in for it: the marts are those of the same book in
files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dagster_project.sources import SourceError
from dagster_project.sources.business_central import CONNECTOR
from tests.sources import one_book
from tests.sources.business_central_stand_in import COMPANIES, TENANT, BusinessCentral
from tests.sources.nights import Desk, by_files, differences, pulled, secrets_in
from tests.sources.one_book import FIRST, SECOND
from tests.sources.stand_in import ID, SECRET, Reply, serving

TRAITS = frozenset({"entities", "unapplied", "fixed"})


@pytest.fixture
def central() -> Iterator[BusinessCentral]:
    with serving(BusinessCentral(one_book.first(traits=TRAITS))) as stand_in:
        assert isinstance(stand_in, BusinessCentral)
        yield stand_in


@pytest.fixture
def desk(central: BusinessCentral, tmp_path: Path) -> Desk:
    own = {"tenant": TENANT, "client_id": ID, "client_secret": SECRET, "url": central.url, "token_url": f"{central.url}/token"}
    return Desk(tmp_path, CONNECTOR, own, {"size": 4, "wait": 0})


def test_two_nights_are_equal_to_those_of_the_same_book_in_files(central: BusinessCentral, desk: Desk) -> None:
    desk.night(FIRST)
    assert differences(desk.marts(FIRST), by_files(1, TRAITS)) == []
    assert desk.left_out["allocations"] == {"exchange gains and losses, in the entity's currency alone": 2}

    central.begin_night(one_book.second(traits=TRAITS))
    central.ends = {7}
    central.faults = {
        9: Reply({"error": {"code": "x", "message": "Sorry, please try again later."}}, 400),
        10: Reply(b"", 429, {"Retry-After": "0"}),
        11: Reply(b'{"value": [', 200),
    }
    desk.night(SECOND)

    assert differences(desk.marts(SECOND), by_files(2, TRAITS)) == []
    asked = [each.query.get("$filter", "") for each in central.heard if each.path.endswith("/detailedCustomerLedgerEntries")]
    assert asked and all(asked), "only what changed, or by number"
    assert central.tokens == 3, "a token of each night, and one for that which ended in the middle"
    assert secrets_in(desk.folder, [SECRET, central.good]) == []


def test_a_document_in_another_currency_than_its_payment_has_both_amounts(central: BusinessCentral, desk: Desk) -> None:
    records = {key: central.records(central.book, key) for key in COMPANIES}
    invoice, payment = central.number("i05"), central.number("p07")
    common = {"entryType": "Application", "postingDate": "2025-06-15", "unapplied": False, "unappliedByEntryNumber": 0,
              "appliedCustomerLedgerEntryNumber": payment, "transactionNumber": 77, "lastModifiedDateTime": one_book.CHANGED}  # fmt: skip
    records["main"]["detailedCustomerLedgerEntries"] += [
        {**common, "entryNumber": 9001, "customerLedgerEntryNumber": invoice, "amount": -25, "currencyCode": "USD"},
        {**common, "entryNumber": 9002, "customerLedgerEntryNumber": payment, "amount": 20, "currencyCode": ""},
    ]
    central.records = lambda book, key: records[key]  # type: ignore[method-assign]

    (put,) = [row for row in pulled(desk, "allocations") if row["allocation_id"] == "WIR:9001"]

    assert (put["amount"], put["source_amount"], put["source_id"]) == ("25.00", "20.00", f"WIR:{payment}")


def test_terms_that_are_days_or_weeks_are_terms(desk: Desk) -> None:
    assert [(row["payment_terms"], row["net_days"], row["discount_days"]) for row in pulled(desk, "payment_terms")] == [
        ("30 DAYS", "30", "7")
    ]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Reply({}, 404), r"no list came back\. Is ARREARS_BUSINESS_CENTRAL_ENVIRONMENT right"),
        (Reply({"error": {"code": "Forbidden", "message": "needs API.ReadWrite.All"}}, 403), "API.ReadWrite.All.*administrator"),
    ],
)
def test_what_is_wrong_is_said(fault: Reply, says: str, central: BusinessCentral, desk: Desk, tmp_path: Path) -> None:
    central.faults = {1: fault}
    with pytest.raises(SourceError, match=says):
        pulled(desk, "customers")

    other: dict[str, Any] = {**desk.own, "company": "WER"}
    with pytest.raises(SourceError, match="'WER' is not a company that the app sees: WIR, KENT"):
        pulled(Desk(tmp_path, CONNECTOR, other, desk.opened), "customers")


def test_its_own_aged_report_is_read_by_customer_and_is_of_its_own_day_alone(central: BusinessCentral, desk: Desk) -> None:
    def report(number: str, balance: float, day: str = "2025-06-30") -> Reply:
        total = {"customerNumber": "", "name": "Total", "balanceDue": 9, "agedAsOfDate": day}
        return Reply(
            {"value": [{"customerNumber": number, "currencyCode": "", "balanceDue": balance, "agedAsOfDate": day}, total]}
        )

    central.faults = {2: report("dover", 200.0), 5: report("nord", 130.5)}
    assert CONNECTOR.aged is not None

    with ExitStack() as stack:
        source = desk.source(FIRST, stack)
        said = [(each.customer_id, each.currency, str(each.balance)) for each in CONNECTOR.aged(source, FIRST)]
        central.faults = {len(central.heard) + 1: report("dover", 200.0, "2025-07-01")}
        with pytest.raises(SourceError, match=r"as of today \(2025-07-01\) alone, and the morning is of 2025-06-30"):
            list(CONNECTOR.aged(source, FIRST))

    assert said == [("KENT:dover", "GBP", "200.00"), ("WIR:nord", "EUR", "130.50")]
