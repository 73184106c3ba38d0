"""SAP's line items through files of its tables: the marts are those of the same book in the contract's own files."""

from __future__ import annotations

from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dagster_project.contract import DATASETS
from dagster_project.sources import SourceError
from dagster_project.sources.sap_files import CONNECTOR
from tests.sources import one_book, sap_files_stand_in
from tests.sources.nights import Desk, by_files, differences, pulled
from tests.sources.one_book import FIRST, SECOND

TRAITS = frozenset({"entities", "lines", "fixed", "forgets"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sap").mkdir()
    return tmp_path / "sap"


def desk_of(folder: Path, **own: Any) -> Desk:
    return Desk(folder.parent / "home", CONNECTOR, {"dir": folder, **own})


def test_two_nights_are_equal_to_those_of_the_same_book_in_files(folder: Path) -> None:
    desk = desk_of(folder, write_off_types="ZW")
    sap_files_stand_in.stored(folder, one_book.first(traits=TRAITS))
    desk.night(FIRST)
    assert differences(desk.marts(FIRST), by_files(1, TRAITS)) == []
    assert desk.left_out["invoices"] == {"down payments (special G/L A)": 1, "noted, parked and sample documents": 1}

    sap_files_stand_in.listed(folder, one_book.second(traits=TRAITS))
    desk.night(SECOND)

    assert differences(desk.marts(SECOND), by_files(2, TRAITS)) == []
    assert desk.left_out["invoices"]["totals and other lines without a document"] == 2
    assert desk.manifests["customers"].landed == 1, "lists without zeros before a number mean the same customers"


# --- how files are written --------------------------------------------------------------------------------------------

LINE = {
    "bukrs": "1000", "belnr": "90000001", "gjahr": "2025", "buzei": "1", "kunnr": "7", "shkzg": "S", "bschl": "01", "blart": "RV",
    "budat": "20250801", "zfbdt": "20250801", "zbd1t": "30", "waers": "EUR", "wrbtr": "100.10",
}  # fmt: skip


def files(folder: Path, delimiter: str = ",", **tables: list[dict[str, str]]) -> Path:
    """Tables written so, with a customer and a company code where there are none."""
    basic = {
        "kna1": [{"kunnr": "0000000007", "name1": "Sieben"}],
        "t001": [{"bukrs": "1000", "butxt": "Wir", "waers": "EUR"}],
        "bsid": [],
    }
    for name, rows in (basic | tables).items():
        names = list(dict.fromkeys(column for row in rows or [LINE] for column in row))
        lines = [delimiter.join(names), *(delimiter.join(row.get(column, "") for column in names) for row in rows)]
        (folder / f"{name}.csv").write_text("\n".join([*lines, ""]), "utf-8")
    return folder


def line(**values: str) -> dict[str, str]:
    return LINE | values


def fault(folder: Path, **own: Any) -> str:
    with pytest.raises(SourceError) as refused:
        pulled(desk_of(folder, **own), "invoices")
    return str(refused.value)


ALL = ["100.10", "1500", "12.345"]
YEN, DINAR = line(belnr="2", waers="JPY", wrbtr="15.00"), line(belnr="3", waers="KWD", wrbtr="123.45")


@pytest.mark.parametrize(
    ("rows", "own", "amounts"),
    [
        ([LINE, YEN, DINAR], {}, ALL),
        ([LINE, line(belnr="2", waers="JPY", wrbtr="1,500"), line(belnr="3", waers="KWD", wrbtr="12.345")], {}, ALL),
        ([line(belnr="2", waers="JPY", wrbtr="1500")], {"amounts": "shown"}, ["1500"]),
        ([line(belnr="2", waers="JPY", wrbtr="15")], {"amounts": "stored"}, ["1500"]),
    ],
    ids=["as stored", "as shown", "told shown", "told stored"],
)  # fmt: skip
def test_shifted_amounts_are_put_right(rows: list[dict[str, str]], own: dict[str, str], amounts: list[str], folder: Path) -> None:
    files(folder, ";", bsid=rows)

    found = [row["amount"] for row in pulled(desk_of(folder, **own), "invoices")]

    assert sorted(found) == sorted(map(Decimal, amounts))


def test_what_nothing_decides_is_asked_about_and_what_differs_is_refused(folder: Path) -> None:
    assert "set ARREARS_SAP_FILES_AMOUNTS=stored or shown" in fault(files(folder, bsid=[line(waers="JPY", wrbtr="1500")]))
    both = files(folder, ";", bsid=[LINE, YEN, line(belnr="4", waers="KWD", wrbtr="12.345")])
    assert "both as tables store them and as lists show them" in fault(both)
    assert "«1.500» can be read in two ways" in fault(files(folder, ";", bsid=[line(wrbtr="1.500")]))
    assert "writes both «100.10» and «1.500,25»" in fault(files(folder, ";", bsid=[LINE, line(belnr="2", wrbtr="1.500,25")]))
    assert "«03/04/2025» can be read in two ways" in fault(files(folder, bsid=[line(budat="03/04/2025")]))
    told = pulled(
        desk_of(files(folder, ";", bsid=[line(wrbtr="1.500", budat="03/04/2025")]), decimal=",", dates="month first"), "invoices"
    )
    assert [(row["amount"], row["invoice_date"]) for row in told] == [(1500, "2025-03-04")]


def test_a_list_of_all_lines_says_with_a_clearing_which_are_closed_and_by_its_sign_which_are_credits(folder: Path) -> None:
    files(folder)
    (folder / "bsid.csv").unlink()
    (folder / "FBL5N export.txt").write_text(
        "Customer line items\n\n"
        "\tCoCd\tDocumentNo\tYear\tItm\tAccount\tPK\tType\tPstng Date\tNet due dt\tCrcy\tAmount in doc. curr."
        "\tClrng doc.\tClearing\tReference\n"
        "\t1000\t90000001\t2025\t1\t7\t01\tRV\t08/13/2025\t09/12/2025\tEUR\t1,234.50\t\t\tRE-1\n"
        "\t1000\t90000002\t2025\t1\t7\t01\tRV\t08/14/2025\t09/13/2025\tEUR\t20.00\t140000001\t08/20/2025\tRE-2\n"
        "\t1000\t140000001\t2025\t1\t7\t15\tDZ\t08/20/2025\t08/20/2025\tEUR\t20.00-\t140000001\t08/20/2025\t\n"
        "\t\t\t\t\t\t\t\t\t\tEUR\t1,234.50\t\t\n",
        "cp1252",
    )
    desk = desk_of(folder)

    documents = {row["invoice_number"]: (row["due_date"], row["open_amount_reported"]) for row in pulled(desk, "invoices")}

    assert {key: (str(due), Decimal(left)) for key, (due, left) in documents.items()} == {
        "RE-1": ("2025-09-12", Decimal("1234.50")),
        "RE-2": ("2025-09-13", Decimal(0)),
    }
    assert [(row["source_id"], row["allocated_on"]) for row in pulled(desk, "allocations")] == [
        ("1000/2025/0140000001/001", "2025-08-20")
    ]
    with ExitStack() as stack:
        assert CONNECTOR.aged is not None
        assert [(each.customer_id, each.balance) for each in CONNECTOR.aged(desk.source(FIRST, stack), FIRST)] == [
            ("0000000007", Decimal("1234.50"))
        ]


CUBE = {
    "CompanyCode": "1000", "FiscalYear": "2025", "AccountingDocument": "90000001", "AccountingDocumentItem": "1",
    "FinancialAccountType": "D", "Customer": "7", "DebitCreditCode": "S", "AccountingDocumentType": "RV", "PostingKey": "01",
    "PostingDate": "2025-08-01", "NetDueDate": "2025-08-31", "TransactionCurrency": "EUR", "AmountInTransactionCurrency": "100.10",
    "ClearingAccountingDocument": "",
    "ClearingDate": "", "Ledger": "0L",
}  # fmt: skip
UNIVERSAL = {
    "RCLNT": "100", "RLDNR": "0L", "RBUKRS": "1000", "GJAHR": "2025", "BELNR": "90000001", "BUZEI": "1", "DOCLN": "000001", "KOART": "D",
    "KUNNR": "7", "DRCRK": "S", "BLART": "RV", "BSCHL": "01", "BUDAT": "20250801", "NETDT": "20250831", "RWCUR": "EUR", "WSL": "60.10",
    "AUGBL": "", "AUGDT": "",
}  # fmt: skip
SEGMENT = {
    "BUKRS": "1000", "BELNR": "0090000001", "GJAHR": "2025", "BUZEI": "001", "KOART": "D", "KUNNR": "7", "SHKZG": "S", "BSCHL": "01",
    "ZFBDT": "20250801", "ZBD1T": "30", "WRBTR": "100.10", "AUGBL": "", "AUGDT": "0",
}  # fmt: skip
HEAD = {
    "BUKRS": "1000",
    "BELNR": "0090000001",
    "GJAHR": "2025",
    "BLART": "RV",
    "BUDAT": "20250801",
    "BLDAT": "20250801",
    "WAERS": "EUR",
    "STBLG": "",
}


@pytest.mark.parametrize(
    "tables",
    [
        {
            "cube": [
                CUBE,
                CUBE | {"FinancialAccountType": "S", "Customer": "", "AccountingDocumentItem": "2"},
                CUBE | {"Ledger": "2L", "AccountingDocument": "9"},
            ]
        },
        {"acdoca": [UNIVERSAL, UNIVERSAL | {"DOCLN": "000002", "WSL": "40.00"}]},
        {"bseg": [SEGMENT, SEGMENT | {"KOART": "S", "KUNNR": "", "BUZEI": "002"}], "bkpf": [HEAD]},
    ],
    ids=["cube", "acdoca", "bseg"],
)
def test_lines_of_s4_and_of_bseg_are_those_of_customers(tables: dict[str, list[dict[str, str]]], folder: Path) -> None:
    files(folder, **tables)

    (row,) = pulled(desk_of(folder), "invoices")

    assert row["invoice_id"] == "1000/2025/0090000001/001"
    assert (row["customer_id"], row["invoice_date"], str(row["due_date"])) == ("0000000007", "2025-08-01", "2025-08-31")
    assert Decimal(row["amount"]) == Decimal("100.10")


def test_a_line_in_several_files_counts_once_and_as_cleared(folder: Path) -> None:
    cleared = line(augbl="140000001", augdt="20250820", wrbtr="100.10")
    files(folder, bsid=[LINE], bsad_2024=[cleared | {"wrbtr": "99.00"}], bsad_2025=[cleared])

    (row,) = pulled(desk_of(folder), "invoices")

    assert (row["amount"], row["open_amount_reported"]) == (Decimal("100.10"), 0)


def test_a_line_without_an_amount_or_a_day_is_delivered_for_landing_to_refuse(folder: Path) -> None:
    files(folder, bsid=[LINE, line(belnr="2", wrbtr="10.0x"), line(belnr="3", budat="20250231")])

    told = {row["invoice_number"]: (row["amount"], row["invoice_date"]) for row in pulled(desk_of(folder), "invoices")}

    assert told["0000000002"] == ("10.0x", "2025-08-01")
    assert told["0000000003"] == ("100.1000", "20250231")
    assert told["0090000001"] == ("100.1000", "2025-08-01")


def test_clients_company_codes_and_account_groups_are_chosen(folder: Path) -> None:
    rows = [
        line(mandt="800"),
        line(mandt="100", belnr="2"),
        line(mandt="800", bukrs="2000", belnr="3"),
        line(mandt="800", kunnr="9", belnr="4"),
    ]
    codes = [{"bukrs": "1000", "butxt": "Wir", "waers": "EUR"}, {"bukrs": "2000", "butxt": "We", "waers": "GBP"}]
    customers = [{"kunnr": "7", "name1": "Sieben", "ktokd": "KUNA"}, {"kunnr": "9", "name1": "Wir selbst", "ktokd": "INTR"}]
    files(folder, bsid=rows, t001=codes, kna1=customers)

    assert "say which client; the files have 100, 800" in fault(folder)
    assert "0300 is none of 1000, 2000" in fault(folder, client="800", company_codes="300")
    desk = desk_of(folder, client="800", company_codes="1000", left_out_groups="INTR")
    assert [row["invoice_number"] for row in pulled(desk, "invoices")] == ["0090000001"]
    with ExitStack() as stack:
        source = desk.source(FIRST, stack)
        delivery = source.fetch(DATASETS["customers"], None)
        assert delivery is not None and delivery.left_out == {"customers of account group INTR": 1}
        assert CONNECTOR.companies is not None and CONNECTOR.rights is not None
        assert [company.key for company in CONNECTOR.companies(source)] == ["1000", "2000"]
        assert {right.lacks for right in CONNECTOR.rights(source)} == {""}


def test_what_is_wrong_with_a_file_is_said(folder: Path) -> None:
    assert "has no file named for bsid (or a list of all lines: fbl5n, bseg, acdoca), kna1, t001" in fault(folder)
    files(folder, bsid=[{key: value for key, value in LINE.items() if key not in ("waers", "gjahr")}])
    assert "bsid.csv: column GJAHR, WAERS is missing, which BSID needs; line 1 has bukrs, belnr" in fault(folder)
    files(folder, "|", bsid=[line(xblnr="a"), line(belnr="2", xblnr="a|b")])
    assert "bsid.csv line 3: 15 values where the header has 14" in fault(folder)
    files(folder)
    (folder / "bsad.xlsx").write_bytes(b"PK\x03\x04")
    assert "bsad.xlsx is not read: save it as text (.csv, .txt" in fault(folder)
    (folder / "bsad.xlsx").rename(folder / "bsad.csv")
    assert "bsad.csv is an Excel workbook" in fault(folder)
