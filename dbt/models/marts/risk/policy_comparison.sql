with scores as (
    select * from {{ ref('int_risk_scores') }}
    where snapshot_date = {{ as_of() }}
),

verdicts as (
    select * from {{ ref('int_risk_verdicts') }}
    where snapshot_date = {{ as_of() }}
),

tier_terms as (
    select * from {{ policy_history('risk_tier_terms', every_pack=true) }} as risk_tier_terms
    where {{ valid_on(as_of()) }}
),

customers as (
    select * from {{ ref('int_customers') }}
),

companies as (
    select * from {{ ref('int_companies') }}
),

payment_terms as (
    select * from {{ ref('stg_erp__payment_terms') }}
),

exchange_rates as (
    select * from {{ ref('int_exchange_rates') }}
    where {{ spans(as_of()) }}
),

exposures as (
    select
        customer_id,
        sum(balance_reporting) as balance
    from {{ ref('int_customer_balances') }}
    where is_as_of
    group by customer_id
),

billed_window as (
    select {{ policy_value('kpi_policy', 'billed_window_days') }} as days
),

billings as (
    select
        billed_daily.customer_id,
        sum(billed_daily.billed) as billed
    from {{ ref('int_billed_daily') }} as billed_daily
    cross join billed_window
cross join {{ reporting_digits() }} as reporting
    where
        {{ dbt.datediff('billed_daily.moved_on', as_of(), 'day') }} < billed_window.days
        and billed_daily.moved_on <= {{ as_of() }}
    group by billed_daily.customer_id
),

accounts as (
    select
        customers.customer_id,
        customers.name,
        companies.reporting_currency,
        greatest(coalesce(exposures.balance, 0), 0) as exposure,
        coalesce(billings.billed, 0) as billed,
        payment_terms.net_days,
        {{ converted(
            'customers.credit_limit', 'coalesce(customers.currency, companies.currency)', 'companies.reporting_currency', 'exchange_rates'
        ) }} as credit_limit
    from customers
    left join companies on customers.company_id = companies.company_id
    left join payment_terms on customers.payment_terms = payment_terms.payment_terms
    left join exposures on customers.customer_id = exposures.customer_id
    left join billings on customers.customer_id = billings.customer_id
    left join exchange_rates
        on coalesce(customers.currency, companies.currency) = exchange_rates.from_currency
        and companies.reporting_currency = exchange_rates.to_currency
),

judged as (
    select
        verdicts.policy,
        verdicts.customer_id,
        verdicts.tier_indicated,
        tier_terms.tier_rank,
        tier_terms.name as tier_name,
        scores.risk_score,
        scores.evidence,
        tier_terms.net_days,
        tier_terms.credit_limit,
        tier_terms.deposit_pct,
        tier_terms.discount_pct,
        tier_terms.discount_days,
        tier_terms.late_fee_pct_month
    from verdicts
    inner join scores
        on verdicts.policy = scores.policy
        and verdicts.customer_id = scores.customer_id
    inner join tier_terms
        on verdicts.policy = tier_terms.policy
        and verdicts.tier_indicated = tier_terms.tier
),

-- On which of its terms a pack gives the customer less than the selected one does, and on which more.
compared as (
    select
        judged.*,
        judged.net_days - selected.net_days as net_days_change,
        case when judged.net_days < selected.net_days then 1 else 0 end
        + case when judged.credit_limit < selected.credit_limit then 1 else 0 end
        + case when judged.deposit_pct > selected.deposit_pct then 1 else 0 end as terms_tighter,
        case when judged.net_days > selected.net_days then 1 else 0 end
        + case when judged.credit_limit > selected.credit_limit then 1 else 0 end
        + case when judged.deposit_pct < selected.deposit_pct then 1 else 0 end as terms_looser
    from judged
    inner join judged as selected
        on judged.customer_id = selected.customer_id
        and selected.policy = '{{ var("policy") }}'
)

select
    cast(accounts.customer_id as string) as customer_id,
    cast(coalesce(accounts.name, accounts.customer_id) as string) as customer_name,
    cast(compared.policy as string) as policy,
    cast(compared.policy = '{{ var("policy") }}' as boolean) as is_selected,
    cast(compared.tier_indicated as string) as tier_indicated,
    cast(compared.tier_rank as integer) as tier_rank,
    cast(compared.tier_name as string) as tier_name,
    cast(compared.risk_score as decimal(18, 4)) as risk_score,
    cast(compared.evidence as decimal(18, 4)) as evidence,
    cast(compared.net_days as integer) as net_days,
    cast(compared.credit_limit as decimal(18, 4)) as credit_limit_policy,
    cast(compared.deposit_pct as decimal(18, 4)) as deposit_pct,
    cast(compared.discount_pct as decimal(18, 4)) as discount_pct,
    cast(compared.discount_days as integer) as discount_days,
    cast(compared.late_fee_pct_month as decimal(18, 4)) as late_fee_pct_month,
    cast(
        case
            when compared.terms_tighter = 0 and compared.terms_looser = 0 then 'same'
            when compared.terms_looser = 0 then 'tighter'
            when compared.terms_tighter = 0 then 'looser'
            else 'mixed'
        end as string
    ) as moves,
    cast(accounts.reporting_currency as string) as reporting_currency,
    cast(accounts.exposure as decimal(18, 4)) as exposure_amount,
    cast(greatest(accounts.exposure - compared.credit_limit, 0) as decimal(18, 4)) as exposure_above_limit_amount,
    cast(accounts.billed as decimal(18, 4)) as billed_amount,
    {{ rounded(quotient('cast(accounts.billed as double) * compared.net_days_change', 'billed_window.days'), 'reporting.digits') }} as receivables_change_amount,
    cast(accounts.net_days as integer) as net_days_today,
    cast(accounts.credit_limit as decimal(18, 4)) as credit_limit_today
from compared
inner join accounts on compared.customer_id = accounts.customer_id
cross join billed_window
cross join {{ reporting_digits() }} as reporting
