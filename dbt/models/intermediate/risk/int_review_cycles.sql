with reviews as (
    select * from {{ ref('int_reviews') }}
),

tier_terms as (
    select * from {{ policy_rows('risk_tier_terms') }} as risk_tier_terms
),

indicated as (
    select * from {{ ref('int_tier_history') }}
    where snapshot_date = {{ as_of() }}
)

-- One that names no tier of this pack runs by tonight's, as it does in risk_tiers.
select
    reviews.customer_id,
    reviewed_terms.tier,
    reviews.reviewed_on,
    reviews.next_reviewed_on,
    cast({{ dbt.dateadd(
        'month', 'coalesce(reviewed_terms.review_months, indicated_terms.review_months)', 'reviews.reviewed_on'
    ) }} as date) as next_review_due
from reviews
left join indicated on reviews.customer_id = indicated.customer_id
left join tier_terms as reviewed_terms on reviews.tier = upper(reviewed_terms.tier)
left join tier_terms as indicated_terms on indicated.tier_indicated = indicated_terms.tier
