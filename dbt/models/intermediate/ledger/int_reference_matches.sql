{%- set rounds = 8 -%}
with named_documents as (
    select * from {{ ref('int_named_documents') }}
),

payments as (
    select * from {{ ref('int_payments') }}
),

documents as (
    select * from {{ ref('int_documents') }}
),

source_allocations as (
    select * from {{ ref('int_source_allocations') }}
),

refunds as (
    select * from {{ ref('int_refunds') }}
    where payment_id is not null
),

-- What comes of a payment and an invoice it names is found on the day when both are there, and ends with the first of them, or when the
-- source begins to apply the payment itself.
named as (
    select
        named_documents.source_key,
        named_documents.document_key,
        named_documents.number,
        named_documents.named_on,
        named_documents.allocated_on,
        payments.payment_id,
        payments.payment_date,
        payments.amount as payment_amount,
        documents.invoice_id,
        documents.document_date,
        documents.due_date,
        documents.amount as document_amount,
        documents.voided_on,
        least(payments.reversed_on, named_documents.allocated_on) as payment_ends_on
    from named_documents
    inner join payments on named_documents.source_key = payments.document_key
    inner join documents on named_documents.document_key = documents.document_key
    where {{ policy_value('cash_application_policy', 'counted_matches', 'varchar') }} = 'reference'
),

paid_back as (
    select
        days.source_key,
        days.named_on,
        sum(refunds.amount) as amount
    from (select distinct source_key, named_on from named where source_key in (select source_key from refunds)) as days
    inner join refunds
        on days.source_key = refunds.source_key
        and refunds.effective_on <= days.named_on
        and (refunds.ended_on is null or refunds.ended_on > days.named_on)
    group by days.source_key, days.named_on
),

-- Each invoice is asked for itself, and so is every other that bears its number and is there that day: one that is open too makes it
-- unclear which is meant.
asked as (
    select
        named.source_key,
        named.document_key,
        named.named_on,
        named.payment_id,
        named.payment_date,
        named.payment_amount - coalesce(paid_back.amount, 0) as payment_amount,
        paid_back.amount is not null as is_paid_back,
        named.invoice_id,
        named.document_date,
        named.due_date,
        named.payment_ends_on,
        named.voided_on,
        bearers.document_key as asked_key,
        bearers.document_amount as asked_amount,
        named.document_key = bearers.document_key as is_meant
    from named
    inner join named as bearers
        on named.source_key = bearers.source_key
        and named.number = bearers.number
        and bearers.document_date <= named.named_on
        and (bearers.voided_on is null or bearers.voided_on > named.named_on)
    left join paid_back
        on named.source_key = paid_back.source_key
        and named.named_on = paid_back.named_on
    where
        (named.payment_ends_on is null or named.payment_ends_on > named.named_on)
        and (named.voided_on is null or named.voided_on > named.named_on)
),

open_that_day as (
    select
        asked.source_key,
        asked.document_key,
        asked.asked_key,
        max(asked.asked_amount) - coalesce(sum(source_allocations.amount), 0) as open_amount
    from asked
    left join source_allocations
        on asked.asked_key = source_allocations.document_key
        and source_allocations.effective_on <= asked.named_on
        and (source_allocations.ended_on is null or source_allocations.ended_on > asked.named_on)
    group by asked.source_key, asked.document_key, asked.asked_key
    having max(asked.asked_amount) > coalesce(sum(source_allocations.amount), 0)
),

candidates as (
    select
        asked.source_key,
        asked.document_key,
        asked.asked_key,
        asked.is_meant,
        asked.named_on,
        asked.payment_id,
        asked.payment_date,
        asked.payment_amount,
        asked.is_paid_back,
        asked.payment_ends_on,
        asked.invoice_id,
        asked.document_date,
        asked.due_date,
        asked.voided_on,
        open_that_day.open_amount,
        count(*) over (partition by asked.asked_key) as askers,
        count(*) over (partition by asked.source_key) as asks
    from asked
    inner join open_that_day
        on asked.source_key = open_that_day.source_key
        and asked.document_key = open_that_day.document_key
        and asked.asked_key = open_that_day.asked_key
),

-- Most payments name one invoice that no other names. Some name several that no other names, or one that others name too: what is there
-- goes to them in turn. The rest are looked at round by round: they name several, of which others name some too, or find room again
-- because something ended.
alone as (
    select
        source_key,
        document_key,
        least(payment_amount, open_amount) as amount
    from candidates
    where asks = 1 and askers = 1
),

entangled as (
    select
        source_key,
        document_key,
        asked_key,
        is_meant,
        named_on,
        payment_id,
        payment_date,
        payment_amount,
        payment_ends_on,
        invoice_id,
        document_date,
        due_date,
        voided_on,
        open_amount,
        max(case
            when not is_meant then 1
            when askers > 1 and (asks > 1 or payment_ends_on is not null) then 1
            when asks > 1 and (voided_on is not null or is_paid_back) then 1
            else 0
        end) over (partition by asked_key) as is_entangled
    from candidates
    where asks > 1 or askers > 1
),

sorted_out as (
    select
        source_key,
        document_key,
        asked_key,
        is_meant,
        named_on,
        payment_id,
        payment_date,
        payment_amount,
        payment_ends_on,
        invoice_id,
        document_date,
        due_date,
        voided_on,
        open_amount,
        source_key in (select entangled_payments.source_key from entangled as entangled_payments where entangled_payments.is_entangled = 1)
            as is_in_rounds
    from entangled
),

