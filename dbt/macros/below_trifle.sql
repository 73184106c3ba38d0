{#- Whether what a customer has past due with an entity, in reporting currency, is too little for any ratio, age, criterion or hold to see.
    What is not known is no trifle. -#}
{% macro below_trifle(amount) -%}
    coalesce({{ amount }} < {{ policy_value('aging_policy', 'trifle_amount', 'decimal(18, 4)') }}, false)
{%- endmacro %}
