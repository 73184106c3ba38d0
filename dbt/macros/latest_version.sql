{#-
    The newest landed version of each key, and none where the newest says the key is gone. For the import step of a staging model.
    What a later morning learned wins over what an earlier one was told, even where the earlier morning was asked again since.
    Most records come once, with the largest load, and no other speaks of them: only the others' versions are put in order.
-#}
{% macro latest_version(relation, key) -%}
    with largest_load as (
        select _load_id
        from {{ relation }}
        group by _load_id
        order by count(*) desc, _load_id
        limit 1
    ),

    of_other_loads as (
        select distinct {{ key | join(', ') }}
        from {{ relation }}
        where _load_id <> (select _load_id from largest_load)
    ),

    versions as (
        select
            *,
            min(_loaded_at) over (partition by {{ key | join(', ') }}) as _first_loaded_at,
            row_number() over (partition by {{ key | join(', ') }} order by _as_of desc, _loaded_at desc, _load_id desc) as _version
        from {{ relation }} as landed
        where exists ({{ _in_other_loads(key) }})
    )

    select *
    from versions
    where _version = 1 and not _deleted
    union all
    select
        *,
        _loaded_at as _first_loaded_at,
        1 as _version
    from {{ relation }} as landed
    where
        not _deleted
        and _load_id = (select _load_id from largest_load)
        and not exists ({{ _in_other_loads(key) }})
{%- endmacro %}

{% macro _in_other_loads(key) -%}
    select 1
    from of_other_loads
    where {% for column in key %}of_other_loads.{{ column }} = landed.{{ column }}{{ ' and ' if not loop.last }}{% endfor %}
{%- endmacro %}
