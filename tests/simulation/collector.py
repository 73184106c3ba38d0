"""The people who work through a list: some rows of some mornings come back filled in.

Belongs here: inventing answers and writing them into a workbook. Does not belong here: what they mean (`law.py` says what must
follow).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from xlsxwriter import Workbook

from dagster_project import form
from dagster_project.seals import seal

KEY = b"the key of the simulated company"

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """What a customer said on a morning. `items`: those it is about; of a promise, all that the customer owed."""

    day: date
    customer_id: str
    outcome: str
    items: frozenset[str]
    promised_date: date | None = None
    amount: Decimal | None = None
    seal: str = ""


class Collector:
    def __init__(self, seed: str):
        self.chance = Random(seed)

    def work(self, as_of: date, items: Sequence[Row], actions: Sequence[Row]) -> list[Answer]:
        """Reach some customers of a list and note what they say."""
        answers = []
        for action in actions:
            owed = [item for item in items if item["customer_id"] == action["customer_id"]]
            acted = frozenset(item["item_id"] for item in owed if item["held_reason"] is None)
            about = (as_of, action["customer_id"])
            mark = seal(KEY, as_of, "net_terms", action["collector"] or "", action["customer_id"])
            roll = self.chance.randrange(12)
            if roll == 0 and {item["currency"] for item in owed} == {"EUR"}:
                amount = sum((item["dunnable_amount"] for item in owed), Decimal(0))
                everything = frozenset(item["item_id"] for item in owed)
                day = as_of + timedelta(days=self.chance.randint(3, 12))
                answers.append(Answer(*about, "Promised to pay", everything, day, amount, mark))
            elif roll == 1:
                answers.append(Answer(*about, "Disputes it", acted, seal=mark))
            elif roll <= 4:
                said = self.chance.choice(("No answer", "Says it is paid", "Left a message"))
                answers.append(Answer(*about, said, acted, seal=mark))
        return answers


def fill(path: Path, as_of: date, answers: Sequence[Answer]) -> None:
    """The workbook of everyone as another program would write it: headers, ids, answers, and where it came from."""
    headers = [question.header for question in form.QUESTIONS]
    path.parent.mkdir(parents=True, exist_ok=True)
    with Workbook(str(path)) as book:
        calls, identity = book.add_worksheet(form.CALL_LIST), book.add_worksheet(form.IDENTITY_SHEET)
        calls.write_row(0, 0, [form.KEY_HEADER, *headers, form.SEAL_HEADER])
        for row, answer in enumerate(answers, start=1):
            said = {"Contacted": "No" if answer.outcome in ("No answer", "Left a message") else "Yes", "Outcome": answer.outcome}
            if answer.promised_date:
                said |= {"Promised date": answer.promised_date.isoformat(), "Promised amount": f"{answer.amount:.2f}"}
            calls.write_row(row, 0, [answer.customer_id, *(said.get(header) for header in headers), answer.seal])
        where = {"schema_version": str(form.SCHEMA_VERSION), "as_of": as_of.isoformat(), "policy": "net_terms", "collector": ""}
        for row, pair in enumerate({**where, "sheet": form.CALL_LIST, "header_row": "1", "key": form.KEY_HEADER}.items()):
            identity.write_row(row, 0, pair)
