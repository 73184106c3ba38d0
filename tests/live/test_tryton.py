"""A real Tryton beside ours: what it says is open, document by document, and its own aged balance at every month-end, to the cent.

`ARREARS_TRYTON_LAB` names the folder of a running, seeded server: `seeded.json` has the database, the company and the key, `trytond.conf`
the port. Without it these tests are skipped.
"""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dagster_project.contract import DATASETS
from dagster_project.landing import Landing
from dagster_project.reconcile import reconcile
from dagster_project.sources import SourceError
from dagster_project.sources.catalogue import Sources
from dagster_project.sources.tryton import TrytonSource
from tests.compiled import Built, build, compiled, needed_for

LAB = os.environ.get("ARREARS_TRYTON_LAB")

MARTS = ("open_items", "document_reconciliation", "reconciliation_totals", "control_reconciliation")

pytestmark = pytest.mark.skipif(
    not LAB, reason="no Tryton runs for the tests: ARREARS_TRYTON_LAB names no folder of a seeded server"
)


@pytest.fixture(scope="module")
def lab() -> dict[str, Any]:
    folder = Path(str(LAB))
    seeded: dict[str, Any] = json.loads((folder / "seeded.json").read_text("utf-8"))
    port = re.search(r"listen\s*=\s*\S*?:(\d+)", (folder / "trytond.conf").read_text("utf-8"))
    assert port
    return {**seeded, "url": f"http://127.0.0.1:{port[1]}/{seeded['db']}", "today": date.fromisoformat(seeded["as_of"])}


@pytest.fixture(scope="module")
def source(lab: dict[str, Any]) -> Iterator[TrytonSource]:
    opened = TrytonSource(lab["url"], lab["key"])
    yield opened
    opened.http.close()


@pytest.fixture(scope="module")
def ours(lab: dict[str, Any], source: TrytonSource, tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("tryton")
    landing = Landing(folder / "landing", folder / "quarantine")
    for dataset in DATASETS.values():
        manifest = landing.land(dataset, source.fetch(dataset, None), lab["today"])
        assert manifest.quarantined == 0, manifest.reasons
    nodes = compiled("net_terms", "")
    return build(needed_for(nodes, *MARTS, "aging_history", "int_items_snapshot"), landing, lab["today"], folder / "marts")


def test_the_page_that_is_signed_has_nothing_to_explain_but_rates(
    lab: dict[str, Any], ours: Built, make_settings: Callable[..., Any]
) -> None:
    settings = make_settings(source="tryton", tryton_url=lab["url"], tryton_key=lab["key"])
    folder = settings.published / "parquet"
    folder.mkdir(parents=True)
    for mart in MARTS:
        pq.write_table(ours.table(mart), folder / f"{mart}.parquet")
    run = {"as_of": [lab["today"]], "source": ["tryton"], "policy": ["net_terms"], "run_id": ["r1"]}
    pq.write_table(pa.table(run), folder / "run.parquet")

    text, _ = reconcile(settings)

    assert "Every document that the source speaks of is as open as it says." in text
    assert "## The source's own aged report, of the same day and asked for now" in text
    assert not [word for word in ("not explained", "documents that differ", "which the report leaves out") if word in text], text


def test_every_document_is_as_open_as_tryton_says(source: TrytonSource, ours: Built) -> None:
    open_now = dict(
        ours.con.execute(
            "select invoice_id, abs(sum(open_amount)) from published.marts.open_items where invoice_id is not null group by 1"
        ).fetchall()
    )

    theirs = {
        str(number): abs(document.left)
        for number, document in source.documents.items()
        if document.state == "posted" and document.left
    }

    assert len(theirs) > 50
    assert {number: Decimal(amount) for number, amount in open_now.items()} == theirs


def month_ends(source: TrytonSource, today: date) -> list[date]:
    first = min(line.on for line in source.lines)
    days = {today}
    day = today.replace(day=1) - timedelta(days=1)
    while day >= first:
        days.add(day)
        day = day.replace(day=1) - timedelta(days=1)
    return sorted(days)


def aged(source: TrytonSource, day: date) -> dict[str, Decimal]:
    """Tryton's own aged balance of a day, by party."""
    return {said.customer_id: said.balance for said in source.aged(day) if said.balance}


def test_the_balance_of_every_customer_is_trytons_at_every_month_end(
    lab: dict[str, Any], source: TrytonSource, ours: Built
) -> None:
    kept = ours.con.execute(
        "select snapshot_date, customer_id, sum(open_amount_base) from arrears.intermediate.int_items_snapshot group by all"
    ).fetchall()
    balances: dict[date, dict[str, Decimal]] = defaultdict(dict)
    for day, customer, balance in kept:
        if balance:
            balances[day][customer] = Decimal(balance)

    days = [day for day in month_ends(source, lab["today"]) if day in balances]

    foreign: dict[str, list[date]] = defaultdict(list)
    for line in source.lines:
        if line.currency != source.company["currency"]["code"]:
            foreign[str(line.party)].append(line.on)
    assert len(days) > 12
    for day in days:
        theirs = aged(source, day)
        for customer in theirs.keys() | balances[day].keys():
            # Tryton rounds each foreign document and payment to the company's currency by itself, we what is open of it.
            rounded = sum(on <= day for on in foreign[customer])
            difference = balances[day].get(customer, Decimal(0)) - theirs.get(customer, Decimal(0))
            assert abs(difference) <= Decimal("0.01") * rounded, (day, customer, difference)


def test_what_the_settings_get_wrong_is_said_in_words(lab: dict[str, Any]) -> None:
    def asked(url: str, key: str, company: int | None = None) -> str:
        source = TrytonSource(url, key, company, wait=0)
        with pytest.raises(SourceError) as refused:
            source.company  # noqa: B018 - what everything else is asked for within
        return str(refused.value)

    assert "check ARREARS_TRYTON_KEY" in asked(lab["url"], "wrong")
    assert "9 is not a company that the key's user sees: 1 " in asked(lab["url"], lab["key"], 9)
    assert "/nowhere/rest/model/company.company: " in asked(lab["url"].rpartition("/")[0] + "/nowhere", lab["key"])


def test_it_is_a_source_like_any_other(lab: dict[str, Any], make_settings: Callable[..., Any]) -> None:
    settings = make_settings(source="tryton", tryton_url=lab["url"], tryton_key=lab["key"])
    sources = Sources(settings, lab["today"])

    opened = sources.of(DATASETS["companies"])

    assert opened is not None
    delivery = opened.fetch(DATASETS["companies"], None)
    assert delivery is not None
    assert [page.num_rows for page in delivery.pages] == [1]
    assert lab["key"] not in delivery.origin
    assert settings.bureau_name == "none"
    sources.close()
