"""The dbt project keeps its own rules, and delivers the columns that readers were promised."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dagster_project.contract import LANDING_COLUMNS, SQL_TYPES, TABLES
from dagster_project.outgoing import MARTS
from dagster_project.paths import DBT_PROJECT, SEEDS

PROMISED = {
    "open_items": "as_of company_id customer_id item_id item_type document_number document_date due_date currency original_amount "
    "open_amount base_currency open_amount_base reporting_currency open_amount_reporting days_past_due aging_bucket disputed_amount "
    "product_line sales_rep region industry",
    "aging_by_customer": "as_of company_id customer_id currency current_amount d1_30 d31_60 d61_90 d90_plus total_open credits "
    "balance past_due oldest_days_past_due",
    "aging_history": "snapshot_date company_id customer_id currency current_amount d1_30 d31_60 d61_90 d90_plus total_open credits "
    "balance past_due oldest_days_past_due",
    "due_date_shifts": "invoice_id original_due_date due_date seen_on",
    "roll_forward": "company_id month currency opening billed cash credits write_offs fx backdated closing difference",
    "days_beyond_terms_monthly": "customer_id month paid_amount dbt_days_paid dbt_days_open dbt_days days_to_pay on_time_share",
    "payment_behaviour": "customer_id dbt_days_3m dbt_days_6m dbt_days_12m dbt_days_24m dbt_slope dbt_stddev paydex_equivalent "
    "direction payer_pattern on_time_share_24m bureau_dbt industry_dbt hidden_stress",
    "risk_tiers": "customer_id policy risk_score evidence tier_indicated tier_in_force drift net_days credit_limit_policy "
    "deposit_pct next_review_due",
    "risk_tier_reasons": "customer_id tier factor operator threshold value passed effect reason",
    "risk_tier_history": "snapshot_date customer_id tier_indicated risk_score",
    "credit_reviews_due": "customer_id due_on trigger detail",
    "credit_exceptions": "customer_id invoice_id kind declared granted allowed approved_by detail",
    "invoice_errors": "invoice_id rule detail",
    "dunning_worklist": "as_of customer_id collector step severity channel audience tone past_due_amount item_count priority "
    "tier_in_force late_fee_preview",
    "dunning_items": "as_of customer_id invoice_id step open_amount days_past_due held_reason",
    "cash_application_suggestions": "payment_id invoice_id amount rule confidence",
    "kpi_monthly": "month scope scope_value kpi variant numerator denominator value prior_value target better tripped",
    "expected_payments": "as_of item_id invoice_id customer_id currency open_amount days_past_due usual_days_late usual_n usual_spread "
    "expected_on p80_on chance_later_10 chance_later_30 sentence",
    "payment_curves": "customer_id days_late still_open",
    "cash_forecast_weekly": "as_of week_start company_id currency open_items not_billed promised expected p20 p50 p80 overdue_part",
    "forecast_accuracy": "made_on week_start company_id forecast came naive error",
    "concentration": "band customers billed_share days_to_pay risk",
    "kpi_alerts": "month scope scope_value kpi value prior_value trigger",
    "document_reconciliation": "company_id item_id document_number reported open_amount difference likely_cause",
    "control_reconciliation": "company_id as_of subledger_balance control_balance difference tied",
}
"""The marts of this cut, each with the columns that must be there; more may be."""

CLOCKS = (
    r"\b(current_date|current_timestamp|localtimestamp|getdate|sysdate|systimestamp)\b"
    r"|\b(now|today|transaction_timestamp)\s*\(|run_started_at"
)
ENGINE_ONLY = (
    r"::|->>|\bqualify\b|\basof\b|\blist_\w+\(|\bregexp_matches\b|\bstrftime\b|\bunnest\b|\bstring_split\b|\bstring_agg\b|\btimezone\s*\("
    r"|\bfilter\s*\(\s*where\b|\bexclude\s*\(|\bexplode\b|\bcollect_(list|set)\b|\bdate_add\b|\badd_months\b|\b(raise_)?error\s*\("
    r"|\bgenerate_series\s*\((?<!dbt\.generate_series\()|\bpmod\b|\bhash\s*\("
)
NUMBERING = "row_number|rank|dense_rank|lag|lead|first_value|last_value"
DUCKDB_TYPES = r"(varchar|text|hugeint|ubigint|utinyint)\b"
NEVER_NULL = frozenset(
    re.findall(
        r"\w+",
        """
        _as_of _load_id _loaded_at allocation_effective_on allocation_id amount_column asked_key began_on bureau changed_on collector
        company_id contact_id contacted_on currency customer_id dataset date_day day days_beyond_terms days_late document_date effective_on
        instalment_number invoice_id item_id item_key month_index months_ago more_than_days_late moved_on n open_from outcome payment_date
        payment_id place position preference promise_id promised_date rank rate_date reason_rank recency record refund_id reviewed_on
        scored_on sign snapshot_date source source_type starts_on step trigger turn week weight
        """,
    )
)
"""Columns that may be ordered by as they are: each has a value in every row, wherever it is ordered by."""
FLOATS = {
    "macros/cash_weeks.sql": "the quantile of a sum",
    "macros/words.sql": "whole numbers",
    "models/intermediate/ahead/int_cash_not_billed.sql": "whole numbers",
    "models/intermediate/behaviour/int_expected_payments.sql": "chances",
    "models/intermediate/behaviour/int_payment_curves.sql": "chances",
    "models/intermediate/behaviour/int_payment_delays.sql": "the half-life of days",
    "models/intermediate/behaviour/int_payment_habits.sql": "moments of days",
    "models/intermediate/behaviour/int_payment_trends.sql": "a line through days",
    "models/marts/kpi/pilot_effect.sql": "an interval around ratios",
}
"""Where both sides of a `/` are floats or whole numbers, of what. Between decimals it is a float on one engine, and on another a decimal
that is cut to a few places."""
NUMBERS = (
    r"(?:[<>=]|\bbetween|\band)\s*-?(\d+(?:\.\d+)?)\b(?!\.)|\b(\d+(?:\.\d+)?) *[<>]|\b(\d+) preceding|[+-] (\d+)\b"
    r"|days_after\([^()]*(?:\([^()]*\))?[^()]*,\s*'?-?(\d+)'?\)|dateadd\('\w+',\s*'?-?(\d+)"
)
"""What something is compared with, or how far something else is away, other than 0 and 1."""
NO_POLICY = {
    "ahead/cash_forecast_weekly": ("6", "a week"),
    "ahead/forecast_accuracy": ("6 7", "a week"),
    "ahead/int_cash_not_billed": ("6", "a week"),
    "ahead/int_cash_of_open_items": ("7", "a week"),
    "ahead/int_cash_weeks": ("7", "a week"),
    "behaviour/int_bureau_signals": ("6", "half a year, as its columns are named"),
    "behaviour/int_cash_applied": ("24", "the windows that dbt_days_3m … 24m are named after"),
    "behaviour/int_discounts": ("100", "per cent"),
    "behaviour/int_expected_payments": ("60 365", "the last sixty days of a curve give its slope; a year ahead"),
    "behaviour/int_payment_curves": ("4 100", "digits of a number of days"),
    "behaviour/int_payment_months": ("12", "twelve months: a year"),
    "behaviour/int_payment_trends": (
        "2 3 5 11",
        "a line has two points, and what is left of one three; three months, six, twelve",
    ),
    "behaviour/int_passing_cash": ("24", "the windows that dbt_days_3m … 24m are named after"),
    "behaviour/int_payment_windows": ("12 24", "the windows that dbt_days_3m … 24m are named after"),
    "calendar/dates": ("3", "the Thursday by which a week has its year"),
    "control/int_duplicate_customers": ("2", "how many a sentence names"),
    "dunning/collector_activity": ("24", "two years of months"),
    "dunning/int_contact_days": ("5", "how long a day of a year is, and one of every year"),
    "dunning/int_contact_history": ("3", "the last three, as its column says"),
    "dunning/step_effectiveness": ("7 14", "paid_7d and paid_14d, as its columns are named"),
    "kpi/dispute_causes": ("12", "twelve months: a year"),
    "kpi/int_concentration": ("5 20", "top5 and next15, as its bands are named"),
    "kpi/int_kpi_months": ("2", "a quarter"),
    "kpi/int_pilot_arms": ("100", "per cent"),
    "kpi/kpi_alerts": ("3", "how many a sentence names"),
    "ledger/int_business_days": ("1826", "five years of days"),
    "ledger/int_customer_balances": ("30 60", "late_30 and late_60, as its columns are named"),
    "ledger/int_families": ("3", "how deep a tree of parents is looked through"),
    "ledger/int_match_amounts": ("8", "how often the same payments are tried again"),
    "risk/credit_loss_provision": ("12", "twelve months: a year"),
    "risk/int_pack_day_faults": ("100", "per cent"),
    "risk/int_pack_word_faults": ("100", "per cent"),
    "risk/int_risk_signals": ("12", "twelve months: a year"),
    "risk/int_risk_verdicts": ("2", "bits of a number"),
    "risk/int_roll_rates": ("10 12", "twelve months: a year, and so many passes"),
}
"""Numbers in models that no company would set for itself, each with what they are. Any other number is a row of policy."""
INTROSPECTIVE = r"run_query|\bexecute\b|adapter\.(?!dispatch\b)|dbt_utils\.get_|load_result|\btarget\.(name|type|schema)"

Node = dict[str, Any]


@pytest.fixture(scope="module")
def models(manifest: dict[str, Any]) -> dict[str, Node]:
    return {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}


@pytest.fixture(scope="module")
def marts(models: dict[str, Node]) -> dict[str, Node]:
    return {name: node for name, node in models.items() if node["fqn"][1] == "marts"}


@pytest.fixture(scope="module")
def tests(manifest: dict[str, Any]) -> list[Node]:
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "test"]


def sql_files() -> Iterator[tuple[str, str]]:
    """Every SQL file with its text, less comments: what a comment says is not run."""
    for folder in ("models", "macros", "tests"):
        for path in sorted((DBT_PROJECT / folder).rglob("*.sql")):
            text = re.sub(r"--[^\n]*|\{#.*?#\}|/\*.*?\*/", "", path.read_text("utf-8"), flags=re.DOTALL)
            yield str(path.relative_to(DBT_PROJECT)), text


def found(pattern: str, folder: str = "") -> list[str]:
    return [
        f"{name}: {match.group()}"
        for name, text in sql_files()
        if name.startswith(folder) and (match := re.search(pattern, text, flags=re.IGNORECASE))
    ]


# --- what comes in ----------------------------------------------------------------------------------------------------


def test_the_landed_datasets_and_the_dbt_sources_are_the_same_column_by_column(manifest: dict[str, Any]) -> None:
    declared = [
        f"{table.group}.{table.name}.{column.name} {SQL_TYPES[column.type]}"
        for table in TABLES.values()
        for column in (*table.columns, *LANDING_COLUMNS)
    ]
    known = [
        f"{source['source_name']}.{source['name']}.{column['name']} {column['data_type']}"
        for source in manifest["sources"].values()
        if source["source_name"] != "reference"  # no dataset: written beside the landed ones when a morning is prepared
        for column in source["columns"].values()
    ]

    drift = [
        line
        for line in difflib.unified_diff(sorted(declared), sorted(known), "contract.py", "dbt sources", lineterm="", n=0)
        if not line.startswith("@@")
    ]
    assert not drift, "\n".join(drift)


def test_only_staging_reads_what_landed(models: dict[str, Node]) -> None:
    readers = {
        name
        for name, node in models.items()
        for parent in node["depends_on"]["nodes"]
        if parent.startswith("source.") and node["fqn"][1] != "staging"
    }

    assert readers == set()


def test_every_source_table_has_a_reader(manifest: dict[str, Any], models: dict[str, Node]) -> None:
    read = {parent for node in models.values() for parent in node["depends_on"]["nodes"]}

    assert set(manifest["sources"]) - read == set()


def test_staging_reads_what_landed_and_nothing_else(models: dict[str, Node]) -> None:
    parents = {parent for node in models.values() if node["fqn"][1] == "staging" for parent in node["depends_on"]["nodes"]}

    assert {parent for parent in parents if not parent.startswith("source.")} == set()


# --- what goes out ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROMISED)
def test_a_mart_has_the_columns_that_readers_were_promised(name: str, marts: dict[str, Node]) -> None:
    assert name in marts
    assert set(PROMISED[name].split()) - set(marts[name]["columns"]) == set()


def test_every_mart_keeps_a_contract_and_documents_every_column(marts: dict[str, Node]) -> None:
    faults = []
    for name, node in marts.items():
        if not node["config"]["contract"]["enforced"]:
            faults.append(f"{name}: its contract is not enforced")
        if (node["database"], node["schema"]) != ("published", "marts"):
            faults.append(f"{name}: stands in {node['database']}.{node['schema']}")
        for column in node["columns"].values():
            faults += [f"{name}.{column['name']}: no {what}" for what in ("data_type", "description") if not column.get(what)]

    assert faults == []


def test_no_mart_holds_a_float_and_money_has_four_places(marts: dict[str, Node]) -> None:
    kinds = {
        f"{name}.{c['name']}": c["data_type"].lower().replace(" ", "") for name, n in marts.items() for c in n["columns"].values()
    }

    assert {column: kind for column, kind in kinds.items() if re.search("float|double|real", kind)} == {}
    money = {
        column: kind
        for column, kind in kinds.items()
        if re.search(r"_amount(_|$)|\.(balance|amount|credits|opening|closing)$", column)
    }
    assert {column: kind for column, kind in money.items() if kind != "decimal(18,4)"} == {}
    assert len(money) > 20


def test_the_types_of_marts_are_those_that_readers_of_every_engine_have(marts: dict[str, Node]) -> None:
    kinds = {c["data_type"].lower().replace(" ", "") for node in marts.values() for c in node["columns"].values()}

    assert kinds <= {"string", "date", "timestamp", "boolean", "integer", "bigint", "decimal(18,4)"}


# --- which way the arrows run -----------------------------------------------------------------------------------------

LAYERS = ("staging.reference", "policy", "staging", "intermediate", "marts")
"""Policy reads seeds and what the night was told of itself; nothing under the marts reads a mart."""
SUBJECTS = ("ledger", "calendar", "aging", "behaviour", "risk", "dunning", "kpi", "ahead", "control")
"""What of the book is worked out before what. A new folder has its place here."""
AGAINST_THE_ARROWS = {
    (
        "int_collectors",
        "credit_limit_use",
    ): "names who looks after the account beside its limit; nothing of the limit hangs on it",
}
"""Parent and child with the reason why that one may stand."""


def place(node: Node) -> tuple[int, int]:
    """Where a model stands: its layer and, above staging and policy, its subject."""
    layer, *folders = node["fqn"][1:-1]
    if layer in ("staging", "policy"):
        return LAYERS.index("staging.reference" if folders == ["reference"] else layer), 0
    return LAYERS.index(layer), SUBJECTS.index(folders[0])


def arrows_to_the_left(models: dict[str, Node]) -> set[tuple[str, str]]:
    """Parent and child where a model reads one of a later layer or subject."""
    found = set()
    for child, node in models.items():
        layer, subject = place(node)
        for parent in (name.split(".")[-1] for name in node["depends_on"]["nodes"] if name.startswith("model.")):
            parent_layer, parent_subject = place(models[parent])
            if parent_layer > layer or parent_subject > subject:
                found.add((parent, child))
    return found


def test_arrows_run_from_the_ledger_to_the_marts(models: dict[str, Node]) -> None:
    assert arrows_to_the_left(models) == set(AGAINST_THE_ARROWS)


@pytest.mark.parametrize(
    ("parent", "child"),
    [
        ("risk_tiers", "int_dunning_candidates"),
        ("int_dunning_candidates", "int_risk_signals"),
        ("int_kpi_values", "dunning_worklist"),
        ("stg_erp__customers", "policy_adopted"),
    ],
)
def test_an_arrow_to_the_left_is_found(parent: str, child: str, models: dict[str, Node]) -> None:
    node = models[child]
    planted = {**node, "depends_on": {"nodes": [*node["depends_on"]["nodes"], f"model.arrears.{parent}"]}}

    assert arrows_to_the_left({**models, child: planted}) - set(AGAINST_THE_ARROWS) == {(parent, child)}


# --- how it is written ------------------------------------------------------------------------------------------------


def test_every_model_has_a_yaml_beside_it_that_says_what_one_row_is(models: dict[str, Node]) -> None:
    faults = []
    for name, node in models.items():
        beside = Path(node["original_file_path"]).with_suffix(".yml")
        if node["patch_path"] != f"arrears://{beside}":
            faults.append(f"{name}: no {beside}")
        if not node["description"].lstrip().startswith("One row per "):
            faults.append(f"{name}: its description opens with {node['description'][:30]!r}")

    assert faults == []


WITHOUT_A_KEY = {
    "int_cash_applied": "its key would be its two widest columns, a string for every allocation there ever was, that nobody reads",
}
"""Models that declare no grain, each with the reason."""


def test_every_model_declares_by_which_columns_a_row_is_one(models: dict[str, Node], tests: list[Node]) -> None:
    """Whether it is so, tests that build a morning ask (`tests/grains.py`); of marts, every night does."""
    grains = {name: node["config"]["meta"].get("grain", []) for name, node in models.items()}
    landed = {f"stg_{table.group}__{table.name}": list(table.key) for table in TABLES.values()}
    nightly = {  # which says coalesce(scope_value, '') of a column that may be null
        test["depends_on"]["nodes"][0].split(".")[-1]: re.findall(
            r"(?<!\w)[a-z]\w*(?!\w|\()", " ".join(test["test_metadata"]["kwargs"]["columns"])
        )
        for test in tests
        if (test.get("test_metadata") or {}).get("name") == "one_row_per"
    }

    assert {name for name, grain in grains.items() if not grain} == set(WITHOUT_A_KEY)
    expected = {name: grain for name, grain in (landed | nightly).items() if name in grains}
    assert {name: grains[name] for name in expected} == expected


def test_every_policy_seed_has_a_yaml_beside_it_that_says_what_one_row_is(manifest: dict[str, Any]) -> None:
    seeds = [node for node in manifest["nodes"].values() if node["resource_type"] == "seed"]
    faults = [
        seed["name"]
        for seed in seeds
        if seed["patch_path"] != f"arrears://{Path(seed['original_file_path']).with_suffix('.yml')}"
        or not seed["description"].lstrip().startswith("One row per ")
        or set(seed["config"]["column_types"]) != set(header(seed))
    ]

    assert faults == []
    assert {seed["original_file_path"].split("/")[1] for seed in seeds} == {"policy"}


def header(seed: Node) -> list[str]:
    return (DBT_PROJECT / seed["original_file_path"]).read_text("utf-8-sig").splitlines()[0].split(",")


def test_no_yaml_describes_a_model_that_is_gone() -> None:
    orphans = [
        str(path.relative_to(DBT_PROJECT))
        for folder in ("models", "seeds")
        for path in (DBT_PROJECT / folder).rglob("*.yml")
        if not path.name.startswith("_") and not path.with_suffix(".sql").exists() and not path.with_suffix(".csv").exists()
    ]

    assert orphans == []


def test_there_is_one_clock() -> None:
    assert found(CLOCKS) == []


def numbers(text: str) -> list[str]:
    """What a statement compares with or goes back by, as it is written."""
    found = (next(filter(None, match.groups())) for match in re.finditer(NUMBERS, text))
    return [number for number in found if number not in ("0", "1")]


def test_what_a_company_decides_is_a_row_of_policy_and_no_number_in_a_model() -> None:
    have = {
        "/".join(Path(name).with_suffix("").parts[-2:]): set(numbers(text))
        for name, text in sql_files()
        if name.startswith("models")
    }

    assert {name: found for name, found in have.items() if found} == {
        name: set(said.split()) for name, (said, _) in NO_POLICY.items()
    }


@pytest.mark.parametrize(
    "planted",
    [
        "where days_past_due > 90",
        "case when 0.25 <= used_share then 'watch' end",
        "and days_late between 5 and ripe_after",
        "{{ days_after('promised_date', 4) }}",
        "{{ days_after(dbt.last_day('month', 'month'), 14) }}",
        "where opened_on > {{ dbt.dateadd('month', -18, as_of()) }}",
        "range between 11 preceding and current row",
        "where open_amount < minimum_amount + 25",
        "where tier_rank = 3",
    ],
)
def test_a_number_of_policy_in_a_model_is_found(planted: str) -> None:
    assert numbers(planted)


def test_the_morning_is_read_through_one_macro() -> None:
    assert found(r"""var\(\s*['"]as_of""") == ['macros/as_of.sql: var("as_of']


def test_models_say_nothing_that_only_one_engine_understands() -> None:
    assert found(ENGINE_ONLY, "models") == []


def test_types_have_the_names_that_every_engine_knows(manifest: dict[str, Any]) -> None:
    declared = {
        f"{node['name']}.{name}": kind
        for node in (*manifest["nodes"].values(), *manifest["sources"].values())
        for name, kind in (
            *((column["name"], column.get("data_type") or "") for column in node["columns"].values()),
            *node["config"].get("column_types", {}).items(),
        )
    }

    assert {where: kind for where, kind in declared.items() if re.search(DUCKDB_TYPES, kind, flags=re.IGNORECASE)} == {}
    assert found(rf"\bas\s+{DUCKDB_TYPES}") == []


def ordered_by(text: str) -> Iterator[str]:
    """Every key that rows are put in order by, as it is written."""
    for start in re.finditer(r"\border by\b", text):
        depth, quoted, key = 0, text[: start.start()].rstrip().endswith(("'", '"')), ""
        for place, letter in enumerate(text[start.end() :], start.end()):
            depth += (letter in "([{") - (letter in ")]}")
            ended = depth < 0 or (
                not depth
                and (re.match(r"\b(rows|range) between|\blimit\b|\bunion\b", text[place:]) or (quoted and letter in "'\""))
            )
            if ended or (letter == "," and not depth):
                yield " ".join(key.split())
                key = ""
            else:
                key += letter
            if ended:
                break
        else:
            yield " ".join(key.split())
    for start in re.finditer(r"first_of\('[^']*', '[^']*', (['\"])(.*?)\1\)", text):
        yield from (key.strip() for key in re.split(r",(?![^(]*\))", start[2]))


def test_what_is_ordered_by_and_may_be_empty_says_where_nulls_stand() -> None:
    """Ascending, nulls come last on one engine and first on another."""
    silent = [
        f"{name}: {key}"
        for name, text in sql_files()
        for key in ordered_by(text)
        if (bare := re.fullmatch(r"(?:(?:\w|\{\{ \w+ \}\})+\.)?(\w+)", key)) and bare[1] not in NEVER_NULL
    ]

    assert silent == []


def test_a_row_is_told_from_another_by_an_order() -> None:
    unordered = rf"\b({NUMBERING})\([^()]*\) over \((partition by [^()]*)?\)"

    assert [fault for fault in found(unordered) if "order by" not in fault] == ["macros/row_key.sql: row_number() over ()"]


def test_decimals_are_divided_in_macros_alone() -> None:
    divided = {
        name: line.strip()
        for name, text in sql_files()
        for line in text.splitlines()
        if name not in FLOATS and re.search(r" / |^\s*/ ", line) and not re.search(r"double\)?'?\)|\bfloor\(", line)
    }

    assert divided == {}


def test_what_groups_are_held_to_is_no_alias_of_the_same_name() -> None:
    """`sum(amount) as amount … having sum(amount) > 0` is a sum of sums to some engines."""
    shadowed = []
    for name, text in sql_files():
        for clause in re.finditer(r"\bhaving\b(.*?)(?=\n\)|\border by\b|\bunion\b|$)", text, flags=re.DOTALL):
            aliases = set(re.findall(r"\bas (\w+)", text[text.rfind("select", 0, clause.start()) : clause.start()]))
            shadowed += [
                f"{name}: {word}" for word in re.findall(r"(?<![.\w'])[a-z_]\w*(?![\w(.'])", clause[1]) if word in aliases
            ]

    assert shadowed == []


def test_what_is_said_in_another_way_on_spark_is_said_on_both() -> None:
    """But for dbt's own macros, whose text for the other engines dbt has."""
    dbts = {"dateadd", "datediff", "last_day", "listagg", "load_csv_rows", "safe_cast"}
    said: dict[str, set[str]] = {"default": set(), "spark": set()}
    for _, text in sql_files():
        for engine, name in re.findall(r"macro (default|spark)__(\w+)", text):
            said[engine].add(name)

    assert said["default"] - dbts == said["spark"] - dbts


def test_texts_are_put_together_in_a_way_that_treats_nulls_alike_on_every_engine() -> None:
    """`concat` skips a null on one engine and becomes null on another: `concat_ws('', …)` skips it on all, `||` becomes null on all."""
    assert found(r"(?<![\w.])concat\s*\(") == []


def test_nothing_asks_the_database_while_compiling_or_depends_on_the_target() -> None:
    how_dbt_builds = ("macros/generate_schema_name.sql", "macros/materialize_table.sql", "macros/spark/load_csv_rows.sql")

    assert [fault for fault in found(INTROSPECTIVE) if not fault.startswith(how_dbt_builds)] == []


def test_what_a_model_puts_out_is_listed_column_by_column() -> None:
    faults = []
    for name, text in sql_files():
        last = text.rpartition("\n)\n")[2]
        if name.startswith("models") and re.search(r"(select|,)\s+(\w+\.)?\*", last):
            faults.append(f"{name}: {' '.join(last.split())[:80]}")

    assert faults == []


# --- the tests of the rows --------------------------------------------------------------------------------------------


def test_every_test_says_what_it_is_that_holds(tests: list[Node]) -> None:
    silent = [test["name"] for test in tests if not (test["config"]["meta"].get("description") or "").strip()]

    assert silent == []


def test_every_test_either_stops_the_morning_or_warns(tests: list[Node]) -> None:
    assert {test["config"]["severity"].lower() for test in tests} <= {"error", "warn"}
    assert any(test["config"]["severity"].lower() == "error" for test in tests)


def test_every_mart_has_a_test_of_its_grain(tests: list[Node], marts: dict[str, Node]) -> None:
    grained = {
        parent.split(".")[-1]
        for test in tests
        if (test.get("test_metadata") or {}).get("name") == "one_row_per" and test["config"]["severity"].lower() == "error"
        for parent in test["depends_on"]["nodes"]
    }

    assert set(marts) - grained == set()


def test_the_checks_of_the_house_are_never_named_alike(tests: list[Node]) -> None:
    names = [test["name"] for test in tests]

    assert len(names) == len(set(names))


def test_every_unit_test_is_a_case_told_in_a_sentence(manifest: dict[str, Any]) -> None:
    cases = manifest["unit_tests"].values()

    assert [case["name"] for case in cases if len((case["description"] or "").split()) < 6] == []
    assert len(cases) > 40


def test_the_project_is_one_that_dbt_reads_without_the_network() -> None:
    project = yaml.safe_load((DBT_PROJECT / "dbt_project.yml").read_text("utf-8"))

    assert project["flags"]["send_anonymous_usage_stats"] is False
    assert not (DBT_PROJECT / "packages.yml").exists()
    assert not (DBT_PROJECT / "dependencies.yml").exists()


def test_every_key_figure_of_policy_is_one_that_is_worked_out(models: dict[str, Node]) -> None:
    """That each that is worked out is one of policy's, the night asks before it begins."""
    asked = {name.removeprefix("policy/kpi_definitions/") for name in models["int_kpi_values"]["config"]["meta"]}

    assert {row.split(",")[1] for row in (SEEDS / "kpi_definitions.csv").read_text("utf-8").splitlines()[1:]} - asked == set()


# --- what others build on ---------------------------------------------------------------------------------------------


def test_the_marts_are_public_with_a_contract_and_nothing_else_is(models: dict[str, Node]) -> None:
    public = {name for name, node in models.items() if node["config"]["access"] == "public"}
    bound = {name for name, node in models.items() if node["config"]["contract"]["enforced"]}

    assert public == bound == {name for name, node in models.items() if node["fqn"][1] == "marts"}
    assert {node["config"]["group"] for node in models.values()} == {"receivables", "figures"}


def test_the_exposures_name_what_the_export_reads(manifest: dict[str, Any]) -> None:
    read = {
        exposure["name"]: {parent.split(".")[-1] for parent in exposure["depends_on"]["nodes"]}
        for exposure in manifest["exposures"].values()
    }

    assert read["worklists"] == set(MARTS)
    assert read["letters"] | read["agency_file"] <= read["worklists"]
    assert read["pack_comparison"] == {"policy_comparison"}
