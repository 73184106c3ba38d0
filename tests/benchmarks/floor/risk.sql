-- The tiers and what follows from them, from the tables that `ledger.sql` leaves: one pack (net_terms), one bureau and code a customer,
-- one review a customer, no exceptions file, promises without plans. Only the factors that the pack reads are worked out.

-- Half up, once: the tenth place is before what a double leaves of a tie.
create temp macro once(figure) as coalesce(
    cast(try_cast(figure as decimal(18, 10)) as decimal(18, 4)), cast(cast(figure as decimal(28, 10)) as decimal(18, 4))
);
create temp macro ratio(part, whole) as once(cast(part as double) / nullif(cast(whole as double), 0));
-- Sums of whole cents are exact in a double, and cost less than decimals of 38 digits. They are divided as the amounts they are: a half in
-- the last digit then falls to the same side.
create temp macro cents(amount) as round(100 * cast(amount as double));
create temp macro ratio_of_cents(part, whole) as ratio(part / 100, whole / 100);
create temp macro people(figure) as replace(cast(cast(figure as decimal(18, 1)) as varchar), '.0', '');

-- Every month from the first with cash, so that windows over months are windows over rows.
create temp table months as
select
    if(range = 0, $as_of, last_day(cast($as_of - to_months(cast(range as integer)) as date))) as day,
    12 * year(day) + month(day) as month,
    range < 25 as is_snapshot
from range(0, 49)
where day >= (select min(month_end) from days_beyond_terms_monthly);

-- The trend looks further back than the snapshots do.
create temp table past_due_before as
select
    customer_id,
    day,
    sum(amount) as past_due,
    sum(amount * days) as past_due_x_days
from (
    select
        items.customer_id,
        months.day,
        months.day - items.due_date as days,
        if(items.currency = 'EUR', balances.open_amount, round(balances.open_amount * rates.rate, 2)) as amount
    from balances
    inner join months on balances.valid_from <= months.day and (balances.valid_to is null or balances.valid_to > months.day)
    inner join items using (item)
    inner join rates on rates.rate_day = months.day
    where
        not months.is_snapshot
        and balances.valid_from < (select min(day) from dates)
        and balances.open_amount > 0
        and items.due_date < months.day
)
group by all
having sum(amount) >= 10;

-- Cash that was taken back later counts only as long as it lay there: few rows, put right at each date they still reach.
create temp table taken_back as
select
    paid.customer_id,
    months.day,
    -coalesce(sum(weighed) filter (months.day >= ends and lasted >= months.month - 6), 0) as paid_6m,
    -coalesce(sum(paid_x_days) filter (months.day >= ends and lasted >= months.month - 6), 0) as paid_x_days_6m,
    -coalesce(sum(weighed) filter (months.day >= ends), 0) as paid_24m,
    -coalesce(sum(paid_x_days) filter (months.day >= ends), 0) as paid_x_days_24m,
    count(distinct paid.invoice_id) filter (months.day < ends and (first_paid.day is null or first_paid.day > months.day)) as invoices_24m
from (
    select paid.*, months.month as lasted from paid inner join months on paid.month_end = months.day where ends is not null
) as paid
inner join months on months.is_snapshot and months.day >= paid.month_end and lasted >= months.month - 24
left join (
    select invoice_id, min(begins) as day
    from paid
    where ends is null and invoice_id in (select invoice_id from paid where ends is not null)
    group by all
) as first_paid using (invoice_id)
group by all;

create temp table windows as
with invoices as (
    select customer_id, month_end, count(*) as invoices
    from (
        select any_value(customer_id) as customer_id, min(month_end) as month_end
        from paid
        where ends is null
        group by invoice_id
    )
    group by all
),

cells as (
    select
        customers.customer_id,
        months.day,
        months.month,
        months.is_snapshot,
        coalesce(cents(monthly.weighed), 0) as paid,
        coalesce(cents(monthly.paid_x_days), 0) as paid_x_days,
        coalesce(cents(monthly.past_due), 0) + coalesce(cents(before.past_due), 0) as past_due,
        coalesce(cents(monthly.past_due_x_days), 0) + coalesce(cents(before.past_due_x_days), 0) as past_due_x_days,
        cast(coalesce(invoices.invoices, 0) as double) as invoices
    from '$folder/customers.parquet' as customers
    cross join months
    left join days_beyond_terms_monthly as monthly on customers.customer_id = monthly.customer_id and months.day = monthly.month_end
    left join past_due_before as before on customers.customer_id = before.customer_id and months.day = before.day
    left join invoices on customers.customer_id = invoices.customer_id and months.day = invoices.month_end
),

weighed as (
    select
        *,
        paid + past_due as weighed,
        paid_x_days + past_due_x_days as weighed_x_days,
        cast(ratio_of_cents(paid_x_days + past_due_x_days, paid + past_due) as double) as dbt_days
    from cells
),

-- Ten-thousandths of a day are whole numbers, and their sums exact.
pointed as (
    select *, round(10000 * dbt_days) as y, if(dbt_days is null, null, month) as x
    from weighed
)

select
    customer_id,
    day,
    is_snapshot,
    past_due,
    past_due_x_days,
    sum(paid) over last_6 as paid_6m,
    sum(paid_x_days) over last_6 as paid_x_days_6m,
    sum(paid) over last_24 as paid_24m,
    sum(paid_x_days) over last_24 as paid_x_days_24m,
    sum(invoices) over last_24 as invoices_24m,
    case
        when count(y) over year >= 4
            then once(
                (count(y) over year * sum(x * y) over year - sum(x) over year * sum(y) over year) / 10000
                / (count(y) over year * sum(x * x) over year - sum(x) over year * sum(x) over year)
            )
    end as slope,
    ratio_of_cents(sum(weighed_x_days) over recent, sum(weighed) over recent) as dbt_days_recent,
    ratio_of_cents(sum(weighed_x_days) over prior, sum(weighed) over prior) as dbt_days_prior
