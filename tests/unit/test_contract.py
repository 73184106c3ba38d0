"""The datasets a source may rely on: what the project says in public, written out by hand, against what the code declares."""

from __future__ import annotations

import pytest

from dagster_project.contract import (
    DATASETS,
    ISSUED_FORECASTS,
    ISSUED_STEPS,
    LANDING_COLUMNS,
    SQL_TYPES,
    TABLES,
    WORKLIST_OUTCOMES,
    Type,
    sources,
)

PROMISED = {
    "companies": "company_id* name* currency* country timezone calendar",
    "customers": "customer_id* name* company_id parent_customer_id country region industry currency customer_since credit_limit "
    "payment_terms registration_number email phone language collector sales_rep status requires_po do_not_dun do_not_mail gross_margin_pct "
    "strategic_value updated_at",
    "contacts": "contact_id* customer_id* role* name email phone",
    "payment_terms": "payment_terms* net_days* from_month_end to_month_end due_day business_days discount_pct discount_days "
    "deposit_pct",
    "invoices": "invoice_id* invoice_number* customer_id* document_type* invoice_date* currency* amount* company_id due_date "
    "payment_terms tax_amount po_number delivered_on sent_at order_number sales_rep product_line corrects_invoice_id "
    "delivery_channel document_url voided_on open_amount_reported updated_at",
    "instalments": "invoice_id* instalment_number* due_date* amount*",
    "invoice_lines": "invoice_id* line_number* amount* description quantity unit_price tax_amount",
    "payments": "payment_id* customer_id* payment_date* currency* amount* company_id method reference reversed_on updated_at",
    "refunds": "refund_id* customer_id* refunded_on* currency* amount* source_type source_id company_id method reversed_on updated_at",
    "allocations": "allocation_id* invoice_id* source_type* allocated_on* amount* source_id source_amount instalment_number "
    "reversed_on reason updated_at",
    "disputes": "dispute_id* invoice_id* opened_on* amount reason owner resolved_on outcome",
    "promises": "promise_id* customer_id* made_on* promised_date* amount* invoice_id plan_id",
    "activities": "activity_id* customer_id* occurred_at* invoice_id step channel outcome note actor",
    "credit_exceptions": "exception_id* customer_id* kind* requested_by requested_on approved_by approved_on granted_terms "
    "granted_limit expires_on reason",
    "credit_reviews": "review_id* customer_id* reviewed_on* reviewer tier credit_limit note",
    "exchange_rates": "rate_date* currency* base_currency* rate*",
    "control_balances": "company_id* as_of* balance*",
    "credit_scores": "bureau* scored_on* score_code* raw_score customer_id registration_number model_code risk_class status dbt "
    "industry_dbt recommended_limit currency current_ratio quick_ratio debt_to_equity match_confidence fetched_at",
}

REQUIRED = {"customers", "invoices", "payments"}
"""Without allocations, payments are matched by what their references say."""

ENUMS = {
    ("customers", "status"): {"active", "on_hold", "insolvent", "at_agency", "closed"},
    ("contacts", "role"): {"accounts_payable", "senior", "executive"},
    ("invoices", "document_type"): {"invoice", "debit_memo", "credit_memo"},
    ("invoices", "delivery_channel"): {"paper", "email", "portal", "edi"},
    ("payment_terms", "business_days"): {"next", "previous"},
    ("refunds", "source_type"): {"payment", "credit_memo"},
    ("allocations", "source_type"): {"payment", "credit_memo", "write_off", "discount", "adjustment"},
    ("credit_exceptions", "kind"): {"terms", "limit"},
}


def test_exactly_the_promised_datasets_are_taken() -> None:
    assert set(DATASETS) == set(PROMISED)


@pytest.mark.parametrize("name", PROMISED)
def test_a_dataset_has_the_promised_columns_with_the_promised_ones_required(name: str) -> None:
    declared = [f"{column.name}{'*' if column.required else ''}" for column in DATASETS[name].columns]

    assert sorted(declared) == sorted(PROMISED[name].split())


