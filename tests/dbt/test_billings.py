"""What the key figures call billed is what the roll-forward has: the month's documents less those voided in it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

from dagster_project.contract import DATASETS
from dagster_project.landing import Landing
from dagster_project.sources.files import FilesSource
from tests import compiled

MORNING = date(2025, 10, 1)
BOOK = {
    "companies": """company_id,name,currency
E,One entity,EUR
F,Another,EUR
""",
    "customers": """customer_id,name,company_id,currency
KE,Kay,E,EUR
KF,Eff,F,EUR
""",
    "exchange_rates": """rate_date,currency,base_currency,rate
2024-01-01,USD,EUR,0.9
2025-09-01,USD,EUR,0.8
""",
    "invoices": """invoice_id,invoice_number,customer_id,document_type,invoice_date,due_date,currency,amount,company_id,voided_on
I1,I1,KE,invoice,2025-08-20,2025-09-20,EUR,100,E,2025-09-03
I2,I2,KE,invoice,2025-08-21,2025-09-20,EUR,500,E,
D1,D1,KE,debit_memo,2025-09-02,2025-10-20,EUR,7,E,2025-09-02
C1,C1,KE,credit_memo,2025-08-22,,EUR,30,E,2025-09-04
C2,C2,KE,credit_memo,2025-09-22,,EUR,11,E,
I3,I3,KF,invoice,2025-07-20,2025-08-20,EUR,40,F,
I4,I4,KF,invoice,2025-08-20,2025-09-20,USD,60.07,F,2025-09-03
I5,I5,KF,invoice,2025-09-20,2025-10-20,USD,10,F,
""",
    "payments": """payment_id,customer_id,payment_date,currency,amount,company_id
P1,KE,2025-09-10,EUR,200,E
""",
}


def test_billed_ties_to_the_roll_forward_by_month_and_entity(landing: Landing, tmp_path: Path) -> None:
    """The effectiveness index counts opening + billed - closing as collected. USD 60.07 are 54.06 in August and 48.06 in September."""
    folder = tmp_path / "book"
    folder.mkdir()
    for name, text in BOOK.items():
        (folder / f"{name}.csv").write_text(text, "utf-8")
    source = FilesSource(folder)
    for dataset in DATASETS.values():
        landing.land(dataset, source.fetch(dataset, None), MORNING)
    nodes = compiled.needed_for(compiled.compiled(), "kpi_monthly", "roll_forward")
    built = compiled.build(nodes, landing, MORNING)

    billed: dict[tuple[str, date], Decimal] = {}
    rolled: dict[tuple[str, date], Decimal] = {}
    for row in built.rows("roll_forward"):
        memos = row["credits"] - row["discounts"] - row["adjustments"]
        billed[row["company_id"], row["month"]] = row["billed"] - memos
        rolled[row["company_id"], row["month"]] = row["opening"] + row["billed"] - memos - row["closing"]
    collected = {
        (row["scope_value"], row["month"]): row["numerator"]
        for row in built.rows("kpi_monthly")
        if (row["kpi"], row["scope"]) == ("cei", "company")
    }

    august, september = date(2025, 8, 1), date(2025, 9, 1)
    assert {key: billed[key] for key in ((who, month) for who in "EF" for month in (august, september))} == {
        ("E", august): 570,
        ("E", september): -81,
        ("F", august): Decimal("54.06"),
        ("F", september): Decimal("-40.06"),
    }
    assert {(who, month) for who in "EF" for month in (august, september)} <= collected.keys()
    assert collected == {key: rolled[key] for key in collected}
