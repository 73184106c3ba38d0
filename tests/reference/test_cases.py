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

from . import books
from .proof import read_files, write_files

CASES = Path(__file__).parents[3] / "shared" / "cases"
MORNING = date(2025, 9, 30)
Build = Callable[..., Built]


@pytest.fixture
def build(landing: Landing, tmp_path: Path) -> Build:
    """Deliver a case and build of a morning the marts that are asked for, with `files` beside its own or in their place. Cases delivered
    one after the other are mornings of one home: what the one before was asked for is to be asked first."""

    def build(case: str, as_of: date = MORNING, files: Mapping[str, str] | None = None, policy: str = "net_terms") -> Built:
        if not (CASES / case).exists():
            pytest.skip("the cases are not beside the project")
        folder = Path(shutil.copytree(CASES / case, tmp_path / case, dirs_exist_ok=True))
        for name, content in (files or {}).items():
            (folder / name).write_text(content, "utf-8")
        source = FilesSource(folder)
        for dataset in DATASETS.values():
            landing.land(dataset, source.fetch(dataset, None), as_of)
        return compiled.build(compiled.compiled(policy), landing, as_of, when_asked=True)

    return build


@pytest.fixture
def issue(landing: Landing, tmp_path: Path) -> Callable[[Built, date], None]:
    """Deliver a morning's worklist, so that its steps are remembered as issued."""

    def issue(built: Built, as_of: date) -> None:
        marts = {name: built.table(name) for name in ("dunning_worklist", "dunning_items")}
        deliver(tmp_path / "worklists", landing, marts, as_of=as_of, policy="net_terms", run={}, rejected={}, key=b"k" * 32)

    return issue


def item(built: Built, invoice_id: str) -> Mapping[str, Any]:
    (found,) = [row for row in built.rows("dunning_items") if row["invoice_id"] == invoice_id]
    return found


def opened(built: Built, customer_id: str) -> list[Decimal]:
    return sorted(row["open_amount"] for row in built.rows("open_items") if row["customer_id"] == customer_id)


def history(built: Built, customer_id: str) -> dict[date, Mapping[str, Any]]:
    return {row["snapshot_date"]: row for row in built.rows("aging_history") if row["customer_id"] == customer_id}


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


def test_a_direct_debit_that_bounced_in_september_had_paid_in_july(build: Build) -> None:
    august = build("bounced_direct_debit_matched_by_reference", date(2025, 8, 31))
    september = build("bounced_direct_debit_matched_by_reference")

    for customer_id in ("BQ", "BS"):
        found = history(september, customer_id)
        assert set(found) == {MORNING}, "nothing was open on 31 July and 31 August"
        assert (found[MORNING]["total_open"], found[MORNING]["oldest_days_past_due"]) == (500, 61)
        (july,) = [
            row
            for row in september.rows("days_beyond_terms_monthly")
            if (row["customer_id"], row["month"]) == (customer_id, date(2025, 7, 1))
        ]
        assert (july["paid_amount"], july["on_time_share"]) == (500, 1)
    for mart, day in (("aging_history", "snapshot_date"), ("days_beyond_terms_monthly", "month")):
        then, later = (
            [{**row, "as_of": None} for row in built.rows(mart) if date(2023, 10, 1) <= row[day] <= date(2025, 8, 31)]
            for built in (august, september)
        )
        assert [row for row in then if row not in later] == []
        assert [row for row in later if row not in then] == []


def test_a_number_that_starts_again_leaves_last_year_s_invoice_settled(build: Build) -> None:
    built = build("invoice_numbers_start_again")

    (found,) = [row for row in built.rows("open_items") if row["customer_id"] == "YR"]
    assert (found["open_amount"], found["aging_bucket"]) == (120, "current")
    assert set(history(built, "YR")) == {date(2024, 10, 31), MORNING}
    (behaviour,) = [row for row in built.rows("payment_behaviour") if row["customer_id"] == "YR"]
    assert behaviour["payer_pattern"] != "chronic"
    assert behaviour["direction"] != "rising"
    # That nobody ever reviewed an account is a trigger of its own, and true of the others of this book too.
    triggers = {row["trigger"] for row in built.rows("credit_reviews_due") if row["customer_id"] == "YR"}
    assert triggers <= {row["trigger"] for row in built.rows("credit_reviews_due") if row["customer_id"] == "FR"}


