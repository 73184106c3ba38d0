"""Policy packs are rows: faults in them are named, new packs and tiers need no code, and every criterion cuts where it says.

The cases are made from the seeds themselves, so that a row added to them is tested with them.
"""

from __future__ import annotations

import csv
import random
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from dagster_project.contract import DATASETS
from dagster_project.landing import Landing
from dagster_project.paths import DBT_PROJECT, ROOT, SEEDS
from dagster_project.policy import packs
from dagster_project.sources.files import FilesSource
from tests import compiled
from tests.compiled import Node

MORNING = date(2025, 6, 30)
FACTORS = {
    found["name"]: found
    for found in (
        dict(re.findall(r"'(\w+)': [\"']+(\w+)", line))
        for line in (DBT_PROJECT / "macros" / "risk_factors.sql").read_text("utf-8").splitlines()
        if "'kind'" in line
    )
}
NUMBERS = [name for name, factor in FACTORS.items() if factor["kind"] == "number"]
WORDS = [name for name, factor in FACTORS.items() if factor["kind"] == "text"]
AGES = sorted({factor["weight"] for factor in FACTORS.values() if "weight" in factor})
STEP = Decimal("0.0001")
Row = dict[str, Any]


def rows_of(seed: str, seeds: Path = SEEDS) -> list[dict[str, str]]:
    with (seeds / f"{seed}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def rewrite(seeds: Path, seed: str, rows: Iterable[Mapping[str, str]]) -> None:
    rows = list(rows)
    with (seeds / f"{seed}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def nodes() -> Sequence[Node]:
    return compiled.compiled()


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SEEDS, tmp_path / "seeds", ignore=shutil.ignore_patterns("*.yml")))


def under(policy: str, nodes: Sequence[Node]) -> list[Node]:
    """The nodes as another selected pack compiles them: its name is all that differs."""
    return [replace(node, sql=node.sql.replace("'net_terms'", f"'{policy}'")) if node.parents else node for node in nodes]


# --- a pack that is not whole -----------------------------------------------------------------------------------------


FAULTS = ("int_pack_faults", "policy_faults")


def faults(nodes: Sequence[Node], seeds: Path = SEEDS) -> set[tuple[str, ...]]:
    return told_in(compiled.over(nodes, MORNING, FAULTS, seeds=seeds))


def told_in(con: duckdb.DuckDBPyConnection) -> set[tuple[str, ...]]:
    return set(
        con.execute(
            "select file, policy, subject, fault from intermediate.int_pack_faults "
            "union select file, policy, subject, fault from policy.policy_faults"
        ).fetchall()
    )


@pytest.fixture(scope="module")
def shipped(nodes: Sequence[Node]) -> duckdb.DuckDBPyConnection:
    """The packs that ship and what is found wrong with them, there to be altered in a transaction."""
    return compiled.over(nodes, MORNING, FAULTS)


def faults_beside(shipped: duckdb.DuckDBPyConnection, nodes: Sequence[Node], seeds: Path) -> set[tuple[str, ...]]:
    """The same as `faults`, of which only what other rows make otherwise is made again."""
    shipped.begin()
    try:
        compiled.again(shipped, compiled.needed_for(nodes, *FAULTS), MORNING, seeds)
        return told_in(shipped)
    finally:
        shipped.rollback()


def test_the_packs_that_ship_are_whole(nodes: Sequence[Node]) -> None:
    assert {fault for policy in packs() for fault in faults(under(policy, nodes))} == set()


