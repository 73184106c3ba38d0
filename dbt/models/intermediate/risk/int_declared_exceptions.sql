{#- A view: what the source knows of exceptions is a small table. -#}
{{ config(materialized='view') }}
with source_exceptions as (
    select * from {{ ref('stg_erp__credit_exceptions') }}
    where requested_on <= {{ as_of() }} or approved_on <= {{ as_of() }} or (requested_on is null and approved_on is null)
),

customers as (
    select * from {{ ref('int_customers') }}
),

payment_terms as (
    select * from {{ ref('stg_erp__payment_terms') }}
)

select
    source_exceptions.exception_id,
    source_exceptions.customer_id,
    customers.company_id,
    source_exceptions.kind,
    case when source_exceptions.approved_on <= {{ as_of() }} then source_exceptions.approved_on end as approved_on,
    coalesce(
        case when source_exceptions.approved_on <= {{ as_of() }} then source_exceptions.approved_on end,
        source_exceptions.requested_on
    ) as dated_on,
    case when source_exceptions.approved_on <= {{ as_of() }} then source_exceptions.approved_by end as approved_by,
    cast(
        case source_exceptions.kind when 'terms' then payment_terms.net_days else source_exceptions.granted_limit end as decimal(18, 4)
    ) as granted,
    source_exceptions.expires_on,
    source_exceptions.reason,
    payment_terms.net_days,
    payment_terms.from_month_end,
    payment_terms.to_month_end,
    payment_terms.due_day
from source_exceptions
left join customers on source_exceptions.customer_id = customers.customer_id
left join payment_terms on source_exceptions.granted_terms = payment_terms.payment_terms
