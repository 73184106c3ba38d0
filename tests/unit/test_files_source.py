"""Datasets as files: what a folder of CSV and Parquet may look like, and what is said of a file that cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dagster_project.contract import DATASETS
from dagster_project.sources import EXTRA, SourceError, csv_files, files, is_kept, page_schema
from dagster_project.sources.files import FilesSource


def read(folder: Path, dataset: str) -> list[dict[str, Any]]:
    """The records of a dataset, without what is null."""
    delivery = FilesSource(folder).fetch(DATASETS[dataset], None)
    assert delivery is not None
    pages = list(delivery.pages)
    text, known = page_schema(DATASETS[dataset]), DATASETS[dataset].by_name
    for page in pages:
        assert page.column_names == text.names
        assert page.schema == pages[0].schema
        assert all(field == text.field(field.name) or is_kept(field.type, known[field.name].type) for field in page.schema)
    return [{name: value for name, value in row.items() if value is not None} for page in pages for row in page.to_pylist()]


def fault(folder: Path, dataset: str = "companies") -> str:
    with pytest.raises(SourceError) as refused:
        read(folder, dataset)
    return str(refused.value)


def csv_file(folder: Path, text: str | bytes, name: str = "companies") -> Path:
    path = folder / f"{name}.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_every_value_arrives_as_the_text_that_was_written(tmp_path: Path) -> None:
    csv_file(tmp_path, "company_id,name,currency,country\n007,  Ångström & Co ,EUR,NA\n1e3,true,2025-01-01,null\n")

    assert read(tmp_path, "companies") == [
        {"company_id": "007", "name": "  Ångström & Co ", "currency": "EUR", "country": "NA"},
        {"company_id": "1e3", "name": "true", "currency": "2025-01-01", "country": "null"},
    ]


def test_quotes_hold_commas_quotes_and_line_breaks(tmp_path: Path) -> None:
    csv_file(tmp_path, 'company_id,name,currency\r\nA,"Miller, ""Sons""\r\n& Co",EUR\r\nB,Plain,EUR\r\n')

    assert [row["name"] for row in read(tmp_path, "companies")] == ['Miller, "Sons"\r\n& Co', "Plain"]


def test_a_line_break_in_quotes_is_no_end_of_a_record_wherever_the_reader_cuts_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_files, "BLOCK_BYTES", 1 << 10)
    name = "\n".join(f"line {number}" for number in range(30))
    csv_file(tmp_path, "company_id,name,currency\n" + f'A,"{name}",EUR\n' * 100)

    assert [row["name"] for row in read(tmp_path, "companies")] == [name] * 100


def test_empty_is_null_quoted_or_not(tmp_path: Path) -> None:
    csv_file(tmp_path, 'company_id,name,currency,country\nA,"",,DE\n')

    assert read(tmp_path, "companies") == [{"company_id": "A", "country": "DE"}]


def test_a_byte_order_mark_is_not_part_of_the_first_column(tmp_path: Path) -> None:
    csv_file(tmp_path, b"\xef\xbb\xbf" + b"company_id,name,currency\nA,Alpha,EUR\n")

    assert read(tmp_path, "companies") == [{"company_id": "A", "name": "Alpha", "currency": "EUR"}]


def test_the_order_of_columns_is_free_and_the_last_line_needs_no_end(tmp_path: Path) -> None:
    csv_file(tmp_path, "currency,name,company_id\nEUR,Alpha,A")

    assert read(tmp_path, "companies") == [{"company_id": "A", "name": "Alpha", "currency": "EUR"}]


def test_a_column_the_contract_does_not_know_is_kept_with_its_record(tmp_path: Path) -> None:
    csv_file(tmp_path, "company_id,shade,name,currency\nA,grün,Alpha,EUR\n")

    assert read(tmp_path, "companies") == [
        {"company_id": "A", "name": "Alpha", "currency": "EUR", EXTRA: '{"shade": "grün"}'},
    ]


def test_a_header_alone_is_a_dataset_with_no_records(tmp_path: Path) -> None:
    csv_file(tmp_path, "company_id,name,currency\n")

    assert read(tmp_path, "companies") == []


def test_a_dataset_without_a_file_is_absent(tmp_path: Path) -> None:
    assert FilesSource(tmp_path).fetch(DATASETS["companies"], None) is None


def test_a_file_is_the_whole_dataset_whatever_was_asked_for(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "customer_id,name,updated_at\nC1,One,2020-01-01T00:00:00Z\n", "customers")

    delivery = FilesSource(tmp_path).fetch(DATASETS["customers"], datetime(2025, 1, 1))

    assert delivery is not None
    assert (delivery.full, delivery.origin) == (True, str(path))
    assert sum(len(page) for page in delivery.pages) == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("company_id,name,currency\nA,Alpha,EUR\nB,EUR\n", ["line 3", "2 values where the header has 3"]),
        ("company_id,name,currency\nA,Alpha,EUR,DE\n", ["line 2", "4 values where the header has 3"]),
        ('company_id,name,currency\nA,"Alpha,EUR\nB,Beta,EUR\n', ["line 2", "opened here and never closed"]),
        (b"company_id,name,currency\nA,Alpha,EUR\nB,Caf\x81,EUR\n", ["line 3", "not UTF-8", "files.toml"]),
        ('company_id,name,currency\nA,"Alpha,EUR\nB,"Beta",EUR\nC,C,EUR\n', ["line 2", "takes the 1 line below into one value"]),
        ('company_id,name,currency\nA,"Alpha,EUR\nB,Beta,EUR\nC,"Gamma,EUR\n', ["line 2", "takes the 2 lines below"]),
        ("company_id,name,currency\nA," + "x" * 140_000 + ",EUR\n", ["line 2", "more than 131,072 characters"]),
        ("company_id,name,currency" + ",x" * 3_000 + "\n", ["line 1", "3,003 columns"]),
        (b"PK\x03\x04rest of a workbook", ["is an Excel workbook and not CSV"]),
        (b"company_id,name,currency\nA,\x00\x00,EUR\n\xff", ["not UTF-16"]),
        (b"", ["is empty", "not even a header"]),
        (b"\xef\xbb\xbf", ["is empty"]),
        ("company_id,currency\nA,EUR\n", ["required column name is missing", "company_id, currency"]),
        ("company_id,name,currency,name\nA,Alpha,EUR,Beta\n", ["line 1", "column name is there twice"]),
    ],
)
def test_a_csv_that_cannot_be_read_is_named_with_its_line_and_the_reason(
    content: str | bytes, says: Sequence[str], tmp_path: Path
) -> None:
    path = csv_file(tmp_path, content)

    message = fault(tmp_path)

    assert str(path) in message
    assert all(part in message for part in says), message


def test_a_fault_far_below_what_is_read_ahead_is_named_with_its_line(tmp_path: Path) -> None:
    csv_file(tmp_path, b"company_id,name,currency\n" + b"A,Alpha,EUR\n" * 20_000 + b"B,\x81,EUR\n")

    assert "line 20002: not UTF-8" in fault(tmp_path)


def test_one_dataset_in_two_files_is_refused_rather_than_guessed_at(tmp_path: Path) -> None:
    csv_file(tmp_path, "company_id,name,currency\nA,Alpha,EUR\n")
    pq.write_table(pa.table({"company_id": ["A"], "name": ["Alpha"], "currency": ["EUR"]}), tmp_path / "companies.parquet")

    message = fault(tmp_path)

    assert "companies.csv" in message
    assert "companies.parquet" in message
    assert "keep one" in message


@pytest.mark.parametrize("name", ["Companies.csv", "COMPANIES.CSV"])
def test_a_file_is_known_by_its_name_in_any_case(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("company_id,name,currency\nA,Alpha,EUR\n", "utf-8")

    delivery = FilesSource(tmp_path).fetch(DATASETS["companies"], None)

    assert delivery is not None
    assert sum(map(len, delivery.pages)) == 1


@pytest.mark.parametrize("name", ["companies.xlsx", "Companies.txt", "companies.csv.gz"])
def test_a_dataset_in_another_form_is_not_passed_over_in_silence(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"")
    (tmp_path / "companies of 2024.csv").write_bytes(b"")

    with pytest.raises(SourceError, match=rf"{name} is not read, and there is no companies.csv or .parquet: save it as CSV"):
        FilesSource(tmp_path).fetch(DATASETS["companies"], None)


@pytest.mark.parametrize("encoding", ["rot13", "hex", "nothing"])
def test_what_is_no_encoding_of_characters_is_refused(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "files.toml").write_text(f'encoding = "{encoding}"\n', "utf-8")

    with pytest.raises(SourceError, match=f"encoding = '{encoding}' is not known; utf-8, utf-16 and cp1252 are"):
        FilesSource(tmp_path)


def test_a_folder_that_is_not_there_is_named_with_the_setting(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"ARREARS_FILES_DIR: there is no folder .*nowhere"):
        FilesSource(tmp_path / "nowhere")


def parquet_file(folder: Path, dataset: str, columns: dict[str, Any]) -> None:
    pq.write_table(pa.table(columns), folder / f"{dataset}.parquet")


def test_what_parquet_has_as_the_contract_keeps_it_stays_so_and_the_rest_is_exact_text(tmp_path: Path) -> None:
    parquet_file(
        tmp_path,
        "invoices",
        {
            "amount": pa.array([Decimal("12345678901234.5678"), Decimal("0.0001")], pa.decimal128(18, 4)),
            "tax_amount": pa.array([Decimal("-0.10"), None], pa.decimal128(9, 2)),
            "invoice_id": pa.array(["0001", "0002"]).dictionary_encode(),
            "invoice_number": pa.array(["R-1", "R-2"], pa.large_string()),
            "customer_id": pa.array([b"C1", "Ü".encode()], pa.binary()),
            "document_type": ["invoice", "invoice"],
            "currency": ["EUR", "EUR"],
            "invoice_date": pa.array([date(2025, 1, 31), date(2025, 2, 28)], pa.date32()),
            "due_date": pa.array([date(2025, 3, 2), None], pa.date64()),
            "sent_at": pa.array([datetime(2025, 2, 1, 9, 30), None], pa.timestamp("ms")),
            "updated_at": pa.array([datetime(2025, 2, 1, 8, 30, 0, 250, tzinfo=UTC), None], pa.timestamp("us", "Europe/Berlin")),
        },
    )

    assert read(tmp_path, "invoices") == [
        {
            "invoice_id": "0001",
            "invoice_number": "R-1",
            "customer_id": "C1",
            "document_type": "invoice",
            "invoice_date": date(2025, 1, 31),
            "currency": "EUR",
            "amount": Decimal("12345678901234.5678"),
            "due_date": date(2025, 3, 2),
            "tax_amount": Decimal("-0.10"),
            "sent_at": datetime(2025, 2, 1, 9, 30),
            "updated_at": datetime(2025, 2, 1, 8, 30, 0, 250, tzinfo=UTC),
        },
        {
            "invoice_id": "0002",
            "invoice_number": "R-2",
            "customer_id": "Ü",
            "document_type": "invoice",
            "invoice_date": date(2025, 2, 28),
            "currency": "EUR",
            "amount": Decimal("0.0001"),
        },
    ]


def test_parquet_flags_stay_and_whole_numbers_are_text(tmp_path: Path) -> None:
    parquet_file(
        tmp_path,
        "customers",
        {
            "customer_id": pa.array([7, 8], pa.int64()),
            "name": ["Seven", "Eight"],
            "requires_po": pa.array([True, False]),
            "do_not_dun": pa.array([None, None], pa.null()),
            "tags": pa.array([["a", "b"], None], pa.list_(pa.string())),
        },
    )

    assert read(tmp_path, "customers") == [
        {"customer_id": "7", "name": "Seven", "requires_po": True, EXTRA: '{"tags": ["a", "b"]}'},
        {"customer_id": "8", "name": "Eight", "requires_po": False, EXTRA: '{"tags": null}'},
    ]


def test_a_tiny_exchange_rate_in_parquet_has_no_exponent(tmp_path: Path) -> None:
    parquet_file(
        tmp_path,
        "exchange_rates",
        {
            "rate_date": pa.array([date(2025, 1, 1)]),
            "currency": ["IRR"],
            "base_currency": ["EUR"],
            "rate": pa.array([Decimal("0.00000002000")], pa.decimal128(20, 11)),
        },
    )

    assert read(tmp_path, "exchange_rates")[0]["rate"] == "0.00000002000"


def test_dates_that_a_data_frame_wrote_as_midnights_are_dates_and_other_times_are_not(tmp_path: Path) -> None:
    columns = {"review_id": ["1"], "customer_id": ["C1"]}

    parquet_file(tmp_path, "credit_reviews", columns | {"reviewed_on": pa.array([datetime(2025, 1, 1)], pa.timestamp("ns"))})
    assert read(tmp_path, "credit_reviews")[0]["reviewed_on"] == "2025-01-01"

    parquet_file(tmp_path, "credit_reviews", columns | {"reviewed_on": pa.array([datetime(2025, 1, 1, 12)], pa.timestamp("s"))})
    assert read(tmp_path, "credit_reviews")[0]["reviewed_on"] == "2025-01-01 12:00:00.000", "for quarantine to show"


def test_a_parquet_file_that_is_none_or_lacks_a_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "companies.parquet"
    path.write_bytes(b"PAR1 but not really")
    message = fault(tmp_path)
    assert str(path) in message
    assert "cannot be read as Parquet" in message

    parquet_file(tmp_path, "companies", {"company_id": ["A"], "currency": ["EUR"]})
    assert "required column name is missing" in fault(tmp_path)


def test_a_large_csv_is_never_in_memory_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_files, "BLOCK_BYTES", 1 << 18)
    line = f"A,{'x' * 980},EUR\n"
    path = csv_file(tmp_path, "company_id,name,currency\n" + line * 60_000)
    delivery = FilesSource(tmp_path).fetch(DATASETS["companies"], None)
    assert delivery is not None
    before, most, pages, records = pa.total_allocated_bytes(), 0, 0, 0

    for page in delivery.pages:
        pages, records = pages + 1, records + len(page)
        most = max(most, pa.total_allocated_bytes() - before)

    assert records == 60_000
    assert pages > 50
    assert most < path.stat().st_size / 2


def test_a_large_parquet_file_comes_in_pages_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "BATCH_ROWS", 1_000)
    parquet_file(tmp_path, "companies", {name: [f"{n}" for n in range(5_500)] for name in ("company_id", "name", "currency")})

    delivery = FilesSource(tmp_path).fetch(DATASETS["companies"], None)

    assert delivery is not None
    assert [len(page) for page in delivery.pages] == [1_000] * 5 + [500]
