"""The datasets that come in: columns, types, keys, enums — declared here once.

Belongs here: what a dataset *is*. Everything that depends on it derives from it: the Arrow schemas of landing, the parsing of
records and its quarantine reasons, the expectations of `quality.py`, the empty tables of absent datasets, and the drift test
against the dbt sources. Does not belong here: rules about rows (those are SQL under `dbt/`) and thresholds (policy seeds).

Names are public: renaming one is a breaking change, adding a column is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType


class Type(StrEnum):
    """What a value is, which decides how it is parsed, stored and checked."""

    TEXT = "text"
    DATE = "date"
    TIMESTAMP = "timestamp"  # UTC, stored without a zone, microseconds
    AMOUNT = "amount"  # exact decimal, up to 4 fraction digits
    RATE = "rate"  # exact decimal, up to 10 fraction digits
    NUMBER = "number"  # exact decimal, up to 6 fraction digits: percentages, ratios, quantities
    INTEGER = "integer"
    BOOLEAN = "boolean"


DECIMALS: Mapping[Type, tuple[int, int]] = MappingProxyType({Type.AMOUNT: (18, 4), Type.RATE: (20, 10), Type.NUMBER: (18, 6)})
"""Precision and scale of the decimal types, the same in Parquet, DuckDB and dbt."""

SQL_TYPES: Mapping[Type, str] = MappingProxyType(
    {
        Type.TEXT: "string",
        Type.DATE: "date",
        Type.TIMESTAMP: "timestamp",
        Type.INTEGER: "integer",
        Type.BOOLEAN: "boolean",
        **{kind: f"decimal({precision},{scale})" for kind, (precision, scale) in DECIMALS.items()},
    }
)


@dataclass(frozen=True)
class Column:
    """One column of a dataset.

    `signed` amounts may be zero or negative; all others must not be negative: `instead` says how to deliver what a negative one means.
    `enum` closes the set of texts, `within` the whole numbers.
    """

    name: str
    type: Type = Type.TEXT
    required: bool = False
    enum: tuple[str, ...] = ()
    signed: bool = False
    instead: str = ""
    within: tuple[int, int] | None = None

    @property
    def is_currency(self) -> bool:
        """Whether its texts are codes of ISO 4217."""
        return self.name in ("currency", "base_currency")


@dataclass(frozen=True)
class Dataset:
    """One dataset: `key` identifies a record over time; `group` is the dbt source (and asset key prefix) it lands under.

    Of the columns in `any_of`, a record must have at least one. `dated_by` is the day a record speaks of, by which freshness is
    judged.
    """

    name: str
    group: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    required: bool = False
    description: str = ""
    any_of: tuple[str, ...] = ()
    dated_by: str | None = None

    @cached_property
    def by_name(self) -> Mapping[str, Column]:
        return MappingProxyType({column.name: column for column in self.columns})

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def has_cursor(self) -> bool:
        """Whether a source can be asked for what changed since a time (`updated_at`), instead of for everything."""
        return "updated_at" in self.by_name


RATE_ABOVE, RATE_BELOW = Decimal("0.000000001"), Decimal(1_000_000_000)
"""A rate lies between them: it and its inverse have nine digits before the point and ten after it, by which dbt multiplies."""

EARLIEST, LATEST = date(1900, 1, 1), date(2200, 1, 1)
"""Days before the one, or from the other on, are typing errors of somebody's, or a program's way of saying that there is none."""

LANDING_COLUMNS: tuple[Column, ...] = (
    Column("_load_id", Type.TEXT, required=True),
    Column("_loaded_at", Type.TIMESTAMP, required=True),
    Column("_as_of", Type.DATE, required=True),
    Column("_deleted", Type.BOOLEAN, required=True),
)
"""What landing adds to every row: which load brought it, when, for which morning, and whether it says "this key is gone"."""

_SHORT: Mapping[str, Type] = {"": Type.TEXT, **{kind.value: kind for kind in Type}}


def _columns(
    declaration: str,
    enums: Mapping[str, tuple[str, ...]] | None = None,
    instead: Mapping[str, str] | None = None,
    within: Mapping[str, tuple[int, int]] | None = None,
) -> tuple[Column, ...]:
    """Read `name* name:type name:amount~` — `*` is required, `~` is signed."""
    columns = []
    for word in declaration.split():
        name, _, kind = word.partition(":")
        required, signed = "*" in word, "~" in word
        name, kind = name.rstrip("*~"), kind.rstrip("*~")
        columns.append(
            Column(
                name,
                _SHORT[kind],
                required,
                (enums or {}).get(name, ()),
                signed,
                instead=(instead or {}).get(name, ""),
                within=(within or {}).get(name),
            )
        )
    return tuple(columns)


CUSTOMER_STATUSES = ("active", "on_hold", "insolvent", "at_agency", "closed")
CONTACT_ROLES = ("accounts_payable", "senior", "executive")
DOCUMENT_TYPES = ("invoice", "debit_memo", "credit_memo")
DELIVERY_CHANNELS = ("paper", "email", "portal", "edi")
ALLOCATION_SOURCES = ("payment", "credit_memo", "write_off", "discount", "adjustment")
REFUND_SOURCES = ("payment", "credit_memo")
BUSINESS_DAYS = ("next", "previous")
EXCEPTION_KINDS = ("terms", "limit")
MATCH_DECISIONS = ("accepted", "proposed", "rejected")
INQUIRY_KINDS = ("report", "not_found", "to_review", "failed", "lost", "alert")

_ALL = (
    Dataset(
        "companies",
        "erp",
        ("company_id",),
        _columns("company_id* name* currency* country timezone calendar"),
        description="Legal entities. Absent: one entity, MAIN.",
    ),
    Dataset(
        "customers",
        "erp",
        ("customer_id",),
        _columns(
            "customer_id* name* company_id parent_customer_id country region industry currency customer_since:date "
            "credit_limit:amount payment_terms registration_number email phone language collector sales_rep status requires_po:boolean "
            "do_not_dun:boolean do_not_mail:boolean gross_margin_pct:number~ strategic_value:number~ updated_at:timestamp",
            {"status": CUSTOMER_STATUSES},
        ),
        required=True,
        description="Who owes, and what is known of them.",
    ),
    Dataset(
        "contacts",
        "erp",
        ("contact_id",),
        _columns("contact_id* customer_id* role* name email phone", {"role": CONTACT_ROLES}),
        description="People at the customer, by role.",
    ),
    Dataset(
        "payment_terms",
        "erp",
        ("payment_terms",),
        _columns(
            "payment_terms* net_days:integer* from_month_end:boolean to_month_end:boolean due_day:integer business_days "
            "discount_pct:number discount_days:integer deposit_pct:number",
            {"business_days": BUSINESS_DAYS},
            within={"due_day": (1, 31)},
        ),
        description="What a terms code means: from the invoice date (or the end of its month), plus net_days, then to the end of that "
        "month, on to the next due_day of a month, and off days off, each where it says so.",
    ),
    Dataset(
        "invoices",
        "erp",
        ("invoice_id",),
        _columns(
            "invoice_id* invoice_number* customer_id* document_type* invoice_date:date* currency* amount:amount* company_id "
            "due_date:date payment_terms tax_amount:amount po_number delivered_on:date sent_at:timestamp order_number sales_rep "
            "product_line corrects_invoice_id delivery_channel document_url voided_on:date open_amount_reported:amount~ "
            "updated_at:timestamp",
            {"document_type": DOCUMENT_TYPES, "delivery_channel": DELIVERY_CHANNELS},
            {"amount": "deliver it positive, as a credit_memo"},
        ),
        required=True,
        description="Invoices, debit memos and credit memos. Amounts are positive; the type carries the sign.",
        dated_by="invoice_date",
    ),
    Dataset(
        "instalments",
        "erp",
        ("invoice_id", "instalment_number"),
        _columns("invoice_id* instalment_number:integer* due_date:date* amount:amount*"),
        description="The parts an invoice falls due in. Absent for an invoice: one, the invoice itself.",
    ),
    Dataset(
        "invoice_lines",
        "erp",
        ("invoice_id", "line_number"),
        _columns(
            "invoice_id* line_number:integer* amount:amount*~ description quantity:number~ unit_price:amount~ tax_amount:amount~"
        ),
        description="What was invoiced.",
    ),
    Dataset(
        "payments",
        "erp",
        ("payment_id",),
        _columns(
            "payment_id* customer_id* payment_date:date* currency* amount:amount* company_id method reference reversed_on:date "
            "updated_at:timestamp",
            instead={"amount": "deliver money paid back positive, in refunds; a payment that bounced, by its reversed_on"},
        ),
        required=True,
        description="Cash received, by value date.",
        dated_by="payment_date",
    ),
    Dataset(
        "refunds",
        "erp",
        ("refund_id",),
        _columns(
            "refund_id* customer_id* refunded_on:date* currency* amount:amount* source_type source_id company_id method "
            "reversed_on:date updated_at:timestamp",
            {"source_type": REFUND_SOURCES},
        ),
        description="Money paid back to customers: overpayments, credit memos paid out, charge-backs.",
        dated_by="refunded_on",
    ),
    Dataset(
        "allocations",
        "erp",
        ("allocation_id",),
        _columns(
            "allocation_id* invoice_id* source_type* allocated_on:date* amount:amount*~ source_id source_amount:amount "
            "instalment_number:integer reversed_on:date reason updated_at:timestamp",
            {"source_type": ALLOCATION_SOURCES},
        ),
        description="Amounts of a payment, credit memo, write-off, discount or adjustment put against an invoice. Only an "
        "adjustment may be negative. source_amount: in the currency of the payment or credit memo, where that is another.",
    ),
    Dataset(
        "disputes",
        "erp",
        ("dispute_id",),
        _columns("dispute_id* invoice_id* opened_on:date* amount:amount reason owner resolved_on:date outcome"),
        description="What customers contest.",
    ),
    Dataset(
        "promises",
        "erp",
        ("promise_id",),
        _columns("promise_id* customer_id* made_on:date* promised_date:date* amount:amount* invoice_id plan_id"),
        description="Promises to pay; those of one plan_id are a payment plan.",
    ),
    Dataset(
        "activities",
        "erp",
        ("activity_id",),
        _columns("activity_id* customer_id* occurred_at:timestamp* invoice_id step channel outcome note actor"),
        description="Contacts made with a customer, by anyone.",
        dated_by="occurred_at",
    ),
    Dataset(
        "credit_exceptions",
        "erp",
        ("exception_id",),
        _columns(
            "exception_id* customer_id* kind* requested_by requested_on:date approved_by approved_on:date granted_terms "
            "granted_limit:amount expires_on:date reason",
            {"kind": EXCEPTION_KINDS},
        ),
        description="Terms or limits granted beyond the tier's policy.",
    ),
    Dataset(
        "credit_reviews",
        "erp",
        ("review_id",),
        _columns("review_id* customer_id* reviewed_on:date* reviewer tier credit_limit:amount note"),
        description="What credit reviews decided.",
    ),
    Dataset(
        "exchange_rates",
        "erp",
        ("rate_date", "currency", "base_currency"),
        _columns("rate_date:date* currency* base_currency* rate:rate*"),
        description="1 currency = rate base_currency.",
        dated_by="rate_date",
    ),
    Dataset(
        "control_balances",
        "erp",
        ("company_id", "as_of"),
        _columns("company_id* as_of:date* balance:amount*~"),
        description="The ledger's receivables control account, in the entity's currency.",
        dated_by="as_of",
    ),
    Dataset(
        "credit_scores",
        "bureau",
        ("bureau", "score_code", "scored_on", "customer_id", "registration_number"),
        _columns(
            "bureau* scored_on:date* score_code* raw_score customer_id registration_number model_code risk_class status "
            "dbt:number~ industry_dbt:number~ recommended_limit:amount currency current_ratio:number~ quick_ratio:number~ "
            "debt_to_equity:number~ match_confidence:number fetched_at:timestamp"
        ),
        description="What bureaus say of a customer, as they wrote it.",
        dated_by="scored_on",
        any_of=("customer_id", "registration_number"),
    ),
)

DATASETS: Mapping[str, Dataset] = MappingProxyType({dataset.name: dataset for dataset in _ALL})

ISSUED_STEPS = Dataset(
    "issued_steps",
    "delivery",
    ("worklist_date", "item_id", "step"),
    _columns("worklist_date:date* item_id* step* customer_id* invoice_id policy* open_amount:amount* currency*"),
    description="Which dunning step went out for which item on which morning: our own memory, landed when a list is published.",
)
"""Written by delivery, never asked of a source; read back only by mornings after the one that wrote it."""

ISSUED_CUSTOMERS = Dataset(
    "issued_customers",
    "delivery",
    ("worklist_date", "customer_id", "currency"),
    _columns("worklist_date:date* customer_id* currency* policy* collector owed:amount*"),
    description="Whom a morning's list was about, whose list it was, and what they owed in each currency: what an answer is held "
    "against when it comes back.",
)
"""Written by delivery as `ISSUED_STEPS`; read where answers come back, and by nothing that decides about the book."""

ISSUED_FORECASTS = Dataset(
    "issued_forecasts",
    "delivery",
    ("made_on", "week_start", "scope", "company_id", "currency"),
    _columns(
        "made_on:date* week_start:date* week:integer* scope* company_id* currency* policy* expected:amount* not_billed:amount* "
        "p20:amount* p80:amount* naive:amount*"
    ),
    description="The cash that a morning forecast, by week: what is held against what came. The company of a total is *.",
)
"""Written by delivery as `ISSUED_STEPS`, and as they are read back only by later mornings."""

WORKLIST_OUTCOMES = Dataset(
    "worklist_outcomes",
    "delivery",
    ("outcome_id",),
    _columns(
        "outcome_id* worklist_date:date* policy* customer_id* collector item_id invoice_id contacted outcome promised_date:date "
        "promised_amount:amount dispute_reason disputed_amount:amount currency note file_name*"
    ),
    description="What collectors wrote into their workbooks, a row of the call list or of its items each; the newest word on a row "
    "counts. Currency: of the amounts; empty where the customer's documents are in several.",
)
"""Read from the inbox, never asked of a source. A row is known again by its list's date and policy, its customer and item."""

