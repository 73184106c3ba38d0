with contacts_made as (
    select * from {{ ref('int_contacts_made') }}
    where source <> 'issued' and collector is not null
),

promises as (
    select * from {{ ref('int_promises') }}
    where collector is not null
),

companies as (
    select * from {{ ref('int_companies') }}
),

exchange_rates as (
    select * from {{ ref('int_exchange_rates') }}
),

reporting as (
    select max(reporting_currency) as currency from companies
),

-- A customer is contacted once a day, however often the phone rang and wherever it was written down.
contact_days as (
    select
        collector,
        customer_id,
        contacted_on,
        max(case when is_reached then 1 else 0 end) as reached
    from contacts_made
    group by collector, customer_id, contacted_on
),

promised as (
    select
        promises.collector,
        promises.made_on,
        promises.state,
        {{ converted('promises.amount', 'promises.currency', 'reporting.currency', 'exchange_rates') }} as amount
    from promises
    cross join reporting
    left join exchange_rates
        on {{ rate_on('promises.made_on', 'promises.currency', 'reporting.currency') }}
),

activity as (
    select
        collector,
        cast({{ dbt.date_trunc('month', 'contacted_on') }} as date) as month,
        1 as contacts_made,
        reached,
        0 as promises_taken,
        cast(0 as decimal(18, 4)) as promised_amount,
        cast(0 as decimal(18, 4)) as kept_amount,
        cast(0 as decimal(18, 4)) as broken_amount
    from contact_days
    union all
    select
        collector,
        cast({{ dbt.date_trunc('month', 'made_on') }} as date) as month,
        0 as contacts_made,
        0 as reached,
        1 as promises_taken,
        amount as promised_amount,
        case when state = 'kept' then amount else 0 end as kept_amount,
        case when state = 'broken' then amount else 0 end as broken_amount
    from promised
),

summed as (
    select
        collector,
        month,
        sum(contacts_made) as contacts_made,
        sum(reached) as contacts_reached,
        sum(promises_taken) as promises_taken,
        sum(promised_amount) as promised_amount,
        sum(kept_amount) as kept_amount,
        sum(broken_amount) as broken_amount
    from activity
    where month >= {{ dbt.dateadd('month', -24, dbt.date_trunc('month', as_of())) }}
    group by collector, month
)

select
    summed.collector,
    summed.month,
    cast(summed.contacts_made as integer) as contacts_made,
    cast(summed.contacts_reached as integer) as contacts_reached,
    {{ ratio('summed.contacts_reached', 'summed.contacts_made') }} as reached_share,
    cast(summed.promises_taken as integer) as promises_taken,
    reporting.currency as reporting_currency,
    cast(summed.promised_amount as decimal(18, 4)) as promised_amount,
    cast(summed.kept_amount as decimal(18, 4)) as kept_amount,
    cast(summed.broken_amount as decimal(18, 4)) as broken_amount,
    {{ ratio('summed.kept_amount', 'summed.kept_amount + summed.broken_amount') }} as kept_share
from summed
cross join reporting
