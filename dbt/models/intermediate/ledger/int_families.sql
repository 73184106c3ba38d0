{#- How many parents above a customer are looked for: each step doubles the reach. -#}
{%- set doublings = 3 -%}
with customers as (
    select * from {{ ref('int_customers') }}
),

reach_0 as (
    select
        customer_id,
        coalesce(parent_customer_id, customer_id) as top_id
    from customers
),

{%- for step in range(1, doublings + 1) %}
reach_{{ step }} as (
    select
        below.customer_id,
        coalesce(above.top_id, below.top_id) as top_id
    from reach_{{ step - 1 }} as below
    left join reach_{{ step - 1 }} as above on below.top_id = above.customer_id
),
{%- endfor %}

-- Two customers that name each other as parent are one group, under the first of them.
parents as (
    select
        reached.customer_id,
        least(reached.top_id, coalesce(above.top_id, reached.top_id)) as ultimate_parent_id
    from reach_{{ doublings }} as reached
    left join reach_0 as above on reached.top_id = above.customer_id
)

select
    customer_id,
    ultimate_parent_id
from parents
