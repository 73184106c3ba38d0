{#- A part of int_dunning_holds, within it: nothing else reads it. -#}
{{ config(materialized=part()) }}
with candidates as (
    select * from {{ ref('int_dunning_candidates') }}
),

promises as (
    select * from {{ ref('int_promises') }}
    where state = 'pending' and (plan_id is null or plan_in_good_standing)
),

-- What the customer promised without naming invoices holds what was owed then, oldest first, as far as the amount goes.
promised_at_large as (
    select
        customer_id,
        currency,
        plan_id is not null as is_plan,
        sum(amount) as amount,
        max(made_on) as made_on,
        max(grace_until) as grace_until
    from promises
    where invoice_id is null
    group by customer_id, currency, plan_id is not null
),

reached as (
    select
        candidates.item_id,
        promised_at_large.is_plan,
        promised_at_large.grace_until,
        promised_at_large.amount,
        coalesce(sum(candidates.dunnable_amount) over (
            partition by candidates.customer_id, candidates.currency, promised_at_large.is_plan
            order by candidates.due_date nulls last, candidates.document_date, candidates.item_id
            rows between unbounded preceding and 1 preceding
        ), 0) as older_amount
    from candidates
    inner join promised_at_large
        on candidates.customer_id = promised_at_large.customer_id
        and candidates.currency = promised_at_large.currency
        and candidates.document_date <= promised_at_large.made_on
),

promised_items as (
    select
        candidates.item_id,
        promises.plan_id is not null as is_plan,
        promises.grace_until
    from candidates
    inner join promises
        on candidates.invoice_id = promises.invoice_id
        and candidates.customer_id = promises.customer_id
    union all
    select
        item_id,
        is_plan,
        grace_until
    from reached
    where older_amount < amount
)

select
    item_id,
    max(case when not is_plan then grace_until end) as promise_until,
    max(case when is_plan then grace_until end) as plan_until
from promised_items
group by item_id
