"""Datasets over HTTP, against a real server on loopback that misbehaves on demand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from dagster_project.contract import DATASETS
from dagster_project.sources import EXTRA, SourceError
from dagster_project.sources.answers import LIMITS
from dagster_project.sources.rest import RestSource

COMPANIES, INVOICES = DATASETS["companies"], DATASETS["invoices"]


def company(number: int) -> dict[str, str]:
    return {"company_id": f"{number:03}", "name": f"Company {number}", "currency": "EUR"}


def page(*numbers: int, following: str | None = None, **more: Any) -> dict[str, Any]:
    return {"data": [company(number) for number in numbers], "next": following, **more}


@pytest.fixture
def source(server: Any) -> Iterator[RestSource]:
    asking = RestSource(server.url, "t0ken", wait=0.001)
    yield asking
    asking.http.close()


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it would have slept before each further attempt."""
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    return slept


def ids(source: RestSource, dataset: str = "companies") -> list[str]:
    delivery = source.fetch(DATASETS[dataset], None)
    assert delivery is not None
    return [row[DATASETS[dataset].key[0]] for table in delivery.pages for row in table.to_pylist()]


def fault(source: RestSource, dataset: str = "companies") -> str:
    with pytest.raises(SourceError) as refused:
        ids(source, dataset)
    return str(refused.value)


def test_the_first_load_asks_for_everything_and_bears_the_token(server: Any, source: RestSource, answer: Any) -> None:
    server.on("/invoices", answer({"data": [], "next": None}))

    delivery = source.fetch(INVOICES, None)

    assert delivery is not None
    assert delivery.full
    (asked,) = server.heard
    assert asked.headers["Authorization"] == "Bearer t0ken"
    assert "updated_since" not in asked.query
    assert int(asked.query["limit"]) >= 1_000


def test_a_later_load_asks_for_what_changed_and_reaches_back_an_hour(server: Any, source: RestSource, answer: Any) -> None:
    server.on("/invoices", answer({"data": [], "next": None}))

    delivery = source.fetch(INVOICES, datetime(2025, 6, 29, 23, 15, 0, 999))

    assert delivery is not None
    assert not delivery.full, "a record that is not in it is not gone"
    assert server.heard[0].query["updated_since"] == "2025-06-29T22:15:00Z"


def test_a_dataset_that_cannot_tell_what_changed_is_asked_for_whole(server: Any, source: RestSource, answer: Any) -> None:
    server.on("/companies", answer(page(1)))

    delivery = source.fetch(COMPANIES, datetime(2025, 6, 29))

    assert delivery is not None
    assert delivery.full
    assert "updated_since" not in server.heard[0].query


@pytest.mark.parametrize("following", ["/companies?cursor=2", "?cursor=2", "companies?cursor=2", "{url}/companies?cursor=2"])
def test_pages_follow_one_another_whether_the_next_is_named_in_full_or_in_part(
    following: str, server: Any, source: RestSource, answer: Any
) -> None:
    server.on("/companies", answer(page(1, 2, following=following.format(url=server.url), total=3)))
    server.on("/companies?cursor=2", answer(page(3)))

    assert ids(source) == ["001", "002", "003"]
    assert all(asked.headers["Authorization"] == "Bearer t0ken" for asked in server.heard)
    assert server.heard[1].query == {"cursor": "2"}, "the next address is used as it is"


def test_a_relative_next_counts_from_the_page_it_stands_on(server: Any, source: RestSource, answer: Any) -> None:
    server.on("/companies", answer(page(1, following="pages/two")))
    server.on("/pages/two", answer(page(2, following="three")))
    server.on("/pages/three", answer(page(3)))

    assert ids(source) == ["001", "002", "003"]


def test_an_address_with_a_path_of_its_own_keeps_it(server: Any, answer: Any) -> None:
    server.on("/api/v2/companies", answer(page(1)))

    assert ids(RestSource(f"{server.url}/api/v2/")) == ["001"]
    assert "Authorization" not in server.heard[0].headers, "no token, no header"


def test_money_arrives_digit_by_digit_and_never_as_a_float(server: Any, source: RestSource, answer: Any) -> None:
    written = ["1234567890.1234", "0.1", "12345678901234.5678", '"0.10"', "100", "1.25E+7", "5e-4", "1e999999"]
    records = ", ".join(f'{{"invoice_id": "{n}", "amount": {text}}}' for n, text in enumerate(written))
    server.on("/invoices", answer(f'{{"data": [{records}]}}'.encode()))

    delivery = source.fetch(INVOICES, None)

    assert delivery is not None
    (table,) = delivery.pages
    assert table["amount"].to_pylist() == [
        "1234567890.1234", "0.1", "12345678901234.5678", "0.10", "100", "12500000", "0.0005", "1e999999",
    ]  # fmt: skip


