-- A job is a customer under its own (parent_customer_id). QuickBooks keeps no credit limit and no hold.
select
    c.id as customer_id,
    coalesce(c.display_name, c.company_name, c.fully_qualified_name) as name,
    c.parent_customer_id,
    a.country,
    c.currency_id as currency,
    cast(c.created_at as date) as customer_since,
    c.email,
    c.phone_number as phone,
    case when c.active then 'active' else 'closed' end as status,
    c.updated_at
from customer as c
left join address as a on c.bill_address_id = a.id
where not coalesce(c._fivetran_deleted, false)
