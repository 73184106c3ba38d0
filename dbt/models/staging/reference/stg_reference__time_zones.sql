with time_zones as (
    select * from {{ source('reference', 'time_zones') }}
)

select timezone
from time_zones
