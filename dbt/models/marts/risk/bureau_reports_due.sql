with reports_due as (
    select * from {{ ref('int_bureau_reports_due') }}
),

customers as (
    select * from {{ ref('int_customers') }}
)

select
    {{ as_of() }} as as_of,
    cast(reports_due.bureau as string) as bureau,
    cast(reports_due.customer_id as string) as customer_id,
    cast(customers.company_id as string) as company_id,
    cast(customers.name as string) as customer_name,
    cast(customers.country as string) as country,
    cast(customers.region as string) as region,
    cast(customers.registration_number as string) as registration_number,
    cast(reports_due.state as string) as state,
    cast(reports_due.place as integer) as place,
    cast(reports_due.reason as string) as reason,
    cast(reports_due.said_on as date) as last_report_on,
    cast(reports_due.age_days as integer) as age_days,
    cast(reports_due.cadence_days as integer) as cadence_days,
    cast(reports_due.alerted_on as date) as alerted_on,
    cast(reports_due.tier_in_force as string) as tier_in_force,
    cast(reports_due.reporting_currency as string) as reporting_currency,
    cast(reports_due.balance as decimal(18, 4)) as exposure_amount,
    cast(
        concat_ws('',
            case reports_due.reason
                when 'never' then 'Nothing is known of it yet'
                when 'alert' then concat_ws('', 'Alert on ', cast(reports_due.alerted_on as string), '; the last report is of ', cast(reports_due.said_on as string))
                else concat_ws('',
                    'The last report is ', cast(reports_due.age_days as string), ' days old; one of tier ', coalesce(reports_due.tier_in_force, '?'), ' owing ',
                    {{ amount_for_people('reports_due.balance', digits_of('reports_due.reporting_currency')) }}, ' ', reports_due.reporting_currency, ' is due after ',
                    cast(reports_due.cadence_days as string)
                )
            end,
            case reports_due.state
                when 'next_night' then ''
                when 'by_hand' then '. Somebody fetches it'
                when 'waits_for_budget' then '. It does not fit the budget'
                when 'waits_for_review' then '. Somebody has to say which company it is'
                when 'not_found' then '. The bureau did not have it when it was last asked'
                else '. It was asked for lately and could not be had'
            end
        ) as string
    ) as detail
from reports_due
inner join customers on reports_due.customer_id = customers.customer_id