from pointed
window
    last_6 as (partition by customer_id order by month rows between 6 preceding and current row),
    last_24 as (partition by customer_id order by month rows between 24 preceding and current row),
    year as (partition by customer_id order by month rows between 11 preceding and current row),
    recent as (partition by customer_id order by month rows between 2 preceding and current row),
    prior as (partition by customer_id order by month rows between 5 preceding and 3 preceding)
qualify is_snapshot;

-- What a customer's behaviour is today: cash that lasts, and the trend up to the last complete month.
create temp table today as
with months_of as (
    select
        customer_id,
        12 * year(month_end) + month(month_end) as month,
        12 * year($as_of) + month($as_of) - month as ago,
        paid,
        weighed,
        paid_x_days,
        on_time,
        paid_x_days_to_pay,
        past_due,
        past_due_x_days,
        once(dbt_days) as dbt_days
    from days_beyond_terms_monthly
    union all
    select
        customer_id, 12 * year(month_end) + month(month_end) as month, 12 * year($as_of) + month($as_of) - month, -paid, -weighed,
        -paid_x_days, -on_time, -paid_x_days_to_pay, 0, 0, null
    from paid
    where ends is not null
),

sums as (
    select
        customer_id,
        sum(weighed) filter (ago <= 3) as weighed_3m,
        sum(paid_x_days) filter (ago <= 3) as paid_x_days_3m,
        sum(paid) filter (ago <= 12) as paid_12m,
        sum(weighed) filter (ago <= 12) as weighed_12m,
        sum(paid_x_days) filter (ago <= 12) as paid_x_days_12m,
        coalesce(sum(on_time) filter (ago <= 12), 0) as on_time_12m,
        sum(paid_x_days_to_pay) filter (ago <= 12) as paid_x_days_to_pay_12m,
        sum(on_time) as on_time_24m,
        sum(weighed) as weighed_24m,
        coalesce(sum(past_due) filter (ago = 0), 0) as past_due,
        coalesce(sum(past_due_x_days) filter (ago = 0), 0) as past_due_x_days,
        count(dbt_days) filter (ago between 1 and 12) as active_months,
        sum(if(dbt_days is null, null, month)) filter (ago between 1 and 12) as sum_x,
        sum(dbt_days) filter (ago between 1 and 12) as sum_y,
        cast(active_months * sum(if(dbt_days is null, null, month * month)) filter (ago between 1 and 12) - sum_x * sum_x as double) as spread_x,
        cast(active_months * sum(dbt_days * dbt_days) filter (ago between 1 and 12) - sum_y * sum_y as double) as spread_y,
        cast(active_months * sum(month * dbt_days) filter (ago between 1 and 12) - sum_x * sum_y as double) as spread_xy
    from months_of
    where ago <= 24
    group by customer_id
),

figures as (
    select
        customer_id,
        past_due,
        active_months,
        ratio(coalesce(paid_x_days_3m, 0) + past_due_x_days, coalesce(weighed_3m, 0) + past_due) as dbt_days_3m,
        ratio(coalesce(paid_x_days_12m, 0) + past_due_x_days, coalesce(weighed_12m, 0) + past_due) as dbt_days_12m,
        ratio(on_time_12m, weighed_12m) as on_time_share_12m,
        ratio(on_time_24m, weighed_24m) as on_time_share_24m,
        ratio(coalesce(weighed_12m, 0) - on_time_12m + past_due, coalesce(weighed_12m, 0) + past_due) as late_share_12m,
        ratio(paid_x_days_to_pay_12m, weighed_12m) as days_to_pay_12m,
        coalesce(paid_12m, 0) as paid_12m,
        case
            when active_months < 4 then null
            when spread_y = 0 then 1
            else once(spread_xy * spread_xy / (spread_x * spread_y))
        end as r2,
        if(active_months >= 2, once(sqrt(spread_y / (active_months * (active_months - 1)))), null) as stddev
    from sums
)

select
    figures.*,
    windows.slope,
    windows.dbt_days_recent,
    windows.dbt_days_prior,
    case
        when active_months < 4 then 'insufficient_history'
        when slope >= 1 and dbt_days_recent - dbt_days_prior >= 3 then 'rising'
        when slope <= -1 and dbt_days_prior - dbt_days_recent >= 3 then 'falling'
        when stddev >= 10 then 'erratic'
        else 'steady'
    end as direction
from figures
inner join windows using (customer_id)
where windows.day = date_trunc('month', $as_of) - interval 1 day;

create temp table scores as
select
    customer_id, bureau, score_code, raw_score, scored_on, dbt, industry_dbt, status,
    cast(raw_score as decimal(18, 4)) as score,
    lead(scored_on) over (partition by customer_id, bureau, score_code order by scored_on) as until
from '$folder/credit_scores.parquet'
where scored_on <= $as_of;

-- What the bureau said last at each date, and half a year before it.
create temp table bureau_signals as
with at_dates as (
    select
        customer_id, day, bureau || '/' || score_code as source, score, dbt, industry_dbt, status,
        case
            when day - scored_on <= 90 then 1
            when day - scored_on < 365 then cast(once((365 - (day - scored_on)) / 275.0) as decimal(7, 4))
            else 0
        end as freshness
    from scores
    inner join dates on scores.scored_on <= dates.day and (scores.until is null or scores.until > dates.day)
),

half_a_year_before as (
    select customer_id, day, score, dbt
    from scores
    inner join (select day, cast(day - interval 6 month as date) as before from dates) as dates
        on scores.scored_on <= dates.before and (scores.until is null or scores.until > dates.before)
)

select
    at_dates.customer_id,
    at_dates.day,
    at_dates.source,
    at_dates.freshness,
    at_dates.status,
    if(freshness > 0, at_dates.score, null) as score,
    if(freshness > 0, at_dates.dbt, null) as dbt,
    if(freshness > 0, at_dates.industry_dbt, null) as industry_dbt,
    if(freshness > 0, at_dates.score - before.score, null) as score_change_6m,
    if(freshness > 0, at_dates.dbt - before.dbt, null) as dbt_change_6m
from at_dates
left join half_a_year_before as before using (customer_id, day);

