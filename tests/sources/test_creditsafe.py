"""Reports of Creditsafe through its connector, from a server that stands in for it; and what all bureaus have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dagster_project.connect import connect
from dagster_project.contract import sources
from dagster_project.settings import Settings
from dagster_project.sources import creditsafe as module
from dagster_project.sources.creditsafe import CONNECTOR
from dagster_project.sources.files import FilesSource
from dagster_project.sources.inquiries import Terms, identifier, likeness
from tests import compiled
from tests.sources import creditsafe_stand_in as stand_in
from tests.sources.bureaus import MADE, MORNING, Office
from tests.sources.creditsafe_stand_in import PASSWORD, USER, CreditsafeServer, event
from tests.sources.nights import secrets_in
from tests.sources.stand_in import Reply, serving

LEDGER = Path(__file__).parents[1] / "fixtures" / "ledger"
ACME = ("C1", "ACME Trading Ltd.", "GB", "1234567")
BETA = ("C2", "Beta Metals", "GB", "")
GAMMA = ("C3", "Gamma-Werke GmbH & Co. KG", "DE", "DE 811 111 111")
DELTA = ("C4", "Delta Foods", "GB", "02020202")
NOBODY = ("C5", "Zeta", "GB", "")
RENAMED = ("C6", "Epsilon", "GB", "05555555")
SCORES = ("customer_id", "score_code", "model_code", "raw_score", "risk_class", "status", "match_confidence")
EVENTS = ("customer_id", "occurred_on", "kind", "billed")


@pytest.fixture
def server() -> Iterator[CreditsafeServer]:
    with serving(CreditsafeServer()) as listening:
        assert isinstance(listening, CreditsafeServer)
        yield listening


@pytest.fixture
def office(server: CreditsafeServer, tmp_path: Path) -> Office:
    return Office(tmp_path, CONNECTOR, {"user": USER, "password": PASSWORD, "url": f"{server.url}/v1"})


@pytest.fixture
def terms(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def told(**more: Any) -> None:
        base = {
            "reports_a_day": 25,
            "reports_a_month": 500,
            "accept_confidence": 10,
            "failed_days": 3,
            "keep_raw": False,
            "raw_days": 0,
        }
        monkeypatch.setattr(module, "terms_of", lambda *_: Terms(**{**base, "calls_a_minute": 6_000, **more}))

    told()
    return told


def test_who_is_due_is_matched_by_identifier_bought_once_and_read_on_its_own_scale(
    server: CreditsafeServer, office: Office
) -> None:
    office.night()
    assert server.heard == [] and server.logins == 0, "no morning has said yet who is due"

    office.due(ACME, GAMMA)
    office.night()

    assert office.rows("credit_scores", *SCORES) == [
        ("C1", "credit_score", "0-100", "66", "B", "Active", None),
        ("C1", "rating", None, "B", "B", "Active", None),
        ("C3", "credit_score", "100-600", "151", "A", "Active", None),
        ("C3", "rating", None, "A", "A", "Active", None),
    ]
    facts = office.rows(
        "credit_scores", "customer_id", "scored_on", "dbt", "industry_dbt", "recommended_limit", "current_ratio", "currency"
    )
    assert facts[0] == ("C1", MORNING, Decimal(12), Decimal("7.5"), Decimal(25000), Decimal("1.25"), "GBP")
    assert facts[2][2:4] == (Decimal(3), None), "another country has them elsewhere, and -- is no number"
    assert server.reasons == [None, "de_reason_code::1"]
    assert office.rows("bureau_matches", "customer_id", "bureau_id", "confidence", "matched_by", "decision") == [
        ("C1", "GB-0-01234567", Decimal(10), "registration_number", "accepted"),
        ("C3", "DE-0-998877", Decimal(10), "vat_number", "accepted"),
    ]
    assert office.rows("bureau_events", *EVENTS) == [("C1", MORNING, "report", 1), ("C3", MORNING, "report", 1)]

    office.night()
    office.night(MORNING + timedelta(days=1))
    assert server.billed == ["GB-0-01234567", "DE-0-998877"], "the list is of before they were asked about"
    assert office.manifests["credit_scores"].landed == 0
    assert secrets_in(office.folder, [PASSWORD, server.good]) == []
    assert (office.folder / "memory" / "creditsafe.sqlite").stat().st_mode & 0o777 == 0o600


def test_nothing_is_scored_on_a_match_nobody_has_looked_at(server: CreditsafeServer, office: Office) -> None:
    office.due(BETA, NOBODY, RENAMED)
    office.night()

    assert server.billed == []
    assert office.rows("bureau_matches", "customer_id", "bureau_id", "confidence", "decision", "decided_by") == [
        ("C2", "GB-0-07654321", Decimal(8), "proposed", None),
        ("C2", "GB-0-07654399", Decimal(5), "proposed", None),
        ("C6", "GB-0-05555555", Decimal(5), "proposed", None),
    ], "the same number under another name is a question too"
    assert office.left_out == {
        "customers due and not scored: somebody has to say which company it is": 2,
        "customers due and not scored: the bureau knows no such company": 1,
    }

    text = office.matches.read_text("utf-8")
    lines = [line.replace("proposed", "Accepted" if "07654321" in line else "rejected") for line in text.splitlines()]
    office.matches.write_bytes("\r\n".join(lines).replace(",", ";").encode("cp1252"))
    office.due((*BETA, "waits_for_review"), (*RENAMED, "waits_for_review"), made=MORNING)
    office.night(MORNING + timedelta(days=1))

    assert server.billed == ["GB-0-07654321"], "as the list is of before somebody looked"
    assert office.rows("credit_scores", *SCORES) == [
        ("C2", "credit_score", "0-100", "0", "E", "In Liquidation", None),
        ("C2", "rating", None, "NR", "E", "In Liquidation", None),
    ], "somebody vouches for it; E beside «Not Rated» is no class, and «Contact us» no limit"
    decided = office.rows("bureau_matches", "bureau_id", "decision", "decided_by", "decided_on")
    assert decided[0][1:] == ("rejected", "person", MORNING + timedelta(days=1))
    assert decided[1][1:] == ("accepted", "person", MORNING + timedelta(days=1))

    office.due(RENAMED, made=MORNING + timedelta(days=1))
    office.night(MORNING + timedelta(days=2))
    newest = office.rows("bureau_events", "occurred_on", "customer_id", "kind")[-1]
    assert newest[1:] == ("C6", "not_found"), "what was rejected is not proposed again"


def test_somebody_writes_in_a_company_and_slips_of_the_pen_are_said(
    server: CreditsafeServer, office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office.matches.parent.mkdir(parents=True)
    office.matches.write_text(
        "customer_id,bureau_id,decision\nC5,GB-0-01234567,accepted\nC1,GB-0-1,yes\n,GB-0-2,accepted\n", "utf-8"
    )
    office.due(NOBODY)
    office.night()

    assert server.billed == ["GB-0-01234567"]
    assert [message.partition("creditsafe.csv ")[2][:24] for message in caplog.messages if "decision" in message] == [
        "line 3: decision is «yes",
        "line 4: there is no key,",
    ]

    office.matches.write_text("customer,company\nC5,GB-0-01234567\n", "utf-8")
    office.due(ACME, made=MORNING)
    office.night(MORNING + timedelta(days=1))
    assert server.billed == ["GB-0-01234567"], "whoever cannot be understood is not overruled"
    assert "has no column bureau_id, customer_id, decision" in caplog.text
    assert office.matches.read_text("utf-8").startswith("customer,company")


def test_what_does_not_fit_the_budget_is_said_and_comes_first_the_next_night(
    server: CreditsafeServer, office: Office, terms: Callable[..., None]
) -> None:
    terms(reports_a_day=1, reports_a_month=2)
    office.due(ACME, GAMMA, DELTA)
    office.night()
    office.night()
    assert server.billed == ["GB-0-01234567"]
    assert office.left_out == {"customers due and not asked about: they do not fit the budget": 2}

    office.night(date(2025, 7, 1))
    assert server.billed[1:] == ["DE-0-998877"], "another month, another day"


def test_a_night_killed_between_answer_and_landing_buys_nothing_twice(
    server: CreditsafeServer, office: Office, monkeypatch: pytest.MonkeyPatch, terms: Callable[..., None]
) -> None:
    office.due(ACME, GAMMA)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module.Creditsafe, "read", killed)
        with pytest.raises(KeyboardInterrupt):
            office.night()
    assert server.billed == ["GB-0-01234567"]
    office.night(lands=False)
    office.night()

    assert server.billed == ["GB-0-01234567", "DE-0-998877"]
    assert len(office.rows("credit_scores", "customer_id")) == 4
    assert {row[3] for row in office.rows("bureau_events", *EVENTS)} == {1}
    assert b"latestRatingChangeDate" not in (office.folder / "memory" / "creditsafe.sqlite").read_bytes(), "no licence to keep it"

    terms(keep_raw=True, raw_days=30)
    office.due(DELTA, (*ACME[:1], "ACME Trading", *ACME[2:]), made=MORNING)
    office.night(MORNING + timedelta(days=1))
    assert b"latestRatingChangeDate" in (office.folder / "memory" / "creditsafe.sqlite").read_bytes()


def test_a_refused_login_is_not_tried_again_until_the_credentials_change(
    server: CreditsafeServer, office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office.due(ACME)
    server.password = "another"
    for night in range(3):
        office.night(MORNING + timedelta(days=night))

    assert server.logins == 1, "three nights, one wrong password"
    assert "put right ARREARS_CREDITSAFE_USER, ARREARS_CREDITSAFE_PASSWORD" in caplog.text
    assert PASSWORD not in caplog.text
    assert office.left_out == {"customers due and not asked about: the bureau could not be reached": 1}
    assert secrets_in(office.folder, [PASSWORD]) == []

    office.own = {**office.own, "password": "another"}
    office.night(MORNING + timedelta(days=3))
    assert server.logins == 2 and server.billed == ["GB-0-01234567"]


def test_a_token_that_ends_a_limit_and_an_answer_that_is_lost(server: CreditsafeServer, office: Office) -> None:
    office.due(ACME, GAMMA, BETA)
    # alerts, search, report; search, report: the token ends before the second report, after which a limit; its answer is cut
    server.ends = {5}
    server.faults = {6: Reply({"error": "slow down"}, 429), 7: Reply(b'{"companyId": "x", "report"', 200)}
    office.night()

    assert server.logins == 2
    assert office.rows("bureau_events", *EVENTS) == [
        ("C1", MORNING, "report", 1),
        ("C2", MORNING, "to_review", 0),
        ("C3", MORNING, "lost", 1),
    ]
    reports = [each.path for each in server.heard if each.path.startswith("/v1/companies/")]
    assert reports.count("/v1/companies/DE-0-998877") == 3, (
        "refused, told to wait, and answered: what may be billed is not asked again"
    )


def test_an_empty_report_under_200_is_no_score_and_a_country_that_is_not_covered_is_said(
    server: CreditsafeServer, office: Office
) -> None:
    office.due(DELTA, ACME, ("C9", "Without", "", "1"))
    server.faults = {5: Reply({"error": "forbidden"}, 403)}
    office.night()

    assert office.rows("credit_scores", "customer_id") == []
    told = {row[0]: row[1:] for row in office.rows("bureau_events", "customer_id", "kind", "billed", "detail")}
    assert told["C4"][:2] == ("failed", 1), "billed all the same"
    assert "is empty, although it was answered with 200" in told["C4"][2]
    assert "the contract does not cover this country or product" in told["C1"][2]
    assert "customer C9 has no country" in told["C9"][2]


def test_alerts_of_matched_companies_land_and_only_figures_are_kept(server: CreditsafeServer, office: Office) -> None:
    office.due(ACME)
    office.night()
    server.events = [event(1, "GB-0-01234567", "2025-06-30", "International Score Change", "66", "31")]
    server.events += [event(2, "GB-0-01234567", "2025-07-01", "Director Appointed", "", "Jane Example")]
    server.events += [event(3, "GB-0-99999999", "2025-07-01", "Credit Limit Change", "1", "2")] * 60
    office.night(date(2025, 7, 1))

    alerts = office.rows("bureau_events", "customer_id", "occurred_on", "kind", "value_before", "value_after", "detail")
    assert alerts == [
        ("C1", date(2025, 6, 30), "alert", "66", "31", "International Score Change"),
        ("C1", date(2025, 6, 30), "report", None, None, None),
        ("C1", date(2025, 7, 1), "alert", None, None, "Director Appointed"),
    ]
    assert "Jane" not in str(alerts)
    pages = [each.query for each in server.heard if each.path.endswith("notificationEvents")]
    assert [each["page"] for each in pages[-2:]] == ["0", "1"]
    assert pages[-1]["startDate"] == "2025-06-29"


def test_a_trial_a_replay_and_somebody_forgotten_buy_nothing(server: CreditsafeServer, office: Office) -> None:
    office.due(ACME, ("C8", "", "GB", "02020202"))
    office.night(trial=True)
    office.night(MADE - timedelta(days=1))
    assert server.heard == []
    office.night()
    assert server.billed == ["GB-0-01234567"], "whoever has no name any more is not asked about"


def test_connect_tries_the_login_and_the_rights_and_buys_nothing(
    server: CreditsafeServer, make_settings: Callable[..., Settings]
) -> None:
    given = {"creditsafe_user": USER, "creditsafe_password": PASSWORD, "creditsafe_url": f"{server.url}/v1"}
    seen: list[str] = []
    settings = make_settings(bureau="creditsafe", **given)

    assert connect(settings, "creditsafe", seen.append)
    assert server.billed == [] and server.logins == 1

    server.password = "another"
    seen.clear()
    assert not connect(settings, "creditsafe", seen.append)
    assert not connect(settings, "creditsafe", seen.append)
    assert server.logins == 2
    assert "the login was refused on" in "\n".join(seen)


@pytest.mark.parametrize(
    ("text", "country", "plain"),
    [
        ("1234567", "GB", "01234567"), ("SC 123456", "GB", "SC123456"), ("HRB 7", "DE", ""), ("de-811.111.111", "DE", "DE811111111"),
        ("12 345 678", "NO", "012345678"), ("", "GB", ""), ("０１２", "FR", "012"),
    ],
)  # fmt: skip
def test_an_identifier_is_its_letters_and_digits(text: str, country: str, plain: str) -> None:
    assert identifier(text, country) == plain


@pytest.mark.parametrize(
    ("ours", "theirs", "sure"),
    [
        ("ACME Trading Ltd.", "Acme Trading Limited", 8),
        ("Beta Metals", "Beta Metals Holdings Ltd", 5),
        ("Müller & Co", "Muller", 8),
        ("A", "B", 1),
    ],
)
def test_names_are_alike_by_their_words(ours: str, theirs: str, sure: int) -> None:
    assert likeness(ours, theirs) == sure


def test_the_list_a_morning_publishes_is_worked_through_and_the_next_morning_knows(
    server: CreditsafeServer, office: Office, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """From the ledger to the list, to the bureau, and back into scores, reports due and data issues."""
    aldgate = {"id": "GB-0-1", "country": "GB", "regNo": "00000001", "name": "Aldgate Fittings plc"}
    monkeypatch.setattr(
        stand_in, "COMPANIES", [aldgate, {**aldgate, "id": "DE-0-2", "country": "DE", "name": "Brueck Soehne Werke"}]
    )
    monkeypatch.setitem(stand_in.REPORTS, "GB-0-1", stand_in.REPORTS["GB-0-01234567"])
    office.matches.parent.mkdir()
    office.matches.write_text("customer_id,bureau_id,decision\n0001,GB-0-1,accepted\n", "utf-8")
    ledger = FilesSource(LEDGER)
    for dataset in sources("erp"):
        office.landing.land(dataset, ledger.fetch(dataset, None), MADE, quarantine_share=Decimal(0))
    nodes = compiled.needed_for(compiled.compiled(), "bureau_reports_due", "customer_data_issues", "int_bureau_signals")

    first = compiled.build(nodes, office.landing, MADE, test=False, bureau="creditsafe")
    due = sorted(first.rows("bureau_reports_due"), key=lambda row: row["place"])
    office.publish(first.table("bureau_reports_due"), MADE)
    first.con.close()
    assert {(row["state"], row["reason"]) for row in due} == {("next_night", "never")}
    staked = [row["exposure_amount"] for row in due if row["state"] == "next_night"]
    assert staked == sorted(staked, reverse=True) and min(staked) >= 500
    office.night()
    assert server.billed == ["GB-0-1"]

    second = compiled.build(nodes, office.landing, MORNING, test=False, bureau="creditsafe")
    states = {row["customer_id"]: row["state"] for row in second.rows("bureau_reports_due")}
    issues = [row["customer_id"] for row in second.rows("customer_data_issues") if row["issue"] == "bureau_match"]
    scored = second.con.sql(
        "select distinct customer_id from arrears.intermediate.int_bureau_scores where score is not null"
    ).fetchall()
    second.con.close()
    asked = dict(office.rows("bureau_events", "customer_id", "kind"))
    assert asked.keys() == {row["customer_id"] for row in due}
    meant = {"report": None, "to_review": "waits_for_review", "not_found": "not_found", "failed": "failed"}
    waits = {
        customer_id: state for customer_id, state in states.items() if customer_id in asked
    }  # 0017 owes enough since that day
    assert waits == {customer_id: meant[kind] for customer_id, kind in asked.items() if meant[kind]}
    assert [(customer_id,) for customer_id, kind in asked.items() if kind == "report"] == scored
    assert issues == [customer_id for customer_id, state in states.items() if state == "waits_for_review"]
