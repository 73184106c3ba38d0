with actions as (
    select * from {{ ref('int_dunning_actions') }}
),

tier_terms as (
    select * from {{ policy_rows('risk_tier_terms') }} as risk_tier_terms
),

currencies as (
    select * from {{ policy_rows('currencies') }} as currencies
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

credits as (
    select
        customer_id,
        sum(credits_reporting) as credit_available
    from balances
    group by customer_id
)

select
    {{ as_of() }} as as_of,
    cast(row_number() over (
        order by
            actions.expected_loss + actions.carrying_cost desc,
            actions.past_due_amount desc,
            actions.severity desc,
            actions.customer_id
    ) as integer) as rank,
    cast(actions.customer_id as string) as customer_id,
    cast(coalesce(customers.name, actions.customer_id) as string) as customer_name,
    cast(actions.company_id as string) as company_id,
    cast(companies.name as string) as company_name,
    cast(actions.collector as string) as collector,
    cast(actions.step as string) as step,
    cast(actions.step_label as string) as step_label,
    cast(actions.severity as integer) as severity,
    cast(
        case
            when actions.channel = 'email' and action_contacts.email is null and action_contacts.phone is not null then 'call'
            when actions.channel = 'call' and action_contacts.phone is null and action_contacts.email is not null then 'email'
            else actions.channel
        end as string
    ) as channel,
    cast(actions.audience as string) as audience,
    cast(actions.tone as string) as tone,
    cast(actions.template as string) as template,
    cast(actions.effect as string) as effect,
    cast(
        actions.automatic
        and actions.channel = 'email' and action_contacts.email is not null
        and not coalesce(customers.do_not_mail, false)
        and wrong_contacts.customer_id is null as boolean
    ) as automatic,
    cast(
        case
            when not coalesce(contact_history.is_listed_before, false) then 'new'
            when actions.severity > contact_history.last_list_severity then 'escalated'
            else 'repeated'
        end as string
    ) as change,
    cast(actions.has_earlier_notice as boolean) as has_earlier_notice,
    cast(actions.past_due_amount as decimal(18, 4)) as past_due_amount,
    cast(actions.not_due_amount as decimal(18, 4)) as not_due_amount,
    cast(actions.reporting_currency as string) as reporting_currency,
    cast(actions.document_currencies as string) as document_currencies,
    cast(actions.item_count as integer) as item_count,
    cast(actions.past_due_item_count as integer) as past_due_item_count,
    cast(actions.oldest_days_past_due as integer) as oldest_days_past_due,
    cast(actions.expected_loss + actions.carrying_cost as decimal(18, 4)) as priority,
    cast(actions.expected_loss as decimal(18, 4)) as expected_loss,
    cast(actions.carrying_cost as decimal(18, 4)) as carrying_cost,
    cast(risk_tiers.tier_in_force as string) as tier_in_force,
    cast(case when actions.late_fee_regime = 'contractual' then tier_terms.late_fee_pct_month end as decimal(18, 4)) as late_fee_rate_pct,
    {{ rounded('actions.late_fee', 'currencies.digits') }} as late_fee_preview,
    cast(actions.late_fee_regime as string) as late_fee_regime,
    cast(actions.late_fee_compensation as decimal(18, 4)) as late_fee_compensation_amount,
    cast(actions.disputed_amount as decimal(18, 4)) as disputed_amount,
    cast(actions.held_item_count as integer) as held_item_count,
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
    cast(actions.discount_amount as decimal(18, 4)) as discount_amount,
    cast(actions.discount_until as date) as discount_until,
    cast(arrangements.arrangement as string) as suggested_arrangement,
    cast(arrangements.reason as string) as arrangement_reason,
    cast(
        concat_ws('',
            actions.step_label,
            ': ',
            case
                when actions.past_due_item_count > 0
                    then concat_ws('',
                        cast(actions.past_due_item_count as string),
                        case when actions.past_due_item_count = 1 then ' item ' else ' items, the oldest ' end,
                        cast(actions.oldest_days_past_due as string),
                        case when actions.oldest_days_past_due = 1 then ' day past due, ' else ' days past due, ' end,
                        {{ amount_for_people('actions.past_due_amount', 'coalesce(currencies.digits, 2)') }}
                    )
                else concat_ws('',
                    cast(actions.item_count as string),
                    case when actions.item_count = 1 then ' item not yet due, ' else ' items not yet due, ' end,
                    {{ amount_for_people('actions.not_due_amount', 'coalesce(currencies.digits, 2)') }}
                )
            end,
            ' ',
            actions.reporting_currency,
            case when actions.last_step_on is null then '' else concat_ws('', '; last step sent on ', cast(actions.last_step_on as string)) end,
            case payment_behaviour.payer_pattern
                when 'chronic' then '; pays late as a rule'
                when 'one_off' then '; normally pays on time'
                else ''
            end,
            '.'
        ) as string
    ) as why
from actions
left join companies on actions.company_id = companies.company_id
left join customers on actions.customer_id = customers.customer_id
left join risk_tiers on actions.customer_id = risk_tiers.customer_id
left join tier_terms on risk_tiers.tier_in_force = tier_terms.tier
left join payment_behaviour on actions.customer_id = payment_behaviour.customer_id
left join credits on actions.customer_id = credits.customer_id
left join credit_limit_use on actions.customer_id = credit_limit_use.customer_id
left join action_contacts on actions.customer_id = action_contacts.customer_id
left join wrong_contacts on actions.customer_id = wrong_contacts.customer_id
left join contact_history on actions.customer_id = contact_history.customer_id
left join pending_promises on actions.customer_id = pending_promises.customer_id
left join arrangements on actions.customer_id = arrangements.customer_id
left join currencies on actions.reporting_currency = currencies.currency
