with payments as (
    select * from {{ ref('stg_erp__payments') }}
    where payment_date <= {{ as_of() }}
),

customers as (
    select * from {{ ref('int_customers') }}
),

companies as (
    select * from {{ ref('int_companies') }}
),

owned as (
    select
        payments.payment_id,
        {{ owning_company('payments.company_id', 'customers.company_id') }} as company_id,
        case when not coalesce(only_company.is_assumed, false) then payments.company_id end as named_company_id,
        payments.customer_id,
        payments.payment_date,
        payments.currency,
        payments.amount,
        payments.reference,
        payments.reversed_on,
        customers.sales_rep,
        payments.known_at,
        payments.first_known_at
    from payments
    left join customers on payments.customer_id = customers.customer_id
    left join companies as only_company on only_company.is_only
)

select
    -{{ row_key('owned.payment_id') }} as document_key,
    owned.payment_id,
    owned.company_id,
    owned.named_company_id,
    owned.customer_id,
    owned.payment_date,
    owned.currency,
    owned.amount,
    owned.reference,
    case when owned.reversed_on <= {{ as_of() }} then owned.reversed_on end as reversed_on,
    owned.sales_rep,
    companies.currency as base_currency,
    companies.reporting_currency,
    owned.known_at,
    owned.first_known_at
from owned
left join companies on owned.company_id = companies.company_id
