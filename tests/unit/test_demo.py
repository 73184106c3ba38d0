"""The demo's book: a real company's ledger, the same every time it is asked, and one day longer every day."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest

from dagster_project import demo
from dagster_project.__main__ import _morning
from dagster_project.contract import DATASETS, Column, Type
from dagster_project.demo.book import Table, build
from dagster_project.demo.life import Story
from dagster_project.demo.population import Population
from dagster_project.demo.server import DemoServer, Shelf
from dagster_project.demo.timeline import Calendar, Chance, first_day, last_working_day
from dagster_project.policy import row_in_force
from dagster_project.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
AS_OF = date(2026, 11, 22)
Records = list[dict[str, Any]]

NOT_IN_THE_DEMO = {"refunds"}
"""Its company pays nothing back."""


def records(table: Table) -> Records:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


@pytest.fixture(scope="module")
def whole() -> dict[str, Records]:
    """The book as everybody sees it first."""
    return {dataset: records(table) for dataset, table in build(AS_OF).items()}


@pytest.fixture(scope="module")
def small() -> Mapping[str, Table]:
    return build(AS_OF, scale=0.1)


# --- what it looks like ------------------------------------------------------------------------------------------------


def test_it_has_the_size_of_a_company_and_fits_in_a_night(whole: dict[str, Records]) -> None:
    assert 350 <= len(whole["customers"]) <= 450
    assert 22_000 <= len(whole["invoices"]) <= 31_000
    assert 15_000 <= len(whole["invoice_lines"]) <= 22_000
    assert 5_000 <= len(whole["activities"]) <= 11_000
    assert sum(map(len, whole.values())) < 150_000
    assert {company["currency"] for company in whole["companies"]} == {"EUR", "USD"}
    assert {invoice["currency"] for invoice in whole["invoices"]} == {"EUR", "USD", "GBP"}
    readable = {invoice["invoice_date"] for invoice in whole["invoices"] if invoice["invoice_date"] > "2001"}
    assert (min(readable) < "2024-09-04", max(readable)) == (True, "2026-11-20")


def test_its_policy_was_adopted_before_anybody_bought_anything(whole: dict[str, Records]) -> None:
    adopted_on = row_in_force("policy_adoption", "demo", "net_terms", AS_OF)["adopted_on"]
    known = [str(customer["customer_since"]) for customer in whole["customers"] if customer["customer_since"]]

    assert adopted_on < min(*known, *(str(invoice["invoice_date"]) for invoice in whole["invoices"]))


def test_everything_that_happens_in_a_ledger_happens(whole: dict[str, Records]) -> None:
    assert {"payment", "credit_memo", "write_off", "discount", "adjustment"} <= {a["source_type"] for a in whole["allocations"]}
    assert {"invoice", "debit_memo", "credit_memo"} <= {i["document_type"] for i in whole["invoices"]}
    assert {"active", "on_hold", "insolvent", "at_agency", "closed"} <= {c["status"] for c in whole["customers"]}
    assert {"accounts_payable", "senior", "executive"} <= {c["role"] for c in whole["contacts"]}
    assert {review["tier"] for review in whole["credit_reviews"]} == {"1", "2", "3"}
    for dataset, column in (
        *(("invoices", "voided_on"), ("payments", "reversed_on"), ("allocations", "reversed_on"), ("promises", "plan_id")),
        *(("disputes", "outcome"), ("credit_exceptions", "granted_limit"), ("credit_exceptions", "granted_terms")),
    ):
        assert any(record[column] for record in whole[dataset]), f"{dataset}.{column}"
    invoices = {invoice["invoice_id"]: invoice for invoice in whole["invoices"]}
    assert any(Decimal(a["amount"]) < 0 for a in whole["allocations"])
    assert 0.005 < len({i["invoice_id"] for i in whole["instalments"]}) / len(invoices) < 0.025
    assert any(not dispute["resolved_on"] for dispute in whole["disputes"])
    assert any(dispute["amount"] is None for dispute in whole["disputes"])
    paid = Counter(a["source_id"] for a in whole["allocations"] if a["source_type"] == "payment")
    assert sum(count > 3 for count in paid.values()) > 200, "one payment over many invoices"
    assert sum(c["do_not_dun"] is True for c in whole["customers"]) > 1
    assert sum(c["email"] is None for c in whole["customers"]) > 1
    assert any(c["name"][0] in "=+@-" for c in whole["customers"])
    assert any(c["customer_id"] == "0200" for c in whole["customers"]), "the inter-company customer"
    needing = {c["customer_id"] for c in whole["customers"] if c["requires_po"] is True}
    assert any(i["customer_id"] in needing and i["po_number"] is None for i in whole["invoices"])
    scores = whole["credit_scores"]
    assert {"0", "UN", "NR"} <= {score["raw_score"] for score in scores}
    assert {"active", "insolvent"} <= {score["status"] for score in scores}
    assert any(score["customer_id"] is None for score in scores)
    newest: dict[str, str] = defaultdict(str)
    for score in scores:
        newest[score["registration_number"]] = max(newest[score["registration_number"]], score["scored_on"])
    assert any(scored_on < "2025-11-22" for scored_on in newest.values()), "a stale score"


@pytest.mark.parametrize("as_of", [date(2014, 2, 28), AS_OF, date(2031, 7, 1)])
def test_whenever_one_looks_some_get_worse_some_better_and_some_hide_it(as_of: date) -> None:
    day = as_of.toordinal()
    month = as_of.year * 12 + as_of.month - 1
    customers = Population(Chance("arrears"), Calendar(), day - 400, day, 1.0).customers
    alive = [customer for customer in customers if customer.start < day - 365 < day < customer.end]
    slope = [customer.lateness(month - 2) - customer.lateness(month - 6) for customer in alive]
    assert 0.05 < sum(days > 8 for days in slope) / len(alive) < 0.12
    assert 0.015 < sum(days < -8 for days in slope) / len(alive) < 0.10
    hidden = [
        customer
        for customer in alive
        if customer.lateness(month) < 5 and customer.outside_lateness(month) > customer.outside_lateness(month - 6) + 15
    ]
    assert 2 <= len(hidden) <= 25


# --- the contract ------------------------------------------------------------------------------------------------------


def parse(column: Column, value: object) -> object:
    """A value as landing would read it; raises where it could not."""
    if isinstance(value, str) and not value:
        raise ValueError("empty text")
    if column.enum and value not in column.enum:
        raise ValueError(f"{value!r} is none of {column.enum}")
    match column.type:
        case Type.TEXT:
            assert isinstance(value, str)
            return value
        case Type.DATE:
            return date.fromisoformat(str(value))
        case Type.TIMESTAMP:
            if not str(value).endswith("Z"):
                raise ValueError(f"{value!r} has no zone")
            return datetime.fromisoformat(str(value))
        case Type.BOOLEAN:
            assert isinstance(value, bool)
            return value
        case Type.INTEGER:
            assert isinstance(value, int)
            return value
        case _:
            assert not isinstance(value, float), "money is never a float"
            number = Decimal(str(value))
            exponent = number.as_tuple().exponent
            assert isinstance(exponent, int)
            assert exponent >= -(4 if column.type is Type.AMOUNT else 6)
            assert column.signed or number >= 0
            return number


def readable(column: Column, value: object) -> bool:
    if value is None:
        return not column.required
    try:
        parse(column, value)
    except (ValueError, ArithmeticError):
        return False
    return True


def judged(dataset: str, rows: Records) -> tuple[Records, Records]:
    """The records that can be read, and the others. Every value is looked at once, however often it occurs."""
    wrong = {}
    for column in DATASETS[dataset].columns:
        wrong[column.name] = {value for value in {row.get(column.name) for row in rows} if not readable(column, value)}
    suspects = [(name, values) for name, values in wrong.items() if values]
    any_of = DATASETS[dataset].any_of
    fine, bad = [], []
    for row in rows:
        nameless = any_of and not any(row.get(name) for name in any_of)
        spoilt = nameless or any(row.get(name) in values for name, values in suspects)
        (bad if spoilt else fine).append(row)
    return fine, bad


@pytest.fixture(scope="module")
def good(whole: dict[str, Records]) -> dict[str, Records]:
    return {dataset: judged(dataset, rows)[0] for dataset, rows in whole.items()}


def test_every_dataset_of_the_contract_is_there_and_every_record_but_a_few_old_ones_can_be_read(
    whole: dict[str, Records], good: dict[str, Records]
) -> None:
    assert whole.keys() == DATASETS.keys() - NOT_IN_THE_DEMO
    clean = build(AS_OF, unreadable=False)
    spoilt = set()
    for dataset, rows in whole.items():
        assert set(rows[0]) <= set(DATASETS[dataset].column_names)
        assert len(rows) - len(good[dataset]) < 0.005 * len(rows), dataset
        assert good[dataset] == records(clean[dataset]), dataset
        keys = [tuple(row[name] for name in DATASETS[dataset].key) for row in good[dataset]]
        assert len(keys) == len(set(keys)), f"{dataset}: a key twice"
        spoilt |= {dataset} if len(good[dataset]) < len(rows) else set()
    assert {"customers", "invoices", "payments", "disputes", "activities", "exchange_rates", "credit_scores"} <= spoilt


def test_every_reference_points_at_something_that_can_be_read(good: dict[str, Records]) -> None:
    customers = {row["customer_id"] for row in good["customers"]}
    registrations = {row["registration_number"] for row in good["customers"]}
    documents = {row["invoice_id"]: row for row in good["invoices"]}
    payments = {row["payment_id"]: row for row in good["payments"]}
    terms = {row["payment_terms"] for row in good["payment_terms"]}
    for dataset, rows in good.items():
        for row in rows:
            assert row.get("customer_id") is None or row["customer_id"] in customers, (dataset, row)
            if dataset != "invoices":
                assert row.get("invoice_id") is None or row["invoice_id"] in documents, (dataset, row)
            assert row.get("payment_terms") is None or row["payment_terms"] in terms, (dataset, row)
    assert {row["registration_number"] for row in good["credit_scores"]} <= registrations
    for row in good["allocations"]:
        invoice = documents[row["invoice_id"]]
        assert invoice["document_type"] != "credit_memo"
        if row["source_type"] in ("payment", "credit_memo"):
            source = payments[row["source_id"]] if row["source_type"] == "payment" else documents[row["source_id"]]
            assert [source[name] for name in ("customer_id", "company_id", "currency")] == [
                invoice[name] for name in ("customer_id", "company_id", "currency")
            ]
    parts: dict[str, Decimal] = defaultdict(Decimal)
    for row in good["instalments"]:
        parts[row["invoice_id"]] += Decimal(row["amount"])
    assert all(Decimal(documents[invoice]["amount"]) == total for invoice, total in parts.items())
    lines: dict[str, Decimal] = defaultdict(Decimal)
    for row in good["invoice_lines"]:
        lines[row["invoice_id"]] += Decimal(row["amount"])
    wrong = sum(Decimal(documents[invoice]["amount"]) != total for invoice, total in lines.items())
    assert 0 < wrong < 0.01 * len(lines)
    newest = {
        row["invoice_id"] for row in good["invoices"] if row["invoice_date"] > "2025-12" and row["document_type"] == "invoice"
    }
    assert newest <= lines.keys(), "every invoice of the last year has lines"


# --- balances ----------------------------------------------------------------------------------------------------------


def postings(book: Mapping[str, Records]) -> dict[str, list[tuple[date, date, Decimal, int | None]]]:
    """What stands against each document and payment, from when until when (receivables.md, section 2)."""
    documents = {row["invoice_id"]: row for row in book["invoices"]}
    payments = {row["payment_id"]: row for row in book["payments"]}
    found = defaultdict(list)
    for row in book["allocations"]:
        invoice = documents[row["invoice_id"]]
        starts, ends = [row["allocated_on"], invoice["invoice_date"]], [row["reversed_on"], invoice["voided_on"]]
        if row["source_type"] == "payment":
            starts.append(payments[row["source_id"]]["payment_date"])
            ends.append(payments[row["source_id"]]["reversed_on"])
        elif row["source_type"] == "credit_memo":
            starts.append(documents[row["source_id"]]["invoice_date"])
            ends.append(documents[row["source_id"]]["voided_on"])
        begin = date.fromisoformat(max(starts))
        end = min((date.fromisoformat(at) for at in ends if at), default=date.max)
        found[row["invoice_id"]].append((begin, end, Decimal(row["amount"]), row["instalment_number"]))
        if row["source_id"]:
            found[row["source_id"]].append((begin, end, Decimal(row["amount"]), None))
    return found


def balance(book: Mapping[str, Records], company: Mapping[str, Any], at: date, standing: Mapping[str, Any]) -> Decimal:
    """Open items less credits and unapplied cash, each converted by itself: slow, and nothing else."""
    parts = defaultdict(list)
    for row in book["instalments"]:
        parts[row["invoice_id"]].append((row["instalment_number"], Decimal(row["amount"])))
    total = Decimal(0)
    for row in (*book["invoices"], *book["payments"]):
        cash = "payment_id" in row
        born = date.fromisoformat(row["payment_date" if cash else "invoice_date"])
        died = row["reversed_on" if cash else "voided_on"]
        if row["company_id"] != company["company_id"] or born > at or (died and date.fromisoformat(died) <= at):
            continue
        key = row["payment_id" if cash else "invoice_id"]
        taken = [(cents, part) for begin, end, cents, part in standing.get(key, ()) if begin <= at < end]
        items = sorted(parts[key]) if key in parts else [(None, Decimal(row["amount"]))]
        loose = sum((cents for cents, part in taken if part is None), Decimal(0))
        sign = -1 if cash or row["document_type"] == "credit_memo" else 1
        for number, amount in items:
            amount -= sum((cents for cents, part in taken if part is not None and part == number), Decimal(0))
            filled = loose if number is None else min(loose, amount)
            loose -= filled
            assert amount >= filled, f"{key} is allocated beyond its amount"
            total += sign * converted(book, amount - filled, row["currency"], company["currency"], at)
        assert key not in parts or loose == 0
    return total


def converted(book: Mapping[str, Records], amount: Decimal, currency: str, base: str, at: date) -> Decimal:
    if currency == base:
        return amount
    _, rate = max(
        (row["rate_date"], row["rate"])
        for row in book["exchange_rates"]
        if (row["currency"], row["base_currency"]) == (currency, base) and row["rate_date"] <= at.isoformat()
    )
    return (amount * Decimal(rate)).quantize(Decimal("0.01"), ROUND_HALF_UP)


@pytest.mark.parametrize("as_of", [AS_OF, date(2025, 3, 31)])
def test_the_control_account_is_what_a_slow_count_comes_to(as_of: date) -> None:
    book = {dataset: records(table) for dataset, table in build(as_of, scale=0.1, unreadable=False).items()}
    quoted = {row["rate_date"] for row in book["exchange_rates"]}
    # Only the rates around the days looked at: the slow count reads them all for every item.
    days = [
        as_of,
        as_of.replace(day=1) - timedelta(1),
        as_of - timedelta(9),
        date(as_of.year - 1, 12, 31),
        date(as_of.year - 2, as_of.month, 1) - timedelta(1),
    ]
    control = {(row["company_id"], row["as_of"]): Decimal(row["balance"]) for row in book["control_balances"]}
    assert {(as_of - timedelta(back)).isoformat() for back in range(31)} < {at for _, at in control}
    standing = postings(book)
    for day in days:
        latest = max(at for at in quoted if at <= day.isoformat())
        cut = {**book, "exchange_rates": [row for row in book["exchange_rates"] if row["rate_date"] == latest]}
        for company in book["companies"]:
            assert balance(cut, company, day, standing) == control[company["company_id"], day.isoformat()] > 0


def test_every_story_is_settled_within_a_year_and_never_overdone() -> None:
    calendar, chance = Calendar(), Chance("arrears")
    month = 2026 * 12 + 2
    population = Population(chance, calendar, first_day(month) - 900, first_day(month), 0.5)
    batches = [batch for customer in population.customers for batch in Story(chance, calendar, customer, month).tell()]
    assert len(batches) > 150
    for batch in batches:
        assert batch.end - first_day(month) < 400
        for document in batch.documents:
            assert document.left == 0, document
            events = sorted(
                (day, cents)
                for a in batch.allocations
                if a.document is document
                for day, cents in ((a.posted, a.cents), (a.reversed or getattr(a.source, "reversed", None), -a.cents))
                if day
            )
            taken = 0
            for at, (day, cents) in enumerate(events):
                taken += cents
                if at + 1 == len(events) or events[at + 1][0] > day:
                    assert taken <= document.cents or any(a.cents < 0 for a in batch.allocations)
        assert all(payment.left == 0 or payment.reversed for payment in batch.payments)


# --- the same, and one day longer --------------------------------------------------------------------------------------


def test_same_seed_same_bytes_in_another_process_and_another_seed_another_company(tmp_path: Path) -> None:
    def digest(name: str, seed: str, hash_seed: str) -> str:
        folder = tmp_path / name
        command = [sys.executable, "-m", "dagster_project.demo", "--as-of", "2026-11-22", "--scale", "0.05"]
        subprocess.run(
            [*command, "--seed", seed, "--write-files", str(folder)],
            cwd=ROOT,
            env={"PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
        )
        assert {path.stem for path in folder.iterdir()} == DATASETS.keys() - NOT_IN_THE_DEMO
        return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.iterdir()))).hexdigest()

    one = digest("one", "arrears", "1")
    assert one == digest("two", "arrears", "2")
    assert one != digest("three", "another", "1")


def test_landing_the_changes_of_each_day_gives_the_book_of_the_last() -> None:
    """Over a month's turn, with the hour of overlap the pipeline asks for."""
    first = date(2026, 10, 29)
    state = {dataset: keyed(dataset, records(table)) for dataset, table in build(first, scale=0.12, unreadable=False).items()}
    for ahead in range(1, 7):
        day = first + timedelta(ahead)
        later = build(day, scale=0.12, unreadable=False)
        shelf = Shelf(lambda later=later: later)
        for dataset, table in later.items():
            expected = keyed(dataset, records(table))
            known = state[dataset]
            if not DATASETS[dataset].has_cursor:
                state[dataset] = expected
                continue
            cursor = max(row["updated_at"] for row in known.values())
            since = datetime.fromisoformat(cursor) - timedelta(hours=1)
            page = shelf.page(dataset, {"updated_since": since.isoformat(), "limit": "10000"})
            assert page["next"] is None
            changed = page["data"]
            assert isinstance(changed, list)
            assert len(changed) < 0.05 * len(expected) or len(changed) < 10
            for row in changed:
                complete = dict.fromkeys(table.columns) | row
                known |= keyed(dataset, [complete])
            assert {key: known.get(key) for key in expected} == expected, (dataset, day)
            gone = known.keys() - expected.keys()
            assert not gone or ahead >= 3, "records leave the window only when a month does"


