"""What the first night would do, in the words of whoever looks after receivables: for a company that puts its books in for the first time.

Belongs here: the report on a night that was rehearsed, as Markdown that reads as well in a terminal. Does not belong here: going through
the night (`rehearsal.py`), rules about rows — every number here is a column of a mart or model, counted or summed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import duckdb

from dagster_project.amounts import digits_on, written
from dagster_project.contract import DATASETS
from dagster_project.rehearsal import Rehearsal
from dagster_project.settings import Settings
from dagster_project.sources.catalogue import CONNECTORS
from dagster_project.tables import humanise
from dagster_project.words import message, printable

WITHOUT: Final = {
    "companies": "everything belongs to one legal entity, in the reporting currency",
    "contacts": "letters go to the customer's own address, and there is nobody above it to turn to",
    "payment_terms": "due dates are those of the invoices, terms cannot be checked, no discount is offered",
    "instalments": "every invoice falls due at once",
    "invoice_lines": "lines cannot be added up",
    "refunds": "money that was paid back counts as if it were still here",
    "allocations": "cash counts only where a payment names its invoice; the rest stays unapplied",
    "disputes": "nothing is contested but what collectors report",
    "promises": "nothing is promised but what collectors report",
    "activities": "nobody is known to have been contacted before: every contact is a first one",
    "credit_exceptions": "no longer terms and no higher limit are known to be approved",
    "credit_reviews": "tiers are the night's own verdict, and nobody is told that a review is due by its date",
    "exchange_rates": "documents in another currency cannot be converted (ARREARS_RATES=ecb fetches the ECB's rates)",
    "control_balances": "nothing can be held against the ledger's control account: every output says unverified",
    "credit_scores": "tiers rest on your own ledger alone, which makes nobody's tier the best",
}
"""What is not there where a dataset is not delivered."""

DAYS_SHOWN, WEEKS_SHOWN = 10, 13
"""Days of first contacts, then weeks; weeks of credit reviews. What comes later is summed up."""
COLLECTORS_SHOWN = 6
CAUSES_SHOWN = 5
ROWS_SHOWN = 12


def report(settings: Settings, rehearsal: Rehearsal) -> str:
    """The report, as Markdown."""
    if rehearsal.built is None:
        return _laid(_Report(settings, rehearsal, None).parts())
    with rehearsal.built.looked_into() as con:
        con.execute("use published.marts")
        return _laid(_Report(settings, rehearsal, con).parts())


def keep(settings: Settings, as_of: date, text: str) -> Path:
    """Write a report where it can be handed round, in the place of an earlier one of the day."""
    path = settings.home / "adopt" / f"{as_of}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, "utf-8")
    os.replace(beside, path)
    return path


def _laid(parts: Iterator[str]) -> str:
    return message("\n\n".join(part for part in parts if part)) + "\n"


class _Report:
    def __init__(self, settings: Settings, rehearsal: Rehearsal, con: duckdb.DuckDBPyConnection | None):
        self.settings, self.rehearsal, self.as_of = settings, rehearsal, rehearsal.as_of
        self._con = con
        self._digits = digits_on(self.as_of, settings.policy)

    def rows(self, sql: str, *given: Any) -> list[tuple[Any, ...]]:
        assert self._con is not None
        return self._con.execute(sql, list(given)).fetchall()

    def parts(self) -> Iterator[str]:
        yield f"# The first night, before it happens: {self.as_of}"
        connector = CONNECTORS[self.settings.source]
        yield (
            f"From {self.settings.source} ({connector.words(self.settings.own(connector))}), by the policy {self.settings.policy}. "
            "Nothing was landed, published, issued or sent."
        )
        if self._con is None:
            yield from self.before_anything()
            return
        yield "## In short"
        yield self.in_short()
        yield "## 1. What stands in the way"
        yield from self.in_the_way()
        yield "## 2. What is missing or dirty"
        yield from self.data()
        yield "## 3. Does it tie"
        yield from self.ties()
        yield "## 4. The first morning's list"
        yield from self.first_list()
        yield "## 5. The first weeks"
        yield from self.first_weeks()
        yield "## 6. Credit reviews"
        yield from self.reviews()
        yield "## 7. Exceptions"
        yield from self.exceptions()
        yield "## 8. Tiers"
        yield from self.tiers()
        yield "## 9. The pilot to start with"
        yield from self.pilot()

    # --- in short ----------------------------------------------------------------------------------------------------

    def before_anything(self) -> Iterator[str]:
        yield "The night would stop before it could build anything. What stands in the way:"
        yield _listed(self.rehearsal.stops)
        yield from self.records()

    def in_short(self) -> str:
        lines = [self.verdict(), self.owed(), self.contacts_in_short(), self.reviews_in_short(), self.exceptions_in_short()]
        refused, issues = sum(load.quarantined for load in self.rehearsal.loads.values()), self.issues
        mend = [_counted(refused, "record") + " that could not be read"] if refused else []
        mend += [_counted(sum(count for _, _, count, *_ in issues), "fault") + " of customer records"] if issues else []
        return _bullets([*lines, f"To mend: {' and '.join(mend)}, below." if mend else "All records could be read."])

    def verdict(self) -> str:
        stops = len(self.rehearsal.stops)
        if not stops:
            return "A list would go out."
        return f"No list would go out: {stops} {'thing stands' if stops == 1 else 'things stand'} in the way (1)."

    def owed(self) -> str:
        found = self.rows(
            """
            select count(distinct customer_id), count(*), coalesce(sum(open_amount_reporting), 0),
                   coalesce(sum(open_amount_reporting) filter (days_past_due > 0), 0), count(*) - count(open_amount_reporting)
            from open_items where item_type in ('invoice', 'debit_memo') and open_amount > 0
            """
        )
        customers, items, amount, late, unknown = found[0]
        owe = f"{_counted(customers, 'customer')} {'owes' if customers == 1 else 'owe'}"
        on = f"on {_counted(items, 'document')}"
        if unknown == items:
            return f"{owe} {on}; how much is not known for want of exchange rates." if items else "Nobody owes anything."
        share = f", {late / amount:.0%} of it" if amount else ""
        left_out = f" {unknown:,} of them are in no sum below, for want of exchange rates." if unknown else ""
        return f"{owe} {_whole(amount)} {self.currency} {on}; {_whole(late)} is past due{share}.{left_out}"

    def contacts_in_short(self) -> str:
        today, waiting = len(self.contacts), len(self.waiting)
        if not today and not waiting:
            return "Nobody would be contacted this morning."
        first = sum(1 for row in self.contacts if row[4])
        told = f"{_counted(today, 'customer')} would be contacted this morning, {first:,} of them for the first time"
        if not waiting:
            return f"{told}; nobody has to wait for a collector's time."
        return f"{told}; {waiting:,} wait their turn, the last until {max(row[4] for row in self.waiting)}."

    def reviews_in_short(self) -> str:
        planned = [row for row in self.planned if row[0] >= self.as_of]
        last = f"; {len(planned):,} more are planned until {max(row[0] for row in planned)}" if planned else ""
        return f"{_counted(self.due_reviews, 'credit review')} would be due{last}."

    def exceptions_in_short(self) -> str:
        invoices, customers = self.before_policy
        told = f"Policy binds from {self.adopted_on}"
        if not invoices:
            return f"{told}; nothing before it has longer terms than its tier allows."
        return (
            f"{told}: {_counted(invoices, 'invoice')} of {_counted(customers, 'customer')} from before with longer terms than the tier "
            "allows are no exceptions."
        )

    # --- 1 -----------------------------------------------------------------------------------------------------------

    def in_the_way(self) -> Iterator[str]:
        if self.rehearsal.stops:
            yield "The night would end at the first of these, without a list:"
            yield _listed(self.rehearsal.stops)
        else:
            yield "Nothing would stop the night."
        if self.rehearsal.warnings:
            yield "It would go on in spite of:"
            yield _bullets(self.rehearsal.warnings)

    # --- 2 -----------------------------------------------------------------------------------------------------------

    def data(self) -> Iterator[str]:
        yield from self.records()
        yield "### What is not known of customers who owe"
        yield self.unknowns()
        if self.issues:
            yield "### Customer records to mend"
            yield _table(
                ["What is wrong", "Customers", self.named("They owe"), "What mends it"],
                [[label, f"{count:,}", _whole(amount), do] for label, _, count, amount, do in self.issues],
                right=(1, 2),
            )
        if errors := self.rows(
            "select rule, count(distinct invoice_id), any_value(detail order by invoice_id) from invoice_errors "
            "group by 1 order by 2 desc, 1"
        ):
            yield "### Invoices that went out wrong"
            yield _table(
                ["Rule", "Invoices", "Such as"],
                [[humanise(rule), f"{count:,}", _short(detail)] for rule, count, detail in errors],
                right=(1,),
            )

    def records(self) -> Iterator[str]:
        loads = self.rehearsal.loads
        delivered = {name: load for name, load in loads.items() if not load.absent}
        if delivered:
            yield "### Records"
            yield _table(
                ["Dataset", "Received", "Refused", "Newest of"],
                [
                    [name, f"{load.received:,}", f"{load.quarantined:,}" if load.quarantined else "", load.newest_on or ""]
                    for name, load in delivered.items()
                ],
                right=(1, 2),
            )
        if refused := [
            [name, reason.rstrip(":"), f"{count:,}", printable(load.examples.get(reason, ""))]
            for name, load in delivered.items()
            for reason, count in load.reasons.items()
        ]:
            yield f"Refused, each with the record as received in `{_shown(self.settings, self.settings.quarantine)}/`:"
            yield _table(["Dataset", "Why", "Records", "Such as"], refused, right=(2,))
        if found := [line for load in delivered.values() for line in load.found]:
            yield "### How files were read"
            yield _bullets(found)
        if absent := [name for name in DATASETS if name in WITHOUT and name in loads and loads[name].absent]:
            yield "### Not delivered"
            yield _table(["Dataset", "Without it"], [[name, WITHOUT[name]] for name in absent])

    def unknowns(self) -> str:
        found = self.rows(
            """
            with owing as (
                select credit_limit_use.customer_id, credit_limit_use.balance, credit_limit_use.limit_source
                from credit_limit_use where credit_limit_use.balance > 0
            ),
            written as (
                select customer_id, count(nullif(trim(email), '')) as emails, count(nullif(trim(phone), '')) as phones
                from (
                    select customer_id, email, phone from arrears.intermediate.int_customers
                    union all select customer_id, email, phone from arrears.staging.stg_erp__contacts
                ) as addresses group by 1
            ),
            scored as (
                select customer_id from arrears.intermediate.int_risk_signals where is_as_of and bureau_score is not null
            ),
            known as (
                select owing.*, coalesce(emails, 0) as emails, coalesce(phones, 0) as phones, customers.payment_terms,
                       scored.customer_id is not null as has_score, risk_tiers.last_reviewed_on
                from owing
                left join arrears.intermediate.int_customers as customers using (customer_id)
                left join written using (customer_id) left join scored using (customer_id) left join risk_tiers using (customer_id)
            )
            select count(*), sum(balance) from known
            union all select count(*), sum(balance) from known where emails = 0
            union all select count(*), sum(balance) from known where emails + phones = 0
            union all select count(*), sum(balance) from known where payment_terms is null
            union all select count(*), sum(balance) from known where limit_source <> 'customer'
            union all select count(*), sum(balance) from known where not has_score
            union all select count(*), sum(balance) from known where last_reviewed_on is null
            """
        )
        words = (
            ("No e-mail address", "nobody can be written to"),
            ("Neither an e-mail address nor a telephone number", "held back as no contact, if others have one"),
            ("No payment terms", "due dates are those of the invoices alone"),
            ("No credit limit of its own", "the tier's counts"),
            ("No bureau score", "no outside evidence for the tier"),
            ("Never reviewed", "the tier is the night's own verdict"),
        )
        (all_of_them, _), *each = found
        lines = [
            [what, f"{count:,} of {all_of_them:,}", _whole(amount), then]
            for (what, then), (count, amount) in zip(words, each, strict=True)
            if count
        ]
        dateless = self.rows("select count(*), sum(open_amount_reporting) from open_items where aging_bucket = 'no_due_date'")
        lines += [["No due date", f"{count:,} documents", _whole(amount), "never dunned"] for count, amount in dateless if count]
        return (
            _table(["What", "Of how many", self.named("They owe"), "So"], lines, right=(1, 2)) if lines else "Nothing is missing."
        )

    @cached_property
    def issues(self) -> list[tuple[Any, ...]]:
        return self.rows(
            """
            select any_value(label), issue, count(*), sum(exposure_amount), any_value(what_to_do) from customer_data_issues
            group by issue, severity
            order by case severity when 'high' then 1 when 'medium' then 2 else 3 end, 4 desc, 2
            """
        )

    # --- 3 -----------------------------------------------------------------------------------------------------------

    def ties(self) -> Iterator[str]:
        rows = self.rows(
            "select company_id, currency, subledger_balance, control_balance, difference, state from control_reconciliation order by 1"
        )
        yield _table(
            ["Entity", "Currency", "Open items less credits", "Control account", "Difference", ""],
            [
                [company, currency, *(self.written(amount, currency) for amount in (ours, ledger, difference)), state]
                for company, currency, ours, ledger, difference, state in rows
            ],
            right=(2, 3, 4),
        )
        if causes := self.rows(
            "select company_id, detail from control_differences where place <= ? order by company_id, place", CAUSES_SHOWN
        ):
            yield "What may be the difference, the likeliest first (mart `control_differences`):"
            yield _bullets([f"{company}: {detail}" for company, detail in causes])
        if apart := self.rows(
            "select likely_cause, count(*), any_value(document_number order by document_number) from document_reconciliation "
            "group by 1 order by 2 desc, 1 limit ?",
            ROWS_SHOWN,
        ):
            yield "Documents that the source holds open at another amount (mart `document_reconciliation`):"
            yield _table(
                ["Likely cause", "Documents", "Such as"],
                [[cause, f"{count:,}", number] for cause, count, number in apart],
                right=(1,),
            )

    # --- 4, 5 --------------------------------------------------------------------------------------------------------

    @cached_property
    def contacts(self) -> list[tuple[str, str, str, Decimal, bool]]:
        """Customer, collector, step, what is past due, whether nothing was ever said to it before."""
        return self.rows(
            "select customer_id, collector, step, coalesce(past_due_amount, 0), last_contact_on is null and change = 'new' "
            "from dunning_worklist order by rank"
        )

    @cached_property
    def waiting(self) -> list[tuple[str, str, str, Decimal, date]]:
        """Customer, collector, step, what is past due, the day it is planned for."""
        return self.rows(
            """
            select customer_id, any_value(collector), arg_max(step, severity),
                   coalesce(sum(dunnable_amount_reporting) filter (days_past_due > 0), 0), max(held_until)
            from dunning_items where held_reason = 'waiting_its_turn' group by 1 order by 5, 4 desc, 1
            """
        )

    def first_list(self) -> Iterator[str]:
        if self.contacts or self.waiting:
            steps = self.rows("select step, max(severity) from dunning_items where step is not null group by 1 order by 2, 1")
            yield _table(
                ["Step", "This morning", self.named("Past due"), "Wait their turn", self.named("Past due")],
                [
                    [humanise(step), *_amounts([row for row in self.contacts if row[2] == step]), *_amounts(waits)]
                    for step, _ in steps
                    if (waits := [row for row in self.waiting if row[2] == step]) or any(row[2] == step for row in self.contacts)
                ],
                right=(1, 2, 3, 4),
            )
            yield _table(
                ["Collector", "This morning", self.named("Past due"), "Wait their turn", "Through by"],
                list(self.by_collector()),
                right=(1, 2, 3),
            )
        elif self.as_of.isoweekday() > 5:
            yield f"{self.as_of:%A} is a day off, on which nobody is written to: try a working day (make adopt DATE=2025-06-30)."
        held = self.rows(
            "select held_reason, count(*), count(distinct customer_id), sum(open_amount_reporting) from dunning_items "
            "where held_reason is not null group by 1 order by 2 desc, 1"
        )
        if held:
            yield "Past due or due for a word, and held back, each with its reason in `dunning_items`:"
            yield _table(
                ["Why", "Items", "Customers", self.named("Open")],
                [[humanise(reason), f"{items:,}", f"{customers:,}", _whole(amount)] for reason, items, customers, amount in held],
                right=(1, 2, 3),
            )

    def by_collector(self) -> Iterator[list[str]]:
        for collector in self.collectors:
            mine = [row for row in self.contacts if row[1] == collector]
            left = [row for row in self.waiting if row[1] == collector]
            yield [
                *(printable(collector), *_amounts(mine)),
                *(f"{len(left):,}" if left else "", str(max(row[4] for row in left)) if left else "this morning"),
            ]

    @cached_property
    def collectors(self) -> list[str]:
        """Those with somebody to contact, the longest queue first."""
        queue: dict[str, int] = {}
        for row in [*self.contacts, *self.waiting]:
            queue[row[1]] = queue.get(row[1], 0) + 1
        return sorted(queue, key=lambda collector: (-queue[collector], collector))

    def first_weeks(self) -> Iterator[str]:
        if not self.waiting:
            yield (
                "Everybody who is due to be contacted is contacted this morning."
                if self.contacts
                else "Nobody is due to be contacted."
            )
            return
        yield (
            "Contacts a day until the backlog is through, as many as a collector's day holds (`dunning_policy.csv`, "
            "`collector_minutes_a_day`, and `minutes` of each step): the most money at risk first. What falls due meanwhile, and the next "
            "steps of those contacted, come on top; each morning plans anew."
        )
        days = [(self.as_of, row[1]) for row in self.contacts] + [(row[4], row[1]) for row in self.waiting]
        shown = self.collectors[:COLLECTORS_SHOWN]
        others = len(self.collectors) > len(shown)
        dates = sorted({day for day, _ in days})
        spans = [(f"{day:%a} {day}", day, day) for day in dates[:DAYS_SHOWN]]
        for day in dates[DAYS_SHOWN:]:
            monday = day - timedelta(days=day.weekday())
            if spans[-1][1] != monday or spans[-1][0][:4] != "week":
                spans.append((f"week of {monday}", monday, monday + timedelta(days=6)))
        lines = []
        for number, (name, first, last) in enumerate(spans):
            after = spans[number - 1][2] if number else date.min
            mine = [collector for day, collector in days if after < day <= last and first <= day]
            counts = [sum(collector == each for each in mine) for collector in shown]
            counts += [len(mine) - sum(counts)] if others else []
            lines.append([name, f"{len(mine):,}", *(f"{count:,}" if count else "" for count in counts)])
        heads = ["Day", "Contacts", *map(printable, shown), *(["others"] if others else [])]
        yield _table(heads, lines, right=range(1, len(heads)))

    # --- 6, 7 --------------------------------------------------------------------------------------------------------

    @cached_property
    def due_reviews(self) -> int:
        return int(self.rows("select count(*) from credit_reviews_due where due_on <= ?", self.as_of)[0][0])

    @cached_property
    def planned(self) -> list[tuple[date, str, Decimal]]:
        """The first reviews of who was never reviewed: day, tier, what it owes."""
        return self.rows(
            """
            select planned.planned_on, risk_tiers.tier_in_force, coalesce(greatest(credit_limit_use.balance, 0), 0)
            from arrears.intermediate.int_review_plan as planned
            inner join risk_tiers using (customer_id)
            left join credit_limit_use using (customer_id)
            where coalesce(credit_limit_use.status, '') <> 'closed'
            order by all
            """
        )

    def reviews(self) -> Iterator[str]:
        due = self.rows(
            "select trigger, count(*), sum(exposure_amount) from credit_reviews_due where due_on <= ? group by 1 order by 2 desc, 1",
            self.as_of,
        )
        if due:
            yield "Due at once, by the first reason of each:"
            yield _table(
                ["Why", "Accounts", self.named("They owe")],
                [[humanise(trigger), f"{count:,}", _whole(amount)] for trigger, count, amount in due],
                right=(1, 2),
            )
        else:
            yield "None is due at once."
        if not self.planned:
            return
        yield (
            "Accounts that were never reviewed get their first review over one cycle of their tier from the day policy binds, the worst "
            "tier and the largest exposure first."
        )
        if not self.rows("select count(*) from risk_tiers where last_reviewed_on is not null")[0][0]:
            yield (
                "The source delivers no reviews, so nobody would be reminded of these: deliver them (`credit_reviews`) once they are held."
            )
        weeks = [[Decimal(0), Decimal(0)] for _ in range(WEEKS_SHOWN + 1)]
        for day, _, amount in self.planned:
            week = weeks[min(max((day - self.as_of).days, 0) // 7, WEEKS_SHOWN)]
            week[0], week[1] = week[0] + 1, week[1] + amount
        names = [f"{self.as_of + timedelta(days=7 * number)}" for number in range(WEEKS_SHOWN)]
        later = max(day for day, *_ in self.planned)
        yield _table(
            ["Week from", "Reviews", self.named("They owe")],
            [[name, *map(_whole, week)] for name, week in zip([*names, f"later, until {later}"], weeks, strict=True) if week[0]],
            right=(1, 2),
        )

    @cached_property
    def adopted_on(self) -> date:
        day: date = self.rows("select adopted_on from arrears.policy.policy_adopted")[0][0]
        return day

    @cached_property
    def before_policy(self) -> tuple[int, int]:
        invoices, customers = self.rows(
            "select count(*), count(distinct customer_id) from arrears.intermediate.int_credit_exceptions where is_before_policy"
        )[0]
        return invoices, customers

    def exceptions(self) -> Iterator[str]:
        listed = self.rows(
            """
            select
                case
                    when not declared then 'Undeclared, since policy binds' when is_counted then 'Approved' else 'Requested, not approved'
                end,
                count(*), count(distinct customer_id)
            from credit_exceptions group by 1 order by 1
            """
        )
        yield f"Policy binds from {self.adopted_on} (`policy_adoption.csv`; the first morning landed where it says nothing)."
        yield (
            _table(
                ["Exceptions", "Listed", "Customers"],
                [[what, f"{count:,}", f"{who:,}"] for what, count, who in listed],
                right=(1, 2),
            )
            if listed
            else "No exception would be listed."
        )
        terms = self.rows(
            """
            select tier, cast(any_value(allowed) as integer), count(*), count(distinct customer_id), cast(median(granted) as integer),
                   cast(max(granted) as integer), max(dated_on)
            from arrears.intermediate.int_credit_exceptions where is_before_policy group by 1 order by 3 desc, 1
            """
        )
        if terms:
            yield (
                "From before (`before_policy`, no exceptions): terms longer than the tier allows. Each such invoice from that day on is an "
                "undeclared exception, unless the terms change or somebody approves them (`credit_exceptions`)."
            )
            yield _table(
                ["Tier", "Days allowed", "Invoices", "Customers", "Days given, mostly", "at most", "Newest of"],
                [
                    [tier, f"{allowed}", f"{count:,}", f"{who:,}", f"{usual}", f"{most}", f"{newest}"]
                    for tier, allowed, count, who, usual, most, newest in terms
                ],
                right=(1, 2, 3, 4, 5),
            )

    # --- 8, 9 --------------------------------------------------------------------------------------------------------

    def tiers(self) -> Iterator[str]:
        rows = self.rows(
            """
            select tier_indicated, any_value(tier_name), count(*), count(*) filter (exposure_amount > 0), sum(exposure_amount),
                   sum(exposure_above_limit_amount), any_value(net_days)
            from policy_comparison where is_selected group by tier_rank, tier_indicated order by tier_rank
            """
        )
        yield _table(
            ["Tier", "", "Customers", "Owe", self.named("They owe"), "above the limit", "Net days"],
            [
                [tier, name, f"{count:,}", f"{owing:,}", _whole(amount), _whole(above), f"{days}"]
                for tier, name, count, owing, amount, above, days in rows
            ],
            right=(2, 3, 4, 5, 6),
        )
        if stand := self.rows(
            """
            select factor, tier, count(*), count(*) filter (value is null), any_value(reason order by customer_id)
            from risk_tier_reasons where on_the_way_up group by 1, 2 order by 3 desc, 1, 2 limit ?
            """,
            ROWS_SHOWN,
        ):
            yield "What stands most often between an account and the next better tier (`risk_tier_reasons`):"
            yield _table(
                ["Factor", "For tier", "Accounts", "Not known of", "Such as"],
                [
                    [
                        humanise(factor.replace("dbt_days", "days_beyond_terms").replace("dbt", "days_beyond_terms")),
                        tier,
                        f"{count:,}",
                        f"{unknown:,}" if unknown else "",
                        _short(reason),
                    ]
                    for factor, tier, count, unknown, reason in stand
                ],
                right=(2, 3),
            )
        yield "`make compare` holds the other policy packs against the same book once a morning is out."

    def pilot(self) -> Iterator[str]:
        rows = self.rows(
            """
            with queue as (
                select customer_id from dunning_worklist
                union select customer_id from dunning_items where held_reason = 'waiting_its_turn'
            )
            select policy_comparison.tier_indicated, count(*), count(*) filter (arm = 'pilot'),
                   coalesce(sum(exposure_amount), 0), coalesce(sum(exposure_amount) filter (arm = 'pilot'), 0),
                   count(queue.customer_id), count(queue.customer_id) filter (arm = 'pilot')
            from policy_comparison
            inner join arrears.intermediate.int_pilot_arms as arms using (customer_id)
            left join queue using (customer_id)
            where is_selected and exposure_amount > 0
            group by tier_rank, tier_indicated order by tier_rank
            """
        )
        if not rows:
            yield "Nobody owes anything."
            return
        yield (
            "Work the list for a part of the accounts first and leave the rest as it was, so that the two can be held against each other. "
            "The part is drawn by customer id, in every tier alike, and stays the same (`kpi_policy.csv`, `pilot_share_pct` and "
            "`pilot_salt`). A tier with few accounts in it shows little."
        )
        lines = [
            [tier, f"{drawn:,} of {count:,}", _whole(part), f"{part / amount:.0%}" if amount else "", f"{mine:,} of {queued:,}"]
            for tier, count, drawn, amount, part, queued, mine in rows
        ]
        count, drawn, amount, part, queued, mine = (sum(row[place] for row in rows) for place in range(1, 7))
        lines.append(
            ["all", f"{drawn:,} of {count:,}", _whole(part), f"{part / amount:.0%}" if amount else "", f"{mine:,} of {queued:,}"]
        )
        yield _table(
            ["Tier", "Accounts that owe", self.named("They owe"), "of the tier", "First contacts, waiting included"],
            lines,
            right=(1, 2, 3, 4),
        )

    def written(self, amount: Decimal | None, currency: str | None) -> str:
        return "" if amount is None else written(amount, currency, self._digits)

    def named(self, amount: str) -> str:
        """The head of a column of amounts."""
        return f"{amount}, {self.currency}" if self.currency else amount

    @cached_property
    def currency(self) -> str:
        found = self.rows(
            "select reporting_currency from arrears.intermediate.int_companies where reporting_currency is not null limit 1"
        )
        return str(found[0][0]) if found else ""


# --- laid out --------------------------------------------------------------------------------------------------------


def _table(heads: Sequence[str], lines: Sequence[Sequence[str | None]], right: Sequence[int] = ()) -> str:
    """A table of Markdown with columns as wide as what is in them, those in `right` flush right: it reads in a terminal too."""
    cells = [[printable(cell or "").replace("|", "\\|") for cell in line] for line in [heads, *lines]]
    widths = [max(3, *(len(line[place]) for line in cells)) for place in range(len(heads))]
    rule = [("-" * (width - 1) + ":") if place in right else "-" * width for place, width in enumerate(widths)]
    return "\n".join(
        "| "
        + " | ".join(
            text.rjust(width) if place in right else text.ljust(width)
            for place, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in [cells[0], rule, *cells[1:]]
    )


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {printable(line)}" for line in lines)


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(f"{number}. {printable(line)}" for number, line in enumerate(lines, 1))


def _amounts(customers: Sequence[tuple[Any, ...]]) -> tuple[str, str]:
    """How many they are and what they owe past due; nothing where there are none."""
    return (f"{len(customers):,}", _whole(sum((row[3] for row in customers), Decimal(0)))) if customers else ("", "")


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _short(text: str | None) -> str:
    said = printable(text or "")
    return said if len(said) <= 60 else f"{said[:59]}…"


def _shown(settings: Settings, path: Path) -> str:
    return str(path.relative_to(settings.home.parent)) if path.is_relative_to(settings.home.parent) else str(path)


def _whole(amount: Decimal | int | None) -> str:
    return f"{amount or Decimal(0):,.0f}"
