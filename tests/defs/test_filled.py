"""The inbox as Dagster shows it: what it held, and that a replay leaves it alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import dagster as dg
import pytest

from dagster_project.defs.automation.mornings import mornings_of
from dagster_project.defs.ingestion.filled import filled_worklists
from dagster_project.landing import Landing
from dagster_project.settings import Settings


@pytest.fixture
def night(make_settings: Callable[..., Settings], landing: Landing) -> Callable[[date], dict[str, Any]]:
    """Read the inbox for a morning; returns the metadata."""
    settings = make_settings()
    settings.inbox.mkdir(parents=True)
    (settings.inbox / "list.xls").write_text("old")

    def run(as_of: date) -> dict[str, Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.BetaWarning)
            asset = filled_worklists(mornings_of(settings))
        done = dg.materialize([asset], partition_key=as_of.isoformat(), resources={"settings": settings, "landing": landing})
        (event,) = done.asset_materializations_for_node("delivery__worklist_outcomes")
        return {name: value.value for name, value in event.metadata.items()}

    return run


def test_the_metadata_says_what_the_inbox_held(
    night: Callable[[date], dict[str, Any]], make_settings: Callable[..., Settings]
) -> None:
    today = make_settings().today()

    first, second = night(today), night(today)

    assert (first["files"], first["outcomes"], first["rejected_cells"]) == (1, 0, {})
    assert "save the workbook as .xlsx" in first["refused_files"]["list.xls"]
    assert second["files"] == 0, "it was put away"


def test_an_older_morning_that_is_replayed_does_not_read_the_inbox(
    night: Callable[[date], dict[str, Any]], make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings()
    monkeypatch.setattr("dagster_project.defs.ingestion.filled.reads", lambda *_: False)

    assert night(settings.today() - timedelta(days=9))["replayed"] is True
    assert (settings.inbox / "list.xls").exists()
