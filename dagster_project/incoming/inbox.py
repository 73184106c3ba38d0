"""A filled workbook, judged: every answer checked, every bad cell with a sentence that says what to write instead.

Belongs here: whether a workbook is of a list in force, whose row is whose, which cells cannot be taken. Does not belong here: what
stands where in the file (`workbook.py`), what an answer means for the book (dbt), where files lie and when they are moved
(`intake.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from dagster_project import form, seals, tables
from dagster_project.amounts import Digits, digits_on, written
from dagster_project.form import Question
from dagster_project.incoming.answers import answer_in, text_in
from dagster_project.incoming.archive import Refused
from dagster_project.incoming.issued import Ids, Issued
from dagster_project.incoming.workbook import MAX_FAULTS, Handed, Rejected, Row, Table
from dagster_project.words import printable

SHOWN: Final = 500
"""Characters of a value that go back with the cell."""


@dataclass(frozen=True)
class Outcome:
    """What the collector found out: about a customer, or about one document of theirs. What was not filled in is None."""

    worklist_date: date
    policy: str
    collector: str | None
    customer_id: str
    item_id: str | None = None
    invoice_id: str | None = None
    contacted: str | None = None
    outcome: str | None = None
    promised_date: date | None = None
    promised_amount: Decimal | None = None
    dispute_reason: str | None = None
    disputed_amount: Decimal | None = None
    currency: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Filled:
    """What a workbook says."""

    as_of: date
    outcomes: Sequence[Outcome]
    rejected: Sequence[Rejected]


def judged(
    handed: Handed,
    issued_on: Callable[[date], Issued | None],
    key: bytes,
    *,
    morning: date,
    max_age_days: int,
    promise_days: int,
) -> Filled:
    """What a workbook says. `issued_on` finds the list of a date, `key` is what its rows were sealed with; `morning` is the one the
    answers are for. What policy allows: a list is up to `max_age_days` old, a promised day up to `promise_days` after its list.

    Raises:
        Refused: the workbook is of no list that answers are still taken for.
    """
    as_of, policy = _identity(handed.identity)
    if as_of > morning:
        raise Refused(f"it is the worklist of {as_of}, which is later than this morning, {morning}")
    if as_of < morning - timedelta(days=max_age_days):
        raise Refused(
            f"it is the worklist of {as_of}, more than {max_age_days} days before this morning: what it says is out of date. Fill in a "
            "newer list"
        )
    issued = issued_on(as_of)
    if issued is None:
        raise Refused(f"no worklist of {as_of} was ever issued here, so that nobody can say whom its rows are about")
    if handed.calls is None:
        raise Refused(
            f"no sheet has a column {form.KEY_HEADER} and columns to fill in: take the list as it was issued and fill it in again"
        )
    list_ = _List(issued, key, as_of, policy, promise_days)
    rejected: list[Rejected] = [*handed.calls.faults]
    outcomes = [*_customers(handed.calls, list_, rejected)]
    rejected += handed.faults
    if handed.items:
        rejected += handed.items.faults
        outcomes += _documents(handed.items, list_, rejected)
    return Filled(as_of, outcomes, rejected)


def write_rejected(path: Path, rejected: Sequence[Rejected]) -> None:
    """Write what cannot be taken where the collector finds it."""
    shown = [replace(cell, value=printable(cell.value[:SHOWN], kept="\n")) for cell in rejected[:MAX_FAULTS]]
    if len(rejected) > MAX_FAULTS:
        more = f"{len(rejected) - MAX_FAULTS:,} more cells could not be taken: mend these first and drop the workbook again"
        shown.append(Rejected("", "", "", "", "", more))
    names = tuple(Rejected.__dataclass_fields__)
    columns = [pa.array([_whole(getattr(cell, name)) for cell in shown], pa.string()) for name in names]
    tables.write_csv(path, pa.table(columns, names=list(names)))


def _whole(text: str) -> str:
    """The text without halves of characters, which no file can carry."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _shown(cell: Any) -> str:
    """A cell as it may stand in a sentence."""
    return printable(text_in(cell)[:80])


def _identity(identity: Mapping[str, Any]) -> tuple[date, str]:
    """The morning and the policy."""
    version = text_in(identity.get("schema_version"))
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise Refused("it does not say which version of the worklist it is")
    if int(version) > form.SCHEMA_VERSION:
        raise Refused(
            f"it is of version {version} of the worklist and this system reads up to {form.SCHEMA_VERSION}: update it first"
        )
    as_of = identity.get("as_of")
    try:
        day = as_of if isinstance(as_of, date) else date.fromisoformat(text_in(as_of))
    except ValueError:
        raise Refused(f"it does not say which morning's list it is: {_shown(as_of)!r} is no date") from None
    policy = text_in(identity.get("policy"))
    if not policy:
        raise Refused("it does not say under which policy it was issued")
    return day.date() if isinstance(day, datetime) else day, printable(policy)


@dataclass(frozen=True)
class _List:
    """The list a workbook is of, and what it says of itself."""

    issued: Issued
    key: bytes
    as_of: date
    policy: str
    promise_days: int

    def is_own(self, row: Row, customer_id: str, item_id: str = "") -> bool:
        """Whether the row is the one this house issued about them. Lists from before rows were sealed are taken at their word."""
        if not (self.issued.sealed or row.seal):
            return True
        collectors = self.issued.collectors.get(customer_id, ("",))
        return seals.holds(row.seal, self.key, self.as_of, self.policy, collectors, customer_id, item_id)


