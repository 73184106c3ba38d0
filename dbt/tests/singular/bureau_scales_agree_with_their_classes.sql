{{ config(meta={'dagster': {'ref': {'name': 'bureau_scales'}}, 'description': 'The good end of every scale is the end at which the bureau puts its best class: a direction turned over in bureau_scales would turn every customer over.'}) }}

with scales as (
    select * from {{ policy_rows('bureau_scales') }} as bureau_scales
),

classes as (
    select * from {{ policy_rows('bureau_classes') }} as bureau_classes
),

ends as (
    select
        scales.bureau,
        scales.score_code,
        scales.model_code,
        scales.direction,
        min(case when classes.class_rank = 1 then classes.raw_from end) as best_class_from,
        max(case when classes.class_rank > 1 then classes.raw_to end) as next_classes_to
    from scales
    inner join classes
        on scales.bureau = classes.bureau
        and scales.score_code = classes.score_code
        and scales.model_code = classes.model_code
    group by scales.bureau, scales.score_code, scales.model_code, scales.direction
)

select *
from ends
where (direction = 'high_good') <> (best_class_from > next_classes_to)