def test_what_is_known_without_a_cursor_only_grows_within_a_month() -> None:
    days = [build(date(2026, 10, day), scale=0.12, unreadable=False) for day in (13, 14)]
    for dataset in DATASETS.keys() - NOT_IN_THE_DEMO - {"control_balances"}:
        before, after = (keyed(dataset, records(book[dataset])) for book in days)
        assert before.keys() <= after.keys(), dataset
        if dataset not in ("customers", "invoices", "payments", "allocations", "disputes", "credit_exceptions"):
            assert all(after[key] == row for key, row in before.items()), dataset
    before, after = (keyed("control_balances", records(book["control_balances"])) for book in days)
    ends = {key: row for key, row in before.items() if str(key[1]) < "2026-09"}
    assert len(ends) == 3 * 25
    assert {key: after[key] for key in ends} == ends, "nothing is posted into a month long closed"


def keyed(dataset: str, rows: Records) -> dict[tuple[object, ...], dict[str, Any]]:
    return {tuple(row[name] for name in DATASETS[dataset].key): row for row in rows}


# --- HTTP --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(small: Mapping[str, Table]) -> Iterator[DemoServer]:
    server = DemoServer(lambda: small, "secret")
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def ask(server: DemoServer, path: str, token: str | None = "secret", method: str = "GET") -> tuple[int, Any, Mapping[str, str]]:
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=10)
    try:
        connection.request(method, path, headers={"Authorization": f"Bearer {token}"} if token else {})
        response = connection.getresponse()
        return response.status, json.loads(response.read() or "null"), dict(response.headers)
    finally:
        connection.close()