-- Who is a customer, since when, and the limit in the currency of the reports.
create temp table holders as
select
    customers.customer_id,
    company_id,
    name,
    coalesce(status, 'active') as status,
    currency,
    least(customer_since, first_document_on) as since,
    first_document_on,
    credit_limit,
    if(currency = 'EUR', credit_limit, round(credit_limit * rate, 2)) as limit_reporting
from '$folder/customers.parquet' as customers
left join (
    select customer_id, min(invoice_date) as first_document_on from '$folder/invoices.parquet' where invoice_date <= $as_of group by all
) as first_documents using (customer_id)
left join rates on rate_day = $as_of;

create temp table business_days as
select
    *,
    sum(cast(is_business as integer)) over (partition by calendar order by day) as number
from (
    select
        calendar,
        day,
        isodow(day) < 6 and not list_contains(holidays, day) as is_business
    from (
        values
            ('DE', ['2023-05-01', '2023-05-18', '2023-05-29', '2023-10-03', '2023-12-25', '2023-12-26', '2024-01-01', '2024-03-29',
                    '2024-04-01', '2024-05-01', '2024-05-09', '2024-05-20', '2024-10-03', '2024-12-25', '2024-12-26', '2025-01-01',
                    '2025-04-18', '2025-04-21', '2025-05-01', '2025-05-29', '2025-06-09']::date[]),
            ('US', ['2023-05-29', '2023-06-19', '2023-07-04', '2023-09-04', '2023-10-09', '2023-11-10', '2023-11-23', '2023-12-25',
                    '2024-01-01', '2024-01-15', '2024-02-19', '2024-05-27', '2024-06-19', '2024-07-04', '2024-09-02', '2024-10-14',
                    '2024-11-11', '2024-11-28', '2024-12-25', '2025-01-01', '2025-01-20', '2025-02-17', '2025-05-26', '2025-06-19',
                    '2025-07-04']::date[])
    ) as calendars (calendar, holidays)
    cross join (select $as_of - cast(range as integer) as day from range(-40, 800))
);

-- Broken is what was not paid in full by the second business day after the day it was promised for.
create temp table broken as
with promised as (
    select
        promises.*,
        due.day as grace_until
    from '$folder/promises.parquet' as promises
    inner join holders using (customer_id)
    inner join '$folder/companies.parquet' as companies using (company_id)
    inner join business_days as asked on companies.calendar = asked.calendar and promises.promised_date = asked.day
    inner join business_days as due on asked.calendar = due.calendar and due.number = asked.number + 2 and due.is_business
    where promises.made_on <= $as_of
),

unkept as (
    select
        promised.promise_id, any_value(promised.customer_id) as customer_id, any_value(promised_date) as promised_date,
        any_value(grace_until) as grace_until
    from promised
    left join standing
        on promised.invoice_id = standing.invoice_id
        and standing.source_type = 'payment'
        and standing.ends is null
        and standing.payment_date between promised.made_on and promised.grace_until
    where promised.grace_until < $as_of
    group by promised.promise_id
    having coalesce(sum(standing.amount), 0) < any_value(promised.amount)
)

select customer_id, day, count(*) as promises
from unkept
inner join dates on grace_until < day and promised_date > day - interval 12 month
group by all;

create temp table exposures as
select
    open_items.customer_id,
    sum(open_reporting) as balance,
    any_value(owed.balance - owed.trifle) as used,
    coalesce(sum(open_reporting) filter (days_past_due > 0), 0) as past_due,
    coalesce(any_value(owed.oldest), 0) as oldest_past_due
from open_items
inner join owed using (customer_id, day)
group by open_items.customer_id;

-- Every customer at every date: what the pack weighs and asks for, the score, and the tier that no criterion closes.
create temp table factors as
with read_out as (
    select
        windows.customer_id,
        windows.day,
        windows.day = $as_of as is_as_of,
        ratio_of_cents(
            windows.paid_x_days_6m + windows.past_due_x_days + coalesce(cents(taken_back.paid_x_days_6m), 0),
            windows.paid_6m + windows.past_due + coalesce(cents(taken_back.paid_6m), 0)
        ) as dbt_days_6m,
        ratio_of_cents(
            windows.paid_x_days_24m + windows.past_due_x_days + coalesce(cents(taken_back.paid_x_days_24m), 0),
            windows.paid_24m + windows.past_due + coalesce(cents(taken_back.paid_24m), 0)
        ) as dbt_days_24m,
        cast(windows.invoices_24m + coalesce(taken_back.invoices_24m, 0) as integer) as paid_invoices_24m,
        if(windows.day = $as_of, today.slope, windows.slope) as slope,
        coalesce(
            if(
                windows.day = $as_of,
                today.direction = 'rising',
                windows.slope >= 1 and windows.dbt_days_recent - windows.dbt_days_prior >= 3
            ),
            false
        ) as is_rising,
        cast(owed.balance as decimal(18, 2)) as balance,
        cast(owed.balance - owed.trifle as decimal(18, 2)) as used,
        cast(coalesce(owed.oldest, 0) as integer) as oldest_past_due,
        ratio(owed.over_30, owed.owed) as past_due_share_30,
        ratio(owed.over_60, owed.owed) as past_due_share_60,
        ratio(windows.day - holders.since, 365.25) as relationship_years,
        cast(coalesce(broken.promises, 0) as integer) as broken_promises,
        holders.status,
        bureau_signals.score as bureau_score,
        bureau_signals.score_change_6m as bureau_change,
        bureau_signals.dbt as bureau_dbt,
        bureau_signals.freshness,
        bureau_signals.status as bureau_status
    from windows
    inner join holders using (customer_id)
    left join taken_back using (customer_id, day)
    left join today on windows.customer_id = today.customer_id and windows.day = $as_of
    left join owed on windows.customer_id = owed.customer_id and windows.day = owed.day
    left join broken on windows.customer_id = broken.customer_id and windows.day = broken.day
    left join bureau_signals on windows.customer_id = bureau_signals.customer_id and windows.day = bureau_signals.day
    where windows.day >= holders.since
),

