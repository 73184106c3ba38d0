"""Asking a bureau about customers, each answer of which costs money: about whom, as which of its companies, how many, and what is kept.

Belongs here: what the bureaus have in common. Does not belong here: who is due and what a budget is (dbt and policy: the mart
`bureau_reports_due` of the last published morning is the list that is worked through), a bureau's addresses and shapes (its module).

    memory/<bureau>.sqlite       answers, matches and events, for their owner only; an answer is kept before anything is made of it
    matches/<bureau>.csv         which company a customer is, for people to accept and reject

A night gives every dataset all that the memory holds; landing lands what is new of it. So a night that is killed between an answer and its
landing has lost nothing, and buys nothing twice.
"""

from __future__ import annotations

import csv
import io
import logging
import re
import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow.parquet as pq

from dagster_project.contract import MATCH_DECISIONS, Dataset
from dagster_project.policy import number, rows_in_force
from dagster_project.sources import Delivery, NotReachedError, Opening, PaidLostError, SourceError
from dagster_project.sources.auth import write_private
from dagster_project.sources.records import EXACT, Record, Spool, pages
from dagster_project.tables import unguarded
from dagster_project.words import shown

log = logging.getLogger("arrears.sources")

GIVEN: Final = ("credit_scores", "bureau_matches", "bureau_events")
MART: Final = "bureau_reports_due"
TO_ASK: Final = ("next_night", "waits_for_budget")
WAITING: Final[Mapping[str, str]] = {
    "waits_for_review": "somebody has to say which company it is",
    "not_found": "the bureau did not have it lately",
    "failed": "the report failed lately",
}
KEPT_DAYS: Final = 100
"""Days that the memory keeps what was made of an answer, and that there was one: landing has both for good long before."""

FAILURES: Final = 3
"""Reports that fail one after the other, after which no more are asked for in a night."""

SEARCHED: Final = 3
"""Companies that are proposed of a search."""

DECIDED_HERE: Final = "arrears"
_COLUMNS: Final = ("customer_id", "customer_name", "bureau_id", "name", "country", "registration_number", "confidence", "matched_by",
                   "matched_on", "decision", "decided_by", "decided_on", "note")  # fmt: skip
_LEGAL_FORMS: Final = frozenset(
    ("gmbh", "mbh", "ag", "kg", "kgaa", "ohg", "gbr", "ug", "ek", "se", "co", "company", "ltd", "limited", "pty", "pte", "llc", "llp",
     "plc", "inc", "incorporated", "corp", "corporation", "sa", "sas", "sarl", "spa", "srl", "bv", "nv", "ab", "as", "oy", "and", "und",
     "the")
)  # fmt: skip


@dataclass(frozen=True)
class Customer:
    """Somebody to ask about, as the mart says."""

    id: str
    name: str
    country: str
    region: str
    registration_number: str

    @property
    def identifier(self) -> str:
        return identifier(self.registration_number, self.country)

    @property
    def is_vat(self) -> bool:
        return bool(re.fullmatch(r"[A-Z]{2}[0-9A-Z]{7,13}", self.identifier)) and self.identifier[:2] in (
            self.country,
            {"GR": "EL"}.get(self.country, ""),
        )


@dataclass(frozen=True)
class Candidate:
    """A company of a bureau's that a customer may be. `confidence`: from 1 to 10, 10 being one with the same identifier."""

    id: str
    name: str
    country: str
    registration_number: str
    confidence: int
    matched_by: str


@dataclass(frozen=True)
class Reading:
    """What an answer says: rows of `credit_scores` without bureau and customer; parts of it that failed, in words."""

    rows: Sequence[Record]
    failed: Sequence[str] = ()


@dataclass(frozen=True)
class Alert:
    """What a bureau said by itself of a company. Values are for what is counted; of other changes only what they are."""

    id: str
    company: str
    on: date
    what: str
    before: str | None = None
    after: str | None = None


