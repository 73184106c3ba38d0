{#- A part of customer_data_issues, within it: nothing else reads it. -#}
{{ config(materialized=part()) }}
with customers as (
    select * from {{ ref('int_customers') }}
),

-- An account that is closed is no duplicate any more.
keyed as (
    select
        customer_id,
        company_id,
        {{ number_key('customer_id') }} as number_key,
        nullif(translate(upper(registration_number), ' .-/_', ''), '') as registration_key,
        nullif(lower(trim(email)), '') as email_key,
        {{ name_key('name') }} as name_key,
        registration_number,
        name,
        coalesce(country, '') as country
    from customers
    where status <> 'closed'
),

-- Its neighbour among those alike stands for them all: three records make three rows, not six.
alike as (
    {%- set alike = {
        'same_number': 'number_key',
        'same_registration': 'company_id, registration_key',
        'same_email': 'email_key',
        'same_name': 'company_id, country, name_key',
    } %}
    {%- for rule, key in alike.items() %}
    select
        customer_id,
        {{ policy_name('customer_data_rules', rule) }} as rule,
        coalesce(
            lag(customer_id) over (partition by {{ key }} order by customer_id),
            lead(customer_id) over (partition by {{ key }} order by customer_id)
        ) as other_customer_id,
        count(*) over (partition by {{ key }}) as records,
        {{ {'same_number': 'customer_id', 'same_registration': 'registration_number', 'same_email': 'email_key', 'same_name': 'name'}[rule] }} as shared
    from keyed
    where {{ 'length(name_key) > 2' if rule == 'same_name' else key.split(', ')[-1] ~ ' is not null' }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
)

select
    customer_id,
    rule,
    other_customer_id,
    concat_ws('',
        case rule
            when 'same_number' then 'Number '
            when 'same_registration' then 'Registration number '
            when 'same_email' then 'E-mail address '
            else 'Name '
        end,
        shared,
        case
            when rule = 'same_number' then concat_ws('', ' is, but for ', {{ but_for('customer_id', 'other_customer_id') }}, ', that of ')
            else ' is also that of '
        end,
        other_customer_id,
        case when records > 2 then concat_ws('', ' and ', cast(records - 2 as string), ' more') else '' end
    ) as detail
from alike
where records > 1