SLOPE = {"policy": "net_terms", "factor": "dbt_slope"}
BROKEN = """
a gap: risk_tier_terms | policy=net_terms tier=2 | valid_to=2024-12-31
    risk_tier_terms | tiers on 2025-01-01 | ranks are not 1, 2, 3
a span that ends first: risk_weights | policy=net_terms factor=dbt_slope | valid_to=1999-01-01
    risk_weights | factor dbt_slope | ends before
no first day: risk_weights | policy=net_terms factor=dbt_slope | valid_from=
    risk_weights | factor dbt_slope | has no first day
nobody's approval: risk_tier_terms | policy=net_terms tier=2 | approved_by=
    risk_tier_terms | tier 2 | nobody approved it
no day of approval: dunning_steps | step=due_date_call | approved_on=
    dunning_steps | tier * step due_date_call | nobody approved it
no tier of that name: risk_tier_terms | policy=net_terms tier=2 | tier=two
    risk_criteria | tier 2 on 2000-01-01 | has criteria and no terms
a tier without criteria: risk_criteria | policy=net_terms tier=2 | gone
    risk_criteria | tier 2 on 2000-01-01 | has no criteria
two tiers of one rank: risk_tier_terms | policy=net_terms tier=2 | tier_rank=1
    risk_tier_terms | tiers on 2000-01-01 | two tiers have one rank
a missing term: risk_tier_terms | policy=net_terms tier=2 | net_days=
    risk_tier_terms | tier 2 | a term is missing
an impossible term: risk_tier_terms | policy=net_terms tier=2 | deposit_pct=130
    risk_tier_terms | tier 2 | a term is impossible
an unknown factor: risk_weights | policy=net_terms factor=dbt_slope | factor=moon
    risk_weights | factor moon | unknown factor
weights of 99: risk_weights | policy=net_terms factor=dbt_slope | weight=14
    risk_weights | weights on 2000-01-01 | do not add up to 100: they come to 99
one break point: risk_weights | policy=net_terms factor=dbt_slope | worst_at=0
    risk_weights | factor dbt_slope | the two break points are one
an operator for words: risk_criteria | policy=net_terms tier=2 factor=evidence | operator=in
    risk_criteria | tier 2 requires evidence in | the operator does not fit
a threshold in words: risk_criteria | policy=net_terms tier=2 factor=evidence | threshold=much
    risk_criteria | tier 2 requires evidence >= | the threshold is no number: much
an unknown effect: risk_criteria | policy=net_terms tier=2 factor=evidence | effect=likes
    risk_criteria | tier 2 likes evidence >= | unknown effect
no outside evidence: risk_criteria | policy=net_terms tier=1 factor=bureau_score | gone
    risk_criteria | tiers on 2000-01-01 | the best tier asks for no outside
demands of the worst: risk_criteria | policy=net_terms tier=3 factor=dbt_days_6m | effect=requires
    risk_criteria | tier 3 on 2000-01-01 | is the worst tier
an unknown predecessor: dunning_steps | policy=net_terms step=escalation | requires_step=visit
    dunning_steps | tier * step escalation | requires a step that the pack does not have: visit
a harder predecessor: dunning_steps | policy=net_terms step=third_notice | requires_step=escalation
    dunning_steps | tier * step third_notice | requires a step that is no softer
a step for nobody: dunning_steps | policy=segments tier=D | tier=Z
    dunning_steps | tier Z step agency_transfer | is for a tier that the pack does not have
a bucket without a loss: aging_buckets | bucket=90+ | bucket=91-120
    worklist_priority | tier 3 aging_bucket 91-120 | has no loss_pct
a loss of no bucket: aging_buckets | bucket=90+ | bucket=91-120
    worklist_priority | tier 3 aging_bucket 90+ | is for a bucket that aging_buckets.csv does not have
a loss of no tier: worklist_priority | policy=net_terms tier=3 | tier=4
    worklist_priority | tier 4 aging_bucket current | is for a tier that the pack does not have
a reason without a list: held_reasons | reason=insolvent | list=
    held_reasons | reason insolvent | has no list
a list nobody has: held_reasons | reason=insolvent | list=lawyers
    held_reasons | reason insolvent | is on a list that nobody has: lawyers
two reasons of one rank: held_reasons | reason=insolvent | rank=1
    held_reasons | reason insolvent | shares its rank
a regime without a rate: late_fee_regimes | regime=contractual | regime=us
    late_fee_regimes | entity_country * customer_country * | has no rate: give us a row
no late fee at all: late_fee_regimes | regime=contractual | customer_country=DE
    late_fee_regimes | entity_country * customer_country * | is not there
a pack nobody knows: kpi_policy | parameter=countback_months | policy=nets
    kpi_policy | parameter countback_months | is for a pack that has no tiers
"""
"""What is done to a pack: the seed, its rows, and what of them is changed; below it the seed, the row and the words to be named."""


