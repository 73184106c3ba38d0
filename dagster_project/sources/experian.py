"""Experian Business Information Services of the United States: commercial scores by business identification number (BIN).

Belongs here: its addresses, how its answers are read, what of them is which column. Does not belong here: whom to ask about, budgets,
matches (`inquiries.py`), what a score is worth (policy).

    POST oauth2/v1/token                            a token for half an hour
    POST businessinformation/businesses/v1/search   which business a customer is, by name and state; billed
    POST businessinformation/businesses/v1/scores   the commercial score and the financial stability score; billed

A score is worked out when it is asked for, so its day is the day of the call. The same field holds scores of several models, each on its
own scale: `model_code` decides. An answer of 200 may say that it is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final

from pydantic import SecretStr

from dagster_project.sources import Connector, ConnectorSettings, LoginRefusedError, Opening, Right, SourceError
from dagster_project.sources.auth import Login, logged_in
from dagster_project.sources.http import Http, Throttle
from dagster_project.sources.inquiries import (
    Alert,
    BureauSource,
    Candidate,
    Customer,
    Reading,
    at,
    figure,
    likeness,
    limit_of,
    listed,
    now,
    terms_of,
    words,
)
from dagster_project.words import shown

ADDRESS: Final = "https://us-api.experian.com"
BUSINESSES: Final = "businessinformation/businesses/v1"
TOKEN_SECONDS: Final = 1_800.0
NOT_THERE: Final = re.compile(r"no (hit|record|match|business)|not found", re.IGNORECASE)

SCORES: Final[Mapping[str, str]] = {"commercial_score": "commercialScore", "fsr_score": "fsrScore"}
"""A row each: the score code and where the answer has it, with score, modelCode, riskClass.code and recommendedCreditLimitAmount."""


class ExperianSettings(ConnectorSettings, env_prefix="ARREARS_EXPERIAN_"):
    """An app's id and secret, its user and password, the subscriber code that is billed, and the model that is asked for."""

    client_id: str
    client_secret: SecretStr
    user: str
    password: SecretStr
    subcode: str
    model_code: str = "000224"
    url: str = ADDRESS


