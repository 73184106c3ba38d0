{{ config(meta={'dagster': {'ref': {'name': 'control_reconciliation'}}, 'description': 'The open items of an entity add up to its control account, to the policy\'s tolerance.'}) }}

-- One row an entity that does not tie, with the documents that most likely are why.
with untied as (
    select * from {{ ref('control_reconciliation') }}
    where state = 'untied'
),

candidates as (
    select
        company_id,
        {{ dbt.listagg('detail', "'; '", 'order by place') }} as look_at
    from {{ ref('control_differences') }}
    where place <= 5
    group by company_id
)

select
    untied.company_id as entity,
    untied.currency,
    untied.subledger_balance as subledger,
    untied.control_balance as control_account,
    untied.difference,
    candidates.look_at
from untied
left join candidates on untied.company_id = candidates.company_id