@pytest.mark.parametrize("case", BROKEN.strip().replace("\n    ", " | ").splitlines(), ids=lambda case: case.partition(":")[0])
def test_a_pack_that_is_not_whole_is_refused_with_the_row_named(
    case: str, nodes: Sequence[Node], seeds: Path, shipped: duckdb.DuckDBPyConnection
) -> None:
    seed, key, change, file, subject, fault = case.partition(": ")[2].split(" | ")
    rows = rows_of(seed)
    hit = [row for row in rows if pairs(key).items() <= row.items()]
    assert hit
    broken = [{**row, **pairs(change)} if row in hit else row for row in rows if change != "gone" or row not in hit]
    rewrite(seeds, seed, broken)

    found = faults_beside(shipped, nodes, seeds)

    assert [told for told in found if told[0] == f"{file}.csv" and told[2] == subject and told[3].startswith(fault)], found


def pairs(text: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in text.split(" ")) if "=" in text else {}


def test_rows_that_overlap_or_leave_days_out_are_named(nodes: Sequence[Node], seeds: Path) -> None:
    def split(ends: str, begins: str) -> set[tuple[str, ...]]:
        rows = rows_of("risk_weights")
        slope = next(row for row in rows if SLOPE.items() <= row.items())
        rewrite(
            seeds,
            "risk_weights",
            [*(row for row in rows if row is not slope), {**slope, "valid_to": ends}, {**slope, "valid_from": begins}],
        )
        return {told for told in faults(nodes, seeds) if told[2] == "factor dbt_slope"}

    assert split("2024-12-31", "2025-01-01") == set()
    assert [told[3].partition(":")[0] for told in split("2025-01-01", "2025-01-01")] == ["two rows are valid on one day"]
    assert [told[3].partition(":")[0] for told in split("2024-12-30", "2025-01-01")] == ["no row is valid for some days"]


def test_a_pack_may_end_altogether_unless_it_is_the_selected_one(nodes: Sequence[Node], seeds: Path) -> None:
    for seed in ("risk_tier_terms", "risk_weights", "risk_criteria"):
        rewrite(seeds, seed, ({**row, "valid_to": "2024-12-31"} if row["policy"] == "cohorts" else row for row in rows_of(seed)))

    assert faults(nodes, seeds) == set()
    assert ("risk_tier_terms.csv", "cohorts", "tiers on 2025-06-30") in {
        told[:3] for told in faults(under("cohorts", nodes), seeds)
    }


# --- a new pack, a new tier -------------------------------------------------------------------------------------------


