{#-
    What every monthly key figure is; what a company wants of it (its name for people, which way is better, what trips a review) is policy:
    kpi_definitions has a row for each.

    A ratio: numerator and denominator are sums of kpi_parts (no denominator: an amount or a count), times a factor, with what of int_kpi_by_scope
    they may ask besides. Where the denominator is not positive there is no ratio. `variant` says, as an expression, which reading of the
    name this is; `variant_above` is said instead of a figure where the numerator is above the denominator.
    `moved_by`: the part, and the sum in it, by which a customer makes the figure worse where it grows.
    `of_documents`: it is told by product line too, where each document counts with its own line (int_kpi_products).
    `difference_of`: the first of two other figures less the second. `counted_in`: the model that counts it, which no ratio does.
-#}
{% macro kpi_catalogue() -%}
    {%- set window = "concat_ws('', 'trailing_', cast(window_days as string), '_days')" -%}
    {%- set bands = "'of_the_whole_book_trailing_12_months'" -%}
    {{ return({
        'dso': {
            'of_documents': true, 'numerator': 'receivables', 'denominator': 'billed_window', 'factor': 'window_days', 'variant': window,
            'moved_by': ('standing', 'receivables'),
        },
        'dso_countback': {'counted_in': 'int_dso_countback'},
        'best_possible_dso': {
            'of_documents': true, 'numerator': 'current_amount', 'denominator': 'billed_window', 'factor': 'window_days', 'variant': window,
        },
        'average_days_delinquent': {'difference_of': ('dso', 'best_possible_dso')},
        'aging_share_current': {'of_documents': true, 'numerator': 'current_amount', 'denominator': 'receivables', 'variant': "'of_balance'"},
        'aging_share_1_30': {'of_documents': true, 'numerator': 'd1_30', 'denominator': 'receivables', 'variant': "'of_balance'"},
        'aging_share_31_60': {'of_documents': true, 'numerator': 'd31_60', 'denominator': 'receivables', 'variant': "'of_balance'"},
        'aging_share_61_90': {
            'of_documents': true, 'numerator': 'd61_90', 'denominator': 'receivables', 'variant': "'of_balance'",
            'moved_by': ('standing', 'd61_90'),
        },
        'aging_share_90_plus': {
            'of_documents': true, 'numerator': 'd90_plus', 'denominator': 'receivables', 'variant': "'of_balance'",
            'moved_by': ('standing', 'd90_plus'),
        },
        'aging_share_no_due_date': {'of_documents': true, 'numerator': 'no_due_date', 'denominator': 'receivables', 'variant': "'of_balance'"},
        'unapplied_share': {'of_documents': true, 'numerator': 'credits', 'denominator': 'receivables', 'variant': "'of_balance'"},
        'disputed_share': {'of_documents': true, 'numerator': 'disputed', 'denominator': 'receivables', 'variant': "'of_balance'"},
        'cei': {
            'numerator': 'opening_receivables + billed_month - receivables',
            'denominator': 'opening_receivables + billed_month - current_amount',
            'factor': '100', 'variant': "'monthly'", 'variant_above': "'monthly_above_100'",
            'moved_by': ('standing', 'receivables - current_amount'),
        },
        'write_off_rate': {
            'numerator': 'written_off_quarter', 'denominator': 'billed_quarter', 'variant': "'trailing_3_months'",
            'moved_by': ('written_off', 'written_off_quarter'),
        },
        'dbt_days': {
            'of_documents': true, 'numerator': 'paid_x_days_late + past_due_x_days', 'denominator': 'paid_with_due_date + past_due_weighed',
            'variant': "'paid_in_month_and_past_due_at_end'",
        },
        'on_time_share': {'of_documents': true, 'numerator': 'paid_on_time', 'denominator': 'paid_with_due_date', 'variant': "'paid_in_month'"},
        'dispute_days': {'of_documents': true, 'numerator': 'dispute_days', 'denominator': 'disputes_resolved', 'variant': "'resolved_in_month'"},
        'overdue_disputes': {
            'of_documents': true, 'numerator': 'overdue_disputes', 'variant': "'past_their_day_at_month_end'",
            'moved_by': ('disputes_overdue', 'overdue_disputes'),
        },
        'promise_kept_share': {'numerator': 'promised_and_kept', 'denominator': 'promised', 'variant': "'grace_ended_in_month'"},
        'days_to_invoice': {
            'numerator': 'days_to_invoice', 'denominator': 'deliveries_invoiced', 'variant': "'business_days_sent_in_month'",
            'moved_by': ('invoiced', 'days_to_invoice'),
        },
        'exception_rate': {
            'numerator': 'case when not began_before_policy then exceptions end', 'denominator': 'invoices_issued',
            'variant': "case when began_before_policy then 'before_policy' when has_declared_exceptions then 'granted_and_undeclared'"
                ~ " else 'undeclared_only' end",
            'moved_by': ('excepted', 'exceptions'),
        },
        'invoice_error_rate': {
            'of_documents': true, 'numerator': 'invoices_in_error', 'denominator': 'invoices_issued', 'variant': "'issued_in_month'",
            'moved_by': ('issued', 'invoices_in_error'),
        },
        'overdue_reviews': {
            'numerator': 'case when has_reviews and not ended_before_policy then overdue_reviews end',
            'variant': "case when ended_before_policy then 'before_policy' when has_reviews then 'accounts_at_month_end'"
                ~ " else 'no_reviews_known' end",
            'moved_by': ('reviews_missed', 'overdue_reviews'),
        },
        'concentration_top5': {'numerator': 'billed_top5', 'denominator': 'billed_year', 'variant': bands},
        'concentration_next15': {'numerator': 'billed_next15', 'denominator': 'billed_year', 'variant': bands},
        'concentration_rest': {'numerator': 'billed_rest', 'denominator': 'billed_year', 'variant': bands},
        'customer_retention': {
            'numerator': 'customers_kept', 'denominator': 'customers_year_before',
            'variant': "concat_ws('', 'billed_in_', cast(window_days as string), '_days')",
            'moved_by': ('retained', 'customers_year_before - customers_kept'),
        },
        'recovered_past_due': {'of_documents': true, 'numerator': 'paid_past_due', 'variant': "'past_due_when_paid'"},
        'carrying_cost': {
            'numerator': '(opening_past_due + past_due) * 0.5', 'factor': 'cast(cost_of_capital_pct as double) * days_in_month / 36500',
            'variant': "'average_of_opening_and_closing'",
        },
    }) }}
{%- endmacro %}

{#- The groups a key figure is told for, each with the column of its members; the total is one group. -#}
{% macro kpi_scopes() -%}
    {{ return({
        'total': none, 'company': 'company_id', 'tier': 'tier', 'region': 'region', 'industry': 'industry', 'collector': 'collector',
        'sales_rep': 'sales_rep',
    }) }}
{%- endmacro %}
