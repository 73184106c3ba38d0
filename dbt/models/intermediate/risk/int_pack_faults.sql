with followed as (
    select
        *,
        lead(valid_from) over (partition by file, policy, subject order by valid_from nulls last, valid_to nulls last) as next_from
    from {{ ref('int_pack_rows') }}
),

gap_faults as (
    select
        file,
        policy,
        subject,
        'no row is valid for some days: let each begin the day after the one before ends' as fault
    from followed
    where next_from > {{ dbt.dateadd('day', 1, 'valid_to') }}
),

faults as (
    select file, policy, subject, fault from gap_faults
    union
    select file, policy, subject, fault from {{ ref('int_pack_day_faults') }}
    union
    select file, policy, subject, fault from {{ ref('int_pack_word_faults') }}
    union
    select file, policy, subject, fault from {{ ref('int_pack_step_faults') }}
)

select
    file,
    policy,
    subject,
    fault
from faults
where fault is not null
