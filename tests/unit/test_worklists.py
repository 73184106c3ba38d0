"""The worklist folder: what is in it, what never is, and that two mornings on the same marts are the same bytes."""

from __future__ import annotations

import csv
import email
import email.policy
import hashlib
import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import unescape

import pyarrow as pa
import pytest
from openpyxl import load_workbook
from openpyxl.utils import column_index_from_string
from python_calamine import CalamineWorkbook
from xlsxwriter.utility import xl_col_to_name

from dagster_project import form, tables
from dagster_project.outgoing import (
    MARTS,
    WorklistError,
    export,
    file_names,
    recover,
    swap,
    swap_into_place,
    write_no_worklist,
)
from dagster_project.outgoing.letters import drafts
from dagster_project.outgoing.workbook import process
from dagster_project.outgoing.workbook.mart_sheets import MART_SHEETS
from dagster_project.outgoing.workbook.sheets import AMBER, GREEN, RED, colours_of, money_format

AS_OF = date(2026, 11, 20)
MONEY = pa.decimal128(18, 4)

ACTION = pa.schema(
    [
        *[(name, pa.date32()) for name in ("as_of", "last_contact_on", "promised_on")],
        *[
            (name, pa.int32())
            for name in ("rank", "severity", "item_count", "past_due_item_count", "oldest_days_past_due", "held_item_count")
        ],
        *[
            (name, pa.string())
            for name in (
                *("customer_id", "customer_name", "company_id", "collector", "step", "step_label", "channel", "audience"),
                *("tone", "template", "effect", "reporting_currency", "document_currencies", "tier_in_force"),
                *("payer_pattern", "direction", "contact_name", "contact_email", "contact_phone", "last_contact_outcome"),
                *("promised_currency", "suggested_arrangement", "arrangement_reason", "why", "language", "company_name"),
            )
        ],
        *[
            (name, MONEY)
            for name in (
                *("past_due_amount", "not_due_amount", "priority", "expected_loss", "carrying_cost", "late_fee_rate_pct"),
                *("late_fee_preview", "disputed_amount", "credit_available", "credit_limit", "credit_used"),
                *("credit_used_share", "promised_amount"),
            )
        ],
    ]
)
ITEM = pa.schema(
    [
        *[
            (name, pa.date32())
            for name in (
                *("as_of", "document_date", "due_date", "held_until", "next_step_on", "last_step_on", "discount_until"),
                *("expected_on", "p80_on"),
            )
        ],
        *[(name, pa.int32()) for name in ("days_past_due", "severity")],
        *[
            (name, pa.string())
            for name in (
                *("customer_id", "customer_name", "company_id", "collector", "item_id", "invoice_id", "document_number"),
                *("item_type", "currency", "reporting_currency", "aging_bucket", "step", "held_reason", "all_held_reasons"),
                *("held_list", "next_step", "last_step", "late_fee_regime", "late_fee_compensation_currency", "payment_outlook"),
            )
        ],
        *[
            (name, MONEY)
            for name in (
                *("open_amount", "disputed_amount", "covered_amount", "dunnable_amount", "open_amount_reporting"),
                *("dunnable_amount_reporting", "discount_amount", "discount_annualised_pct", "late_fee_preview"),
                "late_fee_compensation_amount",
            )
        ],
    ]
)

OPEN = pa.schema(
    [
        *[
            (name, pa.string())
            for name in ("customer_id", "item_id", "company_id", "document_number", "item_type", "aging_bucket")
        ],
        *[(name, pa.string()) for name in ("currency", "reporting_currency", "document_url")],
        *[(name, pa.date32()) for name in ("document_date", "due_date")],
        ("days_past_due", pa.int32()),
        *[(name, MONEY) for name in ("original_amount", "open_amount", "open_amount_reporting")],
    ]
)

TEMPLATES = {
    "pre_due_reminder": "pre_due_reminder",
    "first_notice": "first_overdue_notice",
    "second_notice": "second_overdue_notice",
    "third_notice": "third_notice_hold_warning",
    "escalation": "senior_escalation",
}
STEPS = (
    ("pre_due_reminder", "Friendly reminder", 20, "friendly", "none", -7),
    ("first_notice", "First overdue notice", 30, "neutral", "none", 2),
    ("second_notice", "Second notice", 40, "firm", "none", 9),
    ("third_notice", "Third notice", 50, "firm", "warns_of_hold", 21),
    ("escalation", "Escalation to senior", 60, "urgent", "senior_specialist", 48),
)
HOLDS = (
    ("disputed", "disputes"),
    ("promise_pending", "promises"),
    ("contacted_recently", "none"),
    ("no_contact", "data_fix"),
    ("at_agency", "agency"),
    ("waiting_next_step", "waiting"),
    ("payment_plan", "payment_plans"),
)
NAMES = (
    "Nordwind Maschinenbau GmbH",
    "Boulangerie Lefèvre SARL",
    "Kestrel Logistics Ltd",
    "Officina Bianchi S.p.A.",
    "Ångström AB",
)
PEOPLE = ("Anna Berg", "Jonas Weiß", "Marta Rossi", "Piet de Vries", "Sofia Lindqvist", "Tom Hughes")


def bucket(days: int) -> str:
    return "current" if days <= 0 else "1-30" if days <= 30 else "31-60" if days <= 60 else "61-90" if days <= 90 else "90+"


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"))


