"""What a bureau's portal exports, by a mapping beside it: several forms, several scales, words where numbers should be."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import xlsxwriter

from dagster_project import duck
from dagster_project.connect import connect
from dagster_project.contract import DATASETS
from dagster_project.landing import Landing, Manifest, rows_select
from dagster_project.settings import Settings
from dagster_project.sources import Opening, SourceError
from dagster_project.sources.bureau_file import CONNECTOR, BureauFileSettings
from tests import compiled

MORNING, SCORES = date(2025, 6, 30), DATASETS["credit_scores"]
NONE = Decimal(0)

MAPPING = """
[europe]
files = "creditsafe-*.csv"
bureau = "Creditsafe"
dates = "day first"
decimal = ","
[europe.columns]
customer_id = "Your reference"
registration_number = "Company number"
scored_on = "Report date"
status = "Status"
dbt = "DBT"
industry_dbt = "Industry DBT"
recommended_limit = "Credit limit"
currency = "Currency"
[europe.digits]
registration_number = 8
[europe.scores.credit_score]
raw_score = "International score"
risk_class = "Rating"
model_code = "international_score"
[europe.scores.rating]
raw_score = "Rating"

[portfolio]
files = "portfolio-*.xlsx"
bureau = "dnb"
[portfolio.columns]
customer_id = "Customer ID"
dbt = "Days beyond terms"
[portfolio.scores.paydex]
raw_score = "PAYDEX"
[portfolio.scores.failure_percentile]
raw_score = "Failure percentile"
risk_class = "Failure class"
"""
EXPORT = (
    "Your reference;Company number;Report date;Status;DBT;Industry DBT;Credit limit;Currency;International score;Rating;Contact\r\n"
    "0001;1234567;05/06/2025;Active;12,5;N/A;15.000,50;EUR;66;B;x\r\n"
    "0002;00987654;28/05/2025;In Liquidation;--;4;Contact us;EUR;NR;E;x\r\n"
    "0003;;31/05/2025;Active;;;;;12;A;x\r\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "bureau_file.toml").write_text(MAPPING, "utf-8")
    (folder / "creditsafe-june.csv").write_bytes(EXPORT.encode("cp1252"))
    with xlsxwriter.Workbook(folder / "portfolio-2025-06-15.xlsx") as book:
        sheet = book.add_worksheet("Portfolio")
        rows: list[list[Any]] = [
            ["D&B portfolio of 15 June"],
            [],
            ["Customer ID", "PAYDEX", "Failure Percentile", "Failure class", "Days beyond terms"],
            ["0001", 78, 40, 3, 9.25],
            ["0002", "UN", 0, "--", "N/A"],
            [],
            ["0003", 999, "NA", None, -2],
        ]
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
    return folder


def landed(folder: Path, landing: Landing) -> tuple[Manifest, list[dict[str, Any]]]:
    with ExitStack() as stack:
        source = CONNECTOR.opened(BureauFileSettings(dir=folder), Opening(MORNING, folder, stack))
        manifest = landing.land(SCORES, source.fetch(SCORES, None), MORNING, quarantine_share=NONE)
    with duck.scratch(landing.folder) as con:
        rows = con.sql(f"from ({rows_select(SCORES, con, landing.loads(SCORES))}) order by bureau, score_code, customer_id")
        return manifest, rows.to_arrow_table().to_pylist()


def test_two_bureaus_two_forms_and_four_scales_land_as_they_were_written(folder: Path, landing: Landing) -> None:
    (folder / "notes.csv").write_text("a,b\n", "utf-8")

    manifest, rows = landed(folder, landing)

    assert (manifest.received, manifest.landed, manifest.quarantined, manifest.full) == (12, 12, 0, False)
    assert manifest.left_out == {
        "files that no files = … of bureau_file.toml names": 1,
        "words in columns of numbers or dates, such as «N/A»": 4,
    }
    told = [(row["bureau"], row["score_code"], row["customer_id"], row["raw_score"], row["risk_class"]) for row in rows]
    assert told == [
        ("creditsafe", "credit_score", "0001", "66", "B"),
        ("creditsafe", "credit_score", "0002", "NR", "E"),
        ("creditsafe", "credit_score", "0003", "12", "A"),
        ("creditsafe", "rating", "0001", "B", None),
        ("creditsafe", "rating", "0002", "E", None),
        ("creditsafe", "rating", "0003", "A", None),
        ("dnb", "failure_percentile", "0001", "40", "3"),
        ("dnb", "failure_percentile", "0002", "0", "--"),
        ("dnb", "failure_percentile", "0003", "NA", None),
        ("dnb", "paydex", "0001", "78", None),
        ("dnb", "paydex", "0002", "UN", None),
        ("dnb", "paydex", "0003", "999", None),
    ]
    first, second, dnb = rows[0], rows[1], rows[9]
    assert (first["scored_on"], first["registration_number"], first["model_code"]) == (
        date(2025, 6, 5),
        "01234567",
        "international_score",
    )
    assert [str(first[name].normalize()) for name in ("dbt", "recommended_limit")] == ["12.5", "15000.5"]
    assert (second["dbt"], second["recommended_limit"], second["status"]) == (None, None, "In Liquidation")
    assert (dnb["scored_on"], str(dnb["dbt"].normalize())) == (date(2025, 6, 15), "9.25"), "the day is in the file's name"


def test_no_sentinel_becomes_a_number_and_each_scale_is_read_as_its_own(folder: Path, landing: Landing) -> None:
    """12 in class A is a scale that turned over, 999 is off PAYDEX, NR, UN, 0 and NA are words."""
    _, rows = landed(folder, landing)
    scores = [{**{name: row[name] for name in SCORES.column_names}, "known_at": row["_loaded_at"]} for row in rows]
    given = {
        "stg_bureau__credit_scores": pa.Table.from_pylist(scores),
        "int_customers": pa.table({"customer_id": ["0001", "0002", "0003"], "registration_number": pa.nulls(3, pa.string())}),
    }
    con = compiled.over(compiled.compiled(), MORNING, ["int_bureau_scores"], given)
    found = con.sql(
        "select bureau, score_code, customer_id, round(score, 2)::varchar, unused_reason "
        "from arrears.intermediate.int_bureau_scores order by all"
    ).fetchall()

    assert found == [
        ("creditsafe", "credit_score", "0001", "66.00", None),
        ("creditsafe", "credit_score", "0002", None, "sentinel"),
        ("creditsafe", "credit_score", "0003", None, "contradicts_class"),
        ("creditsafe", "rating", "0001", "75.00", None),
        ("creditsafe", "rating", "0002", "0.00", None),
        ("creditsafe", "rating", "0003", "100.00", None),
        ("dnb", "failure_percentile", "0001", "39.39", None),
        ("dnb", "failure_percentile", "0002", None, "sentinel"),
        ("dnb", "failure_percentile", "0003", None, "sentinel"),
        ("dnb", "paydex", "0001", "77.78", None),
        ("dnb", "paydex", "0002", None, "sentinel"),
        ("dnb", "paydex", "0003", None, "out_of_range"),
    ]


def test_a_bureaus_own_number_finds_the_customers_that_somebody_accepted_it_for(folder: Path, landing: Landing) -> None:
    mapping = (folder / "bureau_file.toml").read_text("utf-8")
    own = mapping.replace('customer_id = "Customer ID"', 'bureau_id = "Customer ID"').replace(
        "[portfolio.scores.paydex]", "[portfolio.digits]\nbureau_id = 9\n[portfolio.scores.paydex]"
    )
    (folder / "bureau_file.toml").write_text(own, "utf-8")
    (folder / "creditsafe-june.csv").unlink()
    matches = folder / "matches" / "dnb.csv"
    matches.parent.mkdir()
    matches.write_text(
        "customer_id;bureau_id;decision\nA;00-000-0001;accepted\nB;000000001;Accepted\nC;000000002;proposed\n", "utf-8"
    )

    manifest, rows = landed(folder, landing)

    told = [(row["score_code"], row["customer_id"], row["raw_score"]) for row in rows]
    assert told == [
        ("failure_percentile", "A", "40"),
        ("failure_percentile", "B", "40"),
        ("paydex", "A", "78"),
        ("paydex", "B", "78"),
    ]
    assert manifest.left_out["companies that matches/<bureau>.csv names no customer for"] == 2


def test_a_file_that_is_taken_away_takes_nothing_back_and_a_bad_cell_says_where_it_stands(folder: Path, landing: Landing) -> None:
    landed(folder, landing)
    (folder / "portfolio-2025-06-15.xlsx").unlink()
    (folder / "creditsafe-june.csv").write_text(EXPORT.replace("12,5", "1x2"), "utf-8")

    with ExitStack() as stack:
        source = CONNECTOR.opened(BureauFileSettings(dir=folder), Opening(MORNING, folder, stack))
        manifest = landing.land(SCORES, source.fetch(SCORES, None), MORNING, quarantine_share=Decimal(1))

    assert (manifest.tombstones, manifest.landed, manifest.quarantined) == (0, 0, 2)
    assert manifest.examples["dbt is not a decimal number:"] == "«1x2» in creditsafe-june.csv line 2"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('bureau = "Creditsafe"\n', "", r'\[europe\] needs bureau = "…"'),
        ('files = "creditsafe-*.csv"', 'fyles = "x"', r"\[europe\]: fyles is none of files, bureau, columns"),
        (
            'customer_id = "Your reference"\nregistration_number = "Company number"\n',
            "",
            "neither customer_id nor registration_number nor bureau_id",
        ),
        ('scored_on = "Report date"\n', "", r"names no column for scored_on, and there is no day in the file's name"),
        ('status = "Status"', 'state = "Status"', r"\[europe.columns\]: state is none of scored_on"),
        ('dbt = "Days beyond terms"', 'dbt = "DSO"', r"no sheet has the columns customer_id, dso, paydex, failure_percentile"),
        ('dbt = "DBT"', 'dbt = "Beyond"', "required column beyond is missing"),
        ('dates = "day first"', 'dates = "first"', r"\[europe\] dates = 'first' is none of"),
        ("registration_number = 8", 'registration_number = "8"', "holds whole numbers"),
        ("[europe.scores.credit_score]", "[europe.scores", "cannot be read as TOML"),
        ('raw_score = "PAYDEX"', "raw_score = 7", "raw_score = 7 is no text"),
    ],
)
def test_a_mapping_that_means_nothing_is_refused_by_name(old: str, new: str, says: str, folder: Path, landing: Landing) -> None:
    path = folder / "bureau_file.toml"
    assert old in path.read_text("utf-8")
    path.write_text(path.read_text("utf-8").replace(old, new, 1), "utf-8")

    with pytest.raises(SourceError, match=says):
        landed(folder, landing)


def test_what_is_no_workbook_or_not_there_is_said(folder: Path, landing: Landing) -> None:
    (folder / "portfolio-2025-06-15.xlsx").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(SourceError, match=r"portfolio-2025-06-15.xlsx cannot be read as a workbook"):
        landed(folder, landing)
    for path in folder.glob("*.[cx]*"):
        path.unlink()
    with pytest.raises(SourceError, match=r"no file there is named by bureau_file.toml \(creditsafe-\*.csv, portfolio-\*.xlsx\)"):
        landed(folder, landing)
    (folder / "bureau_file.toml").unlink()
    with pytest.raises(SourceError, match=r"bureau_file.toml is not there"):
        landed(folder, landing)


def test_it_is_tried_on_as_any_source(make_settings: Callable[..., Settings], folder: Path) -> None:
    seen: list[str] = []

    assert connect(make_settings(bureau="bureau_file", bureau_file_dir=folder), "bureau_file", seen.append)

    assert any(line.startswith("credit_scores                 12  left out: 4 words") for line in seen)
    assert seen[-1] == "\nIt can be read."
