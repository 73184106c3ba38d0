with candidates as (
    select * from {{ ref('int_dunning_candidates') }}
),

holds as (
    select * from {{ ref('int_dunning_holds') }}
),

customers as (
    select * from {{ ref('int_customers') }}
),

policy as (
    select * from {{ ref('dunning_policy') }}
    where {{ in_force() }}
),

collectors as (
    select
        list,
        collector,
        row_number() over (partition by list order by collector) as place,
        count(*) over (partition by list) as places
    from {{ ref('collectors') }}
),

accounts as (
    select
        candidates.customer_id,
        max(candidates.tier) as tier,
        sum(case when candidates.days_past_due > 0 then candidates.dunnable_amount_reporting else 0 end) as past_due,
        max(case when holds.held_reason is null then 1 else 0 end) as is_acted_on
    from candidates
    inner join holds on candidates.item_id = holds.item_id
    group by candidates.customer_id
),

listed as (
    select
        accounts.customer_id,
        customers.collector,
        accounts.is_acted_on,
        case
            when
                concat(',', (select value from policy where parameter = 'senior_tiers'), ',')
                like concat('%,', accounts.tier, ',%')
                or accounts.past_due >= (select cast(value as decimal(18, 4)) from policy where parameter = 'large_account_amount')
                then 'senior'
            else 'standard'
        end as list
    from accounts
    left join customers on accounts.customer_id = customers.customer_id
),

-- Dealt round the list like cards, the morning's actions first, so that both the calls and the rest come out even.
dealt as (
    select
        customer_id,
        list,
        row_number() over (partition by list order by is_acted_on desc, customer_id) as turn
    from listed
    where collector is null
)

select
    listed.customer_id,
    coalesce(listed.collector, collectors.collector) as collector,
    listed.list
from listed
left join dealt on listed.customer_id = dealt.customer_id
left join collectors
    on dealt.list = collectors.list
    and (dealt.turn - 1) % collectors.places = collectors.place - 1
