with documents as (
    select * from {{ ref('int_documents') }}
    where document_type = 'invoice' and voided_on is null
),

discount_terms as (
    select * from {{ ref('int_discount_terms') }}
    where
        discount_pct < 100
        and discount_until <= {{ as_of() }}
        and {{ month_index('discount_until') }} >= (select min({{ month_index('snapshot_date') }}) from {{ ref('int_snapshot_dates') }})
),

allocations as (
    select * from {{ ref('int_allocations') }}
    where ended_on is null and source_type in ('payment', 'discount')
),

open_items as (
    select * from {{ ref('int_open_items') }}
    where {{ is_receivable('item_type') }}
),

currencies as (
    select * from {{ policy_rows('currencies') }} as currencies
),

exchange_rates as (
    select * from {{ ref('int_exchange_rates') }}
),

offered as (
    select
        documents.invoice_id,
        documents.document_key,
        documents.company_id,
        documents.customer_id,
        documents.due_date,
        documents.currency,
        documents.reporting_currency,
        discount_terms.discount_pct,
        discount_terms.discount_until,
        currencies.digits,
        {{ rounded(per_cent_of('documents.amount', 'discount_terms.discount_pct'), 'currencies.digits') }} as offered_amount
    from documents
    inner join discount_terms on documents.invoice_id = discount_terms.invoice_id
    left join currencies on documents.currency = currencies.currency
),

put_against as (
    select
        offered.document_key,
        sum(case when allocations.source_type = 'payment' then allocations.amount else 0 end) as cash_amount,
        sum(case when allocations.source_type = 'payment' and allocations.payment_date <= offered.discount_until then allocations.amount else 0 end)
            as early_amount,
        sum(
            case
                when allocations.source_type = 'payment' and allocations.payment_date <= offered.discount_until
                    then allocations.amount * {{ dbt.datediff('allocations.payment_date', 'offered.due_date', 'day') }}
                else 0
            end
        ) as early_amount_x_days,
        sum(case when allocations.source_type = 'discount' then allocations.amount else 0 end) as allowed_amount
    from offered
    inner join allocations on offered.document_key = allocations.document_key
    group by offered.document_key
),

still_open as (
    select
        invoice_id,
        sum(open_amount) as amount
    from open_items
    group by invoice_id
),

-- What is left open of a paid invoice and is the discount to the cent was deducted as one, whether the books allow it or not.
claimed as (
    select
        offered.*,
        coalesce(put_against.early_amount, 0) as early_amount,
        coalesce(put_against.early_amount_x_days, 0) as early_amount_x_days,
        coalesce(put_against.allowed_amount, 0) as allowed_amount,
        case
            when put_against.cash_amount > 0 and still_open.amount = offered.offered_amount - put_against.allowed_amount then still_open.amount
            else 0
        end as deducted_amount
    from offered
    left join put_against on offered.document_key = put_against.document_key
    left join still_open on offered.invoice_id = still_open.invoice_id
),

-- Money in time earns the discount on what it pays: 490 of 1,000 at 2 % earns 10.
earned as (
    select
        claimed.*,
        least(
            allowed_amount + deducted_amount,
            {{ rounded(quotient(per_cent_of('early_amount', 'discount_pct'), '1 - discount_pct * 0.01'), 'digits') }}
        ) as taken_amount
    from claimed
)

select
    earned.invoice_id,
    earned.company_id,
    earned.customer_id,
    earned.reporting_currency,
    earned.discount_until,
    {%- for amount in ['offered_amount', 'taken_amount', 'deducted_amount', 'early_amount', 'early_amount_x_days'] %}
    {{ converted('earned.' ~ amount, 'earned.currency', 'earned.reporting_currency', 'exchange_rates') }} as {{ amount }},
    {%- endfor %}
    {{ converted('earned.allowed_amount + earned.deducted_amount - earned.taken_amount', 'earned.currency', 'earned.reporting_currency', 'exchange_rates') }}
        as unearned_amount
from earned
left join exchange_rates
    on earned.currency = exchange_rates.from_currency
    and earned.reporting_currency = exchange_rates.to_currency
    and {{ spans('earned.discount_until', 'exchange_rates') }}