class Bureau(Protocol):
    """One bureau: how it is asked and what its answers mean."""

    name: str
    searches_are_billed: bool

    def candidates(self, customer: Customer) -> list[Candidate]:
        """Its companies that a customer may be, by identifier where there is one."""
        ...

    def report(self, company: str, customer: Customer) -> Any:
        """A report as JSON without floats; None where it has none."""
        ...

    def read(self, answer: Any, company: str, day: date) -> Reading:
        """What a report says. Raises SourceError: it cannot be read."""
        ...

    def alerts(self, since: date) -> Iterable[Sequence[Alert]]:
        """What it said by itself since a day, a page each."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Terms:
    """What policy says of a bureau: see `bureau_policy`."""

    reports_a_day: int
    reports_a_month: int
    accept_confidence: int
    failed_days: int
    keep_raw: bool
    raw_days: int
    calls_a_minute: int


def terms_of(bureau: str, opening: Opening) -> Terms:
    """The row of a bureau, or that of every bureau.

    Raises:
        PolicyError: there is neither, or it holds no numbers.
    """
    rows = {row["bureau"]: row for row in rows_in_force("bureau_policy", opening.policy, opening.as_of)}
    if not (row := rows.get(bureau) or rows.get("*")):
        raise SourceError(f"bureau_policy.csv has no row of {bureau}, and none of every bureau (*)")
    whole = {
        name: number("bureau_policy", row, name, int)
        for name in ("reports_a_day", "reports_a_month", "accept_confidence", "failed_days", "raw_days", "calls_a_minute")
    }
    return Terms(keep_raw=row["keep_raw"] == "true", **whole)


@dataclass
class _Night:
    """What a night did, for the load's metadata and the log."""

    left_out: dict[str, int] = field(default_factory=dict)

    def count(self, what: str, by: int = 1) -> None:
        self.left_out[what] = self.left_out.get(what, 0) + by


