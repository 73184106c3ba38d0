select 'invoices' as dataset, 'lines of special G/L: down payments, bills of exchange' as what, count(*) as records
from (
    select belnr from bsid where coalesce(umskz, '') not in ('', ' ')
    union all
    select belnr from bsad where coalesce(umskz, '') not in ('', ' ')
) as special
