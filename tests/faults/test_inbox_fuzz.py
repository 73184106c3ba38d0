"""Whatever bytes are dropped into the inbox, what comes back is words: never an exception's name, never silence, never a dead night.

A minute in `make test`; an hour by hand: ARREARS_FUZZ_EXAMPLES=100000 python -m pytest tests/faults/test_inbox_fuzz.py
"""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagster_project import form
from dagster_project.bounded import Bounded, OutOfBounds
from dagster_project.incoming.archive import Refused
from dagster_project.incoming.inbox import Filled, judged, write_rejected
from dagster_project.incoming.issued import Issued, Item
from dagster_project.incoming.workbook import Handed, Row, Table, opened
from dagster_project.seals import seal
from dagster_project.words import printable

EXAMPLES = int(os.environ.get("ARREARS_FUZZ_EXAMPLES", "60"))
OFTEN = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

KEY, LISTED, MORNING = b"k" * 32, date(2025, 6, 2), date(2025, 6, 3)
ISSUED = Issued(
    {"I1": Item("I1", "I1", "C1", "EUR", Decimal(100))},
    {"C1": ("anna",), "0017": ("",)},
    {"C1": frozenset({"EUR"}), "0017": frozenset({"EUR", "USD"})},
    {"C1": {"EUR": Decimal(100)}, "0017": {"EUR": Decimal(50), "USD": Decimal(70)}},
    sealed=True,
)

NO_WORDS = re.compile(r"Traceback|\w+(Error|Exception)\b|<class |object at 0x|\\x[0-9a-f]{2}")
"""What is for whoever wrote the program and for nobody else."""


def words(text: str) -> None:
    assert text
    assert not NO_WORDS.search(text), text
    assert printable(text) == text and len(text) < 1_000, text


def came_back(handed: Handed, folder: Path) -> Filled | None:
    """Judge it, and write what comes back as the night does."""
    try:
        filled = judged(
            handed, lambda day: ISSUED if day == LISTED else None, KEY, morning=MORNING, max_age_days=45, promise_days=366
        )
    except Refused as reason:
        words(str(reason))
        return None
    for cell in filled.rejected:
        words(cell.message)
    write_rejected(folder / "errors.csv", filled.rejected)
    text = (folder / "errors.csv").read_text("utf-8")
    assert not set(re.sub(r"[\r\n\t]", "", text)) & set(map(chr, [*range(32), 127]))
    return filled


# --- bytes ------------------------------------------------------------------------------------------------------------


def a_good_workbook() -> dict[str, bytes]:
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream) as book:
        calls, items = book.add_worksheet(form.CALL_LIST), book.add_worksheet(form.ITEM_LIST)
        calls.write_row(0, 0, [form.KEY_HEADER, form.SEAL_HEADER, *(question.header for question in form.QUESTIONS)])
        calls.write_row(1, 0, ["C1", seal(KEY, LISTED, "net_terms", "anna", "C1"), "Yes", "Promised to pay", "2025-06-12", 40.5])
        calls.merge_range(2, 2, 3, 2, "Yes")
        items.write_row(0, 0, [form.ITEM_KEY_HEADER, form.SEAL_HEADER, *(question.header for question in form.ITEM_QUESTIONS)])
        items.write_row(1, 0, ["I1", seal(KEY, LISTED, "net_terms", "anna", "C1", "I1"), "Price", 10])
        items.write_formula(1, 4, "=1+1")
        hidden = book.add_worksheet(form.IDENTITY_SHEET)
        hidden.write_column(0, 0, ["schema_version", "as_of", "policy", "sheet"])
        hidden.write_column(0, 1, ["1", LISTED.isoformat(), "net_terms", form.CALL_LIST])
    with zipfile.ZipFile(stream) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


GOOD = a_good_workbook()

TOKENS = (
    *(
        b"9999999999",
        b"99999999999999999999999",
        b"-1",
        b"xfd1048576",
        b"A0",
        b"ZZZZZZ9",
        b"1e999",
        b"NaN",
        b"&#0;",
        b"&x;",
        b"\x00",
    ),
    *(
        b"</row>",
        b"<row>",
        b"</sheetData>",
        b"<f>",
        b"<f/>",
        b"<v></v>",
        b't="s"',
        b't="d"',
        b't="e"',
        b'r="',
        b'"',
        b"\xff\xfe",
        b"<?",
    ),
    *(b"1048577", b"16385", b"2025-02-30", b"#REF!", b"<mergeCell ref='A1:XFD1048576'/>", b'count="4294967295"', "🙂".encode()),
)

change = st.tuples(
    st.sampled_from(sorted(GOOD)), st.floats(0, 1), st.integers(0, 40), st.one_of(st.sampled_from(TOKENS), st.binary(max_size=20))
)


