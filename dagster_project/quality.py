"""Is what just landed plausible as a whole? Expectations of each load, beside the loads before it.

Belongs here: Great Expectations suites over what a load was (everything received is accounted for, share refused, volume, age of
the newest record, size of amounts, columns that came empty), the worker process that runs them, and the data docs. Does not belong here:
judging single records (landing refuses those by the contract), rules about rows in the warehouse (dbt tests).

Great Expectations takes seconds to import. The worker — `python -m dagster_project.quality` — does that in its own process while
the night is still fetching, takes one JSON request a line and answers with one JSON verdict a line.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from dagster_project.contract import Dataset
from dagster_project.landing import Landing, Load
from dagster_project.policy import EVERY_PACK, LandingLimits, limits_of

TRAILING_LOADS = 14
"""Loads before a load's own whose median is the usual volume: two weeks of nights. What may differ from it, `landing_limits` says."""

FEWEST_ROWS = 30
"""Rows of a load from which amounts and filled columns say what is usual."""

OFTEN_FILLED = 0.5
"""Share of the rows of earlier loads with a value, from which a column that comes empty is missed."""


@dataclass(frozen=True)
class LoadFacts:
    """What a load was beside the loads before it, and the morning and policy pack it is judged for. Shares are of 1, ages are days, None
    is unknown. `amount_ratio`: its median amount to theirs, in its commonest currency; `emptied`: columns that used to be filled."""

    dataset: str
    load_id: str
    received: int
    accounted_for: int
    quarantined_share: float
    volume_share: float | None
    age_days: int | None
    amount_ratio: float | None
    emptied: Sequence[str]
    as_of: str
    pack: str


@dataclass(frozen=True)
class Verdict:
    """What the expectations say of a load: each broken one in words."""

    dataset: str
    load_id: str
    evaluated: int
    broken: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.broken


def facts_of(landing: Landing, dataset: Dataset, load: Load, as_of: date, pack: str = EVERY_PACK) -> LoadFacts:
    """Describe a load beside the loads before it."""
    manifest = load.manifest
    known = landing.loads(dataset, as_of)
    earlier = known[: known.index(load)][-TRAILING_LOADS:] if load in known else known[-TRAILING_LOADS:]
    newest = date.fromisoformat(manifest.newest_on) if manifest.newest_on else None
    return LoadFacts(
        dataset=dataset.name,
        load_id=load.load_id,
        received=manifest.received,
        accounted_for=manifest.landed - manifest.tombstones + manifest.unchanged + manifest.repeated + manifest.quarantined,
        quarantined_share=manifest.quarantined / manifest.received if manifest.received else 0.0,
        volume_share=_volume_share(load, earlier),
        age_days=max((as_of - newest).days, 0) if newest else None,
        amount_ratio=_amount_ratio(dataset, load, earlier),
        emptied=_emptied(dataset, load, earlier),
        as_of=as_of.isoformat(),
        pack=pack,
    )


def _volume_share(load: Load, earlier: Sequence[Load]) -> float | None:
    """Records of a whole load to the median of the mornings before it."""
    if not load.manifest.full or load.manifest.absent:
        return None
    usual: dict[date, int] = {}  # a morning counts once, with its best: retries must not make a collapse the usual
    for other in earlier:
        if other.manifest.full and other.manifest.received:
            usual[other.as_of] = max(usual.get(other.as_of, 0), other.manifest.received)
    if len(usual) > 1:
        usual.pop(load.as_of, None)
    return load.manifest.received / statistics.median_high(usual.values()) if usual else None


def _amount_ratio(dataset: Dataset, load: Load, earlier: Sequence[Load]) -> float | None:
    """Cents for euros, or decimals that moved: each record alone is fine, all of them are a hundred times too large."""
    if not {"amount", "currency"} <= set(dataset.column_names):
        return None
    mine, before = _median_amounts([load]), _median_amounts(earlier)
    common = [currency for currency in mine if before.get(currency)]
    return mine[common[0]] / before[common[0]] if common else None


def _median_amounts(loads: Sequence[Load]) -> dict[str, float]:
    """The median amount of those loads by currency, the commonest first, of currencies with enough of them."""
    import pyarrow as pa

    tables = []
    for load in loads:
        if load.rows is not None:
            with pq.ParquetFile(load.rows) as file:  # which it may share with others
                rows = file.read(["amount", "currency", "_deleted", "_load_id"])
            tables.append(rows.filter(pc.and_(pc.invert(rows["_deleted"]), pc.equal(rows["_load_id"], load.load_id))))
    if not tables:
        return {}
    rows = pa.concat_tables(tables)
    counts = {found["values"]: found["counts"] for found in pc.value_counts(rows["currency"]).to_pylist() if found["values"]}
    medians = {}
    for currency, count in sorted(counts.items(), key=lambda found: (-found[1], found[0])):
        if count >= FEWEST_ROWS:
            amounts = rows.filter(pc.equal(rows["currency"], currency))["amount"].cast(pa.float64())
            medians[currency] = float(pc.approximate_median(amounts).as_py())
    return medians


