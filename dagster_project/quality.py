"""Is what just landed plausible as a whole? Expectations per dataset, built from the contract.

Belongs here: Great Expectations suites over the rows a load brought (completeness, uniqueness of keys, ranges, enums) and over the
load itself (everything received is accounted for, share refused, volume against the trailing loads, age of the newest record),
and the worker process that runs them. Does not belong here: judging single records (landing refuses those), rules about rows in
the warehouse (dbt tests).

Great Expectations takes seconds to import. The worker — `python -m dagster_project.quality` — does that in its own process while
the night is still fetching, takes one JSON request a line and answers with one JSON verdict a line.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dagster_project.contract import DATASETS, EARLIEST, LATEST, Column, Dataset, Type
from dagster_project.landing import Landing, Load
from dagster_project.policy import EVERY_PACK, LandingLimits, limits_of

TRAILING_LOADS = 14
BATCH_ROWS = 250_000
"""Rows validated at a time: memory stays flat however large a load is."""

EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class LoadFacts:
    """What a load was, as one row to hold expectations against, and the morning and policy pack it is judged for. Shares are of 1, ages are
    days, None is unknown."""

    dataset: str
    load_id: str
    rows_path: str | None
    received: int
    accounted_for: int
    quarantined_share: float
    volume_share: float | None
    age_days: int | None
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
    volume_share = None
    if manifest.full and not manifest.absent:
        known = landing.loads(dataset, as_of)
        earlier = known[: known.index(load)][-TRAILING_LOADS:] if load in known else known[-TRAILING_LOADS:]
        usual: dict[date, int] = {}  # a morning counts once, with its best: retries must not make a collapse the usual
        for other in earlier:
            if other.manifest.full and other.manifest.received:
                usual[other.as_of] = max(usual.get(other.as_of, 0), other.manifest.received)
        if len(usual) > 1:
            usual.pop(load.as_of, None)
        if usual:
            volume_share = manifest.received / statistics.median_high(usual.values())
    newest = date.fromisoformat(manifest.newest_on) if manifest.newest_on else None
    return LoadFacts(
        dataset=dataset.name,
        load_id=load.load_id,
        rows_path=str(load.rows) if load.rows else None,
        received=manifest.received,
        accounted_for=manifest.landed - manifest.tombstones + manifest.unchanged + manifest.repeated + manifest.quarantined,
        quarantined_share=manifest.quarantined / manifest.received if manifest.received else 0.0,
        volume_share=volume_share,
        age_days=max((as_of - newest).days, 0) if newest else None,
        as_of=as_of.isoformat(),
        pack=pack,
    )


def validate(facts: LoadFacts) -> Verdict:
    """Hold the expectations of its dataset against a load."""
    dataset = DATASETS[facts.dataset]
    limits = limits_of(dataset.name, facts.pack, date.fromisoformat(facts.as_of))
    evaluated, broken = _run(pa.table({k: [v] for k, v in asdict(facts).items()}), _load_expectations(facts, limits))
    if facts.rows_path:
        rules = list(_row_expectations(dataset))
        looked_at = [name for name in dataset.column_names if any(name in _columns_of(rule) for rule in rules)]
        for batch in _batches(Path(facts.rows_path), looked_at, facts.load_id):
            quick, told = _quick(batch, dataset)
            count, found = _run(quick, rules, told)
            evaluated, broken = evaluated + count, broken + found
    return Verdict(dataset.name, facts.load_id, evaluated, broken)


def _batches(path: Path, columns: Sequence[str], load_id: str) -> Iterator[pa.Table]:
    """Those columns of the rows a load brought, without the rows that only say that a key is gone. The file may be one it shares."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=[*columns, "_deleted", "_load_id"]):
            table = pa.Table.from_batches([batch])
            table = table.filter(pc.and_(pc.invert(table["_deleted"]), pc.equal(table["_load_id"], load_id)))
            if len(table) or file.metadata.num_row_groups == 1:
                yield table.select(columns)


def _quick(table: pa.Table, dataset: Dataset) -> tuple[pa.Table, Mapping[str, Callable[[float], Any]]]:
    """The same in types that Great Expectations judges a column at a time: it compares days and decimals value by value, and hashes
    words row by row. Also, for columns that hold other numbers now than what they say, what such a number says."""
    quick: dict[str, Any] = {}
    told: dict[str, Callable[[float], Any]] = {}
    for name in table.column_names:
        column, kind = table[name], dataset.by_name[name].type
        if kind is Type.DATE:
            quick[name] = column.cast(pa.int32()).cast(pa.float64())
            told[name] = _day
        elif pa.types.is_decimal(column.type):
            quick[name] = column.cast(pa.float64())
        elif kind is Type.TEXT:
            words = column.combine_chunks().dictionary_encode()
            if _is_read(dataset.by_name[name]):
                quick[name] = words
            else:
                quick[name] = words.indices.cast(pa.float64())
                told[name] = _word_of(words.dictionary)
        else:
            quick[name] = column
    return pa.table(quick), told


def _day(number: float) -> date:
    return EPOCH + timedelta(days=int(number))


def _word_of(words: pa.Array) -> Callable[[float], str]:
    return lambda number: words[int(number)].as_py()


def _is_read(column: Column) -> bool:
    """Whether an expectation looks at the words, and not only whether they are there, or twice."""
    return bool(column.enum) or column.is_currency


def _columns_of(expectation: Any) -> list[str]:
    return getattr(expectation, "column_list", None) or [expectation.column]


