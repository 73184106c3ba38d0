with recorded as (
    select * from {{ ref('stg_erp__promises') }}
    where made_on <= {{ as_of() }}
),

filled_rows as (
    select * from {{ ref('stg_delivery__worklist_outcomes') }}
    where promised_date is not null and worklist_date < {{ as_of() }}
),

mergers as (
    select * from {{ ref('int_customer_mergers') }}
),

promises as (
    select
        promise_id,
        customer_id,
        invoice_id,
        plan_id,
        made_on,
        promised_date,
        amount,
        cast(null as string) as currency,
        cast(null as string) as collector,
        false as is_noted
    from recorded
    union all
    select
        outcome_id as promise_id,
        customer_id,
        cast(null as string) as invoice_id,
        cast(null as string) as plan_id,
        worklist_date as made_on,
        promised_date,
        promised_amount as amount,
        currency,
        collector,
        true as is_noted
    from filled_rows
),

-- What an account promised before it was merged into another one, that one has promised.
owned as (
    select
        promises.promise_id,
        coalesce(mergers.customer_id, promises.customer_id) as customer_id,
        promises.invoice_id,
        promises.plan_id,
        promises.made_on,
        promises.promised_date,
        promises.amount,
        promises.currency,
        promises.collector,
        promises.is_noted
    from promises
    left join mergers on promises.customer_id = mergers.merged_customer_id
),

-- A promise that somebody also entered in the ledger, for the same day, is the ledger's.
made as (
    select *
    from owned
    where
        not is_noted
        or not exists (
            select 1
            from owned as in_ledger
            where
                not in_ledger.is_noted
                and in_ledger.customer_id = owned.customer_id
                and in_ledger.promised_date = owned.promised_date
        )
),

documents as (
    select * from {{ ref('int_documents') }}
),

customers as (
    select * from {{ ref('int_customers') }}
),

companies as (
    select * from {{ ref('int_companies') }}
),

exchange_rates as (
    select * from {{ ref('int_exchange_rates') }}
),

business_days as (
    select * from {{ ref('int_business_days') }}
),

allocations as (
    select * from {{ ref('int_allocations') }}
    where source_type = 'payment' and ended_on is null
),

payments as (
    select * from {{ ref('int_payments') }}
    where reversed_on is null
),

refunds as (
    select
        payment_id,
        sum(amount) as amount
    from {{ ref('int_refunds') }}
    where ended_on is null and payment_id is not null
    group by payment_id
),

-- Promises of one plan are kept or broken together: what counts is whether enough came in by each date. A promise without a plan
-- is a plan of one.
planned as (
    select
        made.promise_id,
        made.customer_id,
        made.invoice_id,
        made.plan_id,
        made.made_on,
        made.promised_date,
        made.amount,
        coalesce(made.currency, documents.currency, customers.currency, companies.currency) as currency,
        coalesce(made.collector, customers.collector) as collector,
        companies.calendar,
        companies.reporting_currency,
        min(made.made_on) over (
            partition by made.customer_id, coalesce(made.plan_id, made.promise_id), made.invoice_id
        ) as agreed_on,
        sum(made.amount) over (
            partition by made.customer_id, coalesce(made.plan_id, made.promise_id), made.invoice_id
            order by made.promised_date, made.promise_id
            rows between unbounded preceding and current row
        ) as amount_by_then
    from made
    left join customers on made.customer_id = customers.customer_id
    left join documents on made.invoice_id = documents.invoice_id
    left join companies on coalesce(documents.company_id, customers.company_id) = companies.company_id
),

-- A date older than the calendar reaches is far past its grace anyway: every business day may have one off after it.
with_grace as (
    select
        planned.*,
        coalesce(last_day.date_day, {{ days_after('planned.promised_date', '2 * ' ~ policy_value('dunning_policy', 'promise_grace_business_days')) }}) as grace_until
    from planned
    left join business_days as promised_day
        on planned.calendar = promised_day.calendar
        and planned.promised_date = promised_day.date_day
    left join business_days as last_day
        on promised_day.calendar = last_day.calendar
        and last_day.is_business_day
        and promised_day.business_day_number
        + {{ policy_value('dunning_policy', 'promise_grace_business_days') }}
        = last_day.business_day_number
),

paid_on_invoice as (
    select
        with_grace.promise_id,
        sum(allocations.amount) as amount
    from with_grace
    inner join allocations
        on with_grace.invoice_id = allocations.invoice_id
        and allocations.payment_date between with_grace.agreed_on and with_grace.grace_until
    group by with_grace.promise_id
),

paid_by_customer as (
    select
        with_grace.promise_id,
        sum(payments.amount - coalesce(refunds.amount, 0)) as amount
    from with_grace
    inner join payments
        on with_grace.customer_id = payments.customer_id
        and with_grace.currency = payments.currency
        and payments.payment_date between with_grace.agreed_on and with_grace.grace_until
    left join refunds on payments.payment_id = refunds.payment_id
    where with_grace.invoice_id is null
    group by with_grace.promise_id
),

received as (
    select
        with_grace.*,
        coalesce(paid_on_invoice.amount, paid_by_customer.amount, 0) as paid_by_then
    from with_grace
    left join paid_on_invoice on with_grace.promise_id = paid_on_invoice.promise_id
    left join paid_by_customer on with_grace.promise_id = paid_by_customer.promise_id
),

-- Bank charges take a cent of what was promised: what is missing may be a trifle, and no trifle breaks a promise.
held_against as (
    select
        received.*,
        {{ below_trifle(converted('received.amount_by_then - received.paid_by_then', 'received.currency', 'received.reporting_currency', 'exchange_rates')) }} as lacks_a_trifle
    from received
    left join exchange_rates
        on received.currency = exchange_rates.from_currency
        and received.reporting_currency = exchange_rates.to_currency
        and {{ spans('received.promised_date', 'exchange_rates') }}
),

judged as (
    select
        held_against.*,
        case
            when paid_by_then >= amount_by_then or (paid_by_then > 0 and lacks_a_trifle) then 'kept'
            when grace_until >= {{ as_of() }} then 'pending'
            when lacks_a_trifle then 'kept'
            else 'broken'
        end as state
    from held_against
)

select
    promise_id,
    customer_id,
    invoice_id,
    plan_id,
    made_on,
    promised_date,
    grace_until,
    amount,
    currency,
    collector,
    state,
    case
        when plan_id is null then null
        else sum(case when state = 'broken' then 1 else 0 end) over (partition by customer_id, plan_id) = 0
    end as plan_in_good_standing
from judged
