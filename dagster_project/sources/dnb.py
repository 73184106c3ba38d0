"""D&B Direct+: data blocks on companies by their D-U-N-S number, and the changes its monitoring hands out.

Belongs here: its addresses, how its blocks are read, what of them is which column. Does not belong here: whom to ask about, budgets,
matches (`inquiries.py`), what a score is worth (policy).

    POST v3/token                                        a token for about a day
    GET v1/match/cleanseMatch?name=&country…             which company a customer is, with a confidence code from 1 to 10
    GET v1/data/duns/{duns}?blockIDs=…                   blocks; billed
    GET v1/monitoring/registrations/{…}/notifications    changes, each handed out once

An answer of 200 may have blocks in it that failed: what came counts, what did not is named and is no nought.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final
from urllib.parse import quote

from pydantic import SecretStr

from dagster_project.sources import Connector, ConnectorSettings, NotReachedError, Opening, Right, SourceError
from dagster_project.sources.auth import Login, logged_in
from dagster_project.sources.http import Http, Refused, Throttle
from dagster_project.sources.inquiries import (
    Alert,
    BureauSource,
    Candidate,
    Customer,
    Reading,
    at,
    day_of,
    figure,
    limit_of,
    listed,
    now,
    terms_of,
    words,
)

ADDRESS: Final = "https://plus.dnb.com"
TOKEN_SECONDS: Final = 3_600.0
"""How long a token is taken to be good that does not say."""
BLOCKS: Final = "paymentinsight_L3_v1,financialstrengthinsight_L2_v1,companyinfo_L2_v1"
GERMAN_REASON: Final = "6332"
"""German law asks for a reason: a credit decision."""
PULLS: Final = 200
"""Pages of changes that are asked for in a night, at most."""

ASSESSED: Final = "organization.dnbAssessment"
SCORES: Final[Mapping[str, Mapping[str, str]]] = {
    "paydex": {
        "raw_score": "organization.businessTrading.0.summary.0.paydexScore",
        "scored_on": "organization.businessTrading.0.summaryDate",
        "dbt": "organization.businessTrading.0.summary.0.paymentBehaviorDays",
    },
    "delinquency_percentile": {
        "raw_score": f"{ASSESSED}.delinquencyScore.nationalPercentile",
        "scored_on": f"{ASSESSED}.delinquencyScore.scoreDate",
        "risk_class": f"{ASSESSED}.delinquencyScore.classScore",
        "model_code": f"{ASSESSED}.delinquencyScore.scoreModel.dnbCode",
    },
    "failure_percentile": {
        "raw_score": f"{ASSESSED}.failureScore.nationalPercentile",
        "scored_on": f"{ASSESSED}.failureScore.scoreDate",
        "risk_class": f"{ASSESSED}.failureScore.classScore",
        "model_code": f"{ASSESSED}.failureScore.scoreModel.dnbCode",
    },
    "standard_rating": {
        "raw_score": f"{ASSESSED}.standardRating.rating",
        "scored_on": f"{ASSESSED}.standardRating.ratingDate",
    },
    "layoff_percentile": {
        "raw_score": f"{ASSESSED}.layOffScore.nationalPercentile",
        "scored_on": f"{ASSESSED}.layOffScore.scoreDate",
    },
}
"""A row each where its block has one: the columns of `credit_scores` and where they stand. The scales are `bureau_scales`'."""

COUNTED: Final = re.compile(r"score|rating|paydex|operatingstatus|limit", re.IGNORECASE)


class DnbSettings(ConnectorSettings, env_prefix="ARREARS_DNB_"):
    """A consumer key and secret, the blocks of the contract, and a monitoring registration whose changes are read, where there is one."""

    key: str
    secret: SecretStr
    registration: str | None = None
    blocks: str = BLOCKS
    url: str = ADDRESS


