with movements as (
    select * from {{ ref('int_movements_daily') }}
),

companies as (
    select * from {{ ref('int_companies') }}
),

customer_balances as (
    select * from {{ ref('int_customer_balances') }}
),

snapshot_dates as (
    select * from {{ ref('int_snapshot_dates') }}
),

exchange_rates as (
    select * from {{ ref('int_exchange_rates') }}
),

months as (
    select
        month,
        is_as_of,
        snapshot_date as closes_on,
        lag(month) over (order by snapshot_date) as previous_month,
        lead(month) over (order by snapshot_date) as next_month,
        cast({{ dbt.dateadd('day', policy_value('control_policy', 'close_after_days'), 'snapshot_date') }} as date) as books_close_on
    from snapshot_dates
),

-- Nobody can say when something was posted before the first load: what that brought is in its own line.
first_load as (
    select min(known_on) as loaded_on
    from movements
),

-- Everything by day before it is converted, each at its own day's rate.
flows as (
    select
        movements.company_id,
        months.month,
        movements.currency,
        movements.moved_on as dated_on,
        case
            when
                not months.is_as_of
                and movements.known_on > months.books_close_on
                and first_load.loaded_on <= months.books_close_on
                then 'backdated'
            when movements.kind in ('cash', 'cash_reversed', 'application') then 'cash'
            when movements.kind = 'void' and movements.item_type = 'credit_memo' then 'credit_memo'
            when movements.kind = 'void' then 'billed'
            else movements.kind
        end as line,
        sum(movements.amount) as amount
    from movements
    inner join months
        on cast({{ dbt.date_trunc('month', 'movements.moved_on') }} as date) = months.month
        and months.previous_month is not null
    cross join first_load
    group by 1, 2, 3, 4, 5
),

balances as (
    select
        customer_balances.company_id,
        months.month,
        months.next_month,
        customer_balances.currency,
        months.closes_on,
        sum(customer_balances.balance) as amount,
        case when count(*) = count(customer_balances.balance_base) then sum(customer_balances.balance_base) end as amount_base
    from customer_balances
    inner join months on customer_balances.snapshot_date = months.closes_on
    group by customer_balances.company_id, months.month, months.next_month, customer_balances.currency, months.closes_on
),

days as (
    select distinct
        currency,
        dated_on
    from flows
    union
    select distinct
        currency,
        closes_on as dated_on
    from balances
),

rates as (
    select
        days.currency,
        days.dated_on,
        exchange_rates.to_currency,
        exchange_rates.rate,
        exchange_rates.to_digits
    from days
    inner join exchange_rates
        on days.currency = exchange_rates.from_currency
        and {{ spans('days.dated_on', 'exchange_rates') }}
),

entries as (
    select
        flows.company_id,
        flows.month,
        flows.currency,
        flows.line,
        flows.amount,
        {{ converted('flows.amount', 'flows.currency', 'companies.currency', 'rates') }} as amount_base
    from flows
    inner join companies on flows.company_id = companies.company_id
    left join rates
        on flows.currency = rates.currency
        and flows.dated_on = rates.dated_on
        and companies.currency = rates.to_currency
    union all
    select
        company_id,
        next_month as month,
        currency,
        'opening' as line,
        amount,
        amount_base
    from balances
    where next_month is not null
    union all
    select
        balances.company_id,
        balances.month,
        balances.currency,
        'closing' as line,
        balances.amount,
        balances.amount_base
    from balances
    inner join months
        on balances.month = months.month
        and months.previous_month is not null
),

-- In one currency opening and movements must make the closing; what the same makes otherwise in base currency is exchange.
by_currency as (
    select
        company_id,
        month,
        currency,
        {%- for line in ['opening', 'billed', 'cash', 'credit_memo', 'discount', 'adjustment', 'write_off', 'refund', 'exchange', 'backdated', 'closing'] %}
        sum(case when line = '{{ line }}' then amount_base else 0 end) as {{ line }},
        {%- endfor %}
        sum(case when line = 'closing' then amount else -amount end) as unexplained,
        sum(case when line = 'closing' then amount_base else -amount_base end) as unexplained_base,
        count(*) - count(amount_base) as without_rate
    from entries
    group by company_id, month, currency
),

judged as (
    select
        by_currency.company_id,
        by_currency.month,
        by_currency.opening,
        by_currency.billed,
        by_currency.cash,
        by_currency.credit_memo,
        by_currency.discount,
        by_currency.adjustment,
        by_currency.write_off,
        by_currency.refund,
        by_currency.exchange,
        by_currency.backdated,
        by_currency.closing,
        by_currency.unexplained_base,
        by_currency.without_rate,
        -- Nothing needs no rate: a currency of which nothing is left at the month's end may have none.
        case
            when by_currency.unexplained = 0 then 0
            else {{ converted('by_currency.unexplained', 'by_currency.currency', 'companies.currency', 'rates') }}
        end as difference
    from by_currency
    inner join companies on by_currency.company_id = companies.company_id
    inner join months on by_currency.month = months.month
    left join rates
        on by_currency.currency = rates.currency
        and months.closes_on = rates.dated_on
        and companies.currency = rates.to_currency
)

select
    cast({{ as_of() }} as date) as as_of,
    cast(companies.company_id as string) as company_id,
    cast(months.month as date) as month,
    cast(companies.currency as string) as currency,
    cast(coalesce(sum(judged.opening), 0) as decimal(18, 4)) as opening,
    cast(coalesce(sum(judged.billed), 0) as decimal(18, 4)) as billed,
    cast(-coalesce(sum(judged.cash), 0) as decimal(18, 4)) as cash,
    cast(-coalesce(sum(judged.credit_memo + judged.discount + judged.adjustment), 0) as decimal(18, 4)) as credits,
    cast(-coalesce(sum(judged.discount), 0) as decimal(18, 4)) as discounts,
    cast(-coalesce(sum(judged.adjustment), 0) as decimal(18, 4)) as adjustments,
    cast(-coalesce(sum(judged.write_off), 0) as decimal(18, 4)) as write_offs,
    cast(coalesce(sum(judged.refund), 0) as decimal(18, 4)) as refunds,
    cast(
        case
            when coalesce(sum(judged.without_rate), 0) = 0 and count(judged.month) = count(judged.difference)
                then coalesce(sum(judged.unexplained_base - judged.difference + judged.exchange), 0)
        end
        as decimal(18, 4)
    ) as fx,
    cast(coalesce(sum(judged.backdated), 0) as decimal(18, 4)) as backdated,
    cast(coalesce(sum(judged.closing), 0) as decimal(18, 4)) as closing,
    cast(
        case
            when coalesce(sum(judged.without_rate), 0) = 0 and count(judged.month) = count(judged.difference)
                then coalesce(sum(judged.difference), 0)
        end
        as decimal(18, 4)
    ) as difference
from companies
cross join months
left join judged
    on companies.company_id = judged.company_id
    and months.month = judged.month
where months.previous_month is not null
group by companies.company_id, companies.currency, months.month