def _emptied(dataset: Dataset, load: Load, earlier: Sequence[Load]) -> list[str]:
    """Optional columns without one value, that most rows of the loads before had one in: an export lost them."""
    mine, before = _filled([load]), _filled(earlier)
    if mine is None or before is None:
        return []
    optional = [column.name for column in dataset.columns if not column.required]
    return [name for name in optional if mine.get(name, 0) == 0 and before.get(name, 0) >= OFTEN_FILLED]


def _filled(loads: Sequence[Load]) -> dict[str, float] | None:
    """The share of rows with a value by column, as the files themselves count; None of too few. What shares a file is not told apart."""
    rows, filled = 0, dict[str, int]()
    for load in loads:
        if load.rows is None:
            continue
        metadata = pq.read_metadata(load.rows)
        if metadata.num_rows != load.manifest.landed:
            continue
        rows += metadata.num_rows - load.manifest.tombstones
        for group in range(metadata.num_row_groups):
            for place in range(metadata.num_columns):
                column = metadata.row_group(group).column(place)
                if column.statistics is None or column.statistics.null_count is None:
                    return None
                name = column.path_in_schema
                filled[name] = filled.get(name, 0) + column.num_values - column.statistics.null_count
    return {name: count / rows for name, count in filled.items()} if rows >= FEWEST_ROWS else None


def validate(facts: LoadFacts) -> Verdict:
    """Hold the expectations of its dataset against a load."""
    limits = limits_of(facts.dataset, facts.pack, date.fromisoformat(facts.as_of))
    outcome = _outcome(facts, _expectations(facts, limits))
    broken = []
    for result in outcome.results:
        if result.success:
            continue
        config = result.expectation_config
        raised = result.exception_info.get("exception_message") if isinstance(result.exception_info, dict) else None
        column = config.kwargs.get("column") or "accounted_for"
        if raised:
            broken.append(f"{column}: {raised}")
            continue
        told = {**asdict(facts), **{name: value for name, value in config.kwargs.items() if value is not None}}
        broken.append(
            f"{column}: {_SAID[column].format(**told, found=getattr(facts, column, None), lost=', '.join(facts.emptied))}"
        )
    return Verdict(facts.dataset, facts.load_id, len(outcome.results), broken)


def _expectations(facts: LoadFacts, limits: LandingLimits) -> list[Any]:
    import great_expectations.expectations as gxe

    between = gxe.ExpectColumnValuesToBeBetween
    expectations: list[Any] = [
        gxe.ExpectColumnPairValuesToBeEqual(column_A="received", column_B="accounted_for"),
        between(column="quarantined_share", max_value=float(limits.max_quarantined_share)),
        between(column="emptied_columns", max_value=0),
    ]
    if facts.volume_share is not None:
        floor = float(limits.min_volume_share)
        expectations.append(between(column="volume_share", min_value=floor, strict_min=floor == 0))
    if limits.max_age_days is not None and facts.age_days is not None:
        expectations.append(between(column="age_days", max_value=limits.max_age_days))
    if limits.max_amount_ratio is not None and facts.amount_ratio is not None:
        most = float(limits.max_amount_ratio)
        expectations.append(between(column="amount_ratio", min_value=1 / most, max_value=most))
    return expectations


_SAID = {
    "accounted_for": "records received and records accounted for differ: {received:,} and {accounted_for:,}",
    "age_days": "the newest record is of {found} days ago, policy allows {max_value} (landing_limits.csv)",
    "volume_share": "{found:.0%} of the records of the loads before, policy asks for {min_value:.0%} (landing_limits.csv)",
    "quarantined_share": "{found:.1%} of the records were refused, policy allows {max_value:.1%} (landing_limits.csv)",
    "amount_ratio": "the median amount is {found:.3g} times that of the loads before, policy allows {max_value:g} times or its reciprocal "
    "(landing_limits.csv): did a decimal sign move?",
    "emptied_columns": "{lost} came without one value and used to be filled: did the export lose a column?",
}
"""What is said of a load as a whole: what was found, and the limit it broke."""


