"""A connector is one module: its settings, its words, its datasets, and one line of the catalogue. Proved by adding one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import SecretStr

from dagster_project import settings as environment
from dagster_project import summary
from dagster_project.contract import DATASETS, Dataset
from dagster_project.landing import Landing
from dagster_project.settings import Settings, SettingsError
from dagster_project.sources import Connector, ConnectorSettings, Delivery, Opening, page_schema
from dagster_project.sources.answers import LIMITS
from dagster_project.sources.auth import Bearer
from dagster_project.sources.catalogue import CONNECTORS, Sources
from dagster_project.sources.http import Http
from dagster_project.sources.paging import Cursor, Numbered, Question, walked
from dagster_project.sources.progress import counted

MORNING = date(2025, 6, 30)

# --- a connector, as it would stand in a module of its own ------------------------------------------------------------


class ToySettings(ConnectorSettings, env_prefix="ARREARS_TOY_"):
    """The shop's address and key."""

    url: str
    key: SecretStr


class ToySource:
    """A shop that calls customers buyers and gives them by page number."""

    def __init__(self, own: ToySettings, opening: Opening):
        self.url = own.url
        self.http = Http(
            own.url,
            Bearer(own.key.get_secret_value(), "ARREARS_TOY_KEY"),
            setting="ARREARS_TOY_URL",
            credentials="ARREARS_TOY_KEY",
        )
        opening.stack.callback(self.http.close)

    def fetch(self, dataset: Dataset, since: datetime | None) -> Delivery | None:
        if dataset.name != "customers":
            return None
        question, paging = Question(f"{self.url}/buyers", {"page": "1"}), Numbered("page", 2, lambda page: len(page["buyers"]))
        answers = walked(question, lambda asked: self.http.json(asked.address, asked.parameters), paging, "buyers", LIMITS)
        return Delivery(pages=(self._table(page["buyers"], dataset) for page in answers), full=True, origin=question.address)

    def _table(self, buyers: list[dict[str, Any]], dataset: Dataset) -> pa.Table:
        rows = [{"customer_id": str(buyer["no"]), "name": buyer["who"], "credit_limit": str(buyer["limit"])} for buyer in buyers]
        return pa.Table.from_pylist(rows, page_schema(dataset))


TOY = Connector(
    name="toy",
    settings=ToySettings,
    opened=ToySource,
    words=lambda own: own.url,
    needs="ARREARS_TOY_URL and ARREARS_TOY_KEY",
    gives=frozenset({"ledger"}),
)

# --- what becomes of it -----------------------------------------------------------------------------------------------


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONNECTORS, "toy", TOY)


@pytest.mark.usefixtures("toy")
def test_a_new_source_is_one_module_and_one_line(
    server: Any, answer: Any, make_settings: Callable[..., Settings], landing: Landing
) -> None:
    server.on(
        "/buyers?page=1", answer({"buyers": [{"no": 7, "who": "Seven", "limit": 0.1}, {"no": 8, "who": "Eight", "limit": 2}]})
    )
    server.on("/buyers?page=2", answer({"buyers": [{"no": 9, "who": "Nine", "limit": 12345678.25}]}))
    settings = make_settings(source="toy", toy_url=server.url, toy_key="k3y")
    sources = Sources(settings, MORNING)

    source = sources.of(DATASETS["customers"])
    assert source is not None
    manifest = landing.land(DATASETS["customers"], source.fetch(DATASETS["customers"], None), MORNING)
    sources.close()

    assert (manifest.received, manifest.landed) == (3, 3)
    assert [asked.query["page"] for asked in server.heard] == ["1", "2"]
    assert settings.bureau_name == "none", "it has no scores to give"
    assert environment.not_understood() == []
    assert summary._source(settings) == f"toy ({server.url}), policy net_terms"