-- From 0, best, to 100, worst, between the two break points of each factor.
weighed as (
    select
        *,
        if(dbt_days_6m is null, 0, 15) as weight_6m,
        if(dbt_days_24m is null, 0, 15) as weight_24m,
        if(slope is null, 0, 15) as weight_slope,
        if(past_due_share_30 is null, 0, 10) as weight_share,
        cast(if(bureau_score is null, 0, 20 * freshness) as decimal(6, 4)) as weight_score,
        cast(if(bureau_dbt is null, 0, 15 * freshness) as decimal(6, 4)) as weight_dbt,
        cast(once(least(greatest(coalesce(100 * cast(dbt_days_6m as double) / 60, 0), 0), 100)) as decimal(7, 4)) as badness_6m,
        cast(once(least(greatest(coalesce(100 * cast(dbt_days_24m as double) / 60, 0), 0), 100)) as decimal(7, 4)) as badness_24m,
        cast(once(least(greatest(coalesce(100 * cast(slope as double) / 5, 0), 0), 100)) as decimal(7, 4)) as badness_slope,
        cast(once(least(coalesce(100 * cast(past_due_share_30 as double) / 0.5, 0), 100)) as decimal(7, 4)) as badness_share,
        cast(once(least(greatest(coalesce(100 * cast(90 - bureau_score as double) / 80, 0), 0), 100)) as decimal(7, 4)) as badness_score,
        cast(once(least(greatest(coalesce(100 * cast(bureau_dbt as double) / 60, 0), 0), 100)) as decimal(7, 4)) as badness_dbt
    from read_out
),

scored as (
    select
        *,
        ratio(
            weight_6m * badness_6m + weight_24m * badness_24m + weight_slope * badness_slope + weight_share * badness_share
            + weight_score * badness_score + weight_dbt * badness_dbt,
            weight_6m + weight_24m + weight_slope + weight_share + weight_score + weight_dbt
        ) as risk_score,
        ratio(weight_6m + weight_24m + weight_slope + weight_share + weight_score + weight_dbt, 100) as evidence,
        case when relationship_years >= 5 then -3 when relationship_years < 1 then 3 else 0 end as tie_break
    from weighed
)

select
    * exclude (weight_6m, weight_24m, weight_slope, weight_share, weight_score, weight_dbt, badness_6m, badness_24m, badness_slope,
        badness_share, badness_score, badness_dbt),
    case
        when
            risk_score + tie_break <= 65 is not true
            or evidence >= 0.3 is not true
            or dbt_days_6m > 30
            or past_due_share_60 > 0.2
            or broken_promises >= 3
            or (is_as_of and status in ('insolvent', 'at_agency'))
            or bureau_status in ('insolvent', 'dissolved')
            then 3
        when
            risk_score + tie_break <= 35
            and evidence >= 0.6
            and bureau_score >= 50
            and dbt_days_6m <= 10
            and dbt_days_24m <= 15
            and paid_invoices_24m >= 6
            and not is_rising
            and oldest_past_due <= 90
            and not coalesce(past_due_share_30 > 0.1, false)
            and not coalesce(bureau_change <= -10, false)
            then 1
        else 2
    end as tier
from scored;

create table risk_tier_history as
select day as snapshot_date, customer_id, cast(tier as varchar) as tier_indicated, risk_score, evidence
from factors;

create temp table terms as
select *
from (
    values (1, 'low', 60, 90, 500000, 0, null, 12), (2, 'moderate', 30, 45, 100000, 0, 0.8, 6), (3, 'high', 15, 15, 10000, 30, null, 3)
) as terms (tier, name, net_days, net_days_max, credit_limit, deposit_pct, review_use_share, review_months);

create temp table reviews as
select
    customer_id,
    reviewed_on,
    cast(reviews.tier as integer) as tier,
    cast(reviewed_on + to_months(review_months) as date) as next_review_due
from '$folder/credit_reviews.parquet' as reviews
inner join terms on cast(reviews.tier as integer) = terms.tier
where reviewed_on <= $as_of;

-- A customer's tiers in one number, two bits a month, today's lowest: what a date is judged by is a shift away, not a join.
create temp table verdicts as
select
    packed.*,
    reviews.reviewed_on,
    reviews.next_review_due,
    reviews.tier as reviewed_tier
from (
    select customer_id, bit_or(cast(tier as bigint) << cast(2 * datediff('month', day, $as_of) as integer)) as tiers
    from factors
    group by customer_id
) as packed
left join reviews using (customer_id);

create table payment_behaviour as
with scale as (
    select *
    from (values (-30, 100, -20, 90), (-20, 90, -10, 85), (-10, 85, 0, 80), (0, 80, 15, 70), (15, 70, 22, 60), (22, 60, 30, 50),
        (30, 50, 60, 40), (60, 40, 90, 30), (90, 30, 120, 20), (120, 20, 1000000, 20)) as scale (from_days, from_score, to_days, to_score)
)

select
    factors.customer_id,
    today.dbt_days_3m,
    factors.dbt_days_6m,
    today.dbt_days_12m,
    factors.dbt_days_24m,
    coalesce(today.active_months, 0) as active_months,
    today.slope as dbt_slope,
    today.r2 as dbt_r2,
    today.stddev as dbt_stddev,
    today.dbt_days_recent,
    today.dbt_days_prior,
    cast(from_score + ratio((today.dbt_days_12m - from_days) * (to_score - from_score), to_days - from_days) as decimal(18, 4))
        as paydex_equivalent,
    coalesce(today.direction, 'insufficient_history') as direction,
    case
        when late_share_12m is null or (factors.paid_invoices_24m < 3 and $as_of - holders.first_document_on < 180) then 'new'
        when late_share_12m >= 0.5 then 'chronic'
        when on_time_share_12m < 0.9 then 'occasional'
        when today.past_due > 0 then 'one_off'
        else 'prompt'
    end as payer_pattern,
    coalesce(today.paid_12m, 0) as paid_amount_12m,
    coalesce(today.past_due, 0) as past_due_amount,
    today.days_to_pay_12m,
    today.late_share_12m,
    today.on_time_share_12m,
    today.on_time_share_24m,
    bureau_signals.dbt as bureau_dbt,
    bureau_signals.dbt_change_6m as bureau_dbt_change_6m,
    bureau_signals.industry_dbt,
    case
        when dbt_days_3m > 5 then false
        when dbt_days_3m is not null and dbt is not null then dbt >= 20 or coalesce(dbt_change_6m >= 10, false)
    end as hidden_stress
