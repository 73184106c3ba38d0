"""A ledger that is awkward on purpose, and what must come of it; `tests/fixtures/ledger/README.md` computes it by hand.

`ARREARS_UPDATE_GOLDEN=1 pytest tests/e2e/test_golden.py` writes the expected files anew: read the difference before you keep it.
"""

from __future__ import annotations

import csv
import io
import json
import os
import zipfile
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from nights import AS_OF, House, lists, read_csv
from python_calamine import CalamineWorkbook

from dagster_project.paths import ROOT

GOLDEN = ROOT / "tests" / "golden"
UPDATE = bool(os.environ.get("ARREARS_UPDATE_GOLDEN"))

COLUMNS = {
    "open_items": "company_id customer_id item_id item_type document_number document_date due_date currency original_amount "
    "open_amount base_currency open_amount_base reporting_currency open_amount_reporting days_past_due aging_bucket disputed_amount",
    "aging_by_customer": "company_id customer_id currency current_amount d1_30 d31_60 d61_90 d90_plus no_due_date total_open credits "
    "balance past_due oldest_days_past_due",
    "dunning_items": "customer_id item_id invoice_id step open_amount disputed_amount covered_amount dunnable_amount days_past_due "
    "held_reason all_held_reasons held_until next_step next_step_on",
    "dunning_worklist": "customer_id collector step severity channel audience tone past_due_amount not_due_amount item_count priority "
    "tier_in_force late_fee_preview",
    "control_reconciliation": "company_id currency subledger_balance control_balance difference tied state",
}


@pytest.mark.parametrize("mart", COLUMNS)
def test_the_ledger_comes_out_as_computed_by_hand(mart: str, first_morning: House) -> None:
    names = COLUMNS[mart].split()
    rows = first_morning.ask(f"select {', '.join(f'cast({name} as varchar)' for name in names)} from {mart} order by all")
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([names, *rows])
    path = GOLDEN / f"{mart}.csv"
    if UPDATE:
        path.write_text(text.getvalue(), "utf-8")
    assert text.getvalue().splitlines() == path.read_text("utf-8").splitlines()
    assert first_morning.ask(f"select distinct as_of from {mart}") == [(AS_OF,)]


def test_one_payment_over_two_invoices_is_counted_once(first_morning: House) -> None:
    # 500 = 300 + 200: of 300 + 450 + 400 + 60 billed, 500 + 150.25 + 60 came in
    assert first_morning.ask("select balance from aging_by_customer where customer_id = '0002'") == [(Decimal("499.75"),)]


def test_buckets_less_credits_are_the_balance_and_the_balance_is_the_ledgers(first_morning: House) -> None:
    assert first_morning.ask(
        "select count(*) from aging_by_customer where total_open <> current_amount + d1_30 + d31_60 + d61_90 + d90_plus + no_due_date "
        "or balance <> total_open - credits"
    ) == [(0,)]
    assert first_morning.ask("select company_id, sum(open_amount_base) from open_items group by 1 order by 1") == [
        ("0100", Decimal("14873.66")),
        ("0200", Decimal("2042.00")),
    ]


def test_every_past_due_item_is_acted_on_or_held_and_nothing_is_both(first_morning: House) -> None:
    past_due = first_morning.ask(
        "select item_id from open_items where days_past_due > 0 or aging_bucket = 'no_due_date' order by 1"
    )
    listed = first_morning.ask("select item_id from dunning_items where coalesce(days_past_due, 1) > 0 order by 1")
    assert past_due == listed
    assert first_morning.ask("select count(*) from dunning_items group by item_id having count(*) > 1") == []
    held = dict(first_morning.ask("select held_reason, count(*) from dunning_items where held_reason is not null group by 1"))
    assert set(held) == {
        *("insolvent", "at_agency", "disputed", "promise_pending", "payment_plan", "covered_by_credit", "below_minimum"),
        *("do_not_dun", "no_due_date", "contacted_recently", "inter_company", "no_contact", "waiting_next_step"),
    }


def test_the_worklists_say_what_the_marts_say(first_morning: House) -> None:
    folder = first_morning.worklist(AS_OF)
    calls, items = read_csv(folder / "worklist.csv"), read_csv(folder / "worklist_items.csv")
    assert [(call["customer_id"], Decimal(call["past_due_amount"])) for call in calls] == first_morning.ask(
        "select customer_id, past_due_amount from dunning_worklist order by rank"
    )
    assert {(item["item_id"], item["held_reason"]) for item in items} == set(
        first_morning.ask("select item_id, coalesce(held_reason, '') from dunning_items")
    )
    assert {"0001", "0015", "1"} & {item["customer_id"] for item in items} == {"0001", "0015", "1"}, "leading zeros matter"


