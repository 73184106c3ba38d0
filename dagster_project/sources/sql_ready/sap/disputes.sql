-- What SAP does not dun (MANSP) is held as if disputed; since when it does not say, so since it was posted.
select
    concat(line_id, ':block') as dispute_id,
    line_id as invoice_id,
    concat(substr(budat, 1, 4), '-', substr(budat, 5, 2), '-', substr(budat, 7, 2)) as opened_on,
    concat('dunning block ', mansp) as reason
from _lines
where kind in ('invoice', 'debit_memo') and cleared = 0 and undone_on is null and coalesce(mansp, '') not in ('', ' ')
