"""A morning that is built anew after somebody was forgotten: every figure and key as it was, and no name.

Belongs here: whole nights around a forgetting. Does not belong here: where names are looked for (`unit/test_forgetting.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from nights import AS_OF, LEDGER, House, opened, read_csv

OF_PEOPLE = ("name", "email", "phone", "note")

CHANGED = ("run", "customer_data_issues", "dunning_worklist", "dunning_items", "dunning_changes", "watch_list")
"""Two without a name are no likely duplicates, and whoever has no address left is written to by nobody."""


def figures(house: House) -> dict[str, list[tuple[Any, ...]]]:
    """Every mart without its words: keys, days, numbers, flags."""
    found = {}
    with opened(house.published / "arrears.duckdb") as con:
        for (mart,) in con.execute("select table_name from duckdb_tables() where database_name = 'marts'").fetchall():
            columns = con.execute(f'select column_name, column_type from (describe "{mart}")').fetchall()
            kept = ", ".join(f'"{name}"' for name, kind in columns if kind != "VARCHAR" or name.endswith("_id"))
            if kept and mart not in CHANGED:
                found[mart] = con.execute(f'select {kept} from "{mart}" order by all').fetchall()
    return found


@pytest.mark.faults
def test_a_morning_replayed_after_somebody_was_forgotten_ties_and_knows_no_name(tmp_path: Path) -> None:
    house = House(tmp_path / "home")
    night = house.run(AS_OF)
    assert night.success, night.reasons
    ((customer,),) = house.ask("select customer_id from dunning_worklist order by rank limit 1")
    people = [
        row for name in ("customers", "contacts") for row in read_csv(LEDGER / f"{name}.csv") if row["customer_id"] == customer
    ]
    words = {row[column] for row in people for column in OF_PEOPLE if len(row.get(column) or "") > 3}
    before, items = figures(house), read_csv(house.worklist(AS_OF) / "worklist_items.csv")
    assert words and any(word in (house.worklist(AS_OF) / "worklist.csv").read_text("utf-8") for word in words)

    forgotten = house.command("forget", "--customer", customer)
    assert forgotten.code == 0, forgotten.err
    again = house.run(AS_OF)

    assert again.success, again.reasons
    assert figures(house) == before
    kept = ("item_id", "customer_id", "open_amount")
    there = read_csv(house.worklist(AS_OF) / "worklist_items.csv")
    assert sorted([row[name] for name in kept] for row in there) == sorted([row[name] for name in kept] for row in items)
    mine = [row for row in there if row["customer_id"] == customer and not row["held_reason"]]
    assert mine == [], "nobody is left there to write to"
    told = str(house.marts()) + "".join(path.read_text("utf-8") for path in house.worklist(AS_OF).glob("*.[cj]s*"))
    assert [word for word in sorted(words) if word in told] == []
    assert len(house.loads("customers")) <= 1, "the source was not asked again"
