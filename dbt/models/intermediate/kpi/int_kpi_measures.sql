with disputed_items as (
    select * from {{ ref('int_disputed_items') }}
),

disputes as (
    select * from {{ ref('stg_erp__disputes') }}
),

balances as (
    select * from {{ ref('int_item_balances') }}
),

items as (
    select * from {{ ref('int_receivable_items') }}
),

promises as (
    select * from {{ ref('int_promises') }}
),

cash_applied as (
    select * from {{ ref('int_cash_applied') }}
    where stands_at_month_end
),

concentration as (
    select * from {{ ref('int_concentration') }}
    where not is_as_of
),

{{ kpi_parts() }},

disputed as (
    select
        months.month,
        disputed_items.company_id,
        disputed_items.customer_id,
        sum(
            {{ share_of('disputed_items.open_amount_reporting', 'disputed_items.disputed_amount', 'disputed_items.invoice_open_amount') }}
        ) as disputed
    from disputed_items
    inner join months on disputed_items.snapshot_date = months.snapshot_date
    group by months.month, disputed_items.company_id, disputed_items.customer_id
),

-- The first month opens with a day that is no snapshot date.
before_first as (
    select
        min(month) as month,
        {{ days_after('min(month)', -1) }} as balance_date
    from months
),

opening as (
    select
        before_first.month,
        items.company_id,
        items.customer_id,
        sum({{ converted('balances.open_amount', 'items.currency', 'items.reporting_currency', 'exchange_rates') }})
            as opening_receivables,
        sum(
            case
                when items.due_date < before_first.balance_date and balances.open_amount > 0
                    then {{ converted('balances.open_amount', 'items.currency', 'items.reporting_currency', 'exchange_rates') }}
                else 0
            end
        ) as opening_past_due
    from balances
    inner join before_first
        on balances.valid_from <= before_first.balance_date
        and (balances.valid_to is null or balances.valid_to > before_first.balance_date)
    inner join items on balances.item_key = items.item_key
    left join exchange_rates
        on items.currency = exchange_rates.from_currency
        and items.reporting_currency = exchange_rates.to_currency
        and exchange_rates.valid_from <= before_first.balance_date
        and (exchange_rates.valid_to is null or exchange_rates.valid_to > before_first.balance_date)
    group by before_first.month, items.company_id, items.customer_id
    union all
    select
        months.month,
        standing.company_id,
        standing.customer_id,
        standing.receivables as opening_receivables,
        standing.past_due as opening_past_due
    from standing
    inner join months on {{ dbt.dateadd('month', 1, 'standing.month') }} = months.month
),

collected as (
    select
        months.month,
        cash_applied.company_id,
        cash_applied.customer_id,
        sum(cash_applied.amount_reporting) as paid,
        sum(case when cash_applied.days_late is not null then cash_applied.amount_reporting else 0 end) as paid_with_due_date,
        sum(case when cash_applied.days_late <= 0 then cash_applied.amount_reporting else 0 end) as paid_on_time,
        sum(cash_applied.amount_reporting * greatest(coalesce(cash_applied.days_late, 0), 0)) as paid_x_days_late,
        sum(case when cash_applied.days_late > 0 then cash_applied.amount_reporting else 0 end) as paid_past_due
    from cash_applied
    inner join months on cash_applied.month_end = months.snapshot_date
    group by months.month, cash_applied.company_id, cash_applied.customer_id
),

disputes_ended as (
    select
        months.month,
        documents.company_id,
        documents.customer_id,
        count(*) as disputes_resolved,
        sum({{ dbt.datediff('disputes.opened_on', 'disputes.resolved_on', 'day') }}) as dispute_days
    from disputes
    inner join months on {{ dbt.date_trunc('month', 'disputes.resolved_on') }} = months.month
    inner join documents on disputes.invoice_id = documents.invoice_id
    group by months.month, documents.company_id, documents.customer_id
),

-- A promise belongs to the month in which it would be broken.
promises_ended as (
    select
        months.month,
        coalesce(documents.company_id, customers.company_id) as company_id,
        promises.customer_id,
        sum({{ converted('promises.amount', 'promises.currency', 'companies.reporting_currency', 'exchange_rates') }}) as promised,
        sum(
            case
                when promises.state = 'kept'
                    then {{ converted('promises.amount', 'promises.currency', 'companies.reporting_currency', 'exchange_rates') }}
                else 0
            end
        ) as promised_and_kept
    from promises
    inner join months on {{ dbt.date_trunc('month', 'promises.grace_until') }} = months.month
    left join documents on promises.invoice_id = documents.invoice_id
    left join customers on promises.customer_id = customers.customer_id
    inner join companies on coalesce(documents.company_id, customers.company_id) = companies.company_id
    left join exchange_rates
        on promises.currency = exchange_rates.from_currency
        and companies.reporting_currency = exchange_rates.to_currency
        and exchange_rates.valid_from <= promises.promised_date
        and (exchange_rates.valid_to is null or exchange_rates.valid_to > promises.promised_date)
    group by months.month, coalesce(documents.company_id, customers.company_id), promises.customer_id
),

banded as (
    select
        month,
        company_id,
        customer_id,
        billed as billed_year,
        {%- for band in ['top5', 'next15', 'rest'] %}
        case when band = '{{ band }}' then billed else 0 end as billed_{{ band }}{{ ',' if not loop.last }}
        {%- endfor %}
    from concentration
),

