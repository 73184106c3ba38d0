with companies as (
    select * from {{ ref('int_companies') }}
),

open_items as (
    select * from {{ ref('open_items') }}
),

control_balances as (
    select * from {{ ref('stg_erp__control_balances') }}
    where as_of = {{ as_of() }}
),

-- One item without a rate and there is no subledger balance to compare.
subledger as (
    select
        company_id,
        count(*) as items,
        case when count(*) = count(open_amount_base) then sum(open_amount_base) end as balance
    from open_items
    group by company_id
),

-- A control balance of another day says nothing of this one.
control as (
    select
        {{ owning_company('control_balances.company_id') }} as company_id,
        sum(control_balances.balance) as balance
    from control_balances
    left join companies as only_company on only_company.is_only
    group by 1
),

entities as (
    select company_id from companies
    union
    select company_id from subledger
    union
    select company_id from control
),

compared as (
    select
        entities.company_id,
        companies.currency,
        case when subledger.items is null then 0 else subledger.balance end as subledger_balance,
        control.balance as control_balance
    from entities
    left join companies on entities.company_id = companies.company_id
    left join subledger on entities.company_id = subledger.company_id
    left join control on entities.company_id = control.company_id
),

judged as (
    select
        company_id,
        currency,
        subledger_balance,
        control_balance,
        subledger_balance - control_balance as difference,
        case
            when control_balance is null then 'unverified'
            when abs(subledger_balance - control_balance) <= {{ policy_value('control_policy', 'tolerance', 'decimal(18, 4)') }} then 'tied'
            else 'untied'
        end as state
    from compared
)

select
    cast(company_id as string) as company_id,
    cast({{ as_of() }} as date) as as_of,
    cast(currency as string) as currency,
    cast(subledger_balance as decimal(18, 4)) as subledger_balance,
    cast(control_balance as decimal(18, 4)) as control_balance,
    cast(difference as decimal(18, 4)) as difference,
    cast(case state when 'tied' then true when 'untied' then false end as boolean) as tied,
    cast(state as string) as state
from judged
