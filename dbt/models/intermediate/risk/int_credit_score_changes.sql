with answers as (
    select * from {{ ref('int_bureau_scores') }}
    where speaks or has_facts
),

customers as (
    select * from {{ ref('int_customers') }}
),

last_reviews as (
    select * from {{ ref('int_reviews') }}
    where next_reviewed_on is null
),

alert as (
    select
        threshold,
        cast({{ dbt.dateadd('month', '-months', as_of()) }} as date) as window_start
    from {{ policy_rows('review_triggers') }} as review_triggers
    where trigger = {{ policy_name('review_triggers', 'bureau_fall') }}
),

risk_policy as (
    select * from {{ policy_values('risk_policy', 'bureau_no_weight_days', 'bureau_spread_points') }} as risk_policy
),

-- The newest answer of each bureau and code, a sentinel included, as long as its age leaves it any weight.
latest as (
    select
        answers.*,
        last_reviews.reviewed_on
    from answers
    cross join risk_policy
    left join last_reviews on answers.customer_id = last_reviews.customer_id
    where
        answers.speaks
        and answers.score_until is null
        and {{ dbt.datediff('answers.scored_on', as_of(), 'day') }} < risk_policy.bureau_no_weight_days
),

-- What held when the window began; of a score that is younger than the window, its first number.
earlier as (
    select
        latest.customer_id,
        latest.bureau,
        latest.score_code,
        answers.model_code,
        answers.raw_score,
        answers.score,
        answers.scored_on,
        answers.risk_class,
        row_number() over (
            partition by latest.customer_id, latest.bureau, latest.score_code
            order by answers.scored_on, coalesce(answers.model_code, '')
        ) as place
    from latest
    cross join alert
    inner join answers
        on latest.customer_id = answers.customer_id
        and latest.bureau = answers.bureau
        and latest.score_code = answers.score_code
        and answers.speaks
        and answers.score is not null
        and answers.score_until > alert.window_start
),

-- The first day since then on which it was as far down as alerts.
fell as (
    select
        earlier.customer_id,
        earlier.bureau,
        earlier.score_code,
        min(answers.scored_on) as fell_on
    from earlier
    cross join alert
    inner join answers
        on earlier.customer_id = answers.customer_id
        and earlier.bureau = answers.bureau
        and earlier.score_code = answers.score_code
        and answers.speaks
        and earlier.scored_on < answers.scored_on
        and answers.score <= earlier.score - alert.threshold
    where earlier.place = 1
    group by earlier.customer_id, earlier.bureau, earlier.score_code
),

at_review as (
    select
        latest.customer_id,
        latest.bureau,
        latest.score_code,
        answers.model_code,
        answers.score
    from latest
    inner join answers
        on latest.customer_id = answers.customer_id
        and latest.bureau = answers.bureau
        and latest.score_code = answers.score_code
        and answers.speaks
        and latest.reviewed_on >= answers.scored_on
        and (answers.score_until is null or answers.score_until > latest.reviewed_on)
),

-- Silence was never bad news: who is called active for the first time has not changed. A bureau says of a company what it is, whatever score it says it beside.
stated as (
    select
        answers.customer_id,
        answers.bureau,
        max(case when answers.facts_until is null then answers.status end) as status_to,
        max(case
            when answers.scored_on <= alert.window_start and (answers.facts_until is null or answers.facts_until > alert.window_start)
                then answers.status
        end) as status_from
    from answers
    cross join alert
    where answers.has_facts
    group by answers.customer_id, answers.bureau
),

spreads as (
    select
        customer_id,
        max(score) - min(score) as spread_points
    from latest
    group by customer_id
),

compared as (
    select
        latest.customer_id,
        customers.company_id,
        customers.name as customer_name,
        latest.bureau,
        latest.score_code,
        earlier.model_code as model_from,
        latest.model_code as model_to,
        earlier.raw_score as raw_from,
        latest.raw_score as raw_to,
        earlier.score as score_from,
        latest.score as score_to,
        earlier.scored_on as scored_on_from,
        latest.scored_on as scored_on_to,
        earlier.risk_class as risk_class_from,
        latest.risk_class as risk_class_to,
        stated.status_from,
        stated.status_to,
        coalesce(stated.status_from, 'active') <> coalesce(stated.status_to, stated.status_from, 'active') as has_status_changed,
        coalesce(earlier.model_code, '') = coalesce(latest.model_code, '') as is_comparable,
        latest.score - earlier.score as points,
        case when coalesce(at_review.model_code, '') = coalesce(latest.model_code, '') then latest.score - at_review.score end
            as points_since_review,
        fell.fell_on,
        spreads.spread_points,
        alert.threshold
    from latest
    cross join alert
    inner join customers on latest.customer_id = customers.customer_id
    inner join spreads on latest.customer_id = spreads.customer_id
    left join earlier
        on latest.customer_id = earlier.customer_id
        and latest.bureau = earlier.bureau
        and latest.score_code = earlier.score_code
        and earlier.place = 1
    left join fell
        on latest.customer_id = fell.customer_id
        and latest.bureau = fell.bureau
        and latest.score_code = fell.score_code
    left join at_review
        on latest.customer_id = at_review.customer_id
        and latest.bureau = at_review.bureau
        and latest.score_code = at_review.score_code
    left join stated
        on latest.customer_id = stated.customer_id
        and latest.bureau = stated.bureau
),

