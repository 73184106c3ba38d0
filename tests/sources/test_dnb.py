"""Data blocks of D&B through its connector, from a server that stands in for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dagster_project import duck
from dagster_project.contract import DATASETS
from dagster_project.landing import rows_select
from dagster_project.sources import Opening
from dagster_project.sources.dnb import CONNECTOR, good_for
from tests import compiled
from tests.sources.bureaus import MORNING, Office
from tests.sources.dnb_stand_in import KEY, SECRET, DnbServer, change
from tests.sources.nights import secrets_in
from tests.sources.stand_in import Reply, serving

SURE = ("U1", "Sure Supply Inc", "US", "")
DOUBTFUL = ("U2", "Doubtful Deals", "US", "")
TWINS = ("U3", "Twins LLC", "US", "")
BANKRUPT = ("U4", "Bankrupt Bakery", "US", "")
KNOWN = ("U5", "Whoever", "DE", "DUNS 80-473-5132")
EMPTY = ("U6", "Empty", "US", "D-U-N-S 555555555")


@pytest.fixture
def server() -> Iterator[DnbServer]:
    with serving(DnbServer()) as stand_in:
        assert isinstance(stand_in, DnbServer)
        yield stand_in


@pytest.fixture
def office(server: DnbServer, tmp_path: Path) -> Office:
    return Office(tmp_path, CONNECTOR, {"key": KEY, "secret": SECRET, "url": server.url, "registration": "book-1"})


def test_blocks_become_a_row_a_score_and_what_failed_or_is_a_sentinel_is_no_number(server: DnbServer, office: Office) -> None:
    office.due(SURE, BANKRUPT, DOUBTFUL, TWINS, EMPTY)
    office.night()

    assert server.billed == ["804735132", "333333333", "555555555"], "7 is not sure enough, and of two alike nobody is"
    told = office.rows(
        "credit_scores", "customer_id", "score_code", "raw_score", "risk_class", "scored_on", "match_confidence::integer"
    )
    assert told == [
        ("U1", "credit_limit", None, None, date(2025, 6, 18), None),
        ("U1", "delinquency_percentile", "72", "2", date(2025, 6, 20), None),
        ("U1", "failure_percentile", "40", "3", date(2025, 6, 20), None),
        ("U1", "layoff_percentile", "90", None, date(2025, 6, 20), None),
        ("U1", "paydex", "78", None, date(2025, 6, 15), None),
        ("U1", "standard_rating", "5A3", None, date(2025, 6, 30), None),
        ("U4", "failure_percentile", "0", "--", date(2025, 6, 20), 8),
        ("U4", "standard_rating", "--", None, date(2025, 6, 30), 8),
    ]
    assert office.rows("credit_scores", "score_code", "recommended_limit", "currency")[0][1:] == (Decimal("65000.5"), "USD")
    assert office.left_out["parts of reports that failed: paymentinsight_L3_v1: not entitled"] == 1
    assert office.rows("bureau_events", "customer_id", "kind", "billed") == [
        ("U1", "report", 1),
        ("U2", "to_review", 0),
        ("U3", "to_review", 0),
        ("U4", "report", 1),
        ("U6", "failed", 1),
    ]
    assert office.rows("bureau_matches", "customer_id", "bureau_id", "decision", "matched_by") == [
        ("U1", "804735132", "accepted", "name"),
        ("U2", "111111111", "proposed", "name"),
        ("U3", "222222221", "proposed", "name"),
        ("U3", "222222222", "proposed", "name"),
        ("U4", "333333333", "accepted", "name"),
        ("U6", "555555555", "accepted", "duns"),
    ]
    assert secrets_in(office.folder, [SECRET, server.good]) == []

    con = compiled.over(compiled.compiled(), MORNING, ["int_bureau_scores"], _given(office))
    found = con.sql(
        "select customer_id, score_code, round(score, 1)::varchar, unused_reason, status "
        "from arrears.intermediate.int_bureau_scores order by all"
    ).fetchall()
    assert found == [
        ("U1", "credit_limit", None, "not_counted", "active"),
        ("U1", "delinquency_percentile", "71.7", None, "active"),
        ("U1", "failure_percentile", "39.4", None, "active"),
        ("U1", "layoff_percentile", None, "not_counted", "active"),
        ("U1", "paydex", "77.8", None, "active"),
        ("U1", "standard_rating", "33.3", None, "active"),
        ("U4", "failure_percentile", None, "sentinel", "dissolved"),
        ("U4", "standard_rating", None, "sentinel", "dissolved"),
    ]


def _given(office: Office) -> dict[str, Any]:
    scores = DATASETS["credit_scores"]
    with duck.scratch(office.landing.folder) as con:
        rows = con.sql(rows_select(scores, con, office.landing.loads(scores))).to_arrow_table().to_pylist()
    told = [{**{name: row[name] for name in scores.column_names}, "known_at": row["_loaded_at"]} for row in rows]
    customers = pa.table({"customer_id": ["U1", "U4"], "registration_number": pa.nulls(2, pa.string())})
    return {"stg_bureau__credit_scores": pa.Table.from_pylist(told), "int_customers": customers}


def test_a_number_of_our_own_is_asked_about_with_the_reason_the_law_wants(server: DnbServer, office: Office) -> None:
    office.due(KNOWN)
    office.night()

    (asked,) = [each for each in server.heard if each.path.startswith("/v1/data")]
    assert (asked.path, asked.query["orderReason"]) == ("/v1/data/duns/804735132", "6332")
    assert not [each for each in server.heard if "cleanseMatch" in each.path]


def test_the_queue_is_kept_page_by_page_before_the_next_is_read(server: DnbServer, office: Office) -> None:
    office.due(SURE)
    office.night()
    server.queue = [
        [change("804735132", "organization.businessTrading.paydexScore", 78, 55)],
        [change("804735132", "organization.primaryName", "a", "b"), change("999999999", "x.score", 1, 2)],
    ]
    served = server.data

    def breaks(request: Any) -> Reply:
        return Reply(b"", 403) if len(server.queue) == 1 and "notifications" in request.path else served(request)

    server.data = breaks  # type: ignore[method-assign]
    office.night(MORNING + timedelta(days=1))
    alerts = office.rows("bureau_events", "kind", "value_before", "value_after")
    assert alerts == [("alert", "78", "55"), ("report", None, None)], "what was handed out is kept, whatever came next"

    server.data = served  # type: ignore[method-assign]
    office.night(MORNING + timedelta(days=2))
    assert office.rows("bureau_events", "kind", "value_after")[:2] == [("alert", "55"), ("alert", None)]
    assert server.queue == []


def test_what_is_used_up_ends_the_night_and_a_refused_key_is_remembered(
    server: DnbServer, office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office.due(SURE, BANKRUPT)
    server.faults = {3: Reply({"error": {"errorMessage": "Monthly entitlement exceeded"}}, 403)}
    office.night()
    assert server.billed == []
    assert office.left_out == {"customers due and not asked about: the bureau could not be reached": 2}
    assert "Monthly entitlement exceeded" in caplog.text

    server.secret, server.good = "another", ""
    office.night(MORNING + timedelta(days=1))
    office.night(MORNING + timedelta(days=2))
    assert server.logins == 2, "the first night's, and one that was refused"
    assert SECRET not in caplog.text

    with ExitStack() as stack:
        own = CONNECTOR.settings(**{**office.own, "secret": "another"})
        source = CONNECTOR.opened(own, Opening(MORNING, office.folder, stack, is_trial=True))
        assert CONNECTOR.rights is not None
        assert [right.lacks for right in CONNECTOR.rights(source)] == [""]


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [({"expiresIn": 86400}, 86400), ({"expires_in": "600"}, 600), ({"expirationDateTime": "soon"}, 3600), ({}, 3600)],
)
def test_a_token_is_good_as_long_as_it_says(answer: dict[str, Any], seconds: float) -> None:
    assert good_for(answer) == seconds