def test_pages_follow_one_another_and_add_up(server: DemoServer, small: Mapping[str, Table]) -> None:
    path, received, sizes = "/invoices?limit=700", [], []
    while path:
        status, page, headers = ask(server, path)
        assert status == 200
        assert headers["Content-Type"].startswith("application/json")
        assert page["total"] == len(small["invoices"].rows)
        received += page["data"]
        sizes.append(len(page["data"]))
        path = page["next"]
        assert path is None or path.startswith("/invoices?")
    assert set(sizes[:-1]) == {700}
    assert len({row["invoice_id"] for row in received}) == len(received) == len(small["invoices"].rows)
    assert received[-1]["updated_at"] == max(row["updated_at"] for row in received)
    assert all(isinstance(row["amount"], str) for row in received)
    assert all(None not in row.values() for row in received)


def test_a_page_has_a_thousand_records_unless_asked_and_never_more_than_the_server_allows(
    server: DemoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(ask(server, "/allocations")[1]["data"]) == 1_000
    monkeypatch.setattr("dagster_project.demo.server.MOST_ROWS", 1_200)
    _, page, _ = ask(server, "/allocations?limit=999999")
    assert len(page["data"]) == 1_200
    assert "limit=1200" in page["next"]


def test_only_what_changed_since_is_sent_where_a_dataset_can_tell(server: DemoServer, small: Mapping[str, Table]) -> None:
    _, page, _ = ask(server, "/payments?updated_since=2026-11-19T00:00:00Z")
    assert 0 < page["total"] < 60
    assert min(row["updated_at"] for row in page["data"]) >= "2026-11-19T00:00:00Z"
    newest = max(row["updated_at"] for row in page["data"])
    assert ask(server, f"/payments?updated_since={newest}")[1]["total"] >= 1, "the moment itself is included"
    after = (datetime.fromisoformat(newest) + timedelta(microseconds=1)).isoformat().replace("+00:00", "Z")
    assert ask(server, f"/payments?updated_since={after}")[1]["total"] == 0
    assert ask(server, "/exchange_rates?updated_since=2026-11-19T00:00:00Z&limit=1")[1]["total"] == len(
        small["exchange_rates"].rows
    )


def test_what_cannot_be_answered_is_said_as_json(server: DemoServer) -> None:
    for path, token, method, status in (
        ("/invoices", None, "GET", 401),
        ("/invoices", "wrong", "GET", 401),
        ("/nonsense", "secret", "GET", 404),
        ("/", "secret", "GET", 404),
        ("/invoices?limit=0", "secret", "GET", 400),
        ("/invoices?limit=many", "secret", "GET", 400),
        ("/invoices?cursor=-1", "secret", "GET", 400),
        ("/invoices?updated_since=yesterday", "secret", "GET", 400),
        ("/invoices?since=2026-11-19", "secret", "GET", 400),
        ("/invoices", "secret", "POST", 405),
        ("/invoices", "secret", "DELETE", 405),
    ):
        answered, content, _ = ask(server, path, token, method)
        assert (answered, list(content)) == (status, ["error"]), path
    assert ask(server, "/nonsense", None)[0] == 401, "a stranger does not learn what there is"


def test_one_connection_serves_many_requests(server: DemoServer) -> None:
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=10)
    for path in ("/companies", "/payment_terms", "/nonsense", "/companies"):
        connection.request("GET", path, headers={"Authorization": "Bearer secret"})
        connection.getresponse().read()
        assert connection.sock is not None
    connection.close()


