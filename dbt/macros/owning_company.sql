{#- The entity a record belongs to: its own, else the one it inherits (null for none), else the only one, else MAIN.
    Expects `only_company`, the left-joined row of int_companies with is_only. -#}
{% macro owning_company(own, inherited='null') -%}
    case
        when only_company.is_assumed then only_company.company_id
        else coalesce({{ own }}, {{ inherited }}, only_company.company_id, 'MAIN')
    end
{%- endmacro %}
