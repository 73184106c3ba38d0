{#-
    The parts that the monthly key figures are made of and the sums each knows: a part is a model `int_kpi_<part>` with a row a month, entity
    and customer, and a row a product line of theirs where it is of documents. An amount times days (`…_x_days…`) needs more digits than an amount.
-#}
{% macro kpi_parts() -%}
    {{ return({
        'standing': [
            'receivables', 'current_amount', 'd1_30', 'd31_60', 'd61_90', 'd90_plus', 'no_due_date', 'credits', 'past_due',
            'past_due_weighed', 'past_due_x_days',
        ],
        'opening': ['opening_receivables', 'opening_past_due'],
        'disputed': ['disputed'],
        'billed': ['billed_month', 'billed_window', 'billed_quarter'],
        'retained': ['customers_year_before', 'customers_kept'],
        'written_off': ['written_off_quarter'],
        'collected': ['paid', 'paid_with_due_date', 'paid_on_time', 'paid_past_due', 'paid_x_days_late'],
        'disputes_ended': ['disputes_resolved', 'dispute_days'],
        'disputes_overdue': ['overdue_disputes'],
        'promises_ended': ['promised', 'promised_and_kept'],
        'invoiced': ['deliveries_invoiced', 'days_to_invoice'],
        'issued': ['invoices_issued', 'invoices_in_error'],
        'excepted': ['exceptions'],
        'reviews_missed': ['overdue_reviews'],
        'banded': ['billed_year', 'billed_top5', 'billed_next15', 'billed_rest'],
    }) }}
{%- endmacro %}

{#- Every sum of every part, and the customers themselves: columns of int_kpi_measures, summed over groups in int_kpi_by_scope. -#}
{% macro kpi_measures() -%}
    {{ return(kpi_parts().values() | sum(start=[]) + ['customers', 'company_customers']) }}
{%- endmacro %}

{#- The parts that are of documents: they have a row a product line besides, and int_kpi_products their sums by it. -#}
{% macro kpi_document_parts() -%}
    {{ return(['standing', 'billed', 'disputed', 'collected', 'disputes_ended', 'disputes_overdue', 'issued']) }}
{%- endmacro %}

{% macro kpi_document_measures() -%}
    {%- set measures = [] -%}
    {%- for part in kpi_document_parts() -%}
        {%- set _ = measures.extend(kpi_parts()[part]) -%}
    {%- endfor -%}
    {{ return(measures) }}
{%- endmacro %}
