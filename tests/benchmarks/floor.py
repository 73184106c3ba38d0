"""Run the floor's scripts over a folder of files, in a process of its own: what `volumes.py` measures a night's marts against."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import duckdb

SCRIPTS = [Path(__file__).parent / "floor" / f"{part}.sql" for part in ("ledger", "risk", "figures")]


def build(folder: Path, file: Path, as_of: date, memory_limit: str) -> None:
    """Build the tables of the floor from a folder of Parquet files into a new DuckDB file."""
    con = duckdb.connect(str(file), config={"memory_limit": memory_limit, "temp_directory": f"{file}.spill"})
    try:
        con.execute("set preserve_insertion_order = false")
        for script in SCRIPTS:
            con.execute(script.read_text("utf-8").replace("$folder", str(folder)).replace("$as_of", f"date '{as_of}'"))
    finally:
        con.close()


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(sys.argv[2]), date.fromisoformat(sys.argv[3]), sys.argv[4])
