with credit_exceptions as (
    select * from {{ ref('int_credit_exceptions') }}
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
from credit_exceptions
