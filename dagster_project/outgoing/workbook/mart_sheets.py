"""The sheets that show rows of a mart as they are: what changed since the last list, and what the credit manager decides.

Belongs here: which mart, which of its rows and columns, in which order. Does not belong here: how a sheet is written
(`book.py`), and the lists that are parts of the call list and its items.

A mart with a collector goes to each collector with their own rows; one without is in everyone's workbook only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from dagster_project.outgoing.workbook.sheets import Column, Kind

COLLECTOR: Final = "collector"

_CUSTOMER: Final = (Column("Customer", "customer_name", Kind.STRONG, 33), Column("Customer ID", "customer_id", Kind.TEXT, 12))


@dataclass(frozen=True)
class MartSheet:
    """A sheet of a mart's rows. `where`: a column of truth values, one of which must hold for a row to be shown; none: all rows.
    `first`: columns the rows are ordered by, each with `ascending` or `descending`. `background`: so many of the last columns are for
    whoever scrolls there, and are not printed."""

    mart: str
    name: str
    about: str
    columns: tuple[Column, ...]
    first: tuple[tuple[str, str], ...]
    where: tuple[str, ...] = ()
    background: int = 0

    @property
    def needed(self) -> tuple[str, ...]:
        """The mart's columns that this needs."""
        return tuple(dict.fromkeys((*(column.source for column in self.columns), *self.where, *(name for name, _ in self.first))))

    def rows(self, mart: pa.Table) -> pa.Table:
        """What is shown of the mart: chosen and in order, the customer's name or else its number."""
        names = pc.coalesce(mart.column("customer_name"), mart.column("customer_id"))
        mart = mart.set_column(mart.column_names.index("customer_name"), "customer_name", names)
        if self.where:
            mart = mart.filter(reduce(pc.or_, (pc.fill_null(mart.column(column), False) for column in self.where)))
        mart = mart.sort_by([*self.first, ("customer_id", "ascending")])
        for place, field in enumerate(mart.schema):
            if pa.types.is_boolean(field.type):
                mart = mart.set_column(place, field.name, pc.if_else(mart.column(place), "Yes", ""))
        return mart


