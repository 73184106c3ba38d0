-- A book of any size, as the datasets of the contract: `$invoices` invoices of `$accounts` customers over 26 months up to `$as_of`, the same
-- rows each time.
-- What happens to a row is a hash of its number, so the rows do not depend on threads or on the order they are made in.

create macro chance(number, salt) as cast(hash(number, salt) % 1000003 as double) / 1000003;
create macro money(value) as cast(round(value, 2) as decimal(18, 2));

create temp table companies as
select * from (
    values ('0100', 'Northwind Europe', 'EUR', 'DE', 'Europe/Berlin', 'DE'), ('0200', 'Northwind America', 'USD', 'US', 'America/New_York', 'US')
) as companies (company_id, name, currency, country, timezone, calendar);

create temp table payment_terms as
select * from (values ('N15', 15), ('N30', 30), ('N45', 45), ('N60', 60)) as terms (payment_terms, net_days);

-- Dollars a euro, a rate a day; week-ends keep Friday's, as in a central bank's table.
create temp table exchange_rates as
select day as rate_date, 'USD' as currency, 'EUR' as base_currency, cast(0.88 + 0.06 * sin(epoch(day) / 86400 / 90.0) as decimal(20, 10)) as rate
from (select cast(range as date) as day from range($as_of - interval 40 month, $as_of + interval 1 day, interval 1 day))
where isodow(day) < 6;

-- `lateness` is how a customer pays: most within days of the due date, one in eight weeks late; `pays_weekly` puts several invoices
-- on one payment.
create temp table accounts as
select
    number,
    'C' || lpad(cast(number as varchar), 7, '0') as customer_id,
    case when chance(number, 'company') < 0.7 then '0100' else '0200' end as company_id,
    case when chance(number, 'company') >= 0.7 or chance(number, 'export') < 0.05 then 'USD' else 'EUR' end as currency,
    ['N15', 'N30', 'N30', 'N45', 'N60'][1 + cast(floor(5 * chance(number, 'terms')) as integer)] as payment_terms,
    case when chance(number, 'habit') < 0.12 then 25 + 30 * chance(number, 'how late') else -6 + 14 * chance(number, 'how late') end as lateness,
    chance(number, 'weekly') < 0.35 as pays_weekly
from (select range as number from range(1, 1 + $accounts));

create temp table customers as
select
    customer_id,
    'Customer ' || number as name,
    company_id,
    case company_id when '0100' then 'DE' else 'US' end as country,
    ['north', 'east', 'south', 'west'][1 + number % 4] as region,
    ['retail', 'machinery', 'food', 'chemicals', 'services', 'transport'][1 + number % 6] as industry,
    currency,
    $as_of - cast(800 + 3000 * chance(number, 'since') as integer) as customer_since,
    money(5000 + 200000 * pow(chance(number, 'limit'), 3)) as credit_limit,
    payment_terms,
    'HR' || (100000 + number) as registration_number,
    'accounts' || number || '@customer.example' as email,
    '+49 30 ' || (1000000 + number) as phone,
    'collector ' || lpad(cast(1 + number % 12 as varchar), 2, '0') as collector,
    'rep ' || lpad(cast(1 + number % 25 as varchar), 2, '0') as sales_rep,
    case when chance(number, 'status') < 0.003 then 'insolvent' when chance(number, 'status') < 0.02 then 'on_hold' else 'active' end as status,
    cast(5 + 40 * chance(number, 'margin') as decimal(18, 2)) as gross_margin_pct,
    $as_of - interval 500 day as updated_at
from accounts;

create temp table contacts as
select customer_id || '-1' as contact_id, customer_id, 'accounts_payable' as role, 'Accounts payable' as name, email, phone from customers
union all
select customer_id || '-2', customer_id, 'senior', 'Head of finance', 'finance.' || email, phone from customers where hash(customer_id) % 3 = 0;

