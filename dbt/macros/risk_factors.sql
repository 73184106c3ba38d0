{#- The factors of a verdict: what each is called, whether it is a number or a word, and where it comes from. Each is a column of
    int_risk_signals. A policy pack may name these, risk_score and evidence, and no others. -#}
{% macro risk_factors() -%}
    {{ return([
        {'name': 'dbt_days_24m', 'kind': 'number', 'source': "'ledger'"},
        {'name': 'dbt_days_6m', 'kind': 'number', 'source': "'ledger'"},
        {'name': 'dbt_slope', 'kind': 'number', 'source': "'ledger'"},
        {'name': 'dbt_direction', 'kind': 'text', 'source': "'ledger'"},
        {'name': 'max_days_late_12m', 'kind': 'number', 'source': "'ledger'"},
        {'name': 'oldest_past_due', 'kind': 'number', 'source': "'ledger'"},
        {'name': 'past_due_share_30', 'kind': 'number', 'source': "'ledger'"},
        {'name': 'past_due_share_60', 'kind': 'number', 'source': "'ledger'"},
        {'name': 'on_time_share_24m', 'kind': 'number', 'source': "'ledger'"},
        {'name': 'paid_invoices_24m', 'kind': 'number', 'source': "'ledger'"},
        {'name': 'relationship_years', 'kind': 'number', 'source': "'ledger'"},
        {'name': 'disputed_share', 'kind': 'number', 'source': "'ledger'"},
        {'name': 'broken_promises_12m', 'kind': 'number', 'source': "'ledger'"},
        {'name': 'account_status', 'kind': 'text', 'source': "'ledger'"},
        {'name': 'credit_used_share', 'kind': 'number', 'source': "'ledger'"},
        {'name': 'gross_margin_pct', 'kind': 'number', 'source': "'ledger'"},
        {'name': 'strategic_value', 'kind': 'number', 'source': "'ledger'"},
        {'name': 'bureau_score', 'kind': 'number', 'source': 'bureau_score_source', 'weight': 'bureau_score_weight'},
        {'name': 'bureau_score_change_6m', 'kind': 'number', 'source': 'bureau_score_source'},
        {'name': 'bureau_dbt', 'kind': 'number', 'source': 'bureau_dbt_source', 'weight': 'bureau_dbt_weight'},
        {'name': 'industry_dbt_gap', 'kind': 'number', 'source': 'bureau_dbt_source'},
        {'name': 'bureau_status', 'kind': 'text', 'source': 'bureau_status_source'},
        {'name': 'current_ratio', 'kind': 'number', 'source': 'ratios_source', 'weight': 'ratios_weight'},
        {'name': 'quick_ratio', 'kind': 'number', 'source': 'ratios_source', 'weight': 'ratios_weight'},
        {'name': 'debt_to_equity', 'kind': 'number', 'source': 'ratios_source', 'weight': 'ratios_weight'},
    ]) }}
{%- endmacro %}