def _customers(table: Table, list_: _List, rejected: list[Rejected]) -> Iterator[Outcome]:
    issued = list_.issued
    asked = {question.name: question for question in form.QUESTIONS}
    for row, customer_id in _known(table, list_, issued.customer_ids, form.KEY_HEADER, "on the list", rejected):
        currencies = issued.currencies[customer_id]
        answers = _answers(table, form.QUESTIONS, row, customer_id, list_, currencies, rejected)
        when, how_much = answers.pop("promised_date", None), answers.pop("promised_amount", None)
        given = [name for name in ("promised_date", "promised_amount") if name in row.cells]
        if how_much and (beyond := _beyond(how_much, issued.owed.get(customer_id, {}), digits_on(list_.as_of))):
            rejected.append(table.reject(row, asked["promised_amount"], customer_id, beyond))
            how_much = None
        if when and how_much:
            answers |= {"promised_date": when, "promised_amount": how_much[0], "currency": how_much[1]}
        elif given or answers.get("outcome") == "promised":
            for name in ("promised_date", "promised_amount"):
                if name not in given:
                    what = "the day" if name == "promised_date" else "the amount"
                    rejected.append(
                        table.reject(
                            row, asked[name], customer_id, f"a promise needs both the day and the amount: fill in {what} as well"
                        )
                    )
        if answers:
            collector = issued.collectors[customer_id][-1] or None
            yield Outcome(list_.as_of, list_.policy, collector, customer_id, **answers)


def _documents(table: Table, list_: _List, rejected: list[Rejected]) -> Iterator[Outcome]:
    asked = {question.name: question for question in form.ITEM_QUESTIONS}
    digits = digits_on(list_.as_of)
    for row, item_id in _known(table, list_, list_.issued.item_ids, form.ITEM_KEY_HEADER, "of the list", rejected):
        item = list_.issued.items[item_id]
        currencies = frozenset({item.currency})
        answers = _answers(table, form.ITEM_QUESTIONS, row, item.customer_id, list_, currencies, rejected)
        how_much = answers.pop("disputed_amount", None)
        if how_much and item.open_amount is not None and how_much[0] > item.open_amount:
            said = (
                f"{written(how_much[0], item.currency, digits)} is more than is open of the document, "
                f"{written(item.open_amount, item.currency, digits)} {item.currency}: write how much of it "
                "is contested, or leave the cell empty for all of it"
            )
            rejected.append(table.reject(row, asked["disputed_amount"], item.customer_id, said))
        elif how_much:
            answers |= {"disputed_amount": how_much[0], "currency": how_much[1]}
        if answers:
            collector = list_.issued.collectors[item.customer_id][-1] or None
            yield Outcome(list_.as_of, list_.policy, collector, item.customer_id, item.item_id, item.invoice_id, **answers)


def _beyond(promised: tuple[Decimal, str | None], owed: Mapping[str, Decimal], digits: Digits) -> str | None:
    """What is said to a promise of more than there is to promise; None where it is not, or what was owed is not remembered."""
    if not owed:
        return None
    amount, currency = promised
    code = currency or max(owed, key=lambda name: owed[name])
    most = owed.get(code, Decimal(0))
    if amount <= most:
        return None
    return (
        f"{written(amount, code, digits)} is more than the customer owed when the list was made, {written(most, code, digits)} {code}: "
        "write how much of that was promised"
    )


def _known(table: Table, list_: _List, ids: Ids, header: str, where: str, rejected: list[Rejected]) -> Iterator[tuple[Row, str]]:
    """The rows whose key is one of the list's and whose seal is that row's, each key once."""
    seen: dict[str, int] = {}
    for row in table.rows:
        found = ids.find(row.key)
        shown = _shown(row.key)
        if not shown:
            said = f"the row has answers and no {header}: put them into the row they belong to"
            rejected.append(table.reject_row(row, "", header, said))
        elif found is None:
            said = f"{shown} is not {where}: put the answers into the row they belong to"
            rejected.append(table.reject_row(row, shown, header, said))
        elif not list_.is_own(row, *_about(list_, ids, found)):
            why = f"is not the one that was issued about {printable(found)}" if row.seal else f"has no {form.SEAL_HEADER.lower()}"
            said = f"the row {why}, so that nothing in it was read: fill in the list as it was issued, without changing whom a row is about"
            rejected.append(table.reject_row(row, found, header, said))
        elif found in seen:
            said = f"{printable(found)} is filled in twice; row {seen[found]} was read and this one was not"
            rejected.append(table.reject_row(row, found, header, said))
        else:
            seen[found] = row.number
            yield row, found


def _about(list_: _List, ids: Ids, found: str) -> tuple[str, str]:
    """The customer and the document, if it is one, that a row's id stands for."""
    if ids is list_.issued.item_ids:
        return list_.issued.items[found].customer_id, found
    return found, ""


def _answers(
    table: Table,
    questions: Sequence[Question],
    row: Row,
    customer_id: str,
    list_: _List,
    currencies: frozenset[str],
    rejected: list[Rejected],
) -> dict[str, Any]:
    """What the row's cells say; those that cannot be taken are rejected, the others count."""
    answers = {}
    for question in questions:
        if question.name in row.cells:
            try:
                value = answer_in(question, row.cells[question.name], list_.as_of, currencies, list_.promise_days)
            except ValueError as wrong:
                rejected.append(table.reject(row, question, customer_id, str(wrong)))
            else:
                if value is not None:
                    answers[question.name] = value
    return answers