def test_what_banks_put_beside_a_number_is_no_part_of_it(build: Build) -> None:
    built = build("what_stands_beside_the_number")

    assert len(built.rows("open_items")) == 17
    assert {row["open_amount"] for row in built.rows("open_items")} == {10}, "the long dash too: it is read as a hyphen"


def test_a_payment_that_names_its_entity_pays_that_entity_s_invoice(build: Build) -> None:
    built = build("one_customer_two_entities_same_number", date(2025, 9, 1))

    assert opened(built, "TW") == [20, 30]
    assert {row["company_id"]: row["open_amount"] for row in built.rows("open_items")} == {"E1": 20, "E2": 30}


TERMS = """payment_terms,net_days,from_month_end,to_month_end,due_day,discount_pct,discount_days
N30,30,,,,,
D2,30,,,,2,10
EOM30,30,,true,,,
15NM,0,true,,15,,
"""


def test_terms_are_as_people_write_them(build: Build) -> None:
    built = build("end_of_month_terms", files={"payment_terms.csv": TERMS})

    items = {row["item_id"]: row for row in built.rows("open_items")}
    assert {name: (row["due_date"], row["days_past_due"]) for name, row in items.items()} == {
        "I-EO1": (date(2025, 8, 31), 30),
        "I-EO2": (date(2025, 9, 15), 15),
        "I-EO3": (date(2025, 8, 31), 30),
        "I-WE1": (date(2025, 9, 1), 29),
    }
    wrong = {(row["invoice_id"], row["rule"]) for row in built.rows("invoice_errors")}
    assert wrong == {("I-EO2", "terms_not_agreed")}, "the customer is on EOM30"


def test_what_was_due_on_a_sunday_may_be_paid_on_monday(build: Build) -> None:
    monday = build("due_on_sunday", date(2025, 9, 1))

    assert (item(monday, "I-WK1")["held_reason"], item(monday, "I-WK1")["held_until"]) == (
        "waiting_next_step",
        date(2025, 9, 2),
    )
    with monday.make("int_cash_applied").con as con:
        late = con.sql("select invoice_id, days_late from intermediate.int_cash_applied").fetchall()
    assert dict(late)["I-WL1"] == 1, "days late are calendar days"


def test_the_last_of_three_thirds_takes_the_cent(build: Build) -> None:
    built = build("instalments_of_thirds")

    assert {row["item_id"]: row["original_amount"] for row in built.rows("open_items")} == {
        "I-TH1/2": Decimal("33.33"),
        "I-TH1/3": Decimal("33.34"),
    }
    assert built.failures["instalments_leave_no_cent"] == 1


def test_what_a_parent_pays_naming_its_daughters_invoices_is_held_and_suggested(build: Build) -> None:
    built = build("parent_pays_for_daughters")

    for invoice_id in ("I-PA1", "I-PB1"):
        assert (item(built, invoice_id)["held_reason"], item(built, invoice_id)["held_list"]) == (
            "possible_payment",
            "cash_application",
        )
    suggested = {(row["payment_id"], row["invoice_id"]): row["amount"] for row in built.rows("cash_application_suggestions")}
    assert suggested == {("P-PP1", "I-PA1"): 400, ("P-PP1", "I-PB1"): 500}
    assert opened(built, "PP") == [-900]
    assert opened(built, "QA") == []


