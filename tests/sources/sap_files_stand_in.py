"""A folder of SAP's tables written from the book: as an extract stores them, and as lists show them to a German user.

Belongs here: which lines, documents and clearings the book is in SAP, and how they are written. Does not belong here: the book.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.sources.one_book import Book, by_key

CODES = {"kent": "1000", "main": "2000"}
LABELS = {
    "bukrs": "BuKr", "belnr": "Belegnr", "gjahr": "Jahr", "buzei": "Pos", "kunnr": "Debitor", "shkzg": "S/H", "bschl": "BS", "blart": "Art",
    "budat": "Buch.dat.", "bldat": "Belegdatum", "zfbdt": "Basisdatum", "waers": "Währg", "wrbtr": "Betrag", "wskto": "Skonto",
    "xblnr": "Referenz", "rebzg": "RechBezug", "umskz": "SHBKz", "augbl": "Ausgl.beleg", "augdt": "Ausgleich", "name1": "Name 1",
    "land1": "Land", "butxt": "Firma",
}  # fmt: skip
AMOUNTS, DAYS = ("wrbtr", "wskto"), ("budat", "bldat", "zfbdt", "augdt", "cpudt")

Rows = list[dict[str, Any]]


def numbered(key: str) -> str:
    """A document's number of ten digits, of its key in the book; the second line of c01 is in the document of the first."""
    letter, number = key[0], int("".join(filter(str.isdigit, key.partition("/")[0])))
    return f"{'abcikpr'.index(letter) + 1:04}{number:06}"


def tables(book: Book) -> dict[str, Rows]:
    """The book as SAP has it."""
    made: dict[str, Rows] = {name: [] for name in ("bsid", "bsad", "bkpf", "kna1", "t001", "tcurr")}
    for row in book["companies"]:
        made["t001"].append(
            {"bukrs": CODES[row["company_id"]], "butxt": row["name"], "waers": row["currency"], "land1": row["country"]}
        )
    for row in book["customers"]:
        made["kna1"].append(
            {
                "kunnr": customer(row["customer_id"], book),
                "name1": row["name"],
                "land1": "DE",
                "loevm": "X" if row["status"] == "closed" else "",
            }
        )
    for row in book["exchange_rates"]:
        day = 99999999 - int(row["rate_date"].replace("-", ""))
        made["tcurr"].append(
            {"kurst": "M", "fcurr": row["currency"], "tcurr": row["base_currency"], "gdatu": str(day), "ukurs": row["rate"]}
        )

    invoices, payments = by_key(book["invoices"]), by_key(book["payments"])
    uses = [use for use in book["allocations"] if not use.get("reversed_on")]
    for key, row in (invoices | payments).items():
        put = [use for use in uses if use["invoice_id"] == key]
        used = next((use for use in (*uses, *book["refunds"]) if use["source_id"] == key), None)
        memo, money = row.get("document_type") == "credit_memo", "payment_id" in row
        line = _line(
            key,
            row,
            book,
            "H" if memo or money else "S",
            {True: "15", False: "11" if memo else "01"}[money],
            "DZ" if money else "DG" if memo else "RV",
        )
        undone = row.get("voided_on") or row.get("reversed_on")
        if undone:
            _reverse(made, line, undone, numbered(key).replace("0", "7", 1))
        elif put and sum(Decimal(use["amount"]) for use in put) == Decimal(row["amount"]):
            taken = next((use["amount"] for use in put if use["source_type"] == "discount"), "0")
            made["bsad"].append({**line, "wskto": taken, "augbl": numbered(f"a{_digits(key)}"), "augdt": put[0]["allocated_on"]})
        elif used and "refund_id" in used:
            refund = _line(used["refund_id"], used, book, "S", "05", "ZP")
            cleared = {"augbl": refund["belnr"], "augdt": used["refunded_on"]}
            made["bsad"] += [{**line, **cleared}, {**refund, **cleared}]
        elif used and _is_whole(used, invoices, uses):
            taken = sum(
                Decimal(use["amount"])
                for use in uses
                if use["invoice_id"] == used["invoice_id"] and use["source_type"] == "discount"
            )
            line["wrbtr"] = str(Decimal(row["amount"]) + taken)
            made["bsad"].append({**line, "augbl": numbered(f"a{_digits(used['invoice_id'])}"), "augdt": used["allocated_on"]})
        elif used:
            invoice = invoices[used["invoice_id"]]
            made["bsid"].append(
                {**line, "rebzg": numbered(used["invoice_id"]), "rebzj": invoice["invoice_date"][:4], "rebzz": "001"}
            )
        else:
            made["bsid"].append(line)
    for use in uses:
        if use["source_type"] == "write_off":
            invoice = invoices[use["invoice_id"]]
            line = _line(use["allocation_id"], {**invoice, "invoice_date": use["allocated_on"]}, book, "H", "17", "ZW")
            made["bsad"].append({**line, "augbl": numbered(f"a{_digits(use['invoice_id'])}"), "augdt": use["allocated_on"]})
    down = {**made["bsid"][0], "belnr": "0000000099", "shkzg": "H", "bschl": "19", "umskz": "A"}
    parked = {**made["bsid"][0], "belnr": "0000000098", "bstat": "V"}
    made["bsid"] += [down, parked]
    return made


