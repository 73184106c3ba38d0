select 'invoices' as dataset, 'bills of suppliers' as what, count(*) as records from bill
union all
select 'invoices', 'sales receipts, paid at once', count(*) from sales_receipt
union all
select 'invoices', 'estimates', count(*) from estimate
union all
select 'payments', 'refund receipts of cash sales', count(*) from refund_receipt
union all
select 'payments', 'transfers between accounts', count(*) from transfer
union all
select 'allocations', 'lines that pay a cheque or an expense', count(*) from payment_line
where invoice_id is null and credit_memo_id is null and journal_entry_id is null and deposit_id is null
