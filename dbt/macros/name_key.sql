{#- A company's name as a key: without case, punctuation, accents, spaces and the legal forms at its end. Only for finding what may be the
    same: no money is ever joined by it. -#}
{% macro name_key(name) -%}
    {%- set spelt_out = {'ä': 'ae', 'ö': 'oe', 'ü': 'ue', 'ß': 'ss', 'æ': 'ae', 'ø': 'oe', 'å': 'aa', '&': ' and '} -%}
    {%- set legal_forms = [
        'gmbh', 'mbh', 'ag', 'kg', 'kgaa', 'ohg', 'gbr', 'ug', 'ek', 'se', 'and +co', 'co', 'company', 'ltd', 'limited', 'pty', 'pte', 'llc', 'llp',
        'plc', 'inc', 'incorporated', 'corp', 'corporation', 'sa', 'sas', 'sarl', 'spa', 'srl', 'bv', 'nv', 'ab', 'as', 'oy', 'sp +z +oo',
    ] -%}
    {%- set key = namespace(sql='lower(' ~ name ~ ')') -%}
    {%- for letter, written in spelt_out.items() -%}
        {%- set key.sql = "replace(" ~ key.sql ~ ", '" ~ letter ~ "', '" ~ written ~ "')" -%}
    {%- endfor -%}
    {%- set key.sql = "translate(translate(" ~ key.sql ~ ", 'éèêëáàâãíìîïóòôõúùûñç,;:/-_()\"', 'eeeeaaaaiiiioooouuunc         '), '.''', '')" -%}
    replace(regexp_replace({{ key.sql }}, '( +({{ legal_forms | join("|") }}))+ *$', ''), ' ', '')
{%- endmacro %}

{#- A customer's number as a key: without case, punctuation, spaces and leading zeros. Null where nothing is left. -#}
{% macro number_key(id) -%}
    nullif(trim(leading '0' from translate(upper({{ id }}), ' .-/_', '')), '')
{%- endmacro %}
