{#- kpi, numerator, denominator (null for an amount), what the ratio is multiplied by, variant. Without a positive denominator there is
    no ratio: the value is null and the variant says so. -#}
{%- set window = "concat_ws('', 'trailing_', cast(window_days as varchar), '_days')" -%}
{%- set ratios = [
    ('dso', 'receivables', 'billed_window', 'window_days', window),
    ('best_possible_dso', 'current_amount', 'billed_window', 'window_days', window),
    ('aging_share_current', 'current_amount', 'receivables', '1', "'of_balance'"),
    ('aging_share_1_30', 'd1_30', 'receivables', '1', "'of_balance'"),
    ('aging_share_31_60', 'd31_60', 'receivables', '1', "'of_balance'"),
    ('aging_share_61_90', 'd61_90', 'receivables', '1', "'of_balance'"),
    ('aging_share_90_plus', 'd90_plus', 'receivables', '1', "'of_balance'"),
    ('aging_share_no_due_date', 'no_due_date', 'receivables', '1', "'of_balance'"),
    ('unapplied_share', 'credits', 'receivables', '1', "'of_balance'"),
    ('disputed_share', 'disputed', 'receivables', '1', "'of_balance'"),
    ('write_off_rate', 'written_off_quarter', 'billed_quarter', '1', "'trailing_3_months'"),
    ('cei', 'opening_receivables + billed_month - receivables', 'opening_receivables + billed_month - current_amount', '100', "'monthly'"),
    ('dbt_days', 'paid_x_days_late + past_due_x_days', 'paid_with_due_date + past_due', '1', "'paid_in_month_and_past_due_at_end'"),
    ('on_time_share', 'paid_on_time', 'paid_with_due_date', '1', "'paid_in_month'"),
    ('dispute_days', 'dispute_days', 'disputes_resolved', '1', "'resolved_in_month'"),
    ('promise_kept_share', 'promised_and_kept', 'promised', '1', "'grace_ended_in_month'"),
    ('days_to_invoice', 'days_to_invoice', 'deliveries_invoiced', '1', "'business_days_sent_in_month'"),
    ('invoice_error_rate', 'invoices_in_error', 'invoices_issued', '1', "'issued_in_month'"),
    (
        'exception_rate', 'case when not began_before_policy then exceptions end', 'invoices_issued', '1',
        "case when began_before_policy then 'before_policy' when has_declared_exceptions then 'granted_and_undeclared' else 'undeclared_only' end"
    ),
    (
        'overdue_reviews', 'case when has_reviews and not ended_before_policy then overdue_reviews end', 'null', '1',
        "case when ended_before_policy then 'before_policy' when has_reviews then 'accounts_at_month_end' else 'no_reviews_known' end"
    ),
    ('concentration_top5', 'billed_top5', 'billed_year', '1', "'of_the_whole_book_trailing_12_months'"),
    ('concentration_next15', 'billed_next15', 'billed_year', '1', "'of_the_whole_book_trailing_12_months'"),
    ('concentration_rest', 'billed_rest', 'billed_year', '1', "'of_the_whole_book_trailing_12_months'"),
    ('customer_retention', 'customers_kept', 'customers_year_before', '1', "concat_ws('', 'billed_in_', cast(window_days as varchar), '_days')"),
    ('recovered_past_due', 'paid_past_due', 'null', '1', "'past_due_when_paid'"),
    (
        'carrying_cost', '(opening_past_due + past_due) * 0.5', 'null', 'cost_of_capital_pct / 100 * days_in_month / 365',
        "'average_of_opening_and_closing'"
    ),
] -%}
with scoped as (
    select * from {{ ref('int_kpi_by_scope') }}
),

countback as (
    select * from {{ ref('int_dso_countback') }}
),

ratios as (
    {%- for kpi, numerator, denominator, factor, variant in ratios %}
    select
        month,
        scope,
        scope_value,
        n,
        {{ policy_name('kpi_definitions', kpi) }} as kpi,
        {{ variant }} as variant,
        cast({{ numerator }} as decimal(24, 4)) as numerator,
        cast({{ denominator }} as decimal(24, 4)) as denominator,
        cast({{ factor }} as double) as factor
    from scoped
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

divided as (
    select
        month,
        scope,
        scope_value,
        n,
        kpi,
        case
            when variant = 'before_policy' then variant
            when denominator <= 0 then concat_ws('', variant, '_nothing_to_weigh')
            when kpi = 'cei' and numerator > denominator then concat_ws('', variant, '_above_100')
            else variant
        end as variant,
        numerator,
        denominator,
        case
            when denominator <= 0 or (kpi = 'cei' and numerator > denominator) then null
            else cast(cast(numerator as double) * factor / coalesce(cast(denominator as double), 1) as decimal(18, 4))
        end as value
    from ratios
)

select
    month,
    scope,
    scope_value,
    kpi,
    variant,
    cast(numerator as decimal(24, 4)) as numerator,
    cast(denominator as decimal(24, 4)) as denominator,
    cast(n as integer) as n,
    value
from divided
union all
select
    dso.month,
    dso.scope,
    dso.scope_value,
    {{ policy_name('kpi_definitions', 'average_days_delinquent') }} as kpi,
    dso.variant,
    cast(dso.numerator - best_possible.numerator as decimal(24, 4)) as numerator,
    cast(dso.denominator as decimal(24, 4)) as denominator,
    cast(dso.n as integer) as n,
    dso.value - best_possible.value as value
from divided as dso
inner join divided as best_possible
    on dso.month = best_possible.month
    and dso.scope = best_possible.scope
    and coalesce(dso.scope_value, '') = coalesce(best_possible.scope_value, '')
where dso.kpi = 'dso' and best_possible.kpi = 'best_possible_dso'
union all
select
    scoped.month,
    scoped.scope,
    scoped.scope_value,
    {{ policy_name('kpi_definitions', 'dso_countback') }} as kpi,
    case
        when countback.days is null then 'whole_months_nothing_to_weigh'
        when countback.is_capped then 'whole_months_capped'
        else 'whole_months'
    end as variant,
    cast(scoped.receivables as decimal(24, 4)) as numerator,
    cast(countback.billed_counted as decimal(24, 4)) as denominator,
    cast(scoped.n as integer) as n,
    countback.days as value
from scoped
left join countback
    on scoped.month = countback.month
    and scoped.scope = countback.scope
    and coalesce(scoped.scope_value, '') = coalesce(countback.scope_value, '')
