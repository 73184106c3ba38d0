{#- A part of customer_data_issues, within it: nothing else reads it. -#}
{{ config(materialized=part()) }}
with customers as (
    select * from {{ ref('int_customers') }}
),

bureau_matches as (
    select * from {{ ref('stg_inquiries__bureau_matches') }}
),

-- One accepted company decides, whatever else is proposed; two do not.
undecided as (
    select
        bureau_matches.*,
        count(case when decision = 'accepted' then 1 end) over (partition by bureau, customer_id) as accepted
    from bureau_matches
    where decision <> 'rejected'
),

in_question as (
    select
        customer_id,
        max(accepted) as accepted,
        {{ dbt.listagg(
            "concat_ws('', bureau, ' ', bureau_id, coalesce(' (' || name || coalesce(', ' || country, '') || ')', ''))", "'; '", "order by bureau, confidence desc nulls last, bureau_id nulls last"
        ) }} as companies
    from undecided
    where accepted <> 1
    group by customer_id
)

select
    customers.customer_id,
    {{ policy_name('customer_data_rules', 'bureau_match') }} as rule,
    cast(null as string) as other_customer_id,
    concat_ws('', case when in_question.accepted > 1 then 'More than one is accepted: ' else 'It may be: ' end, in_question.companies) as detail
from customers
inner join in_question on customers.customer_id = in_question.customer_id
where customers.status <> 'closed'
