"""How well the forecast tells when money comes: walked forward by month-ends, each with what was known that morning, beside naive ones.

    .venv/bin/python tests/benchmarks/forecast.py                       # the demo's book of three seeds
    .venv/bin/python tests/benchmarks/forecast.py FOLDER [FOLDER …]     # ledgers as files; WITHOUT=disputes leaves a dataset out

One landing has a load for every month-end, so that each morning has later ones it must not see (`known="then"`); what is not dated up to a
month-end is not delivered by it, and what was undone later is delivered as it stood. Printed is, per book: how many days the date of an
item is off and what that gains over the mean of its customer's last twelve months (with an interval that draws customers anew), the loss at
p50 and p80, how many are paid by p80, by age; how well the chances rank what came late; and the cash of open items and of everything.
The naive forecast has every item paid as late as its customer was on the mean, tomorrow where that day is gone, and every week of cash
like the mean of the thirteen before.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pyarrow as pa

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from dagster_project.contract import DATASETS, Dataset  # noqa: E402
from dagster_project.landing import Landing  # noqa: E402
from dagster_project.sources import Delivery, page_schema  # noqa: E402
from tests import compiled  # noqa: E402

SEEDS = ("arrears", "alpha", "beta")
DEMO_DAY = date(2026, 11, 27)
MONTH_ENDS, WEEKS = 12, 13
BANDS = ((-10_000, 0), (1, 10), (11, 30), (31, 60), (61, 10_000))
DRAWS = 1_000

DATED = {
    "invoices": "invoice_date",
    "payments": "payment_date",
    "refunds": "refunded_on",
    "allocations": "allocated_on",
    "disputes": "opened_on",
    "promises": "made_on",
    "activities": "occurred_at",
    "credit_exceptions": "requested_on",
    "credit_reviews": "reviewed_on",
    "exchange_rates": "rate_date",
    "control_balances": "as_of",
    "credit_scores": "scored_on",
}
"""The day from which a record is known."""
UNDONE = {
    "invoices": {"voided_on": ("voided_on",)},
    "payments": {"reversed_on": ("reversed_on",)},
    "refunds": {"reversed_on": ("reversed_on",)},
    "allocations": {"reversed_on": ("reversed_on", "reason")},
    "disputes": {"resolved_on": ("resolved_on", "outcome")},
    "credit_exceptions": {"approved_on": ("approved_on", "approved_by")},
}
"""What became known of a record later: by which date, and the columns that were empty until then."""
OF_INVOICES = ("instalments", "invoice_lines")
UNKNOWABLE = {"invoices": ("open_amount_reported", "updated_at"), "payments": ("updated_at",), "allocations": ("updated_at",)}
"""Columns that tell of the time of the export."""


class Ledger:
    """A folder of dataset files, as texts, asked for what was known on a day."""

    def __init__(self, folder: Path, without: Iterable[str] = ()):
        self.con = duckdb.connect()
        self.names = []
        for dataset in DATASETS.values():
            path = next(
                (path for path in (folder / f"{dataset.name}.{kind}" for kind in ("parquet", "csv")) if path.exists()), None
            )
            if path is None or dataset.name in without:
                continue
            read = (
                f"read_csv('{path}', header = true, all_varchar = true)" if path.suffix == ".csv" else f"read_parquet('{path}')"
            )
            self.con.execute(f"create table {dataset.name} as select * from {read}")
            self.names.append(dataset.name)

    def end(self) -> date:
        """The last day on which anything was paid."""
        (last,) = self.con.execute("select max(cast(payment_date as date)) from payments").fetchall()[0]
        return last

    def known_on(self, dataset: Dataset, day: date) -> pa.Table:
        there = {name for (name,) in self.con.execute(f"select column_name from (describe {dataset.name})").fetchall()}
        columns = []
        for name in page_schema(dataset).names:
            until = next((by for by, hidden in UNDONE.get(dataset.name, {}).items() if name in hidden and by in there), None)
            if name not in there or name in UNKNOWABLE.get(dataset.name, ()):
                columns.append(f"cast(null as varchar) as {name}")
            elif until:
                columns.append(f"case when cast({until} as date) <= date '{day}' then {name} end as {name}")
            else:
                columns.append(name)
        where = "true"
        if dataset.name in DATED:
            where = f"cast({DATED[dataset.name]} as date) <= date '{day}'"
        elif dataset.name in OF_INVOICES:
            where = f"invoice_id in (select invoice_id from invoices where cast(invoice_date as date) <= date '{day}')"
        return (
            self.con.sql(f"select {', '.join(columns)} from {dataset.name} where {where}")
            .to_arrow_table()
            .cast(page_schema(dataset))
        )


def land(landing: Landing, ledger: Ledger, day: date) -> None:
    """What a night of that day would have been delivered: everything there was."""
    for dataset in DATASETS.values():
        if dataset.name in ledger.names:
            known = ledger.known_on(dataset, day)
            landing.land(dataset, Delivery(iter([known] if known.num_rows else []), full=True, origin="known then"), day)
        else:
            landing.land(dataset, None, day)


class ForeseenError(Exception):
    """A morning knows what nobody could: a figure of it would be worth nothing. The message says what."""


def refuse_foreseen(con: duckdb.DuckDBPyConnection, ledger: Ledger, day: date) -> None:
    """Hold every record that a built morning was shown (`con`: its private file as `arrears`) against what the ledger says was known.

    Raises:
        ForeseenError: a record came later, or was another then.
    """
    for name in (name for name in ledger.names if name in DATED):
        dataset = DATASETS[name]
        told = [*dict.fromkeys((*dataset.key, DATED[name], *UNDONE.get(name, {})))]
        days = {DATED[name], *UNDONE.get(name, {})}  # a time is written in more than one way
        asked = ", ".join(f"left(cast({column} as varchar), {10 if column in days else 1_000}) as {column}" for column in told)
        con.register("known_then", ledger.known_on(dataset, day))
        found = con.execute(
            f"select {asked} from (from arrears.{dataset.group}.{name} where true "
            f"qualify row_number() over (partition by {', '.join(dataset.key)} order by _as_of desc, _loaded_at desc) = 1) "
            f"where not _deleted except select {asked} from known_then order by all limit 1"
        ).fetchall()
        con.unregister("known_then")
        if found:
            said = ", ".join(f"{column} {value}" for column, value in zip(told, found[0], strict=True))
            raise ForeseenError(f"the morning of {day} knows of {name} what came later: {said}")


def month_ends(last: date, number: int) -> list[date]:
    """The last `number` month-ends that have thirteen weeks after them, oldest first."""
    ends: list[date] = []
    day = last - timedelta(weeks=WEEKS)
    while len(ends) < number:
        day = day.replace(day=1) - timedelta(days=1) if (day + timedelta(days=1)).day != 1 else day
        ends.append(day)
        day = day.replace(day=1) - timedelta(days=1)
    return ends[::-1]


@dataclass
class Morning:
    """What was said on a month-end."""

    day: date
    items: list[dict[str, Any]]
    weeks: list[dict[str, Any]]
    """Of everything, by week: what open items, promises and documents not billed yet were said to bring."""
    orders: list[tuple[str, float, float, float]]
    """Of each past-due item the amount, and what may be lost of it: by tier and age, and by its own chance."""
    means: Mapping[str, tuple[float, float]]
    """By customer the mean of the days late of what it paid in twelve months, and the 80th percentile; `""` the book's."""