-- A few customers have many invoices and most have few.
create temp table billed as
select
    drawn.number,
    'I' || lpad(cast(drawn.number as varchar), 9, '0') as invoice_id,
    accounts.number as customer_number,
    accounts.customer_id,
    accounts.company_id,
    accounts.currency,
    accounts.payment_terms,
    accounts.lateness,
    accounts.pays_weekly,
    case when chance(drawn.number, 'type') < 0.005 then 'debit_memo' else 'invoice' end as document_type,
    drawn.invoice_date,
    drawn.invoice_date + terms.net_days as due_date,
    money(40 + 9000 * pow(chance(drawn.number, 'amount'), 5)) as amount,
    case when chance(drawn.number, 'void') < 0.003 and drawn.invoice_date + 6 <= $as_of then drawn.invoice_date + 6 end as voided_on,
    case when chance(drawn.number, 'credited') < 0.015 then 0.1 + 0.4 * chance(drawn.number, 'credit') else 0 end as credited_share,
    chance(drawn.number, 'fate') as fate
from (
    select
        range as number,
        $as_of - cast(floor(790 * chance(range, 'day')) as integer) as invoice_date,
        1 + cast(floor((select count(*) from accounts) * pow(chance(range, 'customer'), 1.6)) as bigint) as customer_number
    from range(1, 1 + $invoices)
) as drawn
inner join accounts on accounts.number = drawn.customer_number
inner join payment_terms as terms on accounts.payment_terms = terms.payment_terms;

create temp table credits as
select
    *,
    'M' || invoice_id as credit_memo_id,
    invoice_date + 10 as credited_on,
    money(amount * credited_share) as credit
from billed
where credited_share > 0 and voided_on is null and invoice_date + 10 <= $as_of;

-- One in seven invoices is paid in two parts, one in a hundred never; of those, half are written off after 200 days.
create temp table cash as
select
    *,
    invoice_id || '-' || part as allocation_id,
    case when pays_weekly then paid_on + cast((12 - isodow(paid_on)) % 7 as integer) else paid_on end as payment_date
from (
    select
        billed.number,
        billed.invoice_id,
        billed.customer_number,
        billed.customer_id,
        billed.company_id,
        billed.currency,
        billed.invoice_date,
        billed.pays_weekly,
        parts.part,
        greatest(
            billed.due_date + cast(billed.lateness + 30 * pow(chance(billed.number, 'wait'), 3) as integer) + 21 * (parts.part - 1),
            billed.invoice_date
        ) as paid_on,
        case
            when billed.fate < 0.85 then billed.amount - coalesce(credits.credit, 0)
            when parts.part = 1 then money((billed.amount - coalesce(credits.credit, 0)) * 0.6)
            else billed.amount - coalesce(credits.credit, 0) - money((billed.amount - coalesce(credits.credit, 0)) * 0.6)
        end as amount
    from billed
    inner join (values (1), (2)) as parts (part) on parts.part = 1 or billed.fate >= 0.85
    left join credits on billed.invoice_id = credits.invoice_id
    where billed.voided_on is null and billed.fate < 0.99
)
where case when pays_weekly then paid_on + cast((12 - isodow(paid_on)) % 7 as integer) else paid_on end <= $as_of;

-- What a customer pays on a day is one payment. One in a hundred leaves something unapplied, one in 500 bounces.
create temp table payments as
select
    'P' || customer_id || strftime(payment_date, '%y%m%d') as payment_id,
    customer_id,
    company_id,
    currency,
    payment_date,
    amount + case when chance(customer_number, payment_date) > 0.99 then 250 else 0 end as amount,
    'transfer' as method,
    case when chance(customer_number, payment_date) < 0.002 and payment_date + 4 <= $as_of then payment_date + 4 end as reversed_on,
    payment_date + interval 18 hour as updated_at
from (
    select customer_number, customer_id, company_id, currency, payment_date, sum(amount) as amount
    from cash
    group by all
);

create temp table allocations as
select
    allocation_id,
    invoice_id,
    'payment' as source_type,
    payment_date + cast(floor(3 * chance(number, 'keyed')) as integer) as allocated_on,
    amount,
    'P' || customer_id || strftime(payment_date, '%y%m%d') as source_id,
    case when chance(number, 'taken back') < 0.001 and payment_date + 12 <= $as_of then payment_date + 12 end as reversed_on
from cash
union all
select allocation_id, invoice_id, 'credit_memo', credited_on, credit, credit_memo_id, null
from (select invoice_id || '-c' as allocation_id, * from credits)
union all
select invoice_id || '-w', invoice_id, 'write_off', invoice_date + 200, amount - coalesce(credit, 0), null, null
from billed
left join (select invoice_id, credit from credits) as credits using (invoice_id)
where fate >= 0.995 and voided_on is null and invoice_date + 200 <= $as_of;