from factors
inner join holders using (customer_id)
left join today using (customer_id)
left join bureau_signals on factors.customer_id = bureau_signals.customer_id and bureau_signals.day = $as_of
left join scale on today.dbt_days_12m >= from_days and today.dbt_days_12m < to_days
where factors.is_as_of;

create table risk_tiers as
with in_force as (
    select
        factors.*,
        if(verdicts.next_review_due >= $as_of, verdicts.reviewed_tier, factors.tier) as tier_in_force,
        verdicts.reviewed_on,
        verdicts.reviewed_tier,
        verdicts.next_review_due
    from factors
    inner join verdicts using (customer_id)
    where is_as_of
)

select
    customer_id,
    risk_score,
    evidence,
    tie_break,
    cast(in_force.tier as varchar) as tier_indicated,
    cast(tier_in_force as varchar) as tier_in_force,
    tier_in_force <> in_force.tier as drift,
    terms.name as tier_name,
    terms.net_days,
    terms.net_days_max,
    terms.credit_limit as credit_limit_policy,
    terms.deposit_pct,
    reviewed_on as last_reviewed_on,
    cast(reviewed_tier as varchar) as last_reviewed_tier,
    coalesce(next_review_due, $as_of) as next_review_due
from in_force
inner join terms on in_force.tier_in_force = terms.tier;

create table risk_tier_reasons as
with values_today as (
    select
        factors.* exclude (oldest_past_due),
        coalesce(exposures.oldest_past_due, 0) as oldest_past_due,
        coalesce(today.direction, 'insufficient_history') as direction,
        bureau_signals.source as bureau,
        risk_score + tie_break as score,
        case tie_break
            when -3 then ', 3 more in a long or strategic relationship'
            when 3 then ', 3 less in a new relationship'
            else ''
        end as slack
    from factors
    left join exposures using (customer_id)
    left join today using (customer_id)
    left join bureau_signals on factors.customer_id = bureau_signals.customer_id and bureau_signals.day = $as_of
    where is_as_of
),

judged as (
    select customer_id, tier as verdict, 1 as tier, 'requires' as effect, 'risk_score' as factor, '<=' as operator, '35' as threshold,
        people(risk_score) as value, risk_score as value_number, 'policy' as source, score <= 35 as holds, abs(score - 35) as distance,
        'Risk score ' || value || ' of 100; tier 1 allows 35' || if(abs(risk_score - 35) > abs(tie_break), '', slack) as sentence,
        'No risk score: nothing to weigh; tier 1 allows 35' as missing
    from values_today
    union all
    select customer_id, tier, 1, 'requires', 'evidence', '>=', '0.6', people(100 * evidence) || ' %' as value, evidence, 'policy',
        evidence >= 0.6, abs(evidence - 0.6), value || ' of the evidence a score rests on is there; tier 1 asks for 60 %',
        'No evidence; tier 1 asks for 60 %'
    from values_today
    union all
    select customer_id, tier, 1, 'requires', 'bureau_score', '>=', '50', people(bureau_score) as value, bureau_score, bureau,
        bureau_score >= 50, abs(bureau_score - 50), 'Bureau score ' || value || ' of 100; tier 1 asks for 50',
        'No usable bureau score; tier 1 asks for 50 of 100'
    from values_today
    union all
    select customer_id, tier, 1, 'requires', 'dbt_days_6m', '<=', '10', people(dbt_days_6m) as value, dbt_days_6m, 'ledger',
        dbt_days_6m <= 10, abs(dbt_days_6m - 10), 'Paid ' || value || ' days beyond terms over 6 months; tier 1 allows 10',
        'Nothing paid or due in 6 months; tier 1 asks for 10 days beyond terms or less'
    from values_today
    union all
    select customer_id, tier, 1, 'requires', 'dbt_days_24m', '<=', '15', people(dbt_days_24m) as value, dbt_days_24m, 'ledger',
        dbt_days_24m <= 15, abs(dbt_days_24m - 15), 'Paid ' || value || ' days beyond terms over 24 months; tier 1 allows 15',
        'Nothing paid or due in 24 months; tier 1 asks for 15 days beyond terms or less'
    from values_today
    union all
    select customer_id, tier, 1, 'requires', 'paid_invoices_24m', '>=', '6', people(paid_invoices_24m) as value, paid_invoices_24m,
        'ledger', paid_invoices_24m >= 6, abs(paid_invoices_24m - 6), 'Invoices paid in 24 months: ' || value || '; tier 1 asks for 6',
        'No invoice paid in 24 months; tier 1 asks for 6'
    from values_today
    union all
    select customer_id, tier, 2, 'requires', 'risk_score', '<=', '65', people(risk_score) as value, risk_score, 'policy',
        score <= 65, abs(score - 65),
        'Risk score ' || value || ' of 100; tier 2 allows 65' || if(abs(risk_score - 65) > abs(tie_break), '', slack),
        'No risk score: nothing to weigh; tier 2 allows 65'
    from values_today
    union all
    select customer_id, tier, 2, 'requires', 'evidence', '>=', '0.3', people(100 * evidence) || ' %' as value, evidence, 'policy',
        evidence >= 0.3, abs(evidence - 0.3), value || ' of the evidence a score rests on is there; tier 2 asks for 30 %',
        'No evidence; tier 2 asks for 30 %'
    from values_today
    union all
    select customer_id, tier, 2, 'forces', 'dbt_direction', 'in', 'rising', direction, null, 'ledger', direction = 'rising', null,
        'Days beyond terms are ' || replace(direction, '_', ' ') || '; rising closes tier 1', ''
    from values_today
    union all
    select customer_id, tier, 2, 'forces', 'oldest_past_due', '>', '90', cast(oldest_past_due as varchar) as value, oldest_past_due,
        'ledger', oldest_past_due > 90, abs(oldest_past_due - 90), 'Oldest open item ' || value || ' days past due; tier 1 allows 90', ''
    from values_today
    union all
    select customer_id, tier, 2, 'forces', 'past_due_share_30', '>', '0.1', people(100 * past_due_share_30) || ' %' as value,
        past_due_share_30, 'ledger', past_due_share_30 > 0.1, abs(past_due_share_30 - 0.1),
        value || ' of the balance more than 30 days past due; tier 1 allows 10 %', 'No open balance'
    from values_today
    union all
    select customer_id, tier, 2, 'forces', 'bureau_score_change_6m', '<=', '-10', people(bureau_change) as value, bureau_change, bureau,
        bureau_change <= -10, abs(bureau_change + 10), 'Bureau score moved ' || value || ' points in 6 months; tier 1 is closed from -10',
        'No bureau score six months apart'
    from values_today
    union all
    select customer_id, tier, 3, 'forces', 'dbt_days_6m', '>', '30', people(dbt_days_6m) as value, dbt_days_6m, 'ledger',
        dbt_days_6m > 30, abs(dbt_days_6m - 30), 'Paid ' || value || ' days beyond terms over 6 months; tier 2 allows 30',
        'Nothing paid or due in 6 months'
    from values_today
    union all
    select customer_id, tier, 3, 'forces', 'past_due_share_60', '>', '0.2', people(100 * past_due_share_60) || ' %' as value,
        past_due_share_60, 'ledger', past_due_share_60 > 0.2, abs(past_due_share_60 - 0.2),
        value || ' of the balance more than 60 days past due; tier 2 allows 20 %', 'No open balance'
    from values_today
    union all
    select customer_id, tier, 3, 'forces', 'broken_promises_12m', '>=', '3', cast(broken_promises as varchar) as value,
        broken_promises, 'ledger', broken_promises >= 3, abs(broken_promises - 3),
        'Promises broken in 12 months: ' || value || '; from 3 on it is tier 3', ''
    from values_today
    union all
    select customer_id, tier, 3, 'forces', 'account_status', 'in', 'insolvent|at_agency', status, null, 'ledger',
        status in ('insolvent', 'at_agency'), null, 'Account is ' || replace(status, '_', ' ') || '; insolvent or at agency is tier 3', ''
    from values_today
    union all
    select customer_id, tier, 3, 'forces', 'bureau_status', 'in', 'insolvent|dissolved', bureau_status, null, split_part(bureau, '/', 1),
        bureau_status in ('insolvent', 'dissolved'), null, 'Bureau says ' || bureau_status || '; insolvent or dissolved is tier 3',
        'No company status from a bureau'
    from values_today
)

