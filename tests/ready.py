"""Small invented books in the tables that the ready folders of `sql` read, and what has to come of them.

They stand in `fixtures/ready/` as statements that DuckDB and PostgreSQL both take: part payments, a credit used, a receipt for two
invoices, money on account, a refund, a void, a draft.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from dagster_project.contract import DATASETS
from dagster_project.sources.sql import READY, SqlSource

ZERO = Decimal(0)
BOOKS_AT = Path(__file__).parent / "fixtures" / "ready"


@dataclass(frozen=True)
class Book:
    """How much of each document is open (credits negative), what is left of each payment, what is counted of invoices left out, each edge
    (document, what it was settled by, how much, on which day of August), and what each customer owes by the source's own books."""

    open: Mapping[str, str]
    unapplied: Mapping[str, str]
    left_out: Mapping[str, int]
    edges: Set[str]
    owed: Mapping[tuple[str, str], str] = field(default_factory=dict)


BOOKS = {
    "fivetran_quickbooks": Book(
        {"inv:1": "0", "inv:2": "20", "inv:3": "55", "inv:4": "0", "cm:8": "0", "je:9:C1": "0"},
        {"pay:P1": "5", "paid:3": "0", "dep:6:C1": "0"},
        {"bills of suppliers": 2, "sales receipts, paid at once": 0, "estimates": 0},
        {"inv:1 credit_memo cm:8 40.1 on 20", "inv:1 payment pay:P1 60 on 20", "je:9:C1 payment pay:P1 12 on 20",
         "inv:2 payment dep:6:C1 30 on 21", "inv:3 payment paid:3 25 on 07"},
        {("C1", "USD"): "70"},
    ),
    "fivetran_xero": Book(
        {"i1": "0", "i2": "20", "i3": "0", "n1": "-9.90"},
        {"p1": "0", "p2": "0", "p3": "0"},
        {"bills of suppliers": 1, "drafts and deleted drafts": 1, "credit notes of suppliers": 1},
        {"i1 payment p1 60 on 20", "i1 credit_memo n1 40.1 on 10", "i2 payment p2 25 on 21", "i2 payment p3 25 on 18",
         "i2 adjustment None 5 on 22"},
    ),
    "fivetran_netsuite": Book(
        {"i1": "0", "i2": "20", "m1": "-9.90"},
        {"p1": "0", "d1": "15"},
        {"documents of suppliers": 1, "invoices and credit memos not posted": 1, "journals": 0},
        {"i1 payment p1 60 on 20", "i1 credit_memo m1 40.1 on 10", "i2 payment d1 30 on 21"},
        {("c1", "USD"): "-4.9"},
    ),
    "sap": Book(
        {
            "1000/2025/0090000001/001": "0", "1000/2025/0090000002/001": "0", "1000/2025/0090000003/001": "0",
            "1000/2025/0090000004/001": "45", "1000/2025/0090000005/001": "1500", "1000/2025/0090000008/001": "0",
            "1000/2025/0090000009/001": "0", "1000/2025/0090000010/001": "0", "1000/2025/0090000012/001": "0",
            "1000/2025/0100000001/001": "0", "1000/2025/0100000001/002": "-6", "1000/2025/1400000002/002": "20",
        },
        {"1000/2025/1400000001/001": "0", "1000/2025/1400000002/001": "0", "1000/2025/1400000004/001": "0",
         "1000/2025/1400000010/001": "0", "1000/2025/1400000012/001": "0"},
        {"down payments (special G/L A)": 1, "noted, parked and sample documents": 1, "documents that reverse others": 2},
        {
            "1000/2025/0090000001/001 discount None 2 on 20",
            "1000/2025/0090000001/001 payment 1000/2025/1400000001/001 98.1 on 20",
            "1000/2025/0090000002/001 credit_memo 1000/2025/0090000008/001 40.1 on 20",
            "1000/2025/0090000002/001 payment 1000/2025/1400000001/001 9.9 on 20",
            "1000/2025/0090000003/001 payment 1000/2025/1400000002/001 60 on 25",
            "1000/2025/0090000003/001 adjustment None 20 on 25",
            "1000/2025/0090000004/001 payment 1000/2025/1400000004/001 25 on 27",
            "1000/2025/0090000012/001 payment 1000/2025/1400000012/001 44 on 28",
            "1000/2025/0100000001/001 payment 1000/2025/1400000012/001 6 on 28",
        },
        {("0000000007", "EUR"): "59", ("0000000007", "JPY"): "1500"},
    ),
}  # fmt: skip


def statements(name: str) -> list[str]:
    return [statement for text in (BOOKS_AT / f"{name}.sql").read_text("utf-8").split(";\n") if (statement := text.strip())]


def read(url: str, name: str) -> dict[str, list[dict[str, Any]]]:
    """Every dataset of a ready folder, and under `left_out` what it counts for invoices."""
    source = SqlSource(url, READY / name)
    told: dict[str, list[dict[str, Any]]] = {}
    try:
        for dataset in DATASETS.values():
            if delivery := source.fetch(dataset, None):
                told[dataset.name] = [row for page in delivery.pages for row in page.to_pylist()]
                if dataset.name == "invoices":
                    told["left_out"] = [dict(delivery.left_out)]
    finally:
        source.close()
    return told


def settled(told: Mapping[str, Iterable[Mapping[str, Any]]]) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """What is open of each document and left of each payment, by the edges alone."""
    used: dict[str, Decimal] = defaultdict(Decimal)
    for edge in told["allocations"]:
        if not edge["reversed_on"]:
            used[edge["invoice_id"]] += Decimal(edge["amount"])
            used[str(edge["source_id"])] += Decimal(edge["amount"])
    for refund in told.get("refunds", ()):
        if not refund["reversed_on"]:
            used[str(refund["source_id"])] += Decimal(refund["amount"])
    documents = {}
    for row in told["invoices"]:
        left = ZERO if row["voided_on"] else Decimal(row["amount"]) - used[row["invoice_id"]]
        documents[row["invoice_id"]] = -left if row["document_type"] == "credit_memo" else left
    payments = {
        row["payment_id"]: ZERO if row["reversed_on"] else Decimal(row["amount"]) - used[row["payment_id"]]
        for row in told["payments"]
    }
    return documents, payments


def edges(told: Mapping[str, Iterable[Mapping[str, Any]]]) -> set[str]:
    return {
        f"{edge['invoice_id']} {edge['source_type']} {edge['source_id']} "
        f"{Decimal(edge['amount']).normalize():f} on {edge['allocated_on'][-2:]}"
        for edge in told["allocations"]
    }
