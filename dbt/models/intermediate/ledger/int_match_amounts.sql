{#- A part of int_reference_matches, within it: nothing else reads it. -#}
{{ config(materialized=part()) }}
{%- set rounds = 8 %}
with candidates as (
    select * from {{ ref('int_match_candidates') }}
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
                order by named_on nulls last, due_date nulls last, document_date, invoice_id
                rows between unbounded preceding and current row
            ),
            open_amount + payment_amount - sum(payment_amount) over (
                partition by asked_key
                order by named_on nulls last, payment_date, payment_id
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
            order by named_on nulls last, payment_date, payment_id, due_date nulls last, document_date, invoice_id, asked_key
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
                case when begun_and_ended.sign = 1 then laid_{{ round }}.named_on else laid_{{ round }}.ends_on end nulls last,
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
shared_out as (
    select source_key, document_key, amount from alone where amount > 0
    union all
    select source_key, document_key, amount from in_turn where amount > 0
    union all
    select source_key, document_key, amount from laid_{{ rounds + 1 }} where amount > 0
)

select
    source_key,
    document_key,
    amount
from shared_out
