with movements as (
    select * from {{ ref('int_item_movements') }}
)

select
    company_id,
    currency,
    moved_on,
    kind,
    item_type,
    cast(known_at as date) as known_on,
    cast(sum(amount) as decimal(18, 4)) as amount
from movements
group by company_id, currency, moved_on, kind, item_type, cast(known_at as date)
