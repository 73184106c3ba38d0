-- Average rates (M). Their day is kept as what it lacks of 99999999; a negative rate is what one of the other is worth.
select
    concat(substr(day, 1, 4), '-', substr(day, 5, 2), '-', substr(day, 7, 2)) as rate_date,
    upper(fcurr) as currency,
    upper(tcurr) as base_currency,
    cast(case when ukurs < 0 then 1 / abs(ukurs) else ukurs end * tfact / ffact as decimal(18, 10)) as rate
from (
    select
        fcurr, tcurr,
        cast(99999999 - cast(gdatu as integer) as varchar(8)) as day,
        cast(ukurs as decimal(18, 10)) as ukurs,
        coalesce(nullif(ffact, 0), 1) as ffact,
        coalesce(nullif(tfact, 0), 1) as tfact
    from tcurr
    where kurst = 'M'
) as rates
where ukurs <> 0 and fcurr <> tcurr
