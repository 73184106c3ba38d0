with items as (
    select * from {{ ref('dunning_items') }}
),

policy_steps as (
    select * from {{ policy_rows('dunning_steps') }} as dunning_steps
),

dunning_tones as (
    select * from {{ policy_rows('dunning_tones') }} as dunning_tones
),

currencies as (
    select * from {{ policy_rows('currencies') }} as currencies
),

turns as (
    select * from {{ ref('int_dunning_turns') }}
),

tier_terms as (
    select * from {{ policy_rows('risk_tier_terms') }} as risk_tier_terms
),

late_fees as (
    select * from {{ ref('int_late_fees') }}
),

balances as (
    select * from {{ ref('int_customer_balances') }}
    where is_as_of
),

customers as (
    select * from {{ ref('int_customers') }}
),

companies as (
    select * from {{ ref('int_companies') }}
),

risk_tiers as (
    select * from {{ ref('int_risk_tiers') }}
),

credit_limit_use as (
    select * from {{ ref('int_credit_limit_use') }}
),

payment_behaviour as (
    select * from {{ ref('int_payment_behaviour') }}
),

arrangements as (
    select * from {{ ref('int_arrangements') }}
),

action_contacts as (
    select * from {{ ref('int_action_contacts') }}
),

contact_history as (
    select * from {{ ref('int_contact_history') }}
),

wrong_contacts as (
    select * from {{ ref('int_wrong_contacts') }}
),

pending_promises as (
    select * from {{ ref('int_pending_promises') }}
),

customer_items as (
    select
        customer_id,
        sum(case when held_reason is not null then 1 else 0 end) as held_item_count,
        sum(disputed_amount_reporting) as disputed_amount
    from items
    group by customer_id
),

-- What was ever said of a debt that was due.
notices as (
    select distinct step
    from policy_steps
    where anchor = 'due_date' and offset_days >= 0
),

acted_items as (
    select
        items.*,
        risk_tiers.tier_in_force,
        items.days_past_due > 0 as is_past_due,
        case when items.days_past_due > 0 then items.dunnable_amount_reporting else 0 end as past_due,
        late_fees.late_fee_reporting,
        late_fees.compensation_reporting,
        notices.step is not null as is_noticed
    from items
    left join notices on items.last_step = notices.step
    left join late_fees on items.item_id = late_fees.item_id
    left join risk_tiers on items.customer_id = risk_tiers.customer_id
    where items.held_reason is null
),

-- Sums are kept as exact decimals; each figure is divided and rounded once, at the end.
actions as (
    select
        customer_id,
        customer_name,
        collector,
        tier_in_force,
        max(reporting_currency) as reporting_currency,
        max(severity) as severity,
        sum(past_due) as past_due_amount,
        sum(dunnable_amount_reporting) - sum(past_due) as not_due_amount,
        count(*) as item_count,
        sum(case when is_past_due then 1 else 0 end) as past_due_item_count,
        max(case when is_past_due then days_past_due end) as oldest_days_past_due,
        case when count(late_fee_reporting) = count(*) then sum(late_fee_reporting) end as late_fee,
        case when count(compensation_reporting) = count(late_fee_compensation_currency) then sum(compensation_reporting) end
            as late_fee_compensation,
        case when min(late_fee_regime) = max(late_fee_regime) then min(late_fee_regime) else 'mixed' end as late_fee_regime,
        sum(discount_amount_reporting) as discount_amount,
        min(discount_until) as discount_until,
        max(last_step_on) as last_step_on,
        min(case when is_past_due then case when is_noticed then 1 else 0 end end) = 1 as has_earlier_notice
    from acted_items
    group by customer_id, customer_name, collector, tier_in_force
),

action_companies as (
    select
        customer_id,
        company_id
    from (
        select
            customer_id,
            company_id,
            row_number() over (
                partition by customer_id order by sum(past_due) desc, sum(dunnable_amount_reporting) desc, company_id
            ) as place
        from acted_items
        group by customer_id, company_id
    ) as by_amount
    where place = 1
),

document_currencies as (
    select
        customer_id,
        {{ dbt.listagg('currency', "','", 'order by currency') }} as currencies
    from (select distinct customer_id, currency from acted_items) as distinct_currencies
    group by customer_id
),

credits as (
    select
        customer_id,
        sum(credits_reporting) as credit_available
    from balances
    group by customer_id
),

priced as (
    select
        actions.*,
        turns.expected_loss,
        turns.carrying_cost,
        turns.step,
        turns.step_label,
        turns.channel,
        turns.audience,
        turns.tone,
        turns.template,
        turns.effect,
        turns.automatic,
        case when actions.late_fee_regime = 'contractual' then tier_terms.late_fee_pct_month end as late_fee_pct_month
    from actions
    left join turns on actions.customer_id = turns.customer_id
    left join tier_terms on actions.tier_in_force = tier_terms.tier
)

