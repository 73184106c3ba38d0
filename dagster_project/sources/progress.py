"""How far a pull is: records, records a second, and what is left where the source tells.

Belongs here: saying it, drawn over at a terminal, and now and then as a line of the log. Does not belong here: pulling.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pyarrow as pa

from dagster_project.sources import Delivery

log = logging.getLogger("arrears.ingestion")
progress = logging.getLogger("arrears.progress")

EVERY: Final = 30.0
"""Seconds between two lines of the log: a pull that takes minutes is seen to live."""


class Pace:
    """One pull under way: of `what`, `expected` records where the source tells."""

    def __init__(self, what: str, expected: int | None = None):
        self.what, self.expected = what, expected
        self.count = 0
        self._began = self._logged = time.monotonic()

    def step(self, records: int) -> None:
        """So many more have come."""
        self.count += records
        now = time.monotonic()
        progress.debug("%s", self)
        if now - self._logged >= EVERY:
            self._logged = now
            log.info("%s", str(self))

    def __str__(self) -> str:
        seconds = time.monotonic() - self._began
        rate = self.count / seconds if seconds >= 1 else 0.0
        of = f" of {self.expected:,}" if self.expected is not None else ""
        line = f"{self.what}: {self.count:,}{of} records pulled"
        if rate:
            line += f", {rate:,.0f} a second"
            if self.expected is not None and self.expected > self.count:
                line += f", some {(self.expected - self.count) / rate:,.0f} s to go"
        return line


def counted(delivery: Delivery, what: str) -> Delivery:
    """The same, saying how many records came while they come."""
    pace = Pace(what, delivery.expected)

    def pages() -> Iterator[pa.Table]:
        for page in delivery.pages:
            pace.step(len(page))
            yield page

    return replace(delivery, pages=pages())
