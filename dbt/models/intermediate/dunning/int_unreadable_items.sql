{#- A part of int_dunning_holds, within it: nothing else reads it. -#}
{{ config(materialized=part()) }}
with candidates as (
    select * from {{ ref('int_dunning_candidates') }}
),

refused_records as (
    select * from {{ ref('stg_reference__refused_records') }}
)

select
    candidates.item_id,
    max(case when refused_records.dataset = 'customers' then 1 else 0 end) = 1 as is_customer,
    max(case when refused_records.dataset = 'invoices' then 1 else 0 end) = 1 as is_invoice,
    max(case when refused_records.dataset = 'disputes' then 1 else 0 end) = 1 as is_dispute,
    max(case when refused_records.dataset = 'promises' then 1 else 0 end) = 1 as is_promise
from refused_records
inner join candidates
    on case
        when refused_records.dataset = 'customers' or (refused_records.dataset = 'promises' and refused_records.invoice_id is null)
            then refused_records.customer_id = candidates.customer_id
        else refused_records.invoice_id = candidates.invoice_id
    end
group by candidates.item_id
