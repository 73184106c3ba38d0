{#- Rule, when an invoice fails it, what to say of it. A rule whose evidence the source does not deliver fails nobody. -#}
{%- set rules = [
    ('po_number_missing', 'requires_po and po_number is null', "'The customer requires a purchase order number'"),
    ('lines_missing', 'lines_expected and line_count = 0', "'It has no lines'"),
    (
        'lines_do_not_add_up', 'line_count > 0 and amount not in (lines_amount, lines_amount + lines_tax, lines_amount + tax_amount)',
        "concat_ws('', 'Lines come to ', " ~ amount_for_people('lines_amount', 'digits') ~ ", ', the invoice to ', " ~ amount_for_people('amount', 'digits') ~ ')'
    ),
    (
        'tax_does_not_add_up', 'lines_with_tax > 0 and lines_tax <> tax_amount',
        "concat_ws('', 'Tax of the lines is ', " ~ amount_for_people('lines_tax', 'digits') ~ ", ', of the invoice ', " ~ amount_for_people('tax_amount', 'digits') ~ ')'
    ),
    (
        'terms_not_agreed', 'payment_terms <> agreed_terms and judges_terms and not is_excepted',
        "concat_ws('', 'Terms ', payment_terms, ', the customer has ', agreed_terms)"
    ),
    (
        'due_date_off', 'own_due_date not in (due_by_terms, next_due_by_terms) and not has_instalments',
        "concat_ws('', 'Due on ', cast(own_due_date as string), ', terms ', payment_terms, ' make it ', cast(due_by_terms as string))"
    ),
    (
        'due_before_issued', 'first_due_date < document_date',
        "concat_ws('', 'Due on ', cast(first_due_date as string), ', issued on ', cast(document_date as string))"
    ),
    (
        'due_too_late', 'is_due_date_refused and first_due_date >= document_date',
        "concat_ws('', 'Due on ', cast(last_due_date as string), ', issued on ', cast(document_date as string), ': nobody can mean that')"
    ),
    (
        'before_delivery', 'delivered_on > document_date',
        "concat_ws('', 'Invoiced on ', cast(document_date as string), ', delivered on ', cast(delivered_on as string))"
    ),
    ('duplicate_number', 'is_repeated', "concat_ws('', 'Number ', document_number, ' was used before')"),
    ('no_email', 'emails_expected and not has_email', "'Nobody at the customer has an e-mail address'"),
    ('currency_unknown', 'not has_known_currency', "concat_ws('', 'No rate was ever quoted for ', currency)"),
] -%}
with documents as (
    select * from {{ ref('int_documents') }}
    where
        document_type = 'invoice'
        and voided_on is null
        and document_date >= (select min(month) from {{ ref('int_snapshot_dates') }})
),

all_invoices as (
    select * from {{ ref('int_documents') }}
    where document_type = 'invoice' and voided_on is null
),

lines as (
    select * from {{ ref('stg_erp__invoice_lines') }}
),

instalments as (
    select * from {{ ref('int_instalments') }}
),

customers as (
    select * from {{ ref('int_customers') }}
),

contacts as (
    select * from {{ ref('stg_erp__contacts') }}
),

payment_terms as (
    select * from {{ ref('stg_erp__payment_terms') }}
),

approved_terms as (
    select * from {{ ref('int_declared_exceptions') }}
    where approved_on is not null and kind = 'terms'
),

exchange_rates as (
    select * from {{ ref('int_exchange_rates') }}
),

currencies as (
    select * from {{ policy_rows('currencies') }} as currencies
),

companies as (
    select * from {{ ref('int_companies') }}
),

invoice_lines as (
    select
        invoice_id,
        count(*) as line_count,
        count(tax_amount) as lines_with_tax,
        sum(amount) as lines_amount,
        sum(tax_amount) as lines_tax
    from lines
    group by invoice_id
),

-- Lines may have been archived, or be delivered from some day on: before the first month that has any, none are missing.
lines_since as (
    select cast({{ dbt.date_trunc('month', 'min(all_invoices.document_date)') }} as date) as month
    from all_invoices
    inner join invoice_lines on all_invoices.invoice_id = invoice_lines.invoice_id
),

numbers_used_again as (
    select
        company_id,
        document_number
    from all_invoices
    group by company_id, document_number
    having count(*) > 1
),

-- Not the first of that number in its entity.
repeated as (
    select
        all_invoices.invoice_id,
        row_number() over (
            partition by all_invoices.company_id, all_invoices.document_number
            order by all_invoices.document_date, all_invoices.invoice_id
        ) > 1 as is_repeated
    from all_invoices
    inner join numbers_used_again
        on all_invoices.document_number = numbers_used_again.document_number
        and all_invoices.company_id is not distinct from numbers_used_again.company_id
),

emails as (
    select customer_id from customers where has_email
    union
    select customer_id from contacts where has_email
),

known_currencies as (
    select currency from companies
    union
    select from_currency as currency from exchange_rates
),

in_instalments as (
    select
        invoice_id,
        min(own_due_date) as first_due_date,
        max(own_due_date) as last_due_date,
        count(*) = count(due_date) as all_believed
    from instalments
    group by invoice_id
),

-- The source keeps no history of a customer's terms: those of today are held against what was invoiced since the last review.
last_reviews as (
    select * from {{ ref('int_reviews') }}
    where next_reviewed_on is null
),

excepted as (
    select distinct documents.invoice_id
    from documents
    inner join payment_terms on documents.payment_terms = payment_terms.payment_terms
    inner join approved_terms
        on documents.customer_id = approved_terms.customer_id
        and documents.document_date >= approved_terms.dated_on
        and (approved_terms.expires_on is null or approved_terms.expires_on >= documents.document_date)
        and (approved_terms.granted is null or approved_terms.granted >= payment_terms.net_days)
),

facts as (
    select
        documents.invoice_id,
        documents.document_number,
        documents.company_id,
        documents.customer_id,
        documents.document_date,
        documents.currency,
        coalesce(currencies.digits, 2) as digits,
        documents.amount,
        documents.tax_amount,
        documents.po_number,
        documents.delivered_on,
        documents.payment_terms,
        documents.own_due_date,
        documents.due_by_terms,
        documents.next_due_by_terms,
        coalesce(in_instalments.first_due_date, documents.own_due_date, documents.due_by_terms) as first_due_date,
        coalesce(in_instalments.last_due_date, documents.own_due_date, documents.due_by_terms) as last_due_date,
        case
            when in_instalments.invoice_id is null then documents.due_date_source = 'not_believed'
            else not in_instalments.all_believed
        end as is_due_date_refused,
        in_instalments.invoice_id is not null as has_instalments,
        customers.requires_po,
        customers.payment_terms as agreed_terms,
        coalesce(documents.document_date >= last_reviews.reviewed_on, true) as judges_terms,
        excepted.invoice_id is not null as is_excepted,
        documents.document_date >= lines_since.month as lines_expected,
        coalesce(invoice_lines.line_count, 0) as line_count,
        coalesce(invoice_lines.lines_with_tax, 0) as lines_with_tax,
        invoice_lines.lines_amount,
        invoice_lines.lines_tax,
        coalesce(repeated.is_repeated, false) as is_repeated,
        (select count(*) from emails) > 0 and customers.customer_id is not null as emails_expected,
        emails.customer_id is not null as has_email,
        known_currencies.currency is not null as has_known_currency
    from documents
    cross join lines_since
    left join repeated on documents.invoice_id = repeated.invoice_id
    left join invoice_lines on documents.invoice_id = invoice_lines.invoice_id
    left join in_instalments on documents.invoice_id = in_instalments.invoice_id
    left join customers on documents.customer_id = customers.customer_id
    left join last_reviews on documents.customer_id = last_reviews.customer_id
    left join excepted on documents.invoice_id = excepted.invoice_id
    left join emails on documents.customer_id = emails.customer_id
    left join known_currencies on documents.currency = known_currencies.currency
    left join currencies on documents.currency = currencies.currency
),

failed as (
    {%- for rule, fails, detail in rules %}
    select
        invoice_id,
        document_number,
        company_id,
        customer_id,
        document_date,
        '{{ rule }}' as rule,
        {{ detail }} as detail
    from facts
    where {{ fails }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
)

select
    cast(invoice_id as string) as invoice_id,
    cast(document_number as string) as document_number,
    cast(company_id as string) as company_id,
    cast(customer_id as string) as customer_id,
    cast(document_date as date) as document_date,
    cast(rule as string) as rule,
    cast(detail as string) as detail
from failed
