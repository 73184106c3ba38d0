with items as (
    select * from {{ ref('dunning_items') }}
),

policy_steps as (
    select * from {{ policy_history('dunning_steps', every_pack=true) }} as dunning_steps
    where effect = 'agency_placement'
),

issued_steps as (
    select * from {{ ref('stg_delivery__issued_steps') }}
    where worklist_date < {{ as_of() }}
),

contacts_made as (
    select * from {{ ref('int_contacts_made') }}
),

disputes as (
    select * from {{ ref('stg_erp__disputes') }}
    where opened_on <= {{ as_of() }}
),

promises as (
    select * from {{ ref('int_promises') }}
),

receivable_items as (
    select * from {{ ref('int_receivable_items') }}
),

balances as (
    select * from {{ ref('int_item_balances') }}
),

customers as (
    select * from {{ ref('int_customers') }}
),

contacts as (
    select * from {{ ref('stg_erp__contacts') }}
),

placement_steps as (
    select distinct step
    from policy_steps
),

-- When we handed an item over, and with how much on it; of several times the last.
handed_over as (
    select
        item_id,
        worklist_date,
        open_amount
    from (
        select
            issued_steps.item_id,
            issued_steps.worklist_date,
            issued_steps.open_amount,
            row_number() over (
                partition by issued_steps.item_id order by issued_steps.worklist_date desc, issued_steps.known_at desc
            ) as recency
        from issued_steps
        inner join placement_steps on issued_steps.step = placement_steps.step
    ) as by_recency
    where recency = 1
),

known_items as (
    select receivable_items.*
    from receivable_items
    inner join (
        select item_id from handed_over
        union
        select item_id from items
    ) as asked on receivable_items.item_id = asked.item_id
),

settled as (
    select
        handed_over.item_id,
        max(balances.valid_to) as settled_on
    from handed_over
    inner join known_items on handed_over.item_id = known_items.item_id
    inner join balances on known_items.item_key = balances.item_key
    group by handed_over.item_id
    having max(case when balances.valid_to is null and balances.open_amount > 0 then 1 else 0 end) = 0
),

concerned as (
    select
        items.item_id,
        'to_place' as state
    from items
    inner join placement_steps on items.step = placement_steps.step
    where items.held_reason is null
    union
    select
        items.item_id,
        'placed' as state
    from items
    where concat_ws('', ',', items.all_held_reasons, ',') like '%,at_agency,%' and items.days_past_due > 0 and items.open_amount > 0
    union
    select
        item_id,
        'recall' as state
    from settled
    where {{ days_after('settled_on', policy_value('dunning_policy', 'agency_recall_days')) }} >= {{ as_of() }}
),

placements as (
    select
        concerned.item_id,
        concerned.state,
        known_items.customer_id,
        known_items.company_id,
        known_items.invoice_id,
        known_items.document_number,
        known_items.document_date,
        known_items.due_date,
        known_items.currency,
        coalesce(balances.open_amount, 0) as open_amount,
        handed_over.worklist_date as placed_on,
        handed_over.open_amount as placed_amount
    from concerned
    inner join known_items on concerned.item_id = known_items.item_id
    left join balances on known_items.item_key = balances.item_key and balances.valid_to is null
    left join handed_over on concerned.item_id = handed_over.item_id
),

events as (
    select distinct
        placements.item_id,
        contacts_made.contacted_on as happened_on,
        replace(coalesce(contacts_made.step, contacts_made.outcome), '_', ' ') as told
    from placements
    inner join contacts_made on placements.item_id = contacts_made.item_id
    union
    select
        placements.item_id,
        contacts_made.contacted_on as happened_on,
        replace(coalesce(contacts_made.step, contacts_made.outcome), '_', ' ') as told
    from placements
    inner join contacts_made on placements.invoice_id = contacts_made.invoice_id
    where contacts_made.item_id is null
    union
    select
        placements.item_id,
        disputes.opened_on as happened_on,
        concat_ws('',
            'disputed',
            coalesce(' (' || replace(disputes.reason, '_', ' ') || ')', ''),
            case
                when disputes.resolved_on <= {{ as_of() }}
                    then concat_ws('',
                        ', resolved on ', cast(disputes.resolved_on as string), coalesce(' ' || replace(disputes.outcome, '_', ' '), '')
                    )
                else ''
            end
        ) as told
    from placements
    inner join disputes on placements.invoice_id = disputes.invoice_id
    union
    select
        placements.item_id,
        promises.made_on as happened_on,
        concat_ws('',
            'promised ', {{ amount_for_people('promises.amount', digits_of('promises.currency')) }}, ' ', promises.currency, ' for ', cast(promises.promised_date as string),
            ', ', promises.state
        ) as told
    from placements
    inner join promises
        on placements.customer_id = promises.customer_id
        and placements.document_date <= promises.made_on
    where promises.invoice_id is null or promises.invoice_id = placements.invoice_id
),

histories as (
    select
        item_id,
        {{ dbt.listagg("concat_ws('', cast(happened_on as string), ' ', told)", "'; '", 'order by happened_on nulls last, told nulls last') }} as history
    from events
    group by item_id
),

-- The person who answers for the debt, as far up as we know one.
debtor_contacts as (
    select
        customer_id,
        name,
        email,
        phone
    from {{ first_of('contacts', 'customer_id', "case role when 'executive' then 0 when 'senior' then 1 else 2 end, contact_id nulls last") }} as by_role
)

select
    {{ as_of() }} as as_of,
    cast(placements.state as string) as state,
    cast(placements.customer_id as string) as customer_id,
    cast(coalesce(customers.name, placements.customer_id) as string) as customer_name,
    cast(customers.registration_number as string) as registration_number,
    cast(customers.country as string) as country,
    cast(debtor_contacts.name as string) as contact_name,
    cast(coalesce(debtor_contacts.email, customers.email) as string) as contact_email,
    cast(coalesce(debtor_contacts.phone, customers.phone) as string) as contact_phone,
    cast(placements.company_id as string) as company_id,
    cast(placements.item_id as string) as item_id,
    cast(placements.invoice_id as string) as invoice_id,
    cast(placements.document_number as string) as document_number,
    cast(placements.document_date as date) as document_date,
    cast(placements.due_date as date) as due_date,
    cast({{ dbt.datediff('placements.due_date', as_of(), 'day') }} as integer) as days_past_due,
    cast(placements.currency as string) as currency,
    cast(placements.open_amount as decimal(18, 4)) as open_amount,
    cast(items.disputed_amount as decimal(18, 4)) as disputed_amount,
    cast(placements.placed_on as date) as placed_on,
    cast(placements.placed_amount as decimal(18, 4)) as placed_amount,
    cast(
        case when placements.placed_on is not null then greatest(placements.placed_amount - placements.open_amount, 0) end as decimal(18, 4)
    ) as settled_since_amount,
    cast(items.late_fee_preview as decimal(18, 4)) as late_fee_preview,
    cast(items.late_fee_regime as string) as late_fee_regime,
    cast(items.late_fee_compensation_amount as decimal(18, 4)) as late_fee_compensation_amount,
    cast(items.late_fee_compensation_currency as string) as late_fee_compensation_currency,
    cast(histories.history as string) as history
from placements
left join items on placements.item_id = items.item_id
left join histories on placements.item_id = histories.item_id
left join customers on placements.customer_id = customers.customer_id
left join debtor_contacts on placements.customer_id = debtor_contacts.customer_id
