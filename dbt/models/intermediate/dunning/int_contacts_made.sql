-- Only what happened before as_of: a morning does not read what it wrote itself, so running it twice gives the same bytes.
with issued_steps as (
    select * from {{ ref('stg_delivery__issued_steps') }}
    where worklist_date < {{ as_of() }}
),

activities as (
    select * from {{ ref('stg_erp__activities') }}
),

customers as (
    select * from {{ ref('int_customers') }}
),

companies as (
    select * from {{ ref('int_companies') }}
),

documents as (
    select * from {{ ref('int_documents') }}
),

-- The day is that of the entity the contact was about: the invoice's, else the customer's.
reported as (
    select
        activities.activity_id,
        activities.customer_id,
        activities.invoice_id,
        activities.step,
        activities.channel,
        activities.outcome,
        activities.actor,
        {{ day_in_zone('activities.occurred_at', 'companies.timezone') }} as contacted_on
    from activities
    left join documents on activities.invoice_id = documents.invoice_id
    left join customers on activities.customer_id = customers.customer_id
    left join companies on coalesce(documents.company_id, customers.company_id) = companies.company_id
),

-- What was written on the call list, not beside its items. Where `contacted` is left empty, the outcome says whether it was one.
filled_rows as (
    select
        outcome_id,
        customer_id,
        worklist_date,
        collector,
        contacted,
        coalesce(
            case when outcome = 'paid' then 'says_it_is_paid' else outcome end,
            case
                when promised_date is not null then 'promised'
                when dispute_reason is not null then 'disputed'
                when contacted = 'yes' then 'contacted'
                when contacted = 'no' then 'not_reached'
                else 'noted'
            end
        ) as outcome
    from {{ ref('stg_delivery__worklist_outcomes') }}
    where item_id is null and worklist_date < {{ as_of() }}
),

not_reached as (
    select {{ policy_value('dunning_policy', 'outcomes_not_reached', 'string') }} as value
),

contacts as (
    select
        activity_id as contact_id,
        customer_id,
        invoice_id,
        contacted_on,
        step,
        coalesce(outcome, channel, 'contacted') as outcome,
        'activity' as source,
        actor as collector,
        cast(null as string) as contacted
    from reported
    where contacted_on < {{ as_of() }}
    union all
    select
        outcome_id as contact_id,
        customer_id,
        cast(null as string) as invoice_id,
        worklist_date as contacted_on,
        cast(null as string) as step,
        outcome,
        'collector' as source,
        collector,
        contacted
    from filled_rows
),

judged as (
    select
        *,
        case
            when contacted is not null then contacted = 'yes'
            else concat_ws('', ',', (select value from not_reached), ',') not like concat_ws('', '%,', lower(replace(outcome, '_', ' ')), ',%')
        end as is_reached
    from contacts
),

mergers as (
    select * from {{ ref('int_customer_mergers') }}
),

dunning_steps as (
    select distinct
        step,
        in_cadence
    from {{ policy_rows('dunning_steps') }} as dunning_steps
)

select
    coalesce(mergers.customer_id, issued_steps.customer_id) as customer_id,
    issued_steps.invoice_id,
    issued_steps.item_id,
    issued_steps.worklist_date as contacted_on,
    issued_steps.step,
    issued_steps.step as outcome,
    'issued' as source,
    cast(null as string) as contact_id,
    coalesce(dunning_steps.in_cadence, true) as in_cadence,
    cast(null as string) as collector,
    false as is_reached
from issued_steps
left join dunning_steps on issued_steps.step = dunning_steps.step
left join mergers on issued_steps.customer_id = mergers.merged_customer_id
union all
select
    coalesce(mergers.customer_id, judged.customer_id) as customer_id,
    judged.invoice_id,
    cast(null as string) as item_id,
    judged.contacted_on,
    judged.step,
    judged.outcome,
    judged.source,
    judged.contact_id,
    judged.source = 'activity' or judged.is_reached as in_cadence,
    judged.collector,
    judged.is_reached
from judged
left join mergers on judged.customer_id = mergers.merged_customer_id
