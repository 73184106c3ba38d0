{#- A view: of the few columns of a small table. -#}
{{ config(materialized='view') }}
with reviews as (
    select
        customer_id,
        reviewed_on,
        upper(trim(tier)) as tier,
        known_at,
        review_id
    from {{ ref('stg_erp__credit_reviews') }}
    where reviewed_on <= {{ as_of() }}
)

select
    customer_id,
    reviewed_on,
    tier,
    lead(reviewed_on) over (partition by customer_id order by reviewed_on) as next_reviewed_on
from {{ first_of('reviews', 'customer_id, reviewed_on', 'known_at desc, review_id desc') }} as last_of_the_day
