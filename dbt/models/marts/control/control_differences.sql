{%- set dataset -%}
case
    when movements.kind in ('cash', 'cash_reversed') then 'payments'
    when movements.kind = 'refund' then 'refunds'
    when movements.kind in ('billed', 'credit_memo', 'void') then 'invoices'
    else 'allocations'
end
{%- endset -%}
with differences as (
    select * from {{ ref('control_reconciliation') }}
    where difference <> 0
),

-- On most mornings there is nothing to explain, and no reason to read the whole book for it.
something_differs as (
    select distinct true as differs
    from differences
),

control_balances as (
    select * from {{ ref('stg_erp__control_balances') }}
    where as_of < {{ as_of() }}
),

companies as (
    select * from {{ ref('int_companies') }}
),

movements as (
    select * from {{ ref('int_item_movements') }}
    where true in (select differs from something_differs)
),

items as (
    select * from {{ ref('int_receivable_items') }}
    where true in (select differs from something_differs)
),

open_items as (
    select * from {{ ref('open_items') }}
),

exchange_rates as (
    select * from {{ ref('int_exchange_rates') }}
    where {{ spans(as_of()) }}
),

refused_records as (
    select * from {{ ref('stg_reference__refused_records') }}
    where
        dataset in ('invoices', 'payments', 'refunds', 'allocations')
        and amount <> 0
        and true in (select differs from something_differs)
),

customers as (
    select * from {{ ref('int_customers') }}
),

left_out_allocations as (
    select * from {{ ref('int_left_out_allocations') }}
    where
        reason <> 'negative'
        and (reversed_on is null or reversed_on > {{ as_of() }})
        and true in (select differs from something_differs)
),

-- What changed is counted from the control balance before this one; the day before where there was none.
previous_balances as (
    select
        {{ owning_company('control_balances.company_id') }} as company_id,
        max(control_balances.as_of) as balance_date
    from control_balances
    left join companies as only_company on only_company.is_only
    group by 1
),

untied as (
    select
        differences.company_id,
        differences.currency,
        differences.difference,
        coalesce(previous_balances.balance_date, {{ days_after(as_of(), -1) }}) as since
    from differences
    left join previous_balances on differences.company_id = previous_balances.company_id
),

-- What the very first load of its dataset brought, nobody learned late.
first_loads as (
    select
        {{ dataset }} as dataset,
        min(movements.known_at) as known_at
    from movements
    group by 1
),

-- Putting cash or a credit against an invoice moves nothing in or out of the account.
changes as (
    select
        untied.company_id,
        untied.currency,
        case when movements.moved_on > untied.since then 'dated_since' else 'learned_since' end as kind,
        movements.item_id,
        movements.customer_id,
        movements.currency as item_currency,
        max(movements.moved_on) as dated_on,
        max(cast(movements.known_at as date)) as known_on,
        sum(movements.amount) as amount
    from movements
    inner join untied on movements.company_id = untied.company_id
    inner join first_loads on {{ dataset }} = first_loads.dataset
    where
        movements.kind <> 'application'
        and (
            movements.moved_on > untied.since
            or (movements.known_at > first_loads.known_at and cast(movements.known_at as date) > untied.since)
        )
    group by 1, 2, 3, movements.item_id, movements.customer_id, movements.currency
    having sum(movements.amount) <> 0
),

-- With neither side known it may be any entity's.
left_out as (
    select
        left_out_allocations.allocation_id,
        left_out_allocations.amount,
        left_out_allocations.allocated_on,
        left_out_allocations.first_known_at,
        max(items.company_id) as company_id,
        max(items.customer_id) as customer_id
    from left_out_allocations
    left join items
        on left_out_allocations.invoice_id = items.invoice_id
        or (left_out_allocations.source_type = 'payment' and left_out_allocations.source_id = items.payment_id)
        or (left_out_allocations.source_type = 'credit_memo' and left_out_allocations.source_id = items.invoice_id)
    group by
        left_out_allocations.allocation_id,
        left_out_allocations.amount,
        left_out_allocations.allocated_on,
        left_out_allocations.first_known_at
),

