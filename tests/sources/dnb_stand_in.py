"""A stand-in for D&B Direct+, with invented companies: blocks that fail under 200, a queue that is emptied by reading it."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.sources.stand_in import Reply, Request, StandIn

KEY, SECRET = "consumer-5d1", "consumer-s3cret-0f"


def candidate(duns: str, name: str, code: int, country: str = "US") -> dict[str, Any]:
    return {
        "organization": {"duns": duns, "primaryName": name, "primaryAddress": {"addressCountry": {"isoAlpha2Code": country}}},
        "matchQualityInformation": {"confidenceCode": code, "nameMatchScore": 90.5},
    }


MATCHES = {
    "Sure Supply Inc": [candidate("804735132", "Sure Supply Inc", 10), candidate("804735133", "Sure Supply South", 6)],
    "Doubtful Deals": [candidate("111111111", "Doubtful Dealers", 7)],
    "Twins LLC": [candidate("222222221", "Twins LLC", 9), candidate("222222222", "Twins LLC", 9)],
    "Bankrupt Bakery": [candidate("333333333", "Bankrupt Bakery", 8)],
}
TOLD = {"transactionDetail": {"transactionTimestamp": "2025-06-30T03:04:05.678Z"}}


def assessed(percentile: Any, klass: Any, day: str = "2025-06-20") -> dict[str, Any]:
    return {"nationalPercentile": percentile, "classScore": klass, "scoreDate": day, "scoreModel": {"dnbCode": 19886}}


BLOCKS: dict[str, dict[str, Any]] = {
    "804735132": {
        **TOLD,
        "blockStatus": [{"blockID": "paymentinsight_L3_v1", "status": "ok"}, {"blockID": "companyinfo_L2_v1", "status": "ok"}],
        "organization": {
            "duns": "804735132",
            "dunsControlStatus": {"operatingStatus": {"description": "Active", "dnbCode": 9074}},
            "businessTrading": [{"summaryDate": "2025-06-15", "summary": [{"paydexScore": 78, "paymentBehaviorDays": 3.5}]}],
            "dnbAssessment": {
                "delinquencyScore": assessed(72, 2),
                "failureScore": assessed(40, 3),
                "layOffScore": {"nationalPercentile": 90, "scoreDate": "2025-06-20"},
                "standardRating": {"rating": "5A3"},
                "creditLimitRecommendation": {
                    "assessmentDate": "2025-06-18",
                    "maximumRecommendedLimit": {"value": 65000.5, "currency": "USD"},
                },
            },
        },
    },
    "333333333": {
        **TOLD,
        "blockStatus": [
            {"blockID": "paymentinsight_L3_v1", "status": "failed", "reason": "not entitled"},
            {"blockID": "financialstrengthinsight_L2_v1", "status": "ok"},
        ],
        "organization": {
            "duns": "333333333",
            "dunsControlStatus": {"operatingStatus": {"description": "Out of Business"}},
            "dnbAssessment": {"failureScore": assessed(0, "--"), "standardRating": {"rating": "--"}},
        },
    },
    "555555555": {
        **TOLD,
        "blockStatus": [{"blockID": "paymentinsight_L3_v1", "status": "failed"}],
        "organization": {"duns": "555555555"},
    },
}


class DnbServer(StandIn):
    """D&B's server. `logins` counts them, `queue` holds pages of changes that are handed out once, `billed` the numbers asked about."""

    token_path = "/v3/token"

    def __init__(self) -> None:
        super().__init__({})
        self.logins = 0
        self.secret = SECRET
        self.queue: list[list[dict[str, Any]]] = []
        self.billed: list[str] = []

    def token(self, request: Request) -> Reply:
        self.logins += 1
        told = base64.b64decode(request.headers.get("Authorization", "Basic ").partition(" ")[2]).decode()
        if told != f"{KEY}:{self.secret}" or request.json != {"grant_type": "client_credentials"}:
            return Reply({"error": {"errorCode": "00004", "errorMessage": f"Invalid credentials {told}"}}, 401)
        self.tokens += 1
        self.good = f"dnb-access-{self.tokens}"
        until = (datetime.now(UTC) + timedelta(hours=24)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Reply({"access_token": self.good, "token_type": "BearerToken", "expirationDateTime": until})

    def data(self, request: Request) -> Reply:
        if request.path == "/v1/match/cleanseMatch":
            found = MATCHES.get(request.query["name"], [])
            return (
                Reply({"matchCandidates": found})
                if found
                else Reply({"error": {"errorCode": "20502", "errorMessage": "No match"}}, 404)
            )
        if request.path.startswith("/v1/data/duns/"):
            duns = request.path.rpartition("/")[2]
            self.billed.append(duns)
            return (
                Reply(BLOCKS[duns])
                if duns in BLOCKS
                else Reply({"error": {"errorCode": "00037", "errorMessage": "Not found"}}, 404)
            )
        if request.path == "/v1/monitoring/registrations/book-1/notifications":
            return Reply({"notifications": self.queue.pop(0) if self.queue else []})
        return Reply({"error": {"errorMessage": "no such thing"}}, 404)


def change(duns: str, element: str, before: Any, after: Any, at: str = "2025-06-30T01:00:00Z") -> dict[str, Any]:
    return {
        "duns": duns,
        "changeTimestamp": at,
        "blockID": "paymentinsight_L3_v1",
        "elementId": element,
        "previousValue": before,
        "currentValue": after,
    }
