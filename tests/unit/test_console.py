"""What a person sees of a night: a line a step, and at a terminal how far the step under way is."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from dagster_project import console, dbt_build


class Screen(io.StringIO):
    """Standard output, a terminal or not."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("arrears", "arrears.progress")]
    before = [(logger.level, logger.propagate, list(logger.handlers)) for logger in loggers]
    yield
    for logger, (level, propagate, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.propagate, logger.handlers = propagate, handlers


def a_night(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setattr(console, "REDRAWN_AFTER", 0)
    console.show_progress()
    logging.getLogger("arrears.progress").debug("invoices: 1,000 records pulled")
    logging.getLogger("arrears.ingestion").info("invoices landed")
    logging.getLogger("arrears.progress").debug("models 3 of 100")
    console.clear_progress()
    return screen.getvalue()


def test_a_terminal_shows_how_far_it_is_on_a_line_that_is_drawn_over(monkeypatch: pytest.MonkeyPatch) -> None:
    said = a_night(Screen(terminal=True), monkeypatch)

    assert f"{console.CLEAR}  … invoices: 1,000 records pulled{console.CLEAR}" in said
    assert said.endswith(f"  … models 3 of 100{console.CLEAR}"), "nothing of it stays"


def test_elsewhere_there_are_plain_lines_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    said = a_night(Screen(terminal=False), monkeypatch)

    assert [line for line in said.splitlines() if line] == ["Landing  (0.0 s)", "  invoices landed"]
    assert "\x1b" not in said


def test_the_build_says_how_many_models_and_tests_are_done_and_what_takes_longest() -> None:
    built = SimpleNamespace(materialized="table")

    def node(kind: str, name: str) -> Any:
        return SimpleNamespace(resource_type=kind, unique_id=f"{kind}.arrears.{name}", node_status="success", config=built)

    nodes = [node("model", "quick"), node("model", "slow"), node("test", "holds")]
    listener = dbt_build._Listener(SimpleNamespace(nodes={each.unique_id: each for each in nodes}))
    for event, at in (("NodeStart", 1), ("NodeStart", 0), ("NodeFinished", 0), ("Other", 0)):
        listener(SimpleNamespace(info=SimpleNamespace(name=event), data=SimpleNamespace(node_info=nodes[at])))

    assert listener._told() == "models 1 of 2, tests 0 of 1, slow 0 s"
