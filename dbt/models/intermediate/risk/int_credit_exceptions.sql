with exceptions as (
    select * from {{ ref('int_exceptions_of_any_day') }}
    where not is_before_policy
)

select
    exception_id,
    customer_id,
    company_id,
    invoice_id,
    kind,
    declared,
    is_counted,
    dated_on,
    expires_on,
    tier,
    granted,
    allowed,
    approved_by,
    detail
from exceptions