@pytest.fixture(scope="module")
def reader() -> Iterator[Bounded]:
    with Bounded(60, 1_024) as bounded:
        yield bounded


def read(reader: Bounded, path: Path) -> None:
    try:
        handed = reader.call(opened, path)
    except Refused as reason:
        words(str(reason))
    except OutOfBounds as beyond:
        words(f"it {beyond}")
    else:
        came_back(handed, path.parent)


@OFTEN
@given(changes=st.lists(change, min_size=1, max_size=4))
def test_a_workbook_with_parts_of_it_changed(
    changes: list[tuple[str, float, int, bytes]], reader: Bounded, tmp_path: Path
) -> None:
    parts = dict(GOOD)
    for name, where, dropped, put in changes:
        place = int(where * len(parts[name]))
        parts[name] = parts[name][:place] + put + parts[name][place + dropped :]
    with zipfile.ZipFile(tmp_path / "list.xlsx", "w") as packed:
        for name, content in parts.items():
            packed.writestr(name, content)

    read(reader, tmp_path / "list.xlsx")


@OFTEN
@given(where=st.floats(0, 1), dropped=st.integers(0, 2_000), put=st.binary(max_size=60), raw=st.booleans())
def test_a_file_that_is_no_whole_workbook(
    where: float, dropped: int, put: bytes, raw: bool, reader: Bounded, tmp_path: Path
) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in GOOD.items():
            packed.writestr(name, content)
    whole = stream.getvalue()
    place = int(where * len(whole))
    (tmp_path / "list.xlsx").write_bytes(put if raw else whole[:place] + put + whole[place + dropped :])

    read(reader, tmp_path / "list.xlsx")


# --- cells ------------------------------------------------------------------------------------------------------------

said = st.sampled_from(
    ("Yes", "Promised to pay", "1.234,56", "12/06/2025", "€ 5", "45838", "1200 USD", "٣", "²", "１２", "1e5", "--")
)
cell = st.one_of(
    st.text(max_size=40),
    said,
    st.floats(),
    st.integers(-(10**20), 10**20),
    st.booleans(),
    st.dates(),
    st.datetimes(),
    st.times(),
    st.timedeltas(),
    st.just("x" * 1_200),
    st.just("9" * 1_200 + ".123"),
    st.just("1" + " " * 30_000 + "x"),
)
keys = st.one_of(st.sampled_from(("C1", "0017", 17, 17.0, "I1", "c1 ", "")), cell)


def seals_of(who: str, item: str = "") -> st.SearchStrategy[str]:
    return st.one_of(st.just(seal(KEY, LISTED, "net_terms", "anna" if who == "C1" else "", who, item)), st.text(max_size=20))


def tables(questions: tuple[form.Question, ...], marks: st.SearchStrategy[str]) -> st.SearchStrategy[Table]:
    names = [question.name for question in questions]
    row = st.builds(Row, st.integers(2, 9), keys, marks, st.dictionaries(st.sampled_from(names), cell, min_size=1))
    places = st.just({name: place for place, name in enumerate(names, 1)})
    return st.builds(Table, st.just("Sheet"), st.just(0), places, st.lists(row, max_size=5), st.just([]))


identities = st.fixed_dictionaries(
    {"schema_version": st.one_of(st.just("1"), cell), "as_of": st.one_of(st.just(LISTED.isoformat()), cell)},
    optional={"policy": st.one_of(st.just("net_terms"), cell), "sheet": cell},
)


@settings(OFTEN, max_examples=EXAMPLES * 2)
@given(
    identity=identities,
    calls=tables(form.QUESTIONS, st.one_of(seals_of("C1"), seals_of("0017"))),
    items=st.one_of(st.none(), tables(form.ITEM_QUESTIONS, seals_of("C1", "I1"))),
)
def test_cells_of_every_kind(identity: dict[str, Any], calls: Table, items: Table | None, tmp_path: Path) -> None:
    filled = came_back(Handed(identity, calls, items, []), tmp_path)

    for outcome in filled.outcomes if filled else ():
        assert outcome.customer_id in ISSUED.collectors
        assert outcome.promised_amount is None or 0 < outcome.promised_amount <= 100
        assert outcome.disputed_amount is None or 0 < outcome.disputed_amount <= 100
        assert outcome.promised_date is None or LISTED <= outcome.promised_date <= LISTED + timedelta(days=366)


def test_the_good_workbook_is_read(reader: Bounded, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "list.xlsx", "w") as packed:
        for name, content in GOOD.items():
            packed.writestr(name, content)

    filled = came_back(reader.call(opened, tmp_path / "list.xlsx"), tmp_path)

    assert filled is not None
    assert [(outcome.item_id or outcome.customer_id) for outcome in filled.outcomes] == ["C1", "I1"]
