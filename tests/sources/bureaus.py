"""Nights of a bureau on its stand-in: who is due as the last morning published it, and what lands.

Belongs here: the list, a night, what landed. Does not belong here: any bureau.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dagster_project import duck
from dagster_project.contract import TABLES, sources
from dagster_project.landing import Landing, Manifest, rows_select
from dagster_project.sources import Connector, Opening

MADE = date(2025, 6, 29)
MORNING = MADE + timedelta(days=1)
COLUMNS = ("bureau", "customer_id", "customer_name", "country", "region", "registration_number", "state", "place")


@dataclass
class Office:
    """A home, and a bureau that is asked night after night."""

    folder: Path
    connector: Connector
    own: Mapping[str, Any]
    opened: Mapping[str, Any] = field(default_factory=lambda: {"wait": 0.0, "pause": 0.0})
    manifests: dict[str, Manifest] = field(default_factory=dict)

    @property
    def landing(self) -> Landing:
        return Landing(self.folder / "landing", self.folder / "quarantine")

    @property
    def matches(self) -> Path:
        return self.folder / "matches" / f"{self.connector.name}.csv"

    def due(self, *customers: tuple[str, ...], made: date = MADE) -> None:
        """Publish the list of who is due, most at stake first: customer, name, country, number, and where it is another state, that."""
        rows = [
            {
                "bureau": self.connector.name,
                "customer_id": customer[0],
                "customer_name": customer[1],
                "country": customer[2],
                "region": customer[5] if len(customer) > 5 else None,
                "registration_number": customer[3] or None,
                "state": customer[4] if len(customer) > 4 else "next_night",
                "place": place,
            }
            for place, customer in enumerate(customers, start=1)
        ]
        schema = pa.schema([(name, pa.int32() if name == "place" else pa.string()) for name in COLUMNS])
        self.publish(pa.Table.from_pylist(rows, schema), made)

    def publish(self, mart: pa.Table, made: date) -> None:
        """Put a morning's list where a night looks for it."""
        parquet = self.folder / "published" / "parquet"
        parquet.mkdir(parents=True, exist_ok=True)
        pq.write_table(mart, parquet / "bureau_reports_due.parquet")
        pq.write_table(pa.table({"as_of": [made]}), parquet / "run.parquet")

    def night(self, as_of: date = MORNING, *, lands: bool = True, trial: bool = False) -> None:
        """Ask and land, as a run does; a night that is killed lands nothing."""
        with ExitStack() as stack:
            opening = Opening(as_of, self.folder, stack, is_trial=trial)
            source = self.connector.opened(self.connector.settings(**self.own), opening, **self.opened)
            for dataset in (*sources("bureau"), *sources("inquiries")):
                delivery = source.fetch(dataset, None)
                if lands:
                    landed = self.landing.land(dataset, delivery, as_of, quarantine_share=Decimal(0))
                    self.manifests[dataset.name] = landed

    def rows(self, dataset: str, *columns: str) -> Sequence[tuple[Any, ...]]:
        """What counts of a dataset now."""
        declared = TABLES[dataset]
        with duck.scratch(self.landing.folder) as con:
            select = rows_select(declared, con, self.landing.loads(declared))
            newest = f"row_number() over (partition by {', '.join(declared.key)} order by _loaded_at desc) = 1"
            return con.sql(
                f"select {', '.join(columns)} from ({select}) qualify {newest} and not _deleted order by all"
            ).fetchall()

    @property
    def left_out(self) -> Mapping[str, int]:
        return self.manifests["credit_scores"].left_out
