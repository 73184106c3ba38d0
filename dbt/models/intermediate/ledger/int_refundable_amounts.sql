{#- A part of int_refund_pieces, within it: nothing else reads it. -#}
{{ config(materialized=part()) }}
with refunds as (
    select * from {{ ref('int_refunds') }}
),

sources as (
    select * from {{ ref('int_refund_sources') }}
),

allocations as (
    select * from {{ ref('int_allocations') }}
    where source_type in ('payment', 'credit_memo')
),

-- Refunds that name nothing use up what their account has, and few accounts have any.
accounts as (
    select
        company_id,
        customer_id,
        currency,
        min(effective_on) as first_refund_on
    from refunds
    where source_key is null
    group by company_id, customer_id, currency
),

account_sources as (
    select
        sources.*,
        accounts.first_refund_on
    from sources
    inner join accounts
        on sources.company_id = accounts.company_id
        and sources.customer_id = accounts.customer_id
        and sources.currency = accounts.currency
),

flows as (
    select item_key, began_on as moved_on, amount from account_sources
    union all
    select item_key, greatest(ended_on, began_on) as moved_on, -amount as amount from account_sources where ended_on is not null
    {%- for relation, amount in [('allocations', 'source_amount'), ('refunds', 'amount')] %}
    union all
    select source_key as item_key, effective_on as moved_on, -{{ amount }} as amount from {{ relation }}
    where source_key in (select item_key from account_sources)
    union all
    select source_key as item_key, ended_on as moved_on, {{ amount }} as amount from {{ relation }}
    where ended_on is not null and source_key in (select item_key from account_sources)
    {%- endfor %}
),

daily as (
    select
        item_key,
        moved_on,
        sum(amount) as amount
    from flows
    group by item_key, moved_on
    -- What is put against invoices the day it comes was never there to give back.
    having sum(flows.amount) <> 0
)

select
    daily.item_key,
    account_sources.item_id,
    account_sources.item_type,
    account_sources.company_id,
    account_sources.customer_id,
    account_sources.currency,
    account_sources.preference,
    account_sources.began_on,
    account_sources.first_refund_on,
    daily.moved_on as valid_from,
    lead(daily.moved_on) over (partition by daily.item_key order by daily.moved_on) as valid_to,
    sum(daily.amount) over (
        partition by daily.item_key
        order by daily.moved_on
        rows between unbounded preceding and current row
    ) as amount
from daily
inner join account_sources on daily.item_key = account_sources.item_key