def test_the_embedded_server_starts_at_once_and_ends_with_its_owner() -> None:
    running = demo.start(AS_OF, scale=0.02)
    endpoint = running.wait()
    assert endpoint.url.startswith("http://127.0.0.1:")
    assert endpoint.token not in repr(endpoint)
    connection = HTTPConnection(urlsplit(endpoint.url).netloc, timeout=20)
    connection.request("GET", "/companies", headers={"Authorization": f"Bearer {endpoint.token}"})
    assert json.loads(connection.getresponse().read())["total"] == 3
    connection.close()
    running.stop()
    with pytest.raises(ConnectionRefusedError):
        HTTPConnection(urlsplit(endpoint.url).netloc, timeout=5).request("GET", "/companies")
    running.stop()


def test_a_server_that_cannot_start_says_why() -> None:
    with pytest.raises(demo.DemoError, match="invalid float value"), demo.start(AS_OF, scale="lots") as running:  # type: ignore[arg-type]
        running.wait()


@pytest.mark.parametrize(
    ("day", "worked"),
    [(date(2026, 11, 27), 27), (date(2026, 11, 28), 27), (date(2026, 11, 29), 27), (date(2026, 11, 30), 30)],
)
def test_whoever_comes_on_a_day_off_is_shown_the_last_working_day(day: date, worked: int) -> None:
    assert last_working_day(day) == date(2026, 11, worked)


@pytest.mark.parametrize(
    ("day", "source", "morning"),
    [(28, "demo", 27), (27, "demo", 27), (28, "files", 28)],
    ids=["a Saturday", "a Friday", "a ledger's own"],
)
def test_a_night_nobody_dated_is_todays_but_for_the_demo_on_a_day_off(
    day: int, source: str, morning: int, make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = make_settings(source=source, files_dir=tmp_path)

    assert _morning(settings, date(2026, 11, day)) == date(2026, 11, morning)
