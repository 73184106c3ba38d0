{#- Whether a factor's value stands in the criterion's relation to its threshold. An unknown value stands in none. -#}
{% macro criterion_holds(criteria, factors) -%}
    coalesce(
        case {{ criteria }}.operator
            when '<=' then {{ factors }}.value_number + {{ factors }}.tie_break <= try_cast({{ criteria }}.threshold as decimal(18, 4))
            when '<' then {{ factors }}.value_number + {{ factors }}.tie_break < try_cast({{ criteria }}.threshold as decimal(18, 4))
            when '>=' then {{ factors }}.value_number + {{ factors }}.tie_break >= try_cast({{ criteria }}.threshold as decimal(18, 4))
            when '>' then {{ factors }}.value_number + {{ factors }}.tie_break > try_cast({{ criteria }}.threshold as decimal(18, 4))
            when 'in' then position('|' || {{ factors }}.value_text || '|' in '|' || {{ criteria }}.threshold || '|') > 0
            when 'not_in' then position('|' || {{ factors }}.value_text || '|' in '|' || {{ criteria }}.threshold || '|') = 0
        end,
        false
    )
{%- endmacro %}