@dataclass
class Walk:
    mornings: list[Morning] = field(default_factory=list)
    ends: Mapping[str, tuple[str, date]] = field(default_factory=dict)
    """By item how it ended, `paid` or otherwise, and when."""
    cash: list[tuple[str, date, float]] = field(default_factory=list)
    """Item, day and amount of all that was ever put against one, in reporting currency."""
    received: list[tuple[date, float]] = field(default_factory=list)
    """Day and amount of all that came, in reporting currency."""


WEEKS_AHEAD = "select * from published.marts.cash_forecast_weekly where scope = 'total' order by week"
ITEMS = "select * from published.marts.expected_payments where curve <> 'none' order by item_id"
ORDERS = """
select item_id, amount, amount * coalesce(of_tier.loss_pct, of_any.loss_pct),
    amount * chance_gone_bad * coalesce(last_of_tier.loss_pct, last_of_any.loss_pct)
from (
    select item_id, open_items.customer_id, aging_bucket, cast(open_amount_reporting as double) as amount,
        cast(chance_gone_bad as double) as chance_gone_bad
    from arrears.intermediate.int_open_items as open_items
    join arrears.intermediate.int_expected_payments using (item_key)
    join arrears.intermediate.int_receivable_items using (item_key)
    where days_past_due > 0
) as past_due
left join arrears.intermediate.int_risk_tiers as tiers using (customer_id)
left join rates as of_tier on of_tier.tier = tiers.tier_in_force and of_tier.aging_bucket = past_due.aging_bucket
left join rates as of_any on of_any.tier = '*' and of_any.aging_bucket = past_due.aging_bucket
left join rates as last_of_tier on last_of_tier.tier = tiers.tier_in_force and last_of_tier.aging_bucket = '90+'
left join rates as last_of_any on last_of_any.tier = '*' and last_of_any.aging_bucket = '90+'
order by item_id
"""
RATES = """
create temp table rates as select tier, aging_bucket, cast(loss_pct as double) as loss_pct
from arrears.policy.worklist_priority where policy in ('*', 'net_terms')
"""
MEANS = """
select items.customer_id, avg(days), quantile_cont(days, 0.8)
from (select *, least(days_late, 365) as days from (
    select customer_id, item_key, datediff('day', due_date, ended_on) as days_late, ended_on from arrears.intermediate.int_payment_delays
    join (select item_key, due_date from arrears.intermediate.int_receivable_items) using (item_key)
    where outcome = 'paid' and ended_on > date '{day}' - interval 12 month)) as items
group by grouping sets ((customer_id), ())
"""
ENDS = """
select item_id, outcome, ended_on from arrears.intermediate.int_payment_delays
join arrears.intermediate.int_receivable_items using (item_key)
"""
IN_REPORTING = """
join arrears.intermediate.int_companies as companies using (company_id)
left join arrears.intermediate.int_exchange_rates as rates on rates.from_currency = paid.currency
    and rates.to_currency = companies.reporting_currency
    and rates.valid_from <= payment_date and (rates.valid_to is null or rates.valid_to > payment_date)
"""
CASH = f"""
select item_id, payment_date, cast(amount * coalesce(rate, 1) as double)
from arrears.intermediate.int_item_allocations as paid {IN_REPORTING}
where source_type = 'payment' and ended_on is null
"""
RECEIVED = f"""
select payment_date, cast(sum(amount * coalesce(rate, 1)) as double) from arrears.intermediate.int_payments as paid {IN_REPORTING}
where reversed_on is null group by payment_date
"""


