-- Documents that were reversed, from when, and those that reverse others: each names the other one, and the later of two reverses.
select
    h.bukrs,
    h.belnr,
    h.gjahr,
    r.budat as reversed_on,
    case
        when coalesce(h.xreversal, '') in ('1', '2') then case when h.xreversal = '2' then 1 else 0 end
        when h.cpudt > r.cpudt or (h.cpudt = r.cpudt and h.belnr > r.belnr) then 1
        else 0
    end as reverses
from bkpf as h
left join bkpf as r
    on
        h.bukrs = r.bukrs
        and h.stblg = r.belnr
        and case when coalesce(h.stjah, '') in ('', '0000') then h.gjahr else h.stjah end = r.gjahr
where coalesce(h.stblg, '') not in ('', '0000000000')
