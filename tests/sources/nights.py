"""Nights of a connector on its stand-in beside nights of `files` on the same book, and whether their marts are equal.

Belongs here: delivering, landing, building and comparing. Does not belong here: the book, any vendor.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from dagster_project.contract import DATASETS
from dagster_project.landing import Landing, Manifest, rows_select
from dagster_project.sources import Connector, Opening, Source
from dagster_project.sources.files import FilesSource
from tests import compiled
from tests.sources import one_book
from tests.sources.one_book import FIRST, SECOND, Book

MARTS = ("open_items", "roll_forward", "document_reconciliation")
NONE = Decimal(0)
ERP = [dataset for dataset in DATASETS.values() if dataset.group == "erp"]

Marts = Mapping[str, Collection[tuple[Any, ...]]]


@dataclass
class Desk:
    """A home, and a connector that lands into it night after night."""

    folder: Path
    connector: Connector
    own: Mapping[str, Any]
    opened: Mapping[str, Any] = field(default_factory=dict)
    manifests: dict[str, Manifest] = field(default_factory=dict)
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def landing(self) -> Landing:
        return Landing(self.folder / "landing", self.folder / "quarantine")

    def night(self, as_of: date, *, full: bool = False) -> None:
        """Pull and land what there is, as a run does."""
        with ExitStack() as stack:
            source = self.source(as_of, stack)
            for dataset in ERP:
                since = None if full else self.landing.cursor(dataset, as_of)
                delivery = source.fetch(dataset, since)
                self.manifests[dataset.name] = self.landing.land(dataset, delivery, as_of, since=since, quarantine_share=NONE)
                self.left_out[dataset.name] = dict(delivery.left_out) if delivery else {}

    def source(self, as_of: date, stack: ExitStack) -> Source:
        settings = self.connector.settings(**self.own)
        return self.connector.opened(settings, Opening(as_of, self.folder, stack), **self.opened)

    def rows(self, dataset: str) -> list[dict[str, Any]]:
        """What counts of a dataset now."""
        declared = DATASETS[dataset]
        key = ", ".join(declared.key)
        with duckdb.connect() as con:
            select = rows_select(declared, con, self.landing.loads(declared))
            return (
                con.sql(
                    f"select * from ({select}) qualify row_number() over (partition by {key} order by _loaded_at desc) = 1 and not _deleted"
                )
                .to_arrow_table()
                .to_pylist()
            )

    def marts(self, as_of: date) -> Marts:
        return built(self.landing, as_of)


def built(landing: Landing, as_of: date) -> Marts:
    """The marts of a morning in what is the same whatever a system calls its records: customers and entities by name."""
    nodes = compiled.needed_for(compiled.compiled(), *MARTS)
    morning = compiled.build(nodes, landing, as_of, test=False)
    found = {
        mart: sorted(morning.con.sql(sql).fetchall(), key=str)
        for mart, sql in {
            "open_items": _named(
                "open_items",
                "item_type, case when item_type <> 'payment' then document_number end, document_date, due_date, original_due_date, "
                "currency, original_amount, open_amount, open_amount_base, open_amount_reporting, days_past_due, aging_bucket, "
                "over_allocated",
            ),
            "roll_forward": (
                "select companies.name, m.* exclude (company_id) from published.marts.roll_forward as m "
                "left join arrears.intermediate.int_companies as companies on m.company_id = companies.company_id"
            ),
        }.items()
    }
    assert morning.rows("document_reconciliation") == [], "what the source says is open of a document is what is"
    morning.con.close()
    return found


def differences(ours: Marts, theirs: Marts) -> list[str]:
    """Rows of one and not of the other."""
    found = []
    for mart, rows in ours.items():
        found += [f"{mart}: only the connector has {row}" for row in rows if row not in theirs[mart]]
        found += [f"{mart}: only the files have {row}" for row in theirs[mart] if row not in rows]
    assert all(len(rows) == len(theirs[mart]) > 0 for mart, rows in ours.items()) or found
    return found


def _named(mart: str, columns: str) -> str:
    told = ", ".join(column if column.startswith("case") else f"m.{column}" for column in columns.split(", "))
    return (
        f"select companies.name, customers.name, {told} from published.marts.{mart} as m "
        "left join arrears.intermediate.int_customers as customers on m.customer_id = customers.customer_id "
        "left join arrears.intermediate.int_companies as companies on m.company_id = companies.company_id"
    )


@cache
def by_files(nights: int, traits: frozenset[str]) -> Marts:
    """The marts that the book makes through `files`, after one night or two."""
    return _by_files(traits)[nights - 1]


@cache
def _by_files(traits: frozenset[str]) -> list[Marts]:
    with TemporaryDirectory() as folder:
        landing = Landing(Path(folder) / "landing", Path(folder) / "quarantine")
        found = []
        for as_of, book in ((FIRST, one_book.first), (SECOND, one_book.second)):
            _deliver(book(traits=traits), Path(folder) / f"delivery-{as_of}", landing, as_of)
            found.append(built(landing, as_of))
        return found


def _deliver(book: Book, folder: Path, landing: Landing, as_of: date) -> None:
    folder.mkdir()
    (folder / "files.toml").write_text('decimal = "."\n', "utf-8")
    for name, rows in book.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, DATASETS[name].column_names, restval="")
            writer.writeheader()
            writer.writerows(rows)
    source = FilesSource(folder)
    for dataset in ERP:
        landing.land(dataset, source.fetch(dataset, None), as_of, quarantine_share=NONE)


def secrets_in(folder: Path, secrets: Collection[str], *, but: Collection[Path] = ()) -> list[Path]:
    """Files of a home that hold a secret."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and path not in but and any(secret.encode() in path.read_bytes() for secret in secrets)
    ]


def pulled(desk: Desk, dataset: str, since: Any = None) -> list[dict[str, Any]]:
    """What a connector has of a dataset, without landing it."""
    with ExitStack() as stack:
        delivery = desk.source(FIRST, stack).fetch(DATASETS[dataset], since)
        assert delivery is not None
        return [row for page in delivery.pages for row in page.to_pylist()]
