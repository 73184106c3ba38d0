{#- dbt's own for Spark hands values to the session as they stand: an apostrophe ends the statement, and what is empty becomes the text None. -#}
{% macro spark__load_csv_rows(model, agate_table) -%}
    {%- set types = model['config'].get('column_types', {}) -%}
    {%- set statement -%}
    insert into {{ this.render() }} values
    {%- for row in agate_table.rows %}
    (
        {%- for column in agate_table.column_names -%}
            {%- set value = row[loop.index0] -%}
            cast({% if value is none %}null{% else %}'{{ (value | string).replace('\\', '\\\\').replace("'", "\\'") }}'{% endif %} as {{ types[column] }})
            {{- ', ' if not loop.last }}
        {%- endfor -%}
    ){{ ',' if not loop.last }}
    {%- endfor -%}
    {%- endset -%}
    {%- do adapter.add_query(statement, abridge_sql_log=True) -%}
    {{ return(statement) }}
{%- endmacro %}
