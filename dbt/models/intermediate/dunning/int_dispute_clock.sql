with disputes as (
    select * from {{ ref('stg_erp__disputes') }}
    where opened_on <= {{ as_of() }}
),

documents as (
    select * from {{ ref('int_documents') }}
),

contacts as (
    select * from {{ ref('int_contacts_made') }}
),

dispute_clock as (
    select * from {{ policy_rows('dispute_clock') }} as dispute_clock
),

credits as (
    select * from {{ ref('int_allocations') }}
    where source_type in ('credit_memo', 'adjustment', 'write_off') and ended_on is null
),

exchange_rates as (
    select * from {{ ref('int_exchange_rates') }}
),

owned as (
    select
        disputes.dispute_id,
        disputes.invoice_id,
        documents.document_key,
        documents.company_id,
        documents.customer_id,
        documents.product_line,
        documents.sales_rep,
        documents.currency,
        documents.reporting_currency,
        disputes.opened_on,
        case when disputes.resolved_on <= {{ as_of() }} then disputes.resolved_on end as resolved_on,
        coalesce(nullif(trim(disputes.reason), ''), 'not said') as reason,
        coalesce(nullif(trim(disputes.owner), ''), of_reason.owner, of_any.owner) as owner,
        coalesce(disputes.amount, documents.amount) as amount,
        {{ days_after('disputes.opened_on', 'coalesce(of_reason.response_days, of_any.response_days)') }} as respond_by,
        {{ days_after('disputes.opened_on', 'coalesce(of_reason.resolution_days, of_any.resolution_days)') }} as resolve_by
    from disputes
    inner join documents on disputes.invoice_id = documents.invoice_id
    left join dispute_clock as of_reason on lower(trim(disputes.reason)) = lower(of_reason.reason)
    left join dispute_clock as of_any on of_any.reason = '*'
),

-- Somebody spoke with the customer, about that document or without naming one. The day on which it was opened is when the customer spoke.
answered as (
    select
        owned.dispute_id,
        min(contacts.contacted_on) as responded_on
    from owned
    inner join contacts
        on owned.customer_id = contacts.customer_id
        and contacts.contacted_on > owned.opened_on
        and (contacts.invoice_id is null or contacts.invoice_id = owned.invoice_id)
        and contacts.is_reached
    group by owned.dispute_id
),

-- What was given for it: credits and adjustments of the document while it was in dispute.
given as (
    select
        owned.dispute_id,
        sum(credits.amount) as amount
    from owned
    inner join credits
        on owned.document_key = credits.document_key
        and credits.effective_on >= owned.opened_on
        and (owned.resolved_on is null or credits.effective_on <= owned.resolved_on)
    group by owned.dispute_id
)

select
    owned.dispute_id,
    owned.invoice_id,
    owned.company_id,
    owned.customer_id,
    owned.product_line,
    owned.sales_rep,
    owned.reason,
    owned.owner,
    owned.opened_on,
    owned.respond_by,
    least(answered.responded_on, coalesce(owned.resolved_on, answered.responded_on)) as responded_on,
    owned.resolve_by,
    owned.resolved_on,
    owned.currency,
    owned.amount,
    owned.reporting_currency,
    {{ converted('owned.amount', 'owned.currency', 'owned.reporting_currency', 'exchange_rates') }} as amount_reporting,
    {{ converted('least(coalesce(given.amount, 0), owned.amount)', 'owned.currency', 'owned.reporting_currency', 'exchange_rates') }} as given_reporting
from owned
left join answered on owned.dispute_id = answered.dispute_id
left join given on owned.dispute_id = given.dispute_id
left join exchange_rates
    on owned.currency = exchange_rates.from_currency
    and owned.reporting_currency = exchange_rates.to_currency
    and {{ spans('owned.opened_on', 'exchange_rates') }}