def walked(ledger: Ledger, scratch: Path, number: int = MONTH_ENDS) -> Walk:
    """Every month-end as it was known then, and the end as it is known now."""
    nodes = compiled.needed_for(
        compiled.compiled(), "expected_payments", "cash_forecast_weekly", "int_risk_tiers", "worklist_priority"
    )
    last = ledger.end()
    days = month_ends(last, number)
    landing = Landing(scratch / "landing", scratch / "quarantine")
    for day in (*days, last):
        land(landing, ledger, day)
    walk = Walk()
    for day in (*days, last):
        built = compiled.build(nodes, landing, day, scratch / f"{day}", "then", test=False)
        refuse_foreseen(built.con, ledger, day)
        if day < last:
            means = {customer or "": (mean, high) for customer, mean, high in built.con.execute(MEANS.format(day=day)).fetchall()}
            items, weeks = (built.con.sql(asked).to_arrow_table().to_pylist() for asked in (ITEMS, WEEKS_AHEAD))
            built.con.execute(RATES)
            orders = built.con.execute(ORDERS).fetchall()
            walk.mornings.append(Morning(day, items, weeks, orders, means))
        else:
            walk.ends = {item: (outcome, ended) for item, outcome, ended in built.con.execute(ENDS).fetchall()}
            walk.cash = built.con.execute(CASH).fetchall()
            walk.received = built.con.execute(RECEIVED).fetchall()
        built.con.close()
    return walk


