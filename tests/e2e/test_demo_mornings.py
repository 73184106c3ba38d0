"""The demo's company, two mornings long: day by day from the embedded server, and at once over the network."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import partial
from typing import Any

import pytest
from nights import House, Rows

from dagster_project import demo, warmup
from tests.grains import declared, doubled_in

DAYS = (date(2025, 6, 24), date(2025, 6, 25))
"""Within one month: with a new one, the oldest month leaves the demo's book, which a source asked for changes only never says."""

SMALL = 0.3
"""Large enough for its few unreadable records to be less than a hundredth."""

REMEMBERS = {
    "dunning_items": "which steps went out on the first morning",
    "dunning_worklist": "the same",
    "dunning_changes": "what was asked for on the morning before",
    "collector_day": "how many minutes the steps of this morning take",
    "bureau_reports_due": "what the bureau is called: the embedded one, or the server that is asked",
    "watch_list": "with which step somebody is written to this morning",
    "due_date_shifts": "due dates that moved between two mornings, which a first look cannot see",
    "roll_forward": "when each posting was first seen, which tells the back-dated ones",
}
"""What a house that was there every day knows and a new one cannot, by mart."""

BINDS = ("credit_exceptions", "credit_reviews_due", "kpi_alerts")
"""What goes by the day a policy was adopted: a row of policy for the demo, the first morning for a server it is asked from."""
BINDING_FIGURES = ("exception_rate", "overdue_reviews")


@pytest.fixture(scope="module", autouse=True)
def small_company() -> Iterator[None]:
    """The embedded demo, a third of the size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warmup, "Demo", partial(demo.Demo, scale=SMALL))
        yield


@pytest.fixture(scope="module")
def day_by_day(tmp_path_factory: pytest.TempPathFactory) -> House:
    house = House(tmp_path_factory.mktemp("day-by-day") / "home", {"source": "demo", "reporting_currency": "EUR"})
    first, second = DAYS
    with demo.Demo(first, scale=SMALL) as server:
        house.parts(first, server)
    night = house.run(second)
    assert night.success, night.reasons
    return house


@pytest.fixture(scope="module")
def over_the_network(tmp_path_factory: pytest.TempPathFactory) -> House:
    """The demo served on its own, as `make demo` does, and asked as any other ERP."""
    with demo.Demo(DAYS[-1], scale=SMALL) as server:
        endpoint = server.wait()
        house = House(
            tmp_path_factory.mktemp("network") / "home",
            {
                "source": "rest",
                "rest_url": endpoint.url,
                "rest_token": endpoint.token,
                "bureau": "rest",
                "reporting_currency": "EUR",
            },
        )
        house.parts(DAYS[-1])
    return house


def test_the_next_day_asks_for_what_changed_and_lands_only_that(day_by_day: House) -> None:
    first, second = day_by_day.loads("invoices")
    assert first["full"] and first["since"] is None and first["landed"] > 1_000
    assert not second["full"] and second["since"]
    assert 0 < second["landed"] <= second["received"] < first["received"] / 10
    assert second["tombstones"] == 0


def test_day_by_day_from_the_demo_comes_to_what_it_comes_to_at_once_over_the_network(
    day_by_day: House, over_the_network: House
) -> None:
    daily, single = day_by_day.marts(), over_the_network.marts()
    for marts in (daily, single):
        assert any(set(BINDING_FIGURES) & set(row) for row in marts["kpi_monthly"])
        for mart in ("kpi_monthly", "metrics"):
            marts[mart] = [row for row in marts[mart] if not set(BINDING_FIGURES) & set(row)]
    different = {mart for mart in single if daily[mart] != single[mart]} - set(BINDS)
    assert different <= REMEMBERS.keys(), {
        mart: _first_difference(daily[mart], single[mart]) for mart in different - REMEMBERS.keys()
    }
    listed = "select item_id, open_amount, days_past_due from dunning_items where days_past_due > 0 order by 1"
    assert day_by_day.ask(listed) == over_the_network.ask(listed), "what is past due is listed, whatever went out before"


def test_every_row_of_every_model_is_there_once(day_by_day: House) -> None:
    newest = max((day_by_day.home / "warehouse").glob("*/arrears.duckdb"), key=lambda path: path.stat().st_mtime)
    published = {name for name, (relation, _) in declared().items() if '"published"' in relation}

    assert doubled_in(newest) == ({}, len(declared()) - len(published)), "the marts have a test of their own every night"


def test_nothing_is_sent_twice_and_nobody_is_called_every_day(day_by_day: House) -> None:
    issued = day_by_day.issued()
    assert {day for day, _, _ in issued} == set(DAYS)
    assert len({(item, step) for _, item, step in issued}) == len(issued)
    held = dict(day_by_day.ask("select held_reason, count(*) from dunning_items where held_reason is not null group by 1"))
    assert held["contacted_recently"] + held["waiting_next_step"] > 10


def test_records_that_cannot_be_read_are_in_quarantine_and_accounted_for(over_the_network: House) -> None:
    loads = [
        load
        for dataset in ("customers", "invoices", "payments", "allocations", "activities")
        for load in over_the_network.loads(dataset)
    ]
    assert sum(load["quarantined"] for load in loads) > 0
    for load in loads:
        accounted_for = load["landed"] - load["tombstones"] + load["unchanged"] + load["repeated"] + load["quarantined"]
        assert load["received"] == accounted_for, load["dataset"]


def _first_difference(one: Rows, other: Rows) -> Any:
    return next(iter(set(one) ^ set(other)), "the same rows, not as often")