class Dnb:
    """The bureau, as `inquiries.py` asks it."""

    name = "dnb"
    searches_are_billed = False

    def __init__(self, own: DnbSettings, opening: Opening, calls_a_minute: int, wait: float):
        self._url, self._blocks, self._registration = own.url.rstrip("/"), own.blocks, own.registration
        key, secret = own.key.strip(), own.secret.get_secret_value().strip()

        def login() -> tuple[str, float]:
            token = f"{self._url}/v3/token"
            answer = logged_in(token, {"grant_type": "client_credentials"}, name=(key, secret), hidden=(secret,))
            if not isinstance(access := answer.get("access_token"), str):
                raise SourceError(f"{token}: the answer has no access_token")
            return access, good_for(answer)

        credentials = {"ARREARS_DNB_KEY": key, "ARREARS_DNB_SECRET": secret}
        auth = Login(
            self._url,
            credentials,
            opening.home / "memory" / "dnb-refused.json",
            login,
            hidden=lambda variable: variable.endswith("SECRET"),
        )
        self.http = Http(
            self._url,
            auth,
            setting="ARREARS_DNB_URL",
            credentials="ARREARS_DNB_KEY and _SECRET",
            wait=wait,
            throttle=Throttle(calls_a_minute, 60),
            reading=_meant,
        )

    def close(self) -> None:
        self.http.close()

    # --- which company ------------------------------------------------------------------------------------------------

    def candidates(self, customer: Customer) -> list[Candidate]:
        if duns := re.fullmatch(r"DUNS(\d{9})", customer.identifier):
            return [Candidate(duns[1], customer.name, customer.country, "", 10, "duns")]
        if not re.fullmatch("[A-Z]{2}", customer.country):
            raise SourceError(f"customer {customer.id} has no country (ISO 3166, such as US), without which D&B matches nobody")
        asked = {"name": customer.name, "countryISOAlpha2Code": customer.country}
        if number := customer.identifier:
            asked["registrationNumber"] = number
        answer = self.http.json(f"{self._url}/v1/match/cleanseMatch", asked, number=str, whole=str)
        by = "registration_number" if "registrationNumber" in asked else "name"
        found = [_candidate(each, by) for each in listed(at(answer, "matchCandidates"))]
        return [candidate for candidate in found if candidate]

    # --- blocks -------------------------------------------------------------------------------------------------------

    def report(self, company: str, customer: Customer) -> Any:
        asked = {"blockIDs": self._blocks, "customerReference": "arrears"}
        if customer.country == "DE":
            asked["orderReason"] = GERMAN_REASON
        return self.http.json(f"{self._url}/v1/data/duns/{quote(company, safe='')}", asked, number=str, whole=str, paid=True)

    def read(self, answer: Any, company: str, day: date) -> Reading:
        if (theirs := words(at(answer, "organization.duns"))) and theirs.zfill(9) != company.zfill(9):
            raise SourceError(f"D&B answers about {theirs} where {company} was asked for: the number was replaced by another")
        failed = [
            f"{words(at(block, 'blockID')) or 'a block'}: {words(at(block, 'reason')) or words(at(block, 'status'))}"
            for block in listed(at(answer, "blockStatus"))
            if str(at(block, "status")).lower() != "ok"
        ]
        told = day_of(at(answer, "transactionDetail.transactionTimestamp")) or day.isoformat()
        status = words(at(answer, "organization.dunsControlStatus.operatingStatus.description"))
        shared = {"status": status, "fetched_at": now()}
        rows: list[dict[str, Any]] = []
        for code, places in SCORES.items():
            said = {column: words(at(answer, place)) for column, place in places.items()}
            if said["raw_score"] is None:
                continue
            row = {**shared, **said, "score_code": code, "scored_on": day_of(said["scored_on"]) or told}
            rows.append({**row, "dbt": figure(said["dbt"])} if "dbt" in said else row)
        limit = at(answer, f"{ASSESSED}.creditLimitRecommendation")
        recommended = limit_of(at(limit, "maximumRecommendedLimit.value"), at(limit, "maximumRecommendedLimit.currency"))
        if recommended["recommended_limit"]:
            on = day_of(at(limit, "assessmentDate")) or told
            rows.append({**shared, "score_code": "credit_limit", "raw_score": None, "scored_on": on, **recommended})
        return Reading(rows, failed)

    # --- changes ------------------------------------------------------------------------------------------------------

    def alerts(self, since: date) -> Iterator[Sequence[Alert]]:
        """The queue of a registration, emptied by reading it: `since` says nothing to it."""
        del since
        if not self._registration:
            return
        address = f"{self._url}/v1/monitoring/registrations/{quote(self._registration, safe='')}/notifications"
        for _ in range(PULLS):
            answer = self.http.json(address, number=str, whole=str)
            if answer is None:
                raise SourceError(f"{address}: 404. There is no such registration: is ARREARS_DNB_REGISTRATION right?")
            if not (told := listed(at(answer, "notifications"))):
                return
            yield [alert for each in told if (alert := _alert(each))]

    def allowed(self) -> None:
        """Whether matching is: it is not billed."""
        self.http.json(f"{self._url}/v1/match/cleanseMatch", {"name": "Arrears", "countryISOAlpha2Code": "US"}, number=str)


