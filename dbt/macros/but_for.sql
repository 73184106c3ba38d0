{#- In what two ids that mean one differ, in words: what a person looks for who compares them. -#}
{% macro but_for(id, other_id) -%}
    case
        when upper({{ id }}) = upper({{ other_id }}) then 'its case'
        when trim(leading '0' from {{ id }}) = trim(leading '0' from {{ other_id }}) then 'zeros'
        when translate({{ id }}, ' .-/_', '') = translate({{ other_id }}, ' .-/_', '') then 'blanks and punctuation'
        else 'case, zeros, blanks and punctuation'
    end
{%- endmacro %}
