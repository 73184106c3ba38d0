"""A stand-in for Creditsafe Connect, with invented companies: tokens, accounts that lock, reports that are billed, alerts in pages."""

from __future__ import annotations

from typing import Any

from tests.sources.stand_in import Reply, Request, StandIn

USER, PASSWORD = "reader-77", "s3cret-Pass-word"


def rating(common: str, value: str, low: str, high: str, described: str = "Low Risk", limit: Any = "25000") -> dict[str, Any]:
    return {
        "commonValue": common,
        "commonDescription": described,
        "creditLimit": {"currency": "GBP", "value": limit},
        "providerValue": {"minValue": low, "maxValue": high, "value": value},
    }


def report(current: dict[str, Any] | None, status: str = "Active", described: str = "", **more: Any) -> dict[str, Any]:
    score = {"creditScore": {"currentCreditRating": current, "latestRatingChangeDate": "2023-03-01T00:00:00Z"}} if current else {}
    summary = {"companyStatus": {"status": status, "description": described}}
    return {"companyId": "x", "report": {"companySummary": summary, **score, **more}}


COMPANIES: list[dict[str, Any]] = [
    {"id": "GB-0-01234567", "country": "GB", "regNo": "01234567", "vatNo": ["GB123456789"], "name": "Acme Trading Limited"},
    {"id": "GB-0-07654321", "country": "GB", "regNo": "07654321", "vatNo": [], "name": "Beta Metals Ltd"},
    {"id": "GB-0-07654399", "country": "GB", "regNo": "07654399", "vatNo": [], "name": "Beta Metals Holdings Ltd"},
    {"id": "GB-0-05555555", "country": "GB", "regNo": "05555555", "vatNo": [], "name": "Somebody Else plc"},
    {"id": "DE-0-998877", "country": "DE", "regNo": "998877", "vatNo": ["DE811111111"], "name": "Gamma Werke GmbH"},
    {"id": "GB-0-02020202", "country": "GB", "regNo": "02020202", "vatNo": [], "name": "Delta Foods Ltd"},
]
PAYS = {"paymentData": {"dbt": "12", "industryDBT": 7.5}}
RATIOS = [{"ratios": {"currentRatio": 1.25, "liquidityRatioOrAcidTest": "0.9", "totalDebtRatio": 3}}]
REPORTS: dict[str, dict[str, Any]] = {
    "GB-0-01234567": report(rating("B", "66", "0", "100"), additionalInformation=PAYS, financialStatements=RATIOS),
    "GB-0-07654321": report(rating("E", "0", "0", "100", "Not Rated", "Contact us"), "NonActive", "In Liquidation"),
    "DE-0-998877": report(
        rating("A", "151", "100", "600"), additionalInformation={"dbt": {"companyDBT": 3, "industryDBT": "--"}}
    ),
    "GB-0-02020202": {"companyId": "x", "report": None},
}


class CreditsafeServer(StandIn):
    """Creditsafe's server. `logins` counts them; `password` is the right one; `events` are its alerts, `billed` the reports it bills."""

    token_path = "/v1/authenticate"

    def __init__(self) -> None:
        super().__init__({})
        self.logins = 0
        self.password = PASSWORD
        self.events: list[dict[str, Any]] = []
        self.billed: list[str] = []
        self.reasons: list[str | None] = []

    def lets_in(self, request: Request) -> bool:
        return bool(self.good) and request.headers.get("Authorization") == self.good

    def token(self, request: Request) -> Reply:
        self.logins += 1
        if request.json != {"username": USER, "password": self.password}:
            return Reply({"error": "Unauthorized", "message": f"wrong password {request.json['password']}"}, 401)
        self.tokens += 1
        self.good = f"jwt-{self.tokens}.x.y"
        return Reply({"token": self.good})

    def data(self, request: Request) -> Reply:
        parts = request.path.removeprefix("/v1/").split("/")
        if parts == ["companies"]:
            return Reply(self._search(request.query))
        if parts[0] == "companies":
            self.billed.append(parts[1])
            self.reasons.append(request.query.get("customData"))
            return Reply(REPORTS[parts[1]]) if parts[1] in REPORTS else Reply({"error": "not found"}, 404)
        if parts[-1] == "notificationEvents":
            page, size = int(request.query["page"]), int(request.query["pageSize"])
            found = [each for each in self.events if each["eventDate"][:10] >= request.query["startDate"]]
            return Reply({"totalCount": len(found), "data": found[page * size : (page + 1) * size], "paging": {"size": size}})
        if parts == ["access", "countries"]:
            return Reply({"countryAccess": {"creditsafeConnectOnlineReports": [{"countryIso2": "GB"}]}})
        return Reply({"error": "no such thing"}, 404)

    def _search(self, query: dict[str, str]) -> dict[str, Any]:
        found = [each for each in COMPANIES if each["country"] in query["countries"].split(",")]
        if "regNo" in query:
            found = [each for each in found if each["regNo"] == query["regNo"]]
        if "vatNo" in query:
            found = [each for each in found if query["vatNo"] in each["vatNo"]]
        if "name" in query:
            first = query["name"].split()[0].lower()
            found = [each for each in found if first in each["name"].lower()]
        return {"totalSize": len(found), "companies": found}


def event(key: int, company: str, on: str, what: str, before: str = "", after: str = "") -> dict[str, Any]:
    return {
        "notificationEventId": key,
        "eventId": key + 1,
        "eventDate": f"{on}T04:05:06Z",
        "company": {"id": company, "name": "x", "countryCode": company[:2]},
        "ruleCode": 101,
        "ruleName": what,
        "oldValue": before,
        "newValue": after,
    }
