"""What a file or an answer can hold: whatever its bytes are, they are read, or refused in one line of words. `FUZZ_EXAMPLES` for longer."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagster_project.contract import DATASETS
from dagster_project.landing import Landing, LandingError
from dagster_project.sources import Delivery, SourceError, page_schema
from dagster_project.sources.files import FilesSource
from dagster_project.sources.rest import RestSource
from dagster_project.sources.sql import SqlSource

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))
BOUNDED = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
COMPANIES = DATASETS["companies"]
HEADER = (
    "invoice_id",
    "invoice_number",
    "customer_id",
    "document_type",
    "invoice_date",
    "currency",
    "amount",
    "due_date",
    "sent_at",
    "tax_amount",
)
MORNING, ALL = date(2025, 9, 30), Decimal(1)
GOOD = 'company_id,name,currency\nA,Älpha & Söhne,EUR\nB,"Beta, Inc",USD\nC,Gamma,GBP\n'


def in_words(refused: Exception) -> None:
    told = str(refused)
    assert "t0ken-of-ours" not in told
    assert len(told.splitlines()) == 1, told
    assert len(told) < 1_000
    assert told.isprintable(), repr(told)
    assert not re.search(r"\w(Error|Exception)\b", told), told


def read(folder: Path) -> int:
    """How many records there are; what is refused is refused in words."""
    try:
        delivery = FilesSource(folder).fetch(COMPANIES, None)
        assert delivery is not None
        return sum(len(page) for page in delivery.pages)
    except SourceError as refused:
        in_words(refused)
        return 0


@st.composite
def damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """Bytes cut, turned, doubled or put in."""
    content = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        match draw(st.sampled_from(("cut", "turn", "double", "insert"))):
            case "cut":
                del content[at : at + draw(st.integers(1, 30))]
            case "turn" if at < len(content):
                content[at] = draw(st.integers(0, 255))
            case "double":
                content[at:at] = content[max(0, at - 20) : at]
            case _:
                content[at:at] = draw(
                    st.one_of(st.binary(max_size=12), st.sampled_from((b'"', b"\n", b"\r", b"\x00", b",", b";", b"\xff\xfe")))
                )
    return bytes(content)


@BOUNDED
@given(
    content=st.one_of(
        st.binary(max_size=300), damaged(GOOD.encode()), damaged(GOOD.encode("utf-16")), damaged(GOOD.encode("cp1252"))
    )
)
def test_a_csv_of_any_bytes_is_read_or_refused_in_words(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "companies.csv").write_bytes(content)

    read(tmp_path)


@BOUNDED
@given(
    text=st.one_of(
        st.text(max_size=120),
        st.sampled_from(("delimiter = 1", "dates = true", "[invoices]\nx=1", "invoices = 3", "decimal=','")),
    )
)
def test_settings_of_any_text_are_read_or_refused_in_words(text: str, tmp_path: Path) -> None:
    (tmp_path / "companies.csv").write_text(GOOD)
    (tmp_path / "files.toml").write_text(text, "utf-8", errors="replace")

    read(tmp_path)


VALUES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12),
    st.from_regex(r"[+-]?[(]?[0-9.,' ]{1,12}[)-]?", fullmatch=True),
    st.from_regex(r"[0-9]{1,4}[./-][0-9]{1,2}[./-][0-9]{1,4}( [0-9:]{1,8})?", fullmatch=True),
)


@settings(BOUNDED, max_examples=max(EXAMPLES // 15, 5))
@given(cells=st.lists(st.tuples(VALUES, VALUES, VALUES, VALUES), min_size=1, max_size=30))
def test_values_of_any_form_land_or_are_put_aside_and_none_is_lost(cells: list[tuple[str, ...]], tmp_path_factory: Any) -> None:
    home = tmp_path_factory.mktemp("fuzz")
    with (home / "invoices.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for number, (day, amount, due, sent) in enumerate(cells):
            writer.writerow((f"I{number}", "N", "C", "invoice", day, "EUR", amount, due, sent, amount))
    try:
        delivery = FilesSource(home).fetch(DATASETS["invoices"], None)
        manifest = Landing(home / "landing", home / "quarantine").land(
            DATASETS["invoices"], delivery, MORNING, quarantine_share=ALL
        )
    except SourceError as refused:
        in_words(refused)
    except LandingError as refused:
        in_words(refused)
    else:
        assert manifest.received == manifest.landed + manifest.quarantined == len(cells)


# --- Parquet ----------------------------------------------------------------------------------------------------------


def parquet(rows: int = 200) -> bytes:
    written = io.BytesIO()
    columns = {"company_id": [f"C{n}" for n in range(rows)], "name": ["Ä"] * rows, "currency": ["EUR"] * rows}
    pq.write_table(pa.table(columns), written, row_group_size=50)
    return written.getvalue()


@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.9, 0.999])
def test_a_parquet_file_cut_off_is_refused_in_words(part: float, tmp_path: Path) -> None:
    whole = parquet()
    (tmp_path / "companies.parquet").write_bytes(whole[: int(len(whole) * part)])

    with pytest.raises(SourceError, match="cannot be read as Parquet") as refused:
        read_raising(tmp_path)
    in_words(refused.value)


def read_raising(folder: Path) -> None:
    delivery = FilesSource(folder).fetch(COMPANIES, None)
    assert delivery is not None
    list(delivery.pages)


@settings(BOUNDED, max_examples=max(EXAMPLES // 5, 10))
@given(content=damaged(parquet()))
def test_a_damaged_parquet_file_is_read_or_refused_in_words(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "companies.parquet").write_bytes(content)

    read(tmp_path)


# --- answers ----------------------------------------------------------------------------------------------------------

ANSWER = json.dumps(
    {"data": [{"company_id": "A", "name": "Älpha", "currency": "EUR", "x": [1.5, None]}], "next": None, "total": 1}
).encode()


class Answering(RestSource):
    """A source whose server says these bytes."""

    def __init__(self, content: bytes, status: int) -> None:
        super().__init__("http://127.0.0.1:1", "t0ken-of-ours", wait=0.0)
        said: tuple[int, str, Mapping[str, str], bytes] = (status, "OK", {}, content)
        self.http._answer = lambda *_: said  # type: ignore[method-assign]


@BOUNDED
@given(content=st.one_of(st.binary(max_size=200), damaged(ANSWER)), status=st.sampled_from((200, 200, 200, 400, 403)))
def test_an_answer_of_any_bytes_is_read_or_refused_in_words(content: bytes, status: int) -> None:
    try:
        delivery = Answering(content, status).fetch(COMPANIES, None)
        assert delivery is not None
        for page in delivery.pages:
            assert len(page) >= 0
    except SourceError as refused:
        in_words(refused)


UNSEEN = "A\u2060B\u00ad\U000e0041\u202eC\x1b[2J"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("companies.csv", f"{UNSEEN},name\nA,B\n".encode()),
        ("companies.csv", f"company_id,name,currency,{UNSEEN},{UNSEEN}\nA,B,EUR,1,2\n".encode()),
        ("companies.csv", f"company_id,name,currency\nA,{UNSEEN},EUR,{UNSEEN}\n".encode()),
        ("companies.csv", f'company_id,name,currency\nA,"B,{UNSEEN}\nC,D,EUR\nE,F,EUR\n'.encode()),
        ("files.toml", f'"{json.dumps(UNSEEN)[1:-1]}" = 1\n'.encode()),
        ("files.toml", f"delimiter = {json.dumps(UNSEEN * 99)}\n".encode()),
        ("files.toml", f"encoding = {json.dumps(UNSEEN * 99)}\n".encode()),
    ],
    ids=["header", "doubled", "line", "quote", "setting", "delimiter", "encoding"],
)
def test_a_sign_that_nobody_sees_is_not_in_a_refusal(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "companies.csv").write_text(GOOD, "utf-8")
    (tmp_path / name).write_bytes(content)

    with pytest.raises(SourceError) as refused:
        read_raising(tmp_path)
    in_words(refused.value)


def test_nor_in_that_of_parquet_a_database_or_a_load(tmp_path: Path) -> None:
    folder = tmp_path / "parquet"
    folder.mkdir()
    pq.write_table(pa.table({UNSEEN: ["A"]}), folder / "companies.parquet")
    with pytest.raises(SourceError, match="required column company_id") as refused:
        read_raising(folder)
    in_words(refused.value)

    queries = tmp_path / "queries"
    queries.mkdir()
    for query in (f'select 1 as "{UNSEEN}"', f'select "no such {UNSEEN}" from nowhere', f"select '{UNSEEN}' frm"):
        (queries / "companies.sql").write_text(query, "utf-8")
        delivery = SqlSource("sqlite://", queries).fetch(COMPANIES, None)
        assert delivery is not None
        with pytest.raises(SourceError) as refused:
            list(delivery.pages)
        in_words(refused.value)

    page = pa.Table.from_pylist([{"company_id": "A", "name": "B", "currency": UNSEEN}], page_schema(COMPANIES))
    with pytest.raises(LandingError) as broken:
        Landing(tmp_path / "landing", tmp_path / "quarantine").land(
            COMPANIES, Delivery(iter([page]), full=True, origin="test"), MORNING, quarantine_share=Decimal(0)
        )
    in_words(broken.value)
