"""Trying a source on before a night depends on it: who we are there, which companies, what may be read, and how it comes out.

Belongs here: the order in which a source is tried, a person's consent at a terminal, and the words. Does not belong here: asking a
source (`sources/`), what a record must be (`landing/judge.py`), which are asked here as a night asks them. Nothing is kept but a
consent's tokens.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any, Final, TextIO, cast

import pyarrow as pa

from dagster_project import console
from dagster_project.contract import DATASETS, Dataset
from dagster_project.landing import Landing, LandingError
from dagster_project.policy import limits_of
from dagster_project.settings import Settings, SettingsError
from dagster_project.sources import Connector, Delivery, NoConsentError, NotReachedError, Opening, Source, SourceError
from dagster_project.sources.catalogue import CONNECTORS
from dagster_project.sources.consent import Consent, Doorstep
from dagster_project.sources.progress import Pace
from dagster_project.sources.understood import Understood, understood
from dagster_project.words import message, shown

RECORDS: Final = 3
"""How many of a dataset are shown."""

ENOUGH: Final = 20.0
"""Seconds after which counting a dataset ends, where the source does not tell how many there are."""

SHOWN: Final = ("customers", "invoices", "payments", "allocations")
WIDTH: Final = 26

Say = Callable[[str], None]


@dataclass(frozen=True)
class Tried:
    """What came of a dataset: how many records (`more` where counting was ended), the first of them, and what is wrong with those."""

    dataset: Dataset
    absent: bool = False
    count: int = 0
    more: bool = False
    first: pa.Table | None = None
    left_out: str = ""
    wrong: tuple[str, ...] = ()
    failed: str = ""


def connect(settings: Settings, name: str, say: Say, *, anew: bool = False, answers: TextIO | None = None) -> bool:
    """Try a source on and say what is found. Whether a night can be run on it. `anew`: ask for a consent though there is a good one.

    Raises:
        SettingsError: there is no such source, or its settings are not complete.
    """
    if name not in CONNECTORS:
        raise SettingsError(f"SOURCE: {name!r} is none of {', '.join(sorted(CONNECTORS))}")
    connector = CONNECTORS[name]
    try:
        own = settings.own(connector)
    except ValueError as incomplete:
        raise SettingsError(f"{incomplete} (see .env.example)") from None
    say(f"Arrears · connecting to {name} ({connector.words(own)})")
    for line in _settings_of(connector, own):
        say(line)
    with ExitStack() as stack:
        production = settings.environment == "production"
        opening = Opening(settings.today(), settings.home, stack, policy=settings.policy, is_trial=True, production=production)
        try:
            if connector.consent and (consent := connector.consent(own, opening)):
                own = _with(_consented(consent, say, anew, answers or sys.stdin), connector, own, settings, say)
            return _tried(connector, connector.opened(own, opening), settings, say)
        except SourceError as refused:
            say(f"\nIt cannot be read:\n  {_short(refused)}")
            return False


def _settings_of(connector: Connector, own: Any) -> Iterator[str]:
    """Which variables are set; no value of any."""
    if connector.variables:
        yield ""
    for place, (field, variable) in enumerate(connector.variables.items()):
        given = field in own.model_fields_set
        yield f"{'settings' if not place else '':<11}{variable:<36} {'set' if given else 'not set'}"


# --- a person's consent -----------------------------------------------------------------------------------------------


def _consented(consent: Consent, say: Say, anew: bool, answers: TextIO) -> dict[str, str]:
    """Make sure that somebody let us in, by asking where nobody has. What a consent brought besides tokens, by variable.

    Raises:
        SourceError: nobody did.
    """
    if not anew:
        try:
            consent.token.header()
        except NoConsentError as missing:
            say(f"\n{missing}")
        else:
            say("consent    good")
            return {}
    with Doorstep(consent) as door:
        say(f"\nOpen this address in a browser, as somebody who may let this program read the ledger:\n\n  {consent.address}\n")
        if consent.comes_here:
            say("Waiting for the browser to come back. If it runs on another machine, paste the address it ends at here:")
        else:
            say("Paste the whole address here that the browser ends at:")
        Thread(target=lambda: _pasted(answers, door, alone=not consent.comes_here), daemon=True).start()
        brought = consent.given(door.wait())
    say("consent    given; the token is kept under ARREARS_HOME, for its owner only")
    return brought


def _with(brought: Mapping[str, str], connector: Connector, own: Any, settings: Settings, say: Say) -> Any:
    """The settings, with what a consent is for where they do not say it."""
    fields = {variable: field for field, variable in connector.variables.items()}
    for variable, value in brought.items():
        known = str(getattr(own, fields[variable], None) or "") if variable in fields else ""
        if known != value:
            say(f"           {variable}={value}  is what the consent is for: set it so")
        if not known:
            os.environ[variable] = value
    return settings.own(connector)


def _pasted(answers: TextIO, door: Doorstep, *, alone: bool) -> None:
    for line in answers:
        if line.strip():
            door.arrived.put(line)
            return
    if alone:  # nobody can paste anything any more
        door.arrived.put("")


# --- what can be read -------------------------------------------------------------------------------------------------


def _tried(connector: Connector, source: Source, settings: Settings, say: Say) -> bool:
    if connector.companies:
        with understood(connector.name, "companies"):
            companies = list(connector.companies(source))
        for place, company in enumerate(companies):
            say(f"{'companies' if not place else '':<11}{shown(company.key, 40)}  {shown(company.name, 60)}")
    with understood(connector.name, "rights"):
        lacking = [right for right in (connector.rights(source) if connector.rights else ()) if right.lacks]
    source = Understood(source, connector.name)
    wanted = [dataset for dataset in DATASETS.values() if _gives(connector, dataset)]
    say(f"\n{'dataset':<20}{'records':>12}")
    tried = []
    with TemporaryDirectory() as folder:
        landing = Landing(Path(folder) / "landing", Path(folder) / "quarantine", settings.memory_limit)
        for dataset in wanted:
            tried.append(_one(dataset, source, landing, settings))
            say(_row(tried[-1]))
    for one in tried:
        if one.first is not None and (one.dataset.name in SHOWN or len(wanted) == 1):
            for line in _sample(one):
                say(line)
    return _verdict(connector, tried, [f"{right.name}: {_short(right.lacks)}" for right in lacking], say)


def _gives(connector: Connector, dataset: Dataset) -> bool:
    if dataset.group == "bureau":
        return "scores" in connector.gives
    return "rates" in connector.gives if dataset.name == "exchange_rates" else "ledger" in connector.gives


def _one(dataset: Dataset, source: Source, landing: Landing, settings: Settings) -> Tried:
    try:
        delivery = source.fetch(dataset, None)
        if delivery is None:
            return Tried(dataset, absent=True)
        count, more, first = _counted(delivery, dataset)
    except NotReachedError:
        raise
    except SourceError as failed:
        return Tried(dataset, failed=_short(failed))
    left_out = ", ".join(f"{records:,} {what}" for what, records in delivery.left_out.items() if records)
    wrong: list[str] = []
    if first:
        sample = replace(delivery, pages=iter([first]), full=False, parents=None)
        wrong = _judged(dataset, sample, landing, settings, whole=count == len(first))
    return Tried(dataset, count=count, more=more, first=first, left_out=left_out, wrong=tuple(wrong))


def _counted(delivery: Delivery, dataset: Dataset) -> tuple[int, bool, pa.Table | None]:
    """How many there are, as far as patience goes, and the first of them."""
    began, pace = time.monotonic(), Pace(dataset.name, delivery.expected)
    first: pa.Table | None = None
    with closing(cast(Any, delivery.pages)) if hasattr(delivery.pages, "close") else ExitStack():
        for page in delivery.pages:
            pace.step(len(page))
            first = page if first is None and len(page) else first
            if first is not None and delivery.expected is not None:
                return delivery.expected, False, first
            if time.monotonic() - began > ENOUGH:
                return pace.count, True, first
    return pace.count, False, first


def _judged(dataset: Dataset, sample: Delivery, landing: Landing, settings: Settings, *, whole: bool) -> list[str]:
    """What a night would refuse of the first records, and where they are all there are whether they are too old for it."""
    today = settings.today()
    try:
        manifest = landing.land(dataset, sample, today, quarantine_share=Decimal(1))
    except LandingError as refused:
        return [str(refused).partition(". They are in")[0]]
    worst = [
        f"{reason.rstrip(':')} ({count:,}×, such as {manifest.examples.get(reason, '')})"
        for reason, count in list(manifest.reasons.items())[:3]
    ]
    wrong = [f"{manifest.quarantined:,} of the first {manifest.received:,} would be refused: {'; '.join(worst)}"] if worst else []
    limits = limits_of(dataset.name, settings.policy, today)
    if whole and limits.max_age_days is not None and manifest.newest_on:
        days = (today - date.fromisoformat(manifest.newest_on)).days
        if days > limits.max_age_days:
            told = f"the newest record is of {manifest.newest_on}, {days:,} days ago; a night takes {limits.max_age_days}"
            wrong.append(
                f"{told} (landing_limits.csv)"
                + ("; ARREARS_RATES=ecb has rates of every day" if dataset.name == "exchange_rates" else "")
            )
    return wrong


# --- how it looks -----------------------------------------------------------------------------------------------------


def _row(tried: Tried) -> str:
    name = tried.dataset.name
    if tried.failed:
        return f"{name:<20}{'-':>12}  cannot be read, see below"
    if tried.absent:
        return f"{name:<20}{'-':>12}  {'missing, and required' if tried.dataset.required else 'none'}"
    count = f"{tried.count:,}{'+' if tried.more else ''}"
    return f"{name:<20}{count:>12}" + (f"  left out: {tried.left_out}" if tried.left_out else "")


def _sample(tried: Tried) -> Iterator[str]:
    """The first records side by side, a column of the contract a line; what the source never fills is named."""
    assert tried.first is not None
    records = tried.first.slice(0, RECORDS).to_pylist()
    yield f"\n{tried.dataset.name}, the first {len(records)} as they come"
    empty = []
    for column in tried.dataset.column_names:
        values = [record[column] for record in records]
        if any(value is not None for value in values):
            cells = ["" if value is None else shown(_text(value), WIDTH - 2) for value in values]
            yield f"  {column:<22}" + "".join(f"{cell:<{WIDTH}}" for cell in cells).rstrip()
        elif tried.first[column].null_count == len(tried.first):
            empty.append(column)
    if empty:
        yield f"  never filled: {', '.join(empty)}"


def _text(value: Any) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _verdict(connector: Connector, tried: Iterable[Tried], lacking: list[str], say: Say) -> bool:
    failed: dict[str, list[str]] = {}
    for one in tried:
        if one.failed:
            failed.setdefault(one.failed, []).append(one.dataset.name)
    problems = [f"{', '.join(names)}: {why}" for why, names in failed.items()]
    problems += [f"{one.dataset.name}: {wrong}" for one in tried for wrong in one.wrong]
    missing = [one.dataset.name for one in tried if one.absent and one.dataset.required]
    problems += [f"{name}: the source has none, and a night needs it" for name in missing]
    for title, lines in (("What is missing in rights", lacking), ("What to look at", problems)):
        if lines:
            say(f"\n{title}:")
            for line in lines:
                say(f"  {line}")
    able = not failed and not missing and not lacking
    if able and "ledger" in connector.gives:
        say(f"\nIt can be read. A night on it: ARREARS_SOURCE={connector.name} make run")
    elif able:
        say("\nIt can be read.")
    return able


def _short(told: object) -> str:
    """A reason without what stands behind the question marks of addresses, which says nothing to a person."""
    return re.sub(r"(https?://[^\s?]+)\?[^\s:]*", r"\1", str(told))


def printed(line: str) -> None:
    """A line for a person at a terminal."""
    console.clear_progress()
    print(message(line), flush=True)
