"""How well the tiers foretell who pays late: a past morning's verdicts of every pack, held against what was paid afterwards.

Run by hand: `python tests/benchmarks/tier_lift.py FOLDER_OF_FILES DATE`. The verdicts are made from what is dated up to the morning;
the outcome is counted over the invoices issued after it, which no verdict has seen. Lift is a tier's share of late invoices over the
book's: 1 tells nothing, 2 means twice as many. A tier that holds everybody cannot tell anything, but the score behind it may: hence the
fifths of the customers by score, 1 the best.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT)]

from dagster_project.contract import DATASETS  # noqa: E402
from dagster_project.landing import Landing  # noqa: E402
from dagster_project.sources.files import FilesSource  # noqa: E402
from tests import compiled  # noqa: E402

LATE_DAYS = (0, 10, 20)
"""An invoice counts as late when it was paid more than so many days after its due date."""

OUTCOMES = """
create temp table outcomes as
select invoices.customer_id, invoices.amount, datediff('day', invoices.due_date, settled.settled_on) as days_late
from erp.invoices
join (select invoice_id, max(allocated_on) as settled_on from erp.allocations group by 1) as settled using (invoice_id)
where invoices.invoice_date > date '{as_of}'
"""


def main(folder: Path, as_of: date) -> None:
    nodes = compiled.needed_for(compiled.compiled(), "policy_comparison")
    with tempfile.TemporaryDirectory() as scratch:
        landing = Landing(Path(scratch) / "landing", Path(scratch) / "quarantine")
        source = FilesSource(folder)
        for dataset in DATASETS.values():
            landing.land(dataset, source.fetch(dataset, None), as_of)
        built = compiled.build(nodes, landing, as_of, Path(scratch) / "warehouse", test=False)
        built.con.execute(OUTCOMES.format(as_of=as_of))
        lates = ", ".join(f"avg(case when days_late > {days} then 1.0 else 0 end) as late_{days}" for days in LATE_DAYS)
        book = built.con.execute(f"select count(*), count(distinct customer_id), {lates} from outcomes").fetchall()[0]
        print(f"{book[0]:,} invoices of {book[1]} customers were issued after {as_of} and paid since. Later than", end="")
        print(", ".join(f" {days} days: {share:.1%}" for days, share in zip(LATE_DAYS, book[2:], strict=True)))
        print(
            f"\n{'pack':<10} {'tier':<14} {'customers':>9} {'invoices':>9}", *(f"{f'lift > {days} d':>12}" for days in LATE_DAYS)
        )
        rows = built.con.execute(
            f"""
            select policy, tier_indicated, count(distinct customer_id), count(outcomes.customer_id), {lates}
            from published.marts.policy_comparison left join outcomes using (customer_id)
            group by policy, tier_indicated, tier_rank order by policy, tier_rank
            """
        ).fetchall()
        rows += built.con.execute(
            f"""
            select policy, 'fifth ' || fifth, count(distinct customer_id), count(outcomes.customer_id), {lates}
            from (
                select policy, customer_id, ntile(5) over (partition by policy order by risk_score, customer_id) as fifth
                from published.marts.policy_comparison
            ) left join outcomes using (customer_id) group by policy, fifth order by policy, fifth
            """
        ).fetchall()
        for policy, tier, customers, invoices, *shares in rows:
            lifts = [share / whole if invoices else float("nan") for share, whole in zip(shares, book[2:], strict=True)]
            print(f"{policy:<10} {tier:<14} {customers:>9} {invoices:>9,}", *(f"{lift:>12.2f}" for lift in lifts))
        built.con.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), date.fromisoformat(sys.argv[2]))
