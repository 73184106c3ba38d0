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

balances as (
    select * from {{ ref('int_item_balances') }}
    where open_amount > 0
),

items as (
    select * from {{ ref('int_receivable_items') }}
    where {{ is_receivable('item_type') }}
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
        on {{ rate_on('days.allocation_effective_on', 'days.currency', 'days.reporting_currency') }}
),

weighed as (
    select
        standing.*,
        {{ converted('standing.amount', 'standing.currency', 'standing.reporting_currency', 'rates') }} as amount_reporting,
        cast({{ dbt.datediff('standing.due_date', 'standing.payment_date', 'day') }} as integer) as days_late,
        cast({{ dbt.datediff('standing.document_date', 'standing.payment_date', 'day') }} as integer) as days_to_pay
    from standing
    left join rates
        on standing.currency = rates.currency
        and standing.reporting_currency = rates.reporting_currency
        and standing.allocation_effective_on = rates.allocation_effective_on
),

-- Whether late money paid a trifle is asked of what was past due on the eve of the payment. Of large amounts it is known without asking.
little_paid_late as (
    select distinct
        company_id,
        customer_id,
        payment_date
    from weighed
    where days_late > 0 and {{ below_trifle('amount_reporting') }}
),

past_due_before as (
    select
        little_paid_late.company_id,
        little_paid_late.customer_id,
        little_paid_late.payment_date,
        sum({{ converted('balances.open_amount', 'items.currency', 'items.reporting_currency', 'exchange_rates') }}) as amount
    from little_paid_late
    inner join items
        on little_paid_late.company_id = items.company_id
        and little_paid_late.customer_id = items.customer_id
        and little_paid_late.payment_date > items.due_date
    inner join balances
        on items.item_key = balances.item_key
        and {{ spans(days_after('little_paid_late.payment_date', -1), 'balances') }}
    left join exchange_rates
        on {{ rate_on(days_after('little_paid_late.payment_date', -1), 'items.currency', 'items.reporting_currency') }}
    group by little_paid_late.company_id, little_paid_late.customer_id, little_paid_late.payment_date
),

judged as (
    select
        weighed.*,
        weighed.days_late > 0 and {{ below_trifle('greatest(weighed.amount_reporting, coalesce(past_due_before.amount, 0))') }} as is_trifle
    from weighed
    left join past_due_before
        on weighed.company_id = past_due_before.company_id
        and weighed.customer_id = past_due_before.customer_id
        and weighed.payment_date = past_due_before.payment_date
)

select
    invoice_id,
    company_id,
    customer_id,
    amount_reporting,
    {{ month_index('allocation_effective_on') }} as month_index,
    month_end,
    effective_on,
    ended_on,
    is_lasting,
    stands_at_month_end,
    coalesce(days_late > 0, false) as is_late,
    case when is_trifle then null else days_late end as days_late,
    case when is_trifle then null else days_to_pay end as days_to_pay
from judged