# --- figures ----------------------------------------------------------------------------------------------------------


def auc(pairs: Sequence[tuple[float, bool]]) -> float:
    """How often something that is true has the higher score than something that is not; ties count half."""
    ordered = sorted(pairs)
    ranks: dict[float, float] = {}
    place = 0
    while place < len(ordered):
        until = place
        while until < len(ordered) and ordered[until][0] == ordered[place][0]:
            until += 1
        ranks[ordered[place][0]] = (place + until + 1) / 2
        place = until
    true = [ranks[score] for score, is_true in pairs if is_true]
    false = len(pairs) - len(true)
    return (sum(true) - len(true) * (len(true) + 1) / 2) / (len(true) * false) if true and false else float("nan")


def pinball(actual: float, said: float, level: float) -> float:
    return level * (actual - said) if actual >= said else (1 - level) * (said - actual)


def mean(values: Iterable[float]) -> float:
    kept = list(values)
    return sum(kept) / len(kept) if kept else float("nan")


@dataclass
class Case:
    """An open item of a month-end: what was said of it, and what became of it. Days count from its due date."""

    customer: str
    age: int
    amount: float
    p50: float
    p80: float
    naive50: float
    naive80: float
    chance_late: float
    chance_10: float
    chance_30: float
    naive_days: float
    actual: int | None
    """Days late it was paid; None where it was not, or not by cash."""
    seen_until: int
    """Days late up to which it is known whether it was open."""


def cases(walk: Walk) -> Iterator[list[Case]]:
    """By month-end."""
    for morning in walk.mornings:
        found = []
        for item in morning.items:
            if item["due_date"] is None or item["item_id"] not in walk.ends:
                continue
            outcome, ended = walk.ends[item["item_id"]]
            if outcome == "closed" or ended <= morning.day:
                continue
            age = item["days_past_due"]
            days, high = morning.means.get(item["customer_id"], morning.means[""])
            late = (ended - item["due_date"]).days
            found.append(
                Case(
                    customer=item["customer_id"],
                    age=age,
                    amount=float(item["open_amount_reporting"]),
                    p50=(item["expected_on"] - item["due_date"]).days if item["expected_on"] else age + 365,
                    p80=(item["p80_on"] - item["due_date"]).days if item["p80_on"] else age + 365,
                    naive50=max(days, age + 1),
                    naive80=max(high, age + 1),
                    chance_late=float(item["chance_later_0"]),
                    chance_10=float(item["chance_later_10"]),
                    chance_30=float(item["chance_later_30"]),
                    naive_days=days,
                    actual=late if outcome == "paid" else None,
                    seen_until=late,
                )
            )
        yield found


