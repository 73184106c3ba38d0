select
    line_id as payment_id,
    kunnr as customer_id,
    bukrs as company_id,
    concat(substr(budat, 1, 4), '-', substr(budat, 5, 2), '-', substr(budat, 7, 2)) as payment_date,
    currency,
    amount - taken as amount,
    nullif(trim(coalesce(nullif(trim(xblnr), ''), zuonr)), '') as reference,
    case when undone_on is not null then concat(substr(undone_on, 1, 4), '-', substr(undone_on, 5, 2), '-', substr(undone_on, 7, 2)) end as reversed_on
from _items
where kind = 'payment'
