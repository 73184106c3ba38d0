{#-
    Text as words: runs of letters and digits, in lower case. Whatever else there is (white space of every kind, what banks put around a
    number, quotes, brackets) stands between words. The dashes of typography are read as hyphens.
-#}
{% macro _word() -%}
    [\p{L}\p{M}\p{N}]+
{%- endmacro %}

{% macro _dash() -%}
    [‐‑‒–—―−﹘﹣－]
{%- endmacro %}

{#- The text with a bar on either side of each word: whole words are found in it as a part of the text, with what stands between them. -#}
{% macro marked_words(text) -%}
    {{ return(adapter.dispatch('marked_words')(text)) }}
{%- endmacro %}

{% macro default__marked_words(text) -%}
    regexp_replace(regexp_replace(replace(lower({{ text }}), '|', ' '), '{{ _dash() }}', '-', 'g'), '{{ _word() }}', '|\0|', 'g')
{%- endmacro %}

{% macro spark__marked_words(text) -%}
    regexp_replace(regexp_replace(replace(lower({{ text }}), '|', ' '), '{{ _dash() }}', '-'), r'{{ _word() }}', '|$0|')
{%- endmacro %}

{#- Of a marked text what stands between its first and its last bar, both among it: a number without what is printed around it. -#}
{% macro from_first_to_last_word(marked) -%}
    {{ return(adapter.dispatch('from_first_to_last_word')(marked)) }}
{%- endmacro %}

{% macro default__from_first_to_last_word(marked) -%}
    case
        when {{ marked }} like '|%|' then {{ marked }}
        else regexp_replace({{ marked }}, '^[^|]*|[^|]*$', '', 'g')
    end
{%- endmacro %}

{% macro spark__from_first_to_last_word(marked) -%}
    regexp_replace({{ marked }}, '^[^|]*|[^|]*$', '')
{%- endmacro %}

{#- One row a word of a marked text of a relation, beside the columns named; what stands between words comes along as if it were one. -#}
{% macro rows_of_words(relation, columns, marked) -%}
    {{ return(adapter.dispatch('rows_of_words')(relation, columns, marked)) }}
{%- endmacro %}

{% macro default__rows_of_words(relation, columns, marked) -%}
    select {{ columns | join(', ') }}, unnest(string_split(trim({{ marked }}, '|'), '|')) as word
    from {{ relation }}
{%- endmacro %}

{% macro spark__rows_of_words(relation, columns, marked) -%}
    select {{ columns | join(', ') }}, explode(split(trim(both '|' from {{ marked }}), '[|]')) as word
    from {{ relation }}
{%- endmacro %}

{#- How often one text stands in another. -#}
{% macro times_in(text, part) -%}
    (length({{ text }}) - length(replace({{ text }}, {{ part }}, ''))) / length({{ part }})
{%- endmacro %}
