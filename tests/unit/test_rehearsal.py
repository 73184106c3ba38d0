"""A night before it happens: gone through to its end whatever stops it, and nothing of it stays. And the first hour on a spreadsheet,
which it is tried on: what the page says is what is said."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from dagster_project import adoption, compiled, dbt_build, rehearsal
from dagster_project.contract import DATASETS
from dagster_project.landing import Landing
from dagster_project.paths import ROOT
from dagster_project.quality import LoadFacts, Verdict
from dagster_project.settings import Settings
from dagster_project.sources.files import FilesSource
from dagster_project.warehouse import AlreadyAtWork, at_work_on
from dagster_project.warmup import Warmup

PAGE = (ROOT / "docs" / "first-hour.md").read_text("utf-8")
MORNING = date(2025, 9, 30)


def sheets(page: str = PAGE) -> dict[str, str]:
    """The sheets of the page, as text by file."""
    block = re.search(r"```text\n(customers\.csv.*?)```", page, flags=re.DOTALL)
    assert block
    found: dict[str, list[str]] = {}
    for line in block[1].splitlines():
        name, row = line[:21].strip(), line[21:]
        found.setdefault(name or list(found)[-1], []).append(row)
    return {name: "\r\n".join([*rows, ""]) for name, rows in found.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The page's sheets as the spreadsheet saves them."""
    folder = tmp_path / "sheets"
    folder.mkdir()
    for name, text in sheets().items():
        (folder / name).write_bytes(text.encode("cp1252"))
    return folder


class Expectations:
    """Stands where the worker does: every load is as expected, but for what is `broken`."""

    def __init__(self, **broken: str):
        self.broken = broken

    def ask(self, facts: LoadFacts) -> None:
        pass

    def verdict(self, facts: LoadFacts) -> Verdict:
        return Verdict(facts.dataset, facts.load_id, 1, [self.broken[facts.dataset]] if facts.dataset in self.broken else [])