select
    customer_id,
    cast(tier as varchar) as tier,
    factor,
    operator,
    threshold,
    value,
    value_number,
    source,
    (effect = 'requires') = coalesce(holds, false) as passed,
    effect,
    not passed and if(effect = 'requires', tier = verdict - 1, tier >= verdict) as on_the_way_up,
    if(passed, null, distance) as distance,
    coalesce(sentence, missing) as reason
from judged;

create table risk_tier_migration as
with moves as (
    select
        day,
        (tiers >> cast(2 * datediff('month', day, $as_of) + 2 as integer)) & 3 as from_tier,
        tier,
        count(*) as customers,
        coalesce(sum(balance), 0) as exposure_amount
    from factors
    inner join verdicts using (customer_id)
    where day > (select min(day) from dates)
    group by all
)

select
    day as snapshot_date,
    last_day(cast(date_trunc('month', day) as date) - 1) as prior_snapshot_date,
    if(from_tier = 0, 'new', cast(from_tier as varchar)) as from_tier,
    cast(tier as varchar) as to_tier,
    case when from_tier = 0 then 'new' when tier < from_tier then 'better' when tier > from_tier then 'worse' else 'same' end as direction,
    customers,
    exposure_amount
from moves;

create table credit_limit_use as
with disputed as (
    select invoice_id, sum(amount) as amount, count(*) > count(amount) as is_whole
    from '$folder/disputes.parquet'
    where opened_on <= $as_of and (resolved_on is null or resolved_on > $as_of)
    group by all
),

too_long as (
    select open_items.customer_id, sum(open_reporting) as amount
    from open_items
    inner join risk_tiers using (customer_id)
    left join disputed on open_items.item_id = disputed.invoice_id
    where
        days_past_due > case tier_in_force when '1' then 60 when '2' then 30 else 15 end
        and not is_trifle
        and not coalesce(is_whole or disputed.amount >= open_amount, false)
    group by all
),

used as (
    select
        holders.customer_id,
        holders.company_id,
        holders.name as customer_name,
        holders.status,
        tiers.tier_in_force,
        if(holders.credit_limit > 0, 'customer', 'policy') as limit_source,
        cast(if(holders.credit_limit > 0, holders.limit_reporting, tiers.credit_limit_policy) as decimal(18, 4)) as credit_limit,
        tiers.credit_limit_policy,
        coalesce(exposures.balance, 0) as balance,
        coalesce(exposures.used, 0) as used,
        coalesce(exposures.past_due, 0) as past_due_amount,
        coalesce(exposures.oldest_past_due, 0) as oldest_past_due_days,
        coalesce(too_long.amount, 0) as too_long,
        coalesce(too_long.amount, 0) >= 100 as is_past_due_too_long
    from holders
    inner join risk_tiers as tiers using (customer_id)
    left join exposures using (customer_id)
    left join too_long using (customer_id)
),

judged as (
    select *, used > 0 and used > credit_limit as is_over_limit from used
)

select
    * exclude (too_long, is_over_limit, is_past_due_too_long),
    ratio(used, credit_limit) as credit_used_share,
    credit_limit - used as headroom_amount,
    status = 'active' and (is_over_limit or is_past_due_too_long) as hold_candidate,
    case when is_over_limit then 'over_limit' when is_past_due_too_long then 'past_due' end as hold_reason,
    status = 'on_hold' as on_hold,
    status = 'on_hold' and not (is_over_limit or is_past_due_too_long) as release_candidate,
    format('Balance {:,.2f} EUR, limit {:,.2f}', cast(balance as double), cast(credit_limit as double))
    || if(credit_limit > 0, ' (' || people(100 * ratio(used, credit_limit)) || ' % used)', ' (no credit)')
    || if(
        is_past_due_too_long,
        format(
            '; {:,.2f} more than {} days past due, the oldest {}',
            cast(too_long as double), case tier_in_force when '1' then 60 when '2' then 30 else 15 end, oldest_past_due_days
        ),
        ''
    ) as detail
