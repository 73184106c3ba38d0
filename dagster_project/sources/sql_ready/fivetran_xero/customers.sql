select
    contact_id as customer_id,
    coalesce(name, contact_id) as name,
    default_currency as currency,
    tax_number as registration_number,
    email_address as email,
    case when contact_status in ('ARCHIVED', 'GDPRREQUEST') then 'closed' else 'active' end as status,
    updated_date_utc as updated_at
from contact
where
    not coalesce(_fivetran_deleted, false)
    and (coalesce(is_customer, false) or contact_id in (select contact_id from invoice where type = 'ACCREC'))
