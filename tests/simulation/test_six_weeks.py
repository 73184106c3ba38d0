"""Six weeks of a company that moves: what the lists ask for, and that they never ask for what they must not.

Nights are skipped, run twice, and asked for again later; cash comes in late, bounces, is booked without its invoice; disputes and
promises come and go; customers go bankrupt, move to the agency, cannot be reached; collectors hand workbooks back. Each law is a
test over the whole story.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dagster_project.bounded import Bounded
from dagster_project.contract import DATASETS, ISSUED_STEPS
from dagster_project.delivery import deliver
from dagster_project.incoming import intake
from dagster_project.landing import Landing
from dagster_project.policy import SEEDS
from dagster_project.sources.files import FilesSource
from tests import compiled
from tests.grains import doubled
from tests.reference.proof import write_files

from .collector import KEY, Answer, Collector, fill
from .law import PARAMETERS, STEPS, Ledger, spacing_faults
from .world import World

FIRST = date(2025, 11, 24)
"""A Monday: Thanksgiving, Christmas and the turn of the year lie ahead."""
MORNINGS, CUSTOMERS = 42, 28
"""A morning costs about the same whatever is in its book: rather more customers than more mornings."""
SKIPPED, TWICE, AGAIN_LATER = 0.12, 0.08, 0.06
SHOWN = ("dunning_worklist", "dunning_items")
MINUTES_A_DAY = 20
"""So little time has a collector of this company for its list that some of it waits."""


@dataclass
class Morning:
    as_of: date
    law: Ledger
    items: list[dict[str, Any]]
    actions: list[dict[str, Any]]

    @property
    def acted(self) -> list[dict[str, Any]]:
        return [item for item in self.items if item["held_reason"] is None]


@dataclass
class Story:
    mornings: list[Morning] = field(default_factory=list)
    issued: list[dict[str, Any]] = field(default_factory=list)
    repeats: list[tuple[str, date, bool]] = field(default_factory=list)
    """Runs of a morning that had been run before: which, and whether they left every byte and every issued step as it was."""
    contacts_outside: list[tuple[str, date]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    answers_lost: int = 0


class Night:
    """The pipeline less dbt's and Dagster's own doings: landing, the models' SQL, the delivery."""

    def __init__(self, folder: Path, world: World):
        self.folder, self.world = folder, world
        self.landing = Landing(folder / "landing", folder / "quarantine")
        self.worklists = folder / "worklists"
        self.inbox = folder / "inbox"
        self.nodes = compiled.needed_for(compiled.compiled(reporting_currency="EUR"), *SHOWN)
        self.asked_last: date | None = None
        self.seeds = Path(shutil.copytree(SEEDS, folder / "seeds", ignore=shutil.ignore_patterns("*.yml")))
        shipped = (self.seeds / "dunning_policy.csv").read_text("utf-8")
        hurried = re.sub(r"(?m)^(\*,collector_minutes_a_day),\d+,", rf"\1,{MINUTES_A_DAY},", shipped)
        assert hurried != shipped
        (self.seeds / "dunning_policy.csv").write_text(hurried, "utf-8")

    def load(self, as_of: date) -> None:
        """Ask the source what it knew the evening before, of those datasets in which something changed."""
        evening = as_of - timedelta(days=1)
        changed = self.world.changed(self.asked_last or date.min, evening)
        book = self.world.known(evening)
        book["exchange_rates"] = [{"rate_date": date(2025, 1, 1), "currency": "USD", "base_currency": "EUR", "rate": "0.9"}]
        delivery = self.folder / "deliveries" / as_of.isoformat()
        write_files({name: records for name, records in book.items() if name in changed or not self.asked_last}, delivery)
        source = FilesSource(delivery)
        for dataset in DATASETS.values():
            if (delivery / f"{dataset.name}.csv").exists() and (dataset.name in changed or not self.asked_last):
                self.landing.land(dataset, source.fetch(dataset, None), as_of)
        self.asked_last = evening

    def take_in(self, as_of: date) -> int:
        """Read the inbox; how many answers it gave."""
        taken = intake.take_in(self.inbox, self.worklists, self.landing, as_of, KEY)
        assert not taken.refused and not taken.rejected, taken
        return taken.outcomes

    def run(self, as_of: date) -> Mapping[str, list[dict[str, Any]]]:
        built = compiled.build(self.nodes, self.landing, as_of, test=False, seeds=self.seeds)
        marts = {name: built.table(name) for name in SHOWN}
        if as_of.day in (1, 15):  # often enough
            assert doubled(built.con)[0] == {}
        built.con.close()
        deliver(self.worklists, self.landing, marts, as_of=as_of, policy="net_terms", run={}, rejected={}, key=KEY)
        return {name: table.to_pylist() for name, table in marts.items()}

    def state(self, as_of: date) -> tuple[Mapping[str, str], set[tuple[str, str, date]]]:
        """Every file of a morning's list, and every step that was ever issued."""
        files = {
            str(path.relative_to(self.worklists)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (self.worklists / as_of.isoformat()).rglob("*")
            if path.is_file()
        }
        return files, {(row["item_id"], row["step"], row["worklist_date"]) for row in self.issued()}

    def issued(self) -> list[dict[str, Any]]:
        import duckdb

        files = [str(load.rows) for load in self.landing.loads(ISSUED_STEPS) if load.rows]
        return duckdb.sql(f"select * from read_parquet({files})").to_arrow_table().to_pylist() if files else []


class KeptReader(Bounded):
    """A reader of workbooks for all mornings: to start one takes longer than to read what collectors say."""

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def one_reader() -> Iterator[None]:
    readers: list[KeptReader] = []

    def reader(*bounds: int) -> Bounded:
        readers[:] = readers or [KeptReader(*bounds)]
        return readers[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intake, "Bounded", reader)
        yield
    for kept in readers:
        kept.stop()


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, one_reader: None) -> Story:
    chance, told = Random("sixty mornings"), Story()
    world = World("a company", CUSTOMERS)
    for back in range(75, 0, -1):
        world.live(FIRST - timedelta(days=back))
    night, collector = Night(tmp_path_factory.mktemp("six-weeks"), world), Collector("a patient person")
    handed_in: list[Answer] = []
    for day in (FIRST + timedelta(days=n) for n in range(MORNINGS)):
        if chance.random() >= SKIPPED:
            night.load(day)
            told.answers_lost += len(handed_in) - night.take_in(day)
            told.answers += handed_in
            marts = night.run(day)
            law = Ledger(world.known(day - timedelta(days=1)), day)
            told.mornings.append(Morning(day, law, marts["dunning_items"], marts["dunning_worklist"]))
            told.repeats += repeats(night, told, chance)
            handed_in = collector.work(day, marts["dunning_items"], marts["dunning_worklist"])
            if handed_in:
                fill(night.inbox / f"filled-{day}.xlsx", day, handed_in)
        world.live(day)
    told.issued = night.issued()
    told.contacts_outside = [(row["customer_id"], law.day_of(row)) for row in law.book["activities"]]
    return told