def customer(key: str, book: Book) -> str:
    return f"{list(by_key(book['customers'])).index(key) + 1:010}"


def _digits(key: str) -> str:
    return "".join(filter(str.isdigit, key))


def _is_whole(use: Mapping[str, Any], invoices: Mapping[str, Any], uses: Iterable[Mapping[str, Any]]) -> bool:
    paid = sum(Decimal(each["amount"]) for each in uses if each["invoice_id"] == use["invoice_id"])
    return bool(paid == Decimal(invoices[use["invoice_id"]]["amount"]))


def _line(key: str, row: Mapping[str, Any], book: Book, side: str, posting_key: str, type_: str) -> dict[str, Any]:
    day = row.get("invoice_date") or row.get("payment_date") or row.get("refunded_on")
    return {
        "mandt": "800", "bukrs": CODES[row["company_id"]], "belnr": numbered(key), "gjahr": str(day)[:4],
        "buzei": (key.partition("/")[2] or "1").zfill(3),
        "kunnr": customer(row["customer_id"], book), "shkzg": side, "bschl": posting_key, "blart": type_, "budat": day, "bldat": day,
        "zfbdt": row.get("due_date"), "waers": row["currency"], "wrbtr": row["amount"], "wskto": "0",
        "xblnr": row.get("invoice_number") or row.get("reference") or "",
        "rebzg": "", "rebzj": "0000", "rebzz": "000", "umskz": "", "bstat": "", "augbl": "", "augdt": None,
    }  # fmt: skip


def _reverse(made: dict[str, Rows], line: dict[str, Any], day: str, number: str) -> None:
    """What was reversed, and the document that does, each naming the other; both lines are cleared together."""
    cleared = {"augbl": number, "augdt": day}
    other = {**line, "belnr": number, "budat": day, "bldat": day, "shkzg": "SH"[line["shkzg"] == "S"], "bschl": "12"}
    made["bsad"] += [{**line, **cleared}, {**other, **cleared}]
    for one, two in ((line, other), (other, line)):
        made["bkpf"].append({
            "bukrs": one["bukrs"], "belnr": one["belnr"], "gjahr": one["gjahr"], "budat": one["budat"], "cpudt": one["budat"],
            "stblg": two["belnr"], "stjah": two["gjahr"],
        })  # fmt: skip


def stored(folder: Path, book: Book) -> None:
    """As an extract writes the tables: technical names, commas, days as YYYYMMDD."""
    folder.mkdir(exist_ok=True)
    for name, rows in tables(book).items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8") as file:
            for row in (
                [dict.fromkeys(rows[0]), *rows] if rows else [dict.fromkeys(("bukrs", "belnr", "gjahr", "budat", "stblg"))]
            ):
                values = [
                    (value or "").replace("-", "") or "00000000" if column in DAYS else value for column, value in row.items()
                ]
                file.write(
                    ",".join(row if not any(row.values()) else [f'"{value}"' if "," in value else value for value in values])
                    + "\n"
                )


def listed(folder: Path, book: Book) -> None:
    """As a German user downloads lists of SE16: labels, bars, rules, totals, numbers without the zeros before them, and Unicode."""
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, rows in tables(book).items():
        columns = list(rows[0]) if rows else ["bukrs", "belnr", "gjahr", "budat", "stblg"]
        names = [LABELS.get(column, column.upper()) for column in columns]
        cells = [[_as_listed(column, row[column]) for column in columns] for row in rows]
        widths = [max(len(cell) for cell in column) for column in zip(names, *cells, strict=True)]
        rule = "-" * (sum(widths) + len(widths) + 3)
        total = ["1.234.567,89" if column == "wrbtr" else "" for column in columns]
        lines = [f"Tabelle: {name.upper()}", f"Angezeigte Felder: {len(columns)} von {len(columns)}", "", rule]
        for place, row in enumerate([names, *cells, *([total] if "wrbtr" in columns else [])]):
            lines.append("| " + "|".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + "|")
            lines += [rule] * (place == 0)
        (folder / f"{name.upper()} {date(2025, 7, 1):%d.%m.%Y}.txt").write_text("\r\n".join([*lines, rule, ""]), "utf-16")


def _as_listed(column: str, value: Any) -> str:
    if column in DAYS:
        return f"{value[8:]}.{value[5:7]}.{value[:4]}" if value else ""
    if column in AMOUNTS:
        return f"{Decimal(value):,.2f}".translate(str.maketrans(",.", ".,"))
    if column == "ukurs":
        return f"{Decimal(value):.5f}".replace(".", ",")
    return str(value or "").lstrip("0") if column in ("kunnr", "belnr", "augbl", "rebzg", "stblg", "buzei") else str(value or "")
