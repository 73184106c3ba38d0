with items as (
    select * from {{ ref('int_dunning_items') }}
),

turns as (
    select * from {{ ref('int_dunning_turns') }}
    where not is_waiting
),

discount_terms as (
    select * from {{ ref('int_discount_terms') }}
    where discount_until >= {{ as_of() }}
),

behaviour as (
    select * from {{ ref('int_payment_behaviour') }}
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
        items.days_past_due > 0 as is_past_due,
        case when items.days_past_due > 0 then items.dunnable_amount_reporting else 0 end as past_due,
        notices.step is not null as is_noticed,
        discount_terms.discount_until,
        {{ rounded(per_cent_of('items.dunnable_amount_reporting', 'discount_terms.discount_pct'), 'currencies.digits') }} as discount_amount
    from items
    left join notices on items.last_step = notices.step
    left join discount_terms
        on items.invoice_id = discount_terms.invoice_id
        and items.item_type = 'invoice'
    left join currencies on items.reporting_currency = currencies.currency
    where items.held_reason is null
),

-- Sums are kept as exact decimals; each figure is divided and rounded once, at the end.
sums as (
    select
        customer_id,
        max(reporting_currency) as reporting_currency,
        max(severity) as severity,
        sum(past_due) as past_due_amount,
        sum(dunnable_amount_reporting) - sum(past_due) as not_due_amount,
        count(*) as item_count,
        sum(case when is_past_due then 1 else 0 end) as past_due_item_count,
        max(case when is_past_due then days_past_due end) as oldest_days_past_due,
        case when count(late_fee_reporting) = count(*) then sum(late_fee_reporting) end as late_fee,
        case when count(compensation_reporting) = count(compensation_currency) then sum(compensation_reporting) end as late_fee_compensation,
        case when min(late_fee_regime) = max(late_fee_regime) then min(late_fee_regime) else 'mixed' end as late_fee_regime,
        sum(discount_amount) as discount_amount,
        min(discount_until) as discount_until,
        max(last_step_on) as last_step_on,
        min(case when is_past_due then case when is_noticed then 1 else 0 end end) = 1 as has_earlier_notice
    from acted_items
    group by customer_id
),

owed_to as (
    select
        customer_id,
        company_id,
        row_number() over (
            partition by customer_id order by sum(past_due) desc, sum(dunnable_amount_reporting) desc, company_id
        ) as place
    from acted_items
    group by customer_id, company_id
),

document_currencies as (
    select
        customer_id,
        {{ dbt.listagg('currency', "','", 'order by currency') }} as currencies
    from (select distinct customer_id, currency from acted_items) as distinct_currencies
    group by customer_id
)

select
    sums.customer_id,
    owed_to.company_id,
    turns.collector,
    turns.step,
    turns.step_label,
    sums.severity,
    turns.channel,
    turns.audience,
    coalesce(dunning_tones.tone_used, turns.tone) as tone,
    turns.template,
    turns.effect,
    turns.automatic,
    turns.expected_loss,
    turns.carrying_cost,
    sums.reporting_currency,
    document_currencies.currencies as document_currencies,
    sums.past_due_amount,
    sums.not_due_amount,
    sums.item_count,
    sums.past_due_item_count,
    sums.oldest_days_past_due,
    sums.late_fee_regime,
    sums.late_fee,
    sums.late_fee_compensation,
    sums.discount_amount,
    sums.discount_until,
    sums.last_step_on,
    coalesce(sums.has_earlier_notice, false) as has_earlier_notice,
    customer_items.held_item_count,
    customer_items.disputed_amount
from sums
left join turns on sums.customer_id = turns.customer_id
left join owed_to on sums.customer_id = owed_to.customer_id and owed_to.place = 1
left join document_currencies on sums.customer_id = document_currencies.customer_id
left join customer_items on sums.customer_id = customer_items.customer_id
left join behaviour on sums.customer_id = behaviour.customer_id
left join dunning_tones
    on behaviour.payer_pattern = dunning_tones.payer_pattern
    and turns.tone = dunning_tones.tone
