with latest as (
    {{ latest_version(source('erp', 'contacts'), ['contact_id']) }}
)

select
    contact_id,
    customer_id,
    role,
    name,
    case when email <> 'forgotten' then email end as email,
    email is not null as has_email,
    phone,
    _loaded_at as known_at
from latest