from judged;

-- Terms beyond what the tier in force on the invoice's day allows: the last review's while its cycle runs, else the verdict before.
create table credit_exceptions as
with days as (
    select
        rate_day as day,
        cast(2 * datediff('month', rate_day, $as_of) + if(rate_day in (last_day(rate_day), $as_of), 0, 2) as integer) as shift
    from rates
    where rate_day <= $as_of
),

granted as (
    select
        invoice_id,
        invoices.customer_id,
        company_id,
        invoice_date as dated_on,
        due_date - invoice_date as granted,
        if(invoice_date between reviewed_on and next_review_due, reviewed_tier, (tiers >> shift) & 3) as tier
    from '$folder/invoices.parquet' as invoices
    left join days on invoices.invoice_date = days.day
    left join verdicts using (customer_id)
    where
        document_type = 'invoice'
        and voided_on is null
        and due_date - invoice_date > 15
        and invoice_date >= date_trunc('month', $as_of) - interval 24 month
)

select
    'terms/' || invoice_id as exception_id,
    customer_id,
    company_id,
    invoice_id,
    'terms' as kind,
    false as declared,
    true as is_counted,
    dated_on,
    cast(tier as varchar) as tier,
    granted,
    if(tier = 3, 15, 45) as allowed,
    granted || ' days of credit, tier ' || tier || ' allows ' || if(tier = 3, '15', '45') || '; no approved exception covers it' as detail
from granted
where tier = 3 or (tier = 2 and granted > 45);

-- Each bureau's newest answer against what held half a year ago.
create table credit_score_changes as
with spans as (
    select
        customer_id,
        bureau,
        score_code,
        max(scored_on) as scored_on_to,
        arg_max(score, scored_on) as score_to,
        arg_max(raw_score, scored_on) as raw_to,
        arg_max(status, scored_on) as status_to,
        min(scored_on) filter (until > $as_of - interval 6 month) as scored_on_from,
        arg_min(score, scored_on) filter (until > $as_of - interval 6 month) as score_from,
        arg_min(raw_score, scored_on) filter (until > $as_of - interval 6 month) as raw_from,
        max(status) filter (scored_on <= $as_of - interval 6 month and coalesce(until > $as_of - interval 6 month, true)) as status_from,
        max(score) filter (scored_on <= reviewed_on and coalesce(until > reviewed_on, true)) as score_at_review
    from scores
    left join reviews using (customer_id)
    group by all
    having max(scored_on) > $as_of - 365
),

changes as (
    select
        *,
        score_to - score_from as points,
        coalesce(status_from, 'active') <> coalesce(status_to, status_from, 'active') as has_status_changed,
        max(score_to) over (partition by customer_id) - min(score_to) over (partition by customer_id) as spread_points
    from spans
),

fell as (
    select customer_id, bureau, score_code, min(scored_on) as fell_on
    from changes
    inner join scores using (customer_id, bureau, score_code)
    where points <= -10 and scored_on > scored_on_from and score <= score_from - 10
    group by all
)

select
    customer_id,
    company_id,
    name as customer_name,
    bureau,
    score_code,
    case when points > 0 then 'improved' when points < 0 then 'worsened' else 'status_only' end as direction,
    points,
    coalesce(points <= -10, false) as alerting,
    fell_on,
    score_from,
    score_to,
    raw_from,
    raw_to,
    scored_on_from,
    scored_on_to,
    datediff('month', scored_on_from, scored_on_to) as months_between,
    score_to - score_at_review as points_since_review,
    status_from,
    status_to,
    has_status_changed,
    spread_points,
    spread_points >= 30 as bureaus_disagree,
    bureau || ' ' || replace(score_code, '_', ' ') || if(points > 0, ' rose from ', ' fell from ') || people(score_from) || ' to '
    || people(score_to) || ' of 100 since ' || scored_on_from || ' (as written: ' || raw_from || ' to ' || raw_to || ')'
    || if(points <= -10, '; a fall of 10 triggers a review', '')
    || if(has_status_changed, '; status went from ' || coalesce(status_from, 'unknown') || ' to ' || coalesce(status_to, 'unknown'), '')
    || if(spread_points >= 30, '; scores of this customer lie ' || people(spread_points) || ' points apart', '') as detail
from changes
inner join holders using (customer_id)
left join fell using (customer_id, bureau, score_code)
where points <> 0 or has_status_changed;

create table credit_reviews_due as
with book as (
    select
        holders.customer_id,
        holders.company_id,
        holders.name as customer_name,
        holders.status,
        holders.currency,
        holders.credit_limit as own_limit,
        tiers.tier_in_force,
        tiers.tier_indicated,
        tiers.last_reviewed_on,
        tiers.next_review_due,
        cast(holders.since + to_months(indicated.review_months) as date) as first_cycle_ends_on,
        in_force.review_use_share as mark,
        used.balance,
        used.used,
        used.credit_limit,
        used.credit_used_share,
        used.oldest_past_due_days,
        used.detail as limit_detail,
        behaviour.direction,
        behaviour.dbt_days_recent,
        behaviour.dbt_days_prior,
        signals.score as bureau_score,
        signals.status as bureau_status,
        split_part(signals.source, '/', 1) as bureau,
        used.used > 0 and used.used > used.credit_limit as is_over,
        used.used > used.credit_limit * mark and used.used <= used.credit_limit as is_above_mark
    from holders
    inner join risk_tiers as tiers using (customer_id)
    inner join credit_limit_use as used using (customer_id)
    inner join terms as in_force on tiers.tier_in_force = cast(in_force.tier as varchar)
    inner join terms as indicated on tiers.tier_indicated = cast(indicated.tier as varchar)
    left join payment_behaviour as behaviour using (customer_id)
    left join bureau_signals as signals on holders.customer_id = signals.customer_id and signals.day = $as_of
    where holders.status <> 'closed'
),