def told(title: str, walk: Walk) -> None:
    by_morning = list(cases(walk))
    every = [case for found in by_morning for case in found]
    paid = [case for case in every if case.actual is not None]
    print(f"\n{title}: {len(walk.mornings)} month-ends, {walk.mornings[0].day} to {walk.mornings[-1].day}; {len(every):,} open items, "
          f"{len(paid):,} paid since")  # fmt: skip
    ours, naive = (mean(abs(case.actual - said(case)) for case in paid) for said in (lambda c: c.p50, lambda c: c.naive50))
    print(f"days off              {ours:6.2f}   naive {naive:6.2f}")
    low, high = gain_interval(paid)
    print(f"gain over naive       {naive - ours:6.2f}   95 % of draws of customers between {low:.2f} and {high:.2f}")
    for level, said, beside in ((0.5, "p50", "naive50"), (0.8, "p80", "naive80")):
        losses = [mean(pinball(case.actual, getattr(case, which), level) for case in paid) for which in (said, beside)]
        print(f"loss at {said}           {losses[0]:6.3f}   naive {losses[1]:6.3f}")
    known = [case for case in every if case.actual is not None or case.seen_until >= case.p80]
    print(f"paid by p80           {within(known):6.1%}", end="   by days past due: ")
    print(", ".join(
        f"{max(low, -99)}…{min(high, 999)} {within(band):.1%} of {len(band)}"
        for low, high in BANDS if (band := [case for case in known if low <= case.age <= high])
    ))  # fmt: skip
    for days, score in ((0, "chance_late"), (10, "chance_10"), (30, "chance_30")):
        undecided = [case for case in every if case.age <= days and (case.actual is not None or case.seen_until > days)]
        outcomes = [(case.actual is None or case.actual > days) for case in undecided]
        areas = [
            auc([(getattr(c, which), late) for c, late in zip(undecided, outcomes, strict=True)])
            for which in (score, "naive_days")
        ]
        print(f"AUC later than {days:>2} d    {areas[0]:6.3f}   naive {areas[1]:6.3f}   ({sum(outcomes):,} of {len(outcomes):,})")
    everything = [
        auc([(getattr(c, which), c.actual is None or c.actual > 0) for c in every if c.actual is not None or c.seen_until > 0])
        for which in ("chance_late", "naive50")
    ]
    print(f"AUC late, all open    {everything[0]:6.3f}   naive {everything[1]:6.3f}   those late already included")
    print(f"top fifth             {mean(top_fifth(found, 'chance_10') for found in by_morning):6.1%}   "
          f"naive {mean(top_fifth(found, 'naive_days') for found in by_morning):6.1%}   of the money later than 10 days")  # fmt: skip
    cash_told(walk)
    orders_told(walk)