class BureauSource:
    """The datasets of a bureau, for the customers who are due."""

    def __init__(self, bureau: Bureau, opening: Opening, terms: Terms):
        self.bureau, self.terms = bureau, terms
        self.as_of, self.home, self.buys = opening.as_of, opening.home, not opening.is_trial
        self.memory = Spool(opening.home / "memory" / f"{bureau.name}.sqlite")
        self.file = opening.home / "matches" / f"{bureau.name}.csv"
        opening.stack.callback(self.memory.close)
        opening.stack.callback(bureau.close)
        self._night: _Night | None = None
        self._known: dict[str, dict[str, Record]] = {}

    # --- what is given ------------------------------------------------------------------------------------------------

    def fetch(self, dataset: Dataset, since: datetime | None) -> Delivery | None:
        del since
        if dataset.name not in GIVEN:
            return None
        if self._night is None:
            self._night = _Night()
            self._work(self._night)
        rows = {"credit_scores": self._scores, "bureau_matches": self._matches, "bureau_events": self._events}[dataset.name]()
        told = self._night.left_out if dataset.name == "credit_scores" else {}
        return Delivery(pages=pages(dataset, rows), full=False, origin=str(self.file.parent.parent / "memory"), left_out=told)

    def _scores(self) -> Iterator[Record]:
        for kept in self.memory.all("report"):
            yield from kept["rows"]

    def _matches(self) -> Iterator[Record]:
        for match in self.memory.all("match"):
            yield {"bureau": self.bureau.name, **{name: value for name, value in match.items() if name != "customer_name"}}

    def _events(self) -> Iterator[Record]:
        return self.memory.all("event")

    # --- a night's work -----------------------------------------------------------------------------------------------

    def _work(self, night: _Night) -> None:
        """Decide, listen, ask. What a bureau refuses or does not answer is said and counted, and stops no morning."""
        if not self.buys:
            log.info("%s: only tried on, so that nothing is bought; shown is what earlier nights bought", self.bureau.name)
            return
        try:
            self._take_decisions()
        except SourceError as unreadable:
            log.warning("%s: nothing is asked, for %s", self.bureau.name, unreadable)
            night.count("files of matches that cannot be read, so that nobody was asked about")
            return
        for match in self.memory.all("match"):
            self._known.setdefault(match["customer_id"], {})[match["bureau_id"]] = match
        self._clear()
        self._read_again(night)
        made, due = self.due()
        if made is None:
            log.info("%s: no morning is published yet, and the next night asks about whom it says is due", self.bureau.name)
        elif self.as_of < made:
            log.info("%s: a later morning is out, and for an earlier one nothing is asked", self.bureau.name)
        else:
            self._work_through(due, made, night)
        self._write_matches()

    def _work_through(self, due: Sequence[tuple[Customer, str]], made: date, night: _Night) -> None:
        asked = self._asked_after(made)
        left = [
            (customer, state) for customer, state in due if customer.id not in asked and customer.name.strip()
        ]  # else: forgotten
        waiting = [customer for customer, state in left if self._is_to_ask(customer, state)]
        for customer, state in left:
            if customer not in waiting:
                night.count(f"customers due and not asked about: {WAITING.get(state, WAITING['waits_for_review'])}")
        try:
            self._listen()
            self._ask(waiting, night)
        except NotReachedError as refused:
            log.warning("%s: %s. Nothing more is asked tonight", self.bureau.name, str(refused).rstrip("."))
            asked = self._asked_after(made)
            missed = sum(customer.id not in asked for customer in waiting)
            night.count("customers due and not asked about: the bureau could not be reached", missed)

    def due(self) -> tuple[date | None, list[tuple[Customer, str]]]:
        """Of which morning the list of who is due is, and who is on it with which state, most at stake first."""
        folder = self.home / "published" / "parquet"
        if not (folder / f"{MART}.parquet").exists() or not (folder / "run.parquet").exists():
            return None, []
        made: date = pq.read_table(folder / "run.parquet")["as_of"][0].as_py()
        rows = [row for row in pq.read_table(folder / f"{MART}.parquet").to_pylist() if row["bureau"] == self.bureau.name]
        return made, [
            (
                Customer(
                    row["customer_id"],
                    row["customer_name"] or "",
                    (row["country"] or "").upper(),
                    row["region"] or "",
                    row["registration_number"] or "",
                ),
                row["state"],
            )
            for row in sorted(rows, key=lambda row: (row["state"], row["place"]))
        ]

    def _ask(self, waiting: Sequence[Customer], night: _Night) -> None:
        failures, room = 0, self._room()
        for place, customer in enumerate(waiting):
            if room <= 0 or failures >= FAILURES:
                why = "they do not fit the budget" if room <= 0 else f"{FAILURES} reports failed one after the other"
                left = len(waiting) - place
                night.count(f"customers due and not asked about: {why}", left)
                log.warning("%s: %s of %s customers due are not asked about: %s", self.bureau.name, left, len(waiting), why)
                return
            try:
                self._ask_about(customer, night)
                failures = 0
            except NotReachedError:
                raise
            except SourceError as failed:
                failures += 1
                lost = isinstance(failed, PaidLostError)
                self._event(customer, "lost" if lost else "failed", billed=int(lost), detail=str(failed))
                night.count("customers due and not scored: the report failed")
                log.warning("%s: %s: %s", self.bureau.name, customer.id, failed)
            event = self.memory.get("event", f"{customer.id}|{self.as_of}") or {}
            room -= event.get("billed") or 0

    def _ask_about(self, customer: Customer, night: _Night) -> None:
        company, billed = self._company_of(customer), 0
        if company is None:
            billed = int(self.bureau.searches_are_billed)
            company = self._look_for(customer, night, billed)
        if company is None:
            return
        answer = self.bureau.report(company, customer)
        if answer is None:
            self._event(customer, "not_found", company, billed=billed, detail="the bureau has no report of it")
            night.count("customers due and not scored: the bureau has no report")
            return
        key = f"{customer.id}|{self.as_of}"
        kept = {"customer_id": customer.id, "company": company, "day": self.as_of.isoformat(), "answer": answer}
        self.memory.put("raw", [(key, kept)])
        self._event(customer, "report", company, billed=billed + 1)
        self._read(key, night)

    def _look_for(self, customer: Customer, night: _Night, billed: int) -> str | None:
        """The company a customer is; None where somebody has to say which, or there is none."""
        rejected = {match["bureau_id"] for match in self._all_of(customer.id) if match["decision"] == "rejected"}
        found = [candidate for candidate in self.bureau.candidates(customer) if candidate.id not in rejected]
        if not found:
            self._event(customer, "not_found", billed=billed, detail="the bureau knows no such company")
            night.count("customers due and not scored: the bureau knows no such company")
            return None
        found = sorted(found, key=lambda candidate: (-candidate.confidence, candidate.id))[:SEARCHED]
        best = found[0]
        sure = best.confidence >= self.terms.accept_confidence and (len(found) == 1 or found[1].confidence < best.confidence)
        for candidate in found:
            decision = "accepted" if sure and candidate is best else "proposed"
            if sure and candidate is not best:
                continue
            self._put_match(customer, candidate, decision)
        if sure:
            return best.id
        self._event(customer, "to_review", billed=billed, detail=f"{len(found)} companies may be it")
        night.count("customers due and not scored: somebody has to say which company it is")
        return None

    def _read(self, key: str, night: _Night) -> None:
        """Make scores of an answer that is kept; what cannot be read stays, to be read by a later version of this."""
        kept = self.memory.get("raw", key)
        assert kept is not None
        day = date.fromisoformat(kept["day"])
        reading = self.bureau.read(kept["answer"], kept["company"], day)
        for failed in reading.failed:
            night.count(f"parts of reports that failed: {shown(failed, 60)}")
        if not reading.rows:
            told = "; ".join(reading.failed)
            raise SourceError(f"the report of {kept['company']} has no score in it" + (f": {told}" if told else ""))
        match = next((each for each in self._all_of(kept["customer_id"]) if each["bureau_id"] == kept["company"]), None)
        doubt = match["confidence"] if match and match["decided_by"] == DECIDED_HERE and match["confidence"] < 10 else None
        fixed = {"bureau": self.bureau.name, "customer_id": kept["customer_id"], "match_confidence": doubt}
        rows = [{**row, **fixed} for row in reading.rows]
        self.memory.put("report", [(key, {"rows": rows, "day": kept["day"], "customer_id": kept["customer_id"]})])
        if not self.terms.keep_raw:
            self.memory.drop("raw", [key])

    def _read_again(self, night: _Night) -> None:
        """Answers that were paid for and not read: a night was killed then, or could not read them."""
        for key in sorted(self.memory.keys("raw") - self.memory.keys("report")):
            kept, event = self.memory.get("raw", key), self.memory.get("event", key)
            assert kept is not None
            told = {
                "customer_id": kept["customer_id"],
                "occurred_on": kept["day"],
                "bureau_id": kept["company"],
                "billed": 1,
                "detail": None,
            }
            try:
                self._put_event(key, **{**told, **(event or {}), "kind": "report"})
                self._read(key, night)
            except SourceError as failed:
                self._put_event(key, **{**told, **(event or {}), "kind": "failed", "detail": shown(str(failed), 200)})
                log.warning("%s: %s", self.bureau.name, failed)

    def _listen(self) -> None:
        newest = self.memory.get("state", "heard")
        since = date.fromisoformat(newest["on"]) if newest else self.as_of - timedelta(days=30)
        ours: dict[str, list[str]] = {}
        for customer_id, matches in self._known.items():
            for match in matches.values():
                if match["decision"] == "accepted":
                    ours.setdefault(match["bureau_id"], []).append(customer_id)
        try:
            for page in self.bureau.alerts(since):  # a page is kept before the next is asked for: some are given once
                told = [
                    {
                        "bureau": self.bureau.name,
                        "event_id": f"{customer_id}|alert|{alert.id}",
                        "customer_id": customer_id,
                        "occurred_on": alert.on.isoformat(),
                        "kind": "alert",
                        "bureau_id": alert.company,
                        "value_before": alert.before,
                        "value_after": alert.after,
                        "detail": shown(alert.what, 200),
                    }
                    for alert in page
                    for customer_id in ours.get(alert.company, ())
                ]
                self.memory.put("event", [(str(event["event_id"]), event) for event in told])
        except NotReachedError:
            raise
        except SourceError as failed:
            log.warning("%s: alerts cannot be read: %s", self.bureau.name, failed)
            return
        self.memory.put("state", [("heard", {"on": (self.as_of - timedelta(days=1)).isoformat()})])

    # --- the budget ---------------------------------------------------------------------------------------------------

    def _room(self) -> int:
        """How many more billed answers policy lets this morning have."""
        spent = [(event["occurred_on"], event.get("billed") or 0) for event in self.memory.all("event")]
        today, month = self.as_of.isoformat(), self.as_of.isoformat()[:7]
        this_day = sum(billed for day, billed in spent if day == today)
        this_month = sum(billed for day, billed in spent if day[:7] == month)
        return min(self.terms.reports_a_day - this_day, self.terms.reports_a_month - this_month)

    def _is_to_ask(self, customer: Customer, state: str) -> bool:
        """Whether it is to be asked about now: what somebody decided since the list was made is not on it."""
        if self._company_of(customer):
            return state in (*TO_ASK, "waits_for_review")
        return state in TO_ASK and not any(match["decision"] != "rejected" for match in self._all_of(customer.id))

    def _asked_after(self, made: date) -> set[str]:
        """Who was asked about after the list's own morning, or this morning."""
        listed, today = made.isoformat(), self.as_of.isoformat()
        return {
            event["customer_id"]
            for event in self.memory.all("event")
            if event["kind"] != "alert" and (event["occurred_on"] > listed or event["occurred_on"] == today)
        }

    def _event(
        self, customer: Customer, kind: str, company: str | None = None, *, billed: int = 0, detail: str | None = None
    ) -> None:
        self._put_event(
            f"{customer.id}|{self.as_of}",
            customer_id=customer.id,
            occurred_on=self.as_of.isoformat(),
            kind=kind,
            bureau_id=company,
            billed=billed,
            detail=detail and shown(detail, 200),
        )

    def _put_event(self, key: str, **event: Any) -> None:
        before = self.memory.get("event", key)
        if before and before.get("billed") and "billed" in event:  # what was paid stays paid, whatever came of it
            event["billed"] = max(event["billed"], before["billed"])
        self.memory.put("event", [(key, {**event, "bureau": self.bureau.name, "event_id": key})])

    # --- matches ------------------------------------------------------------------------------------------------------

    def _all_of(self, customer_id: str) -> Sequence[Record]:
        return [*self._known.get(customer_id, {}).values()]

    def _company_of(self, customer: Customer) -> str | None:
        """The one company that is accepted."""
        accepted = [match["bureau_id"] for match in self._all_of(customer.id) if match["decision"] == "accepted"]
        return accepted[0] if len(accepted) == 1 else None

    def _put_match(self, customer: Customer, candidate: Candidate, decision: str) -> None:
        match = {
            "customer_id": customer.id,
            "customer_name": customer.name,
            "bureau_id": candidate.id,
            "name": candidate.name,
            "country": candidate.country,
            "registration_number": candidate.registration_number,
            "confidence": candidate.confidence,
            "matched_by": candidate.matched_by,
            "matched_on": self.as_of.isoformat(),
            "decision": decision,
            "decided_by": DECIDED_HERE if decision == "accepted" else None,
            "decided_on": self.as_of.isoformat() if decision == "accepted" else None,
            "note": None,
        }
        self.memory.put("match", [(f"{customer.id}|{candidate.id}", match)])
        self._known.setdefault(customer.id, {})[candidate.id] = match

    def _take_decisions(self) -> None:
        """What people decided in the file, also of companies they know and wrote in themselves."""
        for line, row in _rows_of(self.file):
            said = {name: unguarded((row.get(name) or "").strip()) for name in _COLUMNS}
            decision = said["decision"].lower()
            if not said["customer_id"] or not said["bureau_id"] or decision not in MATCH_DECISIONS:
                wrong = (
                    f"decision is «{shown(said['decision'], 40)}»"
                    if said["customer_id"] and said["bureau_id"]
                    else "there is no key"
                )
                log.warning(
                    "%s line %s: %s, and the line is left as it was: a decision is one of %s, of a customer_id and a bureau_id",
                    self.file, line, wrong, ", ".join(MATCH_DECISIONS),
                )  # fmt: skip
                continue
            key = f"{said['customer_id']}|{said['bureau_id']}"
            known = dict(self.memory.get("match", key) or {})
            if known and (known["decision"], known.get("note") or "") == (decision, said["note"]):
                continue
            if not known:
                confidence = int(said["confidence"]) if said["confidence"] in set(map(str, range(1, 11))) else 10
                known = {
                    **{name: said[name] or None for name in _COLUMNS},
                    "confidence": confidence,
                    "matched_by": said["matched_by"] or "person",
                }
                known["matched_on"] = self.as_of.isoformat()
            if decision != known.get("decision") or known["matched_by"] == "person":
                known["decided_by"] = said["decided_by"] if said["decided_by"] not in ("", DECIDED_HERE) else "person"
                known["decided_on"] = (
                    said["decided_on"] if re.fullmatch(r"\d{4}-\d{2}-\d{2}", said["decided_on"]) else self.as_of.isoformat()
                )
            self.memory.put("match", [(key, {**known, "decision": decision, "note": said["note"] or None})])

    def _write_matches(self) -> None:
        """The file anew, what is proposed first, where anything in it is another."""
        order = {"proposed": 0, "accepted": 1, "rejected": 2}
        matches = sorted(
            self.memory.all("match"),
            key=lambda match: (order[match["decision"]], match["customer_id"], -(match["confidence"] or 0)),
        )
        text = io.StringIO()
        writer = csv.DictWriter(text, _COLUMNS, extrasaction="ignore", lineterminator="\r\n")
        writer.writeheader()
        for match in matches:
            writer.writerow({name: _guarded(match.get(name)) for name in _COLUMNS})
        if matches and (not self.file.exists() or self.file.read_text("utf-8-sig") != text.getvalue()):
            self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            write_private(self.file, text.getvalue())
            self.file.chmod(0o660)  # whoever reviews is of the group

    def _clear(self) -> None:
        """Forget what policy does not keep: answers as they came, also those that nobody could read by the time they are asked for anew;
        and what was made of them once landing has had it for long."""

        def old(keys: Iterable[str], days: int) -> list[str]:
            oldest = (self.as_of - timedelta(days=days)).isoformat()
            return [key for key in keys if key.rpartition("|")[2] < oldest]

        raw, read = self.memory.keys("raw"), self.memory.keys("report")
        self.memory.drop("raw", old(raw & read, self.terms.raw_days if self.terms.keep_raw else 0))
        self.memory.drop("raw", old(raw - read, max(self.terms.failed_days, self.terms.raw_days if self.terms.keep_raw else 0)))
        self.memory.drop("report", old(read, KEPT_DAYS))
        gone = (self.as_of - timedelta(days=KEPT_DAYS)).isoformat()
        self.memory.drop("event", [event["event_id"] for event in self.memory.all("event") if event["occurred_on"] < gone])