MART_SHEETS: Final = (
    MartSheet(
        "dunning_changes",
        "Changes",
        "What is different from the last list: new on it, at a firmer step, held for a reason, or settled.",
        (
            *_CUSTOMER,
            Column("Collector", COLLECTOR, Kind.TEXT, 15),
            Column("Document", "document_number", Kind.TEXT, 16),
            Column("Change", "change", Kind.CODE, 13),
            Column("Step", "step", Kind.CODE, 18),
            Column("Step before", "previous_step", Kind.CODE, 18),
            Column("On", "previous_step_on", Kind.DATE, 12),
            Column("Held because", "held_reason", Kind.CODE, 22),
            Column("Settled how", "cleared_how", Kind.CODE, 13),
            Column("Currency", "currency", Kind.TEXT, 9),
            Column("Open", "open_amount", Kind.MONEY, 14, "currency"),
            Column("Open before", "previous_open_amount", Kind.MONEY, 14, "currency"),
        ),
        (("change", "ascending"), ("customer_name", "ascending"), ("document_number", "ascending"), ("item_id", "ascending")),
        where=("is_news",),
    ),
    MartSheet(
        "agency_placements",
        "Agency placements",
        "What the agency is told this morning: to place, placed already, and to call back. The file agency.csv has all of it.",
        (
            *_CUSTOMER,
            Column("State", "state", Kind.CODE, 10),
            Column("Entity", "company_id", Kind.TEXT, 9),
            Column("Document", "document_number", Kind.TEXT, 16),
            Column("Due date", "due_date", Kind.DATE, 12),
            Column("Days past due", "days_past_due", Kind.WHOLE, 9),
            Column("Currency", "currency", Kind.TEXT, 9),
            Column("Open", "open_amount", Kind.MONEY, 14, "currency"),
            Column("Disputed", "disputed_amount", Kind.MONEY, 13, "currency"),
            Column("Placed on", "placed_on", Kind.DATE, 12),
            Column("Placed", "placed_amount", Kind.MONEY, 14, "currency"),
            Column("Settled since", "settled_since_amount", Kind.MONEY, 14, "currency"),
            Column("Late fee preview", "late_fee_preview", Kind.MONEY, 12, "currency"),
            Column("What was tried", "history", Kind.WRAPPED, 46),
        ),
        (("state", "descending"), ("customer_name", "ascending"), ("document_number", "ascending"), ("item_id", "ascending")),
    ),
    MartSheet(
        "disputes_due",
        "Disputes due",
        "Whose each dispute is and until when: an answer to the customer first, then the matter. The longest past its day first.",
        (
            *_CUSTOMER,
            Column("Document", "document_number", Kind.TEXT, 16),
            Column("Reason", "reason", Kind.TEXT, 20),
            Column("Owner", "owner", Kind.TEXT, 18),
            Column("State", "state", Kind.CODE, 15),
            Column("Opened on", "opened_on", Kind.DATE, 12),
            Column("Answer by", "respond_by", Kind.DATE, 12),
            Column("Answered on", "responded_on", Kind.DATE, 12),
            Column("Settle by", "resolve_by", Kind.DATE, 12),
            Column("Days overdue", "days_overdue", Kind.WHOLE, 9),
            Column("Currency", "currency", Kind.TEXT, 9),
            Column("Disputed", "disputed_amount", Kind.MONEY, 14, "currency"),
        ),
        (("days_overdue", "descending"), ("opened_on", "ascending"), ("dispute_id", "ascending")),
    ),
    MartSheet(
        "credit_reviews_due",
        "Reviews due",
        "Accounts to look at again: past their cycle, or something happened. The largest exposure of the longest overdue first.",
        (
            Column("Customer", "customer_name", Kind.NAME, 24),
            _CUSTOMER[1],
            Column("Due on", "due_on", Kind.DATE, 11),
            Column("Days overdue", "days_overdue", Kind.WHOLE, 9),
            Column("Because", "trigger", Kind.CODE, 18),
            Column("In a sentence", "detail", Kind.WRAPPED, 46),
            Column("Tier in force", "tier_in_force", Kind.MARK, 8),
            Column("Tier indicated", "tier_indicated", Kind.MARK, 9),
            Column("Exposure", "exposure_amount", Kind.MONEY, 14),
            Column("Credit limit", "credit_limit", Kind.MONEY, 14),
            Column("Limit used", "credit_used_share", Kind.PERCENT, 9),
            Column("To begin with", "advice", Kind.WRAPPED, 28),
            Column("Last review", "last_reviewed_on", Kind.DATE, 11),
            Column("Margin %", "gross_margin_pct", Kind.RATE, 9),
            Column("Strategic (0-100)", "strategic_value", Kind.WHOLE, 10),
            Column("Carrying cost a year", "carrying_cost_a_year_amount", Kind.MONEY, 13),
            Column("All reasons", "all_triggers", Kind.CODE, 40),
        ),
        (("days_overdue", "descending"), ("exposure_amount", "descending")),
        background=4,
    ),
    MartSheet(
        "credit_score_changes",
        "Score alerts",
        "Bureau scores that fell by the policy's threshold or more, or a bureau's word on the company that changed.",
        (
            *_CUSTOMER,
            Column("Bureau", "bureau", Kind.CODE, 12),
            Column("Score", "score_code", Kind.CODE, 14),
            Column("Points", "points", Kind.FIGURE, 10),
            Column("From", "score_from", Kind.FIGURE, 9),
            Column("To", "score_to", Kind.FIGURE, 9),
            Column("As written then", "raw_from", Kind.TEXT, 11),
            Column("As written now", "raw_to", Kind.TEXT, 11),
            Column("Scored on", "scored_on_to", Kind.DATE, 12),
            Column("Status then", "status_from", Kind.CODE, 13),
            Column("Status now", "status_to", Kind.CODE, 13),
            Column("In a sentence", "detail", Kind.WRAPPED, 46),
        ),
        (("points", "ascending"), ("bureau", "ascending"), ("score_code", "ascending")),
        where=("alerting", "has_status_changed"),
    ),
    MartSheet(
        "credit_limit_use",
        "Credit holds",
        "Accounts that break a rule for holds, and accounts on hold that break none any more. Decide about new orders.",
        (
            *_CUSTOMER,
            Column("Collector", COLLECTOR, Kind.TEXT, 15),
            Column("Because", "hold_reason", Kind.CODE, 13),
            Column("On hold", "on_hold", Kind.MARK, 8),
            Column("Release?", "release_candidate", Kind.MARK, 9),
            Column("In a sentence", "detail", Kind.WRAPPED, 46),
            Column("Tier", "tier_in_force", Kind.MARK, 7),
            Column("Balance", "balance", Kind.MONEY, 15),
            Column("Credit limit", "credit_limit", Kind.MONEY, 15),
            Column("Limit used", "credit_used_share", Kind.PERCENT, 10),
            Column("Headroom", "headroom_amount", Kind.MONEY, 15),
            Column("Past due", "past_due_amount", Kind.MONEY, 15),
            Column("Oldest, days", "oldest_past_due_days", Kind.WHOLE, 9),
        ),
        (("release_candidate", "ascending"), ("balance", "descending")),
        where=("hold_candidate", "release_candidate"),
    ),
    MartSheet(
        "customer_data_issues",
        "Customer data",
        "What is wrong in the customer list, the customers with the most money behind them first.",
        (
            *_CUSTOMER,
            Column("Issue", "label", Kind.TEXT, 30),
            Column("Severity", "severity", Kind.CODE, 9),
            Column("In a sentence", "detail", Kind.WRAPPED, 46),
            Column("What to do", "what_to_do", Kind.TEXT, 60),
            Column("Other customer", "other_customer_id", Kind.TEXT, 13),
            Column("Balance", "exposure_amount", Kind.MONEY, 15),
        ),
        (("exposure_amount", "descending"), ("issue", "ascending"), ("other_customer_id", "ascending")),
    ),
)
