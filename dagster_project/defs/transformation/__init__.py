"""From landing to marts: the dbt project as assets, its tests as checks."""