select
    {{ as_of() }} as as_of,
    cast(row_number() over (
        order by
            priced.expected_loss + priced.carrying_cost desc,
            priced.past_due_amount desc,
            priced.severity desc,
            priced.customer_id
    ) as integer) as rank,
    cast(priced.customer_id as string) as customer_id,
    cast(priced.customer_name as string) as customer_name,
    cast(action_companies.company_id as string) as company_id,
    cast(companies.name as string) as company_name,
    cast(priced.collector as string) as collector,
    cast(priced.step as string) as step,
    cast(priced.step_label as string) as step_label,
    cast(priced.severity as integer) as severity,
    cast(
        case
            when priced.channel = 'email' and action_contacts.email is null and action_contacts.phone is not null then 'call'
            when priced.channel = 'call' and action_contacts.phone is null and action_contacts.email is not null then 'email'
            else priced.channel
        end as string
    ) as channel,
    cast(priced.audience as string) as audience,
    cast(coalesce(dunning_tones.tone_used, priced.tone) as string) as tone,
    cast(priced.template as string) as template,
    cast(priced.effect as string) as effect,
    cast(
        coalesce(priced.automatic, false)
        and priced.channel = 'email' and action_contacts.email is not null
        and not coalesce(customers.do_not_mail, false)
        and wrong_contacts.customer_id is null as boolean
    ) as automatic,
    cast(
        case
            when not coalesce(contact_history.is_listed_before, false) then 'new'
            when priced.severity > contact_history.last_list_severity then 'escalated'
            else 'repeated'
        end as string
    ) as change,
    cast(coalesce(priced.has_earlier_notice, false) as boolean) as has_earlier_notice,
    cast(priced.past_due_amount as decimal(18, 4)) as past_due_amount,
    cast(priced.not_due_amount as decimal(18, 4)) as not_due_amount,
    cast(priced.reporting_currency as string) as reporting_currency,
    cast(document_currencies.currencies as string) as document_currencies,
    cast(priced.item_count as integer) as item_count,
    cast(priced.past_due_item_count as integer) as past_due_item_count,
    cast(priced.oldest_days_past_due as integer) as oldest_days_past_due,
    cast(priced.expected_loss + priced.carrying_cost as decimal(18, 4)) as priority,
    cast(priced.expected_loss as decimal(18, 4)) as expected_loss,
    cast(priced.carrying_cost as decimal(18, 4)) as carrying_cost,
    cast(priced.tier_in_force as string) as tier_in_force,
    cast(priced.late_fee_pct_month as decimal(18, 4)) as late_fee_rate_pct,
    {{ rounded('priced.late_fee', 'currencies.digits') }} as late_fee_preview,
    cast(priced.late_fee_regime as string) as late_fee_regime,
    cast(priced.late_fee_compensation as decimal(18, 4)) as late_fee_compensation_amount,
    cast(customer_items.disputed_amount as decimal(18, 4)) as disputed_amount,
    cast(customer_items.held_item_count as integer) as held_item_count,
    cast(credits.credit_available as decimal(18, 4)) as credit_available,
    cast(credit_limit_use.credit_limit as decimal(18, 4)) as credit_limit,
    cast(credit_limit_use.balance as decimal(18, 4)) as credit_used,
    cast(credit_limit_use.credit_used_share as decimal(18, 4)) as credit_used_share,
    cast(payment_behaviour.payer_pattern as string) as payer_pattern,
    cast(payment_behaviour.direction as string) as direction,
    cast(action_contacts.name as string) as contact_name,
    cast(action_contacts.email as string) as contact_email,
    cast(action_contacts.phone as string) as contact_phone,
    cast(customers.language as string) as language,
    cast(contact_history.last_contact_on as date) as last_contact_on,
    cast(contact_history.last_contact_outcome as string) as last_contact_outcome,
    cast(contact_history.recent_contacts as string) as recent_contacts,
    cast(pending_promises.promised_date as date) as promised_on,
    cast(pending_promises.amount as decimal(18, 4)) as promised_amount,
    cast(pending_promises.currency as string) as promised_currency,
    cast(pending_promises.told as string) as pending_promises,
    cast(priced.discount_amount as decimal(18, 4)) as discount_amount,
    cast(priced.discount_until as date) as discount_until,
    cast(arrangements.arrangement as string) as suggested_arrangement,
    cast(arrangements.reason as string) as arrangement_reason,
    cast(
        concat_ws('',
            priced.step_label,
            ': ',
            case
                when priced.past_due_item_count > 0
                    then concat_ws('',
                        cast(priced.past_due_item_count as string),
                        case when priced.past_due_item_count = 1 then ' item ' else ' items, the oldest ' end,
                        cast(priced.oldest_days_past_due as string),
                        case when priced.oldest_days_past_due = 1 then ' day past due, ' else ' days past due, ' end,
                        {{ amount_for_people('priced.past_due_amount', 'coalesce(currencies.digits, 2)') }}
                    )
                else concat_ws('',
                    cast(priced.item_count as string),
                    case when priced.item_count = 1 then ' item not yet due, ' else ' items not yet due, ' end,
                    {{ amount_for_people('priced.not_due_amount', 'coalesce(currencies.digits, 2)') }}
                )
            end,
            ' ',
            priced.reporting_currency,
            case when priced.last_step_on is null then '' else concat_ws('', '; last step sent on ', cast(priced.last_step_on as string)) end,
            case payment_behaviour.payer_pattern
                when 'chronic' then '; pays late as a rule'
                when 'one_off' then '; normally pays on time'
                else ''
            end,
            '.'
        ) as string
    ) as why
from priced
left join action_companies on priced.customer_id = action_companies.customer_id
left join companies on action_companies.company_id = companies.company_id
left join customers on priced.customer_id = customers.customer_id
left join document_currencies on priced.customer_id = document_currencies.customer_id
left join customer_items on priced.customer_id = customer_items.customer_id
left join payment_behaviour on priced.customer_id = payment_behaviour.customer_id
left join dunning_tones
    on payment_behaviour.payer_pattern = dunning_tones.payer_pattern
    and priced.tone = dunning_tones.tone
left join credits on priced.customer_id = credits.customer_id
left join credit_limit_use on priced.customer_id = credit_limit_use.customer_id
left join action_contacts on priced.customer_id = action_contacts.customer_id
left join wrong_contacts on priced.customer_id = wrong_contacts.customer_id
left join contact_history on priced.customer_id = contact_history.customer_id
left join pending_promises on priced.customer_id = pending_promises.customer_id
left join arrangements on priced.customer_id = arrangements.customer_id
left join currencies on priced.reporting_currency = currencies.currency
