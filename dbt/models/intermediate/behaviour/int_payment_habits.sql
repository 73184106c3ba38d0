with delays as (
    select * from {{ ref('int_payment_delays') }}
),

paid as (
    select
        *,
        {{ capped_days('habit_days') }} as days
    from delays
    where habit_outcome = 'paid'
),

forecast_policy as (
    select * from {{ policy_values('forecast_policy', 'most_usual_shrinkage', 'spread_shrinkage') }} as forecast_policy
),

customers as (
    select distinct customer_id
    from delays
),

-- Weights and days are exact, so that their sums are the same whatever the order; a quotient is made once.
sums as (
    select
        customer_id,
        count(*) as paid_items,
        sum(weight) as weight,
        sum(weight * weight) as weight_squared,
        sum(weight * days) as weighted_days,
        sum(weight * days * days) as weighted_days_squared
    from paid
    group by customer_id
    having sum(paid.weight) > 0
),

means as (
    select
        *,
        cast(weighted_days as double) / cast(weight as double) as mean_days
    from sums
),

terms as (
    select
        cast(weight as decimal(24, 6)) as weight,
        cast(weighted_days as decimal(24, 6)) as weighted_days,
        cast(cast(weighted_days_squared as double) - cast(weighted_days as double) * mean_days as decimal(28, 8)) as squares_within,
        cast(cast(weight_squared as double) / cast(weight as double) as decimal(28, 8)) as weight_of_one,
        cast(cast(weight as double) * cast(weight as double) as decimal(28, 8)) as weight_squared,
        cast(cast(weighted_days as double) * mean_days as decimal(28, 8)) as squares_of_means,
        cast(weight_squared as decimal(28, 8)) as squared_weights
    from means
),

book_sums as (
    select
        count(*) as customers,
        cast(sum(weight) as double) as weight,
        cast(sum(weighted_days) as double) as weighted_days,
        cast(sum(squares_within) as double) as squares_within,
        cast(sum(weight_of_one) as double) as weights_of_one,
        cast(sum(weight_squared) as double) as customers_squared,
        cast(sum(squares_of_means) as double) as squares_of_means,
        cast(sum(squared_weights) as double) as squared_weights
    from terms
),

-- Variance within customers and between them, by moments of weighed items.
variances as (
    select
        coalesce(weighted_days / nullif(weight, 0), 0) as book_usual,
        squares_within / nullif(weight - weights_of_one, 0) as within,
        (
            squares_of_means - weighted_days * weighted_days / nullif(weight, 0)
            - squares_within / nullif(weight - weights_of_one, 0) * (weights_of_one - squared_weights / nullif(weight, 0))
        ) / nullif(weight - customers_squared / nullif(weight, 0), 0) as between_customers
    from book_sums
),

book as (
    select
        book_usual,
        case
            when between_customers > 0 and within > 0
                then least(within / between_customers, forecast_policy.most_usual_shrinkage)
            else forecast_policy.most_usual_shrinkage
        end as shrinkage
    from variances
    cross join forecast_policy
),

usual as (
    select
        customers.customer_id,
        coalesce(sums.paid_items, 0) as paid_items,
        coalesce(sums.weight, 0) as weight,
        coalesce(sums.weighted_days, 0) as weighted_days,
        book.book_usual,
        book.shrinkage,
        (coalesce(cast(sums.weighted_days as double), 0) + book.shrinkage * book.book_usual)
        / nullif(coalesce(cast(sums.weight as double), 0) + book.shrinkage, 0) as usual_days
    from customers
    left join sums on customers.customer_id = sums.customer_id
    cross join book
),

surprises as (
    select
        paid.customer_id,
        paid.weight,
        cast(paid.weight * cast(abs({{ surprise('paid', 'usual') }}) as decimal(18, 6)) as decimal(28, 8)) as weighted_surprise
    from paid
    inner join usual on paid.customer_id = usual.customer_id
),

surprised as (
    select
        customer_id,
        sum(weight) as weight,
        sum(weighted_surprise) as weighted_surprise
    from surprises
    group by customer_id
),

book_spread as (
    select greatest(coalesce(cast(sum(weighted_surprise) as double) / nullif(cast(sum(weight) as double), 0), 1), 1) as book_spread
    from surprised
)

select
    usual.customer_id,
    cast(usual.paid_items as integer) as paid_items,
    cast(usual.weight as decimal(18, 6)) as weight,
    cast(usual.weighted_days as decimal(24, 6)) as weighted_days,
    usual.book_usual,
    usual.shrinkage,
    usual.usual_days,
    book_spread.book_spread,
    greatest(
        (
            coalesce(cast(surprised.weighted_surprise as double), 0)
            + forecast_policy.spread_shrinkage * book_spread.book_spread
        )
        / nullif(coalesce(cast(surprised.weight as double), 0) + forecast_policy.spread_shrinkage, 0),
        0.5
    ) as spread_days
from usual
left join surprised on usual.customer_id = surprised.customer_id
cross join book_spread
cross join forecast_policy
