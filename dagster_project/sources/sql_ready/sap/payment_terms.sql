-- Terms of one day limit; those of fixed days and months, and by the day of the month, stand in the lines' own due dates.
select
    zterm as payment_terms,
    coalesce(nullif(ztag3, 0), nullif(ztag2, 0), ztag1, 0) as net_days,
    case when zprz1 > 0 then zprz1 end as discount_pct,
    case when zprz1 > 0 then ztag1 end as discount_days
from t052
where
    coalesce(ztagg, 0) = 0
    and coalesce(zfael, 0) = 0
    and coalesce(zmona, 0) = 0
    and zterm not in (select several.zterm from t052 as several where coalesce(several.ztagg, 0) > 0)
