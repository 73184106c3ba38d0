with open_items as (
    select * from {{ ref('int_open_items') }}
    where item_type in ('invoice', 'debit_memo') and open_amount > 0
),

forecast_policy as (
    select * from {{ policy_values('forecast_policy', safe_chance='decimal(18, 4)') }} as forecast_policy
),

items as (
    select * from {{ ref('int_receivable_items') }}
),

expected as (
    select * from {{ ref('int_expected_payments') }}
),

habits as (
    select * from {{ ref('int_payment_habits') }}
),

told as (
    select
        open_items.item_key,
        items.item_id,
        open_items.invoice_id,
        open_items.company_id,
        open_items.customer_id,
        items.document_number,
        open_items.due_date,
        open_items.currency,
        open_items.open_amount,
        open_items.open_amount_reporting,
        items.reporting_currency,
        open_items.days_past_due,
        coalesce(expected.curve, 'none') as curve,
        expected.day_zero,
        habits.usual_days + coalesce(expected.channel_days, 0) as usual_days_late,
        cast(round(habits.usual_days + coalesce(expected.channel_days, 0)) as integer) as usual_whole_days,
        habits.paid_items,
        habits.spread_days,
        expected.expected_on,
        expected.safe_on,
        expected.chance_later_0,
        expected.chance_later_10,
        expected.chance_later_30
    from open_items
    inner join items on open_items.item_key = items.item_key
    left join expected on open_items.item_key = expected.item_key
    left join habits on open_items.customer_id = habits.customer_id
)

select
    {{ as_of() }} as as_of,
    cast(item_id as string) as item_id,
    cast(invoice_id as string) as invoice_id,
    cast(company_id as string) as company_id,
    cast(customer_id as string) as customer_id,
    cast(document_number as string) as document_number,
    cast(due_date as date) as due_date,
    cast(currency as string) as currency,
    cast(open_amount as decimal(18, 4)) as open_amount,
    cast(reporting_currency as string) as reporting_currency,
    cast(open_amount_reporting as decimal(18, 4)) as open_amount_reporting,
    cast(days_past_due as integer) as days_past_due,
    cast(curve as string) as curve,
    {{ rounded_once('usual_days_late') }} as usual_days_late,
    cast(paid_items as integer) as usual_n,
    {{ rounded_once('spread_days') }} as usual_spread,
    cast(expected_on as date) as expected_on,
    cast(safe_on as date) as p80_on,
    cast(chance_later_0 as decimal(18, 4)) as chance_later_0,
    cast(chance_later_10 as decimal(18, 4)) as chance_later_10,
    cast(chance_later_30 as decimal(18, 4)) as chance_later_30,
    cast(
        concat_ws('',
            case curve
                when 'none' then 'has no due date: nothing says when it is paid'
                when 'promise' then concat_ws('', 'promised for ', cast(day_zero as string))
                when 'dispute' then concat_ws('', 'in dispute since ', cast(day_zero as string))
                else concat_ws('',
                    case when coalesce(paid_items, 0) = 0 then 'has paid nothing yet, taken as usual here: ' else 'usually pays ' end,
                    case
                        when usual_whole_days > 0 then concat_ws('', cast(usual_whole_days as string), case when usual_whole_days = 1 then ' day late' else ' days late' end)
                        when usual_whole_days < 0 then concat_ws('', cast(-usual_whole_days as string), case when usual_whole_days = -1 then ' day early' else ' days early' end)
                        else 'on the day'
                    end,
                    ' (',
                    case when coalesce(paid_items, 0) = 0 then '' else concat_ws('', cast(paid_items as string), case when paid_items = 1 then ' invoice, ' else ' invoices, ' end) end,
                    '± ', cast(cast(round(spread_days) as integer) as string), ')'
                )
            end,
            case
                when curve = 'none' then ''
                when expected_on is null then '; half like this are not paid within a year'
                else concat_ws('',
                    '; half like this are paid by ', cast(expected_on as string), ', ',
                    {{ for_people('forecast_policy.safe_chance', "'percent'") }},
                    case when safe_on is null then ' not within a year' else concat_ws('', ' by ', cast(safe_on as string)) end
                )
            end
        ) as string
    ) as sentence
from told
cross join forecast_policy
