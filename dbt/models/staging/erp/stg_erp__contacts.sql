with latest as (
    {{ latest_version(source('erp', 'contacts'), ['contact_id']) }}
)

select
    contact_id,
    customer_id,
    role,
    name,
    email,
    phone,
    _loaded_at as known_at
from latest
