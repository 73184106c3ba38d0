select 'invoices' as dataset, 'bills of suppliers' as what, count(*) as records from invoice where type <> 'ACCREC'
union all
select 'invoices', 'drafts and deleted drafts', count(*) from invoice where type = 'ACCREC' and status not in ('AUTHORISED', 'PAID', 'VOIDED')
union all
select 'invoices', 'credit notes of suppliers', count(*) from credit_note where type <> 'ACCRECCREDIT'
union all
select 'payments', 'payments of and to suppliers', count(*) from payment as p
inner join invoice as i on p.invoice_id = i.invoice_id
where i.type <> 'ACCREC'
union all
select 'payments', 'payments of over- and prepayments', count(*) from payment where overpayment_id is not null or prepayment_id is not null