@pytest.fixture
def warmup() -> Warmup:
    return Warmup(Expectations())  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that are built, with what they are made from; all of them as long as none is named. dbt is not called."""
    names, whole = list[str](), compiled.compiled

    def some(*asked: str) -> Sequence[compiled.Node]:
        return compiled.needed_for(whole(*asked), *names) if names else whole(*asked)

    monkeypatch.setattr(compiled, "compiled", some)
    monkeypatch.setattr(dbt_build, "build", lambda *_, **__: pytest.fail("nothing was to say that dbt has words for"))
    return names


@pytest.fixture
def settings(make_settings: Callable[..., Settings], folder: Path) -> Settings:
    return make_settings(source="files", files_dir=folder)


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def rehearsed(settings: Settings, warmup: Warmup, as_of: date = MORNING) -> Any:
    return rehearsal.rehearsed(settings, as_of, warmup)


# --- the first hour: the page says what is said ------------------------------------------------------------------------


def quoted(heading: str) -> list[str]:
    """The lines of the first block of text under a heading of the page."""
    block = re.search(rf"## {re.escape(heading)}\n.*?```text\n(.*?)```", PAGE, flags=re.DOTALL)
    assert block, heading
    return [line for line in block[1].splitlines() if line.strip() not in ("", "…")]


def test_the_first_hour_says_what_is_missing_and_leaves_nothing(settings: Settings, warmup: Warmup, built: list[str]) -> None:
    with rehearsed(settings, warmup) as gone_through:
        text = adoption.report(settings, gone_through)

    recognised = [line for load in gone_through.loads.values() for line in load.found]
    assert [line for line in quoted("2. Ask what the first night would do") if line not in recognised] == []
    (stop,) = gone_through.stops
    assert stop.startswith("test exchange_rates_are_there: ")
    assert quoted("3. Two currencies and no rates")[0].removeprefix("1. ") in stop
    assert "- No list would go out: 1 thing stands in the way (1)." in text
    assert "3 customers owe on 3 documents; how much is not known for want of exchange rates." in text
    assert f"1. {stop}" in text
    assert Landing(settings.landing, settings.quarantine).loads(DATASETS["invoices"]) == []
    assert [path for path in settings.home.rglob("*") if path.is_file() and path.parent != settings.warehouse] == []


def test_with_a_currency_and_rates_the_first_hour_comes_to_a_list(
    settings: Settings, warmup: Warmup, built: list[str], folder: Path
) -> None:
    for name in ("companies.csv", "exchange_rates.csv"):
        block = re.search(rf"```text\n{name} +(.*?)```", PAGE, flags=re.DOTALL)
        assert block
        (folder / name).write_text("\n".join(line.strip() for line in block[1].splitlines()), "utf-8")

    with rehearsed(settings, warmup) as gone_through:
        text = adoption.report(settings, gone_through)

    assert gone_through.stops == []
    said = [" ".join(line.split()) for line in text.splitlines()]
    assert [line for line in quoted("4. What the first night would do") if " ".join(line.split()) not in said] == []


# --- nothing stays ---------------------------------------------------------------------------------------------------


def adopted_on(gone_through: rehearsal.Rehearsal) -> date:
    with gone_through.built.looked_into() as con:  # type: ignore[union-attr]
        ((day,),) = con.execute("select adopted_on from policy.policy_adopted").fetchall()
    return day  # type: ignore[no-any-return]


def land(settings: Settings, folder: Path, as_of: date) -> None:
    landing = Landing(settings.landing, settings.quarantine)
    for dataset in DATASETS.values():
        landing.land(dataset, FilesSource(folder).fetch(dataset, None), as_of)


def test_its_morning_is_not_the_first_one(settings: Settings, warmup: Warmup, built: list[str], folder: Path) -> None:
    built.append("policy_adopted")
    with rehearsed(settings, warmup) as first:
        assert adopted_on(first) == MORNING, "the policy would bind from there"
    with rehearsed(settings, warmup, date(2025, 10, 6)) as later:
        assert adopted_on(later) == date(2025, 10, 6), "had that been the first night: the one before was none"


def test_a_home_that_has_mornings_keeps_its_first_and_all_that_is_landed(
    settings: Settings, warmup: Warmup, built: list[str], folder: Path
) -> None:
    built.append("policy_adopted")
    land(settings, folder, date(2025, 9, 26))
    before = files(settings.landing)
    (folder / "payments.csv").write_text(sheets()["payments.csv"] + "3;C3;29.09.2025;USD;2.400,00;RE-1003\r\n", "cp1252")

    with rehearsed(settings, warmup) as gone_through:
        assert adopted_on(gone_through) == date(2025, 9, 26)
        assert (gone_through.loads["payments"].landed, gone_through.loads["payments"].unchanged) == (1, 2), "what is new came"

    assert files(settings.landing) == before


def test_a_night_at_work_is_not_rehearsed_beside(settings: Settings, warmup: Warmup) -> None:
    with (
        at_work_on(settings.warehouse, MORNING, "night"),
        pytest.raises(AlreadyAtWork, match="run night"),
        rehearsed(settings, warmup),
    ):
        pass


def test_what_a_killed_one_left_is_gone(settings: Settings, warmup: Warmup, built: list[str]) -> None:
    built.append("policy_adopted")
    left = settings.home / "adopt" / f".{MORNING}" / "landing"
    left.mkdir(parents=True)
    (left / "somebody.parquet").write_text("private")

    with rehearsed(settings, warmup) as gone_through:
        assert gone_through.built is not None

    assert list((settings.home / "adopt").iterdir()) == []


# --- all that stands in the way, at once -----------------------------------------------------------------------------


def test_a_broken_file_does_not_keep_the_others_from_being_looked_at(
    settings: Settings, warmup: Warmup, folder: Path, built: list[str]
) -> None:
    (folder / "payments.csv").write_text('payment_id;customer_id\n1;"C1\n', "utf-8")
    (folder / "customers.csv").write_text("customer_id;name;currency;status\nC1;One;EUR;active\nC2;Two;EUR;frozen\n", "utf-8")
    (folder / "allocations.csv").write_text("allocation_id;invoice_id\nA1;\n", "utf-8")

    with rehearsed(settings, warmup) as gone_through:
        text = adoption.report(settings, gone_through)

    assert gone_through.built is None, "payments are required"
    assert [Path(stop.partition(":")[0]).name for stop in gone_through.stops[:2]] == ["customers", "payments.csv"]
    assert "customers: 1 of 2 records break the contract, more than the 1.00 % that policy lets pass" in gone_through.stops[0]
    assert not any("KNOWN=now" in stop for stop in gone_through.stops), "why nothing is known of payments is told already"
    assert "The night would stop before it could build anything." in text
    assert "«frozen» in customers.csv line 3" in text
    assert list((settings.quarantine / "customers").iterdir()), "and the record is where people look for it"


def test_a_source_that_is_away_is_not_asked_for_every_dataset(
    settings: Settings, warmup: Warmup, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def away(self: FilesSource, dataset: Any, since: object) -> None:
        asked.append(dataset.name)
        raise rehearsal.SourceError(f"{dataset.name}: nobody answers")

    monkeypatch.setattr(FilesSource, "fetch", away)
    with rehearsed(settings, warmup) as gone_through:
        assert gone_through.stops == [f"{name}: nobody answers" for name in asked]
    assert len(asked) == rehearsal.ENOUGH


@pytest.mark.parametrize(
    ("dataset", "stops"), [("payments", True), ("activities", False)], ids=["blocks by policy", "does not block by policy"]
)
def test_what_is_not_as_expected_stops_the_night_where_policy_says_so(
    dataset: str, stops: bool, settings: Settings, built: list[str]
) -> None:
    built.append("policy_adopted")
    told = "age_days: the newest record is of 40 days ago"

    with rehearsed(settings, Warmup(Expectations(**{dataset: told}))) as gone_through:  # type: ignore[arg-type]
        where = gone_through.stops if stops else gone_through.warnings
        assert f"{dataset}: {told}" in where


def test_every_dataset_that_may_be_absent_says_what_is_not_there_without_it() -> None:
    assert set(adoption.WITHOUT) == {name for name, dataset in DATASETS.items() if not dataset.required}
