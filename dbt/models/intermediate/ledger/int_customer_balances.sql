{%- set aging_columns = ['current_amount', 'd1_30', 'd31_60', 'd61_90', 'd90_plus', 'no_due_date'] -%}
with snapshot as (
    select * from {{ ref('int_items_snapshot') }}
),

-- Days late are of what is owed only.
judged as (
    select
        snapshot_date,
        is_as_of,
        company_id,
        customer_id,
        currency,
        days_past_due,
        open_amount,
        open_amount_base,
        open_amount_reporting,
        {{ is_receivable('item_type') }} as is_receivable,
        -- Compared with fifteen times a row: a number is, in a fraction of the time a text is.
        case aging_column
            {%- for column in aging_columns %}
            when '{{ column }}' then {{ loop.index }}
            {%- endfor %}
            else 0
        end as aging_place,
        case when days_past_due > 0 and open_amount > 0 then days_past_due end as days_late
    from snapshot
),

summed as (
    select
        snapshot_date,
        is_as_of,
        company_id,
        customer_id,
        currency,
        {%- for amount, suffix in [('open_amount', ''), ('open_amount_reporting', '_reporting')] %}
        {%- for column in aging_columns %}
        cast(sum(case when aging_place = {{ loop.index }} then {{ amount }} else 0 end) as decimal(18, 4)) as {{ column }}{{ suffix }},
        {%- endfor %}
        cast(sum(case when aging_place = 0 then -{{ amount }} else 0 end) as decimal(18, 4)) as credits{{ suffix }},
        {%- endfor %}
        cast(sum(open_amount) as decimal(18, 4)) as balance,
        cast(case when count(*) = count(open_amount_base) then sum(open_amount_base) end as decimal(18, 4)) as balance_base,
        cast(case when count(*) = count(open_amount_reporting) then sum(open_amount_reporting) end as decimal(18, 4)) as balance_reporting,
        cast(sum(case when days_past_due > 0 then open_amount else 0 end) as decimal(18, 4)) as past_due,
        cast(max(case when days_past_due > 0 and open_amount > 0 then days_past_due end) as integer) as oldest_days_past_due,
        cast(sum(case when is_receivable then greatest(open_amount_reporting, 0) end) as decimal(18, 4)) as owed_reporting,
        cast(sum(case when days_late > 0 then open_amount_reporting else 0 end) as decimal(18, 4)) as late_reporting,
        cast(sum(case when days_late > 30 then open_amount_reporting else 0 end) as decimal(18, 4)) as late_30_reporting,
        cast(sum(case when days_late > 60 then open_amount_reporting else 0 end) as decimal(18, 4)) as late_60_reporting,
        cast(coalesce(sum(cast(open_amount_reporting as decimal(24, 4)) * days_late), 0) as decimal(24, 4)) as late_x_days_reporting,
        max(days_late) as oldest_days_late
    from judged
    group by snapshot_date, is_as_of, company_id, customer_id, currency
),

-- A trifle is asked of all that the customer has past due with the entity, in whatever currency; where no more than that is left to pay
-- at all, past due or not, there is nothing to have a share of.
weighed as (
    select
        *,
        {{ below_trifle('sum(late_reporting) over (partition by snapshot_date, company_id, customer_id)') }} as is_trifle,
        {{ below_trifle('sum(owed_reporting) over (partition by snapshot_date, company_id, customer_id)') }} as owes_a_trifle
    from summed
)

select
    snapshot_date,
    is_as_of,
    company_id,
    customer_id,
    currency,
    {%- for suffix in ['', '_reporting'] %}
    {%- for column in aging_columns %}
    {{ column }}{{ suffix }},
    {%- endfor %}
    credits{{ suffix }},
    {%- endfor %}
    balance,
    balance_base,
    balance_reporting,
    past_due,
    oldest_days_past_due,
    is_trifle,
    case when is_trifle then late_reporting else 0 end as trifle_reporting,
    case when owes_a_trifle then 0 when is_trifle then owed_reporting - late_reporting else owed_reporting end as owed_reporting,
    {%- for column in ['late_reporting', 'late_30_reporting', 'late_60_reporting', 'late_x_days_reporting'] %}
    case when is_trifle then 0 else {{ column }} end as {{ column }},
    {%- endfor %}
    case when not is_trifle then oldest_days_late end as oldest_days_late
from weighed
