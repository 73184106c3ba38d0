with customers as (
    select * from {{ ref('int_customers') }}
),

drawn as (
    select
        customer_id,
        substr(md5(concat_ws('', {{ policy_value('kpi_policy', 'pilot_salt', 'string') }}, '/', customer_id)), 1, 4) as digits
    from customers
),

-- Four hexadecimal digits as a number: no two engines read them alike.
numbered as (
    select
        customer_id,
        {% for place in range(1, 5) -%}
        (position(substr(digits, {{ place }}, 1) in '0123456789abcdef') - 1) * {{ 16 ** (4 - place) }}{{ ' + ' if not loop.last }}
        {%- endfor %} as number
    from drawn
)

select
    customer_id,
    case when number * 100 < {{ policy_value('kpi_policy', 'pilot_share_pct') }} * 65536 then 'pilot' else 'control' end as arm
from numbered