class Experian:
    """The bureau, as `inquiries.py` asks it."""

    name = "experian"
    searches_are_billed = True

    def __init__(self, own: ExperianSettings, opening: Opening, calls_a_minute: int, wait: float):
        self._url, self._subcode, self._model = own.url.rstrip("/"), own.subcode.strip(), own.model_code.strip()
        client, secret = own.client_id.strip(), own.client_secret.get_secret_value().strip()
        password = own.password.get_secret_value().strip()

        def login() -> tuple[str, float]:
            answer = logged_in(
                f"{self._url}/oauth2/v1/token",
                {"username": own.user, "password": password},
                headers={"client_id": client, "client_secret": secret, "grant_type": "password"},
                hidden=(secret, password),
            )
            if not isinstance(access := answer.get("access_token"), str):
                if answer.get("success") is False or answer.get("errors"):
                    raise LoginRefusedError(f"{self._url}/oauth2/v1/token: {_errors(answer)}")
                raise SourceError(f"{self._url}/oauth2/v1/token: the answer has no access_token")
            return access, float(figure(answer.get("expires_in")) or TOKEN_SECONDS)

        credentials = {
            "ARREARS_EXPERIAN_CLIENT_ID": client,
            "ARREARS_EXPERIAN_CLIENT_SECRET": secret,
            "ARREARS_EXPERIAN_USER": own.user,
            "ARREARS_EXPERIAN_PASSWORD": password,
        }
        self.auth = Login(
            self._url,
            credentials,
            opening.home / "memory" / "experian-refused.json",
            login,
            hidden=lambda variable: variable.endswith(("SECRET", "PASSWORD")),
        )
        self.http = Http(
            self._url,
            self.auth,
            setting="ARREARS_EXPERIAN_URL",
            credentials="ARREARS_EXPERIAN_CLIENT_ID, _CLIENT_SECRET, _USER and _PASSWORD",
            wait=wait,
            throttle=Throttle(calls_a_minute, 60),
        )

    def close(self) -> None:
        self.http.close()

    def _asked(self, what: str, body: Mapping[str, Any]) -> Any:
        """The results of a call; None where it has none. Both are billed, so neither is asked for twice."""
        address = f"{self._url}/{BUSINESSES}/{what}"
        answer = self.http.json(address, body={**body, "subcode": self._subcode}, number=str, whole=str, paid=True)
        if answer is None:
            return None
        if at(answer, "success") is not True:
            told = _errors(answer)
            if NOT_THERE.search(told):
                return None
            raise SourceError(f"{address}: answered with 200 and no success: {told}")
        return at(answer, "results") or None

    # --- which company ------------------------------------------------------------------------------------------------

    def candidates(self, customer: Customer) -> list[Candidate]:
        if customer.country not in ("US", ""):
            raise SourceError(
                f"customer {customer.id} is in {customer.country}: this product of Experian's knows the United States alone"
            )
        asked = {"name": customer.name, "geo": True}
        if re.fullmatch("[A-Za-z]{2}", customer.region):
            asked["state"] = customer.region.upper()
        return [found for each in listed(self._asked("search", asked)) if (found := _candidate(each, customer))]

    # --- scores -------------------------------------------------------------------------------------------------------

    def report(self, company: str, customer: Customer) -> Any:
        del customer
        return self._asked("scores", {"bin": company, "modelCode": self._model, "commercialScore": True, "fsrScore": True})

    def read(self, answer: Any, company: str, day: date) -> Reading:
        rows, failed = [], []
        for code, place in SCORES.items():
            said = at(answer, place)
            raw, model = words(at(said, "score")), words(at(said, "modelCode"))
            if raw is None:
                failed.append(f"{place} is missing")
                continue
            rows.append(
                {
                    "scored_on": day.isoformat(),
                    "score_code": code,
                    "raw_score": raw,
                    "model_code": model,
                    "risk_class": words(at(said, "riskClass.code")),
                    **limit_of(at(said, "recommendedCreditLimitAmount"), "USD"),
                    "fetched_at": now(),
                }
            )
        return Reading(rows, failed)

    def alerts(self, since: date) -> Iterator[Sequence[Alert]]:
        """None: no description of what its alerts look like is public."""
        del since
        return iter(())


def _candidate(found: Any, customer: Customer) -> Candidate | None:
    key, name = words(at(found, "bin")), words(at(found, "businessName")) or words(at(found, "legalBusinessName")) or ""
    if not key:
        return None
    sure = likeness(customer.name, name)
    state = (words(at(found, "address.state")) or "").upper()
    elsewhere = len(customer.region) == 2 and bool(state) and state != customer.region.upper()
    return Candidate(key, name, "US", words(at(found, "taxId")) or "", max(sure - 3, 1) if elsewhere else sure, "name")


def _errors(answer: Any) -> str:
    """The errors of an answer in words, without a text of it that could be anybody's."""
    told = [
        f"{words(at(error, 'errorCode')) or ''} {words(at(error, 'message')) or words(at(error, 'errorType')) or ''}".strip()
        for error in listed(at(answer, "errors"))
    ]
    return shown("; ".join(filter(None, told)) or "no reason is given", 160)


def _opened(own: ExperianSettings, opening: Opening, wait: float = 1.0, pause: float = 0.0) -> BureauSource:
    del pause
    terms = terms_of("experian", opening)
    return BureauSource(Experian(own, opening, terms.calls_a_minute, wait), opening, terms)


def _rights(source: BureauSource) -> Iterator[Right]:
    bureau = source.bureau
    assert isinstance(bureau, Experian)
    yield Right.tried(
        "logging in (whether the subscriber code is good shows with the first search, which is billed)", bureau.auth.header
    )


CONNECTOR = Connector(
    name="experian",
    settings=ExperianSettings,
    opened=_opened,
    words=lambda own: f"{own.url}, user {own.user}",
    needs="ARREARS_EXPERIAN_CLIENT_ID, _CLIENT_SECRET, _USER, _PASSWORD and _SUBCODE",
    gives=frozenset({"scores", "inquiries"}),
    rights=_rights,
)