-- A payment fills the invoices it names, oldest due first; an invoice takes its payments in the order they came, and no more than is open.
in_turn as (
    select
        source_key,
        document_key,
        least(
            payment_amount,
            open_amount,
            payment_amount + open_amount - sum(open_amount) over (
                partition by source_key
                order by named_on, due_date nulls last, document_date, invoice_id
                rows between unbounded preceding and current row
            ),
            open_amount + payment_amount - sum(payment_amount) over (
                partition by asked_key
                order by named_on, payment_date, payment_id
                rows between unbounded preceding and current row
            )
        ) as amount
    from sorted_out
    where not is_in_rounds
),

-- Each round lays anew what the round before leaves room for. What one pair gets depends on pairs before it only, so nothing that comes
-- later changes what was found on an earlier day.
laid_0 as (
    select
        source_key,
        document_key,
        asked_key,
        is_meant,
        named_on,
        least(payment_ends_on, voided_on) as ends_on,
        row_number() over (
            order by named_on, payment_date, payment_id, due_date nulls last, document_date, invoice_id, asked_key
        ) as turn,
        payment_amount,
        open_amount,
        case when is_meant then least(payment_amount, open_amount) else 0 end as amount
    from sorted_out
    where is_in_rounds
),

begun_and_ended as (
    select 1 as sign
    union all
    select -1 as sign
),

{% for round in range(rounds + 1) -%}
used_{{ round }} as (
    select
        laid_{{ round }}.source_key,
        laid_{{ round }}.document_key,
        laid_{{ round }}.asked_key,
        laid_{{ round }}.is_meant,
        laid_{{ round }}.named_on,
        laid_{{ round }}.ends_on,
        laid_{{ round }}.turn,
        laid_{{ round }}.payment_amount,
        laid_{{ round }}.open_amount,
        laid_{{ round }}.amount,
        begun_and_ended.sign,
        {%- for used, key in [('paid_before', 'asked_key'), ('spent_before', 'source_key')] %}
        coalesce(sum(begun_and_ended.sign * laid_{{ round }}.amount) over (
            partition by laid_{{ round }}.{{ key }}
            order by
                case when begun_and_ended.sign = 1 then laid_{{ round }}.named_on else laid_{{ round }}.ends_on end,
                begun_and_ended.sign,
                laid_{{ round }}.turn
            rows between unbounded preceding and 1 preceding
        ), 0) as {{ used }}{{ ',' if not loop.last }}
        {%- endfor %}
    from laid_{{ round }}
    cross join begun_and_ended
    where begun_and_ended.sign = 1 or laid_{{ round }}.ends_on is not null
),

{# In the last round nobody gets more than in the one before: where payments push each other on for longer than the rounds, the last of
   them get what is certainly there, and the rest stays unapplied. -#}
laid_{{ round + 1 }} as (
    select
        source_key,
        document_key,
        asked_key,
        is_meant,
        named_on,
        ends_on,
        turn,
        payment_amount,
        open_amount,
        case
            when max(case when not is_meant and open_amount > paid_before then 1 else 0 end) over (
                partition by source_key, document_key
            ) = 1 then 0
            when not is_meant then 0
            else greatest(least({{ 'amount, ' if loop.last }}open_amount - paid_before, payment_amount - spent_before), 0)
        end as amount
    from used_{{ round }}
    where sign = 1
),

{% endfor -%}
matched as (
    select source_key, document_key, amount from alone where amount > 0
    union all
    select source_key, document_key, amount from in_turn where amount > 0
    union all
    select source_key, document_key, amount from laid_{{ rounds + 1 }} where amount > 0
),

-- Where the source begins by saying the same, one allocation confirms the match: what is paid is paid once, on the match's day.
confirmed as (
    select
        matched.source_key,
        matched.document_key
    from matched
    inner join named_documents
        on matched.source_key = named_documents.source_key
        and matched.document_key = named_documents.document_key
    inner join source_allocations
        on matched.source_key = source_allocations.source_key
        and matched.document_key = source_allocations.document_key
        and named_documents.allocated_on = source_allocations.effective_on
        and matched.amount = source_allocations.amount
    group by matched.source_key, matched.document_key
    having count(*) = 1
),

dated as (
    select
        matched.source_key,
        matched.document_key,
        matched.amount,
        named_documents.named_on,
        least(payments.reversed_on, named_documents.allocated_on, documents.voided_on) as ended_on,
        payments.payment_id,
        payments.company_id as source_company_id,
        payments.customer_id as source_customer_id,
        payments.payment_date,
        payments.first_known_at,
        greatest(payments.known_at, documents.known_at) as known_at,
        documents.invoice_id,
        documents.document_type,
        documents.document_date,
        documents.due_date,
        documents.company_id,
        documents.customer_id,
        documents.currency
    from matched
    inner join named_documents
        on matched.source_key = named_documents.source_key
        and matched.document_key = named_documents.document_key
    inner join payments on matched.source_key = payments.document_key
    inner join documents on matched.document_key = documents.document_key
)

select
    dated.payment_id,
    dated.invoice_id,
    dated.document_key,
    dated.source_key,
    dated.source_company_id,
    dated.source_customer_id,
    dated.document_type,
    dated.document_date,
    dated.due_date,
    dated.company_id,
    dated.customer_id,
    dated.currency,
    cast(dated.amount as decimal(18, 4)) as amount,
    dated.named_on as effective_on,
    case when dated.ended_on <= {{ as_of() }} then dated.ended_on end as ended_on,
    dated.payment_date,
    confirmed.source_key is not null as is_confirmed,
    dated.first_known_at as known_at,
    case when dated.ended_on <= {{ as_of() }} then dated.known_at end as end_known_at
from dated
left join confirmed
    on dated.source_key = confirmed.source_key
    and dated.document_key = confirmed.document_key
