with customers as (
    select * from {{ ref('stg_erp__customers') }}
),

companies as (
    select * from {{ ref('int_companies') }}
),

owned as (
    select
        customers.customer_id,
        {{ owning_company('customers.company_id') }} as company_id
    from customers
    left join companies as only_company on only_company.is_only
)

select
    customers.customer_id,
    coalesce(customers.name, customers.customer_id) as name,
    owned.company_id,
    customers.parent_customer_id,
    customers.country,
    customers.region,
    customers.industry,
    customers.currency,
    customers.customer_since,
    customers.credit_limit,
    customers.payment_terms,
    customers.registration_number,
    customers.email,
    customers.has_email,
    customers.phone,
    customers.language,
    customers.collector,
    customers.sales_rep,
    coalesce(customers.status, 'active') as status,
    customers.requires_po,
    customers.do_not_dun,
    customers.do_not_mail,
    customers.gross_margin_pct,
    customers.strategic_value,
    customers.updated_at,
    customers.known_at,
    coalesce(customers.country, companies.calendar, 'NONE') as calendar
from customers
inner join owned on customers.customer_id = owned.customer_id
left join companies on owned.company_id = companies.company_id
