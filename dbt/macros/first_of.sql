{#- The rows of a relation that come first in an order, one a key: the newest, the nearest, the one to prefer. Stands where a table does:

        from {{ first_of('contacts', 'customer_id', 'contacted_on desc, contact_id') }} as last_contacts
-#}
{% macro first_of(relation, key, order) -%}
(
    select * from (
        select
            {{ relation }}.*,
            row_number() over (partition by {{ key }} order by {{ order }}) as place_in_order
        from {{ relation }}
    ) as in_order
    where place_in_order = 1
)
{%- endmacro %}