judged as (
    select
        compared.*,
        risk_policy.bureau_spread_points,
        case
            when score_from is null then 'status_only'
            when score_to is null then 'withdrawn'
            when not is_comparable then 'model_changed'
            when points > 0 then 'improved'
            when points < 0 then 'worsened'
            else 'status_only'
        end as direction,
        score_to is null or not is_comparable or points <> 0 as has_moved
    from compared
    cross join risk_policy
)

select
    cast(customer_id as string) as customer_id,
    cast(company_id as string) as company_id,
    cast(customer_name as string) as customer_name,
    cast(bureau as string) as bureau,
    cast(score_code as string) as score_code,
    cast(direction as string) as direction,
    cast(points as decimal(18, 4)) as points,
    cast(coalesce(direction = 'worsened' and points <= -threshold, false) as boolean) as alerting,
    cast(case when direction = 'worsened' and points <= -threshold then fell_on end as date) as fell_on,
    cast(score_from as decimal(18, 4)) as score_from,
    cast(score_to as decimal(18, 4)) as score_to,
    cast(raw_from as string) as raw_from,
    cast(raw_to as string) as raw_to,
    cast(scored_on_from as date) as scored_on_from,
    cast(scored_on_to as date) as scored_on_to,
    cast({{ month_index('scored_on_to') }} - {{ month_index('scored_on_from') }} as integer) as months_between,
    cast(points_since_review as decimal(18, 4)) as points_since_review,
    cast(model_from as string) as model_from,
    cast(model_to as string) as model_to,
    cast(risk_class_from as string) as risk_class_from,
    cast(risk_class_to as string) as risk_class_to,
    cast(status_from as string) as status_from,
    cast(status_to as string) as status_to,
    cast(has_status_changed as boolean) as has_status_changed,
    cast(spread_points as decimal(18, 4)) as spread_points,
    cast(coalesce(spread_points >= bureau_spread_points, false) as boolean) as bureaus_disagree,
    cast(
        concat_ws('',
            bureau, ' ', replace(score_code, '_', ' '),
            case direction
                when 'status_only' then ''
                when 'withdrawn' then concat_ws('',
                    ' withdrawn on ', cast(scored_on_to as string), ' (', coalesce(nullif(trim(raw_to), ''), 'blank'),
                    '); it was ', {{ for_people('score_from', "'number'") }}, ' since ', cast(scored_on_from as string)
                )
                when 'model_changed' then concat_ws('',
                    ' changed its model from ', coalesce(model_from, 'none'), ' to ', coalesce(model_to, 'none'), ' by ',
                    cast(scored_on_to as string), ': ', {{ for_people('score_from', "'number'") }}, ' and ',
                    {{ for_people('score_to', "'number'") }}, ' do not compare'
                )
                else concat_ws('',
                    case when points > 0 then ' rose from ' else ' fell from ' end, {{ for_people('score_from', "'number'") }}, ' to ',
                    {{ for_people('score_to', "'number'") }}, ' of 100 since ', cast(scored_on_from as string), ' (as written: ', raw_from,
                    ' to ', raw_to, ')'
                )
            end,
            case when direction = 'worsened' and points <= -threshold then concat_ws('', '; a fall of ', {{ for_people('threshold', "'number'") }}, ' triggers a review') else '' end,
            case
                when has_status_changed then concat_ws('', '; status went from ', coalesce(status_from, 'unknown'), ' to ', coalesce(status_to, 'unknown'))
                else ''
            end,
            case
                when spread_points >= bureau_spread_points
                    then concat_ws('', '; scores of this customer lie ', {{ for_people('spread_points', "'number'") }}, ' points apart')
                else ''
            end
        ) as string
    ) as detail
from judged
where (has_moved and score_from is not null) or has_status_changed
