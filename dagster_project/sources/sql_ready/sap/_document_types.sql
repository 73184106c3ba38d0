-- What a credit of a document type is, whatever its posting key: of the types SAP ships. One's own go into a copy of this file; there is also
-- 'write_off'.
select 'DZ' as blart, 'payment' as kind
union all
select 'ZP', 'payment'
union all
select 'DG', 'credit_memo'
union all
select 'RV', 'credit_memo'
