"""Filled workbooks: written by the export, filled in as people and programs do, and read back cell by cell."""

from __future__ import annotations

import csv
import os
import re
import shutil
import time
import zipfile
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pyarrow as pa
import pytest
import xlsxwriter

from dagster_project import duck, form
from dagster_project.amounts import digits_on
from dagster_project.contract import DATASETS, WORKLIST_OUTCOMES
from dagster_project.delivery import deliver
from dagster_project.incoming import answers, archive, intake, workbook
from dagster_project.incoming.archive import Archive, Refused, Unreadable
from dagster_project.incoming.inbox import Filled, judged
from dagster_project.incoming.intake import TakenIn, reads, take_in
from dagster_project.incoming.issued import issued_on
from dagster_project.landing import Landing, rows_select
from dagster_project.outgoing import export
from dagster_project.seals import seal
from dagster_project.sources import Delivery, page_schema

LISTED, MORNING = date(2025, 6, 2), date(2025, 6, 3)
NAMES = {"0017": "Ångström & Söhne", "=1+1": "Kestrel Ltd", "C3": "Nordwind GmbH", "C4": "Bianchi S.p.A."}
CALL, ITEMS = form.CALL_LIST, form.ITEM_LIST
KEY = b"the key of this house, of 32 bytes"


@pytest.fixture(scope="module")
def marts(mart: Callable[..., pa.Table]) -> dict[str, pa.Table]:
    """A morning's marts: four customers who owe 100 a document, the last in two currencies."""

    def item(number: int, customer: str, currency: str) -> dict[str, Any]:
        money = dict.fromkeys(
            ("open_amount", "open_amount_reporting", "dunnable_amount", "dunnable_amount_reporting"), Decimal(100)
        )
        nothing = dict.fromkeys(("disputed_amount", "covered_amount", "disputed_amount_reporting"), Decimal(0))
        ids = {"item_id": f"I{number}/1", "invoice_id": f"I{number}", "document_number": f"N{number}"}
        who = {"customer_id": customer, "customer_name": NAMES[customer], "collector": "anna"}
        return {**ids, **who, **money, **nothing, "currency": currency, "reporting_currency": "EUR", "step": "first_notice"}

    items = [item(1, "0017", "EUR"), item(2, "0017", "EUR"), item(3, "=1+1", "USD"), item(4, "C3", "EUR")]
    items += [item(5, "C4", "EUR"), item(6, "C4", "USD")]
    held = {**item(7, "C3", "GBP"), "held_reason": "disputed", "held_list": "disputes"}
    calls = [
        {
            "rank": rank,
            "customer_id": customer,
            "customer_name": name,
            "collector": "anna",
            "reporting_currency": "EUR",
            "item_count": count,
            "past_due_amount": Decimal(100) * count,
            "not_due_amount": Decimal(0),
            "severity": 30,
            "step": "first_notice",
            "step_label": "First notice",
            "priority": Decimal(1),
        }
        for rank, ((customer, name), count) in enumerate(zip(NAMES.items(), (2, 1, 1, 2), strict=True), 1)
    ]
    return {"dunning_worklist": mart("dunning_worklist", *calls), "dunning_items": mart("dunning_items", *items, held)}


