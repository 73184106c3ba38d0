with payments as (
    select * from {{ ref('int_payments') }}
    where reference is not null
),

documents as (
    select * from {{ ref('int_documents') }}
    where
        {{ is_receivable('document_type') }}
        and length(document_number) >= {{ policy_value('cash_application_policy', 'shortest_number') }}
),

allocations as (
    select * from {{ ref('stg_erp__allocations') }}
    where source_type = 'payment'
),

first_allocations as (
    select
        source_id as payment_id,
        min(allocated_on) as allocated_on
    from allocations
    group by source_id
),

-- From the day of its first allocation on a payment is the source's to apply.
silent_payments as (
    select
        payments.document_key as source_key,
        payments.customer_id,
        payments.currency,
        payments.named_company_id,
        payments.payment_date,
        first_allocations.allocated_on,
        {{ marked_words('payments.reference') }} as reference
    from payments
    left join first_allocations on payments.payment_id = first_allocations.payment_id
    where
        (first_allocations.allocated_on is null or first_allocations.allocated_on > payments.payment_date)
        and (payments.reversed_on is null or payments.reversed_on > payments.payment_date)
),

as_printed as (
    select
        documents.document_key,
        documents.customer_id,
        documents.currency,
        documents.company_id,
        documents.document_date,
        {{ marked_words('documents.document_number') }} as number
    from documents
    where exists (
        select 1
        from silent_payments
        where silent_payments.customer_id = documents.customer_id and silent_payments.currency = documents.currency
    )
),

numbered as (
    select
        document_key,
        customer_id,
        currency,
        company_id,
        document_date,
        {{ from_first_to_last_word('number') }} as number
    from as_printed
),

-- A number is looked for by its rarest word: a year, or INV, stands in very many.
words_of_numbers as (
    {{ rows_of_words('numbered', ['document_key', 'customer_id', 'currency'], 'number') }}
),

rarest_words as (
    select
        words_of_numbers.document_key,
        words_of_numbers.customer_id,
        words_of_numbers.currency,
        min_by(words_of_numbers.word, spread.documents) as word
    from words_of_numbers
    inner join (select word, count(*) as documents from words_of_numbers group by word) as spread on words_of_numbers.word = spread.word
    group by words_of_numbers.document_key, words_of_numbers.customer_id, words_of_numbers.currency
),

words_of_references as (
    {{ rows_of_words('silent_payments', ['source_key', 'customer_id', 'currency'], 'reference') }}
),

with_a_word_in_common as (
    select distinct
        words_of_references.source_key,
        rarest_words.document_key
    from words_of_references
    inner join rarest_words
        on words_of_references.word = rarest_words.word
        and words_of_references.customer_id = rarest_words.customer_id
        and words_of_references.currency = rarest_words.currency
),

-- A payment that names its entity names documents of that entity.
standing_in as (
    select
        silent_payments.source_key,
        numbered.document_key,
        silent_payments.reference,
        numbered.number,
        silent_payments.allocated_on,
        numbered.document_date,
        greatest(silent_payments.payment_date, numbered.document_date) as named_on
    from with_a_word_in_common
    inner join silent_payments on with_a_word_in_common.source_key = silent_payments.source_key
    inner join numbered on with_a_word_in_common.document_key = numbered.document_key
    where
        instr(silent_payments.reference, numbered.number) > 0
        and (silent_payments.named_company_id is null or silent_payments.named_company_id = numbered.company_id)
        and (silent_payments.allocated_on is null or silent_payments.allocated_on > numbered.document_date)
),

numbers as (
    select
        source_key,
        number,
        min(document_date) as first_borne_on
    from standing_in
    group by source_key, number
),

-- "RE-6001-2" names RE-6001, but not where the customer was sent an RE-6001-2 by then: a number counts where it stands outside longer ones.
within_longer as (
    select
        standing_in.source_key,
        standing_in.document_key
    from standing_in
    inner join numbers as longer
        on standing_in.source_key = longer.source_key
        and length(longer.number) > length(standing_in.number)
        and longer.first_borne_on <= standing_in.named_on
    where instr(longer.number, standing_in.number) > 0
    group by standing_in.source_key, standing_in.document_key, standing_in.reference, standing_in.number
    having
        sum({{ times_in('standing_in.reference', 'longer.number') }})
        >= {{ times_in('standing_in.reference', 'standing_in.number') }}
)

select
    standing_in.source_key,
    standing_in.document_key,
    standing_in.number,
    standing_in.named_on,
    standing_in.allocated_on
from standing_in
left join within_longer
    on standing_in.source_key = within_longer.source_key
    and standing_in.document_key = within_longer.document_key
where within_longer.source_key is null
