{{ config(meta={'dagster': {'ref': {'name': 'int_documents'}}, 'description': 'Where there are old invoices, some payment was ever delivered. If nobody paid yet, let it pass: no_payments_known to warn, in dbt/seeds/policy/worklist_gates.csv.'}) }}

-- One row where payments seem to be missing altogether. Policy may let it pass.
with payments as (
    select * from {{ ref('stg_erp__payments') }}
),

documents as (
    select * from {{ ref('int_documents') }}
    where {{ is_receivable('document_type') }} and voided_on is null
),

gates as (
    select * from {{ policy_rows('worklist_gates') }} as worklist_gates
    where gate = {{ policy_name('worklist_gates', 'no_payments_known') }} and effect = 'warn'
)

select
    count(*) as invoices,
    min(document_date) as oldest_of,
    'no payment was ever delivered' as payments
from documents
where
    document_date < {{ days_after(as_of(), '-' ~ policy_value('control_policy', 'days_without_payments')) }}
    and not exists (select 1 from payments)
    and not exists (select 1 from gates)
having count(*) > 0
