"""Answers of bureaus that are not what they should be: read as far as they go or refused in words, never anything else."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from dagster_project.contract import DATASETS
from dagster_project.landing import Landing
from dagster_project.sources import Delivery, Opening, SourceError, creditsafe, dnb, experian
from dagster_project.sources.inquiries import Bureau, BureauSource, Customer, Reading, at, day_of, figure
from dagster_project.sources.records import pages
from tests.sources import creditsafe_stand_in, dnb_stand_in, experian_stand_in
from tests.sources.bureaus import MORNING

HOSTILE = (None, "", "x", 5, "99999999999999999999", -1, [], {}, [[]], [5], {"value": {}}, True, "2025-99-99", "²")
OWN: dict[str, tuple[Any, dict[str, str]]] = {
    "creditsafe": (creditsafe, {"user": "u", "password": "p"}),
    "dnb": (dnb, {"key": "k", "secret": "s", "registration": "r"}),
    "experian": (experian, {"client_id": "c", "client_secret": "s", "user": "u", "password": "p", "subcode": "1"}),
}
ANSWERS: dict[str, list[Any]] = {
    "creditsafe": [creditsafe_stand_in.REPORTS["GB-0-01234567"], creditsafe_stand_in.REPORTS["DE-0-998877"]],
    "dnb": [dnb_stand_in.BLOCKS["804735132"], dnb_stand_in.BLOCKS["333333333"]],
    "experian": [{"commercialScore": experian_stand_in.score("62", "000224", 2, "52300"), "fsrScore": None}],
}
COMPANY = {"creditsafe": "GB-0-01234567", "dnb": "804735132", "experian": "700000001"}
FOUND: dict[str, Any] = {
    "creditsafe": {"companies": creditsafe_stand_in.COMPANIES[:1]},
    "dnb": {"matchCandidates": dnb_stand_in.MATCHES["Sure Supply Inc"]},
    "experian": {"success": True, "results": experian_stand_in.BUSINESSES, "errors": [{"errorCode": 1, "message": "x"}]},
}
SAID: dict[str, Any] = {
    "creditsafe": {"data": [creditsafe_stand_in.event(1, "GB-0-01234567", "2025-06-30", "Score", "1", "2")]},
    "dnb": {"notifications": [dnb_stand_in.change("804735132", "score", 1, 2)]},
}


def damaged(answer: Any) -> Iterator[Any]:
    """The answer with each of its values in turn replaced by each hostile one."""
    for path in paths(answer):
        for value in HOSTILE:
            broken = copy.deepcopy(answer)
            place = at(broken, ".".join(path[:-1])) if len(path) > 1 else broken
            place[int(path[-1]) if isinstance(place, list) else path[-1]] = value
            yield broken
    yield from HOSTILE


def paths(answer: Any, here: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    inside = answer.items() if isinstance(answer, dict) else enumerate(answer) if isinstance(answer, list) else ()
    for name, value in inside:
        yield (*here, str(name))
        yield from paths(value, (*here, str(name)))


@pytest.fixture(params=sorted(OWN))
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BureauSource]:
    module, own = OWN[request.param]
    with ExitStack() as stack:
        opened = module.CONNECTOR.opened(module.CONNECTOR.settings(**own), Opening(MORNING, tmp_path, stack), wait=0.0)
        assert isinstance(opened, BureauSource)
        yield opened


@pytest.fixture
def bureau(source: BureauSource) -> Bureau:
    return source.bureau


def test_a_report_of_any_shape_is_read_or_refused_and_what_is_read_lands(bureau: Bureau, landing: Landing) -> None:
    rows: list[Any] = []
    for answer in (broken for good in ANSWERS[bureau.name] for broken in damaged(good)):
        try:
            reading = bureau.read(answer, COMPANY[bureau.name], MORNING)
        except SourceError:
            continue
        assert isinstance(reading, Reading)
        rows += [{**row, "bureau": bureau.name, "customer_id": f"C{len(rows) + place}"} for place, row in enumerate(reading.rows)]

    assert len(rows) > 50
    scores = DATASETS["credit_scores"]
    manifest = landing.land(scores, Delivery(pages(scores, rows), False, "test"), MORNING)
    assert manifest.quarantined == 0, manifest.examples


def test_companies_and_alerts_of_any_shape_are_read_or_refused(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    customer = Customer("C1", "Acme Trading", "US" if bureau.name == "experian" else "GB", "CA", "1234567")
    answers: list[Any] = []
    monkeypatch.setattr(bureau.http, "json", lambda *_, **__: answers.pop() if answers else {})  # type: ignore[attr-defined]
    candidates = alerts = 0
    for answer in damaged(FOUND[bureau.name]):
        answers[:] = [answer]
        try:
            found = bureau.candidates(customer)
        except SourceError:
            continue
        assert all(1 <= each.confidence <= 10 and each.id for each in found)
        candidates += len(found)
    for answer in damaged(SAID[bureau.name]) if bureau.name in SAID else ():
        answers[:] = [answer]
        try:
            pages_of = [list(page) for page in bureau.alerts(date(2025, 6, 1))]
        except SourceError:
            continue
        alerts += sum(map(len, pages_of))
    assert candidates > 0 and (alerts > 0) == (bureau.name in SAID)


@pytest.mark.parametrize(
    ("value", "digits"),
    [
        ("12.5", "12.5"),
        (7, "7"),
        ("15,000", "15000"),
        ("Contact us", None),
        ("--", None),
        (True, None),
        (None, None),
        ("1.23456789", "1.2346"),
    ],
)
def test_a_figure_is_its_digits(value: Any, digits: str | None) -> None:
    assert figure(value) == digits


def test_a_day_is_one_of_the_calendar() -> None:
    assert [day_of(text) for text in ("2025-06-30T01:02:03Z", "2025-02-30", "30.06.2025", None, 20250630)] == [
        "2025-06-30",
        *[None] * 4,
    ]
