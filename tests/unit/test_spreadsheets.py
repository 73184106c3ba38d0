"""Files as people have them: a book in the forms of spreadsheets is the same book, or is asked about with file, line and value."""

from __future__ import annotations

import codecs
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dagster_project import duck
from dagster_project.contract import DATASETS
from dagster_project.landing import Landing, LandingError, Manifest, rows_select
from dagster_project.paths import ROOT
from dagster_project.sources import SourceError
from dagster_project.sources.files import FilesSource

MORNING = date(2025, 9, 30)
CASES = ROOT.parent / "shared" / "cases" / "spreadsheets"
PRESENT = ("companies", "customers", "payment_terms", "invoices", "payments", "allocations", "exchange_rates")

PLAIN = {
    "customers": "customer_id,name,currency,payment_terms,credit_limit,requires_po,customer_since\n"
    "C1,Brück & Söhne,EUR,N30,1234567.50,true,2019-02-28\nC2,Café Noir,EUR,N30,50000.00,false,\n",
    "payment_terms": "payment_terms,net_days,discount_pct\nN30,30,2.5\n",
    "invoices": "invoice_id,invoice_number,customer_id,document_type,invoice_date,currency,amount,due_date\n"
    "I1,RE-1001,C1,invoice,2025-08-01,EUR,1234.56,2025-08-31\nI2,RE-1002,C2,credit_memo,2025-09-05,EUR,500.00,2025-09-20\n",
    "payments": "payment_id,customer_id,payment_date,currency,amount,reference\nP1,C1,2025-09-25,EUR,100.00,RE-1001\n",
}


def landed(folder: Path, landing: Landing, *names: str) -> tuple[dict[str, list[dict[str, Any]]], list[Manifest]]:
    """What a folder comes to, and what each load says. Raises what stops it."""
    source, books, manifests = FilesSource(folder), {}, []
    for name in names or PRESENT:
        dataset = DATASETS[name]
        if (delivery := source.fetch(dataset, None)) is None:
            continue
        manifests.append(landing.land(dataset, delivery, MORNING))
        with duck.scratch(landing.folder) as con:
            columns = ", ".join(dataset.column_names)
            sql = f"select {columns} from ({rows_select(dataset, con, landing.loads(dataset))}) order by all"
            books[name] = con.sql(sql).to_arrow_table().to_pylist()
    return books, manifests


def book(folder: Path, **files: str | bytes) -> Path:
    """The plain book, but for these files."""
    folder.mkdir(exist_ok=True)
    for name, text in {**PLAIN, **files}.items():
        path = folder / (name if "." in name else f"{name}.csv")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def found(manifests: list[Manifest]) -> list[str]:
    return [line for manifest in manifests for line in manifest.found]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    home = tmp_path_factory.mktemp("plain")
    books, manifests = landed(book(home / "files"), Landing(home / "landing", home / "quarantine"))
    assert found(manifests) == [], "the contract's own form is nothing to talk about"
    return books


# --- read to the same figures -----------------------------------------------------------------------------------------

INVOICES, CUSTOMERS = PLAIN["invoices"], PLAIN["customers"]
HEADER = "invoice_id;invoice_number;customer_id;document_type;invoice_date;currency;amount;due_date\n"


def european(number: str, day: str = "{}", currency: str = "EUR") -> str:
    return (
        HEADER + f"I1;RE-1001;C1;Invoice;{day.format('01.08.2025')};{currency};{number};31.08.2025\n"
        f"I2;RE-1002;C2;Credit Memo;05.09.2025;{currency.lower()};500,00;20.09.2025\n"
    )