def repeats(night: Night, told: Story, chance: Random) -> Iterator[tuple[str, date, bool]]:
    """Runs of a morning that was run before: at once, or long after, when much more is known."""
    days = [morning.as_of for morning in told.mornings]
    for kind, day, odds in (("twice", days[-1], TWICE), ("again later", chance.choice(days), AGAIN_LATER)):
        if chance.random() < odds:
            before = night.state(day)
            night.run(day)
            yield kind, day, night.state(day) == before


def test_the_story_has_everything_in_it(story: Story) -> None:
    reasons = {item["held_reason"] for morning in story.mornings for item in morning.items}

    assert len(story.mornings) < MORNINGS, "no night was skipped"
    assert {kind for kind, _, _ in story.repeats} == {"twice", "again later"}
    assert {step["step"] for step in story.issued} == STEPS.keys()
    assert {None, "insolvent", "at_agency", "disputed", "promise_pending", "covered_by_credit", "do_not_dun"} <= reasons
    assert {
        "no_due_date",
        "contacted_recently",
        "inter_company",
        "no_contact",
        "waiting_next_step",
        "waiting_its_turn",
        "last_step_done",
    } <= reasons
    assert len(story.issued) > 200


def test_every_dunnable_item_is_acted_on_or_held_and_nothing_else_is(story: Story) -> None:
    for morning in story.mornings:
        listed = [item["item_id"] for item in morning.items]
        assert len(listed) == len(set(listed)), morning.as_of
        assert set(listed) ^ morning.law.dunnable() == set(), morning.as_of


def test_no_step_is_ever_issued_twice(story: Story) -> None:
    issued = [(step["item_id"], step["step"]) for step in story.issued]

    assert sorted(each for each in set(issued) if issued.count(each) > 1) == []


def test_what_is_remembered_as_issued_is_what_was_on_the_lists(story: Story) -> None:
    listed = {(item["item_id"], item["step"], morning.as_of) for morning in story.mornings for item in morning.acted}

    assert {(step["item_id"], step["step"], step["worklist_date"]) for step in story.issued} == listed


def test_a_morning_run_again_at_once_or_later_changes_nothing(story: Story) -> None:
    assert [(kind, day) for kind, day, unchanged in story.repeats if not unchanged] == []


def test_nobody_is_asked_who_must_not_be(story: Story) -> None:
    faults = [
        (morning.as_of, item["item_id"], reason)
        for morning in story.mornings
        for untouchable in [morning.law.untouchable()]
        for item in morning.acted
        if (reason := untouchable.get(item["item_id"]))
    ]

    assert faults == []


