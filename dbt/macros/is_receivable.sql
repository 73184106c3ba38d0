{#- Whether an item is one a customer owes; credits, cash and refunds are the others. -#}
{% macro is_receivable(item_type) -%}
    {{ item_type }} in ('invoice', 'debit_memo')
{%- endmacro %}