SAME: dict[str, tuple[dict[str, str | bytes], list[str]]] = {
    "semicolons": ({"invoices": INVOICES.replace(",", ";")}, ["apart by semicolons"]),
    "tabs": ({"invoices": INVOICES.replace(",", "\t")}, ["apart by tabs", 'delimiter = "\\t"']),
    "sep": ({"invoices": "sep=;\n" + INVOICES.replace(",", ";")}, []),
    "sep of its own": ({"invoices": "sep=^\r\n" + INVOICES.replace(",", "^")}, []),
    "cp1252": ({"customers": CUSTOMERS.encode("cp1252")}, ["Windows-1252 (line 2), such as «üö»"]),
    "utf-8 with a mark": ({"customers": codecs.BOM_UTF8 + CUSTOMERS.encode()}, []),
    "utf-16": ({"customers": CUSTOMERS.encode("utf-16")}, ["text in UTF-16"]),
    "utf-16 without a mark": ({"customers": CUSTOMERS.encode("utf-16-le")}, ["text in UTF-16"]),
    "utf-32": ({"customers": CUSTOMERS.encode("utf-32")}, ["text in UTF-32"]),
    "utf-16 and tabs": ({"customers": CUSTOMERS.replace(",", "\t").encode("utf-16")}, ["UTF-16", "apart by tabs"]),
    "carriage returns": ({"invoices": INVOICES.replace("\n", "\r")}, []),
    "decimal commas": ({"invoices": european("1234,56")}, ["semicolons", "comma, such as «1234,56»", "«01.08.2025»"]),
    "thousands": ({"invoices": european("1.234,56")}, ["«1.234,56»"]),
    "blanks for thousands": ({"invoices": european("1 234,56")}, ["«1234,56»"]),
    "narrow blanks": ({"invoices": european("1\u202f234,56")}, ["decimal comma"]),
    "apostrophes": ({"invoices": INVOICES.replace("1234.56", "1'234.56")}, []),
    "english thousands": ({"invoices": INVOICES.replace("1234.56", '"1,234.56"')}, []),
    "both in one file": ({"invoices": INVOICES.replace("1234.56", '"1.234,56"')}, ["decimal comma"]),
    "thousands the file explains": (
        {"customers": CUSTOMERS.replace("1234567.50", '"1.234.567,5"').replace("50000.00", "50.000")},
        ["«1.234.567,5»"],
    ),
    "slashes one of which decides": (
        {"invoices": INVOICES.replace("2025-08-01", "01/08/2025").replace("2025-08-31", "31/08/2025").replace("2025-09-05", "5/9/2025")
         .replace("2025-09-20", "20/9/2025")}, ["day first, such as «31/08/2025»"],
    ),
    "months first": (
        {"invoices": INVOICES.replace("2025-08-01", "8/1/2025").replace("2025-08-31", "08/31/2025")}, ["month first, such as «08/31/2025»"]
    ),
    "day numbers": ({"invoices": INVOICES.replace("2025-08-01", "45870").replace("2025-08-31", "45900.0")}, ["count, such as «458"]),
    "midnights": ({"invoices": INVOICES.replace("2025-08-01", "2025-08-01 00:00:00").replace("2025-09-05", "2025-09-05T00:00:00")}, []),
    "days together": ({"invoices": INVOICES.replace("2025-08-01", "20250801")}, []),
    "codes in any case": (
        {"invoices": INVOICES.replace("invoice,2", " Invoice ,2").replace("credit_memo", "CREDIT-MEMO").replace("EUR", "eur")}, []
    ),
    "whole numbers as floats": ({"payment_terms": PLAIN["payment_terms"].replace(",30,", ",30.0,")}, []),
    "ja and nein": ({"customers": CUSTOMERS.replace("true", "ja").replace("false", "Nein")}, []),
    "empty rows": ({"invoices": INVOICES + ",,,,,,,\n , ,,,,,,\n\n" + ",,,,,,,\n" * 3}, []),
    "empty columns": ({"invoices": INVOICES.replace("\n", ",,\n")}, []),
    "a header in capitals": ({"invoices": INVOICES.replace("invoice_id,invoice_number", "Invoice ID, INVOICE_NUMBER")}, []),
}  # fmt: skip


@pytest.mark.parametrize("form", SAME)
def test_a_form_that_says_what_it_is_is_read_to_the_same_figures_and_named(
    form: str, plain: Any, tmp_path: Path, landing: Landing
) -> None:
    files, says = SAME[form]

    books, manifests = landed(book(tmp_path / "files", **files), landing, *files)

    assert books == {name: plain[name] for name in files}
    told = found(manifests)
    assert all(any(part in line for line in told) for part in says), told
    assert says or not told, told
    assert all("read so. To hear no more of it" in line and "files.toml" in line for line in told)


