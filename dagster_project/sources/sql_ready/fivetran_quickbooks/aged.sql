-- As it is now: QuickBooks keeps no balance of an earlier day in these tables.
select
    id as customer_id,
    currency_id as currency,
    cast(balance as decimal(18, 4)) as balance
from customer
where not coalesce(_fivetran_deleted, false)
