"""What must not go out, and what people are told instead: the reason and what to do, never a stack trace."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from datetime import date
from functools import partial, partialmethod
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from nights import AS_OF, NEXT_DAY, House, Rows, Said, ledger, read_csv

from dagster_project import asked, gates
from dagster_project.contract import DATASETS
from dagster_project.landing import Landing, LandingError
from dagster_project.paths import SEEDS
from dagster_project.quality import facts_of
from dagster_project.sources import Delivery, SourceError, page_schema, rest
from dagster_project.sources.answers import LIMITS
from dagster_project.sources.files import FilesSource
from dagster_project.warehouse import at_work_on
from tests import compiled

NOTE = "no-worklist.txt"
STALE = date(2025, 7, 15)
"""A morning of which the ledger's newest payment, of 26 June, is older than policy allows."""


@pytest.fixture
def phone(server: Any, answer: Any) -> Any:
    """Where alerts are sent to."""
    server.on("/alert", answer(b"ok"))
    return server


def told(phone: Any) -> str:
    """What the one alert said."""
    (alert,) = phone.heard
    return str(json.loads(alert.body)["text"])


# --- a blocking check fails ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Refused:
    """A night that was refused: what the command line and the alert said, and what could be opened before and after."""

    house: House
    said: Said
    alert: str
    before: dict[str, str]
    after: dict[str, str]

    @property
    def note(self) -> str:
        return (self.house.worklist(NEXT_DAY) / NOTE).read_text("utf-8")


@pytest.fixture(scope="module")
def a_cent_off(first_morning: House, tmp_path_factory: pytest.TempPathFactory, module_server: Any, answer: Any) -> Refused:
    """The ledger is a cent off on the morning that brings a payment of 25 June."""
    house = first_morning.copy(tmp_path_factory.mktemp("a-cent-off") / "home")
    folder = ledger(
        tmp_path_factory.mktemp("a-cent-off") / "files",
        payments="P-014,0008,2025-06-25,EUR,40.00,0100,transfer,found on the wrong account,,2025-07-01T02:00:00Z\n",
        allocations="A-018,I-0024,payment,2025-06-25,40.00,P-014,,,2025-07-01T02:00:00Z\n",
    )
    balances = folder / "control_balances.csv"
    balances.write_text(balances.read_text("utf-8").replace("0100,2025-07-01,14873.66", "0100,2025-07-01,14833.67"), "utf-8")
    before = house.outside()
    module_server.on("/alert", answer(b"ok"))
    module_server.heard.clear()
    alerted = house.with_(files_dir=folder, alert_webhook=f"{module_server.url}/alert")
    said = alerted.command("run", "--date", NEXT_DAY.isoformat())
    return Refused(house, said, told(module_server), before, house.outside())


def test_a_cent_between_subledger_and_control_account_stops_the_list(a_cent_off: Refused) -> None:
    said, note = a_cent_off.said, a_cent_off.note
    assert said.code == 1
    assert "Traceback" not in said.err + said.out
    assert "test control_account_ties: The open items of an entity add up to its control account" in said.err
    assert f"make run DATE={NEXT_DAY}" in said.err
    after = dict(a_cent_off.after)
    assert after.pop(f"worklists/{NEXT_DAY}/{NOTE}")
    assert after == a_cent_off.before, "the morning before stays as it was"
    assert "control" in note and f"The worklist of {AS_OF} stays as it was." in note
    assert "control" in a_cent_off.alert


def test_a_difference_is_told_with_its_amount_and_the_documents_that_may_be_why(a_cent_off: Refused) -> None:
    for text in (a_cent_off.said.err, a_cent_off.note):
        assert "entity 0100, currency EUR, subledger 14,833.66, control account 14,833.67, difference -0.01" in text
        assert "payment P-014 of 2025-06-25: -40.00 EUR, known since" in text
        assert "0200" not in text.split("control_account_ties")[1].split("look at")[0], "the other entity ties"