def test_a_pack_and_a_tier_are_added_by_rows_alone(nodes: Sequence[Node], seeds: Path, landing: Landing, tmp_path: Path) -> None:
    """`house` is `segments` under other names; `segments` itself gets a fifth tier below its worst."""
    names = {"A": "gold", "B": "silver", "C": "bronze", "D": "lead"}
    for seed in ("risk_tier_terms", "risk_weights", "risk_criteria", "dunning_steps", "first_contact_steps"):
        rows = rows_of(seed)
        added = [row for row in rows if row["policy"] == "segments"]
        house = [{**row, "policy": "house", **({"tier": names.get(row["tier"], "*")} if "tier" in row else {})} for row in added]
        rewrite(seeds, seed, [*rows, *house])
    rows = rows_of("risk_tier_terms", seeds)
    worst = next(row for row in rows if row["policy"] == "segments" and row["tier"] == "D")
    rewrite(seeds, "risk_tier_terms", [*rows, {**worst, "tier": "E", "tier_rank": "5", "name": "nobody new", "net_days": "0"}])
    rows = rows_of("risk_criteria", seeds)
    beyond = next(
        row for row in rows if row["policy"] == "segments" and row["tier"] == "C" and row["factor"] == "past_due_share_30"
    )
    rewrite(
        seeds, "risk_criteria", [*rows, {**beyond, "tier": "E", "sentence": "{value} of the balance late; D allows {threshold}"}]
    )
    source = FilesSource(ROOT / "tests" / "fixtures" / "ledger")
    for dataset in DATASETS.values():
        landing.land(dataset, source.fetch(dataset, None), MORNING)
    wanted = compiled.needed_for(
        nodes, "policy_comparison", "risk_tiers", "risk_tier_reasons", "dunning_worklist", "int_pack_faults"
    )

    house_built = compiled.build(under("house", wanted), landing, MORNING, seeds=seeds)
    segments_built = compiled.build(under("segments", wanted), landing, MORNING, seeds=seeds)

    house_tiers = {row["customer_id"]: row["tier_indicated"] for row in house_built.rows("risk_tiers")}
    compared = {(row["policy"], row["customer_id"]): row for row in house_built.rows("policy_comparison")}
    assert {policy for policy, _ in compared} == {"house", *packs()}
    for customer, tier in house_tiers.items():
        assert compared["house", customer]["is_selected"]
        assert compared["segments", customer]["tier_indicated"] in {"A", "B", "C", "D", "E"}
        assert names.get(compared["segments", customer]["tier_indicated"], tier) == tier
    assert {row["tier"] for row in house_built.rows("risk_tier_reasons")} == set(names.values())
    calls = house_built.rows("dunning_worklist")
    assert calls
    assert all(row["tier_in_force"] in names.values() and row["tone"] and row["priority"] is not None for row in calls)
    lowest = [row for row in segments_built.rows("risk_tiers") if row["tier_indicated"] == "E"]
    assert lowest
    assert {(row["tier_name"], row["net_days"]) for row in lowest} == {("nobody new", 0)}
    told = [row for row in segments_built.rows("risk_tier_reasons") if row["tier"] == "E" and not row["passed"]]
    assert {row["customer_id"] for row in told} == {row["customer_id"] for row in lowest}
    assert all(row["reason"].endswith("of the balance late; D allows 10 %") and row["on_the_way_up"] for row in told)


# --- what the packs say of customers made up by hand --------------------------------------------------------------------


def signals(customers: Mapping[str, Row]) -> pa.Table:
    fields: list[pa.Field] = [
        pa.field("customer_id", pa.string()),
        pa.field("snapshot_date", pa.date32()),
        pa.field("is_as_of", pa.bool_()),
    ]
    fields += [pa.field(name, pa.decimal128(18, 4)) for name in [*NUMBERS, *AGES]] + [
        pa.field(name, pa.string()) for name in WORDS
    ]
    made = [{"customer_id": name, "snapshot_date": MORNING, "is_as_of": True, **row} for name, row in customers.items()]
    return pa.Table.from_pylist(made, pa.schema(fields))


def verdicts(nodes: Sequence[Node], given: Mapping[str, pa.Table]) -> dict[tuple[str, str], tuple[Any, ...]]:
    """By pack and customer: rank of the tier, score, evidence."""
    con = compiled.over(nodes, MORNING, ["int_risk_verdicts"], given)
    rows = con.execute(
        "select policy, customer_id, tier_rank, risk_score, evidence from intermediate.int_risk_verdicts "
        f"join intermediate.int_risk_scores using (policy, customer_id, snapshot_date) where snapshot_date = date '{MORNING}'"
    ).fetchall()
    return {(policy, customer): tuple(rest) for policy, customer, *rest in rows}


def sides(criterion: Mapping[str, str]) -> tuple[list[Any], list[Any]]:
    """Values that just stand in the criterion's relation, and values that just do not."""
    operator, threshold = criterion["operator"], criterion["threshold"]
    if operator in ("in", "not_in"):
        listed, others = threshold.split("|"), [*("sound", ""), *(word[:-1] for word in threshold.split("|"))]
        others = [word for word in others if word not in listed]
        return (listed, others) if operator == "in" else (others, listed)
    edge = Decimal(threshold)
    return {
        "<=": ([edge, edge - STEP], [edge + STEP]),
        "<": ([edge - STEP], [edge, edge + STEP]),
        ">=": ([edge, edge + STEP], [edge - STEP]),
        ">": ([edge + STEP], [edge, edge - STEP]),
    }[operator]


