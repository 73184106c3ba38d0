with latest as (
    {{ latest_version(source('erp', 'customers'), ['customer_id']) }}
)

select
    customer_id,
    name,
    company_id,
    parent_customer_id,
    country,
    region,
    industry,
    currency,
    customer_since,
    credit_limit,
    payment_terms,
    registration_number,
    case when email <> 'forgotten' then email end as email,
    email is not null as has_email,
    phone,
    language,
    collector,
    sales_rep,
    status,
    requires_po,
    do_not_dun,
    do_not_mail,
    gross_margin_pct,
    strategic_value,
    updated_at,
    _loaded_at as known_at
from latest
