with candidates as (
    select * from {{ ref('int_dunning_candidates') }}
),

customers as (
    select * from {{ ref('int_customers') }}
),

collectors as (
    select * from {{ policy_rows('collectors') }} as collectors
),

accounts as (
    select
        customer_id,
        max(tier) as tier,
        sum(case when days_past_due > 0 then dunnable_amount_reporting else 0 end) as past_due
    from candidates
    group by customer_id
),

listed as (
    select
        accounts.customer_id,
        customers.collector,
        case
            when
                concat_ws('', ',', {{ policy_value('dunning_policy', 'senior_tiers', 'string') }}, ',')
                like concat_ws('', '%,', accounts.tier, ',%')
                or accounts.past_due >= {{ policy_value('dunning_policy', 'large_account_amount', 'decimal(18, 4)') }}
                then 'senior'
            else 'standard'
        end as list
    from accounts
    left join customers on accounts.customer_id = customers.customer_id
),

-- Every collector of the list draws a number for the account and the highest takes it: even by count, the same every morning
-- whatever other accounts come and go, and a new collector takes a share from each of the others and moves nobody else.
drawn as (
    select
        listed.customer_id,
        collectors.collector,
        row_number() over (
            partition by listed.customer_id
            order by md5(concat_ws('', collectors.collector, '/', listed.customer_id)) desc, collectors.collector
        ) as place
    from listed
    inner join collectors on listed.list = collectors.list
    where listed.collector is null
)

select
    listed.customer_id,
    coalesce(listed.collector, drawn.collector) as collector,
    listed.list
from listed
left join drawn
    on listed.customer_id = drawn.customer_id
    and drawn.place = 1