BUREAU_MATCHES = Dataset(
    "bureau_matches",
    "inquiries",
    ("bureau", "customer_id", "bureau_id"),
    _columns(
        "bureau* customer_id* bureau_id* name country registration_number confidence:number matched_by matched_on:date decision* "
        "decided_by decided_on:date note",
        {"decision": MATCH_DECISIONS},
    ),
    description="Which of a bureau's companies a customer is, or may be: confidence from 1 to 10, and what was decided.",
)
"""Asked of a bureau that reports are bought from, and of no other source; people decide in its file (`sources/inquiries.py`)."""

BUREAU_EVENTS = Dataset(
    "bureau_events",
    "inquiries",
    ("bureau", "event_id"),
    _columns(
        "bureau* event_id* customer_id* occurred_on:date* kind* bureau_id billed:integer value_before value_after detail",
        {"kind": INQUIRY_KINDS},
    ),
    description="What a bureau was asked about a customer, how many of the answers it bills, and what it said by itself (alert).",
)
"""As `BUREAU_MATCHES`; the newest word on an event counts."""

_OUR_OWN = (ISSUED_STEPS, ISSUED_FORECASTS, WORKLIST_OUTCOMES, BUREAU_MATCHES, BUREAU_EVENTS)

TABLES: Mapping[str, Dataset] = MappingProxyType({**DATASETS, **{dataset.name: dataset for dataset in _OUR_OWN}})


LANDED: Mapping[str, Dataset] = MappingProxyType({**TABLES, ISSUED_CUSTOMERS.name: ISSUED_CUSTOMERS})
"""Everything that lies in landing: the tables of the dbt sources, and what only we ourselves read."""


PERSONAL: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "customers": ("name", "email", "phone"),
        "contacts": ("name", "email", "phone"),
        "activities": ("note",),
        "credit_reviews": ("note",),
        "credit_exceptions": ("reason",),
        "worklist_outcomes": ("note",),
        "bureau_matches": ("name", "note"),
    }
)
"""What is said of people, by dataset: names, addresses and free words, which no figure and no key depends on."""


def sources(group: str) -> Iterator[Dataset]:
    """The tables of one dbt source."""
    return (dataset for dataset in TABLES.values() if dataset.group == group)