def cash_told(walk: Walk) -> None:
    """Of each month-end the cash of what was open, and of everything, off by how much of what came."""
    lines: dict[str, list[tuple[float, float, float]]] = {
        "open items, week 4": [],
        "open items, weeks 1-4": [],
        "all, 13 weeks": [],
    }
    inside = []
    for morning in walk.mornings:
        open_then = {item["item_id"] for item in morning.items}

        def week_of(day: date, since: date = morning.day) -> int:
            return -(-(day - since).days // 7)

        came: dict[int, float] = {}
        for item_id, day, amount in walk.cash:
            if item_id in open_then and day > morning.day:
                came[week_of(day)] = came.get(week_of(day), 0) + amount
        received = [(week_of(day), amount) for day, amount in walk.received]
        all_came = sum(amount for week, amount in received if 1 <= week <= WEEKS)
        before = sum(amount for week, amount in received if -WEEKS < week <= 0)
        said = {row["week"]: float(row["open_items"] + row["promised"]) for row in morning.weeks}
        naive: dict[int, float] = {}
        for item in morning.items:
            days, _ = morning.means.get(item["customer_id"], morning.means[""])
            if item["due_date"] is not None:
                week = week_of(max(item["due_date"] + timedelta(days=round(days)), morning.day + timedelta(days=1)))
                naive[week] = naive.get(week, 0) + float(item["open_amount_reporting"])
        for row in morning.weeks:
            inside.append(
                float(row["p20"]) <= sum(amount for week, amount in received if week == row["week"]) <= float(row["p80"])
            )
        for title, weeks in (("open items, week 4", (4,)), ("open items, weeks 1-4", (1, 2, 3, 4))):
            lines[title].append(tuple(sum(by.get(week, 0) for week in weeks) for by in (said, naive, came)))  # type: ignore[arg-type]
        lines["all, 13 weeks"].append((sum(float(row["expected"]) for row in morning.weeks), before, all_came))
    for title, rows in lines.items():
        ours, naive_off = (mean(abs(row[which] - row[2]) / row[2] for row in rows if row[2]) for which in (0, 1))
        lean, naive_lean = (sum(row[which] for row in rows) / sum(row[2] for row in rows) - 1 for which in (0, 1))
        print(f"{title:<22}{ours:6.1%}   naive {naive_off:6.1%}   together {lean:+.1%}, naive {naive_lean:+.1%}")
    print(f"weeks within p20-p80  {mean(inside):6.1%}")


def orders_told(walk: Walk) -> None:
    """Of the past-due money of a month-end what came within 14 days, and did not within 60, by who was at the top of a list."""
    soon, never = ([[], []], [[], []])  # type: tuple[list[list[float]], list[list[float]]]
    for morning in walk.mornings:
        came: dict[str, list[float]] = {}
        for item_id, day, amount in walk.cash:
            if morning.day < day <= morning.day + timedelta(days=60):
                parts = came.setdefault(item_id, [0.0, 0.0])
                parts[0] += amount if day <= morning.day + timedelta(days=14) else 0
                parts[1] += amount
        for place in (0, 1):
            ranked = sorted(morning.orders, key=lambda row: (-(row[2 + place] or 0), row[0]))
            top = ranked[: -(-len(ranked) // 5)]
            soon[place].append(sum(came.get(row[0], [0, 0])[0] for row in top))
            left = [max(row[1] - came.get(row[0], [0, 0])[1], 0) for row in ranked]
            never[place].append(sum(left[: len(top)]) / sum(left) if sum(left) else float("nan"))
    print(f"came in 14 days       {sum(soon[1]):,.0f} of the top fifth by own chance, {sum(soon[0]):,.0f} by tier and age")
    print(f"not in 60 days        {mean(x for x in never[1] if x == x):.1%} in the top fifth by own chance, "
          f"{mean(x for x in never[0] if x == x):.1%} by tier and age")  # fmt: skip


def within(found: Sequence[Case]) -> float:
    return mean(case.actual is not None and case.actual <= case.p80 for case in found)


def gain_interval(paid: Sequence[Case]) -> tuple[float, float]:
    by_customer: dict[str, list[float]] = {}
    for case in paid:
        assert case.actual is not None
        by_customer.setdefault(case.customer, []).append(abs(case.actual - case.naive50) - abs(case.actual - case.p50))
    sums = [(sum(gains), len(gains)) for gains in by_customer.values()]
    dice = Random(7)
    draws = []
    for _ in range(DRAWS):
        drawn = dice.choices(sums, k=len(sums))
        draws.append(sum(gain for gain, _ in drawn) / sum(number for _, number in drawn))
    draws.sort()
    return draws[int(DRAWS * 0.025)], draws[int(DRAWS * 0.975)]


def top_fifth(found: Sequence[Case], score: str) -> float:
    """Of the money that came, or will come, later than ten days, the share in the fifth of the items at the top of amount x score."""
    undecided = [case for case in found if case.age <= 10 and (case.actual is not None or case.seen_until > 10)]
    ranked = sorted(undecided, key=lambda case: -case.amount * max(getattr(case, score), 0))
    late = [case.amount if case.actual is None or case.actual > 10 else 0.0 for case in ranked]
    return sum(late[: -(-len(late) // 5)]) / sum(late) if sum(late) else float("nan")


def demo_folder(seed: str, scratch: Path) -> Path:
    folder = scratch / f"demo-{seed}"
    command = [sys.executable, "-m", "dagster_project.demo", "--as-of", str(DEMO_DAY), "--seed", seed, "--clean"]
    subprocess.run(
        [*command, "--format", "parquet", "--write-files", str(folder)], check=True, cwd=ROOT, stdout=subprocess.DEVNULL
    )
    return folder


def main() -> None:
    without = os.environ.get("WITHOUT", "").split()
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        folders = [Path(name) for name in sys.argv[1:]] or [demo_folder(seed, scratch) for seed in SEEDS]
        for number, folder in enumerate(folders):
            told(folder.name, walked(Ledger(folder, without), scratch / str(number)))


if __name__ == "__main__":
    main()
