with pieces as (
    select * from {{ ref('int_item_allocations') }}
    where
        source_type = 'payment'
        and payment_date is not null
        -- What the longest window sees from the oldest snapshot date.
        and {{ month_index('allocation_effective_on') }} >= (
            select min({{ month_index('snapshot_date') }}) - 24 from {{ ref('int_snapshot_dates') }}
        )
),

companies as (
    select * from {{ ref('int_companies') }}
),

exchange_rates as (
    select * from {{ ref('int_exchange_rates') }}
),

dated as (
    select
        pieces.allocation_id,
        pieces.item_id,
        pieces.invoice_id,
        pieces.company_id,
        pieces.customer_id,
        pieces.currency,
        pieces.amount,
        companies.reporting_currency,
        pieces.allocation_effective_on,
        pieces.effective_on,
        pieces.ended_on,
        pieces.payment_date,
        pieces.due_date,
        pieces.document_date,
        least(
            cast({{ dbt.last_day('pieces.allocation_effective_on', 'month') }} as date),
            {{ as_of() }}
        ) as month_end
    from pieces
    left join companies on pieces.company_id = companies.company_id
),

standing as (
    select
        *,
        effective_on = allocation_effective_on and ended_on is null as is_lasting,
        effective_on <= month_end and (ended_on is null or ended_on > month_end) as stands_at_month_end
    from dated
),

-- One rate a day and pair of currencies, found once: looking each amount's up among the intervals costs fifty times as much.
days as (
    select distinct
        currency,
        reporting_currency,
        allocation_effective_on
    from standing
),

rates as (
    select
        days.currency,
        days.reporting_currency,
        days.allocation_effective_on,
        exchange_rates.rate,
        exchange_rates.to_digits
    from days
    inner join exchange_rates
        on days.currency = exchange_rates.from_currency
        and days.reporting_currency = exchange_rates.to_currency
        and exchange_rates.valid_from <= days.allocation_effective_on
        and (exchange_rates.valid_to is null or exchange_rates.valid_to > days.allocation_effective_on)
)

select
    standing.invoice_id,
    standing.company_id,
    standing.customer_id,
    {{ converted('standing.amount', 'standing.currency', 'standing.reporting_currency', 'rates') }} as amount_reporting,
    {{ month_index('standing.allocation_effective_on') }} as month_index,
    standing.month_end,
    standing.effective_on,
    standing.ended_on,
    standing.is_lasting,
    standing.stands_at_month_end,
    cast({{ dbt.datediff('standing.due_date', 'standing.payment_date', 'day') }} as integer) as days_late,
    cast({{ dbt.datediff('standing.document_date', 'standing.payment_date', 'day') }} as integer) as days_to_pay
from standing
left join rates
    on standing.currency = rates.currency
    and standing.reporting_currency = rates.reporting_currency
    and standing.allocation_effective_on = rates.allocation_effective_on
