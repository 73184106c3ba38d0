{#- The sums every monthly key figure is a ratio of: columns of int_kpi_measures, summed over groups in int_kpi_by_scope. -#}
{% macro kpi_measures() -%}
    {{ return([
        'receivables', 'opening_receivables', 'current_amount', 'd1_30', 'd31_60', 'd61_90', 'd90_plus', 'no_due_date', 'credits',
        'past_due', 'opening_past_due', 'past_due_x_days', 'disputed',
        'billed_month', 'billed_window', 'billed_quarter', 'billed_year_before', 'written_off_quarter',
        'paid', 'paid_with_due_date', 'paid_on_time', 'paid_x_days_late', 'paid_past_due',
        'disputes_resolved', 'dispute_days', 'promised', 'promised_and_kept', 'deliveries_invoiced', 'days_to_invoice',
        'invoices_issued', 'invoices_in_error', 'exceptions', 'overdue_reviews',
        'billed_year', 'billed_top5', 'billed_next15', 'billed_rest',
        'customers', 'company_customers', 'customers_year_before', 'customers_kept',
    ]) }}
{%- endmacro %}