def marts(customers: int = 12, per_customer: int = 3, held: int = 10, **changes: Any) -> dict[str, pa.Table]:
    """A morning's marts. `changes` overwrite columns of the first action, by name."""
    actions: list[dict[str, Any]] = []
    items: list[dict[str, Any]] = []
    for number in range(customers):
        step, label, severity, tone, effect, days = STEPS[-1 - number * len(STEPS) // max(customers, 1)]
        currency = ("EUR", "EUR", "GBP")[number % 3]
        common = {
            "as_of": AS_OF,
            "customer_id": f"C{number:05d}",
            "customer_name": f"{NAMES[number % len(NAMES)]} {number}",
            "company_id": "DE01",
            "collector": PEOPLE[number % len(PEOPLE)],
            "reporting_currency": "EUR",
        }
        own = []
        for place in range(per_customer):
            amount = Decimal(100 + 7919 * (number + 1) * (place + 3) % 20_000) + Decimal("0.25")
            late = days - 3 * place if days > 0 else days
            own.append(
                {
                    **common,
                    "item_id": f"I{number}-{place}",
                    "invoice_id": f"I{number}-{place}",
                    "document_number": f"00{number:05d}{place}",
                    "item_type": "invoice",
                    "document_date": AS_OF - timedelta(days=late + 30),
                    "due_date": AS_OF - timedelta(days=late),
                    "currency": currency,
                    "open_amount": amount,
                    "disputed_amount": Decimal(0),
                    "covered_amount": Decimal(0),
                    "dunnable_amount": amount,
                    "open_amount_reporting": amount * 2,
                    "dunnable_amount_reporting": amount * 2,
                    "days_past_due": late,
                    "aging_bucket": bucket(late),
                    "step": step,
                    "severity": severity,
                    "discount_until": AS_OF + timedelta(days=2) if days < 0 and place == 0 else None,
                    "discount_amount": cents(amount / 50) if days < 0 and place == 0 else None,
                    "discount_annualised_pct": Decimal("37.24") if days < 0 and place == 0 else None,
                }
            )
        items += own
        total = sum((item["dunnable_amount_reporting"] for item in own), Decimal(0))
        due = total if days > 0 else Decimal(0)
        actions.append(
            {
                **common,
                "rank": number + 1,
                "step": step,
                "step_label": label,
                "severity": severity,
                "channel": "call" if severity > 40 else "email",
                "audience": "senior" if severity > 50 else "accounts_payable",
                "tone": tone,
                "template": TEMPLATES[step],
                "effect": effect,
                "language": ("de", None, "fr-FR")[number % 3],
                "past_due_amount": due,
                "not_due_amount": total - due,
                "document_currencies": currency,
                "item_count": per_customer,
                "past_due_item_count": per_customer if days > 0 else 0,
                "oldest_days_past_due": days if days > 0 else None,
                "priority": cents(due / 20),
                "expected_loss": cents(due / 25),
                "carrying_cost": cents(due / 100),
                "tier_in_force": ("3", "2", "1")[number * 3 // customers],
                "late_fee_rate_pct": Decimal("1.5"),
                "late_fee_preview": cents(due / 70),
                "disputed_amount": Decimal(0),
                "held_item_count": 1,
                "credit_available": Decimal(0),
                "credit_limit": Decimal(50_000),
                "credit_used_share": cents(total / 50_000),
                "payer_pattern": "chronic" if severity > 40 else "occasional",
                "direction": "rising" if severity > 40 else "steady",
                "contact_name": "Ulrike Sommerfeld",
                "contact_email": "accounts.payable@nordwind.example",
                "contact_phone": "+49 30 5550 1234",
                "last_contact_on": AS_OF - timedelta(days=9),
                "last_contact_outcome": "left_message",
                "promised_on": AS_OF + timedelta(days=5) if number % 4 == 0 else None,
                "promised_amount": Decimal(1200) if number % 4 == 0 else None,
                "promised_currency": currency if number % 4 == 0 else None,
                "suggested_arrangement": "instalments" if severity > 50 else None,
                "arrangement_reason": "Pays regularly but late, and its quick ratio fell to 0.6." if severity > 50 else None,
                "why": f"{per_customer} invoices past due, the oldest by {days} days; the last notice of 11 November got no answer."
                if days > 0
                else "Falls due in 7 days; a 2 % discount is still to be had.",
            }
        )
    for number in range(held):
        reason, held_list = HOLDS[number % len(HOLDS)]
        amount = Decimal(500 + 13 * number)
        items.append(
            {
                "as_of": AS_OF,
                "customer_id": f"C{number % (customers + 3):05d}",
                "customer_name": f"{NAMES[number % len(NAMES)]} {number % (customers + 3)}",
                "company_id": "DE01",
                "collector": PEOPLE[number % (customers + 3) % len(PEOPLE)],
                "reporting_currency": "EUR",
                "item_id": f"H{number}",
                "invoice_id": f"H{number}",
                "document_number": f"9{number:06d}",
                "item_type": "invoice",
                "document_date": AS_OF - timedelta(days=60),
                "due_date": AS_OF - timedelta(days=30),
                "currency": "EUR",
                "open_amount": amount,
                "disputed_amount": amount if reason == "disputed" else Decimal(0),
                "covered_amount": Decimal(0),
                "dunnable_amount": Decimal(0) if reason == "disputed" else amount,
                "open_amount_reporting": amount,
                "dunnable_amount_reporting": Decimal(0) if reason == "disputed" else amount,
                "days_past_due": 30,
                "aging_bucket": "1-30",
                "step": "third_notice",
                "severity": 50,
                "held_reason": reason,
                "all_held_reasons": f"{reason},contacted_recently",
                "held_list": held_list,
                "held_until": AS_OF + timedelta(days=3) if reason == "promise_pending" else None,
                "next_step": "escalation" if reason == "waiting_next_step" else None,
                "next_step_on": AS_OF + timedelta(days=6) if reason == "waiting_next_step" else None,
                "last_step": "second_notice",
                "last_step_on": AS_OF - timedelta(days=9),
            }
        )
    balances: dict[str, Decimal] = {}
    for item in items:
        balances[item["customer_id"]] = balances.get(item["customer_id"], Decimal(0)) + item["open_amount_reporting"]
    for action in actions:
        action["credit_used"] = balances[action["customer_id"]]
    if actions:
        actions[0].update(changes)
    book = [
        *(
            {name: item.get(name, item["open_amount"]) for name in OPEN.names}
            | {"document_url": f"https://copies.example/{item['item_id']}?a=1&b=2" if item["item_id"].endswith("1") else None}
            for item in items
        ),
        *({"open_amount_reporting": Decimal(40_000 + 5 * n), "days_past_due": -9, "aging_bucket": "current"} for n in range(20)),
        {"open_amount_reporting": Decimal("-7250.50")},
        {"open_amount_reporting": Decimal("310.00"), "aging_bucket": "no_due_date"},
    ]
    return {
        "dunning_worklist": pa.Table.from_pylist(actions, ACTION),
        "dunning_items": pa.Table.from_pylist(items, ITEM),
        "open_items": pa.Table.from_pylist(
            [{"reporting_currency": "EUR", **row} for row in book],
            OPEN,
        ),
        "control_reconciliation": pa.table(
            {
                "company_id": ["DE01", "GB01"],
                "subledger_balance": pa.array([Decimal("912345.67"), Decimal("50000")], MONEY),
                "control_balance": pa.array([Decimal("912345.67"), None], MONEY),
                "difference": pa.array([Decimal(0), None], MONEY),
                "currency": ["EUR", "GBP"],
                "state": ["tied", "unverified"],
            }
        ),
        "risk_tiers": pa.table({"tier_in_force": ["1"] * 40 + ["2"] * 25 + ["3"] * 9}),
        "kpi_monthly": pa.table(
            {
                "month": [date(2026, 11, 1)] * 3,
                "scope": ["total"] * 3,
                "kpi": ["dso", "cei", "write_off_rate"],
                "title": ["Days sales outstanding", "Collection effectiveness index", "Written off of billed"],
                "unit": ["days", "percent", "share"],
                "headline": [1, 4, None],
                "value": pa.array([Decimal("47.31"), Decimal("86.2"), Decimal("0.4")], MONEY),
                "prior_value": pa.array([Decimal("45.02"), Decimal("91.0"), Decimal("0.3")], MONEY),
                "tripped": [True, True, False],
            }
        ),
    }


def write(folder: Path, tables: Mapping[str, pa.Table] | None = None, **more: Any) -> Any:
    return export(folder, marts() if tables is None else tables, as_of=AS_OF, policy="net_terms", run={"run_id": "r1"}, **more)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain morning, written once."""
    target = tmp_path_factory.mktemp("worklists") / AS_OF.isoformat()
    write(target)
    return target


def sheet(path: Path, name: str) -> list[list[Any]]:
    return CalamineWorkbook.from_path(path).get_sheet_by_name(name).to_python(skip_empty_area=False)


def records(path: Path, name: str, header_row: int) -> list[dict[str, Any]]:
    rows = sheet(path, name)
    return [dict(zip(rows[header_row - 1], row, strict=True)) for row in rows[header_row:]]


def calls(path: Path) -> list[dict[str, Any]]:
    return records(path, form.CALL_LIST, 4)


def xml(path: Path, number: int) -> str:
    """A sheet as it is in the file: 1 is the summary, 2 the call list, 3 the items."""
    with zipfile.ZipFile(path) as archive:
        return archive.read(f"xl/worksheets/sheet{number}.xml").decode()


def number_formats(path: Path, number: int) -> dict[str, str]:
    """The format of each cell that has a look, by its address."""
    with zipfile.ZipFile(path) as archive:
        styles = archive.read("xl/styles.xml").decode()
    forms = {
        int(at): unescape(form, {"&quot;": chr(34)})
        for at, form in re.findall(r'<numFmt numFmtId="(\d+)" formatCode="([^"]*)"', styles)
    }
    forms |= {3: "#,##0", 4: "#,##0.00", 49: "@"}  # what every spreadsheet has without being told
    looks = re.findall(r'<xf numFmtId="(\d+)"', styles.partition("<cellXfs")[2].partition("</cellXfs>")[0])
    cells = re.findall(r'<c r="([A-Z]+\d+)" s="(\d+)"', xml(path, number))
    return {address: forms.get(int(looks[int(style)]), "General") for address, style in cells}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def csv_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# ---- the folder


def test_manifest_lists_every_file_with_its_hash_and_rows(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    listed = {file["name"]: file for file in manifest["files"]}
    assert set(listed) | {"manifest.json", "drafts"} == {path.name for path in folder.iterdir()} | {"drafts/SHA256SUMS"}
    assert {"worklist.xlsx", "worklist.csv", "worklist_items.csv", "worklist-anna-berg.xlsx"} <= set(listed)
    for name, file in listed.items():
        content = (folder / name).read_bytes()
        assert (file["sha256"], file["bytes"]) == (hashlib.sha256(content).hexdigest(), len(content))
    assert listed["worklist.csv"]["rows"] == len(csv_rows(folder / "worklist.csv")) == 12
    assert listed["worklist_items.csv"]["rows"] == len(csv_rows(folder / "worklist_items.csv")) == 12 * 3 + 10
    assert listed["worklist-anna-berg.xlsx"]["collector"] == "Anna Berg"
    assert (manifest["schema_version"], manifest["as_of"], manifest["policy"]) == (1, "2026-11-20", "net_terms")


def test_totals_are_the_sums_of_the_rows_in_every_file(folder: Path) -> None:
    totals = json.loads((folder / "manifest.json").read_text("utf-8"))["totals"]
    actions, items = csv_rows(folder / "worklist.csv"), csv_rows(folder / "worklist_items.csv")
    acted = [item for item in items if not item["held_reason"]]
    assert totals["customers"] == len(actions) == len(calls(folder / "worklist.xlsx"))
    assert totals["items"] == len(acted) == len(records(folder / "worklist.xlsx", "Items", 3))
    assert totals["held_items"] == len(items) - len(acted) == len(records(folder / "worklist.xlsx", "Held", 3))
    assert Decimal(totals["past_due"]) == sum(Decimal(row["past_due_amount"]) for row in actions)
    assert Decimal(totals["asked_for"]) == sum(Decimal(item["dunnable_amount_reporting"]) for item in acted)
    for currency, amount in totals["by_currency"].items():
        assert Decimal(amount) == sum(Decimal(item["dunnable_amount"]) for item in acted if item["currency"] == currency)
    in_workbook = sum(Decimal(str(row["To ask for (EUR)"])) for row in records(folder / "worklist.xlsx", "Items", 3))
    assert in_workbook == Decimal(totals["asked_for"])
    assert sum(totals["held_by_reason"].values()) == totals["held_items"]


GOLDEN = Path(__file__).parent.parent / "golden" / "worklist_columns.json"


def test_no_column_of_a_file_for_machines_is_renamed_or_retyped_without_a_new_version(
    tmp_path: Path, mart: Callable[..., pa.Table], manifest: dict[str, Any]
) -> None:
    declared = {node["name"] for node in manifest["nodes"].values()}
    write(tmp_path / "out", {name: mart(name) for name in MARTS if name in declared})
    written = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))
    columns = {file["name"]: file["columns"] for file in written["files"] if file["columns"]}
    if os.environ.get("ARREARS_UPDATE_GOLDEN"):
        told = {"schema_version": written["schema_version"], "columns": columns}
        GOLDEN.write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    known = json.loads(GOLDEN.read_text("utf-8"))
    if written["schema_version"] == known["schema_version"]:
        for name, promised in known["columns"].items():
            assert promised.items() <= columns[name].items(), f"{name}: raise SCHEMA_VERSION, and ARREARS_UPDATE_GOLDEN=1"


def test_the_treasurer_finds_the_cash_of_every_week_in_a_file(tmp_path: Path, mart: Callable[..., pa.Table]) -> None:
    place = {"scope": "currency", "company_id": "A", "currency": "EUR", "not_billed": Decimal(40), "p80": Decimal("111.66")}
    weeks = mart("cash_forecast_weekly", *({**place, "week": week, "expected": Decimal(100 + week)} for week in (2, 1)))
    manifest = write(tmp_path / "out", marts() | {"cash_forecast_weekly": weeks})
    rows = csv_rows(tmp_path / "out" / "cash_forecast.csv")
    assert [(row["week"], row["expected"], row["p80"]) for row in rows] == [
        ("1", "101.0000", "111.6600"),
        ("2", "102.0000", "111.6600"),
    ]
    (listed,) = (file for file in manifest.files if file.name == "cash_forecast.csv")
    assert (listed.rows, listed.columns) == (2, {**(listed.columns or {}), "expected": "decimal(18,4)"})


def test_json_lines_say_the_same_as_the_csv_exactly(tmp_path: Path) -> None:
    texts = ('a "quote" \\ and \t a tab', "=1+1", "two\r\nlines", "Ωß🙂", "")
    tables = marts(customers=5, per_customer=1, held=5)
    worklist = tables["dunning_worklist"]
    tables["dunning_worklist"] = worklist.set_column(worklist.column_names.index("why"), "why", pa.array(texts))
    manifest = write(tmp_path / "out", tables)
    for name in ("worklist", "worklist_items"):
        lines = [json.loads(line) for line in (tmp_path / "out" / f"{name}.jsonl").read_text("utf-8").splitlines()]
        rows = csv_rows(tmp_path / "out" / f"{name}.csv")
        (columns,) = (file.columns for file in manifest.files if file.name == f"{name}.jsonl")
        assert [list(line) for line in lines] == [list(columns)] * len(rows)
        for line, row in zip(lines, rows, strict=True):
            assert {key: "" if value is None else str(value) for key, value in line.items() if key != "why"} == {
                key: value.removeprefix("'") for key, value in row.items() if key != "why"
            }
            assert all(isinstance(line[key], str | None) for key, kind in columns.items() if kind.startswith("decimal"))
            assert all(isinstance(line[key], int | None) for key, kind in columns.items() if kind == "integer")
    assert (
        tuple(json.loads(line)["why"] for line in (tmp_path / "out" / "worklist.jsonl").read_text("utf-8").splitlines()) == texts
    )


def test_same_marts_give_the_same_bytes_and_only_the_run_may_differ(tmp_path: Path) -> None:
    for name, run in (("one", "r1"), ("two", "r2")):
        export(tmp_path / name, marts(customers=4, held=20), as_of=AS_OF, policy="net_terms", run={"run_id": run})
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one.pop("manifest.json") != two.pop("manifest.json")
    assert one == two
    manifests = [json.loads((tmp_path / name / "manifest.json").read_text("utf-8")) for name in ("one", "two")]
    assert [manifest.pop("run") for manifest in manifests] == [{"run_id": "r1"}, {"run_id": "r2"}]
    assert manifests[0] == manifests[1]


def test_workbooks_written_beside_are_the_same_bytes(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LONG", 1)
    write(tmp_path / "beside")

    assert contents(tmp_path / "beside") == contents(folder)


def test_workbooks_that_cannot_be_written_beside_stop_the_export_in_their_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "LONG", 1)
    write_drafts = drafts.write_drafts

    def with_its_folder_gone(target: Path, *more: Any) -> pa.Table:
        shutil.rmtree(next(target.glob(".workbooks.*")))
        return write_drafts(target, *more)

    monkeypatch.setattr(drafts, "write_drafts", with_its_folder_gone)
    with pytest.raises(RuntimeError, match=r"the workbooks could not be written: (.|\n)*No such file or directory"):
        write(tmp_path / "out")


def test_order_of_the_marts_rows_does_not_matter(tmp_path: Path, folder: Path) -> None:
    shuffled = {name: table.take(list(reversed(range(table.num_rows)))) for name, table in marts().items()}
    write(tmp_path / "out", shuffled)
    assert contents(tmp_path / "out") == contents(folder)


def test_each_collector_gets_their_own_rows_and_nobody_is_lost(folder: Path) -> None:
    everyone = calls(folder / "worklist.xlsx")
    own = {path.name: calls(path) for path in folder.glob("worklist-*.xlsx")}
    assert len(own) == 6
    assert sorted(row["Customer ID"] for rows in own.values() for row in rows) == sorted(row["Customer ID"] for row in everyone)
    wanted = [row["Customer ID"] for row in everyone if row["Collector"] == "Anna Berg"]
    assert [row["Customer ID"] for row in own["worklist-anna-berg.xlsx"]] == wanted


def test_a_list_that_contradicts_its_items_does_not_leave_the_house(tmp_path: Path) -> None:
    with pytest.raises(WorklistError, match="asks for"):
        write(tmp_path / "amount", marts(past_due_amount=Decimal(1)))
    with pytest.raises(WorklistError, match="C00000"):
        write(tmp_path / "count", marts(item_count=2))
    whole = marts()
    for mart, changes, named in (
        ("dunning_worklist", {"past_due_amount": Decimal(0), "not_due_amount": Decimal(0)}, "C00000"),
        ("dunning_items", {"customer_id": "X9", "dunnable_amount_reporting": Decimal(0)}, "X9"),
    ):
        more = pa.Table.from_pylist([{**whole[mart].slice(0, 1).to_pylist()[0], **changes}], whole[mart].schema)
        with pytest.raises(WorklistError, match=f"disagree on 1 customers, among them {named}"):
            write(tmp_path / mart, {**whole, mart: pa.concat_tables([whole[mart], more])})
    assert not list(tmp_path.iterdir())


def test_texts_go_into_a_file_as_arrow_holds_them() -> None:
    texts = pa.array(["a", None, "", "ü", "\n", "z"])
    assert bytes(tables.in_a_row(texts)) == "aü\nz".encode()
    assert bytes(tables.in_a_row(texts.slice(3, 2))) == "ü\n".encode()
    assert bytes(tables.in_a_row(texts.slice(6))) == b""


def test_marts_beyond_the_two_of_dunning_may_be_missing(tmp_path: Path) -> None:
    tables = {name: table for name, table in marts().items() if name.startswith("dunning_")}
    assert write(tmp_path / "out", tables).reporting_currency == "EUR"


def test_an_empty_morning_is_a_friendly_one(tmp_path: Path) -> None:
    manifest = write(tmp_path / "out", marts(customers=0, held=0))
    assert (manifest.totals.customers, manifest.totals.held_items, manifest.totals.asked_for) == (0, 0, 0)
    assert "Nobody needs chasing" in str(sheet(tmp_path / "out" / "worklist.xlsx", form.CALL_LIST))
    assert sheet(tmp_path / "out" / "worklist.xlsx", "Held")[3][0] == "Nothing here this morning."
    assert (tmp_path / "out" / "worklist.csv").read_bytes().count(b"\r\n") == 1


def test_no_worklist_says_what_failed_and_what_stays(tmp_path: Path) -> None:
    path = write_no_worklist(
        tmp_path / "out",
        as_of=AS_OF,
        reasons=["The newest payment load is 4 days old; policy allows 2."],
        look_at=["reports/2026-11-20/index.html"],
        previous=date(2026, 11, 19),
    )
    text = path.read_text("utf-8")
    assert path.name == "no-worklist.txt" and [path] == list(path.parent.iterdir())
    for part in ("no worklist for 2026-11-20", "payment load is 4 days old", "reports/2026-11-20", "of 2026-11-19 stays"):
        assert part in text


# ---- what people, and customers' data, can do to a file

NASTY = {
    "formula": '=HYPERLINK("http://x","y")',
    "plus": "+49 30 5550",
    "minus": "-2+3",
    "at": "@SUM(A1)",
    "tab": "\t=1+1",
    "return": "\r=1+1",
    "full width": "＝1+1",
    "markup": "<r><t>bold</t></r>",
    "entity": 'A & B <i> "q" ]]> &amp;',
    "escape": "_x000D_ _x0041_x0042_ tax_xyz",
    "separators": 'a,b;c "d"\ne',
    "emoji": "Zoë 🙂 👩‍💻",
    "right to left": "שלום עולם",
    "spaces": "  two  ",
    "digits": "00123",
}


def test_any_text_stays_the_text_it_is(tmp_path: Path) -> None:
    tables = marts(customers=len(NASTY), per_customer=1, held=0)
    worklist = tables["dunning_worklist"]
    for name in ("why", "customer_name"):
        worklist = worklist.set_column(worklist.column_names.index(name), name, pa.array(list(NASTY.values())))
    one = pa.array(["Anna Berg"] * len(NASTY))
    for name, table in (("dunning_worklist", worklist), ("dunning_items", tables["dunning_items"])):
        tables[name] = table.set_column(table.column_names.index("collector"), "collector", one)
    write(tmp_path / "out", tables)
    shown, written = calls(tmp_path / "out" / "worklist-anna-berg.xlsx"), csv_rows(tmp_path / "out" / "worklist.csv")
    for text, row, record in zip(NASTY.values(), shown, written, strict=True):
        assert row["Why"] == row["Customer"] == text.replace("\r", "\n")
        guard = "'" if text[0] in "=+-@\t\r＝" else ""
        assert record["why"] == guard + text


def test_no_cell_is_a_formula_and_every_text_is_typed_as_text(folder: Path) -> None:
    with zipfile.ZipFile(folder / "worklist.xlsx") as archive:
        sheets = {name: archive.read(name).decode() for name in archive.namelist() if "worksheets/sheet" in name}
    assert len(sheets) == 10
    for name, text in sheets.items():
        assert "<f>" not in text and "<f " not in text, name
        assert set(re.findall(r'<c [^>]*t="(\w+)"', text)) <= {"inlineStr"}, name


def test_numbers_in_the_csv_are_plain_and_may_be_negative(tmp_path: Path) -> None:
    write(tmp_path / "out", marts(customers=1, held=0, credit_limit=Decimal("-12.5000"), late_fee_preview=Decimal("0.0001")))
    row = csv_rows(tmp_path / "out" / "worklist.csv")[0]
    assert (row["credit_limit"], row["late_fee_preview"], row["as_of"]) == ("-12.5000", "0.0001", "2026-11-20")
    assert row["promised_amount"] == "1200.0000"
    assert not (tmp_path / "out" / "worklist.csv").read_bytes().startswith(b"\xef\xbb\xbf")


def test_control_characters_are_replaced_by_a_mark(tmp_path: Path) -> None:
    write(tmp_path / "out", marts(customers=1, held=0, why="bell\x07 null\x00 odd\ufffe"))
    assert calls(tmp_path / "out" / "worklist.xlsx")[0]["Why"] == "bell\ufffd null\ufffd odd\ufffd"
    assert csv_rows(tmp_path / "out" / "worklist.csv")[0]["why"] == "bell\ufffd null\ufffd odd\ufffd"


@pytest.mark.parametrize("letter", ["x", "🙂"], ids=["ascii", "two units each"])
def test_an_endless_note_is_cut_where_excel_ends_and_says_so(tmp_path: Path, letter: str) -> None:
    note = letter * 65_536
    write(tmp_path / "out", marts(customers=1, held=0, why=note))
    cut = calls(tmp_path / "out" / "worklist.xlsx")[0]["Why"]
    assert cut.endswith("x […cut]" if letter == "x" else "🙂 […cut]")
    assert 32_760 <= len(cut.encode("utf-16-le")) // 2 <= 32_767
    csv.field_size_limit(1_000_000)
    assert csv_rows(tmp_path / "out" / "worklist.csv")[0]["why"] == note


COLLECTORS = [
    "../../etc/passwd",
    "",
    "Ω",
    "CON",
    "Anna Berg",
    "anna-berg",
    "x" * 500,
    'a/b\\c:*?"<>|',
    "\u202etxt.exe",
    "&[Page]",
    "<r>=1+1</r>",
]


def test_file_names_are_safe_and_never_the_same() -> None:
    names = file_names(COLLECTORS)
    assert len(set(names.values())) == len(COLLECTORS)
    assert all(re.fullmatch(r"worklist-[a-z0-9]+(-[a-z0-9]+)*\.xlsx", name) and len(name) < 80 for name in names.values())
    assert names["CON"].startswith("worklist-con-")
    assert names["Anna Berg"] != names["anna-berg"]
    assert names == file_names(reversed(COLLECTORS))


def test_a_collector_of_any_name_gets_a_workbook_that_says_whose_it_is(tmp_path: Path) -> None:
    tables = marts(customers=len(COLLECTORS), per_customer=1, held=0)
    for name in ("dunning_worklist", "dunning_items"):
        place = tables[name].column_names.index("collector")
        tables[name] = tables[name].set_column(place, "collector", pa.array(COLLECTORS))
    write(tmp_path / "out", tables)
    assert {path.parent for path in tmp_path.rglob("*.xlsx")} == {tmp_path / "out"}
    for collector, name in file_names(COLLECTORS).items():
        identity = dict(sheet(tmp_path / "out" / name, form.IDENTITY_SHEET))
        assert identity["collector"] == collector.replace("\r", "\n")
        assert len(calls(tmp_path / "out" / name)) == 1


HOSTILE = (
    *(
        "=cmd|'/C calc'!A0",
        "+1",
        "-1",
        "@x",
        "\tx",
        "\rx",
        "＝1+1",
        "n" * 65_536,
        "🙂" * 2_000,
        "\u202egnp.exe\u2066",
        "a\x00b\x1b[31m",
    ),
    *(
        "../../etc/passwd",
        "CON",
        "a/b",
        "A/B",
        "a b",
        "<r>&amp;</r>",
        'q"q',
        "_x0041_",
        "l1\r\nBcc: x@y.example\r\n\r\nl2",
        "",
        "\ufffe",
    ),
)


def test_no_text_of_somebody_elses_harms_any_output(tmp_path: Path) -> None:
    """Each text stands in every text column of an action, its item and its open item: who they are, what they say, whose they are."""
    tables = marts(customers=len(HOSTILE), per_customer=1, held=0)
    fixed = {
        "template",
        "channel",
        "tone",
        "language",
        "held_reason",
        "currency",
        "reporting_currency",
        "aging_bucket",
        "customer_id",
    }
    for name in ("dunning_worklist", "dunning_items", "open_items"):
        table = tables[name]
        for place, field in enumerate(table.schema):
            if pa.types.is_string(field.type) and field.name not in fixed:
                rest = [None] * (table.num_rows - len(HOSTILE))
                tables[name] = table = table.set_column(place, field.name, pa.array([*HOSTILE, *rest], pa.string()))
    manifest = write(tmp_path / "home" / "out", tables)

    out = tmp_path / "home" / "out"
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    names = [str(path.relative_to(out)) for path in files]  # all of them under it
    assert all(re.fullmatch(r"([a-z0-9-]{1,60}/)*([A-Za-z0-9_.-]{1,80})", name) for name in names)
    assert len({name.lower() for name in names}) == len(names)
    assert not {"con", "nul"} & {part.partition(".")[0].lower() for name in names for part in name.split("/")}
    assert manifest.totals.customers == len(HOSTILE) == sum(name.endswith((".eml", ".txt")) for name in names)

    csv.field_size_limit(1_000_000)
    lines = [json.loads(line) for line in (out / "worklist.jsonl").read_text("utf-8").split("\n")[:-1]]
    for name in ("worklist", "worklist_items"):
        cells = [cell for row in csv_rows(out / f"{name}.csv") for column, cell in row.items() if column not in NUMBERS]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝"))]
    for line, text in zip(lines, HOSTILE, strict=True):
        assert line["customer_name"] == re.sub("[\x00-\x08\x0e-\x1f\ufffe]", "\ufffd", text)

    for path in out.glob("*.xlsx"):
        with zipfile.ZipFile(path) as archive:
            for part in archive.namelist():
                content = archive.read(part)
                ElementTree.fromstring(content)
                assert b"<f>" not in content and b"<f " not in content
        CalamineWorkbook.from_path(path).get_sheet_by_name("Summary").to_python()
    shown = [row["Customer"] for row in calls(out / "worklist.xlsx")]
    for text, cell in zip(HOSTILE, shown, strict=True):
        wanted = re.sub("[\x00-\x08\x0e-\x1f\ufffe]", "\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))
        assert cell[:1_000] == wanted[:1_000]

    for path in out.rglob("*.eml"):
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        assert not message.defects
        assert set(message.keys()) <= {"X-Unsent", "To", "Subject", "Message-ID", "MIME-Version", "Content-Type"}
        statement = message.get_payload()[1].get_payload(decode=True).decode("utf-8-sig")
        assert not re.search(r"(^|[,;])[=+@\t]", statement) and len(statement) < 10_000


NUMBERS = {field.name for schema in (ACTION, ITEM) for field in schema if not pa.types.is_string(field.type)}


# ---- the workbook


def test_a_filled_workbook_can_be_recognised_and_read(folder: Path) -> None:
    path = folder / "worklist-anna-berg.xlsx"
    identity = dict(sheet(path, form.IDENTITY_SHEET))
    assert identity["schema_version"] == str(form.SCHEMA_VERSION)
    assert (identity["as_of"], identity["policy"], identity["collector"]) == ("2026-11-20", "net_terms", "Anna Berg")
    header = sheet(path, identity["sheet"])[int(identity["header_row"]) - 1]
    assert identity["key"] in header
    assert {question.header for question in form.QUESTIONS} <= set(header)
    assert len(header) == len(set(header))
    with zipfile.ZipFile(path) as archive:
        assert 'name="arrears" sheetId="10" state="veryHidden"' in archive.read("xl/workbook.xml").decode()
        assert "arrears_as_of" in archive.read("docProps/custom.xml").decode()


def test_the_cells_to_fill_in_are_unlocked_and_guarded(folder: Path) -> None:
    path = folder / "worklist.xlsx"
    text = xml(path, 2)
    header = sheet(path, form.CALL_LIST)[3]
    validations = re.findall(r"<dataValidation (.*?)</dataValidation>", text)
    assert "<sheetProtection" in text
    with zipfile.ZipFile(path) as archive:
        looks = re.findall(r"<xf [^>]*/>|<xf .*?</xf>", archive.read("xl/styles.xml").decode().partition("<cellXfs")[2])
    for question in form.QUESTIONS:
        letter = chr(ord("A") + header.index(question.header))
        style = re.search(rf'<c r="{letter}5" s="(\d+)"/>', text)
        assert style and 'locked="0"' in looks[int(style[1])], question.name
        mine = [rule for rule in validations if f'sqref="{letter}5:{letter}16"' in rule]
        if question.answer is form.Answer.TEXT:
            assert not mine
            continue
        assert len(mine) == 1
        assert f'type="{ {"choice": "list", "amount": "decimal"}.get(question.answer, "date") }"' in mine[0]
        if question.choices:
            assert f'<formula1>"{",".join(label for label, _ in question.choices)}"</formula1>' in mine[0]
            assert len(",".join(label for label, _ in question.choices)) <= 255
            assert not any("," in label for label, _ in question.choices)


def test_amounts_show_the_digits_of_the_currency_they_are_in(tmp_path: Path) -> None:
    currencies = ("JPY", "KWD", "EUR")
    tables = marts(customers=3, per_customer=1, held=0, promised_amount=Decimal("4.5670"), promised_currency="KWD")
    for name, column, values in (
        ("dunning_items", "currency", currencies),
        ("dunning_worklist", "document_currencies", currencies),
        *((name, "reporting_currency", ("JPY",) * 3) for name in ("dunning_items", "dunning_worklist")),
    ):
        place = tables[name].column_names.index(column)
        tables[name] = tables[name].set_column(place, column, pa.array(values, pa.string()))
    place = tables["open_items"].column_names.index("reporting_currency")
    own = pa.array(["JPY"] * tables["open_items"].num_rows, pa.string())
    tables["open_items"] = tables["open_items"].set_column(place, "reporting_currency", own)
    write(tmp_path / "out", tables)
    path = tmp_path / "out" / "worklist.xlsx"

    def shown(number: int, name: str, header_row: int, column: str) -> list[str]:
        letter = xl_col_to_name(sheet(path, name)[header_row - 1].index(column))
        forms = number_formats(path, number)
        return [forms[f"{letter}{row}"] for row in range(header_row + 1, header_row + 4)]

    digits = {"JPY": "", "KWD": ".000", "EUR": ".00"}
    of_each = [money_format(len(digits[name].strip("."))) for name in currencies]
    assert [form.partition("_ ")[0] for form in of_each] == [f"#,##0{digits[name]}" for name in currencies]
    assert [row["Currency"] for row in records(path, "Items", 3)] == list(currencies)
    for column in ("Open amount", "Disputed", "To ask for", "Disputed amount"):
        assert shown(3, "Items", 3, column) == of_each, column
    assert shown(2, form.CALL_LIST, 4, "Promised amount") == of_each
    assert shown(2, form.CALL_LIST, 4, "Past due (JPY)") == shown(3, "Items", 3, "To ask for (JPY)") == [money_format(0)] * 3
    assert calls(path)[0]["Open promise"] == "2026-11-25  4.567  KWD"


def test_links_lead_to_the_customers_first_item_and_back(folder: Path) -> None:
    path = folder / "worklist.xlsx"
    actions, items = sheet(path, form.CALL_LIST), sheet(path, "Items")
    header = actions[3]
    key, link = header.index("Customer ID"), chr(ord("A") + header.index("Items →"))
    there = dict(re.findall(rf"<hyperlink ref=\"{link}(\d+)\" location=\"'Items'!A(\d+)\"/>", xml(path, 2)))
    back = dict(re.findall(r"<hyperlink ref=\"A(\d+)\" location=\"'Call list'!A(\d+)\"/>", xml(path, 3)))
    assert len(there) == len(back) == 12
    for row, target in there.items():
        assert actions[int(row) - 1][key] == items[int(target) - 1][1] != items[int(target) - 2][1]
        assert back[target] == row


def test_rows_lead_to_the_customers_page_and_documents_to_their_copies(tmp_path: Path) -> None:
    tables = marts()
    listed = tables["dunning_worklist"].column("customer_id").to_pylist()
    write(tmp_path / "out", tables, pages={listed[0]: "../../reports/2026-11-20/customers/c-0.html"})
    book = load_workbook(tmp_path / "out" / "worklist.xlsx")  # a second reader: what calamine passes over, this one refuses

    assert book.active.title == form.CALL_LIST
    calls, items = book[form.CALL_LIST], book["Items"]
    header = [cell.value for cell in calls[4]]
    pages = {row[1].hyperlink.target: row[2].value for row in calls.iter_rows(5) if row[1].hyperlink}
    assert pages == {"../../reports/2026-11-20/customers/c-0.html": listed[0]}
    assert all(f"(no. {row[2].value}): " in row[header.index("To copy into a mail")].value for row in calls.iter_rows(5))
    number = [cell.value for cell in items[3]].index("Document")
    key = [cell.value for cell in items[3]].index(form.ITEM_KEY_HEADER)
    copies = {row[key].value: row[number].hyperlink.target for row in items.iter_rows(4) if row[number].hyperlink}
    assert copies
    assert all(url == f"https://copies.example/{item}?a=1&b=2" and item.endswith("1") for item, url in copies.items())

    areas = {sheet.title: sheet.print_area for sheet in book if sheet.sheet_state == "visible"}
    assert all(areas.values()), areas
    last = calls.max_row
    coloured = {str(rule.sqref).split(":")[-1].lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for rule in calls.conditional_formatting}
    assert coloured == {str(last)}, "each over all rows, so that a row keeps its colours wherever it is sorted to"
    rules = [rule for area in calls.conditional_formatting for rule in area.rules if rule.type == "expression"]
    fills = [(rule.formula[0].rpartition("=")[2], f"#{rule.dxf.fill.bgColor.rgb[-6:]}") for rule in rules]
    assert fills == [(f'"{tier}"', colour) for tier, (colour, _) in colours_of(["1", "2", "3"]).items()], "the pack's own tiers"


def test_the_best_tier_is_green_and_the_worst_red_whatever_a_pack_calls_them() -> None:
    assert colours_of(["A", "B", "C", "D"]) == {"A": GREEN, "B": AMBER, "C": AMBER, "D": RED}
    assert colours_of(["only"]) == {"only": GREEN}
    assert colours_of([]) == {}


def test_sheets_print_on_one_page_width_with_their_header_repeated(folder: Path) -> None:
    with zipfile.ZipFile(folder / "worklist.xlsx") as archive:
        names = archive.read("xl/workbook.xml").decode()
    assert "'Call list'!$4:$4" in names and "Items!$3:$3" in names
    text = xml(folder / "worklist.xlsx", 2)
    assert 'orientation="landscape"' in text and "fitToPage" in text and 'state="frozen"' in text and "<autoFilter" in text


def test_a_marts_sheet_prints_large_enough_to_read(tmp_path: Path, mart: Callable[..., pa.Table]) -> None:
    printed = {
        sheet.name: sum(column.width for column in sheet.columns[: len(sheet.columns) - sheet.background])
        for sheet in MART_SHEETS
    }
    assert {name: width for name, width in printed.items() if width > 240} == {}, "on A4 that is below 60 %"

    write(
        tmp_path / "out",
        marts() | {"credit_reviews_due": mart("credit_reviews_due", {"customer_id": "late", "detail": "Why. " * 30})},
    )
    reviews = load_workbook(tmp_path / "out" / "worklist.xlsx")["Reviews due"]
    header = [cell.value for cell in reviews[3]]
    last = column_index_from_string(re.findall(r"[A-Z]+", reviews.print_area)[-1])
    assert (header[last - 1], header[-1]) == ("Last review", "All reasons"), "what is not printed stands to the right"
    assert reviews.row_dimensions[4].height == 41
    assert reviews.cell(4, header.index("In a sentence") + 1).alignment.wrap_text


def test_every_list_of_a_collectors_day_has_a_sheet_and_held_says_why(folder: Path) -> None:
    book = CalamineWorkbook.from_path(folder / "worklist.xlsx")
    assert book.sheet_names == [
        *("Summary", "Call list", "Items", "Promises", "Disputes", "Early payment", "Agency and legal"),
        *("Data to fix", "Held", "arrears"),
    ]
    held = records(folder / "worklist.xlsx", "Held", 3)
    assert {row["Held because"] for row in held} >= {"Disputed", "Promise pending", "No contact"}
    assert all(row["To mend"] == "No contact" for row in records(folder / "worklist.xlsx", "Data to fix", 3))
    assert len(records(folder / "worklist.xlsx", "Promises", 3)) == 3
    assert records(folder / "worklist.xlsx", "Early payment", 3)[0]["Until"] == date(2026, 11, 22)


def test_the_summary_adds_up_and_names_what_is_not_verified(folder: Path) -> None:
    rows = sheet(folder / "worklist.xlsx", "Summary")
    text = str(rows)
    assert "GB01: UNVERIFIED" in text and "DE01: ties to the ledger" in text
    places = {row[1]: row for row in rows if row[1]}
    first, last = (list(places).index(name) for name in ("Days past due", "Receivables"))
    buckets = [places[name][3] for name in list(places)[first + 1 : last]]
    assert sum(map(Decimal, map(str, buckets))) == Decimal(str(places["Receivables"][3]))


def test_what_policy_passes_with_a_warning_stands_on_the_first_page_and_in_the_manifest(tmp_path: Path, folder: Path) -> None:
    unverified = "GB01: UNVERIFIED. The ledger sent no control balance of this day to compare with."
    assert json.loads((folder / "manifest.json").read_text("utf-8"))["warnings"] == [unverified]
    stale = "stale_payments: erp/payments: age_days: values are out of range"
    assert write(tmp_path / "out", warnings=[stale]).warnings == (stale, unverified)
    for name in ("worklist.xlsx", "worklist-anna-berg.xlsx"):
        text = str(sheet(tmp_path / "out" / name, "Summary"))
        assert f"Passed with a warning. {stale}" in text and text.count(unverified) == 1


def test_a_mart_gets_its_sheet_and_a_collector_only_their_own_rows_of_it(tmp_path: Path, mart: Callable[..., pa.Table]) -> None:
    change = {"change": "new", "is_news": True, "currency": "EUR", "open_amount": Decimal(5)}
    resting = {**change, "change": "held_now", "is_news": False, "item_id": "rests", "customer_id": "rests"}
    tables = marts() | {
        "dunning_changes": mart(
            "dunning_changes",
            *({**change, "item_id": name, "customer_id": name, "collector": name} for name in ("Anna Berg", "Tom Hughes")),
            resting,
        ),
        "credit_limit_use": mart(
            "credit_limit_use",
            {
                "customer_id": "over",
                "collector": "Anna Berg",
                "hold_candidate": True,
                "on_hold": False,
                "release_candidate": False,
            },
            {
                "customer_id": "elsewhere",
                "collector": "Tom Hughes",
                "hold_candidate": True,
                "on_hold": False,
                "release_candidate": False,
            },
            {"customer_id": "fine", "hold_candidate": False, "on_hold": False, "release_candidate": False},
        ),
    }
    write(tmp_path / "out", tables)
    everyone, own = tmp_path / "out" / "worklist.xlsx", tmp_path / "out" / "worklist-anna-berg.xlsx"
    assert [row["Customer"] for row in records(everyone, "Changes", 3)] == ["Anna Berg", "Tom Hughes"], (
        "without a name, its number"
    )
    assert [row["Customer"] for row in records(own, "Changes", 3)] == ["Anna Berg"]
    assert [(row["Customer ID"], row["On hold"]) for row in records(everyone, "Credit holds", 3)] == [
        ("elsewhere", ""),
        ("over", ""),
    ]
    assert [row["Customer ID"] for row in records(own, "Credit holds", 3)] == ["over"]
    assert "Reviews due" not in CalamineWorkbook.from_path(everyone).sheet_names, "its mart is missing"


def test_a_draft_opens_from_the_call_list(folder: Path) -> None:
    path = folder / "worklist-anna-berg.xlsx"
    with zipfile.ZipFile(path) as archive:
        targets = dict(
            re.findall(r'Id="(rId\d+)"[^>]*Target="(drafts/[^"]+)"', archive.read("xl/worksheets/_rels/sheet2.xml.rels").decode())
        )
    links = re.findall(r'<hyperlink ref="([A-Z]+)(\d+)" r:id="(rId\d+)"/>', xml(path, 2))
    rows = sheet(path, form.CALL_LIST)
    assert len(links) == len(targets) == len(rows) - 4
    for letter, row, link in links:
        assert rows[int(row) - 1][ord(letter) - ord("A")] in ("Email", "Call")
        customer = rows[int(row) - 1][rows[3].index("Customer ID")]
        assert (folder / targets[link]).is_file() and customer.lower() in targets[link]


def test_placements_with_the_agency_are_a_file_of_their_own_where_there_are_any(
    tmp_path: Path, mart: Callable[..., pa.Table]
) -> None:
    placed = mart("agency_placements", {"state": "recall", "customer_id": "=2"}, {"state": "to_place", "customer_id": "1"})
    manifest = write(tmp_path / "some", marts() | {"agency_placements": placed})
    rows = csv_rows(tmp_path / "some" / "agency.csv")
    assert {(row["state"], row["customer_id"]) for row in rows} == {("recall", "'=2"), ("to_place", "1")}
    (listed,) = [file for file in manifest.files if file.name == "agency.csv"]
    assert listed.rows == 2 and listed.columns is not None and list(listed.columns) == list(rows[0]) == placed.column_names
    assert [row["State"] for row in records(tmp_path / "some" / "worklist.xlsx", "Agency placements", 3)] == [
        "To place",
        "Recall",
    ]
    write(tmp_path / "none", marts() | {"agency_placements": placed.slice(0, 0)})
    assert not (tmp_path / "none" / "agency.csv").exists()


# ---- the swap


def folder_of(path: Path, text: str) -> Path:
    path.mkdir(parents=True)
    for name in ("a.txt", "b.txt"):
        (path / name).write_text(text)
    return path


def state(path: Path) -> set[str]:
    return {file.read_text() for file in path.iterdir()}


def test_a_folder_takes_the_place_of_another(tmp_path: Path) -> None:
    target = tmp_path / "worklists" / "2026-11-20"
    swap_into_place(folder_of(tmp_path / "new1", "one"), target)
    swap_into_place(folder_of(tmp_path / "new2", "two"), target)
    assert state(target) == {"two"}
    assert [path.name for path in target.parent.iterdir()] == ["2026-11-20"]
    with pytest.raises(NotADirectoryError):
        swap_into_place(tmp_path / "nothing", target)
    assert state(target) == {"two"}


class KilledError(BaseException):
    """What the tests put in the place of a kill: nothing catches it."""


def killed_at(call: int) -> Callable[..., Any]:
    """A stand-in that lets `call - 1` calls through and dies at the next."""
    seen = 0

    def wrap(real: Callable[..., Any]) -> Callable[..., Any]:
        def stand_in(*args: Any, **more: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == call:
                raise KilledError
            return real(*args, **more)

        return stand_in

    return wrap


@pytest.mark.parametrize(("call", "survivor"), [(1, "old"), (2, "old"), (3, "new"), (4, "new")])
def test_a_kill_at_any_step_leaves_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int, survivor: str
) -> None:
    target, new = folder_of(tmp_path / "w" / "day", "old"), folder_of(tmp_path / "staging", "new")
    die = killed_at(call)

    def half_deleted(path: Path, *_: Any) -> None:
        (path / "a.txt").unlink()

    steps = die(lambda step, *args: step(*args))
    rename, sync = Path.rename, swap._sync
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", lambda *args: steps(rename, *args))
        patch.setattr(swap, "_sync", lambda *args: steps(sync, *args))
        patch.setattr(shutil, "rmtree", lambda *args: (half_deleted(*args), steps(lambda *_: None, *args)))
        with pytest.raises(KilledError):
            swap_into_place(new, target)
    recover(target)
    assert state(target) == {survivor} and len(list(target.iterdir())) == 2
    assert [path.name for path in target.parent.iterdir()] == ["day"]
    recover(target)
    if new.exists():
        swap_into_place(new, target)
    assert state(target) == {"new"}