CRITERION = ("policy", "tier", "factor", "operator", "threshold", "effect")
TIER_SPAN = [("tier_rank", pa.int32()), ("valid_from", pa.date32()), ("valid_to", pa.date32())]


def test_every_criterion_of_every_pack_cuts_where_it_says(nodes: Sequence[Node]) -> None:
    """Each criterion alone in a pack of its own, with the tiers it can tell apart: its own and the next one."""
    terms, criteria, people, scores, expected = [], [], {}, [], {}
    for number, criterion in enumerate(rows_of("risk_criteria")):
        pack, tiers = f"pack {number}", [row for row in rows_of("risk_tier_terms") if row["policy"] == criterion["policy"]]
        rank = next(int(row["tier_rank"]) for row in tiers if row["tier"] == criterion["tier"])
        requires = criterion["effect"] == "requires"
        # Of a requirement only its own tier and worse ones are there, so that to fail it is to fall by one.
        kept = [row for row in tiers if not requires or int(row["tier_rank"]) >= rank]
        terms += [
            {"policy": pack, "tier": row["tier"], "tier_rank": int(row["tier_rank"]), "valid_from": MORNING, "valid_to": None}
            for row in kept
        ]
        criteria.append({**criterion, "policy": pack, "valid_from": MORNING, "valid_to": None})
        holds, fails = sides(criterion)
        for value, stands in [*((value, True) for value in holds), *((value, False) for value in fails), (None, False)]:
            customer = f"{pack}: {value}"
            factor = criterion["factor"]
            people[customer] = {factor: value} if factor in FACTORS else {}
            score = {"risk_score": None, "evidence": None, **({factor: value} if factor not in FACTORS else {})}
            scores.append({"policy": pack, "customer_id": customer, "snapshot_date": MORNING, "tie_break": Decimal(0), **score})
            expected[pack, customer] = rank if stands else rank + 1 if requires else 1
    schema = pa.schema(
        [("policy", pa.string()), ("customer_id", pa.string()), ("snapshot_date", pa.date32())]
        + [(name, pa.decimal128(18, 4)) for name in ("risk_score", "evidence", "tie_break")]
    )
    given = {
        "risk_tier_terms": pa.Table.from_pylist(terms, pa.schema([("policy", pa.string()), ("tier", pa.string()), *TIER_SPAN])),
        "risk_criteria": pa.Table.from_pylist(
            criteria, pa.schema([*((name, pa.string()) for name in CRITERION), *TIER_SPAN[1:]])
        ),
        "int_risk_scores": pa.Table.from_pylist(scores, schema),
        "int_risk_signals": signals(people),
    }

    found = {key: rank for key, (rank, *_) in verdicts(nodes, given).items()}

    assert {key: (found[key], rank) for key, rank in expected.items() if found[key] != rank} == {}
    assert len(expected) > 3 * len(rows_of("risk_criteria"))


GOOD_WORDS = {
    "dbt_direction": ["rising", "steady"],
    "account_status": ["insolvent", "active"],
    "bureau_status": ["dissolved", "active"],
}
SPAN: dict[str, int] = dict.fromkeys(NUMBERS, 100)
SPAN |= {"past_due_share_30": 1, "past_due_share_60": 1, "on_time_share_24m": 1, "disputed_share": 1, "broken_promises_12m": 5}
SPAN |= {"dbt_slope": 6, "current_ratio": 3, "quick_ratio": 2, "debt_to_equity": 4, "relationship_years": 8}
HIGHER_IS_BETTER = {
    *(
        "on_time_share_24m",
        "paid_invoices_24m",
        "relationship_years",
        "strategic_value",
        "bureau_score",
        "bureau_score_change_6m",
    ),
    *("current_ratio", "quick_ratio", "gross_margin_pct"),
}


