with customers as (
    select * from {{ ref('int_customers') }}
),

unlisted as (
    select * from {{ ref('int_unlisted_customers') }}
),

limit_use as (
    select * from {{ ref('int_credit_limit_use') }}
),

rules as (
    select * from {{ policy_rows('customer_data_rules') }} as customer_data_rules
),

currencies as (
    select * from {{ policy_rows('currencies') }} as currencies
),

issues as (
    select customer_id, rule, other_customer_id, detail from {{ ref('int_duplicate_customers') }}
    union all
    select customer_id, rule, other_customer_id, detail from {{ ref('int_contact_issues') }}
    union all
    select customer_id, rule, other_customer_id, detail from {{ ref('int_reference_issues') }}
    union all
    select customer_id, rule, other_customer_id, detail from {{ ref('int_unconfirmed_matches') }}
    union all
    select customer_id, rule, other_customer_id, detail from unlisted
    union all
    select
        limit_use.customer_id,
        {{ policy_name('customer_data_rules', 'closed_with_balance') }} as rule,
        cast(null as string) as other_customer_id,
        concat_ws('', 'Closed, and ', {{ amount_for_people('limit_use.balance', 'coalesce(currencies.digits, 2)') }}, ' ', limit_use.reporting_currency, ' open') as detail
    from limit_use
    left join currencies on limit_use.reporting_currency = currencies.currency
    where limit_use.status = 'closed' and limit_use.balance <> 0
    union all
    select
        limit_use.customer_id,
        {{ policy_name('customer_data_rules', 'limit_not_convertible') }} as rule,
        cast(null as string) as other_customer_id,
        concat_ws('',
            'Limit ', {{ amount_for_people('customers.credit_limit', 'coalesce(currencies.digits, 2)') }}, ' ', coalesce(customers.currency, 'of no currency'), ': no rate to ',
            coalesce(limit_use.reporting_currency, 'the reporting currency')
        ) as detail
    from limit_use
    inner join customers on limit_use.customer_id = customers.customer_id
    left join currencies on customers.currency = currencies.currency
    where limit_use.limit_source = 'no_rate'
)

select
    cast(issues.customer_id as string) as customer_id,
    cast(coalesce(customers.company_id, unlisted.company_id) as string) as company_id,
    cast(customers.name as string) as customer_name,
    cast(issues.rule as string) as issue,
    cast(rules.severity as string) as severity,
    cast(rules.label as string) as label,
    cast(issues.detail as string) as detail,
    cast(issues.other_customer_id as string) as other_customer_id,
    cast(rules.what_to_do as string) as what_to_do,
    cast(limit_use.reporting_currency as string) as reporting_currency,
    cast(coalesce(limit_use.balance, 0) as decimal(18, 4)) as exposure_amount
from issues
inner join rules on issues.rule = rules.rule
left join customers on issues.customer_id = customers.customer_id
left join unlisted on issues.customer_id = unlisted.customer_id
left join limit_use on issues.customer_id = limit_use.customer_id