def _rows_of(path: Path) -> Iterator[tuple[int, Mapping[str, str | None]]]:
    """The lines of a file of matches, as a spreadsheet may have saved it."""
    if not path.exists():
        return
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", "replace")
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    if missing := {"customer_id", "bureau_id", "decision"} - {*(reader.fieldnames or ())}:
        raise SourceError(
            f"{path} has no column {', '.join(sorted(missing))}: put its header back, or remove the file, which is then written anew"
        )
    try:
        for row in reader:
            if any(isinstance(value, str) and value.strip() for value in row.values()):
                yield reader.line_num, row
    except csv.Error as broken:
        raise SourceError(f"{path} line {reader.line_num} is no CSV: {broken}") from None


def accepted_in(path: Path) -> dict[str, list[str]]:
    """Customers by the company that a file of matches accepts for them, its letters and digits alone.

    Raises:
        SourceError: it cannot be read.
    """
    found: dict[str, list[str]] = {}
    for _, row in _rows_of(path):
        company, customer = (unguarded((row.get(name) or "").strip()) for name in ("bureau_id", "customer_id"))
        if company and customer and (row.get("decision") or "").strip().lower() == "accepted":
            found.setdefault(plain_id(company), []).append(customer)
    return found


def plain_id(text: str) -> str:
    return re.sub(r"[^0-9A-Z]", "", unicodedata.normalize("NFKC", text).upper())


