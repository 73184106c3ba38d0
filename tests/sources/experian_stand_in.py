"""A stand-in for the business information of Experian in the United States, with invented businesses: errors under 200, several models."""

from __future__ import annotations

from typing import Any

from tests.sources.stand_in import Reply, Request, StandIn

CLIENT, SECRET, USER, PASSWORD, SUBCODE = "app-5d1", "app-s3cret-9b", "reader@example.com", "Pa55-of-reader", "0563736"

BUSINESSES: list[dict[str, Any]] = [
    {"bin": "700000001", "businessName": "CROCUS BICYCLE INC", "address": {"state": "CA", "city": "X"}, "reliabilityCode": 98},
    {"bin": "700000002", "businessName": "CROCUS BICYCLE", "address": {"state": "NY", "city": "Y"}, "reliabilityCode": 71},
]


def score(value: Any, model: str, klass: int | None = None, limit: Any = None) -> dict[str, Any]:
    return {
        "score": value,
        "modelCode": model,
        "riskClass": {"code": klass, "definition": "x"},
        "recommendedCreditLimitAmount": limit,
    }


class ExperianServer(StandIn):
    """Experian's server. `scores` are the results by BIN, `billed` the calls it bills."""

    token_path = "/oauth2/v1/token"

    def __init__(self) -> None:
        super().__init__({})
        self.logins = 0
        self.password = PASSWORD
        self.scores: dict[str, Any] = {
            "700000001": {"commercialScore": score(62, "000224", 2, 52300), "fsrScore": score("41", "000223", 3)},
            "700000002": {"commercialScore": score(465, "intelliscore_plus_v3"), "fsrScore": None},
        }
        self.billed: list[str] = []

    def token(self, request: Request) -> Reply:
        self.logins += 1
        told = [request.headers.get(name) for name in ("client_id", "client_secret", "grant_type")]
        if told != [CLIENT, SECRET, "password"] or request.json != {"username": USER, "password": self.password}:
            return Reply(
                {"success": False, "errors": [{"errorType": "Unauthorized", "message": f"Access denied {request.json}"}]}, 401
            )
        self.tokens += 1
        self.good = f"experian-access-{self.tokens}"
        return Reply({"access_token": self.good, "expires_in": "1800", "token_type": "Bearer", "refresh_token": "r"})

    def data(self, request: Request) -> Reply:
        what, asked = request.path.rpartition("/")[2], request.json
        if asked.get("subcode") != SUBCODE:
            return self.no(4004, "Invalid subcode")
        self.billed.append(what)
        if what == "search":
            found = [each for each in BUSINESSES if asked["name"].split()[0].upper() in each["businessName"]]
            return self.yes(found) if found else self.no(4002, "No record found")
        return self.yes(self.scores[asked["bin"]]) if asked["bin"] in self.scores else self.no(4003, "No hit")

    def yes(self, results: Any) -> Reply:
        return Reply({"requestId": "r-1", "success": True, "results": results, "comments": None})

    def no(self, code: int, message: str) -> Reply:
        return Reply(
            {"requestId": "r-1", "success": False, "errors": [{"errorCode": code, "errorType": "x", "message": message}]}
        )
