"""Landing: the append-only store of everything a source ever said. `store` keeps it, `judge` says what may land, `read` reads it."""

from dagster_project.landing.read import empty_select, rows_select
from dagster_project.landing.store import Known, Landing, LandingError, Load, Manifest

__all__ = ["Known", "Landing", "LandingError", "Load", "Manifest", "empty_select", "rows_select"]