def test_what_is_offered_for_paying_early_is_recognised_when_it_is_paid(build: Build) -> None:
    (offer,) = [
        row
        for row in build("discount_after_part_payment", date(2025, 9, 23)).rows("early_payment_offers")
        if row["invoice_id"] == "I-DT1"
    ]
    assert (offer["discount_amount"], offer["amount_if_paid_early"]) == (12, 588)

    suggested = {row["payment_id"]: row for row in build("discount_after_part_payment").rows("cash_application_suggestions")}
    assert (suggested["P-DT2"]["rule"], suggested["P-DT2"]["amount"]) == ("one_item_less_discount", 588)
    assert "P-DU2" not in suggested


@pytest.mark.parametrize("told", [True, False], ids=["with what it took of the payment", "without"])
def test_an_invoice_settled_in_another_currency(build: Build, told: bool) -> None:
    name = "spreadsheets/35_cross_currency_payment"
    allocations = (
        "allocation_id,invoice_id,source_type,allocated_on,amount,source_id,source_amount\nA1,I1,payment,2025-09-25,1234.56,P1,"
    )

    built = build(name, files={"allocations.csv": allocations + ("1400.00" if told else "") + "\n"})

    amounts = {row["item_id"]: row["open_amount"] for row in built.rows("open_items")}
    assert amounts == ({"I2": 500} if told else {"I1": Decimal("1234.56"), "I2": 500, "payment/P1": -1400})
    if told:
        (september,) = [row for row in built.rows("roll_forward") if row["month"] == date(2025, 9, 1)]
        assert (september["cash"], september["fx"], september["difference"]) == (1260, Decimal("25.44"), 0), "1,400 at 0.90"
    else:
        assert built.make("allocations_in_other_currencies_are_told").failures["allocations_in_other_currencies_are_told"] == 1
        assert item(built, "I1")["held_reason"] == "possible_payment"
        assert item(built, "I2")["held_reason"] is None, "nobody else waits for it"


def test_a_book_without_any_payment_lets_nothing_out(build: Build) -> None:
    with pytest.raises(compiled.BlockingTestFailed, match="payments_are_known"):
        build("spreadsheets/29_header_only_payments").make("payments_are_known")


def test_what_the_source_holds_open_is_held_against_ours(build: Build) -> None:
    invoices = (CASES / "due_on_sunday" / "invoices.csv").read_text("utf-8") if CASES.exists() else ""
    header, *lines = invoices.splitlines() or [""]
    reported = {"I-FR1": "0", "I-WK1": "60.00", "I-WL1": "0.00"}
    told = [header + ",open_amount_reported", *(f"{line},{reported[line.split(',')[0]]}" for line in lines)]

    built = build("due_on_sunday", date(2025, 9, 1), files={"invoices.csv": "\n".join(told) + "\n"})

    (row,) = built.rows("document_reconciliation")
    assert (row["item_id"], row["reported"], row["open_amount"], row["difference"]) == ("I-WK1", 60, 100, -40)
    assert row["likely_cause"] == "an allocation that was not delivered"


def test_what_is_converted_has_the_digits_of_its_currency(build: Build) -> None:
    built = build("yen_and_dinar", files={"files.toml": 'decimal = "."\n'})

    rows = {row["company_id"]: row for row in built.rows("control_reconciliation")}
    assert {company: (row["subledger_balance"], row["state"]) for company, row in rows.items()} == {
        "J1": (212_506, "tied"),
        "K1": (Decimal("30.555"), "tied"),
    }


