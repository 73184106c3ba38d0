with landed as (
    select * from {{ source('erp', 'invoices') }}
    where due_date is not null and not _deleted
),

-- Few invoices ever get a second due date: find them first, order only theirs.
moved as (
    select invoice_id
    from landed
    group by invoice_id
    having min(due_date) <> max(due_date)
),

versions as (
    select
        landed.invoice_id,
        landed.due_date,
        landed._as_of as seen_on,
        landed._loaded_at as known_at,
        lag(landed.due_date) over (partition by landed.invoice_id order by landed._as_of, landed._loaded_at, landed._load_id) as previous_due_date,
        row_number() over (partition by landed.invoice_id order by landed._as_of, landed._loaded_at, landed._load_id) as version_number
    from landed
    inner join moved on landed.invoice_id = moved.invoice_id
)

select
    invoice_id,
    due_date,
    previous_due_date,
    seen_on,
    known_at
from versions
where version_number = 1 or due_date <> previous_due_date
