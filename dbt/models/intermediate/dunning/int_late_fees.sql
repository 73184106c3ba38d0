with candidates as (
    select * from {{ ref('int_dunning_candidates') }}
),

regimes as (
    select * from {{ policy_rows('late_fee_regimes') }} as late_fee_regimes
),

statutory_rates as (
    select * from {{ policy_history('statutory_rates') }} as statutory_rates
),

tier_terms as (
    select * from {{ policy_rows('risk_tier_terms') }} as risk_tier_terms
),

customers as (
    select * from {{ ref('int_customers') }}
),

companies as (
    select * from {{ ref('int_companies') }}
),

balances as (
    select * from {{ ref('int_item_balances') }}
    where open_amount > 0
),

exchange_rates as (
    select * from {{ ref('int_exchange_rates') }}
    where {{ spans(as_of()) }}
),

countries as (
    select distinct
        candidates.company_id,
        candidates.customer_id,
        companies.country as entity_country,
        customers.country as customer_country
    from candidates
    left join companies on candidates.company_id = companies.company_id
    left join customers on candidates.customer_id = customers.customer_id
),

chosen as (
    select
        company_id,
        customer_id,
        regime
    from (
        select
            countries.company_id,
            countries.customer_id,
            regimes.regime,
            row_number() over (
                partition by countries.company_id, countries.customer_id
                order by
                    {{ policy_precedence('regimes') }},
                    case when regimes.entity_country = '*' then 1 else 0 end,
                    case when regimes.customer_country = '*' then 1 else 0 end
            ) as preference
        from countries
        inner join regimes
            on regimes.entity_country in ('*', countries.entity_country)
            and regimes.customer_country in ('*', countries.customer_country)
    ) as applicable
    where preference = 1
),

-- What was open and late, while it was. Interest runs from the day after the due date through as_of, a payment's own day included.
late_spans as (
    select
        candidates.item_id,
        candidates.currency,
        chosen.regime,
        balances.open_amount,
        {{ days_after('candidates.due_date', 1) }} as late_on,
        greatest(balances.valid_from, candidates.due_date) as open_from,
        coalesce(balances.valid_to, {{ as_of() }}) as open_until
    from candidates
    inner join chosen
        on candidates.company_id = chosen.company_id
        and candidates.customer_id = chosen.customer_id
    inner join balances
        on candidates.item_key = balances.item_key
        and candidates.due_date < coalesce(balances.valid_to, {{ as_of() }})
        and balances.valid_from < {{ as_of() }}
    where chosen.regime <> 'contractual' and candidates.days_past_due > 0
),

charged as (
    select
        late_spans.item_id,
        cast(
            cast(late_spans.open_amount as decimal(19, 4)) * (statutory_rates.base_rate_pct + statutory_rates.margin_pct) as decimal(27, 8)
        ) as yearly_pct,
        case
            when statutory_rates.resets = 'when_late' then {{ dbt.datediff('late_spans.open_from', 'late_spans.open_until', 'day') }}
            else {{ dbt.datediff(
                'greatest(late_spans.open_from, ' ~ days_after('statutory_rates.valid_from', -1) ~ ')',
                'least(late_spans.open_until, statutory_rates.valid_to)',
                'day'
            ) }}
        end as days
    from late_spans
    inner join statutory_rates
        on late_spans.regime = statutory_rates.regime
        and case
            when statutory_rates.resets = 'when_late'
                then late_spans.late_on between statutory_rates.valid_from and statutory_rates.valid_to
            else late_spans.open_from < statutory_rates.valid_to
                and late_spans.open_until >= statutory_rates.valid_from
        end
),

charges as (
    select
        item_id,
        sum(yearly_pct * days) as amount_x_pct_x_days,
        sum(days) as days
    from charged
    group by item_id
),

debts as (
    select
        item_id,
        regime,
        currency,
        late_on,
        open_amount as amount_when_late,
        late_days
    from (
        select
            item_id,
            regime,
            currency,
            late_on,
            open_amount,
            sum({{ dbt.datediff('open_from', 'open_until', 'day') }}) over (partition by item_id) as late_days,
            row_number() over (partition by item_id order by open_from) as place
        from late_spans
    ) as spans
    where place = 1
),

-- A day that no rate is known for leaves no interest at all, rather than too little of it.
statutory as (
    select
        debts.item_id,
        case when charges.days = debts.late_days then charges.amount_x_pct_x_days end as amount_x_pct_x_days,
        statutory_rates.compensation_currency,
        case
            when {{ converted('debts.amount_when_late', 'debts.currency', 'statutory_rates.compensation_currency', 'rates') }} is null
                then null
            when
                {{ converted('debts.amount_when_late', 'debts.currency', 'statutory_rates.compensation_currency', 'rates') }}
                >= statutory_rates.from_amount_3
                then statutory_rates.compensation_3
            when
                {{ converted('debts.amount_when_late', 'debts.currency', 'statutory_rates.compensation_currency', 'rates') }}
                >= statutory_rates.from_amount_2
                then statutory_rates.compensation_2
            else statutory_rates.compensation_1
        end as compensation_amount
    from debts
    left join charges on debts.item_id = charges.item_id
    left join statutory_rates
        on debts.regime = statutory_rates.regime
        and debts.late_on between statutory_rates.valid_from and statutory_rates.valid_to
    left join exchange_rates as rates
        on debts.currency = rates.from_currency
        and statutory_rates.compensation_currency = rates.to_currency
),

fees as (
    select
        candidates.item_id,
        candidates.reporting_currency,
        candidates.open_amount,
        candidates.open_amount_reporting,
        candidates.days_past_due > 0 and candidates.open_amount > 0 as is_late,
        chosen.regime,
        case
            when chosen.regime <> 'contractual' then cast(statutory.amount_x_pct_x_days as double) / 36500
            else cast(candidates.dunnable_amount as double) * candidates.days_past_due * cast(tier_terms.late_fee_pct_month as double) / 3000
        end as late_fee,
        case
            when chosen.regime <> 'contractual'
                then cast(statutory.amount_x_pct_x_days as double)
                    * cast(candidates.open_amount_reporting as double) / nullif(cast(candidates.open_amount as double), 0) / 36500
            else cast(candidates.dunnable_amount_reporting as double)
                * candidates.days_past_due * cast(tier_terms.late_fee_pct_month as double) / 3000
        end as late_fee_reporting,
        statutory.compensation_currency,
        statutory.compensation_amount
    from candidates
    left join chosen
        on candidates.company_id = chosen.company_id
        and candidates.customer_id = chosen.customer_id
    left join tier_terms on candidates.tier = tier_terms.tier
    left join statutory on candidates.item_id = statutory.item_id
)

select
    fees.item_id,
    fees.regime,
    cast(case when fees.is_late then fees.late_fee else 0 end as decimal(24, 6)) as late_fee,
    cast(case when fees.is_late then fees.late_fee_reporting else 0 end as decimal(24, 6)) as late_fee_reporting,
    fees.compensation_currency,
    fees.compensation_amount,
    {{ converted('fees.compensation_amount', 'fees.compensation_currency', 'fees.reporting_currency', 'rates') }}
        as compensation_reporting
from fees
left join exchange_rates as rates
    on fees.compensation_currency = rates.from_currency
    and fees.reporting_currency = rates.to_currency