candidates as (
    select
        changes.company_id,
        changes.kind,
        case changes.kind when 'learned_since' then 3 else 4 end as weight,
        items.item_type,
        coalesce(items.document_number, items.payment_id, changes.item_id) as document,
        changes.customer_id,
        {{ converted('changes.amount', 'changes.item_currency', 'changes.currency', 'exchange_rates') }} as amount,
        changes.dated_on,
        changes.known_on
    from changes
    inner join items on changes.item_id = items.item_id
    left join exchange_rates
        on changes.item_currency = exchange_rates.from_currency
        and changes.currency = exchange_rates.to_currency
    union all
    select
        untied.company_id,
        'allocation_left_out' as kind,
        1 as weight,
        'allocation' as item_type,
        left_out.allocation_id as document,
        left_out.customer_id,
        left_out.amount,
        left_out.allocated_on as dated_on,
        cast(left_out.first_known_at as date) as known_on
    from left_out
    inner join untied on coalesce(left_out.company_id, untied.company_id) = untied.company_id
    union all
    -- What could not be read may be the difference. Where it does not say whose it is, it may be any entity's.
    select
        untied.company_id,
        'refused' as kind,
        1 as weight,
        case refused_records.dataset
            when 'invoices' then 'refused invoice'
            when 'payments' then 'refused payment'
            when 'refunds' then 'refused refund'
            else 'refused allocation'
        end as item_type,
        refused_records.record_id as document,
        refused_records.customer_id,
        refused_records.amount,
        refused_records.loaded_for as dated_on,
        refused_records.loaded_for as known_on
    from refused_records
    left join customers on refused_records.customer_id = customers.customer_id
    inner join untied
        on coalesce(refused_records.company_id, customers.company_id, untied.company_id) = untied.company_id
        and coalesce(refused_records.currency, untied.currency) = untied.currency
    union all
    select
        untied.company_id,
        case when open_items.over_allocated then 'over_allocated' else 'same_amount' end as kind,
        2 as weight,
        open_items.item_type,
        coalesce(open_items.document_number, open_items.item_id) as document,
        open_items.customer_id,
        open_items.open_amount_base as amount,
        open_items.document_date as dated_on,
        cast(null as date) as known_on
    from open_items
    inner join untied on open_items.company_id = untied.company_id
    where open_items.over_allocated or abs(open_items.open_amount_base) = abs(untied.difference)
    union all
    select
        untied.company_id,
        'rate_of_another_day' as kind,
        5 as weight,
        'currency' as item_type,
        open_items.currency as document,
        cast(null as string) as customer_id,
        cast(null as decimal(18, 4)) as amount,
        exchange_rates.valid_from as dated_on,
        cast(null as date) as known_on
    from open_items
    inner join untied on open_items.company_id = untied.company_id
    inner join exchange_rates
        on open_items.currency = exchange_rates.from_currency
        and untied.currency = exchange_rates.to_currency
        and exchange_rates.valid_from < {{ as_of() }}
    where open_items.currency <> untied.currency
    group by untied.company_id, open_items.currency, exchange_rates.valid_from
),

ranked as (
    select
        candidates.company_id,
        candidates.kind,
        candidates.item_type,
        candidates.document,
        candidates.customer_id,
        candidates.amount,
        candidates.dated_on,
        candidates.known_on,
        untied.currency,
        abs(candidates.amount) = abs(untied.difference) as explains_all,
        row_number() over (
            partition by candidates.company_id
            order by
                case when abs(candidates.amount) = abs(untied.difference) then 0 else 1 end,
                candidates.weight,
                abs(candidates.amount) desc,
                candidates.document nulls last
        ) as place
    from candidates
    inner join untied on candidates.company_id = untied.company_id
)

select
    cast({{ as_of() }} as date) as as_of,
    cast(company_id as string) as company_id,
    cast(place as integer) as place,
    cast(kind as string) as kind,
    cast(document as string) as document,
    cast(customer_id as string) as customer_id,
    cast(currency as string) as currency,
    cast(amount as decimal(18, 4)) as amount,
    cast(coalesce(explains_all, false) as boolean) as explains_all,
    cast(dated_on as date) as dated_on,
    cast(known_on as date) as since,
    cast(
        concat_ws('',
            case kind
                when 'rate_of_another_day' then concat_ws('', 'open items in ', document, ' stand at the rate of ', cast(dated_on as string))
                else concat_ws('',
                    replace(item_type, '_', ' '), ' ', document, ' of ', cast(dated_on as string), ': ', {{ amount_for_people('amount', digits_of('ranked.currency')) }},
                    ' ', currency
                )
            end,
            case kind
                when 'learned_since' then concat_ws('', ', known since ', cast(known_on as string))
                when 'allocation_left_out' then ', left out because what it names is not there or in another currency'
                when 'refused' then ', in quarantine because it could not be read'
                when 'over_allocated' then ', allocated beyond its amount'
                else ''
            end,
            case when explains_all then ', the very amount' else '' end
        ) as string
    ) as detail
from ranked
