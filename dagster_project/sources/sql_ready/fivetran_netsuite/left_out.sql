select 'invoices' as dataset, 'documents of suppliers' as what, count(*) as records from transaction
where type in ('VendBill', 'VendCred', 'VendPymt') and not coalesce(_fivetran_deleted, false)
union all
select 'invoices', 'invoices and credit memos not posted', count(*) from transaction
where type in ('CustInvc', 'CustCred') and coalesce(posting, 'F') <> 'T' and not coalesce(_fivetran_deleted, false)
union all
select 'invoices', 'journals', count(*) from transaction where type = 'Journal' and not coalesce(_fivetran_deleted, false)
union all
select 'payments', 'transfers between accounts', count(*) from transaction where type = 'Transfer' and not coalesce(_fivetran_deleted, false)