create temp table invoices as
select
    invoice_id,
    invoice_id as invoice_number,
    customer_id,
    document_type,
    invoice_date,
    currency,
    amount,
    company_id,
    due_date,
    payment_terms,
    money(amount * 0.16) as tax_amount,
    'PO' || (number * 7 % 1000003) as po_number,
    invoice_date - 1 as delivered_on,
    invoice_date + interval 9 hour as sent_at,
    'rep ' || lpad(cast(1 + customer_number % 25 as varchar), 2, '0') as sales_rep,
    ['parts', 'service', 'machines'][1 + number % 3] as product_line,
    voided_on,
    invoice_date + interval 8 hour as updated_at
from billed
union all
select
    credit_memo_id, credit_memo_id, customer_id, 'credit_memo', credited_on, currency, credit, company_id, null, null, null, null, null, null,
    null, null, null, credited_on + interval 8 hour
from credits;

create temp table disputes as
select
    'D' || number as dispute_id,
    invoice_id,
    invoice_date + 15 as opened_on,
    case when chance(number, 'part') < 0.5 then money(amount * 0.3) end as amount,
    ['price', 'quantity', 'quality'][1 + number % 3] as reason,
    case when chance(number, 'settled') < 0.9 and invoice_date + 50 <= $as_of then invoice_date + 50 end as resolved_on
from billed
where chance(number, 'disputed') < 0.008 and invoice_date + 15 <= $as_of and voided_on is null;

create temp table promises as
select
    'R' || number as promise_id,
    customer_id,
    due_date + 12 as made_on,
    due_date + 22 as promised_date,
    amount,
    invoice_id
from billed
where chance(number, 'promised') < 0.01 and due_date + 12 <= $as_of and lateness > 10 and voided_on is null;

create temp table activities as
select
    'A' || number as activity_id,
    customer_id,
    due_date + interval 10 hour as occurred_at,
    invoice_id,
    'call' as channel,
    'spoke to accounts' as outcome
from billed
where chance(number, 'called') < 0.02 and due_date + 1 <= $as_of;

create temp table credit_reviews as
select
    'V' || number as review_id,
    customer_id,
    $as_of - cast(400 * chance(number, 'review') as integer) as reviewed_on,
    'credit' as reviewer,
    cast(1 + cast(floor(3 * chance(number, 'tier')) as integer) as varchar) as tier
from accounts
where chance(number, 'reviewed') < 0.6;

create temp table credit_scores as
select
    'plain' as bureau,
    $as_of - 10 - cast(91 * quarter as integer) as scored_on,
    'score_100' as score_code,
    cast(cast(20 + 75 * chance(number, 'score') + 5 * chance(number * 10 + quarter, 'drift') as integer) as varchar) as raw_score,
    customer_id,
    'active' as status,
    cast(30 * chance(number * 10 + quarter, 'bureau') as decimal(18, 1)) as dbt,
    cast(8.5 as decimal(18, 1)) as industry_dbt
from accounts
cross join (select range as quarter from range(8))
where chance(number, 'scored') < 0.6;

-- The ledger's own control account, kept the way a general ledger keeps it: per document, not per customer or interval.
create temp table control_balances as
with standing as (
    select allocations.*
    from allocations
    left join payments on allocations.source_id = payments.payment_id
    where allocations.allocated_on <= $as_of and allocations.reversed_on is null and payments.reversed_on is null
),

lines as (
    select
        company_id,
        currency,
        case when document_type = 'credit_memo' then -1 else 1 end * (invoices.amount - coalesce(used.amount, 0)) as open_amount
    from invoices
    left join (
        select invoice_id as document, sum(amount) as amount from standing group by all
        union all
        select source_id, sum(amount) from standing where source_type = 'credit_memo' group by all
    ) as used on invoices.invoice_id = used.document
    where voided_on is null
    union all
    select company_id, currency, -(payments.amount - coalesce(used.amount, 0))
    from payments
    left join (select source_id, sum(amount) as amount from standing group by all) as used on payments.payment_id = used.source_id
    where reversed_on is null
)

select
    lines.company_id,
    $as_of as as_of,
    sum(case when lines.currency = companies.currency then open_amount else money(open_amount * rate) end) as balance
from lines
inner join companies using (company_id)
cross join (select rate from exchange_rates order by rate_date desc limit 1)
group by lines.company_id;
