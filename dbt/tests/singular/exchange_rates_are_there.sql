{{ config(meta={'description': 'Every open item has a rate to its base and reporting currency on every snapshot date it is open on. What is missing is named by currency and date.'}) }}

with snapshot as (
    select * from {{ ref('int_items_snapshot') }}
)

select
    currency,
    base_currency as to_currency,
    snapshot_date,
    count(*) as items
from snapshot
where open_amount_base is null
group by currency, base_currency, snapshot_date

union

select
    currency,
    reporting_currency as to_currency,
    snapshot_date,
    count(*) as items
from snapshot
where open_amount_reporting is null
group by currency, reporting_currency, snapshot_date