def test_nothing_is_said_again_once_the_folder_says_it_itself(plain: Any, tmp_path: Path, landing: Landing) -> None:
    said = 'decimal = ","\ndates = "day first"\n\n[invoices]\ndelimiter = ";"\n\n[customers]\nencoding = "cp1252"\n'
    folder = book(tmp_path / "files", invoices=european("1.234,56"), customers=CUSTOMERS.encode("cp1252"))
    (folder / "files.toml").write_text(said)

    books, manifests = landed(folder, landing, "invoices", "customers")

    assert books == {name: plain[name] for name in books}
    assert found(manifests) == []


def test_an_encoding_is_known_by_any_of_its_names(plain: Any, tmp_path: Path, landing: Landing) -> None:
    folder = book(tmp_path / "files", customers=codecs.BOM_UTF8 + CUSTOMERS.encode())
    (folder / "files.toml").write_text('encoding = "UTF8"\n')

    assert landed(folder, landing, "customers")[0] == {"customers": plain["customers"]}


# --- asked about ------------------------------------------------------------------------------------------------------

ASKED = {
    "1.234": ("amount can be thousands or a fraction", 'decimal = "."'),
    "1.234.56": ("amount is not a decimal number", "1.234.56"),
    '"1,23,456"': ("amount is not a decimal number", "1,23,456"),
    "12 %": ("amount is not a decimal number", "12 %"),
    '"1,234,56"': ("amount is not a decimal number", "1,234,56"),
}


@pytest.mark.parametrize("amount", ASKED)
def test_an_amount_that_can_be_two_is_never_read_in_silence(amount: str, tmp_path: Path, landing: Landing) -> None:
    folder = book(tmp_path / "files", invoices=INVOICES.replace("1234.56", amount))

    with pytest.raises(LandingError) as refused:
        landed(folder, landing, "invoices")

    told, value = str(refused.value), amount.strip('"')
    assert all(part in told for part in (*ASKED[amount], f"«{value}» in invoices.csv line 2")), told


def test_a_comma_is_for_thousands_where_the_file_has_points_and_else_asked_about(tmp_path: Path, landing: Landing) -> None:
    invoices = INVOICES.replace("1234.56", '"1,234"')
    books, manifests = landed(book(tmp_path / "files", invoices=invoices), landing, "invoices")
    assert books["invoices"][0]["amount"] == Decimal(1234)
    assert "commas for thousands, such as «1,234»" in found(manifests)[0]

    with pytest.raises(LandingError, match=r"thousands or a fraction.*«1,234» in invoices.csv line 2"):
        landed(book(tmp_path / "files", invoices=invoices.replace("500.00", "500")), landing, "invoices")


@pytest.mark.parametrize(
    ("said", "amount", "means"),
    [
        ('decimal = "."', "1.234", "1.2340"),
        ('decimal = ","', "1.234", "1234.0000"),
        ('decimal = ","', '"1,234"', "1.2340"),
        ('decimal = "."', '"1,234"', "1234.0000"),
    ],
)
def test_the_folder_may_say_what_a_value_does_not(said: str, amount: str, means: str, tmp_path: Path, landing: Landing) -> None:
    folder = book(tmp_path / "files", invoices=INVOICES.replace("1234.56", amount))
    (folder / "files.toml").write_text(said)

    books, _ = landed(folder, landing, "invoices")

    assert books["invoices"][0]["amount"] == Decimal(means)


@pytest.mark.parametrize("amount", ["1.234", '"1,234"'])
def test_yen_have_no_digits_so_that_three_are_thousands(amount: str, tmp_path: Path, landing: Landing) -> None:
    invoices = INVOICES.replace("EUR,1234.56", f"JPY,{amount}").replace("500.00", "500")

    books, _ = landed(book(tmp_path / "files", invoices=invoices), landing, "invoices")

    assert books["invoices"][0]["amount"] == Decimal("1234.0000")


