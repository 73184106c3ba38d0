{#- A company's name as a key: without case, punctuation, accents, legal forms and spaces. Only for finding what may be the same; nothing
    is ever joined to money by it. -#}
{% macro name_key(name) -%}
    {%- set spelt_out = {'ä': 'ae', 'ö': 'oe', 'ü': 'ue', 'ß': 'ss', 'æ': 'ae', 'ø': 'oe', 'å': 'aa', '&': ' and '} -%}
    {#- Longer forms first: what is left of "gmbh and co kg" after "gmbh" is none of the others. -#}
    {%- set legal_forms = [
        'gmbh and co kgaa', 'gmbh and co kg', 'ag and co kg', 'and co kg', 'and co', 'aktiengesellschaft', 'incorporated', 'corporation',
        'limited', 'company', 'pty ltd', 'pte ltd', 'sp z o o', 'gmbh', 'mbh', 'kgaa', 'sarl', 'ohg', 'gbr', 'ltd', 'llc', 'llp', 'plc', 'inc',
        'corp', 'spa', 'srl', 'sas', 'bv', 'nv', 'ag', 'kg', 'ug', 'ek', 'se', 'sa', 'ab', 'as', 'oy', 'co', 'the',
    ] -%}
    {%- set key = namespace(sql='lower(' ~ name ~ ')') -%}
    {%- for letter, written in spelt_out.items() -%}
        {%- set key.sql = "replace(" ~ key.sql ~ ", '" ~ letter ~ "', '" ~ written ~ "')" -%}
    {%- endfor -%}
    {%- set key.sql = "translate(" ~ key.sql ~ ", 'éèêëáàâãíìîïóòôõúùûñç,;:/-_()\"', 'eeeeaaaaiiiioooouuunc         ')" -%}
    {%- set key.sql = "' ' || translate(" ~ key.sql ~ ", '.''', '') || ' '" -%}
    {%- set key.sql = "replace(replace(" ~ key.sql ~ ", '  ', ' '), '  ', ' ')" -%}
    {%- for form in legal_forms -%}
        {%- set key.sql = "replace(" ~ key.sql ~ ", ' " ~ form ~ " ', ' ')" -%}
    {%- endfor -%}
    replace({{ key.sql }}, ' ', '')
{%- endmacro %}