def _meant(refused: Refused) -> Exception | None:
    if refused.status == 403:
        told = words(at(refused.json, "error.errorMessage")) or ""
        return NotReachedError(f"{refused.told}: {told[:120]}. The contract does not cover it, or the month's calls are used up")
    return None


def good_for(answer: Mapping[str, Any]) -> float:
    """For how many seconds a token is good: some answers say until when, others how long."""
    if (seconds := figure(answer.get("expiresIn") or answer.get("expires_in"))) is not None:
        return float(seconds)
    try:
        until = datetime.fromisoformat(str(answer.get("expirationDateTime")).replace("Z", "+00:00"))
    except ValueError:
        return TOKEN_SECONDS
    return (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp() - time.time()


def _candidate(found: Any, by: str) -> Candidate | None:
    duns, code = words(at(found, "organization.duns")), words(at(found, "matchQualityInformation.confidenceCode"))
    if not duns or not code or not re.fullmatch(r"[0-9]{1,2}", code):
        return None
    name = words(at(found, "organization.primaryName")) or ""
    country = words(at(found, "organization.primaryAddress.addressCountry.isoAlpha2Code")) or ""
    number = words(at(found, "organization.registrationNumbers.0.registrationNumber")) or ""
    return Candidate(duns, name, country, number, min(max(int(code), 1), 10), by)


def _alert(told: Any) -> Alert | None:
    company, on, what = words(at(told, "duns")), day_of(at(told, "changeTimestamp")), words(at(told, "elementId")) or "a change"
    if not company or not on:
        return None
    values = (words(at(told, "previousValue")), words(at(told, "currentValue"))) if COUNTED.search(what) else (None, None)
    return Alert(f"{company}|{at(told, 'changeTimestamp')}|{what}", company, date.fromisoformat(on), what, *values)


def _opened(own: DnbSettings, opening: Opening, wait: float = 1.0, pause: float = 0.0) -> BureauSource:
    del pause
    terms = terms_of("dnb", opening)
    return BureauSource(Dnb(own, opening, terms.calls_a_minute, wait), opening, terms)


def _rights(source: BureauSource) -> Iterator[Right]:
    bureau = source.bureau
    assert isinstance(bureau, Dnb)
    yield Right.tried("logging in and matching", bureau.allowed)


CONNECTOR = Connector(
    name="dnb",
    settings=DnbSettings,
    opened=_opened,
    words=lambda own: own.url,
    needs="ARREARS_DNB_KEY and ARREARS_DNB_SECRET",
    gives=frozenset({"scores", "inquiries"}),
    rights=_rights,
)
