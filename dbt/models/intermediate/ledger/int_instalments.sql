{#- No more documents than that: an instalment's key is its document's and as many of these as its number. -#}
{%- set keys_of_documents = 'cast(1000000000000 as bigint)' -%}
with instalments as (
    select * from {{ ref('stg_erp__instalments') }}
),

documents as (
    select * from {{ ref('int_documents') }}
    where document_type <> 'credit_memo'
),

currencies as (
    select * from {{ policy_rows('currencies') }} as currencies
),

business_days as (
    select * from {{ ref('int_business_days') }}
),

scheduled as (
    select
        documents.document_key,
        instalments.invoice_id,
        instalments.instalment_number,
        instalments.due_date as own_due_date,
        {{ believed_due_date('instalments.due_date', 'documents.document_date') }} as believed_due_date,
        documents.calendar,
        currencies.digits,
        instalments.amount,
        documents.amount - sum(instalments.amount) over (partition by instalments.invoice_id) as missing_amount,
        count(*) over (partition by instalments.invoice_id) as instalments
    from instalments
    inner join documents on instalments.invoice_id = documents.invoice_id
    left join currencies on documents.currency = currencies.currency
),

placed as (
    select
        scheduled.*,
        row_number() over (
            partition by invoice_id
            order by believed_due_date desc nulls first, instalment_number desc
        ) = 1 as is_last
    from scheduled
)

-- Thirds of 100 come to 99.99: what their rounding leaves, at most the smallest amount of their currency each, is the last one's.
select
    placed.document_key + placed.instalment_number * {{ keys_of_documents }} as item_key,
    placed.invoice_id || '/' || cast(placed.instalment_number as string) as item_id,
    placed.invoice_id,
    placed.instalment_number,
    {{ off_days_off('placed.believed_due_date', 'due_day') }} as due_date,
    case when placed.believed_due_date is null then 'not_believed' else 'document' end as due_date_source,
    placed.own_due_date,
    cast(
        case
            when
                placed.is_last
                and placed.amount + placed.missing_amount >= 0
                and abs(placed.missing_amount) <= {{ smallest_amount('placed.digits') }} * placed.instalments
                then placed.amount + placed.missing_amount
            else placed.amount
        end
        as decimal(18, 4)
    ) as amount,
    placed.amount as own_amount
from placed
left join business_days as due_day
    on placed.calendar = due_day.calendar
    and placed.believed_due_date = due_day.date_day
