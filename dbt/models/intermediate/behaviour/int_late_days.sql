with items as (
    select * from {{ ref('int_receivable_items') }}
    where item_type in ('invoice', 'debit_memo') and due_date is not null
),

balances as (
    select * from {{ ref('int_item_balances') }}
),

allocations as (
    select * from {{ ref('int_item_allocations') }}
    where ended_on is null
),

documents as (
    select * from {{ ref('int_documents') }}
),

disputes as (
    select * from {{ ref('stg_erp__disputes') }}
    where opened_on <= {{ as_of() }}
),

exchange_rates as (
    select * from {{ ref('int_exchange_rates') }}
),

-- An item is settled on the day its last balance ends; the most that was open after its due date is what came late.
settled as (
    select
        items.item_key,
        items.item_id,
        items.invoice_id,
        items.company_id,
        items.customer_id,
        items.currency,
        items.reporting_currency,
        items.due_date,
        max(balances.valid_to) as settled_on,
        max(case when balances.valid_to > items.due_date then balances.open_amount end) as late_amount
    from items
    inner join balances on items.item_key = balances.item_key
    group by
        items.item_key, items.item_id, items.invoice_id, items.company_id, items.customer_id,
        items.currency, items.reporting_currency, items.due_date
    having
        count(*) = count(balances.valid_to)
        and max(balances.valid_to) > items.due_date
        and {{ month_index('max(balances.valid_to)') }} >= (
            select min({{ month_index('snapshot_date') }}) from {{ ref('int_snapshot_dates') }}
        )
),

-- What settled it, and since when that had been there. A write-off settles nothing: nobody paid.
settling as (
    select
        settled.item_key,
        max(coalesce(allocations.payment_date, credits.document_date, settled.settled_on)) as money_there_on
    from settled
    inner join allocations
        on settled.item_key = allocations.item_key
        and settled.settled_on = allocations.effective_on
    left join documents as credits on allocations.credit_memo_id = credits.invoice_id
    group by settled.item_key
    having sum(case when allocations.source_type = 'write_off' then 1 else 0 end) = 0
),

corrections as (
    select
        corrects_invoice_id as invoice_id,
        max(document_date) as corrected_on
    from documents
    where corrects_invoice_id is not null and voided_on is null
    group by corrects_invoice_id
),

-- Until when nobody could ask the customer: the terms begin when the invoice is with them, and with the right one.
excused as (
    select
        settled.*,
        least(settling.money_there_on, settled.settled_on) as money_there_on,
        {{ converted('settled.late_amount', 'settled.currency', 'settled.reporting_currency', 'exchange_rates') }} as late_amount_reporting,
        case
            when documents.sent_on > documents.document_date
                then {{ days_after('settled.due_date', dbt.datediff('documents.document_date', 'documents.sent_on', 'day')) }}
            else settled.due_date
        end as sent_excuses_until,
        greatest(
            settled.due_date,
            coalesce(corrections.corrected_on, settled.due_date),
            case when documents.corrects_invoice_id is not null then coalesce(documents.due_by_terms, settled.due_date) else settled.due_date end
        ) as correction_excuses_until
    from settled
    inner join settling on settled.item_key = settling.item_key
    inner join documents on settled.invoice_id = documents.invoice_id
    left join corrections on settled.invoice_id = corrections.invoice_id
    left join exchange_rates
        on settled.currency = exchange_rates.from_currency
        and settled.reporting_currency = exchange_rates.to_currency
        and {{ spans('settled.due_date', 'exchange_rates') }}
    where documents.voided_on is null
),

bounded as (
    select
        excused.*,
        least(sent_excuses_until, settled_on) as invoiced_until,
        least(greatest(sent_excuses_until, correction_excuses_until), settled_on) as excused_until
    from excused
    where late_amount > 0 and not {{ below_trifle('late_amount_reporting') }}
),

disputed as (
    select
        bounded.item_key,
        bounded.excused_until,
        bounded.money_there_on,
        greatest(disputes.opened_on, bounded.excused_until) as began_on,
        least(coalesce(disputes.resolved_on, bounded.settled_on), bounded.settled_on) as ended_on
    from bounded
    inner join disputes
        on bounded.invoice_id = disputes.invoice_id
        and disputes.opened_on < bounded.settled_on
        and (disputes.resolved_on is null or disputes.resolved_on > bounded.excused_until)
),

-- Two disputes of one day are one day in dispute: each counts from where those before it ended.
apart as (
    select
        item_key,
        money_there_on,
        greatest(
            began_on,
            coalesce(
                max(ended_on) over (partition by item_key order by began_on, ended_on nulls last rows between unbounded preceding and 1 preceding),
                began_on
            )
        ) as began_on,
        ended_on
    from disputed
),

disputed_days as (
    select
        item_key,
        sum({{ dbt.datediff('began_on', 'ended_on', 'day') }}) as days,
        sum(greatest({{ dbt.datediff('greatest(began_on, money_there_on)', 'ended_on', 'day') }}, 0)) as days_with_the_money_there
    from apart
    where ended_on > began_on
    group by item_key
),

counted as (
    select
        bounded.*,
        {{ dbt.datediff('bounded.due_date', 'bounded.settled_on', 'day') }} as days_late,
        {{ dbt.datediff('bounded.due_date', 'bounded.invoiced_until', 'day') }} as days_invoiced_late,
        {{ dbt.datediff('bounded.invoiced_until', 'bounded.excused_until', 'day') }} as days_corrected,
        coalesce(disputed_days.days, 0) as days_disputed,
        {{ dbt.datediff('greatest(bounded.excused_until, bounded.money_there_on)', 'bounded.settled_on', 'day') }}
        - coalesce(disputed_days.days_with_the_money_there, 0) as days_unapplied
    from bounded
    left join disputed_days on bounded.item_key = disputed_days.item_key
)

select
    item_key,
    item_id,
    invoice_id,
    company_id,
    customer_id,
    due_date,
    settled_on,
    reporting_currency,
    late_amount_reporting,
    cast(days_late as integer) as days_late,
    cast(days_invoiced_late as integer) as days_invoiced_late,
    cast(days_corrected as integer) as days_corrected,
    cast(days_disputed as integer) as days_disputed,
    cast(days_unapplied as integer) as days_unapplied,
    cast(days_late - days_invoiced_late - days_corrected - days_disputed - days_unapplied as integer) as days_of_the_customer
from counted
