"""Somebody is forgotten: nothing that is personal of them is left anywhere under the home, and every figure and key is."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import subprocess
import zipfile
from collections.abc import Callable
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from dagster_project import duck, warehouse
from dagster_project.contract import DATASETS, LANDED, PERSONAL
from dagster_project.forgetting import ForgettingError, forget
from dagster_project.landing import Landing, LandingError, rows_select, store
from dagster_project.landing.chain import Chain
from dagster_project.landing.compact import clear_away_at_once
from dagster_project.landing.forget import Person, forgotten, record_file
from dagster_project.settings import Settings
from dagster_project.sources import Delivery, page_schema
from dagster_project.sources.records import Spool
from dagster_project.tables import write_csv, write_jsonl
from dagster_project.warehouse import Warehouse, at_work_on, publish

MONDAY = date(2025, 6, 2)

ADA = {
    "contact_id": "C-1",
    "customer_id": "0001",
    "role": "senior",
    "name": 'Ada "Countess" & Søn',
    "email": "ada@aldgate.example",
}
SID = {"contact_id": "C-2", "customer_id": "0001", "role": "senior", "name": "Sid Senior", "email": "sid@aldgate.example"}
EVE = {"contact_id": "C-3", "customer_id": "0002", "role": "senior", "name": "Eve Else", "email": "eve@bishop.example"}
ALDGATE = {"customer_id": "0001", "name": "Aldgate Traders", "email": "office@aldgate.example", "credit_limit": "5000.00"}
BISHOP = {"customer_id": "0002", "name": "Bishop Brothers", "email": "office@bishop.example", "credit_limit": "7000.00"}
NOTE = {"activity_id": "A1", "customer_id": "0001", "occurred_at": "2025-06-01T10:00:00Z", "note": "Ada is ill until July"}

NEVER_LANDED = {"contact_id": "C-9", "customer_id": "0001", "name": "Nora Neverlanded", "phone": "+44 20 7946 0999"}

OF_ADA = (ADA["name"], ADA["email"])
OF_NORA = (NEVER_LANDED["name"], NEVER_LANDED["phone"])
OF_ALDGATE = (*OF_ADA, *OF_NORA, SID["name"], SID["email"], ALDGATE["name"], ALDGATE["email"], NOTE["note"])
OF_OTHERS = (EVE["name"], EVE["email"], BISHOP["name"], BISHOP["email"])


def land(landing: Landing, name: str, as_of: date, *rows: dict[str, str]) -> Any:
    page = pa.Table.from_pylist(list(rows), page_schema(DATASETS[name]))
    return landing.land(DATASETS[name], Delivery(iter([page]), full=False, origin="test"), as_of, quarantine_share=Decimal(1))


def known(landing: Landing, name: str, *columns: str) -> list[tuple[Any, ...]]:
    con = duck.connect()
    rows = rows_select(DATASETS[name], con, landing.loads(DATASETS[name]))
    return con.execute(f"select {', '.join(columns)} from ({rows}) order by all").fetchall()


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which everybody stands wherever anybody can. Nobody writes here."""
    settings = Settings(home=tmp_path_factory.mktemp("lived-in") / "data", _env_file=None)  # type: ignore[call-arg]
    landing = Landing(settings.landing, settings.quarantine)
    land(landing, "customers", MONDAY, ALDGATE, BISHOP)
    land(landing, "contacts", MONDAY, ADA, SID, EVE)
    land(landing, "activities", MONDAY, NOTE)
    for number in range(1, 4):
        land(landing, "contacts", MONDAY + timedelta(days=number), {**ADA, "phone": f"+44 20 7946 000{number}"})
    landing.compact(DATASETS["contacts"])
    land(landing, "contacts", MONDAY + timedelta(days=4), {**ADA, "role": "executive"}, {**EVE, "role": "executive"}, SID)
    land(landing, "contacts", MONDAY + timedelta(days=4), {**ADA, "role": "chief"}, {**EVE, "role": "chief"}, SID)
    good = {"customer_id": "0003", "name": "Third & Last"}
    for who in (ALDGATE, BISHOP):  # a column too many in somebody's spreadsheet
        shifted = {**who, "status": who["name"], "do_not_dun": who["email"]}
        refused = land(landing, "customers", MONDAY + timedelta(days=4), good, shifted)
        assert who["name"] in str(refused.examples), "the night's log shows it"
    land(landing, "contacts", MONDAY + timedelta(days=4), {**NEVER_LANDED, "role": "chief"})

    people = pa.table(
        {"customer_id": ["0001", "0002"], "contact": [ADA["name"], EVE["name"]], "why": [f"Call {ADA['name']}", "x"]}
    )
    people = people.append_column("owed", pa.array([Decimal("10.00"), Decimal("20.00")]))
    built = Warehouse(settings.warehouse / f"{MONDAY}.test")
    built.create()
    con = duck.connect(str(built.marts))
    con.register("people", people)
    con.execute("create schema marts.marts; create table marts.marts.dunning_worklist as from people")
    con.close()
    built.release()
    publish(built.marts, settings.published, MONDAY, {"run_id": "r1"})

    morning = settings.worklists / MONDAY.isoformat()
    drafts = morning / "drafts" / "kim"
    drafts.mkdir(parents=True)
    write_csv(morning / "worklist.csv", people)
    write_jsonl(morning / "worklist.jsonl", people)
    for path in (morning / "worklist.xlsx", settings.inbox / "done" / "worklist.xlsx"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with xlsxwriter.Workbook(path) as book:
            sheet = book.add_worksheet()
            for row, person in enumerate(people.to_pylist()):
                sheet.write_row(row, 0, [person["customer_id"], person["contact"], person["why"], str(person["owed"])])
            sheet.write_string(5, 0, f"{ALDGATE['name']}, {NOTE['note']}")
    for contact in (ADA, EVE):
        mail = EmailMessage()
        mail["To"], mail["Subject"] = str(contact["email"]), "A reminder"
        mail.set_content(f"Dear {contact['name']}, 10.00 EUR is open", cte="base64")
        (drafts / f"{contact['customer_id']}.eml").write_bytes(bytes(mail))
    (drafts.parent / "SHA256SUMS").write_text("a  kim/0001.eml\nb  kim/0002.eml\n")
    files = [{"name": name, "sha256": "x", "bytes": 1} for name in ("worklist.csv", "worklist.jsonl", "worklist.xlsx")]
    (morning / "manifest.json").write_text(json.dumps({"files": files, "totals": {"past_due": "30.00"}}))
    (settings.home / "adopt" / ".2025-06-01").mkdir(parents=True)
    (settings.home / "adopt" / "2025-06-01.md").write_text(f"«{ADA['name']}» in customers.csv line 2")
    (settings.home / "logs").mkdir()
    (settings.home / "logs" / "2025-06-02.log").write_text(f"refused {ADA['name']} and {EVE['name']}")
    settings.dagster_home.mkdir()
    with closing(sqlite3.connect(settings.dagster_home / "runs.db")) as events:
        events.execute("create table event_logs (id integer, event text)")
        preview = json.dumps({"preview": f"| 0001 | {ADA['name']} |\n| 0002 | {EVE['name']} |"})
        events.execute("insert into event_logs values (1, ?)", (preview,))
        events.commit()
    return settings.home


@pytest.fixture
def home(lived_in: Path, make_settings: Callable[..., Settings]) -> Settings:
    """A copy of it, for one test to forget somebody in."""
    settings = make_settings()
    subprocess.run(["cp", "-a", lived_in, settings.home], check=True)  # with its hard links
    return settings


def everything(settings: Settings) -> str:
    """All that can be read under the home, in whatever it is wrapped, but for the names of files."""
    told: list[str] = []
    for path in settings.home.rglob("*"):
        if not path.is_file():
            continue
        content = path.read_bytes()
        told.append(content.decode("utf-8", "replace"))
        if path.suffix == ".parquet":
            told.append(str(pq.read_table(path).to_pylist()))
        elif path.suffix == ".xlsx":
            with zipfile.ZipFile(path) as book:
                told += [book.read(name).decode("utf-8", "replace") for name in book.namelist()]
        elif path.suffix == ".eml":
            from email import message_from_bytes, policy

            mail = message_from_bytes(content, policy=policy.default)
            told.append(f"{mail['To']} {mail.get_content()}")  # type: ignore[attr-defined]
    return (
        "\n".join(told)
        .replace("&amp;", "&")
        .replace('\\"', '"')
        .replace('""', '"')
        .replace("&quot;", '"')
        .replace("\\u00f8", "ø")
    )


@pytest.mark.parametrize(
    ("person", "words"),
    [
        (Person("contact", "C-1"), OF_ADA),
        (Person("customer", "0001"), OF_ALDGATE),
        (Person("contact", "C-9"), OF_NORA),
    ],
    ids=["contact", "customer", "refused only"],
)
def test_nothing_of_them_is_left_and_everybody_else_is(person: Person, words: tuple[str, ...], home: Settings) -> None:
    landing = Landing(home.landing, home.quarantine)
    before = everything(home)
    assert [word for word in (*words, *OF_OTHERS) if word not in before] == []

    done = forget(home, landing, person)

    after = everything(home)
    assert [word for word in words if word in after] == []
    assert [word for word in OF_OTHERS if word not in after] == []
    assert done.record.key == person.key
    assert forgotten(home.landing) == [person]
    assert landing.damages(whole=True) == []
    assert len(known(landing, "contacts", "contact_id")) == 8, "every row of every load is still there"


def test_what_was_said_of_records_that_never_landed_goes_whole(home: Settings) -> None:
    forget(home, Landing(home.landing, home.quarantine), Person("customer", "0001"))

    assert list((home.home / "adopt").iterdir()) == []


def test_figures_and_keys_stay_and_manifests_say_what_is_there_now(home: Settings) -> None:
    landing = Landing(home.landing, home.quarantine)
    stamps = known(landing, "contacts", "contact_id", "customer_id", "_load_id", "_loaded_at", "_as_of")
    sequences = [load.manifest for load in landing.loads(DATASETS["contacts"])]

    record = forget(home, landing, Person("customer", "0001")).record

    assert known(landing, "contacts", "contact_id", "customer_id", "_load_id", "_loaded_at", "_as_of") == stamps
    assert [load.manifest for load in landing.loads(DATASETS["contacts"])] == sequences, "what was landed is still what it was"
    assert known(landing, "customers", "customer_id", "name", "email", "credit_limit") == [
        ("0001", "", "forgotten", Decimal("5000.0000")),
        ("0002", "Bishop Brothers", "office@bishop.example", Decimal("7000.0000")),
        ("0003", "Third & Last", None, None),
    ]
    packs = [json.loads(path.read_text()) for path in home.landing.glob("*/pack-*/pack.json")]
    new = {digest for _, digest in record.files.values()}
    assert {pack["sha256"] for pack in packs if record.id in pack["forgotten"]} == new, (
        "the record explains every new fingerprint"
    )
    morning = home.worklists / MONDAY.isoformat()
    told = json.loads((morning / "manifest.json").read_text())
    from hashlib import sha256

    assert {file["name"]: file["sha256"] for file in told["files"]} == {
        file["name"]: sha256((morning / file["name"]).read_bytes()).hexdigest() for file in told["files"]
    }
    assert (morning / "drafts" / "SHA256SUMS").read_text() == "b  kim/0002.eml\n"
    with warehouse.marts_of(home.published / "marts.duckdb") as con:
        assert con.execute("select customer_id, contact, owed from dunning_worklist order by 1").fetchall() == [
            ("0001", "", Decimal("10.00")),
            ("0002", EVE["name"], Decimal("20.00")),
        ]


def test_what_the_source_says_of_them_later_is_blanked_before_it_lands(home: Settings) -> None:
    landing = Landing(home.landing, home.quarantine)
    forget(home, landing, Person("customer", "0001"))

    again = land(landing, "contacts", MONDAY + timedelta(days=5), {**ADA, "name": "Ada Again"}, {**EVE, "name": "Eve Again"})
    refused = land(landing, "contacts", MONDAY + timedelta(days=5), {**ADA, "role": "", "name": "Ada Again", "phone": "12345"})
    mended = land(landing, "customers", MONDAY + timedelta(days=5), {**ALDGATE, "name": "Aldgate Again", "do_not_dun": "TRUE "})

    assert (again.landed, refused.quarantined, mended.landed) == (2, 1, 1)
    told = everything(home)
    assert "Ada Again" not in told
    assert "Aldgate Again" not in told, "nor where a value of the record had to be mended first"
    assert "Eve Again" in told


def test_nobody_is_forgotten_under_a_run_that_reads(home: Settings) -> None:
    landing = Landing(home.landing, home.quarantine)
    with at_work_on(home.warehouse, MONDAY, "r1"), pytest.raises(ForgettingError, match="a run is at work"):
        forget(home, landing, Person("contact", "C-1"))
    with pytest.raises(ForgettingError, match="nothing personal is known of the contact nobody; nothing was changed"):
        forget(home, landing, Person("contact", "nobody"))
    assert forgotten(home.landing) == []


def test_what_is_personal_is_a_column_that_no_key_is() -> None:
    for name, columns in PERSONAL.items():
        dataset = LANDED[name]
        assert set(columns) <= set(dataset.column_names) - set(dataset.key)
        assert "customer_id" in dataset.by_name


def test_what_bureaus_said_of_them_is_dropped_and_what_connectors_remember_is_looked_through(home: Settings) -> None:
    """An answer names people we know nothing of, so all of it goes; what was billed stays, for budgets."""
    memory = Spool(home.home / "memory" / "dnb.sqlite")
    for customer in ("0001", "0002"):
        key = f"{customer}|2025-06-02"
        memory.put("raw", [(key, {"customer_id": customer, "answer": {"director": f"Dora of {customer}"}})])
        memory.put("report", [(key, {"customer_id": customer, "rows": []})])
        memory.put("match", [(f"{customer}|804735132", {"customer_id": customer, "name": ALDGATE["name"]})])
        memory.put("event", [(key, {"customer_id": customer, "kind": "report", "billed": 1})])
    memory.close()
    matches = home.home / "matches" / "dnb.csv"
    matches.parent.mkdir()
    matches.write_text(f"customer_id,name\n0001,{ALDGATE['name']}\n0002,{BISHOP['name']}\n", "utf-8")

    forget(home, Landing(home.landing, home.quarantine), Person("customer", "0001"))

    left = (home.home / "memory" / "dnb.sqlite").read_bytes()
    assert b"Dora of 0001" not in left and ALDGATE["name"].encode() not in left
    assert b"Dora of 0002" in left
    assert matches.read_text("utf-8") == f"customer_id,name\n0001,\n0002,{BISHOP['name']}\n"
    memory = Spool(home.home / "memory" / "dnb.sqlite")
    assert memory.keys("event") == {"0001|2025-06-02", "0002|2025-06-02"}
    assert memory.keys("match") == {"0002|804735132"}
    memory.close()


@pytest.mark.parametrize("by", ["forgetting", "tidying"])
@pytest.mark.parametrize("packed", [False, True])
def test_manifests_that_showed_what_was_refused_show_it_no_more(
    by: str, packed: bool, home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As manifests were at first: with a value of each kind of refused record, whoever's, under their seals."""
    landing, customers = Landing(home.landing, home.quarantine), DATASETS["customers"]

    def as_it_was(what: Any, **changed: Any) -> Any:
        return dataclasses.replace(what, **{name: value for name, value in changed.items() if name != "examples"})

    with monkeypatch.context() as before:
        before.setattr(store, "replace", as_it_was)
        land(
            landing,
            "customers",
            MONDAY + timedelta(days=5),
            {"customer_id": "0003", "name": "Third"},
            {**BISHOP, "status": "Rosa Refused"},
        )
        land(landing, "exchange_rates", MONDAY + timedelta(days=5), {"rate_date": "Rosa Refused"})
    land(landing, "customers", MONDAY + timedelta(days=6), {"customer_id": "0004", "name": "Fourth"})
    if packed:
        with monkeypatch.context() as before:
            before.setattr("dagster_project.landing.compact._without_values", lambda told: told)
            landing.compact(customers)
    assert "Rosa Refused" in manifests(landing)

    if by == "forgetting":
        landing.forget(Person("customer", "0001"), "test")
    else:
        for dataset in LANDED.values():
            landing.compact(dataset, after=1_000)
            clear_away_at_once(Chain(landing.folder, dataset))

    assert "Rosa Refused" not in manifests(landing)
    assert landing.damages(whole=True) == []
    land(landing, "customers", MONDAY + timedelta(days=7), {"customer_id": "0005", "name": "Fifth"})
    assert landing.damages(whole=True) == [], "the chain goes on behind it"
    assert "0004" in {customer for (customer,) in known(landing, "customers", "customer_id")}


def test_a_damaged_record_of_who_was_forgotten_is_named_and_nobody_lands_again(landing: Landing) -> None:
    land(landing, "contacts", MONDAY, ADA)
    landing.forget(Person("contact", "C-1"), "test")
    path = record_file(landing.folder)
    path.write_bytes(path.read_bytes()[:-9])

    with pytest.raises(LandingError, match=r"forgotten\.jsonl line 1 is damaged, which says who was forgotten: restore it"):
        land(landing, "contacts", MONDAY + timedelta(days=1), ADA)


def manifests(landing: Landing) -> str:
    return "".join(path.read_text("utf-8") for name in ("manifest", "pack") for path in landing.folder.rglob(f"{name}.json"))
