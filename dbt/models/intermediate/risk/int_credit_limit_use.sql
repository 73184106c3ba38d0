with customers as (
    select * from {{ ref('int_customers') }}
),

companies as (
    select * from {{ ref('int_companies') }}
),

exchange_rates as (
    select * from {{ ref('int_exchange_rates') }}
    where {{ spans(as_of()) }}
),

tiers as (
    select * from {{ ref('int_risk_tiers') }}
),

open_items as (
    select * from {{ ref('int_open_items') }}
),

item_disputes as (
    select * from {{ ref('int_item_disputes') }}
),

currencies as (
    select * from {{ policy_rows('currencies') }} as currencies
),

hold_rules as (
    select * from {{ policy_rows('credit_holds') }} as credit_holds
),

-- A limit is in the customer's currency, else in the entity's. Nought is how sources write "none of its own".
limits as (
    select
        customers.customer_id,
        customers.credit_limit > 0 as has_own,
        {{ converted(
            'customers.credit_limit', 'coalesce(customers.currency, companies.currency)', 'companies.reporting_currency',
            'exchange_rates'
        ) }} as own_limit,
        companies.reporting_currency
    from customers
    left join companies on customers.company_id = companies.company_id
    left join exchange_rates
        on coalesce(customers.currency, companies.currency) = exchange_rates.from_currency
        and companies.reporting_currency = exchange_rates.to_currency
),

-- Whoever owes has a row, in the customer list or not.
accounts as (
    select customer_id from customers
    union
    select customer_id from open_items
),

ranked_rules as (
    select
        accounts.customer_id,
        hold_rules.max_used_share,
        hold_rules.max_past_due_days,
        hold_rules.min_past_due_amount,
        row_number() over (
            partition by accounts.customer_id
            order by {{ policy_precedence('hold_rules') }}, case when hold_rules.tier = '*' then 1 else 0 end
        ) as closeness
    from accounts
    left join tiers on accounts.customer_id = tiers.customer_id
    inner join hold_rules on hold_rules.tier in ({{ policy_name('credit_holds', '*') }}, coalesce(tiers.tier_in_force, '*'))
),

rules as (
    select * from ranked_rules
    where closeness = 1
),

exposures as (
    select
        open_items.customer_id,
        max(companies.reporting_currency) as reporting_currency,
        sum(open_items.open_amount_reporting) as balance,
        sum(case when open_items.is_trifle then 0 else open_items.open_amount_reporting end) as used_amount,
        sum(case when open_items.days_past_due > 0 then open_items.open_amount_reporting else 0 end) as past_due_amount,
        max(case
            when open_items.open_amount > 0 and open_items.days_past_due > 0 and not open_items.is_trifle then open_items.days_past_due
        end) as oldest_past_due_days,
        sum(
            case
                when
                    open_items.days_past_due > rules.max_past_due_days
                    and coalesce(item_disputes.disputed_amount, 0) < open_items.open_amount
                    and not open_items.is_trifle
                    then open_items.open_amount_reporting
                else 0
            end
        ) as past_due_too_long_amount
    from open_items
    left join companies on open_items.company_id = companies.company_id
    left join item_disputes on open_items.item_key = item_disputes.item_key
    left join rules on open_items.customer_id = rules.customer_id
    group by open_items.customer_id
),

used as (
    select
        accounts.customer_id,
        coalesce(customers.status, 'unknown') as status,
        tiers.tier_in_force,
        coalesce(limits.reporting_currency, exposures.reporting_currency) as reporting_currency,
        case
            when limits.has_own and limits.own_limit is null then 'no_rate'
            when limits.has_own then 'customer'
            when tiers.credit_limit_policy is not null then 'policy'
            else 'none'
        end as limit_source,
        case when limits.has_own then limits.own_limit else tiers.credit_limit_policy end as credit_limit,
        tiers.credit_limit_policy,
        coalesce(exposures.balance, 0) as balance,
        coalesce(exposures.used_amount, 0) as used_amount,
        coalesce(exposures.past_due_amount, 0) as past_due_amount,
        coalesce(exposures.oldest_past_due_days, 0) as oldest_past_due_days,
        coalesce(exposures.past_due_too_long_amount, 0) as past_due_too_long_amount,
        rules.max_used_share,
        rules.max_past_due_days,
        rules.min_past_due_amount
    from accounts
    left join customers on accounts.customer_id = customers.customer_id
    left join limits on accounts.customer_id = limits.customer_id
    left join tiers on accounts.customer_id = tiers.customer_id
    left join exposures on accounts.customer_id = exposures.customer_id
    left join rules on accounts.customer_id = rules.customer_id
),

judged as (
    select
        used.*,
        coalesce(currencies.digits, 2) as digits,
        coalesce(used_amount > 0 and used_amount > credit_limit * max_used_share, false) as is_over_limit,
        coalesce(
            past_due_too_long_amount > 0 and past_due_too_long_amount >= min_past_due_amount, false
        ) as is_past_due_too_long
    from used
    left join currencies on used.reporting_currency = currencies.currency
)

select
    cast(customer_id as string) as customer_id,
    cast(status as string) as status,
    cast(tier_in_force as string) as tier_in_force,
    cast(reporting_currency as string) as reporting_currency,
    cast(limit_source as string) as limit_source,
    cast(credit_limit as decimal(18, 4)) as credit_limit,
    cast(credit_limit_policy as decimal(18, 4)) as credit_limit_policy,
    cast(balance as decimal(18, 4)) as balance,
    cast(past_due_amount as decimal(18, 4)) as past_due_amount,
    cast(oldest_past_due_days as integer) as oldest_past_due_days,
    cast(used_amount as decimal(18, 4)) as used_amount,
    cast({{ ratio('used_amount', 'credit_limit') }} as decimal(18, 4)) as credit_used_share,
    cast(credit_limit - used_amount as decimal(18, 4)) as headroom_amount,
    cast(max_used_share as decimal(18, 4)) as max_used_share,
    cast(max_past_due_days as integer) as max_past_due_days,
    cast(min_past_due_amount as decimal(18, 4)) as min_past_due_amount,
    cast(status = 'active' and (is_over_limit or is_past_due_too_long) as boolean) as hold_candidate,
    cast(case when is_over_limit then 'over_limit' when is_past_due_too_long then 'past_due' end as string) as hold_reason,
    cast(status = 'on_hold' as boolean) as on_hold,
    cast(status = 'on_hold' and not (is_over_limit or is_past_due_too_long) as boolean) as release_candidate,
    cast(
        case
            when limit_source = 'no_rate' then 'The limit is in a currency without an exchange rate'
            when credit_limit is null then concat_ws('', 'Owes ', {{ amount_for_people('balance', 'digits') }}, ' ', reporting_currency, ' without a limit')
            else concat_ws('',
                'Balance ', {{ amount_for_people('balance', 'digits') }}, ' ', reporting_currency, ', limit ', {{ amount_for_people('credit_limit', 'digits') }},
                case
                    when credit_limit > 0 then concat_ws('', ' (', {{ for_people(ratio('used_amount', 'credit_limit'), "'percent'") }}, ' used)')
                    else ' (no credit)'
                end
            )
        end
        || case
            when not is_past_due_too_long then ''
            else concat_ws('',
                '; ', {{ amount_for_people('past_due_too_long_amount', 'digits') }}, ' more than ', cast(max_past_due_days as string),
                ' days past due, the oldest ', cast(oldest_past_due_days as string)
            )
        end
        as string
    ) as detail
from judged
