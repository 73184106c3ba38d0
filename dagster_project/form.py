"""The part of a workbook that people fill in, declared once.

Belongs here: what the writer and whoever reads a filled workbook back must agree on: the columns, their choices, where the
identity of a workbook stands. Does not belong here: how it looks (`book.py`) and what an answer means for the book (dbt).

The header texts, the choices and the cells of the identity sheet are read back from workbooks that left the house weeks ago:
change them only together with `SCHEMA_VERSION`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SCHEMA_VERSION: Final = 1
"""Of the workbook's layout, of `manifest.json` and of the columns it lists for each file. Raise it when something is renamed, removed
or changes its type or meaning; what is only added leaves it alone."""

IDENTITY_SHEET: Final = "arrears"
"""A hidden sheet of two columns, name and value: `schema_version`, `as_of`, `policy`, `collector` (empty: everyone's list),
`sheet` (the call list's name), `header_row` (1-based), `key` (the header of the column that holds the customer's id)."""

CALL_LIST: Final = "Call list"
KEY_HEADER: Final = "Customer ID"

ITEM_LIST: Final = "Items"
ITEM_KEY_HEADER: Final = "Item ID"
"""The sheet of documents, and its column that holds an item's id: where a dispute names what it is about."""


SEAL_HEADER: Final = "Seal"
"""The hidden column, on both sheets, that holds the row's seal: without it an answer is nobody's."""


class Answer(StrEnum):
    """What kind of answer a column takes, which decides its validation in the workbook and its parsing on the way back."""

    CHOICE = "choice"
    DATE = "date"
    AMOUNT = "amount"
    TEXT = "text"


@dataclass(frozen=True)
class Question:
    """One column to fill in. `choices` pairs what stands in the drop-down with the code it means; `hint`, where there is
    one, is shown beside the cell."""

    name: str
    header: str
    answer: Answer
    hint: str
    width: float
    choices: tuple[tuple[str, str], ...] = ()


DISPUTE_REASONS: Final = (
    ("Price", "price"),
    ("Quantity", "quantity"),
    ("Quality or damage", "quality"),
    ("Not delivered", "not_delivered"),
    ("Wrong or missing PO", "purchase_order"),
    ("Duplicate invoice", "duplicate"),
    ("Tax", "tax"),
    ("Terms", "terms"),
    ("Credit expected", "credit_expected"),
    ("Other", "other"),
)

QUESTIONS: Final = (
    Question(
        "contacted",
        "Contacted",
        Answer.CHOICE,
        "",
        9.5,
        (("Yes", "yes"), ("No", "no")),
    ),
    Question(
        "outcome",
        "Outcome",
        Answer.CHOICE,
        "",
        14,
        (
            ("Promised to pay", "promised"),
            ("Says it is paid", "paid"),
            ("Disputes it", "disputed"),
            ("Will call back", "call_back"),
            ("Left a message", "left_message"),
            ("No answer", "no_answer"),
            ("Wrong contact", "wrong_contact"),
            ("Refuses to pay", "refused"),
            ("Other", "other"),
        ),
    ),
    Question("promised_date", "Promised date", Answer.DATE, "The day the customer says the money will be there.", 11),
    Question(
        "promised_amount",
        "Promised amount",
        Answer.AMOUNT,
        "In the currency of the customer's invoices. A promise needs both the date and the amount.",
        11.5,
    ),
    Question(
        "dispute_reason",
        "Dispute reason",
        Answer.CHOICE,
        f"Only if the customer contests something. Say which documents on the sheet {ITEM_LIST}; else it is all that are listed there.",
        14,
        DISPUTE_REASONS,
    ),
    Question("note", "Note", Answer.TEXT, "", 28),
)
"""What is asked about a customer, on the call list."""

ITEM_QUESTIONS: Final = (
    Question(
        "dispute_reason",
        "Dispute reason",
        Answer.CHOICE,
        "Only if the customer contests this document.",
        16,
        DISPUTE_REASONS,
    ),
    Question(
        "disputed_amount",
        "Disputed amount",
        Answer.AMOUNT,
        "In the document's currency. Empty: all that is open of it.",
        14,
    ),
)
"""What is asked about a document, on the sheet of items."""
