with limit_use as (
    select * from {{ ref('credit_limit_use') }}
),

tiers as (
    select * from {{ ref('risk_tiers') }}
),

balances as (
    select * from {{ ref('int_item_balances') }}
),

items as (
    select * from {{ ref('int_receivable_items') }}
),

open_items as (
    select * from {{ ref('open_items') }}
),

exchange_rates as (
    select * from {{ ref('int_exchange_rates') }}
    where {{ spans(as_of()) }}
),

waiting as (
    select * from limit_use
    where hold_reason is not null
),

wholly_disputed as (
    select item_id from open_items
    where disputed_amount >= open_amount and open_amount > 0
),

trifles as (
    select item_id from open_items
    where is_trifle
),

-- What these accounts had open and when, at tonight's rates: since when a rule is broken is asked of the rule as it is tonight, to which
-- what is left of a trifle is nothing.
open_spells as (
    select
        items.customer_id,
        balances.valid_from,
        balances.valid_to,
        {{ converted('balances.open_amount', 'items.currency', 'items.reporting_currency', 'exchange_rates') }} as amount,
        case
            when
                {{ is_receivable('items.item_type') }}
                and balances.open_amount > 0
                and wholly_disputed.item_id is null
                then {{ days_after('items.due_date', 'waiting.max_past_due_days + 1') }}
        end as too_late_from
    from balances
    inner join items on balances.item_key = items.item_key
    inner join waiting on items.customer_id = waiting.customer_id
    left join wholly_disputed on items.item_id = wholly_disputed.item_id
    left join exchange_rates
        on items.currency = exchange_rates.from_currency
        and items.reporting_currency = exchange_rates.to_currency
    left join trifles on items.item_id = trifles.item_id
    where balances.valid_from <= {{ as_of() }} and not (balances.valid_to is null and trifles.item_id is not null)
),

changes as (
    select
        customer_id,
        valid_from as changed_on,
        amount as balance,
        0 as too_late
    from open_spells

    union all

    select
        customer_id,
        valid_to as changed_on,
        -amount as balance,
        0 as too_late
    from open_spells
    where valid_to <= {{ as_of() }}

    union all

    select
        customer_id,
        greatest(valid_from, too_late_from) as changed_on,
        0 as balance,
        amount as too_late
    from open_spells
    where too_late_from <= {{ as_of() }} and (valid_to is null or valid_to > too_late_from)

    union all

    select
        customer_id,
        valid_to as changed_on,
        0 as balance,
        -amount as too_late
    from open_spells
    where valid_to <= {{ as_of() }} and valid_to > too_late_from
),

daily as (
    select
        customer_id,
        changed_on,
        sum(balance) as balance,
        sum(too_late) as too_late
    from changes
    group by customer_id, changed_on
),

running as (
    select
        customer_id,
        changed_on,
        sum(balance) over (
            partition by customer_id order by changed_on rows between unbounded preceding and current row
        ) as balance,
        sum(too_late) over (
            partition by customer_id order by changed_on rows between unbounded preceding and current row
        ) as too_late
    from daily
),

judged as (
    select
        running.customer_id,
        running.changed_on,
        case waiting.hold_reason
            when 'over_limit' then running.balance > 0 and running.balance > waiting.credit_limit * waiting.max_used_share
            else running.too_late > 0 and running.too_late >= waiting.min_past_due_amount
        end as breaks_rule
    from running
    inner join waiting on running.customer_id = waiting.customer_id
),

-- The first day of the last unbroken run of days.
last_kept as (
    select
        customer_id,
        max(changed_on) as kept_on
    from judged
    where not breaks_rule
    group by customer_id
),

broken_since as (
    select
        judged.customer_id,
        min(judged.changed_on) as since
    from judged
    left join last_kept on judged.customer_id = last_kept.customer_id
    where last_kept.kept_on is null or judged.changed_on > last_kept.kept_on
    group by judged.customer_id
)

select
    cast({{ as_of() }} as date) as as_of,
    cast(limit_use.customer_id as string) as customer_id,
    cast(limit_use.company_id as string) as company_id,
    cast(limit_use.customer_name as string) as customer_name,
    cast(limit_use.status as string) as status,
    cast(limit_use.tier_in_force as string) as tier_in_force,
    cast(tiers.tier_name as string) as tier_name,
    cast(tiers.net_days as integer) as net_days,
    cast(tiers.net_days_max as integer) as net_days_max,
    cast(tiers.deposit_pct as decimal(18, 4)) as deposit_pct,
    cast(limit_use.reporting_currency as string) as reporting_currency,
    cast(limit_use.credit_limit as decimal(18, 4)) as credit_limit,
    cast(limit_use.limit_source as string) as limit_source,
    cast(limit_use.balance as decimal(18, 4)) as balance,
    cast(limit_use.headroom_amount as decimal(18, 4)) as headroom_amount,
    cast(
        case
            when limit_use.release_candidate then 'release'
            when limit_use.hold_reason is not null or limit_use.status not in ('active', 'unknown') then 'hold'
            else 'open'
        end as string
    ) as order_decision,
    cast(
        case
            when limit_use.release_candidate then 'in_order'
            when limit_use.status not in ('active', 'unknown', 'on_hold') then limit_use.status
            else limit_use.hold_reason
        end as string
    ) as decision_reason,
    cast(broken_since.since as date) as rule_broken_since,
    cast(limit_use.detail as string) as detail
from limit_use
left join tiers on limit_use.customer_id = tiers.customer_id
left join broken_since on limit_use.customer_id = broken_since.customer_id