def test_a_cent_left_open_changes_nobody(build: Build) -> None:
    case = "cent_left_two_good_years"
    # PV is another PU, whose cent came in September: 122 days late.
    names = ("customers.csv", "credit_scores.csv", "invoices.csv", "payments.csv", "allocations.csv")
    files = {name: without(case, name) for name in names}
    files = {name: text + again(text, "PU", "PV") for name, text in files.items()}
    files["payments.csv"] += "P-CENT,PV,2025-09-29,EUR,0.01,E1,transfer,,\n"
    files["allocations.csv"] += "A-CENT,I-PV19,payment,2025-09-29,0.01,P-CENT,,,\n"

    built = build(case, files=files)

    amounts = {"paid_amount", "paid_amount_12m", "balance", "past_due_amount", "exposure_amount", "exposure_above_limit_amount"}
    for mart in (
        *("risk_tiers", "risk_tier_history", "risk_tier_reasons", "policy_comparison"),
        *("payment_behaviour", "credit_reviews_due", "credit_limit_use"),
    ):
        told: dict[str, list[Mapping[str, Any]]] = {"PT": [], "PU": [], "PV": []}
        for row in built.rows(mart):
            if row["customer_id"] in told:
                left_out = {"customer_id", "customer_name", "detail", *amounts}
                told[row["customer_id"]].append({name: value for name, value in row.items() if name not in left_out})
        for rows in told.values():
            rows.sort(key=repr)
        assert told["PU"] == told["PT"], mart
        assert told["PV"] == told["PT"], mart
    history_of_packs = built.con.sql(
        "select customer_id, policy, snapshot_date, tier_indicated from intermediate.int_risk_verdicts"
    )
    tiers: dict[str, set[tuple[Any, ...]]] = {customer_id: set() for customer_id in ("PT", "PU", "PV", "FR")}
    for customer_id, *verdict in history_of_packs.fetchall():
        tiers[customer_id].add(tuple(verdict))
    assert tiers["PT"] == tiers["PU"] == tiers["PV"]
    months = [row for row in built.rows("days_beyond_terms_monthly") if row["customer_id"] in ("PU", "PV")]
    assert {row["dbt_days"] for row in months} == {0, None}
    assert [row["paid_amount"] for row in months if row["dbt_days"] is None] == [Decimal("0.01")]
    aged = history(built, "PU")
    assert opened(built, "PU") == [Decimal("0.01")]
    assert (aged[MORNING]["d90_plus"], aged[MORNING]["balance"]) == (Decimal("0.01"), Decimal("0.01"))
    assert item(built, "I-PU19")["held_reason"] == "below_minimum"


def again(text: str, name: str, as_name: str) -> str:
    """The lines of a file that are about somebody, about somebody else."""
    return "".join(line.replace(name, as_name) for line in text.splitlines(keepends=True) if name in line)


# --- what every night asks ---------------------------------------------------------------------------------------------


def test_whatever_blocks_a_night_finds_nothing_in_any_case(landing: Landing, tmp_path: Path) -> None:
    """All cases on one morning, side by side: a build for each would take as long as all else that is asked of them."""
    if not CASES.exists():
        pytest.skip("the cases are not beside the project")
    # documents that name no entity, as of a book without any, belong to nobody beside those of others
    cases = [path for path in sorted(CASES.iterdir()) if (path / "companies.csv").exists()]
    whole = books.merged([apart(read_files(path), path.name) for path in cases])
    rates = {(rate["rate_date"], rate["currency"], rate["base_currency"]): rate for rate in whole["exchange_rates"]}
    whole["exchange_rates"] = list(rates.values())  # which are nobody's
    write_files(whole, tmp_path / "whole")
    source = FilesSource(tmp_path / "whole")
    for dataset in DATASETS.values():
        manifest = landing.land(dataset, source.fetch(dataset, None), MORNING)
        assert manifest.quarantined == 0, manifest.reasons

    built = compiled.build(compiled.compiled(), landing, MORNING)

    assert len(cases) > 10
    assert {row["customer_id"].rpartition("-")[0] for row in built.rows("risk_tiers")} == {path.name for path in cases}


def apart(book: books.Book, case: str) -> books.Book:
    """The book in an id space of its own."""
    return {
        dataset: [
            {
                column: f"{case}-{value}" if value and (column.endswith(("_id", "_into")) or column == "payment_terms") else value
                for column, value in record.items()
            }
            for record in records
        ]
        for dataset, records in book.items()
    }
