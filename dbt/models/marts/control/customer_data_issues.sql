with customers as (
    select * from {{ ref('int_customers') }}
),

contacts as (
    select * from {{ ref('stg_erp__contacts') }}
),

companies as (
    select * from {{ ref('int_companies') }}
),

payment_terms as (
    select * from {{ ref('stg_erp__payment_terms') }}
),

items as (
    select * from {{ ref('int_receivable_items') }}
),

limit_use as (
    select * from {{ ref('int_credit_limit_use') }}
),

wrong_contacts as (
    select * from {{ ref('int_wrong_contacts') }}
),

bureau_matches as (
    select * from {{ ref('stg_inquiries__bureau_matches') }}
),

rules as (
    select * from {{ policy_rows('customer_data_rules') }} as customer_data_rules
),

-- An account that is closed is no duplicate any more.
keyed as (
    select
        customer_id,
        company_id,
        nullif(trim(leading '0' from translate(upper(customer_id), ' .-/_', '')), '') as number_key,
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
),

duplicates as (
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
            case when records > 2 then concat_ws('', ' and ', cast(records - 2 as varchar), ' more') else '' end
        ) as detail
    from alike
    where records > 1
),

addresses as (
    select
        customer_id,
        cast(null as varchar) as contact_id,
        email,
        phone
    from customers
    union all
    select
        customer_id,
        contact_id,
        email,
        phone
    from contacts
),

reached as (
    select
        customer_id,
        count(nullif(trim(email), '')) + count(nullif(trim(phone), '')) as ways,
        min(
            case
                when
                    trim(email) <> ''
                    and (trim(email) not like '%_@_%.__%' or trim(email) like '% %' or trim(email) like '%@%@%' or trim(email) like '%,%' or trim(email) like '%;%')
                    then concat_ws('', trim(email), coalesce(' of contact ' || contact_id, ''))
            end
        ) as malformed
    from addresses
    group by customer_id
),

reachable as (
    select sum(ways) > 0 as has_contact_data
    from reached
),

-- Circles of up to five: each is followed upwards until it meets the customer itself.
parents as (
    select
        customers.customer_id,
        customers.parent_customer_id,
        parent.customer_id is null as is_unknown,
        case customers.customer_id
            when customers.parent_customer_id then 1
            when parent.parent_customer_id then 2
            when second.parent_customer_id then 3
            when third.parent_customer_id then 4
            when fourth.parent_customer_id then 5
        end as members
    from customers
    left join customers as parent on customers.parent_customer_id = parent.customer_id
    left join customers as second on parent.parent_customer_id = second.customer_id
    left join customers as third on second.parent_customer_id = third.customer_id
    left join customers as fourth on third.parent_customer_id = fourth.customer_id
    where customers.parent_customer_id is not null
),

strangers as (
    select
        items.customer_id,
        min(items.company_id) as company_id,
        count(*) as records,
        min(items.item_id) as first_item_id,
        nullif(trim(leading '0' from translate(upper(items.customer_id), ' .-/_', '')), '') as number_key
    from items
    left join customers on items.customer_id = customers.customer_id
    where customers.customer_id is null
    group by items.customer_id
),

numbered as (
    select
        number_key,
        min(customer_id) as customer_id
    from keyed
    group by number_key
),

-- One accepted company decides, whatever else is proposed; two do not.
undecided as (
    select
        bureau_matches.*,
        count(case when decision = 'accepted' then 1 end) over (partition by bureau, customer_id) as accepted
    from bureau_matches
    where decision <> 'rejected'
),

in_question as (
    select
        customer_id,
        max(accepted) as accepted,
        {{ dbt.listagg(
            "concat_ws('', bureau, ' ', bureau_id, coalesce(' (' || name || coalesce(', ' || country, '') || ')', ''))", "'; '", "order by bureau, confidence desc nulls last, bureau_id"
        ) }} as companies
    from undecided
    where accepted <> 1
    group by customer_id
),

known_terms as (
    select count(*) > 0 as has_terms
    from payment_terms
),