def _guarded(value: Any) -> str:
    from dagster_project.tables import FORMULA_STARTS

    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def forgotten_of(home: Path, customer_id: str) -> int:
    """Drop what bureaus said of a customer, who their companies are and as they came: answers name people. Returns of how many bureaus.
    That it was asked about, and billed, stays: budgets count it."""
    changed = 0
    for path in sorted((home / "memory").glob("*.sqlite")):
        memory, mine = Spool(path), f"{customer_id}|"
        try:
            found = {kind: {key for key in memory.keys(kind) if key.startswith(mine)} for kind in ("raw", "report", "match")}
            for kind, keys in found.items():
                memory.drop(kind, keys)
            changed += any(found.values())
        finally:
            memory.close()
        with closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as con:
            con.execute("vacuum")
    return changed


def identifier(text: str, country: str) -> str:
    """A registration or VAT number without blanks and punctuation, with the zeros its country writes; empty where it is none: a German one
    without its court is no key."""
    plain = plain_id(text)
    if country == "DE" and re.match(r"HR[AB]", plain):
        return ""
    digits = {"GB": 8, "NO": 9}.get(country)
    return plain.zfill(digits) if digits and plain.isdigit() and len(plain) < digits else plain


def name_words(name: str) -> frozenset[str]:
    """The words of a company's name without case, accents and legal forms."""
    plain = "".join(
        sign for sign in unicodedata.normalize("NFKD", name.lower().replace("ß", "ss")) if not unicodedata.combining(sign)
    )
    words = re.findall(r"[a-z0-9]+", plain.replace(".", "").replace("'", ""))
    return frozenset(words) - _LEGAL_FORMS or frozenset(words)