@pytest.mark.usefixtures("toy")
def test_what_it_needs_is_said_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARREARS_SOURCE", "toy")

    with pytest.raises(SettingsError, match=r"the source `toy` needs ARREARS_TOY_URL and ARREARS_TOY_KEY \(see .env.example\)"):
        environment.load()

    monkeypatch.setenv("ARREARS_TOY_YRL", "x")
    assert environment.not_understood() == ["ARREARS_TOY_YRL is not a setting and was ignored; ARREARS_TOY_URL is one"]


@pytest.mark.usefixtures("toy")
def test_it_can_be_asked_only_for_what_it_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARREARS_BUREAU", "toy")

    with pytest.raises(SettingsError, match=r"'toy' is none of 'bureau_file', .*'demo', .*'files', 'rest', .*or 'none'"):
        environment.load()


def test_every_connector_opens_with_what_it_says_it_needs(
    tmp_path: Path, make_settings: Callable[..., Settings], server: Any
) -> None:
    given = {"files": {"files_dir": tmp_path}, "rest": {"rest_url": server.url}, "demo": {}}

    for name, connector in CONNECTORS.items():
        if "ledger" in connector.gives and name in given:
            sources = Sources(make_settings(source=name, **given[name]), MORNING)
            assert sources.of(DATASETS["customers"]) is not None
            sources.close()


@pytest.mark.usefixtures("toy")
def test_what_leaves_no_trace_when_it_is_deleted_is_asked_for_whole_once_a_week(
    make_settings: Callable[..., Settings], landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CONNECTORS, "toy", replace(TOY, sweep=timedelta(days=7)))
    sources = Sources(make_settings(source="toy", toy_url="http://127.0.0.1:1", toy_key="k3y"), MORNING)
    invoices, contacts = DATASETS["invoices"], DATASETS["contacts"]

    def lands(day: date, full: bool, **more: Any) -> None:
        landing.land(contacts, Delivery(iter([page_schema(contacts).empty_table()]), full, "toy", **more), day)

    assert landing.whole_on(contacts, MORNING) is None
    lands(MORNING - timedelta(days=7), True, left_out={"drafts": 2, "journals": 0})
    lands(MORNING - timedelta(days=1), False)

    assert landing.whole_on(contacts, MORNING) == MORNING - timedelta(days=7)
    assert landing.loads(contacts, MORNING)[0].manifest.left_out == {"drafts": 2}
    due = [sources.sweep_due(invoices, day and MORNING - timedelta(days=day), MORNING) for day in (None, 1, 6, 7, 8)]
    assert due == [True, False, False, True, True]
    assert not sources.sweep_due(contacts, None, MORNING), "what has no cursor is whole every night"
    monkeypatch.setitem(CONNECTORS, "toy", TOY)
    assert not sources.sweep_due(invoices, None, MORNING)


def test_a_pull_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    page = pa.table({"x": list(range(1_000))})

    def pages() -> Iterator[pa.Table]:
        for _ in range(3):
            clock[0] += 20
            yield page

    with caplog.at_level(logging.INFO, "arrears.ingestion"):
        told = counted(Delivery(pages(), True, "toy", expected=4_000), "invoices")
        assert sum(len(each) for each in told.pages) == 3_000

    assert caplog.messages == ["invoices: 2,000 of 4,000 records pulled, 50 a second, some 40 s to go"]


# --- paging -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("paging", "asked"),
    [
        (Numbered("page", 2, len), [{}, {"page": "2"}, {"page": "3"}]),
        (Cursor("after", lambda page: page[-1] if len(page) == 2 else None), [{}, {"after": "b"}, {"after": "d"}]),
    ],
)
def test_each_way_of_paging_asks_for_everything_once(paging: Any, asked: list[dict[str, str]]) -> None:
    heard, left = [], [["a", "b"], ["c", "d"], ["e"]]

    def ask(question: Question) -> list[str]:
        heard.append(dict(question.parameters))
        return left[len(heard) - 1]

    assert list(walked(Question("http://x"), ask, paging, "letters", LIMITS)) == left
    assert heard == asked
