"""Landing: the append-only store of everything a source ever said. `store` keeps it, `judge` says what may land, `loads` is how it lies
on disk, `chain` says whether it is still what it was, `read` reads it."""

from dagster_project.landing.chain import Damage
from dagster_project.landing.loads import LandingError, Load, Manifest
from dagster_project.landing.read import empty_select, rows_select
from dagster_project.landing.store import DamagedError, Known, Landing

__all__ = ["Damage", "DamagedError", "Known", "Landing", "LandingError", "Load", "Manifest", "empty_select", "rows_select"]