def _row_expectations(dataset: Dataset) -> Iterator[Any]:
    import great_expectations.expectations as gxe

    if len(dataset.key) == 1:
        yield gxe.ExpectColumnValuesToBeUnique(column=dataset.key[0])
    else:
        yield gxe.ExpectCompoundColumnsToBeUnique(column_list=list(dataset.key))
    for column in dataset.columns:
        if column.required:
            yield gxe.ExpectColumnValuesToNotBeNull(column=column.name)
        if column.enum:
            yield gxe.ExpectColumnValuesToBeInSet(column=column.name, value_set=list(column.enum))
        if column.type is Type.DATE:
            earliest, latest = ((day - EPOCH).days for day in (EARLIEST, LATEST))
            yield gxe.ExpectColumnValuesToBeBetween(column=column.name, min_value=earliest, max_value=latest)
        if column.is_currency:
            yield gxe.ExpectColumnValuesToMatchRegex(column=column.name, regex="^[A-Z]{3}$")
        if column.type is Type.AMOUNT and column.required and not column.signed:
            yield gxe.ExpectColumnValuesToBeBetween(column=column.name, min_value=0)


def _load_expectations(facts: LoadFacts, limits: LandingLimits) -> list[Any]:
    import great_expectations.expectations as gxe

    share = float(limits.max_quarantined_share)
    expectations: list[Any] = [
        gxe.ExpectColumnPairValuesToBeEqual(column_A="received", column_B="accounted_for"),
        gxe.ExpectColumnValuesToBeBetween(column="quarantined_share", max_value=share),
    ]
    if facts.volume_share is not None:
        floor = float(limits.min_volume_share)
        expectations.append(gxe.ExpectColumnValuesToBeBetween(column="volume_share", min_value=floor, strict_min=floor == 0))
    if limits.max_age_days is not None and facts.age_days is not None:
        expectations.append(gxe.ExpectColumnValuesToBeBetween(column="age_days", max_value=limits.max_age_days))
    return expectations


_WORDS = {
    "expect_column_values_to_be_unique": "values are there twice",
    "expect_compound_columns_to_be_unique": "keys are there twice",
    "expect_column_values_to_not_be_null": "values are missing",
    "expect_column_values_to_be_in_set": "values are none of the known",
    "expect_column_values_to_be_between": "values are out of range",
    "expect_column_values_to_match_regex": "values are malformed",
    "expect_column_pair_values_to_be_equal": "records received and records accounted for differ",
}


_OF_A_LOAD = {
    "age_days": "the newest record is of {found} days ago, policy allows {max_value} (landing_limits.csv)",
    "volume_share": "{found:.0%} of the records of the loads before, policy asks for {min_value:.0%} (landing_limits.csv)",
    "quarantined_share": "{found:.1%} of the records were refused, policy allows {max_value:.1%} (landing_limits.csv)",
}
"""What is said of a load as a whole: one figure, and the limit it broke."""


def _run(
    rows: pa.Table, expectations: list[Any], told: Mapping[str, Callable[[float], Any]] = MappingProxyType({})
) -> tuple[int, list[str]]:
    """How many expectations were held against the rows, and each broken one in words: `told` has them for columns of numbers."""
    import great_expectations as gx

    context = _context()
    suite = gx.ExpectationSuite(name="landed", expectations=expectations)
    batch = context.get_batch({"dataframe": rows.to_pandas()})
    outcome = batch.validate(suite, result_format="BOOLEAN_ONLY")  # which is all there is to say of most
    if not outcome.success:
        outcome = batch.validate(suite)
    broken: list[str] = []
    for result in outcome.results:
        if result.success:
            continue
        config = result.expectation_config
        kwargs = {k: v for k, v in config.kwargs.items() if k in ("min_value", "max_value", "regex", "value_set")}
        column = config.kwargs.get("column") or ", ".join(config.kwargs.get("column_list", [])) or "load"
        raised = result.exception_info.get("exception_message") if isinstance(result.exception_info, dict) else None
        detail = raised or f"{result.result.get('unexpected_count', '?')} of {result.result.get('element_count', '?')}"
        examples = result.result.get("partial_unexpected_list") or []
        if column in told:
            examples = [told[column](number) for number in examples if not math.isnan(number)]
            kwargs = {k: told[column](number) for k, number in kwargs.items() if number is not None}
        elif examples and isinstance(examples[0], dict):
            examples = ["/".join(_said(part, told.get(name, str)) for name, part in key.items()) for key in examples]
        if column in _OF_A_LOAD and examples:
            broken.append(f"{column}: {_OF_A_LOAD[column].format(found=examples[0], **kwargs)}")
            continue
        shown = f", such as {', '.join(map(str, examples[:3]))}" if examples else ""
        limits = f" (expected {', '.join(f'{k} {v}' for k, v in kwargs.items())})" if kwargs else ""
        broken.append(f"{column}: {_WORDS.get(config.type, config.type)}: {detail}{shown}{limits}")
    return len(outcome.results), broken


def _said(part: Any, words: Callable[[Any], Any]) -> str:
    return "" if isinstance(part, float) and math.isnan(part) else str(words(part))


_cached_context: Any = None


def _context() -> Any:
    """One quiet, ephemeral context for the process: it writes no files, phones nobody, draws no bars."""
    global _cached_context
    if _cached_context is None:
        os.environ["GX_ANALYTICS_ENABLED"] = "false"
        import great_expectations as gx

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False, "metric_calculations": False}  # type: ignore[assignment]
        asset = context.data_sources.add_pandas("landing").add_dataframe_asset("rows")
        _cached_context = asset.add_batch_definition_whole_dataframe("whole")
    return _cached_context


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


def _serve() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is not an answer
    _context()
    for line in sys.stdin:
        verdict = validate(LoadFacts(**json.loads(line)))
        print(json.dumps(asdict(verdict)), file=answers, flush=True)


if __name__ == "__main__":
    _serve()
