{#- A part of int_dunning_holds, within it: nothing else reads it. -#}
{{ config(materialized=part()) }}
{#- Reason, what makes it one, and the day it ends where it has one. -#}
{%- set reasons = [
    ('voided_or_settled', 'is_invoice_unreadable', 'null'),
    ('insolvent', "status = 'insolvent'", 'null'),
    ('at_agency', "status = 'at_agency' or is_placed", 'null'),
    ('disputed', '(disputed_amount > 0 and disputed_amount >= open_amount) or is_dispute_unreadable', 'null'),
    ('promise_pending', 'promise_until is not null or is_promise_unreadable', 'promise_until'),
    ('payment_plan', 'plan_until is not null', 'plan_until'),
    ('covered_by_credit', 'dunnable_amount <= 0 and not (disputed_amount > 0 and disputed_amount >= open_amount)', 'null'),
    ('possible_payment', 'paid_until >= ' ~ as_of(), 'paid_until'),
    (
        'below_minimum',
        'step is not null and dunnable_amount > 0 and worth_asking < ' ~ policy_value('dunning_policy', 'minimum_amount', 'decimal(18, 4)'),
        'null'
    ),
    ('do_not_dun', 'do_not_dun', 'null'),
    ('no_due_date', 'due_date is null', 'null'),
    ('contacted_recently', 'is_in_cadence and contact_allowed_on > ' ~ as_of(), 'contact_allowed_on'),
    ('inter_company', 'is_inter_company', 'null'),
    ('no_contact', 'has_no_contact or is_customer_unreadable', 'null'),
    ('waiting_next_step', 'step is null and next_step is not null', 'next_step_on'),
    ('last_step_done', 'step is null and next_step is null and due_date is not null', 'null'),
] -%}
with items as (
    select * from {{ ref('int_dunnable_items') }}
),

-- The minimum is asked of the customer, over what is neither contested, promised nor covered: a small item rides along with a large one.
-- A trifle does not: a cent of May would make a third notice of the reminder that it rides along with.
asked_for as (
    select
        customer_id,
        sum(dunnable_amount_reporting) as amount,
        sum(case when is_trifle then dunnable_amount_reporting else 0 end) as trifle_amount
    from items
    where promise_until is null and plan_until is null and step is not null
    group by customer_id
),

facts as (
    select
        items.*,
        case when items.is_trifle then asked_for.trifle_amount else asked_for.amount end as worth_asking
    from items
    left join asked_for on items.customer_id = asked_for.customer_id
)

{% for reason, holds, until in reasons -%}
select
    item_id,
    {{ policy_name('held_reasons', reason) }} as reason,
    cast({{ until }} as date) as held_until
from facts
where {{ holds }}
{% if not loop.last -%}
union all
{% endif -%}
{%- endfor %}