-- The newest month end on which it was not yet so, for those of whom it is so today.
last_without as (
    select
        customer_id,
        min(day) as first_day,
        max(day) filter (cast(tier as varchar) = tier_in_force) as no_drift_on,
        max(day) filter (not is_rising) as not_rising_on,
        max(day) filter (coalesce(bureau_status, '') <> bureau_status_today) as other_status_on,
        max(day) filter (used_share <= 1) as within_limit_on,
        max(day) filter (used_share <= mark) as below_mark_on
    from (
        select
            factors.*,
            book.* exclude (customer_id, balance, used, status, bureau_score, bureau_status, bureau),
            book.bureau_status as bureau_status_today,
            coalesce(ratio(factors.used, if(currency = 'EUR', own_limit, round(own_limit * rate, 2))), 0) as used_share
        from factors
        inner join book using (customer_id)
        inner join rates on factors.day = rates.rate_day
        where
            factors.day < $as_of
            and (tier_in_force <> tier_indicated or direction = 'rising' or is_over or is_above_mark
                or book.bureau_status in ('insolvent', 'dissolved'))
    )
    group by customer_id
),

dated as (
    select customer_id, 7 as rank, 'tier_drift' as trigger, no_drift_on as last_without_on, first_day,
        'The verdict is tier ' || tier_indicated || '{since} and tier ' || tier_in_force || ' is in force' as sentence
    from book
    left join last_without using (customer_id)
    where tier_in_force <> tier_indicated
    union all
    select customer_id, 6, 'direction_rising', not_rising_on, first_day,
        'Days beyond terms turned rising{since}: ' || people(dbt_days_recent) || ' over three months and ' || people(dbt_days_prior)
        || ' over the three before'
    from book
    left join last_without using (customer_id)
    where direction = 'rising'
    union all
    select customer_id, 1, 'insolvency', other_status_on, first_day, bureau || ' says ' || bureau_status || '{since}'
    from book
    left join last_without using (customer_id)
    where status <> 'insolvent' and bureau_status in ('insolvent', 'dissolved')
    union all
    select customer_id, 4, 'over_limit', within_limit_on, first_day, limit_detail || ', over 100 %{since}'
    from book
    left join last_without using (customer_id)
    where is_over
    union all
    select customer_id, 8, 'use_above_share', below_mark_on, first_day,
        people(100 * credit_used_share) || ' % of the credit limit in use; tier ' || tier_in_force || ' is reviewed above 80 %{since}'
    from book
    left join last_without using (customer_id)
    where is_above_mark
),

standing_today as (
    select
        customer_id, rank, trigger,
        if(last_without_on is null, coalesce(first_day, $as_of), least(last_day(last_without_on + 1), $as_of)) as happened_on,
        cast(null as boolean) as seen,
        replace(sentence, '{since}', ' since ' || happened_on) as sentence
    from dated
    union all
    select customer_id, 1, 'insolvency', $as_of, false, 'The source says insolvent'
    from book
    where status = 'insolvent'
    union all
    select customer_id, 3, 'first_60_days', $as_of + 60 - cast(oldest_past_due_days as integer), null,
        'Oldest open item is ' || oldest_past_due_days || ' days past due: 60 or more since '
        || ($as_of + 60 - cast(oldest_past_due_days as integer))
    from book
    where oldest_past_due_days >= 60
    union all
    select customer_id, 5, 'bureau_fall', if(fell_on > last_reviewed_on or last_reviewed_on is null, fell_on, scored_on_to),
        coalesce(points_since_review > -10, false),
        falls.bureau || ' ' || replace(score_code, '_', ' ') || ' fell from ' || people(score_from) || ' to ' || people(score_to)
        || ' since ' || scored_on_from || '; a fall of 10 triggers a review'
    from book
    inner join (
        select * from credit_score_changes where alerting
        qualify row_number() over (partition by customer_id order by points, bureau, score_code) = 1
    ) as falls using (customer_id)
    union all
    select customer_id, 9, 'cycle', next_review_due, false,
        'Last reviewed on ' || last_reviewed_on || '; the cycle ends on ' || next_review_due
    from book
    where last_reviewed_on is not null and next_review_due <= $as_of + 14
    union all
    select customer_id, 10, 'never_reviewed', least(first_cycle_ends_on, $as_of), false, 'Never reviewed'
    from book
    where last_reviewed_on is null
),

reasons as (
    select
        customer_id,
        min(if(is_seen, $as_of, happened_on)) as due_on,
        arg_min(trigger, rank) as trigger,
        arg_min(sentence || if(is_seen, ', as it was at the last review', ''), rank) as detail,
        string_agg(trigger, ',' order by rank) as all_triggers,
        bool_or(not is_seen and trigger not in ('cycle', 'never_reviewed')) as has_news
    from (
        select standing_today.*, coalesce(seen, happened_on <= last_reviewed_on, false) as is_seen
        from standing_today
        inner join book using (customer_id)
    )
    where not is_seen or trigger in ('tier_drift', 'cycle', 'never_reviewed')
    group by customer_id
)

select
    customer_id,
    company_id,
    customer_name,
    due_on,
    trigger,
    reasons.detail,
    all_triggers,
    has_news,
    cast(greatest($as_of - due_on, 0) as integer) as days_overdue,
    coalesce(if(last_reviewed_on is null, first_cycle_ends_on, next_review_due) < $as_of, false) as is_cycle_overdue,
    tier_in_force,
    tier_indicated,
    last_reviewed_on,
    next_review_due,
    balance as exposure_amount,
    credit_limit,
    credit_used_share,
    oldest_past_due_days,
    direction as dbt_direction,
    dbt_days_recent,
    dbt_days_prior,
    bureau_score,
    falls.points as bureau_fall_points,
    bureau_status
from reasons
inner join book using (customer_id)
left join (
    select customer_id, min(points) as points from credit_score_changes where alerting group by customer_id
) as falls using (customer_id);
