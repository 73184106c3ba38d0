with movements as (
    select * from {{ ref('int_item_movements') }}
),

daily as (
    select
        item_key,
        moved_on,
        sum(amount) as amount
    from movements
    group by item_key, moved_on
    -- A payment that is put against invoices the day it comes was never open.
    having sum(movements.amount) <> 0
),

running as (
    select
        item_key,
        moved_on as valid_from,
        lead(moved_on) over (partition by item_key order by moved_on) as valid_to,
        sum(amount) over (partition by item_key order by moved_on rows between unbounded preceding and current row) as open_amount
    from daily
)

select
    item_key,
    valid_from,
    valid_to,
    cast(open_amount as decimal(18, 4)) as open_amount
from running
where open_amount <> 0