issues as (
    select customer_id, rule, other_customer_id, detail from duplicates
    union all
    select
        strangers.customer_id,
        {{ policy_name('customer_data_rules', 'unknown_customer') }} as rule,
        numbered.customer_id as other_customer_id,
        concat_ws('',
            cast(strangers.records as varchar), case when strangers.records = 1 then ' document or payment (' else ' documents or payments (first ' end,
            strangers.first_item_id, ') name a customer that is not in the list',
            coalesce(
                '; ' || numbered.customer_id || ' has the same number but for ' || {{ but_for('strangers.customer_id', 'numbered.customer_id') }}, ''
            )
        ) as detail
    from strangers
    left join numbered on strangers.number_key = numbered.number_key
    union all
    select
        customers.customer_id,
        {{ policy_name('customer_data_rules', 'no_contact') }} as rule,
        cast(null as varchar) as other_customer_id,
        'No e-mail address and no telephone number, here or at a contact' as detail
    from customers
    cross join reachable
    inner join reached on customers.customer_id = reached.customer_id
    where customers.status <> 'closed' and reached.ways = 0 and reachable.has_contact_data
    union all
    select
        customers.customer_id,
        {{ policy_name('customer_data_rules', 'malformed_email') }} as rule,
        cast(null as varchar) as other_customer_id,
        concat_ws('', 'Nobody can write to ', reached.malformed) as detail
    from customers
    inner join reached on customers.customer_id = reached.customer_id
    where customers.status <> 'closed' and reached.malformed is not null
    union all
    select
        customers.customer_id,
        {{ policy_name('customer_data_rules', 'wrong_contact') }} as rule,
        cast(null as varchar) as other_customer_id,
        concat_ws('', 'Reported wrong on ', cast(wrong_contacts.wrong_on as varchar), '; nobody was reached since') as detail
    from customers
    inner join wrong_contacts on customers.customer_id = wrong_contacts.customer_id
    where customers.status <> 'closed'
    union all
    select
        customers.customer_id,
        {{ policy_name('customer_data_rules', 'unknown_terms') }} as rule,
        cast(null as varchar) as other_customer_id,
        concat_ws('', 'Payment terms ', customers.payment_terms, ' are not among the terms the source has') as detail
    from customers
    cross join known_terms
    left join payment_terms on customers.payment_terms = payment_terms.payment_terms
    where customers.payment_terms is not null and payment_terms.payment_terms is null and known_terms.has_terms and customers.status <> 'closed'
    union all
    select
        customers.customer_id,
        {{ policy_name('customer_data_rules', 'unknown_company') }} as rule,
        cast(null as varchar) as other_customer_id,
        concat_ws('', 'Entity ', customers.company_id, ' is not among the entities the source has') as detail
    from customers
    left join companies on customers.company_id = companies.company_id
    where companies.company_id is null
    union all
    select
        customer_id,
        case
            when members is not null then {{ policy_name('customer_data_rules', 'parent_cycle') }}
            else {{ policy_name('customer_data_rules', 'unknown_parent') }}
        end as rule,
        parent_customer_id as other_customer_id,
        case
            when members = 1 then 'It is its own parent'
            when members is not null then concat_ws('', 'Its parent is ', parent_customer_id, ', and ', cast(members as varchar), ' steps up it is its own')
            else concat_ws('', 'Its parent ', parent_customer_id, ' is not in the list')
        end as detail
    from parents
    where is_unknown or members is not null
    union all
    select
        customer_id,
        {{ policy_name('customer_data_rules', 'closed_with_balance') }} as rule,
        cast(null as varchar) as other_customer_id,
        concat_ws('', 'Closed, and ', {{ amount_for_people('balance', digits_of('reporting_currency')) }}, ' ', reporting_currency, ' open') as detail
    from limit_use
    where status = 'closed' and balance <> 0
    union all
    select
        limit_use.customer_id,
        {{ policy_name('customer_data_rules', 'limit_not_convertible') }} as rule,
        cast(null as varchar) as other_customer_id,
        concat_ws('',
            'Limit ', {{ amount_for_people('customers.credit_limit', digits_of('customers.currency')) }}, ' ', coalesce(customers.currency, 'of no currency'), ': no rate to ',
            coalesce(limit_use.reporting_currency, 'the reporting currency')
        ) as detail
    from limit_use
    inner join customers on limit_use.customer_id = customers.customer_id
    where limit_use.limit_source = 'no_rate'
    union all
    select
        customers.customer_id,
        {{ policy_name('customer_data_rules', 'bureau_match') }} as rule,
        cast(null as varchar) as other_customer_id,
        concat_ws('', case when in_question.accepted > 1 then 'More than one is accepted: ' else 'It may be: ' end, in_question.companies) as detail
    from customers
    inner join in_question on customers.customer_id = in_question.customer_id
    where customers.status <> 'closed'
)

select
    cast(issues.customer_id as varchar) as customer_id,
    cast(coalesce(customers.company_id, strangers.company_id) as varchar) as company_id,
    cast(customers.name as varchar) as customer_name,
    cast(issues.rule as varchar) as issue,
    cast(rules.severity as varchar) as severity,
    cast(rules.label as varchar) as label,
    cast(issues.detail as varchar) as detail,
    cast(issues.other_customer_id as varchar) as other_customer_id,
    cast(rules.what_to_do as varchar) as what_to_do,
    cast(limit_use.reporting_currency as varchar) as reporting_currency,
    cast(coalesce(limit_use.balance, 0) as decimal(18, 4)) as exposure_amount
from issues
inner join rules on issues.rule = rules.rule
left join customers on issues.customer_id = customers.customer_id
left join strangers on issues.customer_id = strangers.customer_id
left join limit_use on issues.customer_id = limit_use.customer_id
