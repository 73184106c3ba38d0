"""Ledgers that people can look at: the fixture of the golden morning, and a published sample whose answers are known.

The sample is IBM's of accounts receivable: 2,466 settled invoices with the days each was late. Its licence is stated nowhere, so it
is no part of the project; where it lies beside the project it is measured against, else these tests are skipped.
"""

from __future__ import annotations

import csv
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from .ledger import Ledger, bucket_of, month_end
from .proof import Desk, differences, read_files

FIXTURE = Path(__file__).parent.parent / "fixtures" / "ledger"
SAMPLE = Path(__file__).parents[3] / "shared" / "data" / "ibm-receivables"
LAST_MORNING = date(2013, 12, 31)


def test_the_fixture_s_figures_are_the_reference_s(tmp_path: Path) -> None:
    morning = date(2025, 6, 30)
    desk = Desk(tmp_path)
    desk.land_files(FIXTURE, morning)

    marts = desk.build(morning)

    assert [str(mismatch) for mismatch in differences(Ledger(read_files(FIXTURE), morning), marts)] == []


class Sample:
    """The sample as published, read by itself, and what the pipeline makes of it on the last day of 2013."""

    def __init__(self, folder: Path):
        with (SAMPLE / "original.csv").open(newline="", encoding="utf-8") as file:
            self.invoices = {row["invoiceNumber"]: row for row in csv.DictReader(file)}
        self.desk = Desk(folder)
        self.desk.land_files(SAMPLE, LAST_MORNING)
        self.marts = self.desk.build(LAST_MORNING)
        self.built = self.desk.built

    def day(self, number: str, column: str) -> date:
        return datetime.strptime(self.invoices[number][column], "%m/%d/%Y").date()

    def open_on(self, day: date) -> dict[str, Decimal]:
        """Invoices issued and not settled by a day, counted from the published dates alone."""
        return {
            number: Decimal(row["InvoiceAmount"])
            for number, row in self.invoices.items()
            if self.day(number, "InvoiceDate") <= day < self.day(number, "SettledDate")
        }


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    if not (SAMPLE / "original.csv").exists():
        pytest.skip("the published sample is not beside the project")
    return Sample(tmp_path_factory.mktemp("sample"))


@pytest.mark.parametrize("month", range(1, 13))
def test_what_is_open_at_a_month_s_end_is_what_was_not_settled_by_then(sample: Sample, month: int) -> None:
    day = month_end(date(2013, month, 1))
    expected: dict[str, Decimal] = {}
    for number, amount in sample.open_on(day).items():
        bucket = bucket_of((day - sample.day(number, "DueDate")).days)
        expected[bucket] = expected.get(bucket, Decimal(0)) + amount
    rows = [row for row in sample.marts["aging_history"] if row["snapshot_date"] == day]
    columns = {"current": "current_amount", "1-30": "d1_30", "31-60": "d31_60", "61-90": "d61_90", "90+": "d90_plus"}

    assert {bucket: sum(row[column] for row in rows) for bucket, column in columns.items()} == {
        bucket: expected.get(bucket, 0) for bucket in columns
    }


def test_every_settled_invoice_was_as_many_days_late_as_published(sample: Sample) -> None:
    asked = "select invoice_id, days_late, effective_on, is_late from intermediate.int_cash_applied"
    found = sample.built.con.execute(asked).fetchall()
    trifles = {number for number, days, _, is_late in found if days is None and is_late}
    settled = {number for number in sample.invoices if sample.day(number, "SettledDate") <= LAST_MORNING}

    assert {number for number, *_ in found} == settled
    assert {number: max(days, 0) for number, days, *_ in found if number not in trifles} == {
        number: int(sample.invoices[number]["DaysLate"]) for number in settled - trifles
    }
    assert all(float(sample.invoices[number]["InvoiceAmount"]) < 10 for number in trifles), "late, and nothing else was past due"
    assert {number: day for number, _, day, _ in found} == {number: sample.day(number, "SettledDate") for number in settled}


def test_the_months_of_the_sample_are_the_reference_s(sample: Sample) -> None:
    ledger = Ledger(read_files(SAMPLE), LAST_MORNING)

    unlike = [
        mismatch for mismatch in differences(ledger, sample.marts) if mismatch.column != "state"
    ]  # it has no control account

    assert unlike == []


def test_the_morning_whose_answer_is_published(sample: Sample) -> None:
    morning = date(2013, 9, 30)

    rows = sample.desk.build(morning)["open_items"]

    assert len(rows) == 88
    assert sum(row["open_amount"] for row in rows) == Decimal("5029.22")
    assert sum(row["days_past_due"] > 0 for row in rows) == 7
    assert {row["invoice_id"]: row["open_amount"] for row in rows} == sample.open_on(morning)
