{#- What of the rows of int_cash_applied is added up by month: sums that windows of months are made of, and ratios of those. -#}
{% macro paid_sums() -%}
    cast(sum(amount_reporting) as decimal(18, 4)) as paid,
    cast(sum(case when days_to_pay is not null then amount_reporting end) as decimal(18, 4)) as paid_with_days,
    cast(sum(amount_reporting * days_to_pay) as decimal(24, 4)) as paid_x_days_to_pay,
    cast(sum(case when days_late is not null then amount_reporting end) as decimal(18, 4)) as paid_with_due_date,
    cast(sum(amount_reporting * greatest(days_late, 0)) as decimal(24, 4)) as paid_x_days_late,
    cast(sum(case when days_late <= 0 then amount_reporting end) as decimal(18, 4)) as paid_on_time,
    max(days_late) as max_days_late
{%- endmacro %}
