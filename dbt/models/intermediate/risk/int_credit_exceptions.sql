with documents as (
    select * from {{ ref('int_documents') }}
    where
        document_type = 'invoice'
        and voided_on is null
        and document_date >= (select min(month) from {{ ref('int_snapshot_dates') }})
),

declared as (
    select * from {{ ref('int_declared_exceptions') }}
),

review_cycles as (
    select * from {{ ref('int_review_cycles') }}
),

tier_history as (
    select * from {{ ref('int_tier_history') }}
),

tier_terms as (
    select * from {{ policy_history('risk_tier_terms') }} as risk_tier_terms
),

adopted as (
    select * from {{ ref('policy_adopted') }}
),

candidates as (
    select
        exception_id,
        customer_id,
        company_id,
        cast(null as string) as invoice_id,
        kind,
        true as declared,
        dated_on,
        granted,
        approved_on,
        approved_by,
        expires_on,
        reason
    from declared
    union all
    select
        cast(null as string) as exception_id,
        customer_id,
        company_id,
        invoice_id,
        'terms' as kind,
        false as declared,
        document_date as dated_on,
        credit_days as granted,
        cast(null as date) as approved_on,
        cast(null as string) as approved_by,
        cast(null as date) as expires_on,
        cast(null as string) as reason
    from documents
),

verdicts as (
    select
        customer_id,
        tier_indicated,
        snapshot_date,
        lead(snapshot_date) over (partition by customer_id order by snapshot_date) as next_snapshot_date
    from tier_history
),

-- In force on a day: the last review's while its cycle runs, else the verdict of the snapshot date before. A terms exception covers
-- the invoices of its days up to what it grants, all of them where it names no terms anybody knows.
judged as (
    select
        candidates.exception_id,
        candidates.customer_id,
        candidates.company_id,
        candidates.invoice_id,
        candidates.kind,
        candidates.declared,
        candidates.dated_on,
        candidates.granted,
        candidates.approved_on,
        candidates.approved_by,
        candidates.expires_on,
        candidates.reason,
        tier_terms.tier,
        case candidates.kind when 'terms' then tier_terms.net_days_max else tier_terms.credit_limit end as allowed
    from candidates
    left join review_cycles
        on candidates.customer_id = review_cycles.customer_id
        and candidates.dated_on between review_cycles.reviewed_on and review_cycles.next_review_due
        and (review_cycles.next_reviewed_on is null or review_cycles.next_reviewed_on > candidates.dated_on)
    left join verdicts
        on candidates.customer_id = verdicts.customer_id
        and candidates.dated_on >= verdicts.snapshot_date
        and (verdicts.next_snapshot_date is null or verdicts.next_snapshot_date > candidates.dated_on)
    left join tier_terms
        on coalesce(review_cycles.tier, verdicts.tier_indicated) = tier_terms.tier
        and {{ valid_on('candidates.dated_on', 'tier_terms') }}
),

covered as (
    select distinct judged.invoice_id
    from judged
    inner join declared
        on judged.customer_id = declared.customer_id
        and declared.kind = 'terms'
        and judged.dated_on >= declared.approved_on
        and (declared.expires_on is null or declared.expires_on >= judged.dated_on)
        and (
            declared.granted is null
            or {{ days_after('judged.dated_on', 'cast(judged.granted as integer)') }} <= {{ due_by_terms('declared', 'judged.dated_on') }}
        )
    where not judged.declared and judged.granted > judged.allowed
)

select
    cast(coalesce(judged.exception_id, 'terms/' || judged.invoice_id) as string) as exception_id,
    cast(judged.customer_id as string) as customer_id,
    cast(judged.company_id as string) as company_id,
    cast(judged.invoice_id as string) as invoice_id,
    cast(judged.kind as string) as kind,
    cast(judged.declared as boolean) as declared,
    cast(judged.approved_on is not null or not judged.declared as boolean) as is_counted,
    cast(judged.dated_on as date) as dated_on,
    cast(judged.expires_on as date) as expires_on,
    cast(judged.tier as string) as tier,
    cast(judged.granted as decimal(18, 4)) as granted,
    cast(judged.allowed as decimal(18, 4)) as allowed,
    cast(judged.approved_by as string) as approved_by,
    cast(
        concat_ws('',
            case
                when judged.granted is null then 'Neither days nor an amount'
                when judged.kind = 'terms' then concat_ws('', cast(cast(judged.granted as integer) as string), ' days of credit')
                else concat_ws('', 'Credit limit ', {{ amount_for_people('judged.granted', 'reporting.digits') }})
            end,
            case
                when judged.tier is null then ', no tier was in force'
                when judged.kind = 'terms'
                    then concat_ws('', ', tier ', judged.tier, ' allows ', cast(cast(judged.allowed as integer) as string))
                else concat_ws('', ', tier ', judged.tier, ' allows ', {{ amount_for_people('judged.allowed', 'reporting.digits') }})
            end,
            case
                when not judged.declared then '; no approved exception covers it'
                when judged.approved_on is null then '; requested, not approved'
                else ''
            end,
            case when judged.reason is null then '' else concat_ws('', '; ', judged.reason) end
        ) as string
    ) as detail,
    not judged.declared and judged.dated_on < adopted.adopted_on as is_before_policy
from judged
cross join adopted
cross join {{ reporting_digits() }} as reporting
left join covered on judged.invoice_id = covered.invoice_id
where judged.declared or (judged.granted > judged.allowed and covered.invoice_id is null)