def _outcome(facts: LoadFacts, expectations: list[Any]) -> Any:
    """What Great Expectations says of the one row that a load is."""
    import great_expectations as gx
    import pandas as pd

    row = {**asdict(facts), "emptied_columns": len(facts.emptied), "emptied": ", ".join(facts.emptied)}
    suite = gx.ExpectationSuite(name=facts.dataset, expectations=expectations)
    batch = _context().get_batch({"dataframe": pd.DataFrame([row])})
    return batch.validate(suite, result_format="BOOLEAN_ONLY")  # what was found is in the facts


_cached_context: Any = None


def _context() -> Any:
    """One quiet, ephemeral context for the process: it writes no files, phones nobody, draws no bars."""
    global _cached_context
    if _cached_context is None:
        os.environ["GX_ANALYTICS_ENABLED"] = "false"
        import great_expectations as gx

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False, "metric_calculations": False}  # type: ignore[assignment]
        asset = context.data_sources.add_pandas("landing").add_dataframe_asset("loads")
        _cached_context = asset.add_batch_definition_whole_dataframe("whole")
    return _cached_context


def write_data_docs(facts: Sequence[LoadFacts], folder: Path) -> Path:
    """Great Expectations' own pages about those loads, with an index; returns the index. They take their style from the network where
    they are opened, which is why no night writes them."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    import pandas as pd

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}  # type: ignore[assignment]
    folder.mkdir(parents=True, exist_ok=True)
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)}
    site = {"class_name": "SiteBuilder", "show_how_to_buttons": False, "store_backend": store}
    context.add_data_docs_site("loads", {**site, "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"}})
    source = context.data_sources.add_pandas("landing")
    for fact in facts:
        limits = limits_of(fact.dataset, fact.pack, date.fromisoformat(fact.as_of))
        suite = context.suites.add(gx.ExpectationSuite(name=fact.dataset, expectations=_expectations(fact, limits)))
        batch = source.add_dataframe_asset(fact.dataset).add_batch_definition_whole_dataframe("newest load")
        definition = context.validation_definitions.add(gx.ValidationDefinition(name=fact.dataset, data=batch, suite=suite))
        row = {**asdict(fact), "emptied_columns": len(fact.emptied), "emptied": ", ".join(fact.emptied)}
        definition.run(batch_parameters={"dataframe": pd.DataFrame([row])})
    context.build_data_docs(site_names=["loads"])
    return folder / "index.html"


class Worker:
    """The expectations in a process of their own. Requests are answered in order; the process ends with its standard input."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._asked: list[str] = []
        self._verdicts: dict[str, Verdict] = {}

    def start(self) -> None:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dagster_project.quality"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=Path(__file__).parent.parent,
            )

    def ask(self, facts: LoadFacts) -> None:
        """Put a load in the queue; a load already there is not validated twice.

        Raises:
            RuntimeError: the worker died; its own words are on standard error.
        """
        if facts.load_id in self._asked:
            return
        self.start()
        assert self._process and self._process.stdin
        try:
            self._process.stdin.write(json.dumps(asdict(facts)) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as dead:
            raise _worker_ended(facts) from dead
        self._asked.append(facts.load_id)

    def verdict(self, facts: LoadFacts) -> Verdict:
        """Wait for what the expectations say of a load.

        Raises:
            RuntimeError: the worker died; its own words are on standard error.
        """
        self.ask(facts)
        assert self._process and self._process.stdout
        while facts.load_id not in self._verdicts:
            line = self._process.stdout.readline()
            if not line:
                raise _worker_ended(facts)
            verdict = Verdict(**json.loads(line))
            self._verdicts[verdict.load_id] = verdict
        return self._verdicts[facts.load_id]

    def stop(self) -> None:
        if self._process:
            if self._process.stdin:
                with suppress(BrokenPipeError):
                    self._process.stdin.close()
            self._process.kill()
            self._process.wait()
            self._process = None


def _worker_ended(facts: LoadFacts) -> RuntimeError:
    return RuntimeError(f"the expectations of {facts.dataset} could not be run: the worker process ended")


UNASKED = ("altair", "scipy", "scipy.stats")
"""What Great Expectations imports for expectations of how values are distributed, which nobody has of one row: a third of its import."""


def _serve() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is not an answer
    sys.modules.update({name: ModuleType(name) for name in UNASKED})
    _context()
    for line in sys.stdin:
        verdict = validate(LoadFacts(**json.loads(line)))
        print(json.dumps(asdict(verdict)), file=answers, flush=True)


if __name__ == "__main__":
    _serve()