def test_other_values_leave_as_the_text_the_server_meant(server: Any, source: RestSource, answer: Any) -> None:
    record = b'{"customer_id": "007", "name": "M\\u00fcller", "requires_po": true, "region": null, "vip": {"since": 2019}}'
    server.on("/customers", answer(b'{"data": [' + record + b"]}"))

    delivery = source.fetch(DATASETS["customers"], None)

    assert delivery is not None
    (row,) = next(delivery.pages).to_pylist()
    assert {name: value for name, value in row.items() if value is not None} == {
        "customer_id": "007",
        "name": "Müller",
        "requires_po": "true",
        EXTRA: '{"vip": {"since": "2019"}}',
    }


def test_pages_are_asked_for_at_most_one_ahead_of_what_is_used(server: Any, source: RestSource, answer: Any) -> None:
    for number in range(1, 6):
        server.on(f"/companies?cursor={number}", answer(page(number, following=f"?cursor={number + 1}" if number < 5 else None)))
    server.on("/companies", answer(page(0, following="?cursor=1")))

    delivery = source.fetch(COMPANIES, None)
    assert delivery is not None
    used = [len(server.heard) - count for count, _ in enumerate(delivery.pages, start=1)]

    assert len(used) == 6
    assert max(used) <= 1, "memory holds two pages, however many there are"


def test_a_count_that_differs_from_the_announced_one_is_refused(server: Any, source: RestSource, answer: Any) -> None:
    server.on("/companies", answer(page(1, following="?cursor=2", total=3)))
    server.on("/companies?cursor=2", answer(page(2)))

    assert "announced 3 records and delivered 2; nothing of it is used" in fault(source)


def test_a_next_page_on_another_server_is_refused_and_the_token_stays_here(server: Any, source: RestSource, answer: Any) -> None:
    elsewhere = server.url.replace("127.0.0.1", "localhost")
    server.on("/companies", answer(page(1, following=f"{elsewhere}/companies?cursor=2")))

    assert "another server" in fault(source)
    assert len(server.heard) == 1


def test_a_redirect_is_not_followed(server: Any, source: RestSource, answer: Any) -> None:
    server.on("/companies", answer(b"", 302, {"Location": f"{server.url}/elsewhere"}))

    assert "302" in fault(source)
    assert [asked.path for asked in server.heard] == ["/companies"]


def test_pages_that_lead_in_a_circle_are_refused(server: Any, source: RestSource, answer: Any) -> None:
    server.on("/companies", answer(page(1, following="?cursor=2")))
    server.on("/companies?cursor=2", answer(page(2, following="?cursor=3")))
    server.on("/companies?cursor=3", answer(page(3, following="?cursor=2")))

    assert "names itself or an earlier page" in fault(source)
    assert len(server.heard) == 3


def test_a_dataset_the_server_does_not_have_is_absent(server: Any, source: RestSource) -> None:
    assert source.fetch(COMPANIES, None) is None
    assert len(server.heard) == 1


def test_a_page_that_vanishes_in_the_middle_is_an_error_not_an_end(server: Any, source: RestSource, answer: Any) -> None:
    server.on("/companies", answer(page(1, following="/gone")))

    assert "404 in the middle of the pages of companies" in fault(source)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_not_tried_again(status: int, server: Any, source: RestSource, answer: Any) -> None:
    server.on("/companies", answer(b"", status))

    message = fault(source)

    assert str(status) in message
    assert "ARREARS_REST_TOKEN" in message
    assert "t0ken" not in message
    assert len(server.heard) == 1


def test_another_refusal_is_told_in_the_servers_words_and_not_tried_again(server: Any, source: RestSource, answer: Any) -> None:
    server.on("/companies", answer({"error": "limit is too large"}, 400))

    message = fault(source)

    assert "400" in message
    assert "limit is too large" in message
    assert len(server.heard) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_that_is_busy_for_a_moment_is_asked_again(
    status: int, server: Any, source: RestSource, answer: Any, naps: list[float]
) -> None:
    server.on("/companies", answer(b"", status), answer(b"", status), answer(page(1)))

    assert ids(source) == ["001"]
    assert len(server.heard) == 3
    assert len(naps) == 2


