"""Small books whose right answers were worked out from the documents by hand.

The books lie beside the project and are no part of it: where they are not there, these tests are skipped. Each is delivered as a folder
of files, built as SQL, and asked.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dagster_project.contract import DATASETS
from dagster_project.delivery import deliver
from dagster_project.landing import Landing
from dagster_project.sources.files import FilesSource
from tests import compiled
from tests.compiled import Built

CASES = Path(__file__).parents[3] / "shared" / "cases"
MORNING = date(2025, 9, 30)
Build = Callable[..., Built]


@pytest.fixture
def build(landing: Landing, tmp_path: Path) -> Build:
    """Deliver a case and build the marts of a morning from it, with `files` beside its own or in their place. Cases delivered one after
    the other are mornings of one home."""

    def build(case: str, as_of: date = MORNING, files: Mapping[str, str] | None = None) -> Built:
        if not (CASES / case).exists():
            pytest.skip("the cases are not beside the project")
        folder = Path(shutil.copytree(CASES / case, tmp_path / case, dirs_exist_ok=True))
        for name, content in (files or {}).items():
            (folder / name).write_text(content, "utf-8")
        source = FilesSource(folder)
        for dataset in DATASETS.values():
            landing.land(dataset, source.fetch(dataset, None), as_of)
        return compiled.build(compiled.compiled(), landing, as_of, tmp_path / f"{as_of}.{case}")

    return build


@pytest.fixture
def issue(landing: Landing, tmp_path: Path) -> Callable[[Built, date], None]:
    """Deliver a morning's worklist, so that its steps are remembered as issued."""

    def issue(built: Built, as_of: date) -> None:
        marts = {name: built.table(name) for name in ("dunning_worklist", "dunning_items")}
        deliver(tmp_path / "worklists", landing, marts, as_of=as_of, policy="net_terms", run={}, rejected={})

    return issue


def item(built: Built, invoice_id: str) -> Mapping[str, Any]:
    (found,) = [row for row in built.rows("dunning_items") if row["invoice_id"] == invoice_id]
    return found


def test_a_call_of_an_afternoon_in_california_was_that_day_s(build: Build) -> None:
    built = build("california_afternoon")

    assert item(built, "I-UW1")["held_reason"] is None, "called on the 25th, five days ago"
    (figure,) = [
        row
        for row in built.rows("kpi_monthly")
        if (row["kpi"], row["scope"], row["month"]) == ("days_to_invoice", "total", date(2025, 8, 1))
    ]
    assert figure["value"] == 1, "delivered on Monday, sent on Tuesday"


def test_what_was_said_to_an_account_counts_for_the_one_it_was_merged_into(
    build: Build, issue: Callable[[Built, date], None]
) -> None:
    monday, tuesday = date(2025, 9, 29), MORNING
    before = build("merged_customers_monday", monday)
    assert item(before, "I-M1")["held_reason"] is None
    issue(before, monday)

    after = build("merged_customers_tuesday", tuesday)

    held = item(after, "I-M2")
    assert (held["customer_id"], held["held_reason"], held["held_until"]) == ("NEW", "contacted_recently", date(2025, 10, 4))
    assert [row["customer_id"] for row in after.rows("dunning_worklist")] == []


def without(case: str, file: str, *starts: str) -> str:
    """A file of a case without the records whose lines begin so."""
    path = CASES / case / file
    lines = path.read_text("utf-8").splitlines(keepends=True) if path.exists() else []
    return "".join(line for line in lines if not line.startswith(starts))


REFUNDS = """refund_id,customer_id,refunded_on,currency,amount,source_type,source_id,company_id
F-RD1,RD,2025-08-15,EUR,1000.00,payment,P-RD1,E1
F-RC1,RC,2025-08-20,EUR,300.00,credit_memo,C-RC1,E1
"""


@pytest.mark.parametrize("named", [True, False], ids=["naming what is paid back", "naming nothing"])
def test_what_is_paid_back_is_no_longer_unapplied(build: Build, named: bool) -> None:
    case = "refund_as_debit_memo_or_adjustment"
    refunds = REFUNDS if named else REFUNDS.replace("payment,P-RD1", ",").replace("credit_memo,C-RC1", ",")
    files = {
        "refunds.csv": refunds,
        "invoices.csv": without(case, "invoices.csv", "D-"),
        "allocations.csv": without(case, "allocations.csv", "A-RD2", "A-RC2", "A-RE2", "A-RE3"),
    }

    built = build(case, files=files)

    balances = {
        (row["snapshot_date"], row["customer_id"]): row["balance"]
        for row in built.rows("aging_history")
        if row["customer_id"] in ("RD", "RC")
    }
    assert balances == {
        (date(2025, 5, 31), "RC"): Decimal(2000),
        (date(2025, 6, 30), "RD"): Decimal(1500),
        (date(2025, 7, 31), "RD"): Decimal(-1000),
        (date(2025, 7, 31), "RC"): Decimal(-300),
    }
    (august,) = [row for row in built.rows("roll_forward") if row["month"] == date(2025, 8, 1)]
    assert (august["refunds"], august["billed"], august["cash"], august["difference"]) == (1300, 0, -1000, 0)
    assert {
        row["month"]: row["paid_amount"] for row in built.rows("days_beyond_terms_monthly") if row["customer_id"] == "RD"
    } == {date(2025, 7, 1): Decimal(1500)}
