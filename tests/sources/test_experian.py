"""Scores of Experian through its connector, from a server that stands in for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from dagster_project.sources import LoginRefusedError, Opening
from dagster_project.sources.experian import CONNECTOR
from tests.sources.bureaus import MORNING, Office
from tests.sources.experian_stand_in import CLIENT, PASSWORD, SECRET, SUBCODE, USER, ExperianServer, score
from tests.sources.nights import secrets_in
from tests.sources.stand_in import serving

CROCUS = ("E1", "Crocus Bicycle, Inc.", "US", "", "next_night", "CA")
NOBODY = ("E2", "Zeta Works", "US", "")
ABROAD = ("E3", "Gamma", "DE", "")


@pytest.fixture
def server() -> Iterator[ExperianServer]:
    with serving(ExperianServer()) as stand_in:
        assert isinstance(stand_in, ExperianServer)
        yield stand_in


@pytest.fixture
def office(server: ExperianServer, tmp_path: Path) -> Office:
    own = {
        "client_id": CLIENT,
        "client_secret": SECRET,
        "user": USER,
        "password": PASSWORD,
        "subcode": SUBCODE,
        "url": server.url,
    }
    return Office(tmp_path, CONNECTOR, own)


def accepts(office: Office, key: str) -> None:
    text = office.matches.read_text("utf-8")
    lines = [line.replace("proposed", "accepted" if key in line else "rejected") for line in text.splitlines()]
    office.matches.write_text("\n".join(lines), "utf-8")


def test_a_name_is_never_sure_a_search_is_billed_and_each_model_has_its_scale(server: ExperianServer, office: Office) -> None:
    office.due(CROCUS, NOBODY, ABROAD)
    office.night()

    assert server.billed == ["search", "search"]
    assert office.rows("bureau_matches", "bureau_id", "confidence::integer", "decision") == [
        ("700000001", 8, "proposed"),
        ("700000002", 5, "proposed"),
    ], "another state is another business, more likely"
    assert office.rows("bureau_events", "customer_id", "kind", "billed") == [
        ("E1", "to_review", 1),
        ("E2", "not_found", 1),
        ("E3", "failed", 0),
    ]

    office.night()
    assert server.billed == ["search", "search"], "neither is searched for again"

    accepts(office, "700000001")
    office.due((*CROCUS[:4], "waits_for_review", "CA"), made=MORNING)
    office.night(MORNING + timedelta(days=1))
    told = office.rows(
        "credit_scores", "score_code", "model_code", "raw_score", "risk_class", "recommended_limit::integer", "currency"
    )
    assert told == [
        ("commercial_score", "000224", "62", "2", 52300, "USD"),
        ("fsr_score", "000223", "41", "3", None, None),
    ]
    assert server.billed[2:] == ["scores"]
    assert secrets_in(office.folder, [SECRET, PASSWORD, server.good]) == []


def test_a_score_that_is_missing_or_an_error_under_200_is_no_score(server: ExperianServer, office: Office) -> None:
    office.due(CROCUS)
    office.night()
    accepts(office, "700000002")
    server.scores["700000002"]["commercialScore"] = score(998, "intelliscore_plus_v3")
    office.due((*CROCUS[:4], "waits_for_review"), made=MORNING)
    office.night(MORNING + timedelta(days=1))
    assert office.rows("credit_scores", "score_code", "model_code", "raw_score") == [
        ("commercial_score", "intelliscore_plus_v3", "998")
    ], "998 is a sentinel of bureau_scales, not 0 and not the best"
    assert office.left_out["parts of reports that failed: fsrScore is missing"] == 1

    del server.scores["700000002"]
    office.due(CROCUS, made=MORNING + timedelta(days=1))
    office.night(MORNING + timedelta(days=2))
    office.own = {**office.own, "subcode": "1"}
    office.due(CROCUS, made=MORNING + timedelta(days=2))
    office.night(MORNING + timedelta(days=3))
    events = office.rows("bureau_events", "occurred_on", "kind", "detail")
    assert [row[1] for row in events] == ["to_review", "report", "not_found", "failed"]
    assert "4004 Invalid subcode" in str(events[-1][2])


def test_a_refused_login_is_remembered_and_shows_no_secret(
    server: ExperianServer, office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office.due(CROCUS)
    server.password = "another"
    office.night()
    office.night(MORNING + timedelta(days=1))

    assert server.logins == 1
    assert PASSWORD not in caplog.text and SECRET not in caplog.text
    assert "is not tried again" in caplog.text

    with ExitStack() as stack:
        source = CONNECTOR.opened(CONNECTOR.settings(**office.own), Opening(MORNING, office.folder, stack, is_trial=True))
        assert CONNECTOR.rights is not None
        with pytest.raises(LoginRefusedError, match="put right ARREARS_EXPERIAN_CLIENT_ID"):
            list(CONNECTOR.rights(source))
    assert server.logins == 1, "make connect does not try it either"