def test_dinars_have_three_digits_and_rates_no_thousands(tmp_path: Path, landing: Landing) -> None:
    rates = "rate_date,currency,base_currency,rate\n2025-09-29,USD,EUR,1.085\n"
    folder = book(tmp_path / "files", invoices=INVOICES.replace("EUR,1234.56", "KWD,1.234"), exchange_rates=rates)

    books, _ = landed(folder, landing, "invoices", "exchange_rates")

    assert books["invoices"][0]["amount"] == Decimal("1.2340")
    assert books["exchange_rates"][0]["rate"] == Decimal("1.0850000000")


def test_a_day_that_can_be_two_is_asked_about_where_nothing_in_the_file_decides(tmp_path: Path, landing: Landing) -> None:
    folder = book(tmp_path / "files", invoices=INVOICES.replace("2025-08-31", "03/04/2025"))

    with pytest.raises(LandingError) as refused:
        landed(folder, landing, "invoices")

    told = str(refused.value)
    assert all(
        part in told
        for part in ("due_date can begin with the day or the month", 'dates = "day first"', "«03/04/2025» in invoices.csv line 2")
    )

    (folder / "files.toml").write_text('dates = "month first"')
    assert landed(folder, landing, "invoices")[0]["invoices"][0]["due_date"] == date(2025, 3, 4)


def test_a_file_that_contradicts_itself_is_asked_about(tmp_path: Path, landing: Landing) -> None:
    days = INVOICES.replace("2025-08-01", "31/07/2025").replace("2025-08-31", "08/31/2025").replace("2025-09-20", "01/02/2025")

    with pytest.raises(LandingError, match=r"can begin with the day or the month.*«01/02/2025» in invoices.csv line 3"):
        landed(book(tmp_path / "files", invoices=days), landing, "invoices")


def test_one_bad_value_is_one_record_put_aside_with_its_line(tmp_path: Path, landing: Landing) -> None:
    header, first, _ = INVOICES.splitlines()
    many = "\n".join([header, first.replace("RE-1001", '"two\nlines"')] + [first.replace("I1", f"I{n}") for n in range(2, 400)])
    broken = many.replace("I300,RE-1001,C1,invoice,2025-08-01,EUR", "I300,RE-1001,C1,invoice,2025-02-30,EURO")

    _, (manifest,) = landed(book(tmp_path / "files", invoices=broken), landing, "invoices")

    assert (manifest.received, manifest.quarantined) == (399, 1)
    assert manifest.examples == {
        "invoice_date is not a date (YYYY-MM-DD):": "«2025-02-30» in invoices.csv line 302",
        "currency is not a currency (ISO 4217, such as EUR):": "«EURO» in invoices.csv line 302",
    }


# --- the shared cases -------------------------------------------------------------------------------------------------

REFUSED = {
    "08_thousands_dot_only": ["invoices", "can be thousands or a fraction", "«1.234» in invoices.csv line 2"],
    "21_negative_invoice": [
        "invoices",
        "amount is negative (deliver it positive, as a credit_memo)",
        "«-200.00» in invoices.csv line 4",
    ],
    "28_empty_file": ["payments.csv is empty: not even a header line"],
    "42_same_key_two_companies": ["key", "is there twice with other values", "line"],
}
OTHER = {"29_header_only_payments", "32_id_case", "35_cross_currency_payment"}
"""Other books than the plain one, which come to what they say."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    home = tmp_path_factory.mktemp("base")
    return landed(CASES / "00_base", Landing(home / "landing", home / "quarantine"))[0]


@pytest.mark.skipif(not CASES.is_dir(), reason="the shared cases are not beside the project")
@pytest.mark.parametrize("case", sorted(path.name for path in CASES.glob("*")) if CASES.is_dir() else [])
def test_the_shared_cases_are_read_to_the_plain_figures_or_refused_by_name(case: str, base: Any, landing: Landing) -> None:
    def read(name: str) -> dict[str, list[dict[str, Any]]]:
        return landed(CASES / name, landing)[0]

    if case in REFUSED:
        with pytest.raises((LandingError, SourceError)) as refused:
            read(case)
        assert all(part in str(refused.value) for part in REFUSED[case]), refused.value
    elif case in OTHER:
        assert read(case)["invoices"]
    else:
        assert read(case) == base
