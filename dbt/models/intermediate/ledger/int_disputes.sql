with recorded as (
    select * from {{ ref('stg_erp__disputes') }}
    where opened_on <= {{ as_of() }}
),

filled_rows as (
    select * from {{ ref('stg_delivery__worklist_outcomes') }}
    where worklist_date < {{ as_of() }} and (item_id is not null or dispute_reason is not null or outcome = 'disputed')
),

issued_steps as (
    select * from {{ ref('stg_delivery__issued_steps') }}
),

open_items as (
    select * from {{ ref('int_open_items') }}
    where {{ is_receivable('item_type') }}
),

open_invoices as (
    select
        invoice_id,
        sum(open_amount) as open_amount
    from open_items
    group by invoice_id
    having sum(open_items.open_amount) > 0
),

-- A customer who disputes and names no document on the list disputes all that were asked for that morning.
noted as (
    select
        invoice_id,
        worklist_date,
        disputed_amount as amount,
        dispute_reason as reason
    from filled_rows
    where item_id is not null
    union all
    select distinct
        issued_steps.invoice_id,
        filled_rows.worklist_date,
        cast(null as decimal(18, 4)) as amount,
        filled_rows.dispute_reason as reason
    from filled_rows
    inner join issued_steps
        on filled_rows.customer_id = issued_steps.customer_id
        and filled_rows.worklist_date = issued_steps.worklist_date
    where
        filled_rows.item_id is null
        and not exists (
            select 1
            from filled_rows as of_items
            where
                of_items.item_id is not null
                and of_items.customer_id = filled_rows.customer_id
                and of_items.worklist_date = filled_rows.worklist_date
        )
),

-- The newest list's word on a document, until the ledger has one of its own or the days run out in which it should.
still_noted as (
    select
        invoice_id,
        worklist_date,
        amount,
        reason
    from (
        select
            noted.*,
            max(noted.worklist_date) over (partition by noted.invoice_id) as newest_worklist_date
        from noted
    ) as by_document
    where
        worklist_date = newest_worklist_date
        and {{ days_after(
            'worklist_date', policy_value('dunning_policy', 'workbook_dispute_days')
        ) }} > {{ as_of() }}
        and not exists (
            select 1
            from recorded
            where
                recorded.invoice_id = by_document.invoice_id
                and (recorded.resolved_on is null or recorded.resolved_on > by_document.worklist_date)
        )
),

disputes as (
    select
        invoice_id,
        opened_on,
        amount,
        reason
    from recorded
    where resolved_on is null or resolved_on > {{ as_of() }}
    union all
    select
        invoice_id,
        worklist_date as opened_on,
        amount,
        reason
    from still_noted
),

disputed as (
    select
        invoice_id,
        sum(amount) as amount,
        count(*) as dispute_count,
        count(*) - count(amount) as whole_invoice_disputes,
        min(opened_on) as opened_on,
        min(reason) as reason
    from disputes
    group by invoice_id
)

select
    disputed.invoice_id,
    cast(
        case
            when disputed.whole_invoice_disputes > 0 then open_invoices.open_amount
            else least(open_invoices.open_amount, disputed.amount)
        end as decimal(18, 4)
    ) as disputed_amount,
    disputed.opened_on,
    disputed.reason,
    cast(disputed.dispute_count as integer) as dispute_count
from disputed
inner join open_invoices on disputed.invoice_id = open_invoices.invoice_id
