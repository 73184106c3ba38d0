with documents as (
    select * from {{ ref('int_documents') }}
),

open_items as (
    select * from {{ ref('open_items') }}
    where invoice_id is not null
),

differing as (
    select * from {{ ref('document_reconciliation') }}
),

ours as (
    select
        invoice_id,
        sum(open_amount) as open_amount
    from open_items
    group by invoice_id
),

compared as (
    select
        documents.company_id,
        documents.currency,
        documents.open_amount_reported is not null as is_reported,
        coalesce(ours.open_amount, 0) as open_amount,
        differing.item_id is not null as differs,
        coalesce(differing.difference, 0) as difference
    from documents
    left join ours on documents.invoice_id = ours.invoice_id
    left join differing on documents.invoice_id = differing.item_id
),

totals as (
    select
        company_id,
        currency,
        count(case when is_reported then 1 end) as documents_reported,
        count(case when differs then 1 end) as documents_differing,
        sum(case when is_reported then open_amount else 0 end) as open_amount,
        sum(difference) as difference,
        count(case when not is_reported and open_amount <> 0 then 1 end) as documents_not_reported,
        sum(case when not is_reported then open_amount else 0 end) as open_amount_not_reported
    from compared
    group by company_id, currency
)

select
    cast({{ as_of() }} as date) as as_of,
    cast(company_id as string) as company_id,
    cast(currency as string) as currency,
    cast(documents_reported as bigint) as documents_reported,
    cast(documents_differing as bigint) as documents_differing,
    cast(open_amount + difference as decimal(18, 4)) as reported,
    cast(open_amount as decimal(18, 4)) as open_amount,
    cast(difference as decimal(18, 4)) as difference,
    cast(documents_not_reported as bigint) as documents_not_reported,
    cast(open_amount_not_reported as decimal(18, 4)) as open_amount_not_reported
from totals
where documents_reported > 0