{% set parts = {
    'standing': [
        'receivables', 'current_amount', 'd1_30', 'd31_60', 'd61_90', 'd90_plus', 'no_due_date', 'credits',
        'past_due',
    ],
    'disputed': ['disputed'],
    'opening': ['opening_receivables', 'opening_past_due'],
    'billed': ['billed_month', 'billed_window', 'billed_quarter', 'billed_year_before', 'customers_year_before', 'customers_kept'],
    'written_off': ['written_off_quarter'],
    'collected': ['paid', 'paid_with_due_date', 'paid_on_time', 'paid_past_due'],
    'disputes_ended': ['disputes_resolved', 'dispute_days'],
    'promises_ended': ['promised', 'promised_and_kept'],
    'invoiced': ['deliveries_invoiced', 'days_to_invoice'],
    'issued': ['invoices_issued', 'invoices_in_error'],
    'excepted': ['exceptions'],
    'reviews_missed': ['overdue_reviews'],
    'banded': ['billed_year', 'billed_top5', 'billed_next15', 'billed_rest'],
} -%}
{#- An amount times days needs more digits than an amount, and more room: it has a column of its own. -#}
{%- set weighed = {'standing': 'past_due_x_days', 'collected': 'paid_x_days_late'} -%}
accounts as (
    {%- for part in parts %}
    select month, company_id, customer_id from {{ part }}
    {%- if not loop.last %}
    union
    {%- endif %}
    {%- endfor %}
),

-- A customer of several companies is one customer of every scope but theirs: it counts with the first of them.
shared as (
    select
        month,
        customer_id,
        min(company_id) as first_company_id
    from accounts
    group by month, customer_id
    having count(*) > 1
),

counted as (
    select
        accounts.month,
        accounts.company_id,
        accounts.customer_id,
        case when shared.customer_id is null or accounts.company_id = shared.first_company_id then 1 else 0 end as customers,
        1 as company_customers
    from accounts
    left join shared
        on accounts.month = shared.month
        and accounts.customer_id = shared.customer_id
),

-- Each part has one row a customer and month and knows its own measures. They are laid one below the other in the same few columns and
-- summed by part: laid side by side, millions of rows would be carried through a join for every part, or be mostly empty.
{% set _ = parts.update({'counted': ['customers', 'company_customers']}) -%}
{% set widest = parts.values() | map('length') | max -%}
customer_months as (
    {%- for part, known in parts.items() %}
    select
        month,
        company_id,
        customer_id,
        {{ loop.index }} as part,
        {%- for place in range(widest) %}
        cast({{ known[place] if place < known | length else 'null' }} as decimal(18, 4)) as measure_{{ place }},
        {%- endfor %}
        cast({{ weighed.get(part, 'null') }} as decimal(24, 4)) as amount_x_days
    from {{ part }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

{% set traits = ['region', 'industry', 'collector', 'sales_rep'] -%}
-- Customers alike in what the source keeps no history of are one kind: a number is summed by sooner than four texts.
traits_of as (
    select
        customer_id,
        {%- for trait in traits %}
        coalesce({{ trait }}, 'unknown') as {{ trait }},
        {%- endfor %}
        dense_rank() over (
            order by {% for trait in traits %}coalesce({{ trait }}, 'unknown'){{ ', ' if not loop.last }}{% endfor %}
        ) as kind
    from customers
),

kinds as (
    select distinct
        kind,
        {%- for trait in traits %}
        {{ trait }}{{ ',' if not loop.last }}
        {%- endfor %}
    from traits_of
),

-- The tier is that of the month's end.
summed as (
    select
        customer_months.part,
        customer_months.month,
        customer_months.company_id,
        tier_history.tier_indicated as tier,
        traits_of.kind,
        {%- for place in range(widest) %}
        sum(customer_months.measure_{{ place }}) as measure_{{ place }},
        {%- endfor %}
        sum(customer_months.amount_x_days) as amount_x_days
    from customer_months
    inner join months on customer_months.month = months.month
    left join traits_of on customer_months.customer_id = traits_of.customer_id
    left join tier_history
        on customer_months.customer_id = tier_history.customer_id
        and months.snapshot_date = tier_history.snapshot_date
    group by 1, 2, 3, 4, 5
),

laid_out as (
    select
        month,
        company_id,
        tier,
        kind
        {%- for part, known in parts.items() %}
        {%- set part_number = loop.index %}
        {%- for measure in known %},
        sum(case when part = {{ part_number }} then measure_{{ loop.index0 }} end) as {{ measure }}
        {%- endfor %}
        {%- if part in weighed %},
        sum(case when part = {{ part_number }} then amount_x_days end) as {{ weighed[part] }}
        {%- endif %}
        {%- endfor %}
    from summed
    group by 1, 2, 3, 4
)

select
    laid_out.month,
    laid_out.company_id,
    coalesce(laid_out.tier, 'unknown') as tier
    {%- for trait in traits %},
    coalesce(kinds.{{ trait }}, 'unknown') as {{ trait }}
    {%- endfor %}
    {%- for measure in kpi_measures() %},
    cast(coalesce(laid_out.{{ measure }}, 0) as decimal({{ 24 if '_x_days' in measure else 18 }}, 4)) as {{ measure }}
    {%- endfor %}
from laid_out
left join kinds on laid_out.kind = kinds.kind