def test_the_manifest_adds_up_and_its_hashes_are_the_files(first_morning: House) -> None:
    folder = first_morning.worklist(AS_OF)
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert {file["name"]: file["sha256"] for file in manifest["files"]} == lists(folder)
    ((customers, items, past_due),) = first_morning.ask(
        "select count(*), sum(item_count), sum(past_due_amount) from dunning_worklist"
    )
    totals = manifest["totals"]
    assert (totals["customers"], totals["items"], Decimal(totals["past_due"])) == (customers, items, past_due)
    made_by = {name: manifest["run"][name] for name in ("policy_fingerprint", "code_fingerprint")}
    assert [tuple(made_by.values())] == first_morning.ask("select policy_fingerprint, code_fingerprint from run")
    assert all(len(value) == 16 for value in made_by.values())


# --- what people can write into a ledger ---------------------------------------------------------------------------------


def test_nothing_in_a_csv_or_a_workbook_is_a_formula(first_morning: House) -> None:
    folder = first_morning.worklist(AS_OF)
    for path in folder.glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            cells = {cell for row in csv.reader(file) for cell in row}
        risky = {cell for cell in cells if cell[:1] in ("=", "+", "@", "\t", "\r") or (cell[:1] == "-" and not _is_number(cell))}
        assert risky == set(), path.name
        named = path.name not in ("agency.csv", "cash_forecast.csv")  # that customer is not at the agency, and cash has no names
        assert not named or "'=cmd|' /C calc'!A0" in cells, path.name
    found = 0
    for path in folder.glob("*.xlsx"):
        with zipfile.ZipFile(path) as workbook:
            sheets = [workbook.read(name).decode() for name in workbook.namelist() if name.startswith("xl/worksheets/sheet")]
        found += sum("=cmd|' /C calc'!A0" in sheet or "=cmd|&#39; /C calc&#39;!A0" in sheet for sheet in sheets)
        assert not any("<f>" in sheet and "cmd" in sheet.split("<f>", 1)[1].split("</f>", 1)[0] for sheet in sheets)
    assert found, "the name is in no workbook at all"


def _is_number(cell: str) -> bool:
    try:
        Decimal(cell)
    except ArithmeticError:
        return False
    return True


def test_a_collectors_name_leads_nowhere(first_morning: House) -> None:
    folder = first_morning.worklist(AS_OF)
    assert {path.parent for path in first_morning.home.rglob("*passwd*")} == {folder, folder / "drafts"}
    assert {path.name for path in folder.iterdir()} >= {
        "worklist-etc-passwd.xlsx",
        "worklist-bjorn-ost.xlsx",
        "worklist-anna.xlsx",
    }


def test_each_collector_has_a_workbook_with_their_customers_and_nobody_elses(first_morning: House) -> None:
    folder = first_morning.worklist(AS_OF)
    shown = {}
    for name in ("worklist-anna.xlsx", "worklist-etc-passwd.xlsx"):
        cells = {cell for sheet in _cells(folder / name).values() for row in sheet for cell in row}
        shown[name] = cells & {"Aldgate Fittings", "=cmd|' /C calc'!A0", "Brück & Söhne"}
    assert shown == {"worklist-anna.xlsx": {"Aldgate Fittings"}, "worklist-etc-passwd.xlsx": {"=cmd|' /C calc'!A0"}}


def _cells(path: Path) -> dict[str, list[list[object]]]:
    with path.open("rb") as file:
        workbook = CalamineWorkbook.from_filelike(file)
        return {name: workbook.get_sheet_by_name(name).to_python() for name in workbook.sheet_names}


# --- what is left beside the marts -----------------------------------------------------------------------------------------


def test_parquet_has_the_same_rows_as_the_file_of_marts(first_morning: House) -> None:
    marts = first_morning.marts()
    folder = first_morning.published / "parquet"
    assert {path.stem for path in folder.glob("*.parquet")} == {*marts, "run"}
    for name, rows in marts.items():
        assert duckdb.execute("select * from read_parquet(?) order by all", [str(folder / f"{name}.parquet")]).fetchall() == rows


def test_what_goes_out_is_remembered_by_item_and_step(first_morning: House) -> None:
    acted = first_morning.ask("select as_of, item_id, step from dunning_items where held_reason is null order by all")
    assert first_morning.issued() == acted