def test_what_customers_said_to_collectors_is_heeded(story: Story) -> None:
    heeded = 0
    for morning in story.mornings:
        held = {item["item_id"]: item["held_reason"] for item in morning.items}
        for answer in story.answers:
            for item_id in answer.items & held.keys():
                if morning.law.must_wait_for(answer, item_id):
                    heeded += 1
                    assert held[item_id] is not None, (morning.as_of, item_id, answer)
    assert story.answers_lost == 0
    assert heeded > 200
    assert {answer.outcome for answer in story.answers} >= {"Promised to pay", "Disputes it", "No answer"}


def test_nobody_is_asked_for_more_than_is_open_or_for_what_was_paid(story: Story) -> None:
    for morning in story.mornings:
        open_items = morning.law.items
        for item in morning.items:
            assert item["open_amount"] == open_items[item["item_id"]].open_amount, (morning.as_of, item["item_id"])
        assert all(item["dunnable_amount"] > 0 for item in morning.acted)


def test_a_customer_gets_one_action_a_morning(story: Story) -> None:
    for morning in story.mornings:
        customers = [action["customer_id"] for action in morning.actions]
        assert len(customers) == len(set(customers))
        assert set(customers) == {item["customer_id"] for item in morning.acted}


def test_no_two_contacts_are_closer_than_policy(story: Story) -> None:
    least = int(PARAMETERS["min_days_between_contacts"])
    ours = {(step["customer_id"], step["worklist_date"]) for step in story.issued if STEPS[step["step"]]["in_cadence"] == "true"}

    assert spacing_faults(ours, least) == []
    for customer, day in ours:  # one that somebody else makes on the day after ours is not ours to prevent
        known = [outside for who, outside in story.contacts_outside if who == customer and outside < day]
        assert all((day - outside).days >= least for outside in known), (customer, day)


def test_steps_follow_their_prerequisites_get_firmer_and_keep_their_distance(story: Story) -> None:
    by_item: dict[str, list[dict[str, Any]]] = {}
    for step in sorted(story.issued, key=lambda each: each["worklist_date"]):
        by_item.setdefault(step["item_id"], []).append(step)
    pairs = 0
    for steps in by_item.values():
        rows = [STEPS[step["step"]] for step in steps]
        days = [step["worklist_date"] for step in steps]
        for place, row in enumerate(rows):
            before = {earlier["step"] for earlier in rows[:place]}
            assert not row["requires_step"] or row["requires_step"] in before, steps
            if place and row["anchor"] == rows[place - 1]["anchor"]:
                pairs += 1
                apart = max(
                    int(row["offset_days"]) - int(rows[place - 1]["offset_days"]), int(row["min_days_since_previous"] or 0)
                )
                assert (days[place] - days[place - 1]).days >= apart, steps
                assert int(row["severity"]) > int(rows[place - 1]["severity"]), steps
    assert pairs > 50


def test_nothing_goes_out_on_a_day_off(story: Story) -> None:
    closed = 0
    for morning in story.mornings:
        invoices = {row["invoice_id"]: row for row in morning.law.book["invoices"]}
        for item in morning.items:
            if not morning.law.is_open(invoices[item["invoice_id"]], morning.as_of):
                closed += 1
                assert item["held_reason"] is not None, (morning.as_of, item["item_id"])
    assert closed > 500


def test_nobody_hears_of_us_first_by_a_firm_step(story: Story) -> None:
    contacts = [
        (step["customer_id"], step["worklist_date"]) for step in story.issued if STEPS[step["step"]]["in_cadence"] == "true"
    ]
    first = set()
    for morning in story.mornings:
        known = {customer for customer, day in [*contacts, *story.contacts_outside] if day < morning.as_of}
        for action in morning.actions:
            if action["customer_id"] not in known and (firmest := morning.law.firmest_first_contact(action["customer_id"])):
                assert action["severity"] <= firmest, (morning.as_of, action["customer_id"], action["step"])
                first.add(action["customer_id"])
    assert len(first) >= 4, "some have to hear of us first"


def test_a_collector_gets_what_the_day_holds_and_the_rest_waits_for_a_day_to_come(story: Story) -> None:
    waited = 0
    longest = max(int(step["minutes"]) for step in STEPS.values())
    for morning in story.mornings:
        invoices = {row["invoice_id"]: row for row in morning.law.book["invoices"]}
        minutes: dict[str, int] = {}
        for action in morning.actions:
            minutes[action["collector"]] = minutes.get(action["collector"], 0) + int(STEPS[action["step"]]["minutes"])
        assert all(taken <= MINUTES_A_DAY for taken in minutes.values()), morning.as_of
        for item in morning.items:
            if item["held_reason"] == "waiting_its_turn":
                waited += 1
                assert item["all_held_reasons"] == "waiting_its_turn", "whatever else holds it takes nobody's time"
                assert item["step"] is not None
                assert minutes[item["collector"]] + longest > MINUTES_A_DAY, (morning.as_of, item["item_id"], "there was room")
                assert item["held_until"] > morning.as_of
                assert morning.law.is_open(invoices[item["invoice_id"]], item["held_until"])
    assert waited > 20
