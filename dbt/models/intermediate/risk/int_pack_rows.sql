{#- A part of int_pack_faults, within it: nothing else reads it. -#}
{{ config(materialized=part()) }}
with terms as (
    select * from {{ ref('risk_tier_terms') }}
),

weights as (
    select * from {{ ref('risk_weights') }}
),

criteria as (
    select * from {{ ref('risk_criteria') }}
),

steps as (
    select * from {{ ref('dunning_steps') }}
)

select 'risk_tier_terms.csv' as file, policy, 'tier ' || tier as subject, valid_from, valid_to from terms
union all
select 'risk_weights.csv' as file, policy, 'factor ' || factor as subject, valid_from, valid_to from weights
union all
select
    'risk_criteria.csv' as file,
    policy,
    'tier ' || tier || ' ' || effect || ' ' || factor || ' ' || operator as subject,
    valid_from,
    valid_to
from criteria
union all
select 'dunning_steps.csv' as file, policy, 'tier ' || tier || ' step ' || step as subject, valid_from, valid_to from steps