def test_only_who_owes_what_is_billed_and_what_is_paid_must_be_there() -> None:
    assert {name for name, dataset in DATASETS.items() if dataset.required} == REQUIRED


def test_the_closed_lists_of_values_are_the_promised_ones_and_no_other_column_has_one() -> None:
    declared = {(name, column.name): set(column.enum) for name, d in DATASETS.items() for column in d.columns if column.enum}

    assert declared == ENUMS


@pytest.mark.parametrize("name", TABLES)
def test_a_record_is_known_again_by_columns_the_dataset_has(name: str) -> None:
    dataset = TABLES[name]

    assert dataset.key
    assert set(dataset.key) <= set(dataset.column_names)
    required = {column.name for column in dataset.columns if column.required}
    assert set(dataset.key) - required <= set(dataset.any_of), "a part of the key may be missing only where another stands in"


def test_money_and_rates_are_exact_decimals_everywhere() -> None:
    money = {"amount", "tax_amount", "unit_price", "credit_limit", "granted_limit", "recommended_limit", "balance", "open_amount"}
    money |= {"source_amount", "open_amount_reported"}
    for dataset in TABLES.values():
        for column in dataset.columns:
            if column.name in money:
                assert column.type is Type.AMOUNT, f"{dataset.name}.{column.name}"
    assert SQL_TYPES[Type.AMOUNT] == "decimal(18,4)"
    assert not {kind for kind in SQL_TYPES.values() if "double" in kind or "float" in kind or "real" in kind}


def test_ids_and_codes_are_text_so_that_leading_zeros_stay() -> None:
    for dataset in TABLES.values():
        for column in dataset.columns:
            if column.name.endswith(("_id", "_number")) and column.name not in ("instalment_number", "line_number"):
                assert column.type is Type.TEXT, f"{dataset.name}.{column.name}"


def test_only_what_goes_both_ways_may_be_negative() -> None:
    signed = {f"{d.name}.{c.name}" for d in TABLES.values() for c in d.columns if c.signed and c.type is Type.AMOUNT}

    assert signed == {
        "allocations.amount",  # an adjustment
        "control_balances.balance",
        "invoices.open_amount_reported",  # a credit memo's, in sources that sign it
        *(f"invoice_lines.{name}" for name in ("amount", "unit_price", "tax_amount")),
    }


def test_a_score_names_the_customer_or_its_registration() -> None:
    assert DATASETS["credit_scores"].any_of == ("customer_id", "registration_number")


def test_what_changes_after_it_was_made_tells_when_it_did() -> None:
    assert {name for name, d in DATASETS.items() if d.has_cursor} == {
        "customers",
        "invoices",
        "payments",
        "refunds",
        "allocations",
    }
    assert all(d.by_name["updated_at"].type is Type.TIMESTAMP for d in DATASETS.values() if d.has_cursor)


def test_every_table_stands_under_one_source_and_our_own_memory_is_never_asked_of_one() -> None:
    groups = {group: [d.name for d in sources(group)] for group in {d.group for d in TABLES.values()}}

    assert sorted(name for names in groups.values() for name in names) == sorted(TABLES)
    assert groups["bureau"] == ["credit_scores"]
    assert groups["delivery"] == [ISSUED_STEPS.name, ISSUED_FORECASTS.name, WORKLIST_OUTCOMES.name]
    assert not {ISSUED_STEPS.name, WORKLIST_OUTCOMES.name} & set(DATASETS)


def test_no_dataset_has_a_column_of_landings_own() -> None:
    own = {column.name for column in LANDING_COLUMNS}

    assert own == {"_load_id", "_loaded_at", "_as_of", "_deleted"}
    assert not [d.name for d in TABLES.values() if own & set(d.column_names)]
