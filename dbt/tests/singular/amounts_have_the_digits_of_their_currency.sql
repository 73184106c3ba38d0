{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'stg_erp__invoices'}}, 'description': 'No amount has more digits than its currency (currencies.csv). Those listed count as the source wrote them: mend them there, or say in currencies.csv how many digits the currency has.'}) }}
{#- Dataset, what names its records, its amounts, and where their currency stands. -#}
{%- set among = [
    ('customers', 'customer_id', ['credit_limit'], ''),
    ('invoices', 'invoice_id', ['amount', 'tax_amount', 'open_amount_reported'], ''),
    ('instalments', "concat_ws('/', records.invoice_id, cast(records.instalment_number as string))", ['amount'], 'invoices.invoice_id = records.invoice_id'),
    ('invoice_lines', "concat_ws('/', records.invoice_id, cast(records.line_number as string))", ['amount', 'tax_amount'], 'invoices.invoice_id = records.invoice_id'),
    ('payments', 'payment_id', ['amount'], ''),
    ('refunds', 'refund_id', ['amount'], ''),
    ('allocations', 'allocation_id', ['amount'], 'invoices.invoice_id = records.invoice_id'),
    ('allocations', 'allocation_id', ['source_amount'], 'payments.payment_id = records.source_id'),
    ('disputes', 'dispute_id', ['amount'], 'invoices.invoice_id = records.invoice_id'),
    ('control_balances', "concat_ws('/', records.company_id, cast(records.as_of as string))", ['balance'], 'companies.company_id = records.company_id'),
] -%}
with currencies as (
    select * from {{ policy_rows('currencies') }} as currencies
),

invoices as (
    select * from {{ ref('stg_erp__invoices') }}
),

payments as (
    select * from {{ ref('stg_erp__payments') }}
),

companies as (
    select * from {{ ref('int_companies') }}
),

amounts as (
    {%- for dataset, record, columns, owner in among %}
    {%- set outer_loop = loop %}
    {%- for column in columns %}
    select
        '{{ dataset }}' as dataset,
        {{ record if '(' in record else 'records.' ~ record }} as record,
        '{{ column }}' as amount_column,
        records.{{ column }} as amount,
        {{ owner.partition('.')[0] if owner else 'records' }}.currency
    from {{ ref('stg_erp__' ~ dataset) }} as records
    {%- if owner %}
    inner join {{ owner.partition('.')[0] }} on {{ owner }}
    {%- endif %}
    where records.{{ column }} <> round(records.{{ column }}, 0)
    {%- if not (loop.last and outer_loop.last) %}
    union all
    {%- endif %}
    {%- endfor %}
    {%- endfor %}
)

select
    amounts.dataset,
    amounts.record,
    amounts.amount_column,
    amounts.amount,
    amounts.currency,
    coalesce(currencies.digits, 2) as digits
from amounts
left join currencies on amounts.currency = currencies.currency
where amounts.currency is not null and amounts.amount <> {{ rounded('amounts.amount', 'currencies.digits') }}
order by amounts.dataset, amounts.record, amounts.amount_column
