with companies as (
    select * from {{ ref('stg_erp__companies') }}
),

time_zones as (
    select * from {{ ref('stg_reference__time_zones') }}
),

invoices as (
    select * from {{ ref('stg_erp__invoices') }}
),

only_invoice_currency as (
    select min(currency) as currency
    from invoices
    having count(distinct currency) = 1
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
        cast(null as varchar) as country,
        cast(null as varchar) as timezone,
        cast(null as varchar) as calendar,
        true as is_assumed
    from landed
    where companies = 0
),

first_entity as (
    select min(company_id) as company_id
    from entities
),

default_reporting as (
    select entities.currency
    from entities
    inner join first_entity on entities.company_id = first_entity.company_id
)

select
    entities.company_id,
    entities.name,
    entities.currency,
    coalesce(nullif('{{ var("reporting_currency") }}', ''), (select currency from default_reporting)) as reporting_currency,
    entities.country,
    time_zones.timezone,
    coalesce(entities.calendar, entities.country, 'NONE') as calendar,
    entities.is_assumed,
    count(*) over () = 1 as is_only
from entities
left join time_zones on entities.timezone = time_zones.timezone
