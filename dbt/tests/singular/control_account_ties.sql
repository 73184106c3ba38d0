{{ config(meta={'dagster': {'ref': {'name': 'control_reconciliation'}}, 'description': 'The open items of an entity add up to its control account, to the policy\'s tolerance.'}) }}

-- One row an entity that may not pass, with the documents that most likely are why. Policy may let it pass with a warning.
with control as (
    select * from {{ ref('control_reconciliation') }}
),

gates as (
    select * from {{ policy_rows('worklist_gates') }} as worklist_gates
),

gated as (
    select
        control.*,
        coalesce(gates.effect, 'hold_back') as effect
    from control
    left join gates
        on gates.gate = case control.state
            when 'untied' then {{ policy_name('worklist_gates', 'subledger_untied') }}
            when 'unverified' then {{ policy_name('worklist_gates', 'unverified_control_balance') }}
        end
    where control.state <> 'tied'
),

held_back as (
    select * from gated
    where effect = 'hold_back'
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
    held_back.company_id as entity,
    held_back.currency,
    held_back.subledger_balance as subledger,
    held_back.control_balance as control_account,
    held_back.difference,
    candidates.look_at
from held_back
left join candidates on held_back.company_id = candidates.company_id