@pytest.fixture(scope="module")
def delivered(marts: dict[str, pa.Table], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home to which a morning was delivered. Nobody writes here."""
    home = tmp_path_factory.mktemp("delivered")
    landing = Landing(home / "landing", home / "quarantine")
    deliver(home / "worklists", landing, marts, as_of=LISTED, policy="net_terms", run={"run_id": "r1"}, rejected={}, key=KEY)
    return home


@pytest.fixture
def issued(delivered: Path, landing: Landing, tmp_path: Path) -> Path:
    """The folder of the morning's worklists, which is remembered as well."""
    shutil.copytree(delivered, tmp_path, dirs_exist_ok=True)
    return tmp_path / "worklists" / LISTED.isoformat()


ROW = dict(zip(NAMES, range(5, 9), strict=True))
"""The row of each customer on the call list."""


@pytest.fixture
def fill(issued: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the collector's workbook in the inbox, with answers: {customer: {header: value}}, and of items by their row."""
    columns = {sheet: headers(issued / "worklist-anna.xlsx", sheet) for sheet in (CALL, ITEMS)}

    def filled(
        answers: Mapping[str, Mapping[str, Any]], items: Mapping[int, Mapping[str, Any]] | None = None, name: str = ""
    ) -> Path:
        cells = {(CALL, f"{columns[CALL][header]}{ROW[who]}"): v for who, row in answers.items() for header, v in row.items()}
        cells |= {
            (ITEMS, f"{columns[ITEMS][header]}{row}"): v for row, values in (items or {}).items() for header, v in values.items()
        }
        target = tmp_path / "inbox" / (name or "worklist-anna.xlsx")
        target.parent.mkdir(exist_ok=True)
        put(issued / "worklist-anna.xlsx", target, cells)
        return target

    return filled


def headers(path: Path, sheet: str) -> dict[str, str]:
    """The column letter of each header."""
    with workbook.CalamineWorkbook.from_path(str(path)) as book:
        row = book.get_sheet_by_name(sheet).to_python(skip_empty_area=False)[3 if sheet == CALL else 2]
    return {str(header): workbook.letter(place) for place, header in enumerate(row) if header}


def put(source: Path, target: Path, cells: Mapping[tuple[str, str], Any]) -> None:
    """Write values into a workbook's cells, as Excel stores them: text inline, dates and amounts as numbers."""
    with zipfile.ZipFile(source) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    places = Archive.of(source).parts
    for (sheet, cell), value in cells.items():
        xml = parts[places[sheet]].decode()
        written, found = re.subn(rf'<c r="{cell}" s="(\d+)"(?: t="inlineStr"><is>.*?</is></c>|/>)', stored(cell, value), xml)
        assert found == 1, f"{sheet}!{cell} is there once"
        parts[places[sheet]] = written.encode()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in parts.items():
            packed.writestr(name, content)


def stored(cell: str, value: Any) -> Callable[[re.Match[str]], str]:
    if isinstance(value, date):
        value = (value - date(1899, 12, 30)).days
    if isinstance(value, str):
        return lambda match: (
            f'<c r="{cell}" s="{match[1]}" t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
        )
    return lambda match: f'<c r="{cell}" s="{match[1]}"><v>{value}</v></c>'


def back(path: Path, issued: Path, morning: date = MORNING) -> Filled:
    landing = Landing(issued.parent.parent / "landing", issued.parent.parent / "quarantine")
    found = lambda day: issued_on(day, landing, issued.parent)  # noqa: E731
    return judged(workbook.opened(path), found, KEY, morning=morning, max_age_days=45, promise_days=366)


def sealed(who: str, item: str = "") -> str:
    """The seal of a row of the list, as any program may write it into a workbook of its own."""
    return seal(KEY, LISTED, "net_terms", "anna", who, item)


def said(filled: Filled) -> dict[str, dict[str, Any]]:
    """What was filled in, by customer or item."""
    kept = ("contacted", "outcome", "promised_date", "promised_amount", "dispute_reason", "disputed_amount", "currency", "note")
    return {
        outcome.item_id or outcome.customer_id: {name: value for name in kept if (value := getattr(outcome, name)) is not None}
        for outcome in filled.outcomes
    }


def sent_back(filled: Filled) -> list[tuple[str, str, str, str]]:
    return [(cell.cell, cell.customer_id, cell.header, cell.message) for cell in filled.rejected]


# --- what counts ------------------------------------------------------------------------------------------------------


def test_every_kind_of_answer_comes_back_as_it_was_meant(fill: Callable[..., Path], issued: Path) -> None:
    path = fill(
        {
            "0017": {
                "Contacted": "yes ",
                "Outcome": " promised  TO pay",
                "Promised date": date(2025, 6, 12),
                "Promised amount": 150.5,
                "Note": "Zahlt nächste Woche 🙂 מחר\x85\nsecond line",
            },
            "=1+1": {"Outcome": "Disputes it", "Dispute reason": "Price"},
            "C3": {"Contacted": "No"},
        },
        {5: {"Dispute reason": "Not delivered", "Disputed amount": "40,50"}},
    )

    filled = back(path, issued)

    assert filled.rejected == []
    assert said(filled) == {
        "0017": {
            "contacted": "yes",
            "outcome": "promised",
            "promised_date": date(2025, 6, 12),
            "promised_amount": Decimal("150.50"),
            "currency": "EUR",
            "note": "Zahlt nächste Woche 🙂 מחר \nsecond line",
        },
        "=1+1": {"outcome": "disputed", "dispute_reason": "price"},
        "C3": {"contacted": "no"},
        "I2/1": {"dispute_reason": "not_delivered", "disputed_amount": Decimal("40.50"), "currency": "EUR"},
    }
    dispute = filled.outcomes[-1]
    assert (dispute.customer_id, dispute.invoice_id, dispute.collector, dispute.policy) == ("0017", "I2", "anna", "net_terms")


def test_an_empty_workbook_says_nothing(fill: Callable[..., Path], issued: Path) -> None:
    filled = back(fill({"C3": {"Note": "  \n "}}), issued)

    assert (list(filled.outcomes), list(filled.rejected)) == ([], [])


@pytest.mark.parametrize(
    ("cell", "day"),
    [
        ("2025-06-30", date(2025, 6, 30)),
        ("30.06.2025", date(2025, 6, 30)),
        ("3.7.25", date(2025, 7, 3)),
        ("13/06/2025", date(2025, 6, 13)),
        ("06/13/2025", date(2025, 6, 13)),
        ("07-07-2025", date(2025, 7, 7)),
        ("30 June 2025", date(2025, 6, 30)),
        ("2025-06-30 00:00:00", date(2025, 6, 30)),
        ("45838", date(2025, 6, 30)),
        (LISTED, LISTED),
        ("05/06/2025", "read as two days: write it as 2025-05-06 or 2025-06-05"),
        ("next Friday", "no date: write it as"),
        ("31.06.2025", "no date"),
        ("2025-06-01", "before the list's own day, 2025-06-02"),
        (date(2026, 6, 3), date(2026, 6, 3)),
        (date(2026, 6, 4), "more than 366 days away"),
        (date(2052, 6, 30), "more than 366 days away"),
        (99999999, "no date"),
    ],
)
def test_a_day_is_taken_where_it_can_be_read_in_one_way(cell: Any, day: Any) -> None:
    if isinstance(day, date):
        assert answers.day_in(cell, LISTED, 366) == day
    else:
        with pytest.raises(ValueError, match=re.escape(day)):
            answers.day_in(cell, LISTED, 366)


EURO, BOTH = frozenset({"EUR"}), frozenset({"EUR", "USD"})
YEN, DINAR = frozenset({"JPY"}), frozenset({"KWD"})


@pytest.mark.parametrize(
    ("cell", "currencies", "amount"),
    [
        (1234.56, EURO, ("1234.56", "EUR")),
        (0.1 + 0.2, EURO, ("0.30", "EUR")),
        ("1,234.56", EURO, ("1234.56", "EUR")),
        ("1.234,56", EURO, ("1234.56", "EUR")),
        ("1.234.567", EURO, ("1234567.00", "EUR")),
        ("1 234,5", EURO, ("1234.50", "EUR")),
        ("1'234.50", EURO, ("1234.50", "EUR")),
        ("€ 1200", EURO, ("1200.00", "EUR")),
        ("1200 usd", BOTH, ("1200.00", "USD")),
        (1200, BOTH, ("1200.00", None)),
        ("1.234", EURO, "two amounts: write it as 1234 or as 1.23"),
        ("1200 GBP", BOTH, "in EUR and USD"),
        ("12,34,56", EURO, "digits only"),
        ("1.5.2025", EURO, "digits only"),
        ("half of it", EURO, "digits only"),
        (True, EURO, "digits only"),
        (date(2025, 6, 30), EURO, "digits only"),
        ("#VALUE!", EURO, "digits only"),
        (0, EURO, "above zero"),
        (-5, EURO, "above zero"),
        ("-5", EURO, "above zero"),
        (0.001, EURO, "above zero"),
        (float("nan"), EURO, "above zero"),
        (1e15, EURO, "too large"),
        ("12.345,678", EURO, "two places"),
        ("1.234", YEN, ("1234", "JPY")),
        (100.5, YEN, ("101", "JPY")),
        ("100,5", YEN, "no places after the point: write it as 1235"),
        ("1.234", DINAR, ("1.234", "KWD")),
        ("1,234.5", DINAR, ("1234.500", "KWD")),
        (0.001, DINAR, ("0.001", "KWD")),
    ],
)
def test_an_amount_is_taken_where_it_can_be_read_in_one_way(cell: Any, currencies: frozenset[str], amount: Any) -> None:
    if isinstance(amount, tuple):
        assert answers.amount_in(cell, currencies, digits_on(LISTED)) == (Decimal(amount[0]), amount[1])
    else:
        with pytest.raises(ValueError, match=re.escape(amount)):
            answers.amount_in(cell, currencies, digits_on(LISTED))


# --- what comes back --------------------------------------------------------------------------------------------------


def test_a_bad_cell_comes_back_with_what_to_write_and_the_rest_of_its_row_counts(fill: Callable[..., Path], issued: Path) -> None:
    path = fill(
        {
            "0017": {"Contacted": "Yes", "Outcome": "Promised to pay", "Promised date": "Friday", "Promised amount": 100},
            "=1+1": {"Outcome": "maybe", "Note": "rang twice"},
            "C3": {"Promised amount": 70},
            "C4": {"Outcome": "Promised to pay"},
        }
    )

    filled = back(path, issued)

    assert said(filled) == {
        "0017": {"contacted": "yes", "outcome": "promised"},
        "=1+1": {"note": "rang twice"},
        "C4": {"outcome": "promised"},
    }
    at = headers(path, CALL)
    both = "a promise needs both the day and the amount: fill in the"
    assert sent_back(filled) == [
        (f"{at['Promised date']}5", "0017", "Promised date", "that is no date: write it as 2025-06-30 or 30.06.2025"),
        (f"{at['Outcome']}6", "=1+1", "Outcome", f"write one of: {', '.join(label for label, _ in form.QUESTIONS[1].choices)}"),
        (f"{at['Promised date']}7", "C3", "Promised date", f"{both} day as well"),
        (f"{at['Promised date']}8", "C4", "Promised date", f"{both} day as well"),
        (f"{at['Promised amount']}8", "C4", "Promised amount", f"{both} amount as well"),
    ]


def sheet_of(
    path: Path, rows: list[list[Any]], *, call_list: str = "My calls", identity: Mapping[str, str] | None = None
) -> Path:
    """A workbook as another program may have written it anew: other sheets, other places, only the texts are left."""
    path.parent.mkdir(exist_ok=True)
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet(call_list)
        for number, row in enumerate(rows):
            for place, value in enumerate(row):
                sheet.write(number, place, value)
        named = {"schema_version": "1", "as_of": LISTED.isoformat(), "policy": "net_terms", "collector": "anna", "sheet": CALL}
        hidden = book.add_worksheet(form.IDENTITY_SHEET)
        for number, pair in enumerate((named | dict(identity or {})).items()):
            hidden.write_row(number, 0, pair)
    return path


def test_headers_and_ids_find_the_answers_wherever_they_have_gone(issued: Path, tmp_path: Path) -> None:
    """Columns in another order, rows sorted, a line on top, another sheet name, ids that have become numbers."""
    head = ["note", "Name", "OUTCOME", "customer id", "seal"]
    rows = [[], ["my list"], head, ["x", "", "Refuses to pay", "C3", sealed("C3")], ["y", "", "", 17, sealed("0017")]]

    filled = back(sheet_of(tmp_path / "inbox" / "other.xlsx", rows), issued)

    assert said(filled) == {"C3": {"outcome": "refused", "note": "x"}, "0017": {"note": "y"}}
    assert {(cell.header, cell.message) for cell in filled.rejected} == {
        (header, f"the column {header} is gone, so that nothing in it was read")
        for header in ("Contacted", "Promised date", "Promised amount", "Dispute reason")
    }


def test_answers_that_belong_to_nobody_come_back(issued: Path, tmp_path: Path) -> None:
    head = ["Customer ID", *(question.header for question in form.QUESTIONS), "Note", "Seal"]
    mine, blank = sealed("C3"), [""] * 6
    rows = [head, ["C3", "Yes", *blank, mine], ["C9", "Yes"], ["", "No"], ["C3", "No", *blank, mine], ["Total", "", "", "", ""]]

    filled = back(sheet_of(tmp_path / "inbox" / "other.xlsx", rows), issued)

    assert said(filled) == {"C3": {"contacted": "yes"}}
    assert sent_back(filled) == [
        ("H1", "", "Note", "there is another column Note; only the first was read"),
        ("A3", "C9", "Customer ID", "C9 is not on the list: put the answers into the row they belong to"),
        ("A4", "", "Customer ID", "the row has answers and no Customer ID: put them into the row they belong to"),
        ("A5", "C3", "Customer ID", "C3 is filled in twice; row 2 was read and this one was not"),
    ]


def test_a_cell_merged_over_rows_counts_for_the_first_and_says_so(issued: Path, tmp_path: Path) -> None:
    path = tmp_path / "merged.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet("Calls")
        for number, row in enumerate([["Customer ID", "Contacted", "Seal"], ["C3", "", sealed("C3")], ["C4", "", sealed("C4")]]):
            sheet.write_row(number, 0, row)
        sheet.merge_range(1, 1, 2, 1, "Yes")
        sheet.write_formula(3, 1, '=A1&""', None, "No")
        sheet.write(3, 0, "=1+1", book.add_format({"num_format": "@"}))
        sheet.write_string(3, 0, "=1+1")
        sheet.write_string(3, 2, sealed("=1+1"))
        hidden = book.add_worksheet(form.IDENTITY_SHEET)
        hidden.write_column(0, 0, ["schema_version", "as_of", "policy"])
        hidden.write_column(0, 1, ["1", LISTED.isoformat(), "net_terms"])

    filled = back(path, issued)

    assert said(filled) == {"C3": {"contacted": "yes"}, "=1+1": {"contacted": "no"}}, "of a formula, what it came to"
    assert ("B2", "Contacted") in [
        (cell.cell, cell.header) for cell in filled.rejected if "merged over rows 2 to 3" in cell.message
    ]


# --- what is not read at all ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("identity", "why"),
    [
        ({"schema_version": "99"}, "version 99"),
        ({"schema_version": ""}, "which version"),
        ({"as_of": "soon"}, "'soon' is no date"),
        ({"as_of": "2025-06-04"}, "later than this morning"),
        ({"as_of": "2025-04-18"}, "more than 45 days"),
        ({"as_of": "2025-05-30"}, "no worklist of 2025-05-30 was ever issued"),
        ({"policy": ""}, "under which policy"),
    ],
)
def test_a_workbook_that_is_not_of_a_list_in_force_is_refused(
    identity: dict[str, str], why: str, issued: Path, tmp_path: Path
) -> None:
    path = sheet_of(tmp_path / "other.xlsx", [["Customer ID", "Contacted"], ["C3", "Yes"]], identity=identity)

    with pytest.raises(Refused, match=re.escape(why)):
        back(path, issued)


def test_files_that_are_no_workbooks_of_ours_are_refused_before_anything_opens_them(
    issued: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = sheet_of(tmp_path / "foreign.xlsx", [["Customer ID", "Contacted"]])
    with zipfile.ZipFile(tmp_path / "bomb.xlsx", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/worksheets/sheet1.xml", b" " * 10_000_000)
    (tmp_path / "text.xlsx").write_text("Customer ID;Contacted")
    (tmp_path / "half.xlsx").write_bytes(foreign.read_bytes()[:2000])
    (tmp_path / "macros.xlsm").write_bytes(foreign.read_bytes())
    with zipfile.ZipFile(tmp_path / "archive.xlsx", "w") as packed:
        packed.writestr("readme.txt", "no workbook")

    for name in ("text.xlsx", "half.xlsx", "archive.xlsx"):
        with pytest.raises(Unreadable):
            back(tmp_path / name, issued)
    with pytest.raises(Refused, match="save the workbook as"):
        back(tmp_path / "macros.xlsm", issued)
    monkeypatch.setattr(archive, "MAX_UNPACKED_BYTES", 5_000_000)
    with pytest.raises(Refused, match="unpacked it would have 10 MB"):
        back(tmp_path / "bomb.xlsx", issued)
    monkeypatch.setattr(archive, "MAX_FILE_BYTES", 1_000)
    with pytest.raises(Refused, match="at most"):
        back(foreign, issued)


def test_a_cell_far_out_does_not_fill_the_memory(issued: Path, tmp_path: Path) -> None:
    path = tmp_path / "far.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet(CALL)
        sheet.write_row(0, 0, ["Customer ID", "Contacted"])
        sheet.write(1_048_575, 16_383, "oops")
        hidden = book.add_worksheet(form.IDENTITY_SHEET)
        hidden.write_column(0, 0, ["schema_version", "as_of", "policy", "sheet"])
        hidden.write_column(0, 1, ["1", LISTED.isoformat(), "net_terms", CALL])

    with pytest.raises(Refused, match="reaches out to 17,179,869,184 cells"):
        back(path, issued)


# --- the inbox --------------------------------------------------------------------------------------------------------


def run(issued: Path, landing: Landing, morning: date = MORNING) -> TakenIn:
    return take_in(issued.parent.parent / "inbox", issued.parent, landing, morning, KEY)


def known(landing: Landing, *columns: str) -> list[tuple[Any, ...]]:
    """What staging makes of the loads: the newest version of each row."""
    loads = landing.loads(WORKLIST_OUTCOMES)
    with duck.scratch(landing.folder) as con:
        return con.execute(
            f"select {', '.join(columns)} from ({rows_select(WORKLIST_OUTCOMES, con, loads)}) "
            "qualify row_number() over (partition by outcome_id order by _as_of desc, _loaded_at desc) = 1 order by all"
        ).fetchall()


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != ".lock")


def test_a_workbook_is_landed_once_put_away_and_its_bad_cells_listed(
    fill: Callable[..., Path], issued: Path, landing: Landing
) -> None:
    path = fill({"C3": {"Contacted": "Yes", "Note": "=HYPERLINK(1)"}, "C4": {"Outcome": "perhaps"}})
    path.with_name("~$worklist-anna.xlsx").write_text("lock")
    path.with_name("readme.txt").write_text("not mine")

    taken = run(issued, landing)

    assert (taken.files, taken.outcomes, taken.refused, taken.rejected) == (1, 1, {}, {"worklist-anna.xlsx": 1})
    assert files(path.parent) == ["done/worklist-anna.xlsx", "readme.txt", "worklist-anna.errors.csv", "~$worklist-anna.xlsx"]
    with path.with_name("worklist-anna.errors.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["sheet"], row["customer_id"], row["header"], row["value"]) == (CALL, "C4", "Outcome", "perhaps")
    assert known(landing, "customer_id", "collector", "contacted", "note", "file_name", "_as_of") == [
        ("C3", "anna", "yes", "=HYPERLINK(1)", "worklist-anna.xlsx", MORNING)
    ]

    fill({"C3": {"Contacted": "Yes", "Note": "=HYPERLINK(1)"}})
    again = run(issued, landing)

    assert again.manifest is not None
    assert (again.manifest.landed, again.manifest.unchanged) == (0, 1), "the same file twice counts once"
    assert files(path.parent) == [
        *("done/worklist-anna (2).xlsx", "done/worklist-anna.errors.csv", "done/worklist-anna.xlsx"),
        *("readme.txt", "~$worklist-anna.xlsx"),
    ]


def test_of_two_answers_about_one_row_the_one_handed_in_last_counts(
    fill: Callable[..., Path], issued: Path, landing: Landing
) -> None:
    first, second = (
        fill({"C3": {"Contacted": "No"}, "C4": {"Contacted": "No"}}),
        fill({"C3": {"Contacted": "Yes"}}, name="a.xlsx"),
    )
    os.utime(first, (1_000_000, 1_000_000))
    os.utime(second, (2_000_000, 2_000_000))

    run(issued, landing)
    assert known(landing, "customer_id", "contacted") == [("C3", "yes"), ("C4", "no")]

    fill({"C4": {"Outcome": "Says it is paid"}})
    run(issued, landing, MORNING + timedelta(days=1))
    assert known(landing, "customer_id", "contacted", "outcome") == [("C3", "yes", None), ("C4", None, "paid")]


def test_a_kill_after_landing_reads_the_file_again_and_counts_it_once(
    fill: Callable[..., Path], issued: Path, landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fill({"C3": {"Contacted": "Yes"}})

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(intake, "_put_away", killed)
        with pytest.raises(KeyboardInterrupt):
            run(issued, landing)
    assert (path.exists(), len(known(landing, "outcome_id"))) == (True, 1)

    run(issued, landing)

    assert (path.exists(), len(known(landing, "outcome_id"))) == (False, 1)


def test_a_refused_file_is_put_away_with_its_reason_and_one_that_may_be_arriving_waits(
    fill: Callable[..., Path], issued: Path, landing: Landing
) -> None:
    good = fill({"C3": {"Contacted": "Yes"}})
    good.with_name("old.xls").write_bytes(b"\xd0\xcf\x11\xe0")
    arriving = good.with_name("arriving.xlsx")
    arriving.write_bytes(good.read_bytes()[:3000])

    taken = run(issued, landing)

    assert (list(taken.refused), taken.outcomes) == (["old.xls"], 1)
    assert "nothing of this file was read: .xls cannot be read" in good.with_name("old.errors.csv").read_text("utf-8")
    assert files(good.parent) == ["arriving.xlsx", "done/old.xls", "done/worklist-anna.xlsx", "old.errors.csv"]

    an_hour_ago = time.time() - 3600
    os.utime(arriving, (an_hour_ago, an_hour_ago))
    assert list(run(issued, landing).refused) == ["arriving.xlsx"]


def test_a_replay_of_an_older_morning_leaves_the_inbox_alone(landing: Landing) -> None:
    assert reads(landing, LISTED, MORNING), "the first morning there is"
    page = pa.Table.from_pylist([{"company_id": "M", "name": "M", "currency": "EUR"}], page_schema(DATASETS["companies"]))
    landing.land(DATASETS["companies"], Delivery(iter([page]), True, "test"), MORNING)

    assert not reads(landing, LISTED, MORNING + timedelta(days=9))
    assert reads(landing, MORNING, MORNING + timedelta(days=9)), "the newest morning, run again"
    assert reads(landing, LISTED, LISTED)


# --- whose row it is --------------------------------------------------------------------------------------------------


def test_an_answer_counts_for_the_row_it_was_written_into_and_for_no_other(
    fill: Callable[..., Path], issued: Path, tmp_path: Path
) -> None:
    """Ids edited, a row without its seal, a seal of another customer, of another morning, of another house."""
    path = fill({"C3": {"Contacted": "Yes"}, "C4": {"Contacted": "Yes"}}, {5: {"Dispute reason": "Price"}})
    at = headers(path, CALL)
    with zipfile.ZipFile(path) as packed:
        xml = packed.read(Archive.of(path).parts[CALL]).decode()
    other = re.sub(r"(<is><t[^>]*>)C4(</t>)", r"\g<1>0017\2", xml, count=1)
    with zipfile.ZipFile(path) as packed, zipfile.ZipFile(tmp_path / "edited.xlsx", "w") as edited:
        for name in packed.namelist():
            edited.writestr(name, other if name == Archive.of(path).parts[CALL] else packed.read(name))

    filled = back(tmp_path / "edited.xlsx", issued)

    assert said(filled) == {"C3": {"contacted": "yes"}, "I2/1": {"dispute_reason": "price"}}
    ((cell, customer, _, why),) = sent_back(filled)
    assert (cell, customer) == (f"{at['Customer ID']}8", "0017")
    assert "is not the one that was issued about 0017" in why

    head = ["Customer ID", "Contacted", "Seal"]
    foreign = [
        ["C3", "Yes", seal(b"the key of another house" * 2, LISTED, "net_terms", "anna", "C3")],
        ["C4", "Yes", seal(KEY, LISTED - timedelta(days=1), "net_terms", "anna", "C4")],
        ["0017", "Yes", ""],
        ["C4", "Yes", sealed("C4", "I5/1")],
    ]
    filled = back(sheet_of(tmp_path / "inbox" / "made-up.xlsx", [head, *foreign]), issued)
    assert said(filled) == {}
    assert sum("so that nothing in it was read: fill in the list" in cell.message for cell in filled.rejected) == 4
    assert sum("has no seal" in cell.message for cell in filled.rejected) == 1


def test_a_promise_or_a_dispute_of_more_than_is_owed_comes_back_with_the_figure(fill: Callable[..., Path], issued: Path) -> None:
    """0017 owes 200, C4 100 in each of two currencies; the document in dispute has 100 open."""
    promise = {"Contacted": "Yes", "Promised date": date(2025, 6, 12)}
    path = fill(
        {
            "0017": {**promise, "Promised amount": 999_999_999},
            "=1+1": {**promise, "Promised amount": 100},
            "C4": {**promise, "Promised amount": 100.01},
        },
        {5: {"Dispute reason": "Price", "Disputed amount": 100.01}},
    )

    filled = back(path, issued)

    assert said(filled) == {
        "0017": {"contacted": "yes"},
        "=1+1": {"contacted": "yes", "promised_date": date(2025, 6, 12), "promised_amount": Decimal("100.00"), "currency": "USD"},
        "C4": {"contacted": "yes"},
        "I2/1": {"dispute_reason": "price"},
    }
    assert [message for *_, message in sent_back(filled)] == [
        "999,999,999.00 is more than the customer owed when the list was made, 200.00 EUR: write how much of that was promised",
        "100.01 is more than the customer owed when the list was made, 100.00 EUR: write how much of that was promised",
        "100.01 is more than is open of the document, 100.00 EUR: write how much of it is contested, or leave the cell empty for all "
        "of it",
    ]


def test_whoever_tidies_the_worklists_takes_nobody_their_answers(
    fill: Callable[..., Path], issued: Path, landing: Landing
) -> None:
    fill({"C3": {"Contacted": "Yes"}}, {5: {"Dispute reason": "Price"}})
    shutil.rmtree(issued.parent)

    taken = run(issued, landing)

    assert (taken.outcomes, taken.refused, taken.rejected) == (2, {}, {})


def test_a_list_from_before_rows_were_sealed_is_still_read(marts: dict[str, pa.Table], tmp_path: Path) -> None:
    folder = tmp_path / "worklists" / LISTED.isoformat()
    export(folder, marts, as_of=LISTED, policy="net_terms", run={})
    path = sheet_of(tmp_path / "inbox" / "old.xlsx", [["Customer ID", "Contacted"], ["C3", "Yes"]])

    assert said(back(path, folder)) == {"C3": {"contacted": "yes"}}


def test_a_list_that_was_only_replayed_is_read_by_its_folder_and_its_seals(marts: dict[str, pa.Table], tmp_path: Path) -> None:
    folder = tmp_path / "worklists" / LISTED.isoformat()
    export(folder, marts, as_of=LISTED, policy="net_terms", run={}, key=KEY)
    rows = [["Customer ID", "Contacted", "Seal"], ["C3", "Yes", sealed("C3")], ["C4", "Yes", sealed("C3")]]

    assert said(back(sheet_of(tmp_path / "inbox" / "replayed.xlsx", rows), folder)) == {"C3": {"contacted": "yes"}}


def test_a_row_given_to_another_collector_since_is_still_the_one_that_was_issued(
    fill: Callable[..., Path], issued: Path, landing: Landing, marts: dict[str, pa.Table]
) -> None:
    fill({"C3": {"Contacted": "Yes"}})
    for name in marts:
        place = marts[name].schema.get_field_index("collector")
        marts[name] = marts[name].set_column(place, "collector", pa.array(["bert"] * marts[name].num_rows, pa.string()))
    deliver(issued.parent, landing, marts, as_of=LISTED, policy="net_terms", run={}, rejected={}, key=KEY)

    assert run(issued, landing).rejected == {}
    assert known(landing, "customer_id", "collector") == [("C3", "bert")]


# --- files that break what reads them ---------------------------------------------------------------------------------


def hostile(source: Path, target: Path, cell: str) -> Path:
    """A good workbook with one more cell on its call list."""
    with zipfile.ZipFile(source) as packed, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as written:
        place = Archive.of(source).parts[CALL]
        for name in packed.namelist():
            content = packed.read(name)
            written.writestr(
                name, content.replace(b"</sheetData>", cell.encode() + b"</sheetData>") if name == place else content
            )
    return target


@pytest.mark.parametrize(
    "cell",
    [
        '<row r="9"><c r="xfd1048576"><v>1</v></c></row>',
        '<row r="9999999999"><c r="A9999999999"><v>1</v></c></row>',
        '<row r="99999999999999999999"><c r="A5"><v>1</v></c></row>',
        '<row r="9"><c r="ZZZZZZZZZZ9"><v>1</v></c></row>',
        "<row r='9'><c r='A4294967295'><v>1</v></c></row>",
        '<row r="9"><c r="&#88;FD1048576"><v>1</v></c></row>',
    ],
)
def test_a_file_that_breaks_what_reads_it_is_its_own_fault_alone(
    cell: str, fill: Callable[..., Path], issued: Path, landing: Landing
) -> None:
    good = fill({"C3": {"Contacted": "Yes"}})
    bad = hostile(good, good.with_name("bad.xlsx"), cell)
    os.utime(bad, (1_000_000, 1_000_000))

    taken = run(issued, landing)

    assert (taken.files, taken.outcomes) == (2, 1)
    assert list(taken.refused) == ["bad.xlsx"]
    assert files(bad.parent) == ["bad.errors.csv", "done/bad.xlsx", "done/worklist-anna.xlsx"]
    assert "nothing of this file was read: " in bad.with_name("bad.errors.csv").read_text("utf-8")


def test_a_reader_that_dies_or_hangs_is_said_of_the_file_and_the_next_file_is_read(
    fill: Callable[..., Path], issued: Path, landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fill({"C3": {"Contacted": "Yes"}}, name="a.xlsx")
    fill({"C4": {"Contacted": "Yes"}}, name="b.xlsx")
    os.utime(first, (1_000_000, 1_000_000))
    real = intake.Bounded.call
    asked = []

    def once(self: Any, function: Any, path: Path) -> Any:
        asked.append(path.name)
        return real(self, os.abort if len(asked) == 1 else function, *(() if len(asked) == 1 else (path,)))

    monkeypatch.setattr(intake.Bounded, "call", once)

    taken = run(issued, landing)

    assert (taken.outcomes, list(taken.refused)) == (1, ["a.xlsx"])
    assert taken.refused["a.xlsx"].startswith("it breaks what reads it")


def test_an_empty_inbox_starts_no_process(issued: Path, landing: Landing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake.Bounded, "_start", lambda self: pytest.fail("a process was started"))

    assert run(issued, landing) == TakenIn(0, 0, {}, {}, None)


NAMES_OF_FILES = (
    b"list \xff\xfe.xlsx",
    b"a\x1b[31mred\x07.xlsx",
    b"line\nbreak.xlsx",
    b"x" * 245 + b".xlsx",
    "ä".encode() * 120 + b".xlsx",
    "list\u202exslx.xlsx".encode(),
    b"-rf.xlsx",
)


@pytest.mark.parametrize("name", NAMES_OF_FILES)
def test_whatever_a_file_is_called_it_is_read_and_put_away(
    name: bytes, fill: Callable[..., Path], issued: Path, landing: Landing
) -> None:
    good = fill({"C3": {"Contacted": "Yes"}, "C4": {"Outcome": "perhaps"}})
    os.rename(good, os.path.join(os.fsencode(good.parent), name))

    taken = run(issued, landing)

    assert (taken.outcomes, list(taken.rejected.values())) == (1, [1])
    (shown,) = taken.rejected
    shown.encode()
    assert shown.isprintable()
    assert len(files(good.parent)) == 2
    assert known(landing, "customer_id", "file_name") == [("C3", shown)]


def test_two_files_of_one_name_and_two_endings_both_get_their_errors(
    fill: Callable[..., Path], issued: Path, landing: Landing
) -> None:
    good = fill({"C4": {"Outcome": "perhaps"}}, name="list.xlsx")
    good.with_name("list.xls").write_bytes(b"old")

    run(issued, landing)

    assert files(good.parent) == ["done/list.xls", "done/list.xlsx", "list (2).errors.csv", "list.errors.csv"]


def test_a_link_is_not_followed(fill: Callable[..., Path], issued: Path, landing: Landing, tmp_path: Path) -> None:
    good = fill({"C3": {"Contacted": "Yes"}})
    good.rename(tmp_path / "elsewhere.xlsx")
    good.symlink_to(tmp_path / "elsewhere.xlsx")

    taken = run(issued, landing)

    assert "it is a link to another file" in taken.refused["worklist-anna.xlsx"]
    assert (tmp_path / "elsewhere.xlsx").exists()


def test_a_file_that_cannot_be_put_away_does_not_stop_the_night(
    fill: Callable[..., Path], issued: Path, landing: Landing, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = fill({"C3": {"Contacted": "Yes"}})

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(intake, "_put_away", full)
        assert run(issued, landing).outcomes == 1
    assert "was read and cannot be put away (No space left on device)" in caplog.text
    assert path.exists()


def test_a_formula_that_nobody_worked_out_comes_back(issued: Path, tmp_path: Path) -> None:
    path = tmp_path / "formula.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet("Calls")
        sheet.write_row(0, 0, ["Customer ID", "Contacted", "Note", "Seal"])
        sheet.write_row(1, 0, ["C3", "Yes", "", sealed("C3")])
        sheet.write_formula("C2", "=1+1", None, "")
        hidden = book.add_worksheet(form.IDENTITY_SHEET)
        hidden.write_column(0, 0, ["schema_version", "as_of", "policy"])
        hidden.write_column(0, 1, ["1", LISTED.isoformat(), "net_terms"])
    with zipfile.ZipFile(path) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    sheet_xml = re.sub(rb"<f>1\+1</f><v></v>|<f>1\+1</f><v/>", b"<f>1+1</f>", parts["xl/worksheets/sheet1.xml"])
    assert b"<f>1+1</f></c>" in sheet_xml
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in parts.items():
            packed.writestr(name, sheet_xml if name == "xl/worksheets/sheet1.xml" else content)

    filled = back(path, issued)

    assert said(filled) == {"C3": {"contacted": "yes"}}
    assert ("C2", "C3", "Note") in [(cell.cell, cell.customer_id, cell.header) for cell in filled.rejected]
    assert any("a formula without its result" in cell.message for cell in filled.rejected)


def test_what_comes_back_is_no_longer_than_somebody_may_read(tmp_path: Path) -> None:
    from dagster_project.incoming.inbox import write_rejected

    cells = [workbook.Rejected("Items", f"A{n}", "C3", "Note", "\x1b[2J" + "x" * 5_000 + "\ud800", "wrong") for n in range(1_500)]

    write_rejected(tmp_path / "errors.csv", cells)

    with (tmp_path / "errors.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1_001
    assert rows[-1]["message"].startswith("500 more cells")
    assert "\x1b" not in rows[0]["value"]
    assert len(rows[0]["value"]) == 500


def test_a_seal_is_hidden_in_the_workbook_sorts_with_its_row_and_is_in_no_file_for_machines(issued: Path) -> None:
    parts = Archive.of(issued / "worklist-anna.xlsx").parts
    for sheet in (CALL, ITEMS):
        places = headers(issued / "worklist-anna.xlsx", sheet)
        with zipfile.ZipFile(issued / "worklist-anna.xlsx") as packed:
            xml = packed.read(parts[sheet]).decode()
        number = 0
        for mark in places["Seal"]:
            number = number * 26 + ord(mark) - 64
        assert re.search(rf'<col min="{number}" max="{number}" [^>]*hidden="1"', xml), sheet
        (sorted_to,) = re.findall(r'<autoFilter ref="A\d+:([A-Z]+)\d+"', xml)
        asked = [question.header for question in (form.QUESTIONS if sheet == CALL else form.ITEM_QUESTIONS)]
        reach = (len(sorted_to), sorted_to)
        assert all((len(places[header]), places[header]) <= reach for header in ("Seal", *asked)), sheet
    for path in issued.glob("worklist*.[cj]s*"):
        assert sealed("C3") not in path.read_text("utf-8")
