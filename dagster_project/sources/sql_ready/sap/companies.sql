select
    bukrs as company_id,
    butxt as name,
    upper(waers) as currency,
    land1 as country
from t001
