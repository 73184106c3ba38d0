{#-
    The newest landed version of each key, and none where the newest says the key is gone. For the import step of a staging model.
    What a later morning learned wins over what an earlier one was told, even where the earlier morning was asked again since.
-#}
{% macro latest_version(relation, key) -%}
    select *
    from (
        select
            *,
            min(_loaded_at) over (partition by {{ key | join(', ') }}) as _first_loaded_at,
            row_number() over (partition by {{ key | join(', ') }} order by _as_of desc, _loaded_at desc, _load_id desc) as _version
        from {{ relation }}
    ) as versions
    where _version = 1 and not _deleted
{%- endmacro %}
