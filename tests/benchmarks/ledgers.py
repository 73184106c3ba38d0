"""Books of any size for the benchmarks, as Parquet files of the contract.

Belongs here: running `ledgers.sql` and writing its tables. Does not belong here: what is measured with them (`volumes.py`).
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb

from dagster_project.contract import DATASETS

STATEMENTS = Path(__file__).with_suffix(".sql")


def write(folder: Path, invoices: int, as_of: date, memory_limit: str = "2GB", customers: int = 0) -> dict[str, int]:
    """Write a book of so many invoices up to a morning, of `customers` or, where that is 0, of one for every fifty. Returns how many
    records each dataset has."""
    folder.mkdir(parents=True)
    con = duckdb.connect(config={"memory_limit": memory_limit, "temp_directory": str(folder / "spill")})
    try:
        con.execute("set preserve_insertion_order = false")
        script = STATEMENTS.read_text("utf-8").replace("$invoices", str(invoices)).replace("$as_of", f"date '{as_of}'")
        con.execute(script.replace("$accounts", str(customers or max(invoices // 50, 20))))
        names = [name for (name,) in con.execute("select table_name from duckdb_tables() where temporary").fetchall()]
        counts = {}
        for dataset in (dataset for dataset in DATASETS.values() if dataset.name in names):
            made = [row[0] for row in con.execute(f"describe {dataset.name}").fetchall()]
            columns = ", ".join(column for column in made if column in dataset.by_name)
            path = folder / f"{dataset.name}.parquet"
            con.execute(f"copy (select {columns} from {dataset.name}) to '{path}' (format parquet, compression zstd)")
            counts[dataset.name] = con.execute(f"select count(*) from {dataset.name}").fetchall()[0][0]
        return counts
    finally:
        con.close()
