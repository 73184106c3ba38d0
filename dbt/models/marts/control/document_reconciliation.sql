with documents as (
    select * from {{ ref('int_documents') }}
),

open_items as (
    select * from {{ ref('open_items') }}
    where invoice_id is not null
),

refused_allocations as (
    select * from {{ ref('int_left_out_allocations') }}
),

allocations as (
    select * from {{ ref('int_allocations') }}
    where ended_on is null
),

ours as (
    select
        invoice_id,
        sum(open_amount) as open_amount
    from open_items
    group by invoice_id
),

matched as (
    select
        invoice_id,
        sum(amount) as amount
    from allocations
    where matched_by is not null
    group by invoice_id
),

left_out as (
    select
        invoice_id,
        sum(amount) as amount
    from refused_allocations
    group by invoice_id
),

-- Some sources sign what is open of a credit memo, some do not.
compared as (
    select
        documents.company_id,
        documents.customer_id,
        documents.invoice_id,
        documents.document_number,
        documents.document_type,
        documents.currency,
        documents.amount,
        documents.voided_on,
        case when documents.document_type = 'credit_memo' then -abs(documents.open_amount_reported) else documents.open_amount_reported end
            as reported,
        coalesce(ours.open_amount, 0) as open_amount,
        coalesce(matched.amount, 0) as matched_amount,
        coalesce(left_out.amount, 0) as left_out_amount
    from documents
    left join ours on documents.invoice_id = ours.invoice_id
    left join matched on documents.invoice_id = matched.invoice_id
    left join left_out on documents.invoice_id = left_out.invoice_id
    where documents.open_amount_reported is not null
),

differing as (
    select
        compared.*,
        reported - open_amount as difference
    from compared
    where reported <> open_amount
)

select
    cast({{ as_of() }} as date) as as_of,
    cast(company_id as string) as company_id,
    cast(customer_id as string) as customer_id,
    cast(invoice_id as string) as item_id,
    cast(document_number as string) as document_number,
    cast(currency as string) as currency,
    cast(reported as decimal(18, 4)) as reported,
    cast(open_amount as decimal(18, 4)) as open_amount,
    cast(difference as decimal(18, 4)) as difference,
    cast(
        case
            when voided_on is not null and open_amount = 0 then 'voided here, open in the source'
            when left_out_amount <> 0 and difference = -left_out_amount then 'an allocation that was left out'
            when matched_amount <> 0 and difference = matched_amount then 'a payment matched by its reference, not yet applied in the source'
            when reported = 0 and open_amount = case document_type when 'credit_memo' then -amount else amount end
                then 'settled in the source; no allocation of it was delivered'
            when reported = 0 then 'settled in the source; an allocation was not delivered'
            when open_amount = 0 then 'settled here, open in the source'
            when abs(reported) < abs(open_amount) then 'an allocation that was not delivered'
            else 'an allocation that was taken back in the source, or posted after its load'
        end as string
    ) as likely_cause
from differing