def test_stale_payments_stop_the_list(next_morning: House, tmp_path: Path, phone: Any) -> None:
    folder = ledger(tmp_path / "files", exchange_rates="2025-07-14,USD,EUR,0.90\n")
    before = next_morning.outside()
    said = next_morning.with_(files_dir=folder, alert_webhook=f"{phone.url}/alert").command("run", "--date", STALE.isoformat())
    assert said.code == 1
    assert "erp/payments" in said.err and "19" in said.err
    assert "Traceback" not in said.err + said.out
    after = next_morning.outside()
    assert after.pop(f"worklists/{STALE}/{NOTE}")
    assert after == before
    assert "payments" in told(phone)


def test_a_policy_row_that_is_gone_stops_the_night_by_name_before_anything_is_fetched(
    next_morning: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = Path(shutil.copytree(SEEDS, tmp_path / "seeds"))
    rows = [row for row in (seeds / "dunning_policy.csv").read_text("utf-8").splitlines() if ",workbook_dispute_days," not in row]
    (seeds / "dunning_policy.csv").write_text("\n".join(rows) + "\n", "utf-8")
    monkeypatch.setattr(asked, "refuse_gaps", partial(asked.refuse_gaps, seeds=seeds))
    landed = sorted((next_morning.home / "landing").rglob("*"))
    said = next_morning.with_(files_dir=ledger(tmp_path / "files")).command("run", "--date", NEXT_DAY.isoformat())
    assert said.code == 1
    assert (
        f"dunning_policy.csv: parameter workbook_dispute_days has no row in force on {NEXT_DAY} for the pack net_terms"
        in said.err
    )
    assert "Traceback" not in said.err + said.out
    assert sorted((next_morning.home / "landing").rglob("*")) == landed


def test_a_collapse_of_volume_stops_the_list_and_a_good_list_of_the_morning_stays(
    next_morning: House, tmp_path: Path, phone: Any
) -> None:
    folder = ledger(tmp_path / "files")
    invoices = folder / "invoices.csv"
    invoices.write_text("".join(invoices.read_text("utf-8").splitlines(keepends=True)[:21]), "utf-8")
    before = next_morning.outside()
    said = next_morning.with_(files_dir=folder, alert_webhook=f"{phone.url}/alert").command(
        "run", "--date", AS_OF.isoformat(), "--refresh"
    )
    assert said.code == 1
    assert "erp/invoices" in said.err
    assert next_morning.outside() == before
    assert "invoices" in told(phone)


def test_a_collapse_is_still_one_when_it_is_tried_again(tmp_path: Path) -> None:
    landing, payments = Landing(tmp_path / "landing", tmp_path / "quarantine"), DATASETS["payments"]
    schema = page_schema(payments)

    def share_of(count: int, as_of: date) -> float | None:
        rows = [
            {"payment_id": str(n), "customer_id": "1", "payment_date": "2025-06-26", "currency": "EUR", "amount": "1"}
            for n in range(count)
        ]
        landing.land(payments, Delivery(iter([pa.Table.from_pylist(rows, schema=schema)]), full=True, origin="test"), as_of)
        return facts_of(landing, payments, landing.loads(payments)[-1], as_of).volume_share

    assert share_of(100, AS_OF) is None
    assert [share_of(40, NEXT_DAY) for _ in range(3)] == [0.4, 0.4, 0.4]
    assert [share_of(0, NEXT_DAY) for _ in range(3)] == [0, 0, 0]
    assert share_of(0, date(2025, 7, 2)) == 0, "nothing is never the usual"


# --- two runs at once ----------------------------------------------------------------------------------------------------


def test_a_second_run_of_the_same_morning_stops_before_it_lands_anything(next_morning: House) -> None:
    before = next_morning.outside()
    loads = next_morning.loads("invoices")
    with at_work_on(next_morning.settings.warehouse, AS_OF, "the-first"):
        said = next_morning.command("run", "--date", AS_OF.isoformat(), "--refresh")
    assert said.code == 1
    assert "run the-first (process" in said.err and "is already at work on the morning of 2025-06-30" in said.err
    assert "Traceback" not in said.err + said.out
    assert next_morning.outside() == before
    assert next_morning.loads("invoices") == loads


# --- the source cannot be read -------------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_read_is_named_with_the_reason(next_morning: House, tmp_path: Path) -> None:
    folder = ledger(tmp_path / "files")
    (folder / "payments.csv").write_bytes(b"payment_id,customer_id,payment_date,currency,amount\nP-1,0001,2025-06-26,EUR\n")
    before = next_morning.outside()
    said = next_morning.with_(files_dir=folder).command("run", "--date", NEXT_DAY.isoformat())
    assert said.code == 1
    assert "payments.csv" in said.err and "line 2" in said.err, said.err
    assert "Traceback" not in said.err + said.out
    assert [load["as_of"] for load in next_morning.loads("payments")] == [AS_OF.isoformat()], "nothing of it landed"
    after = next_morning.outside()
    assert after.pop(f"worklists/{NEXT_DAY}/{NOTE}")
    assert after == before


def test_too_many_bad_records_are_no_load(next_morning: House, tmp_path: Path) -> None:
    folder = ledger(tmp_path / "files", payments="P-1,0001,yesterday,EUR,10.00,0100,,,,\n")  # one of 14 is more than a hundredth
    said = next_morning.with_(files_dir=folder).command("run", "--date", NEXT_DAY.isoformat())
    assert said.code == 1
    assert "payments" in said.err and "payment_date" in said.err
    assert "Traceback" not in said.err + said.out


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers are asked twice and no more."""
    twice = partialmethod(rest.RestSource.__init__, limits=replace(LIMITS, attempts=2))
    monkeypatch.setattr(rest.RestSource, "__init__", twice)


def asking(server: Any, tmp_path: Path) -> House:
    return House(tmp_path / "home", {"source": "rest", "rest_url": server.url, "rest_token": "a-secret-token", "bureau": "none"})


def test_a_server_that_refuses_us_is_named_with_the_reason(impatient: None, server: Any, answer: Any, tmp_path: Path) -> None:
    server.on("/companies", answer(status=401, body={"error": "no"}))
    house = asking(server, tmp_path)
    said = house.command("run", "--date", AS_OF.isoformat())
    assert said.code == 1
    assert "401" in said.err and "ARREARS_REST_TOKEN" in said.err, said.err
    assert "Traceback" not in said.err + said.out
    assert "a-secret-token" not in said.err + said.out
    assert not house.published.exists()


# What stops the parts of a night stops the night, in the same words: of these no command line is asked.


def test_a_body_that_is_cut_is_no_load(impatient: None, server: Any, answer: Any, tmp_path: Path) -> None:
    server.on("/companies", answer(body=b'{"data": [{"company_id": "0100", "na', announced=1000))
    house = asking(server, tmp_path)
    with pytest.raises(SourceError, match=r"companies.*gave up"):
        house.parts(AS_OF)
    assert not house.published.exists()


def test_a_file_without_a_required_column_is_no_load(next_morning: House, tmp_path: Path) -> None:
    folder = ledger(tmp_path / "files")
    (folder / "invoices.csv").write_bytes(b"invoice_id,invoice_number,customer_id\nI-1,R1,0001\n")
    before = next_morning.outside()
    with pytest.raises(SourceError, match=r"invoices\.csv.*document_type.*missing|invoices\.csv.*missing.*document_type"):
        next_morning.with_(files_dir=folder).parts(NEXT_DAY)
    assert [load["as_of"] for load in next_morning.loads("invoices")] == [AS_OF.isoformat()], "nothing of it landed"
    assert next_morning.outside() == before


def test_a_required_dataset_that_is_not_there_is_named(tmp_path: Path) -> None:
    house = House(tmp_path / "home").with_(files_dir=ledger(tmp_path / "files", keep=("customers", "invoices", "allocations")))
    with pytest.raises(LandingError, match=r"payments.*required"):
        house.parts(AS_OF)
    assert not house.published.exists()


# --- a date that means nothing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "words"), [("2999-01-01", "has not come yet"), ("2025-02-30", "is not a date"), ("30.6.2025", "is not a date")]
)
def test_a_date_that_has_not_come_or_is_none_is_refused(day: str, words: str, tmp_path: Path) -> None:
    house = House(tmp_path / "home")
    said = house.command("run", "--date", day)
    assert said.code == 2
    assert words in said.err
    assert not house.home.exists()


# --- some records are bad and the rest goes on, with nothing but the four required datasets ------------------------------

BAD = {
    "I-9001": ("2025-13-01,EUR,10.00,invoice", "invoice_date is not a date"),
    "I-9002": ("2025-06-01,EUR,ten,invoice", "amount is not a decimal number"),
    "I-9003": ("2025-06-01,EUR,10.00,proforma", "document_type is none of"),
    "": ("2025-06-01,EUR,10.00,invoice", "invoice_id is missing"),
}
"""By key: date, currency, amount, type; and why it is refused."""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A house that has the four required datasets and nothing else, with a few bad records among many good ones."""
    folder = tmp_path_factory.mktemp("bare")
    files = ledger(folder / "files", keep=("customers", "invoices", "payments", "allocations"))
    bad = "".join(
        f"{key},R9,0001,{kind},{day},{currency},{amount},0100,2025-07-01,,,2025-06-29T18:00:00Z\n"
        for key, (values, _) in BAD.items()
        for day, currency, amount, kind in [values.split(",")]
    )
    good = "".join(
        f"V-{n},V{n},0001,invoice,2025-01-01,EUR,1.00,,2025-02-01,,2025-01-02,2025-06-29T18:00:00Z\n" for n in range(600)
    )
    twice = "I-0001,R0001,0001,invoice,2025-05-31,EUR,111.00,0100,2025-06-30,,,2025-06-29T18:00:00Z\n"
    invoices = files / "invoices.csv"
    invoices.write_text(_one_currency(invoices.read_text("utf-8")) + good + bad + twice, "utf-8")
    for name in ("payments", "allocations", "customers"):
        path = files / f"{name}.csv"
        path.write_text(_one_currency(path.read_text("utf-8")), "utf-8")
    house = House(folder / "home", {"source": "files", "files_dir": str(files)})
    house.parts(AS_OF)
    return house


def _one_currency(text: str) -> str:
    """Without a table of rates there is one currency."""
    return text.replace(",GBP,", ",EUR,").replace(",USD,", ",EUR,")


def test_bad_records_are_kept_with_the_reason_and_the_rest_goes_on(bare: House) -> None:
    (load,) = bare.loads("invoices")
    assert (load["received"], load["quarantined"]) == (47 + 600 + len(BAD) + 1, len(BAD) + 1)
    (file,) = (bare.home / "quarantine" / "invoices").glob("*.jsonl")
    refused = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    reasons = {line["record"].get("invoice_id", ""): line["reasons"] for line in refused}
    assert all(words in reasons[key][0] for key, (_, words) in BAD.items()), reasons
    assert "twice" in reasons["I-0001"][0]
    assert {line["load"] for line in refused} == {load["load_id"]}
    assert next(line["record"]["amount"] for line in refused if line["record"].get("invoice_id") == "I-9002") == "ten"


def test_the_four_required_datasets_are_enough(bare: House) -> None:
    assert bare.ask("select distinct company_id, base_currency from open_items") == [("MAIN", "EUR")]
    # without instalments, disputes or control balances: one item of 500, nothing disputed, nothing verified
    assert bare.ask("select item_id, open_amount, days_past_due from open_items where customer_id = '0006'") == [
        ("I-0019", 500, 61)
    ]
    assert bare.ask("select sum(disputed_amount) from open_items") == [(0,)]
    assert bare.ask("select state, tied from control_reconciliation") == [("unverified", None)]
    assert bare.ask("select count(*) > 0 from dunning_worklist") == [(True,)]
    assert len(read_csv(bare.worklist(AS_OF) / "worklist.csv")) > 5


# --- what is landed is not what was --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mended:
    """A house of which a load was damaged: what was said of it, and of the next night, which asked for everything again."""

    house: House
    rows: Path
    verified: Said
    stopped: Said
    alert: str
    note: str
    before: dict[str, str]
    after: dict[str, str]
    loads: int
    night: Said


@pytest.fixture(scope="module")
def mended(bare: House, tmp_path_factory: pytest.TempPathFactory, module_server: Any, answer: Any) -> Mended:
    """Of the four required datasets one is damaged. The night that mends it finds stale payments, which policy lets pass."""
    module_server.on("/alert", answer(b"ok"))
    module_server.heard.clear()
    folder = tmp_path_factory.mktemp("damaged")
    house = bare.copy(folder / "home").with_(alert_webhook=f"{module_server.url}/alert")
    before = house.outside()
    (load,) = house.loads("invoices")
    rows = house.home / "landing" / "invoices" / str(load["load_id"]) / "rows.parquet"
    pq.write_table(pq.read_table(rows).slice(1), rows)

    verified = house.command("verify")
    stopped = house.command("run", "--date", STALE.isoformat())
    note = (house.worklist(STALE) / NOTE).read_text("utf-8")
    seen = {"alert": told(module_server), "note": note, "after": house.outside(), "loads": len(house.loads("invoices"))}

    gate = (SEEDS / "worklist_gates.csv").read_text("utf-8").replace("stale_payments,hold_back", "stale_payments,warn")
    (folder / "worklist_gates.csv").write_text(gate, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gates, "SEEDS", folder)
        night = house.command("run", "--date", STALE.isoformat(), "--full", "--refresh")
    return Mended(house, rows, verified, stopped, before=before, night=night, **seen)  # type: ignore[arg-type]


def test_a_damaged_load_stops_the_night(mended: Mended) -> None:
    assert (mended.verified.code, mended.stopped.code) == (1, 1)
    for said in (mended.verified.out, mended.stopped.err, mended.alert, mended.note):
        assert f"invoices: {mended.rows.parent} has a rows.parquet" in said
        assert "make run FULL=1 REFRESH=1" in said
    after = {name: digest for name, digest in mended.after.items() if NOTE not in name}
    assert after == mended.before, "nothing was built on it"
    assert mended.loads == 1, "and nothing landed on it"


def test_everything_asked_again_mends_a_damaged_load(mended: Mended, bare: House, tmp_path: Path) -> None:
    assert mended.night.code == 0, mended.night.err
    assert mended.house.command("verify").code == 0
    assert mended.house.marts()["open_items"] == as_if_nothing_had_been_damaged(bare.copy(tmp_path / "home"))


def as_if_nothing_had_been_damaged(house: House) -> Rows:
    """The open items of the next morning, of a house whose source says what it said before."""
    landing, source = Landing(house.settings.landing, house.settings.quarantine), FilesSource(Path(house.variables["files_dir"]))
    for dataset in DATASETS.values():
        landing.land(dataset, source.fetch(dataset, None), STALE)
    nodes = compiled.needed_for(compiled.compiled(), "open_items")
    built = compiled.build(nodes, landing, STALE, source="files")
    return built.con.execute("select * from published.marts.open_items order by all").fetchall()


def test_policy_may_let_the_list_out_with_a_warning(mended: Mended) -> None:
    warnings = json.loads((mended.house.worklist(STALE) / "manifest.json").read_text("utf-8"))["warnings"]
    assert warnings[0].startswith("stale_payments: erp/payments: age_days") and "19" in warnings[0]
    assert warnings[0] in mended.night.out.split("held")[-1], "among the last lines"


def test_the_four_required_datasets_are_enough_for_a_whole_night(mended: Mended) -> None:
    assert len(read_csv(mended.house.worklist(STALE) / "worklist.csv")) > 5
