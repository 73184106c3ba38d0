"""Creditsafe Connect: reports on companies of the countries in a contract, and what its monitoring says.

Belongs here: its addresses, how its reports are read, what of them is which column. Does not belong here: whom to ask about, budgets,
matches (`inquiries.py`), what a score is worth (policy).

    POST authenticate                            a token for an hour
    GET access/countries                         what the contract covers (a right)
    GET companies?countries=&regNo=|vatNo=|name= which company a customer is; not billed
    GET companies/{connectId}                    a report; billed
    GET monitoring/…/notificationEvents          alerts

A score is of the day of its report: that it has not changed for years does not make it old.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final
from urllib.parse import quote

from pydantic import SecretStr

from dagster_project.sources import Connector, ConnectorSettings, Opening, Right, SourceError
from dagster_project.sources.answers import LIMITS, PassingError, retry_after
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
    identifier,
    likeness,
    limit_of,
    listed,
    name_words,
    now,
    terms_of,
    words,
)
from dagster_project.sources.paging import Numbered, Question, walked

ADDRESS: Final = "https://connect.creditsafe.com/v1"
TOKEN_SECONDS: Final = 3_600.0
PAGE_ROWS: Final = 50
PAUSE: Final = 60.0
"""Seconds after a 429 that does not say how many: five alike in two minutes lock the account."""

SCORE: Final = "report.creditScore.currentCreditRating"
FACTS: Final[Mapping[str, tuple[str, ...]]] = {
    "dbt": ("report.additionalInformation.paymentData.dbt", "report.additionalInformation.dbt.companyDBT"),
    "industry_dbt": ("report.additionalInformation.paymentData.industryDBT", "report.additionalInformation.dbt.industryDBT"),
    "current_ratio": ("report.financialStatements.0.ratios.currentRatio",),
    "quick_ratio": ("report.financialStatements.0.ratios.liquidityRatioOrAcidTest",),
}
"""Numbers of `credit_scores`, and where a report may have them: it differs by country."""

COUNTED: Final = re.compile(r"score|rating|limit|status|\bdbt\b|days beyond terms", re.IGNORECASE)
"""Alerts whose values are kept; of others (directors, addresses) only that they came."""


class CreditsafeSettings(ConnectorSettings, env_prefix="ARREARS_CREDITSAFE_"):
    """The user and password of the API, and one portfolio whose alerts are read; without it, of all."""

    user: str
    password: SecretStr
    portfolio: str | None = None
    url: str = ADDRESS


class Creditsafe:
    """The bureau, as `inquiries.py` asks it."""

    name = "creditsafe"
    searches_are_billed = False

    def __init__(self, own: CreditsafeSettings, opening: Opening, calls_a_minute: int, wait: float, pause: float):
        self._url, self._portfolio, self._pause = own.url.rstrip("/"), own.portfolio, pause
        self._today = opening.as_of
        password = own.password.get_secret_value().strip()

        def login() -> tuple[str, float]:
            answer = logged_in(f"{self._url}/authenticate", {"username": own.user, "password": password}, hidden=(password,))
            if not isinstance(token := answer.get("token"), str):
                raise SourceError(f"{self._url}/authenticate: the answer has no token")
            return token, TOKEN_SECONDS

        credentials = {"ARREARS_CREDITSAFE_USER": own.user, "ARREARS_CREDITSAFE_PASSWORD": password}
        kept = opening.home / "memory" / "creditsafe-refused.json"
        auth = Login(self._url, credentials, kept, login, hidden=lambda variable: variable.endswith("PASSWORD"), scheme="")
        self.http = Http(
            self._url,
            auth,
            setting="ARREARS_CREDITSAFE_URL",
            credentials="ARREARS_CREDITSAFE_USER and _PASSWORD",
            wait=wait,
            throttle=Throttle(calls_a_minute, 60),
            reading=self._meant,
        )

    def close(self) -> None:
        self.http.close()

    def _meant(self, refused: Refused) -> Exception | None:
        if refused.status == 429:
            return PassingError(refused.told, retry_after(refused.headers.get("Retry-After", "")) or self._pause)
        if refused.status == 403:
            return SourceError(f"{refused.told}: the contract does not cover this country or product")
        return None

    # --- which company ------------------------------------------------------------------------------------------------

    def candidates(self, customer: Customer) -> list[Candidate]:
        if not re.fullmatch("[A-Z]{2}", customer.country):
            raise SourceError(
                f"customer {customer.id} has no country (ISO 3166, such as GB), without which Creditsafe looks for nobody"
            )
        if number := customer.identifier:
            key = "vatNo" if customer.is_vat else "regNo"
            found = [self._candidate(each, customer, key) for each in self._search({"countries": customer.country, key: number})]
            if exact := [each for each in found if each.confidence == 10] or found:
                return exact
        named = self._search({"countries": customer.country, "name": customer.name})
        return [self._candidate(each, customer, "name") for each in named if at(each, "country") in (None, customer.country)]

    def _search(self, asked: Mapping[str, str]) -> list[Mapping[str, Any]]:
        answer = self.http.json(f"{self._url}/companies", {**asked, "page": "1", "pageSize": "10"}, number=str)
        return [each for each in listed(at(answer, "companies")) if words(at(each, "id"))]

    def _candidate(self, found: Mapping[str, Any], customer: Customer, matched_by: str) -> Candidate:
        country = words(found.get("country")) or ""
        theirs = {identifier(text, customer.country) for text in _texts(found.get("regNo"), found.get("vatNo")) if text}
        name = words(found.get("name")) or ""
        same = bool(customer.identifier) and customer.identifier in theirs and country in ("", customer.country)
        by = {"regNo": "registration_number", "vatNo": "vat_number"}.get(matched_by, matched_by)
        # an identifier under which another name stands is a slip of somebody's pen, or a company that was renamed: somebody looks
        confidence = (10 if name_words(customer.name) & name_words(name) else 5) if same else likeness(customer.name, name)
        return Candidate(str(found["id"]), name, country, words(found.get("regNo")) or "", confidence, by)

    # --- a report -----------------------------------------------------------------------------------------------------

    def report(self, company: str, customer: Customer) -> Any:
        asked = {"language": "en", "template": "full"}
        if company.upper().startswith("DE"):
            asked["customData"] = "de_reason_code::1"  # German law asks for a reason: 1 is a credit decision
        return self.http.json(f"{self._url}/companies/{quote(company, safe='')}", asked, number=str, whole=str, paid=True)

    def read(self, answer: Any, company: str, day: date) -> Reading:
        rating = at(answer, SCORE)
        if not isinstance(at(answer, "report"), Mapping):
            raise SourceError(f"the report of {company} is empty, although it was answered with 200")
        status = words(at(answer, "report.companySummary.companyStatus.status"))
        if status and status.lower() not in ("active", "pending"):
            status = words(at(answer, "report.companySummary.companyStatus.description")) or status
        facts = {
            name: next((number for path in paths if (number := figure(at(answer, path)))), None) for name, paths in FACTS.items()
        }
        common, provider = words(at(rating, "commonValue")), words(at(rating, "providerValue.value"))
        described = (words(at(rating, "commonDescription")) or "").lower()
        shared = {
            "scored_on": day.isoformat(),
            "status": status,
            **limit_of(at(rating, "creditLimit.value"), at(rating, "creditLimit.currency")),
            "fetched_at": now(),
            **facts,
        }
        rows = []
        if common:  # letters are the same across countries; E beside «Not Rated» is none
            rows.append(
                {
                    **shared,
                    "score_code": "rating",
                    "raw_score": "NR" if "not rated" in described else common,
                    "risk_class": common,
                }
            )
        if provider:
            scale = "-".join(
                filter(None, (words(at(rating, "providerValue.minValue")), words(at(rating, "providerValue.maxValue"))))
            )
            rows.append(
                {**shared, "score_code": "credit_score", "raw_score": provider, "risk_class": common, "model_code": scale or None}
            )
        if not rows and (status or shared["recommended_limit"] or any(facts.values())):
            rows.append({**shared, "score_code": "rating", "raw_score": None})
        return Reading(rows, [] if rating else ["creditScore is missing"])

    # --- alerts -------------------------------------------------------------------------------------------------------

    def alerts(self, since: date) -> Iterator[Sequence[Alert]]:
        portfolio = f"/portfolios/{quote(self._portfolio, safe='')}" if self._portfolio else ""
        asked = {"startDate": since.isoformat(), "endDate": self._today.isoformat(), "page": "0", "pageSize": str(PAGE_ROWS)}
        first = Question(f"{self._url}/monitoring{portfolio}/notificationEvents", asked)
        paging = Numbered("page", PAGE_ROWS, lambda answer: len(listed(at(answer, "data"))), first=0)
        for answer in walked(first, lambda question: self._page(question), paging, "alerts", LIMITS):
            yield [alert for event in listed(at(answer, "data")) if (alert := _alert(event))]

    def _page(self, question: Question) -> Any:
        answer = self.http.json(question.address, question.parameters, number=str, whole=str)
        if not isinstance(answer, Mapping):
            raise SourceError(f"{question.address}: the answer is no list of alerts: is ARREARS_CREDITSAFE_PORTFOLIO right?")
        return answer

    def countries(self) -> Any:
        return self.http.json(f"{self._url}/access/countries", number=str)


def _alert(event: Any) -> Alert | None:
    company, on = words(at(event, "company.id")), day_of(at(event, "eventDate"))
    key = words(at(event, "notificationEventId")) or words(at(event, "eventId"))
    if not company or not on or not key:
        return None
    what = words(at(event, "ruleName")) or f"rule {words(at(event, 'ruleCode')) or '?'}"
    values = (words(at(event, "oldValue")), words(at(event, "newValue"))) if COUNTED.search(what) else (None, None)
    return Alert(key, company, date.fromisoformat(on), what, *values)


def _texts(*values: Any) -> Iterator[str]:
    for value in values:
        yield from map(str, value) if isinstance(value, list) else [str(value)] if value else []


def _opened(own: CreditsafeSettings, opening: Opening, wait: float = 1.0, pause: float = PAUSE) -> BureauSource:
    terms = terms_of("creditsafe", opening)
    return BureauSource(Creditsafe(own, opening, terms.calls_a_minute, wait, pause), opening, terms)


def _rights(source: BureauSource) -> Iterator[Right]:
    bureau = source.bureau
    assert isinstance(bureau, Creditsafe)
    yield Right.tried("logging in, and which countries the contract covers", bureau.countries)
    today = source.as_of
    yield Right.tried("alerts", lambda: next(iter(bureau.alerts(today)), None), "Without it reports come by cadence alone.")


CONNECTOR = Connector(
    name="creditsafe",
    settings=CreditsafeSettings,
    opened=_opened,
    words=lambda own: f"{own.url}, user {own.user}",
    needs="ARREARS_CREDITSAFE_USER and ARREARS_CREDITSAFE_PASSWORD",
    gives=frozenset({"scores", "inquiries"}),
    rights=_rights,
)
