with companies as (
    select * from {{ ref('stg_erp__companies') }}
),

time_zones as (
    select * from {{ ref('stg_reference__time_zones') }}
),

invoices as (
    select * from {{ ref('stg_erp__invoices') }}
),

currencies as (
    select * from {{ policy_rows('currencies') }} as currencies
),

only_invoice_currency as (
    select min(currency) as currency
    from invoices
    having count(distinct invoices.currency) = 1
),

landed as (
    select count(*) as companies
    from companies
),

-- Where the source names no entity there is one, MAIN, and whatever company a document names is that one.
entities as (
    select
        company_id,
        name,
        currency,
        country,
        timezone,
        calendar,
        false as is_assumed
    from companies
    union all
    select
        'MAIN' as company_id,
        'MAIN' as name,
        coalesce((select currency from only_invoice_currency), nullif('{{ var("reporting_currency") }}', '')) as currency,
        cast(null as string) as country,
        cast(null as string) as timezone,
        cast(null as string) as calendar,
        true as is_assumed
    from landed
    where companies = 0
),

keeping_books as (
    select
        currency,
        row_number() over (order by count(*) desc, min(company_id)) as place
    from entities
    where currency is not null
    group by currency
),

default_reporting as (
    select currency
    from keeping_books
    where place = 1
),

reporting as (
    select coalesce(nullif('{{ var("reporting_currency") }}', ''), (select currency from default_reporting)) as currency
)

select
    entities.company_id,
    entities.name,
    entities.currency,
    reporting.currency as reporting_currency,
    coalesce(currencies.digits, 2) as reporting_digits,
    entities.country,
    time_zones.timezone,
    coalesce(entities.calendar, entities.country, 'NONE') as calendar,
    entities.is_assumed,
    count(*) over () = 1 as is_only
from entities
cross join reporting
left join currencies on reporting.currency = currencies.currency
left join time_zones on entities.timezone = time_zones.timezone