@pytest.mark.parametrize("status", [429, 503])
def test_it_waits_as_long_as_the_server_asks(status: int, server: Any, answer: Any, naps: list[float]) -> None:
    in_20_seconds = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    long_ago = format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)
    asked = ("7", in_20_seconds, long_ago)
    server.on("/companies", *(answer(b"", status, {"Retry-After": text}) for text in asked), answer(page(1)))

    assert ids(RestSource(server.url, wait=0.001)) == ["001"]
    assert naps[0] == 7
    assert 15 < naps[1] <= 20
    assert naps[2] == 0


def test_no_wait_is_longer_than_the_cap_whatever_the_server_asks(server: Any, answer: Any, naps: list[float]) -> None:
    tomorrow = format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True)
    server.on("/companies", *(answer(b"", 503, {"Retry-After": text}) for text in ("86400", tomorrow)), answer(page(1)))

    assert ids(RestSource(server.url, wait=0.001)) == ["001"]
    assert naps == [LIMITS.longest_wait, LIMITS.longest_wait]


def test_a_wait_that_makes_no_sense_is_backed_off_from_as_if_none_was_asked(server: Any, answer: Any, naps: list[float]) -> None:
    server.on("/companies", answer(b"", 503, {"Retry-After": "soon"}), answer(b"", 503), answer(page(1)))

    assert ids(RestSource(server.url, wait=0.5)) == ["001"]
    assert 0.5 <= naps[0] <= 1.0
    assert 1.0 <= naps[1] <= 1.5, "and longer every time"


def test_a_connection_that_is_reset_is_opened_again(server: Any, source: RestSource, answer: Any) -> None:
    server.on("/companies", answer(reset=True), answer(page(1)))

    assert ids(source) == ["001"]


def test_a_body_that_is_cut_off_is_asked_for_again(server: Any, source: RestSource, answer: Any) -> None:
    whole = answer(page(1, 2))
    server.on("/companies", answer(whole.content[:-20], announced=len(whole.content)), whole)

    assert ids(source) == ["001", "002"]


@pytest.mark.parametrize("content", [b'{"data": [', b"", b'{"data": "caf\xc3'])
def test_an_answer_that_is_not_whole_json_is_asked_for_again(
    content: bytes, server: Any, source: RestSource, answer: Any
) -> None:
    server.on("/companies", answer(content), answer(page(1)))

    assert ids(source) == ["001"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"rows": []}, "no list `data`"),
        ({"data": {"company_id": "1"}}, "no list `data`"),
        ([], "no list `data`"),
        ({"data": ["001"]}, "not a JSON object"),
    ],
)
def test_json_of_another_shape_is_refused(body: Any, says: str, server: Any, source: RestSource, answer: Any) -> None:
    server.on("/companies", answer(body))

    assert says in fault(source)


def test_it_gives_up_after_a_few_attempts_and_says_so(server: Any, source: RestSource, answer: Any) -> None:
    server.on("/companies", answer(b"", 503))

    message = fault(source)

    assert f"{server.url}/companies: 503" in message
    assert f"gave up after {LIMITS.attempts} attempts" in message
    assert len(server.heard) == LIMITS.attempts


def test_nobody_at_the_address_is_said_in_one_line() -> None:
    message = fault(RestSource("http://127.0.0.1:1", wait=0.001))

    assert "refused" in message
    assert "Is the server up and reachable?" in message
    assert len(message.splitlines()) == 1


def test_a_later_page_is_as_patient_as_the_first(server: Any, source: RestSource, answer: Any) -> None:
    server.on("/companies", answer(page(1, following="/more")))
    server.on("/more", answer(b"", 500), answer(reset=True), answer(page(2)))

    assert ids(source) == ["001", "002"]


@pytest.mark.parametrize("url", ["erp.example/api", "ftp://erp.example", ""])
def test_an_address_that_is_none_is_named_with_the_setting(url: str) -> None:
    with pytest.raises(SourceError, match="ARREARS_REST_URL"):
        RestSource(url)


def test_a_servers_own_machine_is_reached_past_the_proxy_of_the_environment(
    server: Any, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    server.on("/companies", answer(page(1)))

    assert ids(RestSource(server.url, wait=0.001)) == ["001"]


def test_the_token_is_sent_even_where_the_user_has_a_password_for_the_host(
    server: Any, answer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server.on("/companies", answer(page(1)))
    asking = RestSource(server.url, "t0ken")
    asking.http.session.trust_env = True  # as for every host but this one

    ids(asking)

    assert server.heard[0].headers["Authorization"] == "Bearer t0ken"
