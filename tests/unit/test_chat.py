"""The chat room hears a morning once and an alert once, and a room that cannot be reached costs nothing but a line."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from urllib3.exceptions import MaxRetryError, NewConnectionError

from dagster_project import alerts
from dagster_project.mail import chat
from dagster_project.mail.chat import tell_chat
from dagster_project.settings import Settings

AS_OF = date(2025, 6, 30)


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a room heard; an exception put first into it is raised instead, once."""
    heard: list[Any] = []

    def post(url: Any, text: str) -> None:
        if heard and isinstance(heard[0], Exception):
            raise heard.pop(0)
        heard.append(text)

    monkeypatch.setattr(alerts, "post", post)
    return heard


def deliver(settings: Settings, as_of: date = AS_OF) -> None:
    folder: Path = settings.worklists / as_of.isoformat()
    folder.mkdir(parents=True)
    totals = {
        "customers": 2,
        "items": 3,
        "past_due": "2010.00",
        "held_items": 4,
        "held": "300.25",
        "held_by_reason": {"disputed": 4},
    }
    told = {"policy": "net_terms", "reporting_currency": "EUR", "totals": totals, "warnings": ["0100: UNVERIFIED.", "more"]}
    (folder / "manifest.json").write_text(json.dumps(told), "utf-8")
    row = {"customer_id": "2", "customer_name": "Groß\x1b[2J AG", "past_due_amount": "1999.50", "step_label": "First notice"}
    (folder / "worklist.jsonl").write_text(json.dumps(row) + "\n", "utf-8")


def test_a_room_hears_the_morning_in_short_and_once(room: list[str], make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(environment="production", morning_webhook="https://chat.example/hook")
    deliver(settings)
    for _ in range(3):
        assert tell_chat(settings, AS_OF) == []
    assert room == [
        "Worklist 2025-06-30: 2 customers to contact, 3 items, 2,010.00 EUR past due\n"
        "First: Groß\N{REPLACEMENT CHARACTER}[2J AG, 1,999.50 EUR, First notice\n"
        "Held: 4 items, 300.25 EUR: 4 disputed\n"
        "Mind: 0100: UNVERIFIED. (and 1 more)"
    ]
    assert tell_chat(make_settings(morning_webhook="https://chat.example/hook"), AS_OF + timedelta(days=1)) == []


def test_what_was_refused_is_told_later_and_what_may_have_been_heard_is_not(
    room: list[Any], make_settings: Callable[..., Settings]
) -> None:
    settings = make_settings(environment="production", morning_webhook="https://chat.example/hook")
    away = requests.ConnectionError(MaxRetryError(None, "/", NewConnectionError(None, "refused")))  # type: ignore[arg-type]
    for day, failed, later in ((0, away, 1), (1, requests.ReadTimeout(), 0), (2, requests.ConnectionError("reset"), 0)):
        as_of = AS_OF + timedelta(days=day)
        deliver(settings, as_of)
        room[:] = [failed]
        (line,) = tell_chat(settings, as_of)
        assert ("nobody knows" in line) == (later == 0)
        assert tell_chat(settings, as_of) == []
        assert len(room) == later


def test_an_alert_of_a_bureau_is_told_once_over_all_mornings(
    room: list[str], make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(environment="production", bureau_webhook="https://chat.example/hook")
    there = [(f"{n}\x1fdnb\x1fpaydex\x1f2025-06-0{n}", f"Customer {n}: fell") for n in range(1, 4)]
    monkeypatch.setattr(chat, "_alerts", lambda settings, as_of: there)
    for day in range(3):
        assert tell_chat(settings, AS_OF + timedelta(days=day)) == []
        there = [*there[:3], ("9\x1fdnb\x1fpaydex\x1f2025-07-01", "Customer 9: fell")]
    assert room == [
        "3 new bureau alerts\nCustomer 1: fell\nCustomer 2: fell\nCustomer 3: fell",
        "1 new bureau alert\nCustomer 9: fell",
    ]