def likeness(ours: str, theirs: str) -> int:
    """How sure two names are one, from 1 to 8: 8 where they have the same words. A name alone is never sure (9 and 10)."""
    one, other = name_words(ours), name_words(theirs)
    return max(1, 8 * len(one & other) // max(len(one | other), 1))


def day_of(text: Any) -> str | None:
    """The day of a date or time as ISO writes it; None where it is neither."""
    found = re.match(r"\d{4}-\d{2}-\d{2}", str(text or ""), re.ASCII)
    try:
        return date.fromisoformat(found[0]).isoformat() if found else None
    except ValueError:
        return None


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def at(answer: Any, path: str) -> Any:
    """What stands in an answer at `a.b.0.c`; None where it does not: shapes differ by country and change without notice."""
    for step in path.split("."):
        if isinstance(answer, Mapping):
            answer = answer.get(step)
        elif isinstance(answer, Sequence) and not isinstance(answer, str) and step.isdigit() and int(step) < len(answer):
            answer = answer[int(step)]
        else:
            return None
    return answer


def listed(value: Any) -> Sequence[Any]:
    """A list; an empty one where it is none."""
    return value if isinstance(value, list) else ()


def figure(value: Any) -> str | None:
    """A number as its digits, four of a fraction at most; None where it is in words («Contact us»), not there, or none anybody means."""
    text = str(value).strip().replace(",", "") if value is not None and not isinstance(value, bool) else ""
    if not re.fullmatch(r"-?\d{1,12}(\.\d+)?", text, re.ASCII):
        return None
    exact = Decimal(text)
    return f"{exact if len(text.partition('.')[2]) <= 4 else EXACT.quantize(exact, Decimal('0.0001')):f}"


def limit_of(value: Any, currency: Any) -> dict[str, str | None]:
    """A recommended limit and its currency; neither where it is none."""
    amount = figure(value)
    if amount is None or amount.startswith("-"):
        return {"recommended_limit": None, "currency": None}
    code = words(currency) or ""
    return {"recommended_limit": amount, "currency": code if re.fullmatch("[A-Z]{3}", code) else None}


def words(value: Any) -> str | None:
    """A value as text; None where there is none, or a list or an object where a value should be."""
    return None if value is None or isinstance(value, (Mapping, list)) else str(value).strip() or None