@pytest.fixture(scope="module")
def book() -> dict[str, Row]:
    """Some hundred customers with chance figures, each of them known or not, good and bad."""
    chance = random.Random(7)
    people = {}
    for number in range(150):
        badness = chance.random()
        row: Row = {}
        for name in NUMBERS:
            share = min(max(chance.gauss(badness, 0.3), 0), 1)
            share = 1 - share if name in HIGHER_IS_BETTER else share
            row[name] = None if chance.random() < 0.15 else Decimal(round(share * SPAN[name] * 10_000)) * STEP
        for name, words in GOOD_WORDS.items():
            row[name] = chance.choice([words[1], words[1], words[0], None])
        row |= {age: Decimal(chance.randint(0, 10)) / 10 for age in AGES}
        people[f"c{number:03}"] = row
    return people


def test_improving_any_one_input_never_worsens_the_score_or_the_tier(nodes: Sequence[Node], book: dict[str, Row]) -> None:
    chance = random.Random(8)
    people = dict(book)
    for customer, row in book.items():
        for name in NUMBERS:
            if row[name] is not None:
                better = (
                    row[name] + (1 if name in HIGHER_IS_BETTER else -1) * Decimal(chance.randint(1, 10_000)) * STEP * SPAN[name]
                )
                people[f"{customer}/{name}"] = {**row, name: max(better, Decimal(0)) if name != "dbt_slope" else better}
        for name, (bad, good) in GOOD_WORDS.items():
            if row[name] == bad:
                people[f"{customer}/{name}"] = {**row, name: good}

    found = verdicts(nodes, {"int_risk_signals": signals(people)})

    def before(policy: str, changed: str) -> tuple[Any, ...]:
        return found[policy, changed.partition("/")[0]]

    worse = [
        (policy, changed, before(policy, changed), after)
        for (policy, changed), after in found.items()
        if after[0] > before(policy, changed)[0] or (after[1] or 0) > (before(policy, changed)[1] or 0)
    ]
    assert worse == []
    assert {policy for policy, _ in found} == set(packs())
    for policy in packs():
        raised = {changed for (pack, changed), after in found.items() if pack == policy and after[0] < before(policy, changed)[0]}
        assert len({changed.partition("/")[2] for changed in raised}) > 4, (
            f"{policy}: hardly anything moved a tier: nothing was tested"
        )


def test_what_is_missing_is_neither_nought_nor_worst(nodes: Sequence[Node], book: dict[str, Row]) -> None:
    weights = {row["factor"]: row for row in rows_of("risk_weights") if row["policy"] == "net_terms"}
    people = {}
    for customer, row in book.items():
        full = row | {age: Decimal(1) for age in AGES}
        for name, weight in weights.items():
            for what, value in (("missing", None), ("best", Decimal(weight["best_at"])), ("worst", Decimal(weight["worst_at"]))):
                people[f"{customer}/{name}/{what}"] = {**full, name: value}

    found = verdicts(nodes, {"int_risk_signals": signals(people)})

    between = 0
    for customer in book:
        for name in weights:
            best, missing, worst = (found["net_terms", f"{customer}/{name}/{what}"] for what in ("best", "missing", "worst"))
            assert missing[2] < best[2] == worst[2], "the evidence is what was there"
            assert best[1] <= missing[1] <= worst[1]
            between += best[1] < missing[1] < worst[1]
    assert between > len(people) / 4


def test_a_customer_nothing_is_known_of_proves_nothing_and_is_forced_nowhere(nodes: Sequence[Node]) -> None:
    found = verdicts(nodes, {"int_risk_signals": signals({"unknown": {}})})
    tiers = {(row["policy"], row["tier"]): int(row["tier_rank"]) for row in rows_of("risk_tier_terms")}
    asking = {(row["policy"], row["tier"]) for row in rows_of("risk_criteria") if row["effect"] == "requires"}

    assert found == {
        (policy, "unknown"): (
            min(rank for (pack, tier), rank in tiers.items() if pack == policy and (pack, tier) not in asking),
            None,
            0,
        )
        for policy in packs()
    }


def test_the_order_of_the_customers_changes_nothing(nodes: Sequence[Node], book: dict[str, Row]) -> None:
    shuffled = list(book.items())
    random.Random(9).shuffle(shuffled)

    assert verdicts(nodes, {"int_risk_signals": signals(book)}) == verdicts(nodes, {"int_risk_signals": signals(dict(shuffled))})
